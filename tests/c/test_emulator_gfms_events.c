/* Bindings of functions to logical ports, and the events that these and links raise. */
#define _GNU_SOURCE
#include "gfms_client.h"

static void test_many_functions_share_a_logical_port(void) {
    fab_node *node = make();
    static uint8_t out[2048];
    uint8_t reply[4] = {1, 1, 1, 1};
    uint8_t many[36] = {1, 0, 16, 4, 1, 0, 1, 0, 2, 0, 1, 0, 0x81, 0, 0, 0xAA, 0xFF, 0xFF, 0xFF};
    CHECK_EQ(ask(node, 0, 0x84, many, 36, reply, 4), 0);
    CHECK_EQ(word_at(reply, 0), 0);
    CHECK_EQ(read_dump(node, 0, 3, 0, out), 1044);
    for (unsigned slot = 0; slot < 8; slot++) CHECK_EQ(out[20 + 4 * (32 * slot + 4) + 1], slot < 3);
    CHECK_EQ(u16(out + 20 + 4 * (32 * 2 + 4) + 2), 0x81);
    CHECK_EQ(out[20 + 4 * (32 * 2 + 4)], 4);
    CHECK_EQ(bind(node, 0, 16, 32 + 4, 0x05), 0x64010); /* its second slot is taken */
    CHECK_EQ(bind(node, 0, 16, 96 + 4, 0x05), 0);       /* the fourth is not */
    many[3] = 7 * 32;
    many[4] = 9;
    many[8] = 10;
    CHECK_EQ(ask(node, 0, 0x84, many, 36, NULL, 0), 0x64006); /* three do not fit into one slot */
    uint8_t unbind_in[8] = {2, 0, 16, 4, 0xEE, 0xEE, 2, 0}, one = 9;
    CHECK_EQ(ask(node, 0, 0x84, unbind_in, 8, &one, 1), 0);
    CHECK_EQ(one, 0);
    CHECK_EQ(read_dump(node, 0, 3, 0, out), 1044);
    for (unsigned slot = 0; slot < 8; slot++)
        CHECK_EQ(out[20 + 4 * (32 * slot + 4) + 1], slot == 3);
    CHECK_EQ(out[20 + 4 * (32 * 3 + 4)], 100); /* by this number it is unbound */
    CHECK_EQ(unbind(node, 0, 16, 100), 0);
    fab_node_close(node);
}

static void test_a_host_that_is_down_can_be_bound_to(void) {
    fab_node *node = make();
    static uint8_t out[4096];
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_LINK_DOWN, 16, 0), 0);
    CHECK_EQ(bind(node, 0, 16, 0, 1), 0);
    CHECK_EQ(bind(node, 0, 16, 1, 1), 0x64007); /* twice */
    read_dump(node, 0, 6, 0, out);
    CHECK_EQ(out[12 + 5], 0); /* upstream link down */
    CHECK_EQ(out[12 + 8 + 4 + 4 + 1], 1);
    fab_node_close(node);
}

static void test_each_of_256_functions_has_a_logical_number(void) {
    fab_node *node = make();
    static uint8_t out[2048];
    for (unsigned k = 0; k < 256; k++)
        CHECK_EQ(bind(node, 3, 24, k, (k / 32) << 6 | (k % 32 + 1)), 0);
    CHECK_EQ(read_dump(node, 3, 3, 7, out), 1044);
    for (unsigned k = 0; k < 256; k++) {
        CHECK_EQ(out[20 + 4 * k], k);
        CHECK_EQ(out[20 + 4 * k + 1], 1);
        CHECK_EQ(u16(out + 20 + 4 * k + 2), (k / 32) << 6 | (k % 32 + 1));
    }
    fab_node_close(node);
}

static unsigned events(fab_node *node, size_t sw, unsigned want, uint8_t out[1024]) {
    uint8_t in[4] = {1, 0, (uint8_t)want, (uint8_t)(want >> 8)};
    CHECK_EQ(ask(node, sw, 0x89, in, 4, out, 1024), 0);
    return u16(out);
}

static void clear_events(fab_node *node, size_t sw) {
    uint32_t zero = 0;
    CHECK_EQ(ask(node, sw, 0x89, &zero, 4, NULL, 0), 0);
}

static void test_bindings_and_links_are_told_to_every_pax(void) {
    fab_node *node = make();
    uint8_t out[1024];
    CHECK_EQ(events(node, 0, 128, out), 0);
    CHECK_EQ(u16(out + 2), 0);
    CHECK_EQ(bind(node, 2, 16, 9, 0x0142), 0);
    for (size_t sw = 0; sw < 4; sw++) {
        CHECK_EQ(events(node, sw, 128, out), 2);
        static const uint8_t bound[] = {12, 0, 6, 2, 2, 16, 9, 0, 0x42, 0x01, 0, 0};
        CHECK_EQ(memcmp(out + 4, bound, 12), 0);
        CHECK_EQ(u16(out + 16), 12);
        CHECK_EQ(out[18], 8); /* and so the database has changed */
        CHECK_EQ(reg(node, sw, 0x1820) >> 13, 1);
        CHECK_EQ(reg(node, sw, 0x1968) & 1, 1);
    }
    clear_events(node, 0);
    CHECK_EQ(events(node, 0, 128, out), 0);
    CHECK_EQ(events(node, 1, 128, out), 2);
    CHECK_EQ(events(node, 1, 1, out), 1); /* no more than were wanted */
    CHECK_EQ(u16(out + 2), 1);
    CHECK_EQ(events(node, 1, 0, out), 0);
    CHECK_EQ(u16(out + 2), 2);
    CHECK_EQ(unbind(node, 2, 16, 9), 0);
    CHECK_EQ(events(node, 0, 128, out), 2);
    CHECK_EQ(out[6], 7);
    uint8_t odd[4] = {2, 0, 1, 0};
    CHECK_EQ(ask(node, 0, 0x89, odd, 4, NULL, 0), 0x64004);
    fab_node_close(node);
}

