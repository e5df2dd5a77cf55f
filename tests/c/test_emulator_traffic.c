/* The emulated node's traffic: tables and shapers in force, counters, cells, faults, virtual time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>

#include "emulator_client.h"

static void test_table_divides_two_modules_one_to_three(void) {
    fab_node *node = make();
    uint8_t entries[256];
    for (unsigned k = 0; k < 256; k++) entries[k] = k % 4 ? 8 : 0; /* module 0 : 1 = 1 : 3 */
    CHECK_EQ(bind(node, 0, 16, 0, PDFID(0, 1)), 0);
    CHECK_EQ(bind(node, 0, 16, 1, PDFID(1, 1)), 0);
    load_table(node, 0, 16, entries, VC_ARB_WRR256);
    offer(node, 0, 1, 1e11, 0);
    offer(node, 1, 1, 1e11, 0);
    CHECK_EQ(fab_node_advance(node, 0.1), 0);
    double a = (double)cell_of(node, 0, 1)->out.up_bytes;
    double b = (double)cell_of(node, 1, 1)->out.up_bytes;
    CHECK_NEAR(a / (a + b), 0.25, 0.01);
    CHECK_NEAR((a + b) / (DEFAULT_RATE * 0.1), 1.0, 0.001);
    fab_node_close(node);
}

static void test_down_traffic_meets_the_tables_of_the_reverse_path(void) {
    fab_node *node = make();
    uint8_t entries[256];
    for (unsigned k = 0; k < 256; k++) entries[k] = k % 4 ? 24 : 16; /* host 0 : 1 = 1 : 3 */
    CHECK_EQ(bind(node, 0, 16, 0, PDFID(2, 1)), 0);
    CHECK_EQ(bind(node, 0, 24, 0, PDFID(3, 1)), 0);
    load_table(node, 0, 32, entries, VC_ARB_WRR256); /* the fabric link toward switch 1 */
    offer(node, 2, 1, 0, 1e11);
    offer(node, 3, 1, 0, 1e11);
    CHECK_EQ(fab_node_advance(node, 0.1), 0);
    double a = (double)cell_of(node, 2, 1)->out.down_bytes;
    double b = (double)cell_of(node, 3, 1)->out.down_bytes;
    CHECK_NEAR(a / (a + b), 0.25, 0.01);
    CHECK_NEAR((a + b) / (DEFAULT_READ_RATE * 0.1), 1.0, 0.001);
    fab_node_close(node);
}

/* Egress and ingress posted and completion bytes of a port. */
static void counters(fab_node *node, size_t sw, uint8_t port, uint64_t out[7]) {
    uint8_t in[4] = {1, 1, port, 0};
    CHECK_EQ(command(node, sw, LOCAL(MRPC_PORT_COUNTERS), in, 4, out, 56), 0);
}

static void test_counters_agree_with_cells_to_the_byte(void) {
    fab_node *node = make();
    uint64_t c[7], up = 0, down = 0;
    for (unsigned m = 0; m < 8; m++) {
        CHECK_EQ(bind(node, 0, 16, m, PDFID(m, 1)), 0);
        offer(node, m, 1, 1.234567e9 * (m + 1), 7.7e9 + 3 * m);
    }
    CHECK_EQ(fab_node_advance(node, 0.0533), 0);
    for (unsigned m = 0; m < 8; m++) {
        struct fab_function_cell *cell = cell_of(node, m, 1);
        counters(node, m / 2, (uint8_t)(8 * (m % 2)), c);
        CHECK_EQ(c[4], cell->out.up_bytes);   /* ingress posted of the module port */
        CHECK_EQ(c[2], cell->out.down_bytes); /* egress completions */
        CHECK_EQ(c[1] + c[3] + c[5] + c[6], 0);
        up += cell->out.up_bytes;
        down += cell->out.down_bytes;
    }
    counters(node, 0, 16, c);
    CHECK_EQ(c[0], 53300);
    CHECK_EQ(c[1], up);
    CHECK_EQ(c[5], down);
    CHECK(up > 0 && down > 0);
    uint64_t there[7], here[7]; /* a fabric link's two ends see the same bytes */
    counters(node, 0, 40, here);
    counters(node, 3, 32, there);
    CHECK_EQ(here[4], there[1]);
    CHECK_EQ(here[2], there[5]);
    CHECK(here[4] > 0 && here[2] > 0);
    fab_node_close(node);
}

