/* The emulated switch's mailbox: states, return codes, what a command may read of it, DMA. Numbers
 * are those of the fact sheet, on purpose not the names that the emulator is written with. */
#include <errno.h>
#include <stdlib.h>

#include "emulator_identity.h"

enum { CMD = 0x800, STATUS = 0x804, RETURN = 0x808, MRPC_COMP_HEADER = 0x413C };

static fab_bar *bar_of(fab_node *node, size_t sw) {
    return fab_node_bar(node, sw);
}

static void fill_input(fab_node *node, uint8_t byte) {
    uint8_t all[1024];
    memset(all, byte, sizeof all);
    CHECK_EQ(fab_bar_write_block(bar_of(node, 0), 0, all, sizeof all), 0);
}

static void test_a_command_goes_from_idle_through_the_doorbell_to_done(void) {
    fab_node *node = make();
    uint32_t in = 0x12345678;
    CHECK_EQ(reg(node, 0, STATUS), 0);
    CHECK_EQ(fab_bar_write_block(bar_of(node, 0), 0, &in, 4), 0);
    CHECK_EQ(reg(node, 0, STATUS), 0);
    set(node, 0, CMD, 0x7C0041);
    CHECK_EQ(reg(node, 0, STATUS), 2);
    CHECK_EQ(reg(node, 0, RETURN), 0);
    CHECK_EQ(reg(node, 0, 0x400), 0xEDCBA987);
    CHECK_EQ(reg(node, 0, CMD), 0x7C0041);
    set(node, 0, STATUS, 0); /* read-only, both */
    set(node, 0, RETURN, 5);
    set(node, 0, 0x400, 5);
    CHECK_EQ(reg(node, 0, STATUS), 2);
    CHECK_EQ(reg(node, 0, RETURN), 0);
    CHECK_EQ(reg(node, 0, 0x400), 0xEDCBA987);
    fab_node_close(node);
}

static void test_only_4_bytes_ring_the_doorbell(void) {
    fab_node *node = make();
    uint8_t block[0x810] = {0};
    fab_bar_write8(bar_of(node, 0), CMD, 0x41);
    fab_bar_write16(bar_of(node, 0), CMD, 0x41);
    fab_bar_write64(bar_of(node, 0), CMD, 0x41);
    block[0x800] = 0x41;
    pthread_mutex_lock(&node->lock);
    CHECK_EQ(gas_write_block(&node->switches[0], 0, block, sizeof block), 0);
    CHECK_EQ(gas_write_block(&node->switches[0], CMD, block + 0x800, 8), 0);
    CHECK_EQ(gas_write_block(&node->switches[0], CMD, block + 0x800, 3), 0);
    CHECK_EQ(gas_write_block(&node->switches[0], CMD - 1, block + 0x7FF, 4), 0);
    pthread_mutex_unlock(&node->lock);
    CHECK_EQ(reg(node, 0, STATUS), 0);
    pthread_mutex_lock(&node->lock);
    CHECK_EQ(gas_write_block(&node->switches[0], CMD, block + 0x800, 4), 0);
    pthread_mutex_unlock(&node->lock);
    CHECK_EQ(reg(node, 0, STATUS), 2);
    fab_node_close(node);
}

static void test_unknown_commands_and_sub_commands_are_told_apart(void) {
    static const uint16_t with_subs[] = {0x04, 0x07, 0x1B, 0x82, 0x83, 0x84, 0x8E};
    fab_node *node = make();
    uint8_t sub[4] = {99, 0, 0, 0};
    for (unsigned k = 0; k < 7; k++)
        CHECK_EQ(command(node, 0, LOCAL(with_subs[k]), sub, 4, NULL, 0), 0x64004);
    CHECK_EQ(command(node, 0, LOCAL(0x77), sub, 4, NULL, 0), 0x64005);
    CHECK_EQ(command(node, 0, LOCAL(0x09), sub, 4, NULL, 0), 0x64005);
    fab_node_close(node);
    node = make_as(0x5100); /* no fabric: no PAX id, no topology, no GFMS */
    for (unsigned id = 0x81; id <= 0x84; id++)
        CHECK_EQ(command(node, 0, 0xFFFC0000 | id, sub, 4, NULL, 0), 0x64005);
    fab_node_close(node);
}

