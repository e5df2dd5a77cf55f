/* Faults: at their time, refused when impossible, and errors logged as the specification says. */
#define _GNU_SOURCE
#include <errno.h>

#include "emulator_client.h"

enum { EV_P2P = 0, EV_VEP = 1, EV_UEC = 4, EV_IER = 6, EV_CREDIT = 11, EV_LINK = 12 };

static uint32_t cfg(fab_node *node, size_t sw, unsigned port, unsigned at) {
    return reg(node, sw, window(node, sw, port) + at);
}

static uint32_t event(fab_node *node, size_t sw, unsigned port, unsigned k) {
    return reg(node, sw, window(node, sw, port) + 0xC10 + 0x18 * k);
}

static void scheduled_faults_hit_in_the_middle_of_a_step(void) {
    fab_node *node = make();
    CHECK_EQ(bind(node, 0, 16, 0, PDFID(0, 1)), 0);
    offer(node, 0, 1, 1e9, 0);
    CHECK_EQ(fab_node_set_step(node, 10.0), 0);
    /* asked for in another order than they come */
    CHECK_EQ(fab_node_fault_at(node, 2000000000, 0, FAB_FAULT_LINK_DOWN, 16, 0), 0);
    CHECK_EQ(fab_node_fault_at(node, 1000000007, 0, FAB_FAULT_LINK_UP, 0, 0), 0);
    CHECK_EQ(fab_node_fault_at(node, 1000000003, 0, FAB_FAULT_LINK_DOWN, 0, 0), 0);
    CHECK_EQ(fab_node_advance(node, 5.0), 0);
    CHECK_EQ(fab_node_moved_ns(node), 5000000000);
    /* one second, then 4 ns and 37 ms without a link, whose backlog follows; until 2 s */
    CHECK_NEAR((double)cell_of(node, 0, 1)->out.up_bytes, 2e9, 4);
    CHECK_EQ(event(node, 0, 0, EV_LINK) >> 5, 2);
    CHECK_EQ(event(node, 0, 16, EV_LINK) >> 5, 1);
    /* what is past happens at once */
    CHECK_EQ(fab_node_fault_at(node, 1, 0, FAB_FAULT_LINK_DOWN, 24, 0), 0);
    CHECK_EQ(event(node, 0, 24, EV_LINK) >> 5, 1);
    fab_node_close(node);
}

static void impossible_faults_are_refused_now_and_for_later(void) {
    fab_node *node = make();
    static const struct {
        int fault;
        uint8_t sw, port;
        uint32_t count;
        int rc;
    } bad[] = {
        {0, 0, 0, 0, -EINVAL},
        {24, 0, 0, 0, -EINVAL},
        {FAB_FAULT_LINK_DOWN, 4, 0, 0, -ENOENT},
        {FAB_FAULT_LINK_DOWN, 0, 1, 0, -ENOENT},
        {FAB_FAULT_REMOVED, 0, 16, 0, -ENOENT},
        {FAB_FAULT_HEAT, 0, 32, 100, -ENOENT},
        {FAB_FAULT_CORRECTABLE, 0, 0, 1, -EINVAL},
        {FAB_FAULT_NONFATAL, 0, 0, 3, -EINVAL},
        {FAB_FAULT_FATAL, 0, 0, 32, -EINVAL},
        {FAB_FAULT_ALL_ONES, 0, 0, 0, -EINVAL},
        {FAB_FAULT_GONE, 9, 0, 0, -ENOENT},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        CHECK_EQ(fab_node_fault(node, bad[k].sw, bad[k].fault, bad[k].port, bad[k].count),
                 bad[k].rc);
        CHECK_EQ(fab_node_fault_at(node, 5, bad[k].sw, bad[k].fault, bad[k].port, bad[k].count),
                 bad[k].rc);
    }
    for (unsigned k = 0; k < 1024; k++)
        CHECK_EQ(fab_node_fault_at(node, 1000 + k, 0, FAB_FAULT_CORRECTABLE, 0, 0), 0);
    CHECK_EQ(fab_node_fault_at(node, 9, 0, FAB_FAULT_CORRECTABLE, 0, 0), -ENOSPC);
    CHECK_EQ(fab_node_advance(node, 1e-5), 0);
    CHECK_EQ(event(node, 0, 0, EV_P2P) >> 5, 1024 % 256);
    CHECK_EQ(fab_node_fault_at(node, 9, 0, FAB_FAULT_CORRECTABLE, 0, 0), 0); /* room again */
    fab_node_close(node);
}

