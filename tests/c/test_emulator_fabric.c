/* Partitions, port configuration and topology of the emulated node, by the client's sizes
 * and values. */
#define _GNU_SOURCE
#include "gfms_client.h"

static void test_four_partitions_stand_in_the_registers(void) {
    fab_node *node = make();
    CHECK_EQ(reg(node, 0, 0x1004) >> 24, 4);
    CHECK_EQ(reg(node, 0, 0x10000) & 0xFF, 4);
    CHECK_EQ(reg(node, 0, 0x4008), 7);
    for (unsigned p = 1; p < 4; p++) {
        uint64_t at = 0x4000 + 0x400 * p;
        CHECK_EQ(reg(node, 0, at), 0);
        CHECK_EQ(reg(node, 0, at + 8), 0);
        for (unsigned k = 0; k < 49; k++) CHECK_EQ(reg(node, 0, at + 0x10 + 4 * k), 0xFFFFFFFF);
    }
    fab_node_close(node);
}

static void test_ports_move_between_partitions(void) {
    fab_node *node = make();
    uint8_t status[720];
    uint64_t all = 0;
    CHECK_EQ(port_bind(node, 0, 2, 0xFF, 0, 0), 0);
    CHECK_EQ(reply[0], 7);
    static const uint8_t first[] = {0, 0, 1, 0x10, 8, 0, 2, 0x10, 16, 0, 0, 0x10, 24, 0, 3, 0x10};
    CHECK_EQ(memcmp(reply + 4, first, 16), 0);
    CHECK_EQ(port_bind(node, 0, 1, 0, 2, 2), 0); /* unbind port 8 */
    CHECK_EQ(word_at(reply, 0), 0);
    CHECK_EQ(reg(node, 0, 0x4018 + 4), 0xFFFFFFFF);
    CHECK_EQ(reg(node, 0, 0x4008), 6);
    CHECK_EQ(reg(node, 0, 0x416C) & 1, 1); /* DYN_PART_BIND_COMP */
    CHECK_EQ(reg(node, 0, 0x4114) >> 3 & 1, 1);
    CHECK_EQ(ask(node, 0, 0x1C, &all, 8, status, 720), 0);
    CHECK_EQ(status[12 + 1], 0xFF);
    CHECK_EQ(port_bind(node, 0, 2, 8, 0, 0), 0);
    static const uint8_t unbound[] = {1, 0, 0, 0, 8, 0xFF, 0xFF, 0};
    CHECK_EQ(memcmp(reply, unbound, 8), 0);
    CHECK_EQ(port_bind(node, 0, 0, 2, 5, 8), 0); /* to partition 2 as its port 5 */
    CHECK_EQ(reg(node, 0, 0x4800), 1);
    CHECK_EQ(reg(node, 0, 0x4818 + 4 * 4), 1); /* its PFF */
    CHECK_EQ(reg(node, 0, 0x496C) & 1, 1);
    CHECK_EQ(reg(node, 0, 0x1810) & 5, 5); /* events in partitions 0 and 2 */
    CHECK_EQ(ask(node, 0, 0x1C, &all, 8, status, 720), 0);
    CHECK_EQ(status[12 + 1], 2);
    CHECK_EQ(status[12 + 2], 5);
    /* a host port leaves and becomes the upstream port there */
    CHECK_EQ(port_bind(node, 0, 1, 0, 3, 2), 0);
    CHECK_EQ(port_bind(node, 0, 0, 2, 0, 24), 0);
    CHECK_EQ(reg(node, 0, 0x4810), 3);
    fab_node_close(node);
}