static void test_links_that_fall_say_what_hung_on_them(void) {
    fab_node *node = make();
    uint8_t out[1024];
    CHECK_EQ(fab_node_fault(node, 1, FAB_FAULT_LINK_DOWN, 24, 0), 0); /* host 3 */
    CHECK_EQ(events(node, 0, 128, out), 1);
    static const uint8_t host[] = {8, 0, 1, 1, 24, 0, 0, 0};
    CHECK_EQ(memcmp(out + 4, host, 8), 0);
    clear_events(node, 0);
    CHECK_EQ(fab_node_fault(node, 1, FAB_FAULT_LINK_DOWN, 8, 0), 0); /* module 3 */
    CHECK_EQ(events(node, 0, 128, out), 2);
    static const uint8_t device[] = {8, 0, 3, 1, 8, 0, 33, 0, 12, 0, 8, 1};
    CHECK_EQ(memcmp(out + 4, device, 12), 0);
    clear_events(node, 0);
    CHECK_EQ(fab_node_fault(node, 1, FAB_FAULT_LINK_UP, 8, 0), 0);
    CHECK_EQ(fab_node_advance(node, TRAINING_S), 0);
    CHECK_EQ(events(node, 0, 128, out), 2);
    CHECK_EQ(out[6], 2);
    clear_events(node, 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_LINK_DOWN, 32, 0), 0); /* both ends of a link */
    CHECK_EQ(events(node, 0, 128, out), 2);
    static const uint8_t ends[] = {8, 0, 5, 0, 32, 0, 0, 0, 8, 0, 5, 1, 40, 0, 0, 0};
    CHECK_EQ(memcmp(out + 4, ends, 16), 0);
    clear_events(node, 0);
    uint8_t off[4] = {0, 16, 0, 0}, on[4] = {1, 16, 0, 0};
    CHECK_EQ(ask(node, 0, 0x8D, off, 4, NULL, 0), 0);
    CHECK_EQ(ask(node, 0, 0x8D, on, 4, NULL, 0), 0);
    CHECK_EQ(fab_node_advance(node, TRAINING_S), 0);
    CHECK_EQ(events(node, 0, 128, out), 4);
    CHECK_EQ(out[6], 1);
    static const uint8_t disabled[] = {8, 0, 10, 0, 0, 16, 0, 0};
    CHECK_EQ(memcmp(out + 12, disabled, 8), 0);
    CHECK_EQ(out[22], 9); /* enabled at once, up when it has trained */
    CHECK_EQ(out[30], 0);
    off[1] = 0;
    clear_events(node, 0);
    CHECK_EQ(ask(node, 0, 0x8D, off, 4, NULL, 0), 0);
    CHECK_EQ(events(node, 0, 128, out), 3);
    static const uint8_t removed[] = {8, 0, 11, 0, 0, 0, 0, 0};
    CHECK_EQ(memcmp(out + 4 + 8 + 12, removed, 8), 0);
    fab_node_close(node);
}

static void test_a_full_log_drops_the_oldest_and_says_so(void) {
    fab_node *node = make();
    uint8_t out[1024];
    for (unsigned k = 0; k < 50; k++)
        CHECK_EQ(bind(node, 0, 16, k, (k / 32) << 6 | (k % 32 + 1)), 0);
    CHECK_EQ(events(node, 0, 128, out), 85); /* 1020 bytes of 12 each */
    CHECK_EQ(u16(out + 2), 0x8000);
    CHECK_EQ(out[4 + 12 * 84 + 2], 8);
    CHECK_EQ(out[4 + 12 * 84 + 6], 49); /* the newest */
    CHECK_EQ(out[4 + 6], 7);            /* the oldest that is left */
    CHECK_EQ(events(node, 0, 20, out), 20);
    CHECK_EQ(u16(out + 2), 0x8000 | 65);
    clear_events(node, 0);
    CHECK_EQ(events(node, 0, 128, out), 0);
    CHECK_EQ(u16(out + 2), 0);
    fab_node_close(node);
}

int main(void) {
    test_many_functions_share_a_logical_port();
    test_a_host_that_is_down_can_be_bound_to();
    test_each_of_256_functions_has_a_logical_number();
    test_bindings_and_links_are_told_to_every_pax();
    test_links_that_fall_say_what_hung_on_them();
    test_a_full_log_drops_the_oldest_and_says_so();
    return CHECK_RESULT;
}
