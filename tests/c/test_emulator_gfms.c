/* The sections of the GFMS database. */
#define _GNU_SOURCE
#include "gfms_client.h"

static void test_fabric_and_pax_sections(void) {
    fab_node *node = make();
    uint8_t sub = 0, out[88], pax[80];
    CHECK_EQ(ask(node, 1, 0x83, &sub, 1, out, 88), 0);
    CHECK_EQ(out[0], 0);
    CHECK_EQ(out[1], 1);
    CHECK_EQ(u16(out + 2), 1);
    CHECK_EQ(word_at(out, 4), 22);
    for (unsigned k = 0; k < 16; k++) {
        CHECK_EQ(out[24 + 4 * k], k);
        CHECK_EQ(out[25 + 4 * k], k < 4 ? 0 : 2);
    }
    sub = 2;
    CHECK_EQ(ask(node, 1, 0x83, &sub, 1, pax, 80), 0);
    CHECK_EQ(pax[0], 2);
    CHECK_EQ(word_at(pax, 4), 20);
    CHECK_EQ(pax[12], 7);        /* ports */
    CHECK_EQ(pax[13], 2);        /* hosts */
    CHECK_EQ(u16(pax + 14), 2);  /* devices */
    CHECK_EQ(u16(pax + 16), 66); /* functions */
    CHECK_EQ(u16(pax + 32), 1);  /* fabric ids */
    CHECK_EQ(u16(pax + 36), 2);  /* host ids: hosts 2 and 3 */
    CHECK_EQ(u16(pax + 38), 3);
    CHECK_EQ(u16(pax + 40), 512);
    CHECK_EQ(u16(pax + 42), 1023);
    CHECK_EQ(u16(pax + 44), 2 << 6); /* modules 2 and 3 */
    CHECK_EQ(u16(pax + 46), 3 << 6 | 32);
    CHECK_EQ(word_at(pax, 48), 0x01010000); /* hosts 16, 24 */
    CHECK_EQ(word_at(pax, 56), 0x00000101); /* modules 0, 8 */
    CHECK_EQ(word_at(pax, 64), 0);
    CHECK_EQ(word_at(pax, 68), 0x00000101); /* fabric 32, 40 */
    CHECK_EQ(word_at(pax, 72), 0);          /* none is free */
    sub = 7;
    CHECK_EQ(ask(node, 1, 0x83, &sub, 1, NULL, 0), 0x64004);
    fab_node_close(node);
}

static void check_function(const uint8_t *f, unsigned number, unsigned pdfid) {
    CHECK_EQ(u16(f), number);
    CHECK_EQ(u16(f + 2), pdfid);
    CHECK_EQ(f[4], number ? 0 : 3);
    CHECK_EQ(f[5], number ? 0 : 32);
    CHECK_EQ(u16(f + 12), 0x11F8);
    CHECK_EQ(u16(f + 14), number ? 0xFAB1 : 0xFAB0);
    CHECK_EQ(u16(f + 16), 0x11F8);
    CHECK_EQ(u24(f + 20), 0x120000);
    CHECK_EQ(f[23], 1);
    CHECK_EQ(f[24], 0xC); /* 64 bits, prefetchable */
    CHECK_EQ(f[25], 24);  /* 16 MiB */
    CHECK_EQ(f[26], 0);
    CHECK_EQ(f[27], 0);
}