static void test_function_groups_and_shapers_take_effect(void) {
    fab_node *node = make();
    uint8_t s[4096];
    fab_node_config_space(node, 0, 0, 0, s);
    uint32_t mfvc = find_ext(s, EXT_CAP_MFVC), ari = find_ext(s, EXT_CAP_ARI);
    uint32_t table = mfvc + 16u * s[mfvc + VC0_CAP + 3];
    for (unsigned f = 1; f <= 2; f++) { /* groups 2 and 3 share 1 : 3 */
        CHECK_EQ(bind(node, 0, 16, f, PDFID(0, f)), 0);
        function_write(node, PDFID(0, f), ari + ARI_CONTROL, 2, (f + 1) << ARI_CTL_GROUP_SHIFT);
        offer(node, 0, f, 1e11, 1e11);
    }
    function_write(node, PDFID(0, 0), ari + ARI_CONTROL, 2, ARI_CTL_MFVC_GROUPS);
    for (unsigned k = 0; k < 64; k += 4)
        function_write(node, PDFID(0, 0), table + k, 4, 0x33323332);
    uint32_t control = function_read(node, PDFID(0, 0), mfvc + VC0_CONTROL, 4);
    function_write(node, PDFID(0, 0), mfvc + VC0_CONTROL, 4, control | VC_LOAD_PORT_TABLE);
    function_write(node, PDFID(0, 0), mfvc + VC0_CONTROL, 4,
                   control | VC_ARB_WRR128 << VC_SELECT_SHIFT);
    fab_node_config_space(node, 1, 8, 0, s); /* module 3: a shaper */
    uint32_t vsec = find_ext(s, EXT_CAP_VSEC);
    CHECK_EQ(word_at(s, vsec + SHAPER_UNIT), 1000000);
    CHECK_EQ(bind(node, 1, 24, 0, PDFID(3, 7)), 0);
    offer(node, 3, 7, 1e11, 1e11);
    function_write(node, PDFID(3, 0), vsec + SHAPER_TABLE + 7 * SHAPER_STRIDE + 8, 4, 2500);
    CHECK_EQ(fab_node_advance(node, 0.1), 0);
    double one = (double)cell_of(node, 0, 1)->out.up_bytes;
    double two = (double)cell_of(node, 0, 2)->out.up_bytes;
    CHECK_NEAR(one / (one + two), 0.25, 0.01);
    CHECK_NEAR((double)cell_of(node, 3, 7)->out.up_bytes, 2.5e8, 2.5e6);
    CHECK_NEAR((double)cell_of(node, 3, 7)->out.down_bytes, DEFAULT_READ_RATE * 0.1, 1e7);
    uint8_t reset[4] = {3, 0, 0, 0}; /* a hot reset forgets groups and table, not the binding */
    CHECK_EQ(command(node, 0, LOCAL(MRPC_PORT_CONTROL), reset, 4, NULL, 0), 0);
    CHECK_EQ(fab_node_advance(node, TRAINING_S), 0);
    CHECK_EQ(function_read(node, PDFID(0, 1), ari + ARI_CONTROL, 2), 0);
    CHECK_EQ(fab_load_acquire(&cell_of(node, 0, 1)->out.bound), 1);
    fab_node_close(node);
}

static void test_cells_refuse_nonsense_and_ceilings_start_open(void) {
    fab_node *node = make();
    CHECK(isinf(cell_of(node, 0, 1)->in.ceiling_up));
    CHECK_EQ(bind(node, 0, 16, 0, PDFID(0, 1)), 0);
    cell_of(node, 0, 1)->in.offered_up = NAN;
    cell_of(node, 0, 1)->in.offered_down = -1e9;
    CHECK_EQ(fab_node_advance(node, 0.01), 0);
    CHECK_EQ(cell_of(node, 0, 1)->out.up_bytes + cell_of(node, 0, 1)->out.down_bytes, 0);
    offer(node, 0, 1, 1e9, 1e9);
    CHECK_EQ(fab_function_ceiling(fab_node_bar(node, 0), 0, 1, 1e8, INFINITY), 0);
    CHECK_EQ(fab_node_advance(node, 0.1), 0);
    CHECK_NEAR((double)cell_of(node, 0, 1)->out.up_bytes, 1e7, 2);
    CHECK_NEAR((double)cell_of(node, 0, 1)->out.down_bytes, 1e8, 2);
    CHECK_NEAR((double)cell_of(node, 0, 1)->out.up_backlog, 9e7, 2);
    fab_node_set_drop(node, 1);
    CHECK_EQ(fab_node_advance(node, 0.01), 0);
    CHECK_EQ(cell_of(node, 0, 1)->out.up_backlog, 0);
    CHECK(cell_of(node, 0, 1)->out.up_dropped >= 90000000);
    CHECK_EQ(unbind(node, 0, 16, 0), 0);
    uint64_t before = cell_of(node, 0, 1)->out.up_bytes;
    CHECK_EQ(fab_node_advance(node, 0.01), 0);
    CHECK_EQ(cell_of(node, 0, 1)->out.up_bytes, before);
    /* bound again elsewhere while time goes on: another path, from an empty queue */
    CHECK_EQ(bind(node, 2, 24, 0, PDFID(0, 1)), 0);
    CHECK_EQ(fab_node_advance(node, 0.01), 0);
    CHECK_NEAR((double)(cell_of(node, 0, 1)->out.up_bytes - before), 1e6, 2);
    fab_node_close(node);
}