static void test_port_binding_names_what_is_wrong(void) {
    fab_node *node = make();
    CHECK_EQ(port_bind(node, 0, 0, 0, 9, 8), 1);  /* port 8 is bound */
    CHECK_EQ(port_bind(node, 0, 0, 4, 9, 8), 3);  /* no such partition */
    CHECK_EQ(port_bind(node, 0, 0, 0, 9, 9), 4);  /* no such port */
    CHECK_EQ(port_bind(node, 0, 0, 0, 48, 8), 6); /* no such logical port */
    CHECK_EQ(port_bind(node, 0, 0, 1, 0, 8), 8);  /* a module is no upstream port */
    CHECK_EQ(port_bind(node, 0, 1, 4, 2, 2), 3);
    CHECK_EQ(port_bind(node, 0, 1, 0, 0, 2), 8);   /* the upstream port stays */
    CHECK_EQ(port_bind(node, 0, 1, 0, 100, 2), 6); /* so does the endpoint */
    CHECK_EQ(port_bind(node, 0, 1, 0, 20, 2), 0xB);
    CHECK_EQ(port_bind(node, 0, 1, 0, 2, 3), 0xC);
    CHECK_EQ(port_bind(node, 0, 1, 0, 2, 0), 0xA); /* its link is up */
    CHECK_EQ(port_bind(node, 0, 3, 0, 2, 0), 9);
    CHECK_EQ(port_bind(node, 0, 2, 9, 0, 0), 4);
    CHECK_EQ(reg(node, 0, 0x416C) & 1, 0); /* nothing happened */
    CHECK_EQ(port_bind(node, 0, 1, 0, 2, 2), 0);
    CHECK_EQ(port_bind(node, 0, 0, 0, 1, 8), 2); /* logical port 1 is bound */
    uint8_t off[4] = {0, 8, 0, 0};
    CHECK_EQ(ask(node, 0, 0x8D, off, 4, NULL, 0), 0);
    CHECK_EQ(port_bind(node, 0, 0, 0, 2, 8), 5); /* disabled */
    fab_node_close(node);
}

static void test_a_reset_brings_the_partitions_of_the_start_back(void) {
    fab_node *node = make();
    uint32_t zero = 0;
    uint8_t get[12] = {1, 0, 0, 0, 2}, start[8] = {1, 0, 0, 0, 1}, want[4] = {1, 0, 128, 0};
    CHECK_EQ(port_bind(node, 0, 1, 0, 2, 2), 0);
    CHECK_EQ(port_bind(node, 0, 0, 2, 5, 8), 0);
    CHECK_EQ(bind(node, 0, 16, 0, 1), 0);
    CHECK_EQ(ask(node, 0, 0x83, start, 8, NULL, 0), 0);
    CHECK_EQ(ask(node, 0, 0x1B, &zero, 4, NULL, 0), 0);
    CHECK_EQ(fab_node_advance(node, 0.5), 0);
    CHECK_EQ(port_bind(node, 0, 2, 8, 0, 0), 0);
    static const uint8_t as_before[] = {1, 0, 0, 0, 8, 0, 2, 0x10};
    CHECK_EQ(memcmp(reply, as_before, 8), 0);
    CHECK_EQ(reg(node, 0, 0x4818 + 4 * 4), 0xFFFFFFFF);
    CHECK_EQ(ask(node, 0, 0x83, get, 12, NULL, 0), 0x64007);
    CHECK_EQ(ask(node, 0, 0x89, want, 4, reply, 1024), 0);
    for (unsigned k = 0, at = 4; k < u16(reply); k++, at += u16(reply + at))
        CHECK(reply[at + 2] != 6); /* the binding's event is forgotten, the binding is not */
    CHECK_EQ(bind(node, 0, 16, 0, 2), 0x64010);
    fab_node_close(node);
}

static void test_families_know_their_commands(void) {
    fab_node *psx = make_as(0x5100), *pfx = make_as(0x5000);
    uint8_t all[4] = {2, 0xFF, 0, 0};
    CHECK_EQ(command(psx, 0, 0xFFFC000C, all, 4, reply, 196), 0);
    CHECK_EQ(reply[0], 7);
    CHECK_EQ(command(pfx, 0, 0xFFFC000C, all, 4, reply, 196), 0); /* differs from a PSX in name */
    CHECK_EQ(reply[0], 7);
    CHECK_EQ(command(psx, 0, 0xFFFC0083, all, 4, reply, 80), 0x64005);
    CHECK_EQ(command(psx, 0, 0xFFFC0089, all, 4, reply, 80), 0x64005);
    fab_node_close(psx);
    fab_node_close(pfx);
}

/* ---- configuration and control ---- */

static int64_t configure(fab_node *node, unsigned port, unsigned type, unsigned clock,
                         unsigned mode, unsigned hvd) {
    uint8_t in[8] = {
        0, (uint8_t)port, (uint8_t)type, (uint8_t)clock, (uint8_t)mode, (uint8_t)hvd, 0, 0};
    memset(reply, 0xEE, 4);
    return ask(node, 1, 0x88, in, 8, reply, 4);
}