static void test_all_of_a_pax_adds_up(void) {
    fab_node *node = make();
    static uint8_t out[65536];
    CHECK_EQ(bind(node, 0, 24, 3, 0x81), 0); /* module 2's first VF to host 1 */
    CHECK_EQ(bind(node, 2, 16, 9, 0x01), 0); /* module 0's first VF to host 4 */
    uint32_t bytes = read_dump(node, 0, 1, 0, out), at = 80;
    CHECK_EQ(bytes, 80 + 12 + 2 * 1032 + 12 + 2 * (8 + 8 + 33 * 36));
    CHECK_EQ(word_at(out, 4), 20);
    CHECK_EQ(out[at], 3);
    CHECK_EQ(word_at(out, at + 4), (12 + 2 * 1032) / 4);
    const uint8_t *host = out + at + 12 + 1032; /* the second: host 1 on port 24 */
    CHECK_EQ(host[0], 1);
    CHECK_EQ(host[1], 24);
    CHECK_EQ(u16(host + 4), 32);
    CHECK_EQ(host[8 + 4 * 3], 3);
    CHECK_EQ(host[8 + 4 * 3 + 1], 1);
    CHECK_EQ(u16(host + 8 + 4 * 3 + 2), 0x81);
    CHECK_EQ(host[8 + 4 * 2], 2);
    CHECK_EQ(host[8 + 4 * 2 + 1], 0);
    at += 4 * word_at(out, at + 4);
    CHECK_EQ(out[at], 5);
    CHECK_EQ(4 * word_at(out, at + 4), bytes - at);
    const uint8_t *port = out + at + 12; /* 0: module 0 */
    CHECK_EQ(port[0], 0);
    CHECK_EQ(port[1], 0);
    CHECK_EQ(u16(port + 2), 1);
    CHECK_EQ(u24(port + 4), (8 + 8 + 33 * 36) / 4);
    CHECK_EQ(u16(port + 8), 33);
    CHECK_EQ(u24(port + 12), (8 + 33 * 36) / 4);
    for (unsigned f = 0; f < 33; f++) check_function(port + 16 + 36 * f, f, f);
    const uint8_t *bound = port + 16 + 36;
    CHECK_EQ(bound[8], 1);
    CHECK_EQ(bound[9], 2);
    CHECK_EQ(bound[10], 16);
    CHECK_EQ(bound[11], 9);
    CHECK_EQ(bound[8 + 36], 0);
    port += 4 * u24(port + 4);
    CHECK_EQ(port[1], 8);
    check_function(port + 16, 0, 1 << 6);
    fab_node_close(node);
}

static uint8_t reach(fab_node *node, size_t sw, unsigned to) {
    uint8_t out[88], sub = 0;
    CHECK_EQ(ask(node, sw, 0x83, &sub, 1, out, 88), 0);
    return out[24 + 4 * to + 1];
}

/* The ring's switch 2 is two links away from switch 0: port 32 to switch 1, its port 32 on. */
static void test_what_is_behind_a_broken_link_is_unreachable(void) {
    fab_node *node = make();
    uint8_t out[32], ask_port[2] = {4, 32};
    for (unsigned k = 0; k < 16; k++) CHECK_EQ(reach(node, 0, k), k < 4 ? 0 : 2);
    CHECK_EQ(fab_node_fault(node, 1, FAB_FAULT_LINK_DOWN, 32, 0), 0);
    static const uint8_t broken[] = {0, 0, 2, 0};
    for (unsigned k = 0; k < 4; k++) CHECK_EQ(reach(node, 0, k), broken[k]);
    CHECK_EQ(reach(node, 1, 2), 2);
    CHECK_EQ(reach(node, 3, 2), 0);
    CHECK_EQ(ask(node, 1, 0x83, ask_port, 2, out, 32), 0);
    CHECK_EQ(out[12], 32);
    CHECK_EQ(u16(out + 18), 0xFF); /* not attached */
    CHECK_EQ(command(node, 0, 1 << 18 | 0x81, NULL, 0, out, 1), 0);
    CHECK_EQ(command(node, 0, 2 << 18 | 0x81, NULL, 0, out, 1), 0xFFFF0001);
    CHECK_EQ(fab_node_fault(node, 1, FAB_FAULT_LINK_UP, 32, 0), 0);
    CHECK_EQ(fab_node_advance(node, TRAINING_S), 0);
    CHECK_EQ(reach(node, 0, 2), 0);
    CHECK_EQ(command(node, 0, 2 << 18 | 0x81, NULL, 0, out, 1), 0);
    CHECK_EQ(out[0], 2);
    fab_node_close(node);
}