/* ---- faults ---- */

static void test_link_down_is_seen_at_both_ends_and_stops_traffic(void) {
    fab_node *node = make();
    uint64_t here = window(node, 0, 32) + PFF_EVENT_HEADERS + 12 * PFF_EVENT_STRIDE;
    uint64_t there = window(node, 1, 40) + PFF_EVENT_HEADERS + 12 * PFF_EVENT_STRIDE;
    CHECK_EQ(bind(node, 1, 16, 0, PDFID(0, 1)), 0);
    offer(node, 0, 1, 1e9, 0);
    CHECK_EQ(fab_node_advance(node, 0.01), 0);
    uint64_t moved = cell_of(node, 0, 1)->out.up_bytes;
    CHECK_NEAR((double)moved, 1e7, 2);
    CHECK_EQ(reg(node, 0, here) & EVENT_OCCURRED, 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_LINK_DOWN, 32, 0), 0);
    CHECK_EQ(reg(node, 0, here), 1 << 5 | EVENT_OCCURRED);
    CHECK_EQ(reg(node, 1, there), 1 << 5 | EVENT_OCCURRED);
    CHECK_EQ(reg(node, 0, window(node, 0, 32) + PFF_EVENT_SUMMARY), 1 << 12);
    uint8_t status[720];
    uint64_t which = UINT64_C(1) << 40;
    CHECK_EQ(command(node, 1, LOCAL(MRPC_LINK_STATUS), &which, 8, status, 720), 0);
    CHECK_EQ(status[7] & 0x80, 0);
    CHECK_EQ(status[8] | status[9] << 8, LTSSM_DETECT);
    CHECK_EQ(fab_node_advance(node, 0.01), 0);
    CHECK_EQ(cell_of(node, 0, 1)->out.up_bytes, moved);
    set(node, 0, here, 0x61); /* as the vendor's tool clears: count and enables ignored or taken */
    CHECK_EQ(reg(node, 0, here), 0);
    CHECK_EQ(reg(node, 0, window(node, 0, 32) + PFF_EVENT_SUMMARY), 0);
    set(node, 1, there, EVENT_EN_IRQ); /* without bit 0 nothing is cleared */
    CHECK_EQ(reg(node, 1, there), 1 << 5 | EVENT_OCCURRED | EVENT_EN_IRQ);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_LINK_UP, 32, 0), 0);
    CHECK_EQ(reg(node, 0, here), 0); /* it has to train first */
    CHECK_EQ(fab_node_advance(node, TRAINING_S), 0);
    CHECK_EQ(reg(node, 0, here), 1 << 5 | EVENT_OCCURRED);
    CHECK_EQ(fab_node_advance(node, 0.01), 0);
    /* nothing was lost */
    CHECK_NEAR((double)cell_of(node, 0, 1)->out.up_bytes, 3e7 + 1e9 * TRAINING_S, 4);
    fab_node_close(node);
}

static void test_port_control_and_link_disable_are_one_switch(void) {
    fab_node *node = make();
    uint8_t off[4] = {0, 8, 0, 0}, on[4] = {1, 8, 0, 0}, management[4] = {0, 48, 0, 0}, s[4096];
    uint64_t base = window(node, 0, 8);
    fab_node_config_space(node, 0, 8, -1, s);
    uint32_t link = find_cap(s, CAP_PCIE) + 0x10;
    CHECK_EQ(command(node, 0, LOCAL(MRPC_PORT_CONTROL), off, 4, NULL, 0), 0);
    CHECK_EQ(reg(node, 0, base + link) >> 29 & 1, 0);
    CHECK_EQ(reg(node, 0, base + link) & 0x10, 0x10);
    uint8_t read[8] = {0, 0, (uint8_t)PDFID(1, 0), 0, 0, 0, 4, 0};
    CHECK_EQ(command(node, 0, LOCAL(MRPC_FUNCTION_ACCESS), read, 8, s, 4), MRPC_ERR_STATE);
    CHECK_EQ(fab_node_config_space(node, 0, 8, 0, s), 0);
    CHECK_EQ(word_at(s, 0), UINT32_MAX); /* nobody answers */
    set(node, 0, base + link, 0);
    CHECK_EQ(fab_node_advance(node, TRAINING_S), 0);
    CHECK_EQ(reg(node, 0, base + link) >> 29 & 1, 1);
    CHECK_EQ(command(node, 0, LOCAL(MRPC_PORT_CONTROL), on, 4, NULL, 0), 0);
    CHECK_EQ(command(node, 0, LOCAL(MRPC_PORT_CONTROL), management, 4, NULL, 0), MRPC_ERR_DENIED);
    fab_node_close(node);
}

