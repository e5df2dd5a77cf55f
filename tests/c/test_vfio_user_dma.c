/* The vfio-user device's interrupts and its writes into the client's memory. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "vfio_user_client.h"

/* ---- interrupts ---- */

static void test_enabled_events_fire_their_vector_once_a_batch(void) {
    int client = session(), events[4];
    for (int k = 0; k < 4; k++) events[k] = eventfd(0, EFD_NONBLOCK);
    CHECK_EQ(set_irqs(client, EVENTFD_TRIGGER, MSIX, 0, 4, events, 4), 0);
    poke(client, BAR0, LINK_STATE_8, EVENT_OCCURRED, 4);
    fab_node_fault(node, 0, FAB_FAULT_LINK_DOWN, 8, 1);
    fab_node_fault(node, 0, FAB_FAULT_LINK_UP, 8, 1);
    CHECK_EQ(fab_node_advance(node, 0.5), 0); /* it trains */
    CHECK_EQ(fired(events[0]), 0);            /* not enabled */
    poke(client, BAR0, LINK_STATE_8, EVENT_OCCURRED | EVENT_EN_IRQ, 4);
    fab_node_fault(node, 0, FAB_FAULT_LINK_DOWN, 8, 1);
    CHECK_EQ(fab_node_advance(node, 0.1), 0);
    CHECK_EQ(fired(events[0]), 1);
    poke(client, BAR0, GAS_PART_CFG + 0x13C, EVENT_OCCURRED | EVENT_EN_IRQ, 4);
    poke(client, BAR0, GAS_MRPC_CMD, MRPC_ECHO, 4);
    CHECK_EQ(fired(events[0]), 1);
    CHECK_EQ(set_irqs(client, NONE_TRIGGER, MSIX, 1, 2, NULL, 0), 0); /* the client's own test */
    CHECK_EQ(set_irqs(client, BOOL_TRIGGER, MSIX, 2, 2, NULL, 0), 0);
    CHECK_EQ(fired(events[0]) + fired(events[2]), 1);
    CHECK_EQ(fired(events[1]), 1);
    CHECK_EQ(fired(events[3]), 1);
    CHECK_EQ(set_irqs(client, EVENTFD_TRIGGER, MSIX, 0, 1, NULL, 0), 0); /* vector 0 off */
    poke(client, BAR0, GAS_MRPC_CMD, MRPC_ECHO, 4);
    CHECK_EQ(fired(events[0]), 0);
    CHECK_EQ(set_irqs(client, EVENTFD_TRIGGER, MSIX, 0, 1, events, 1), 0);
    CHECK_EQ(set_irqs(client, NONE_TRIGGER, MSIX, 0, 0, NULL, 0), 0); /* all off */
    poke(client, BAR0, GAS_MRPC_CMD, MRPC_ECHO, 4);
    CHECK_EQ(fired(events[0]), 0);
    for (int k = 0; k < 4; k++) close(events[k]);
    close(client);
}

static void test_a_full_event_descriptor_does_not_stop_the_node(void) {
    int client = session(), event = eventfd(0, 0); /* would block */
    uint64_t most = UINT64_MAX - 1;
    CHECK_EQ(write(event, &most, sizeof most), sizeof most);
    CHECK_EQ(set_irqs(client, EVENTFD_TRIGGER, MSIX, 0, 1, &event, 1), 0);
    poke(client, BAR0, GAS_PART_CFG + 0x13C, EVENT_OCCURRED | EVENT_EN_IRQ, 4);
    poke(client, BAR0, GAS_MRPC_CMD, MRPC_ECHO, 4);
    CHECK_EQ(peek(client, BAR0, GAS_MRPC_STATUS, 4), MRPC_DONE);
    close(event);
    close(client);
}

static void test_wrong_interrupt_settings_are_refused(void) {
    int client = session(), event = eventfd(0, EFD_NONBLOCK), other = open("/dev/null", O_RDWR);
    int five[5] = {event, event, event, event, event}, mixed[2] = {event, other};
    CHECK_EQ(set_irqs(client, EVENTFD_TRIGGER, MSIX, 0, 5, five, 5), -EINVAL);
    CHECK_EQ(set_irqs(client, EVENTFD_TRIGGER, MSIX, 3, 2, five, 2), -EINVAL);
    CHECK_EQ(set_irqs(client, EVENTFD_TRIGGER, MSIX, UINT32_MAX, 2, five, 2), -EINVAL);
    CHECK_EQ(set_irqs(client, EVENTFD_TRIGGER, MSIX, 0, 3, five, 2), -EINVAL);
    CHECK_EQ(set_irqs(client, EVENTFD_TRIGGER, MSIX, 0, 2, mixed, 2), -EINVAL);
    CHECK_EQ(set_irqs(client, EVENTFD_TRIGGER, 0, 0, 1, five, 1), -EINVAL); /* no INTx */
    CHECK_EQ(set_irqs(client, EVENTFD_TRIGGER, 5, 0, 0, NULL, 0), -EINVAL);
    CHECK_EQ(set_irqs(client, NONE_TRIGGER, MSIX, 0, 1, five, 1), -EINVAL);
    CHECK_EQ(set_irqs(client, 0x27, MSIX, 0, 1, NULL, 0), -EINVAL);
    CHECK_EQ(set_irqs(client, 0x0C, MSIX, 0, 1, NULL, 0), -EINVAL); /* masking is the table's */
    CHECK_EQ(set_irqs(client, EVENTFD_TRIGGER, MSIX, 0, 1, &event, 1), 0);
    close(event);
    close(other);
    close(client);
}