static void a_window_of_ones_hides_and_keeps_what_is_true(void) {
    fab_node *node = make();
    uint8_t s[4096];
    uint64_t base = window(node, 0, 0);
    set(node, 0, base + 0x18, 0x00030201);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_ALL_ONES, 0, 500), 0);
    CHECK_EQ(fab_node_advance(node, 0.0004), 0);
    for (unsigned at = 0; at < 0x1000; at += 4) CHECK_EQ(reg(node, 0, base + at), UINT32_MAX);
    CHECK_EQ(reg(node, 0, base + 0x1000), 0x520011F8); /* the next port's */
    CHECK_EQ(fab_node_config_space(node, 0, 0, -1, s), 0);
    CHECK_EQ(word_at(s, 0x18), UINT32_MAX);
    set(node, 0, base + 0x18, 0x00999999); /* lost */
    set(node, 0, base + 0x60, 1 << 4);     /* Link Disable: lost as well */
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_LINK_DOWN, 0, 0), 0); /* goes on underneath */
    CHECK_EQ(reg(node, 0, 0x1810), 0); /* nobody can see an event there */
    CHECK_EQ(fab_node_advance(node, 0.00009999), 0);
    CHECK_EQ(reg(node, 0, base), UINT32_MAX);
    CHECK_EQ(fab_node_advance(node, 0.00001001), 0);
    CHECK_EQ(reg(node, 0, base), 0x520011F8);
    CHECK_EQ(reg(node, 0, base + 0x18), 0x00030201);
    CHECK_EQ(reg(node, 0, base + 0x60) & 0x20000010, 0); /* neither disabled nor active */
    CHECK_EQ(event(node, 0, 0, EV_LINK), 0x21);
    CHECK_EQ(reg(node, 0, 0x1810), 1);
    fab_node_close(node);
}

/* ---- errors ---- */

static void a_port_s_own_errors_stand_in_its_log(void) {
    fab_node *node = make();
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_CORRECTABLE, 32, 6), 0); /* bad TLP */
    CHECK_EQ(cfg(node, 0, 32, 0x110), 1u << 6);
    CHECK_EQ(cfg(node, 0, 32, 0x58) >> 16, 1); /* device status */
    CHECK_EQ(event(node, 0, 32, EV_P2P), 0x21);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_FATAL, 32, 0), 0); /* typical: malformed */
    CHECK_EQ(cfg(node, 0, 32, 0x104), 1u << 18);
    CHECK_EQ(cfg(node, 0, 32, 0x118) & 31, 18);
    CHECK_EQ(cfg(node, 0, 32, 0x11C) >> 24, 0x60);
    CHECK_EQ(cfg(node, 0, 32, 0x58) >> 16, 5);
    /* the first error's pointer and header stay until it is cleared */
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_NONFATAL, 32, 19), 0);
    CHECK_EQ(cfg(node, 0, 32, 0x104), 3u << 18);
    CHECK_EQ(cfg(node, 0, 32, 0x118) & 31, 18);
    CHECK_EQ(cfg(node, 0, 32, 0x110), 1u << 6 | 1u << 15); /* header log overflow */
    set(node, 0, window(node, 0, 32) + 0x104, 1u << 18);
    CHECK_EQ(cfg(node, 0, 32, 0x104), 1u << 19);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_FATAL, 32, 17), 0);
    CHECK_EQ(cfg(node, 0, 32, 0x118) & 31, 17);
    CHECK_EQ(cfg(node, 0, 32, 0x11C), 0); /* an overflow has no header */
    fab_node_close(node);
}

static void masked_errors_set_their_status_and_nothing_else(void) {
    fab_node *node = make();
    set(node, 0, window(node, 0, 32) + 0x108, 1u << 18);
    set(node, 0, window(node, 0, 32) + 0x164, 1u << 16); /* DPC on fatal errors */
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_FATAL, 32, 18), 0);
    CHECK_EQ(cfg(node, 0, 32, 0x104), 1u << 18);
    CHECK_EQ(cfg(node, 0, 32, 0x118) & 31, 0);
    CHECK_EQ(cfg(node, 0, 32, 0x11C), 0);
    CHECK_EQ(cfg(node, 0, 32, 0x168), 0); /* not contained */
    /* the severity register decides what an error is */
    set(node, 0, window(node, 0, 32) + 0x10C, 1u << 19);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_NONFATAL, 32, 19), 0);
    CHECK_EQ(cfg(node, 0, 32, 0x58) >> 16 & 4, 4);
    CHECK_EQ(cfg(node, 0, 32, 0x168) & 1, 1);
    fab_node_close(node);
}

static void other_errors_raise_the_events_of_their_kind(void) {
    fab_node *node = make();
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_FATAL, 16, 13), 0); /* flow control, at a host */
    CHECK_EQ(event(node, 0, 16, EV_CREDIT), 0x21);
    CHECK_EQ(event(node, 0, 16, EV_UEC), 0x21);
    CHECK_EQ(event(node, 0, 16, EV_P2P), 0x21);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_CORRECTABLE, 16, 14), 0);
    CHECK_EQ(event(node, 0, 16, EV_IER), 0x21);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_CORRECTABLE, 48, 0), 0);
    CHECK_EQ(event(node, 0, 48, EV_VEP), 0x21);
    CHECK_EQ(event(node, 0, 48, EV_P2P), 0);
    fab_node_close(node);
}