static void test_a_switch_that_vanishes_answers_nobody(void) {
    fab_node *node = make();
    uint64_t there = window(node, 2, 40) + PFF_EVENT_HEADERS + 12 * PFF_EVENT_STRIDE;
    CHECK_EQ(bind(node, 1, 16, 0, PDFID(2, 1)), 0);
    offer(node, 2, 1, 1e9, 0);
    CHECK_EQ(fab_node_fault(node, 1, FAB_FAULT_GONE, 0, 0), 0);
    CHECK_EQ(fab_bar_get32(fab_node_bar(node, 1), GAS_DEVICE_ID), -ENODEV);
    CHECK_EQ(reg(node, 2, there) & EVENT_OCCURRED, EVENT_OCCURRED); /* the neighbour notices */
    CHECK_EQ(fab_node_advance(node, 0.01), 0);
    uint32_t in = 1, out;
    CHECK(command(node, 0, 1u << MRPC_PAX_SHIFT | MRPC_ECHO, &in, 4, &out, 4) > 0);
    CHECK_EQ(fab_node_fault(node, 1, FAB_FAULT_BACK, 0, 0), 0);
    CHECK_EQ(reg(node, 1, GAS_DEVICE_ID), 0x5200);
    CHECK_EQ(cell_of(node, 2, 1)->out.up_bytes, 0);
    CHECK_EQ(fab_node_advance(node, TRAINING_S), 0);
    CHECK_EQ(fab_node_advance(node, 0.01), 0);
    CHECK_NEAR((double)cell_of(node, 2, 1)->out.up_bytes, 2e7 + 1e9 * TRAINING_S, 2);
    fab_node_close(node);
}

/* ---- time ---- */

static void test_virtual_time_is_exact_and_the_run_deterministic(void) {
    uint64_t bytes[2] = {0, 0};
    for (int run = 0; run < 2; run++) {
        fab_node *node = make();
        CHECK_EQ(bind(node, 3, 16, 0, PDFID(0, 1)), 0);
        offer(node, 0, 1, 3.3333333e9, 0);
        for (int k = 0; k < 1000; k++) CHECK_EQ(fab_node_advance(node, 0.0001), 0);
        CHECK_EQ(fab_node_time_ns(node), 100000000);
        CHECK_EQ(fab_node_advance(node, 0.0123456789), 0);
        CHECK_EQ(fab_node_time_ns(node), 112345679);
        bytes[run] = cell_of(node, 0, 1)->out.up_bytes;
        CHECK_EQ(fab_bar_page(fab_node_bar(node, 1))->steps, 1013);
        CHECK_EQ(fab_node_advance(node, -1), -EINVAL);
        CHECK_EQ(fab_node_advance(node, NAN), -EINVAL);
        CHECK_EQ(fab_node_set_step(node, 0), -EINVAL);
        CHECK_EQ(fab_node_set_step(node, 0.01), 0);
        CHECK_EQ(fab_node_advance(node, 0.1), 0);
        CHECK_EQ(fab_bar_page(fab_node_bar(node, 1))->steps, 1023);
        fab_node_close(node);
    }
    CHECK_EQ(bytes[0], bytes[1]);
    CHECK_NEAR((double)bytes[0], 3.3333333e9 * 0.112345679, 2);
}

int main(void) {
    test_table_divides_two_modules_one_to_three();
    test_down_traffic_meets_the_tables_of_the_reverse_path();
    test_counters_agree_with_cells_to_the_byte();
    test_function_groups_and_shapers_take_effect();
    test_cells_refuse_nonsense_and_ceilings_start_open();
    test_link_down_is_seen_at_both_ends_and_stops_traffic();
    test_port_control_and_link_disable_are_one_switch();
    test_a_switch_that_vanishes_answers_nobody();
    test_virtual_time_is_exact_and_the_run_deterministic();
    return CHECK_RESULT;
}