/* ---- DMA ---- */

static void test_commands_complete_by_dma(void) {
    int client = session(), ram = memory(4 * PAGE), events[2];
    uint8_t *guest = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ram, 0);
    for (int k = 0; k < 2; k++) events[k] = eventfd(0, EFD_NONBLOCK);
    CHECK_EQ(set_irqs(client, EVENTFD_TRIGGER, MSIX, 0, 2, events, 2), 0);
    CHECK_EQ(map(client, 0x100000, 2 * PAGE, PAGE, 3, ram), 0);
    CHECK_EQ(map(client, UINT64_MAX - PAGE + 1, PAGE, 0, 3, ram), 0); /* the last page there is */
    CHECK_EQ(peek(client, BAR0, GAS_MRPC_DMA_VER, 4), 1);
    CHECK_EQ(peek(client, BAR0, GAS_MRPC_DMA_VECTOR, 4), 1);
    poke(client, BAR0, GAS_PART_CFG + 0x13C, EVENT_OCCURRED | EVENT_EN_IRQ, 4);
    poke(client, BAR0, GAS_MRPC_DMA_ADDR, 0x101000, 8);
    poke(client, BAR0, GAS_MRPC_DMA_EN, 1, 4);
    memset(guest, 0xAA, 4 * PAGE);
    poke(client, BAR0, 0, 0x55AA55AA, 4);
    poke(client, BAR0, GAS_MRPC_CMD, MRPC_ECHO, 4);
    CHECK_EQ(get(guest + 2 * PAGE, 4), MRPC_DONE);
    CHECK_EQ(get(guest + 2 * PAGE + 4, 4), MRPC_ECHO);
    CHECK_EQ(get(guest + 2 * PAGE + 8, 4), 0);
    CHECK_EQ(get(guest + 2 * PAGE + 16, 4), 0xAA55AA55);
    CHECK_EQ(get(guest + 2 * PAGE - 4, 4), 0xAAAAAAAA);
    CHECK_EQ(get(guest + 2 * PAGE + 1040, 4), 0xAAAAAAAA);
    CHECK_EQ(fired(events[1]), 1);
    CHECK_EQ(fired(events[0]), 0);
    CHECK_EQ(ftruncate(ram, PAGE), 0); /* cut short: no signal comes of it */
    poke(client, BAR0, GAS_MRPC_CMD, MRPC_ECHO, 4);
    CHECK_EQ(peek(client, BAR0, GAS_MRPC_STATUS, 4), MRPC_DONE);
    fired(events[1]);
    /* memory that is not mapped any more: the registers and the event tell instead */
    CHECK_EQ(unmap(client, 0x100000, 2 * PAGE, 0), 24);
    poke(client, BAR0, GAS_MRPC_CMD, MRPC_ECHO, 4);
    CHECK_EQ(fired(events[1]), 0);
    CHECK_EQ(fired(events[0]), 1);
    CHECK_EQ(request(client, RESET, NULL, 0, NULL, 0), 0);
    CHECK_EQ(peek(client, BAR0, GAS_MRPC_DMA_EN, 4), 0);
    CHECK_EQ(unmap(client, 0, 0, 2), 24); /* all */
    munmap(guest, 4 * PAGE);
    close(ram);
    for (int k = 0; k < 2; k++) close(events[k]);
    close(client);
}

static void test_dma_is_not_offered_to_a_client_that_keeps_its_memory(void) {
    int client = session();
    CHECK_EQ(peek(client, BAR0, GAS_MRPC_DMA_VER, 4), 1);
    CHECK_EQ(map(client, 0, 16 * PAGE, 0, 3, -1), 0);
    CHECK_EQ(peek(client, BAR0, GAS_MRPC_DMA_VER, 4), 0);
    poke(client, BAR0, GAS_MRPC_DMA_EN, 1, 4); /* one that does not ask */
    poke(client, BAR0, GAS_MRPC_CMD, MRPC_ECHO, 4);
    CHECK_EQ(peek(client, BAR0, GAS_MRPC_STATUS, 4), MRPC_DONE);
    close(client);
    client = session(); /* it left with what was its own */
    CHECK_EQ(peek(client, BAR0, GAS_MRPC_DMA_VER, 4), 1);
    CHECK_EQ(peek(client, BAR0, GAS_MRPC_DMA_EN, 4), 0);
    close(client);
}

