/* The vfio-user device: what a client is told, what its accesses do, what is refused. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/eventfd.h>

#include "vfio_user_client.h"

/* ---- what it is ---- */

static void test_a_client_is_told_what_the_device_is(void) {
    int client = session();
    uint8_t body[32] = {0};
    CHECK_EQ(get(answer, 2), 0);
    CHECK(strstr((char *)answer + 4, "max_data_xfer_size"));
    put(body, 4, 32);
    CHECK_EQ(request(client, INFO, body, 16, NULL, 0), 16);
    CHECK_EQ(get(answer + 4, 4), 3);
    CHECK_EQ(get(answer + 8, 4), 9);
    static const uint64_t sizes[10] = {[BAR0] = FAB_GAS_BYTES, [CONFIG] = 4096};
    for (unsigned k = 0; k < 10; k++) {
        put(body + 8, 4, k);
        CHECK_EQ(request(client, REGION_INFO, body, 32, NULL, 0), k < 9 ? 32 : -EINVAL);
        if (k < 9) CHECK_EQ(get(answer + 16, 8), sizes[k]);
        if (k < 9) CHECK_EQ(get(answer + 4, 4), sizes[k] ? 3 : 0);
        CHECK_EQ(request(client, IRQ_INFO, body, 16, NULL, 0), k < 5 ? 16 : -EINVAL);
        if (k < 5) CHECK_EQ(get(answer + 12, 4), k == MSIX ? 4 : 0);
    }
    close(client);
}

static void test_config_space_follows_its_masks(void) {
    int client = session();
    CHECK_EQ(peek(client, CONFIG, 0, 4), 0x520011F8);
    CHECK_EQ(peek(client, CONFIG, 8, 4), 0x05800000);
    CHECK_EQ(peek(client, CONFIG, 0x0E, 1), 0x80); /* as the options said */
    poke(client, CONFIG, 0, UINT32_MAX, 4);
    CHECK_EQ(peek(client, CONFIG, 0, 4), 0x520011F8);
    poke(client, CONFIG, 0x10, UINT64_MAX, 8); /* the size of a 64-bit BAR of 4 MiB */
    CHECK_EQ(peek(client, CONFIG, 0x10, 8), UINT64_C(0xFFFFFFFFFFC00004));
    poke(client, CONFIG, 0x05, 0xFFFF, 2); /* across two registers: command's upper, status */
    CHECK_EQ(peek(client, CONFIG, 0x04, 4), 0x00100500);
    unsigned at = (unsigned)peek(client, CONFIG, 0x34, 1), seen = 0;
    for (; at && seen < 8; at = (unsigned)peek(client, CONFIG, at + 1, 1), seen++)
        if (peek(client, CONFIG, at, 1) == 0x11) {
            CHECK_EQ(peek(client, CONFIG, at + 2, 2), 3);
            CHECK_EQ(peek(client, CONFIG, at + 4, 4), 0x76000);
            CHECK_EQ(peek(client, CONFIG, at + 8, 4), 0x77000);
        }
    CHECK_EQ(seen, 3);
    CHECK_EQ(request(client, RESET, NULL, 0, NULL, 0), 0);
    CHECK_EQ(peek(client, CONFIG, 0x04, 4), 0x00100000);
    CHECK_EQ(access_region(client, READ, CONFIG, 0, NULL, 4096), 16 + 4096);
    close(client);
}

static void test_accesses_of_every_size_reach_the_registers(void) {
    int client = session();
    uint8_t text[7] = "fabcore";
    CHECK_EQ(peek(client, BAR0, GAS_DEVICE_ID, 4), 0x5200);
    CHECK_EQ(peek(client, BAR0, GAS_DEVICE_ID, 8), UINT64_C(0x0001000000005200));
    CHECK_EQ(access_region(client, WRITE, BAR0, 0x21, text, 7), 16); /* payloads have tails */
    CHECK_EQ(access_region(client, READ, BAR0, 0x21, NULL, 7), 16 + 7);
    CHECK(memcmp(answer + 16, text, 7) == 0);
    CHECK_EQ(access_region(client, READ, BAR0, 0, NULL, BIGGEST), 16 + BIGGEST);
    poke(client, BAR0, 0, 0x01234567, 4);
    poke(client, BAR0, GAS_MRPC_CMD, MRPC_ECHO, 4);
    CHECK_EQ(peek(client, BAR0, GAS_MRPC_STATUS, 4), MRPC_DONE);
    CHECK_EQ(peek(client, BAR0, GAS_MRPC_OUT, 4), 0xFEDCBA98);
    /* the same registers as every other way in */
    uint32_t value = 0;
    CHECK_EQ(fab_bar_read32(fab_node_bar(node, 0), GAS_MRPC_OUT, &value), 0);
    CHECK_EQ(value, 0xFEDCBA98);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_GONE, 0, 1), 0);
    CHECK_EQ(peek(client, BAR0, GAS_DEVICE_ID, 4), UINT32_MAX);
    CHECK_EQ(peek(client, CONFIG, 8, 4), UINT32_MAX);
    poke(client, BAR0, 0, 7, 4); /* lost */
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_BACK, 0, 1), 0);
    CHECK_EQ(peek(client, BAR0, 0, 4), 0x01234567);
    close(client);
}