static void test_port_configuration_keeps_the_wiring(void) {
    fab_node *node = make();
    uint8_t show[4] = {1, 24, 0, 0}, start[8] = {3, 3, 0, 0, 1};
    CHECK_EQ(ask(node, 1, 0x88, show, 4, reply, 4), 0);
    static const uint8_t host[] = {3, 0, 0, 3}, set[] = {3, 2, 1, 3};
    CHECK_EQ(memcmp(reply, host, 4), 0);
    CHECK_EQ(configure(node, 24, 3, 2, 1, 3), 0);
    CHECK_EQ(memcmp(reply, set, 4), 0);
    CHECK_EQ(configure(node, 24, 3, 3, 1, 3), 0x64006); /* clocks 0 to 2 */
    CHECK_EQ(configure(node, 24, 3, 1, 4, 3), 0x64006); /* modes 0 to 3 */
    CHECK_EQ(configure(node, 24, 4, 1, 1, 3), 0x64006);
    CHECK_EQ(configure(node, 24, 2, 1, 1, 3), 0x64010);
    CHECK_EQ(configure(node, 24, 3, 1, 1, 0), 0x64010);
    CHECK_EQ(configure(node, 32, 0, 1, 1, 0), 0x64010); /* fabric ports are fixed */
    CHECK_EQ(configure(node, 0, 2, 1, 1, 0xFF), 0);     /* an endpoint port has no host */
    CHECK_EQ(configure(node, 0, 2, 0xFF, 1, 0xFF), 0x64006);
    CHECK_EQ(configure(node, 25, 3, 1, 1, 0), 0x100002);
    CHECK_EQ(ask(node, 1, 0x88, show, 4, reply, 4), 0);
    CHECK_EQ(memcmp(reply, set, 4), 0);
    CHECK_EQ(bind(node, 1, 24, 0, 1), 0);
    CHECK_EQ(configure(node, 24, 0, 0, 0, 0), 0x64007); /* somebody depends on it */
    CHECK_EQ(unbind(node, 1, 24, 0), 0);
    CHECK_EQ(ask(node, 1, 0x83, start, 8, NULL, 0), 0);
    /* as the tool sends it when only port and type were given */
    static const uint8_t unused[] = {0, 2, 1, 3};
    CHECK_EQ(configure(node, 24, 0, 0xFF, 0xFF, 0xFF), 0);
    CHECK_EQ(memcmp(reply, unused, 4), 0);
    CHECK_EQ(link_of(node, 1, 24), 0x1000);
    CHECK_EQ(ask(node, 1, 0x83, start, 8, NULL, 0), 0x64006); /* no such host now */
    CHECK_EQ(bind(node, 1, 24, 0, 1), 0x100002);
    CHECK_EQ(configure(node, 24, 3, 0, 0, 3), 0);
    CHECK_EQ(fab_node_advance(node, TRAINING_S), 0);
    CHECK_EQ(link_of(node, 1, 24), 0x1010);
    fab_node_close(node);
}

static void test_port_control_flags(void) {
    fab_node *node = make();
    uint8_t in[4] = {3, 0, 1, 0};
    CHECK_EQ(ask(node, 0, 0x8D, in, 4, NULL, 0), 0); /* hot reset set ... */
    CHECK_EQ(link_of(node, 0, 0), 0x1000);
    in[2] = 0;
    CHECK_EQ(ask(node, 0, 0x8D, in, 4, NULL, 0), 0); /* ... and cleared */
    CHECK_EQ(link_of(node, 0, 0), 0x1000);           /* it trains first */
    CHECK_EQ(fab_node_advance(node, TRAINING_S), 0);
    CHECK_EQ(link_of(node, 0, 0), 0x1010);
    in[2] = 2;
    CHECK_EQ(ask(node, 0, 0x8D, in, 4, NULL, 0), 0x64006);
    uint8_t unknown[4] = {4, 0, 0, 0}, nowhere[4] = {0, 1, 0, 0}, own[4] = {0, 48, 0, 0};
    CHECK_EQ(ask(node, 0, 0x8D, unknown, 4, NULL, 0), 0x64004);
    CHECK_EQ(ask(node, 0, 0x8D, nowhere, 4, NULL, 0), 0x100002);
    CHECK_EQ(ask(node, 0, 0x8D, own, 4, NULL, 0), 0x64010);
    CHECK_EQ(link_of(node, 0, 0), 0x1010);
    fab_node_close(node);
}