static void test_wrong_mappings_are_refused(void) {
    int client = session(), ram = memory(4 * PAGE), pipes[2];
    CHECK_EQ(pipe(pipes), 0);
    CHECK_EQ(map(client, 0x1000, 8 * PAGE, 0, 3, ram), -EINVAL); /* longer than its file */
    CHECK_EQ(map(client, 0x1000, PAGE, 4 * PAGE, 3, ram), -EINVAL);
    CHECK_EQ(map(client, 0x1000, PAGE, UINT64_MAX - PAGE + 1, 3, ram), -EINVAL);
    CHECK_EQ(map(client, 0x1000, 0, 0, 3, ram), -EINVAL);
    CHECK_EQ(map(client, 0x1001, PAGE, 0, 3, ram), -EINVAL);
    CHECK_EQ(map(client, UINT64_MAX - PAGE + 1, 2 * PAGE, 0, 3, ram), -EINVAL);
    CHECK_EQ(map(client, 0x1000, PAGE, 0, 0x83, ram), -EINVAL);
    CHECK_EQ(map(client, 0x1000, PAGE, 0, 3, pipes[0]), -EINVAL);
    CHECK_EQ(map(client, 0x1000, 2 * PAGE, 0, 3, ram), 0);
    CHECK_EQ(map(client, 0x2000, 2 * PAGE, 0, 3, ram), -EEXIST);
    CHECK_EQ(unmap(client, 0x2000, PAGE, 0), -EINVAL); /* a part of one */
    CHECK_EQ(unmap(client, 0x8000, PAGE, 0), 24);      /* nothing there */
    CHECK_EQ(unmap(client, 0x1000, 0, 0), -EINVAL);
    CHECK_EQ(unmap(client, 0x1000, PAGE, 2), -EINVAL);
    CHECK_EQ(unmap(client, 0x1000, UINT64_MAX - 0x1000 + 1, 0), 24); /* to the very end */
    for (uint64_t k = 0; k < 128; k++) CHECK_EQ(map(client, k * PAGE, PAGE, 0, 3, -1), 0);
    CHECK_EQ(map(client, 128 * PAGE, PAGE, 0, 3, -1), -ENOSPC);
    close(ram);
    close(pipes[0]);
    close(pipes[1]);
    close(client);
}

/* ---- everything at once ---- */

static void *move(void *context) {
    for (int k = 0; k < 300; k++) {
        fab_node_fault(node, 0, k & 1 ? FAB_FAULT_LINK_UP : FAB_FAULT_LINK_DOWN, 8, 1);
        fab_bar_write32(fab_node_bar(node, 0), GAS_MRPC_CMD, MRPC_ECHO);
    }
    return context;
}

/* Events and commands of another thread, while clients come, map, command and go. */
static void test_interrupts_and_dma_come_from_any_thread(void) {
    pthread_t mover;
    CHECK_EQ(pthread_create(&mover, NULL, move, NULL), 0);
    for (int k = 0; k < 20; k++) {
        int client = session(), ram = memory(PAGE), events[2];
        for (int v = 0; v < 2; v++) events[v] = eventfd(0, EFD_NONBLOCK);
        CHECK_EQ(set_irqs(client, EVENTFD_TRIGGER, MSIX, 0, 2, events, 2), 0);
        CHECK_EQ(map(client, 0, PAGE, 0, 3, ram), 0);
        poke(client, BAR0, LINK_STATE_8, EVENT_OCCURRED | EVENT_EN_IRQ, 4);
        poke(client, BAR0, GAS_MRPC_DMA_ADDR, 0, 8);
        poke(client, BAR0, GAS_MRPC_DMA_EN, 1, 4);
        for (int j = 0; j < 10; j++) poke(client, BAR0, GAS_MRPC_CMD, MRPC_ECHO, 4);
        CHECK(fired(events[1]) >= 10);
        CHECK_EQ(unmap(client, 0, PAGE, 0), 24);
        for (int v = 0; v < 2; v++) close(events[v]);
        close(ram);
        close(client);
    }
    pthread_join(mover, NULL);
}

int main(void) {
    serve();
    test_enabled_events_fire_their_vector_once_a_batch();
    test_a_full_event_descriptor_does_not_stop_the_node();
    test_wrong_interrupt_settings_are_refused();
    test_commands_complete_by_dma();
    test_dma_is_not_offered_to_a_client_that_keeps_its_memory();
    test_wrong_mappings_are_refused();
    test_interrupts_and_dma_come_from_any_thread();
    return served();
}