static void test_a_stuck_command_gives_way_to_the_next_doorbell(void) {
    fab_node *node = make();
    uint32_t in = 1, out = 0;
    fab_node_fault(node, 0, FAB_FAULT_MRPC_STUCK, 0, 1);
    CHECK_EQ(command(node, 0, LOCAL(0x41), &in, 4, &out, 4), -1);
    CHECK_EQ(reg(node, 0, STATUS), 1);
    CHECK_EQ(reg(node, 0, MRPC_COMP_HEADER), 0); /* nothing is told while it is in progress */
    in = 2;
    CHECK_EQ(command(node, 0, LOCAL(0x41), &in, 4, &out, 4), 0);
    CHECK_EQ(out, ~2u);
    fab_node_close(node);
}

static void test_an_interrupted_command_has_not_run_and_answers_nothing(void) {
    fab_node *node = make();
    uint32_t in = 1, out = 0;
    CHECK_EQ(command(node, 0, LOCAL(0x41), &in, 4, &out, 4), 0);
    fab_node_fault(node, 0, FAB_FAULT_MRPC_INTERRUPTED, 0, 2);
    CHECK_EQ(command(node, 0, LOCAL(0x41), &in, 4, &out, 4), -1);
    CHECK_EQ(reg(node, 0, STATUS), 0x100);
    CHECK_EQ(reg(node, 0, RETURN), 0);
    CHECK_EQ(reg(node, 0, 0x400), 0);
    CHECK_EQ(reg(node, 0, MRPC_COMP_HEADER) >> 5 & 0xFF, 2); /* both ends were told */
    fab_switch *sw = NULL;
    uint32_t code = 9;
    CHECK_EQ(fab_switch_open(bar_of(node, 0), &sw), 0);
    CHECK_EQ(fab_switch_mrpc(sw, 0x41, -1, &in, 4, &out, 4, &code), -EINTR);
    CHECK_EQ(fab_switch_mrpc(sw, 0x41, -1, &in, 4, &out, 4, &code), 0);
    fab_switch_close(sw);
    fab_node_close(node);
}

/* The payload is only as long as the client wrote: what stands behind it is another command's. */
static void test_no_command_reads_more_of_the_mailbox_than_it_defines(void) {
    static const struct {
        uint16_t id, in_bytes, out_bytes;
        uint8_t in[16];
    } commands[] = {
        {0x100, 4, 8, {1, 2, 3, 4}},
        {0x41, 4, 4, {1, 2, 3, 4}},
        {0x81, 0, 1, {0}},
        {0x04, 4, 16, {4}},
        {0x1C, 8, 720, {0}},
        {0x1C, 8, 720, {1, 1}},
        {0x07, 4, 56, {1, 1, 16, 0}},
        {0x07, 4, 0, {12, 1, 16, 1}},
        {0x07, 4, 0, {4, 1, 16, 63}},
        {0x07, 4, 4, {6, 1, 1, 16}},
        {0x07, 5, 512, {2, 0, 0, 64, 0}},
        {0x07, 5, 576, {3, 0, 0, 64, 0}},
        {0x07, 13, 0, {0, 1, 5, 1, 1, 0, 0, 16, 128, 9, 0, 0, 0}},
        {0x0B, 8, 8, {0, 1}},
        {0x29, 8, 4, {0, 0x20, 0, 0, 4}},
        {0x34, 12, 0, {0x18, 0x40, 0x13, 0, 4, 0, 0, 0, 1, 2, 3}},
        {0x82, 1, 1, {1}},
        {0x82, 1, 4, {2}},
        {0x82, 4, 1004, {5}},
        {0x83, 2, 32, {4, 32}},
        {0x84, 8, 1, {2, 0, 16, 7}},
        {0x88, 4, 4, {1, 16}},
        {0x8D, 4, 0, {2, 16}},
        {0x8E, 8, 4, {0, 0, 1, 0, 0, 0, 4}},
    };
    for (unsigned k = 0; k < sizeof commands / sizeof *commands; k++) {
        uint8_t clean[1024] = {0}, dirty[1024] = {0};
        int64_t code[2];
        for (int pass = 0; pass < 2; pass++) {
            fab_node *node = make();
            fill_input(node, pass ? 0xFF : 0);
            code[pass] = command(node, 0, LOCAL(commands[k].id), commands[k].in,
                                 commands[k].in_bytes, pass ? dirty : clean, commands[k].out_bytes);
            fab_node_close(node);
        }
        if (code[0] != code[1] || memcmp(clean, dirty, sizeof clean)) CHECK_EQ(commands[k].id, -1);
    }
}