/* ---- what is refused ---- */

static void test_malformed_requests_change_nothing(void) {
    int client = session(), event = eventfd(0, EFD_NONBLOCK);
    uint8_t body[64] = {0};
    put(body, 4, 64);
    CHECK_EQ(request(client, VERSION, "\0\0\1\0", 4, NULL, 0), -EINVAL); /* a second time */
    CHECK_EQ(request(client, 0, NULL, 0, NULL, 0), -ENOTSUP);
    CHECK_EQ(request(client, 6, body, 16, NULL, 0), -ENOTSUP);
    CHECK_EQ(request(client, 999, body, 16, NULL, 0), -ENOTSUP);
    for (unsigned command = DMA_MAP; command <= WRITE; command++)
        if (command != 6) CHECK_EQ(request(client, command, body, 4, NULL, 0), -EINVAL);
    CHECK_EQ(request(client, INFO, body, 16, &event, 1), -EINVAL); /* takes no descriptor */
    CHECK_EQ(access_region(client, READ, BAR0, FAB_GAS_BYTES - 2, NULL, 4), -EINVAL);
    CHECK_EQ(access_region(client, READ, BAR0, UINT64_MAX, NULL, 4), -EINVAL);
    CHECK_EQ(access_region(client, READ, BAR0, 0, NULL, BIGGEST + 1), -EINVAL);
    CHECK_EQ(access_region(client, READ, CONFIG, 4094, NULL, 4), -EINVAL);
    CHECK_EQ(access_region(client, READ, 1, 0, NULL, 4), -EINVAL);
    CHECK_EQ(access_region(client, READ, 99, 0, NULL, 4), -EINVAL);
    put(body, 8, 0);
    put(body + 8, 4, BAR0);
    put(body + 12, 4, 8);
    CHECK_EQ(request(client, WRITE, body, 20, NULL, 0), -EINVAL); /* says 8 bytes, has 4 */
    CHECK_EQ(request(client, WRITE, body, 32, NULL, 0), -EINVAL);
    CHECK_EQ(peek(client, BAR0, GAS_DEVICE_ID, 4), 0x5200);
    close(event);
    close(client);
}

/* Sends raw bytes to a new session, which the server must end. */
static void ends(const void *bytes, size_t n, int greeted) {
    int client = greeted ? session() : dial();
    CHECK_EQ(send(client, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
    CHECK(hung_up(client));
    close(client);
}

static void test_a_client_that_makes_no_sense_is_hung_up_on(void) {
    uint8_t message[64] = {0};
    head(message, INFO, 16, 0);
    ends(message, 32, 0); /* before its version */
    put(message + 4, 4, 15);
    ends(message, 16, 1); /* shorter than a header */
    put(message + 4, 4, UINT32_MAX);
    ends(message, 16, 1); /* longer than any message */
    head(message, INFO, 16, 1);
    ends(message, 32, 1); /* a reply to nothing */
    int client = session(), events[9];
    for (int k = 0; k < 9; k++) events[k] = eventfd(0, EFD_NONBLOCK);
    head(message, SET_IRQS, 20, 0);
    CHECK_EQ(send_with(client, message, 36, events, 9), 36); /* too many descriptors */
    CHECK(hung_up(client));
    close(client);
    for (int k = 0; k < 9; k++) close(events[k]);
    client = dial();
    CHECK_EQ(request(client, VERSION, "\1\0\0\0", 4, NULL, 0), -EINVAL);   /* another major */
    CHECK_EQ(request(client, VERSION, "\0\0\0\0{}", 6, NULL, 0), -EINVAL); /* no end */
    CHECK(greet(client) > 0);
    close(client);
}

int main(void) {
    serve();
    test_a_client_is_told_what_the_device_is();
    test_config_space_follows_its_masks();
    test_accesses_of_every_size_reach_the_registers();
    test_malformed_requests_change_nothing();
    test_a_client_that_makes_no_sense_is_hung_up_on();
    return served();
}