static void test_a_dead_module_is_not_attached(void) {
    fab_node *node = make();
    uint8_t out[2048], pax[80], sub = 2;
    CHECK_EQ(read_dump(node, 0, 5, 8, out), 12 + 8 + 8 + 33 * 36);
    CHECK_EQ(out[12 + 1], 8);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_LINK_DOWN, 8, 0), 0);
    CHECK_EQ(read_dump(node, 0, 5, 8, out), 12 + 8);
    CHECK_EQ(out[12], 2);
    CHECK_EQ(out[13], 8);
    CHECK_EQ(u16(out + 14), 0);
    CHECK_EQ(u24(out + 16), 2);
    CHECK_EQ(ask(node, 0, 0x83, &sub, 1, pax, 80), 0);
    CHECK_EQ(u16(pax + 14), 1);
    CHECK_EQ(u16(pax + 16), 33);
    CHECK_EQ(word_at(pax, 56), 0x101);             /* the port is a module's all the same */
    CHECK_EQ(bind(node, 0, 16, 0, 0x41), 0x64006); /* its functions are unknown */
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_LINK_UP, 8, 0), 0);
    CHECK_EQ(fab_node_advance(node, TRAINING_S), 0);
    CHECK_EQ(bind(node, 0, 16, 0, 0x41), 0);
    fab_node_close(node);
}

static void test_vfs_that_are_off_are_not_listed(void) {
    fab_node *node = make();
    uint8_t out[2048];
    function_write(node, 0x40, 0x168, 2, 0x18); /* VF Enable off */
    CHECK_EQ(read_dump(node, 0, 5, 8, out), 12 + 8 + 8 + 36);
    CHECK_EQ(u16(out + 20), 1);
    CHECK_EQ(out[12 + 16 + 4], 3);
    CHECK_EQ(out[12 + 16 + 5], 0);
    function_write(node, 0x40, 0x170, 2, 5); /* NumVFs */
    function_write(node, 0x40, 0x168, 2, 0x19);
    CHECK_EQ(read_dump(node, 0, 5, 8, out), 12 + 8 + 8 + 6 * 36);
    CHECK_EQ(out[12 + 16 + 5], 5);
    fab_node_close(node);
}