static void a_module_s_errors_stand_in_its_own_log(void) {
    fab_node *node = make();
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_NONFATAL, 0, 12), 0); /* poisoned */
    CHECK_EQ(cfg(node, 0, 0, 0x104), 0);
    CHECK_EQ(function_read(node, PDFID(0, 0), 0x104, 4), 1u << 12);
    CHECK_EQ(function_read(node, PDFID(0, 0), 0x06, 2) >> 15, 1); /* detected parity error */
    CHECK_EQ(function_read(node, PDFID(0, 0), 0x5A, 2), 2);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_CORRECTABLE, 0, 7), 0); /* the port's receiver */
    CHECK_EQ(cfg(node, 0, 0, 0x110), 1u << 7);
    CHECK_EQ(function_read(node, PDFID(0, 0), 0x110, 4), 0);
    fab_node_close(node);
}

/* An event counter of a port's stack: what it counts, and its value. */
static void count(fab_node *node, size_t sw, unsigned port, unsigned type) {
    uint8_t in[571] = {0, (uint8_t)(port / 8), 0, 1};
    uint32_t mask = 1u << port % 8 | 1u << (8 + type);
    memcpy(in + 4, &mask, 4);
    CHECK_EQ(command(node, sw, LOCAL(0x07), in, sizeof in, NULL, 0), 0);
}

static uint32_t counted(fab_node *node, size_t sw, unsigned port) {
    uint8_t in[5] = {2, (uint8_t)(port / 8), 0, 1, 1};
    uint32_t out[2] = {0};
    CHECK_EQ(command(node, sw, LOCAL(0x07), in, sizeof in, out, 8), 0);
    return out[0];
}

static void errors_are_counted_by_their_type(void) {
    fab_node *node = make();
    static const struct {
        int fault;
        uint32_t bit;
        unsigned type;
    } errors[] = {{FAB_FAULT_NONFATAL, 20, 0},    {FAB_FAULT_NONFATAL, 19, 1},
                  {FAB_FAULT_FATAL, 18, 2},       {FAB_FAULT_FATAL, 17, 3},
                  {FAB_FAULT_NONFATAL, 15, 4},    {FAB_FAULT_NONFATAL, 12, 5},
                  {FAB_FAULT_FATAL, 4, 7},        {FAB_FAULT_CORRECTABLE, 15, 8},
                  {FAB_FAULT_FATAL, 22, 9},       {FAB_FAULT_CORRECTABLE, 12, 10},
                  {FAB_FAULT_CORRECTABLE, 8, 11}, {FAB_FAULT_CORRECTABLE, 7, 12},
                  {FAB_FAULT_CORRECTABLE, 6, 13}, {FAB_FAULT_CORRECTABLE, 0, 14}};
    count(node, 1, 40, 18); /* what switch 0's port 32 received damaged, it refuses: a NAK */
    for (size_t k = 0; k < sizeof errors / sizeof *errors; k++) {
        count(node, 0, 32, errors[k].type);
        CHECK_EQ(counted(node, 0, 32), 0);
        CHECK_EQ(fab_node_fault(node, 0, errors[k].fault, 32, errors[k].bit), 0);
        CHECK_EQ(counted(node, 0, 32), 1);
    }
    CHECK_EQ(counted(node, 1, 40), 1);
    count(node, 0, 32, 6);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_LINK_DOWN, 32, 0), 0);
    CHECK_EQ(counted(node, 0, 32), 1); /* Surprise Down */
    /* messages of a module that may send them */
    function_write(node, PDFID(0, 0), 0x58, 2, 0x2927);
    static const int kinds[] = {FAB_FAULT_FATAL, FAB_FAULT_NONFATAL, FAB_FAULT_CORRECTABLE};
    static const uint32_t bits[] = {16, 14, 13};
    function_write(node, PDFID(0, 0), 0x10C, 4, 1u << 16); /* severity: fatal */
    function_write(node, PDFID(0, 0), 0x114, 4, 0);        /* nothing masked */
    for (unsigned k = 0; k < 3; k++) {
        count(node, 0, 0, 15 + k);
        CHECK_EQ(fab_node_fault(node, 0, kinds[k], 0, bits[k]), 0);
        CHECK_EQ(counted(node, 0, 0), 1);
    }
    fab_node_close(node);
}

int main(void) {
    errors_are_counted_by_their_type();
    scheduled_faults_hit_in_the_middle_of_a_step();
    impossible_faults_are_refused_now_and_for_later();
    a_window_of_ones_hides_and_keeps_what_is_true();
    a_port_s_own_errors_stand_in_its_log();
    masked_errors_set_their_status_and_nothing_else();
    other_errors_raise_the_events_of_their_kind();
    a_module_s_errors_stand_in_its_own_log();
    return CHECK_RESULT;
}