static void test_function_access_takes_up_to_a_dword(void) {
    fab_node *node = make();
    uint8_t in[12] = {0, 0, 0x41, 0, 0, 0, 4, 0};
    CHECK_EQ(ask(node, 0, 0x8E, in, 8, reply, 4), 0);
    CHECK_EQ(word_at(reply, 0), 0xFAB111F8);
    in[4] = 1;
    in[6] = 3;
    CHECK_EQ(ask(node, 0, 0x8E, in, 8, reply, 4), 0);
    CHECK_EQ(word_at(reply, 0), 0x00FAB111);
    in[6] = 4;
    CHECK_EQ(ask(node, 0, 0x8E, in, 8, reply, 4), 0x64006); /* crosses a dword */
    in[6] = 0;
    CHECK_EQ(ask(node, 0, 0x8E, in, 8, reply, 4), 0x64006);
    in[6] = 5;
    CHECK_EQ(ask(node, 0, 0x8E, in, 8, reply, 4), 0x64006);
    in[6] = 1;
    in[5] = 0x10;
    CHECK_EQ(ask(node, 0, 0x8E, in, 8, reply, 4), 0x64006); /* behind the end */
    in[0] = 2;
    in[5] = 0;
    CHECK_EQ(ask(node, 0, 0x8E, in, 8, reply, 4), 0x64004);
    uint8_t write[12] = {1, 0, 0x40, 0, 0x3C, 0, 1, 0, 0x5A, 0xFF, 0xFF, 0xFF};
    CHECK_EQ(ask(node, 0, 0x8E, write, 12, NULL, 0), 0);
    CHECK_EQ(function_read(node, 0x40, 0x3C, 4), 0x5A);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_LINK_DOWN, 8, 0), 0);
    CHECK_EQ(ask(node, 0, 0x8E, write, 12, NULL, 0), 0x64007);
    fab_node_close(node);
}

/* ---- topology ---- */

static void check_topology(fab_node *node, unsigned gen4) {
    uint8_t sub[4] = {1, 0, 0, 0}, status = 9, out[1004];
    unsigned head = 64 - 8 * gen4, ports = head;
    CHECK_EQ(ask(node, 1, 0x82, sub, 1, &status, 1), 0);
    sub[0] = 2;
    CHECK_EQ(ask(node, 1, 0x82, sub, 1, out, 4), 0);
    CHECK_EQ(out[0], 3);
    CHECK_EQ(u16(out + 2), (head + 7 * 32) / 4);
    sub[0] = gen4 ? 5 : 3;
    CHECK_EQ(ask(node, 1, 0x82, sub, 4, out, 4), 0x64004);
    sub[0] = gen4 ? 3 : 5;
    CHECK_EQ(ask(node, 1, 0x82, sub, 4, out, 4 + head + 7 * 32), 0);
    const uint8_t *data = out + 4;
    CHECK_EQ(data[0], 1);
    CHECK_EQ(word_at(data, 4), 8);
    CHECK_EQ(word_at(data, 4 + 4 * 6), 2);
    CHECK_EQ(word_at(data, 36 - 4 * gen4), 0x2020FF28); /* routes to switches 0 to 3 */
    CHECK_EQ(data[36 - 4 * gen4 + 4], 0xFF);
    CHECK_EQ(word_at(data, ports - 8), 0x01010101);
    CHECK_EQ(word_at(data, ports - 4), 0x00010101);
    static const uint8_t first[] = {0, 2, 0, 0, 0xFF, 0xFF, 0, 0};
    CHECK_EQ(memcmp(data + ports, first, 8), 0);
    static const uint8_t link[] = {16, 16, 5, 5, 3, 1, 0, 0};
    CHECK_EQ(memcmp(data + ports + 24, link, 8), 0);
    CHECK_EQ(data[ports + 32 * 6], 48);
    sub[2] = (uint8_t)(head + 7 * 32);
    sub[3] = (uint8_t)((head + 7 * 32) >> 8);
    CHECK_EQ(ask(node, 1, 0x82, sub, 4, out, 4), 0x64006); /* behind the end */
    sub[0] = 4;
    CHECK_EQ(ask(node, 1, 0x82, sub, 1, &status, 1), 0);
    sub[0] = 2;
    CHECK_EQ(ask(node, 1, 0x82, sub, 1, out, 4), 0);
    CHECK_EQ(out[0], 1);
    fab_node_close(node);
}

static void test_topology_of_both_generations(void) {
    check_topology(make(), 0);
    check_topology(make_as(0x4200), 1);
}

int main(void) {
    test_four_partitions_stand_in_the_registers();
    test_ports_move_between_partitions();
    test_port_binding_names_what_is_wrong();
    test_a_reset_brings_the_partitions_of_the_start_back();
    test_families_know_their_commands();
    test_port_configuration_keeps_the_wiring();
    test_port_control_flags();
    test_function_access_takes_up_to_a_dword();
    test_topology_of_both_generations();
    return CHECK_RESULT;
}