static void test_one_host_and_its_detail(void) {
    fab_node *node = make();
    uint8_t out[8192];
    CHECK_EQ(bind(node, 1, 24, 5, 0xC3), 0);
    CHECK_EQ(read_dump(node, 1, 3, 3, out), 1044); /* all that the library has room for */
    CHECK_EQ(out[12], 3);
    CHECK_EQ(out[13], 24);
    CHECK_EQ(u16(out + 20 + 4 * 5 + 2), 0xC3);
    uint64_t window_of_host = window(node, 1, 24);
    set(node, 1, window_of_host + 0x18, 0x00090807); /* primary 7, secondary 8 */
    uint32_t ports = 12 + 8 + 4, peers = ports + 4 + 2048;
    CHECK_EQ(read_dump(node, 1, 6, 3, out), peers + 8 + 6 * 16);
    CHECK_EQ(out[12], 3);
    CHECK_EQ(out[13], 24);
    CHECK_EQ(out[16], 1); /* endpoints */
    CHECK_EQ(out[17], 1); /* link up */
    CHECK_EQ(out[20], 6);
    CHECK_EQ(u16(out + 22), 0x701);
    CHECK_EQ(u16(out + ports), 32);
    CHECK_EQ(u16(out + ports + 2), 0x700);
    const uint8_t *five = out + ports + 4 + 8 * 5;
    CHECK_EQ(five[0], 5);
    CHECK_EQ(five[1], 1);
    CHECK_EQ(u16(five + 2), 0x800 | 5 << 3);
    CHECK_EQ(u16(five + 4), 0xC3);
    CHECK_EQ(u16(five + 6), (8 + 1 + 5) << 8);
    CHECK_EQ(five[8 + 1], 0);
    CHECK_EQ(word_at(out, peers), 1 << 5); /* requests are not redirected at module 3's port */
    /* two peers see each other; redirected by ACS none does */
    CHECK_EQ(bind(node, 1, 24, 2, 0x02), 0);
    CHECK_EQ(read_dump(node, 1, 6, 3, out), peers + 8 + 6 * 16);
    CHECK_EQ(word_at(out, peers), 1 << 5 | 1 << 2);
    CHECK_EQ(word_at(out, peers + 8), 1 << 5); /* of the lowest peer, then of the next */
    CHECK_EQ(word_at(out, peers + 8 + 8), 1 << 5);
    CHECK_EQ(word_at(out, peers + 8 + 16), 1 << 2);
    CHECK_EQ(word_at(out, peers + 8 + 16 + 8), 1 << 2);
    for (uint32_t at = peers + 8 + 2 * 16; at < peers + 8 + 6 * 16; at += 4)
        CHECK_EQ(word_at(out, at), 0);
    uint64_t acs = window(node, 1, 8) + 0x154;
    set(node, 1, acs, reg(node, 1, acs) | 4 << 16);
    acs = window(node, 0, 0) + 0x154;
    set(node, 0, acs, reg(node, 0, acs) | 4 << 16);
    CHECK_EQ(read_dump(node, 1, 6, 3, out), peers + 8);
    uint8_t start[8] = {3, 0, 0, 0, 1};
    CHECK_EQ(ask(node, 1, 0x83, start, 8, NULL, 0), 0x64006); /* host 0 is not here */
    start[0] = 5;
    start[1] = 16;
    CHECK_EQ(ask(node, 1, 0x83, start, 8, NULL, 0), 0x100002);
    fab_node_close(node);
}

static void test_reading_in_pieces_is_refused_out_of_order(void) {
    fab_node *node = make();
    uint8_t out[1024], get[12] = {1, 0, 0, 0, 2}, start[8] = {1, 0, 0, 0, 1},
                       odd[8] = {1, 0, 0, 0, 4};
    CHECK_EQ(ask(node, 0, 0x83, get, 12, NULL, 0), 0x64007);
    CHECK_EQ(ask(node, 0, 0x83, odd, 8, NULL, 0), 0x64006);
    CHECK_EQ(ask(node, 0, 0x83, start, 8, out, 8), 0);
    uint32_t total = word_at(out, 0);
    memcpy(get + 8, &total, 4);
    CHECK_EQ(ask(node, 0, 0x83, get, 12, NULL, 0), 0x64006); /* behind the end */
    uint8_t other[12] = {5, 0, 0, 0, 2};
    CHECK_EQ(ask(node, 0, 0x83, other, 12, NULL, 0), 0x64007);
    /* what is read does not change in between */
    CHECK_EQ(bind(node, 0, 16, 0, 0x01), 0);
    memset(get + 8, 0, 4);
    CHECK_EQ(ask(node, 0, 0x83, get, 12, out, 1024), 0);
    CHECK_EQ(out[12 + 80 + 12 + 8 + 1], 0);
    CHECK_EQ(ask(node, 0, 0x83, start, 8, out, 8), 0);
    CHECK_EQ(ask(node, 0, 0x83, get, 12, out, 1024), 0);
    CHECK_EQ(out[12 + 80 + 12 + 8 + 1], 1);
    CHECK_EQ(u16(out + 12 + 80 + 12 + 8 + 2), 1);
    fab_node_close(node);
}

int main(void) {
    test_fabric_and_pax_sections();
    test_all_of_a_pax_adds_up();
    test_what_is_behind_a_broken_link_is_unreachable();
    test_a_dead_module_is_not_attached();
    test_vfs_that_are_off_are_not_listed();
    test_one_host_and_its_detail();
    test_reading_in_pieces_is_refused_out_of_order();
    return CHECK_RESULT;
}