/* ---- by DMA ---- */

struct memory {
    uint8_t bytes[2048];
    unsigned writes;
    uint64_t last;
    int refuses;
};

static int write_memory(void *context, uint64_t address, const void *data, size_t bytes) {
    struct memory *m = context;
    if (m->refuses || address < 0x10000 || address + bytes > 0x10000 + sizeof m->bytes)
        return -EFAULT;
    memcpy(m->bytes + (address - 0x10000), data, bytes);
    m->writes++;
    m->last = address;
    return 0;
}

static void count(void *context, unsigned vector) {
    ((unsigned *)context)[vector]++;
}

static void test_dma_ends_with_its_status_and_its_own_vector(void) {
    fab_node *node = make();
    struct memory memory = {{0}, 0, 0, 0};
    unsigned told[2] = {0};
    struct node_listener listener = {.tell = count, .context = told};
    uint32_t in = 5, out = 0;
    node->switches[0].dma = (struct node_dma){write_memory, &memory};
    node_listen(node, 0, &listener);
    set(node, 0, MRPC_COMP_HEADER, 9);
    CHECK_EQ(command(node, 0, LOCAL(0x41), &in, 4, &out, 4), 0);
    CHECK_EQ(memory.writes, 0); /* not enabled yet */
    CHECK_EQ(told[0], 1);
    fab_bar_write64(bar_of(node, 0), 0x810, 0x10008);
    set(node, 0, 0x80C, 1);
    CHECK_EQ(command(node, 0, LOCAL(0x41), &in, 4, &out, 4), 0);
    CHECK_EQ(word_at(memory.bytes, 8), 2);
    CHECK_EQ(word_at(memory.bytes, 16), 0);
    CHECK_EQ(word_at(memory.bytes, 24), ~5u);
    CHECK_EQ(memory.last, 0x10008); /* the status comes last */
    CHECK_EQ(told[0], 1);
    CHECK_EQ(told[1], 1);
    fab_node_fault(node, 0, FAB_FAULT_MRPC_INTERRUPTED, 0, 1);
    CHECK_EQ(command(node, 0, LOCAL(0x41), &in, 4, &out, 4), -1);
    CHECK_EQ(word_at(memory.bytes, 8), 0x100);
    CHECK_EQ(word_at(memory.bytes, 24), 0);
    CHECK_EQ(told[1], 2);
    fab_node_fault(node, 0, FAB_FAULT_MRPC_STUCK, 0, 1);
    CHECK_EQ(command(node, 0, LOCAL(0x41), &in, 4, &out, 4), -1);
    CHECK_EQ(told[1], 2); /* never while it is in progress */
    memory.refuses = 1;   /* nowhere to write to: the registers and their event are left */
    CHECK_EQ(command(node, 0, LOCAL(0x41), &in, 4, &out, 4), 0);
    CHECK_EQ(told[0], 2);
    node_unlisten(node, 0, &listener);
    fab_node_close(node);
}

int main(void) {
    test_a_command_goes_from_idle_through_the_doorbell_to_done();
    test_only_4_bytes_ring_the_doorbell();
    test_unknown_commands_and_sub_commands_are_told_apart();
    test_a_stuck_command_gives_way_to_the_next_doorbell();
    test_an_interrupted_command_has_not_run_and_answers_nothing();
    test_no_command_reads_more_of_the_mailbox_than_it_defines();
    test_dma_ends_with_its_status_and_its_own_vector();
    return CHECK_RESULT;
}
