/* The emulated node's virtual channels, its two kinds of traffic and what narrows a link, as a
 * stranger sees them by registers, firmware commands and cells. */
#include <errno.h>
#include <math.h>

#define function_write node_function_write /* the client below has one of its own */
#include "node.h"
#undef function_write

#include "emulator_client.h"

enum { CHANNEL_1 = VC0_CONTROL + 12, CHANNEL_1_STATUS = VC0_STATUS + 12 };

static uint64_t capability(fab_node *node, size_t sw, unsigned port) {
    uint8_t space[4096];
    CHECK_EQ(fab_node_config_space(node, sw, (uint8_t)port, -1, space), 0);
    return window(node, sw, port) + find_ext(space, EXT_CAP_VC);
}

static void classify(fab_node *node, unsigned module, unsigned function, uint32_t class) {
    fab_store_relaxed(&cell_of(node, module, function)->in.traffic_class, class);
}

static double up_of(fab_node *node, unsigned module, unsigned function) {
    return (double)cell_of(node, module, function)->out.up_bytes;
}

/* Channel 1 of a port carries the classes of `map`. */
static void open_channel(fab_node *node, size_t sw, unsigned port, uint32_t map) {
    uint64_t vc = capability(node, sw, port);
    set(node, sw, vc + VC0_CONTROL, (reg(node, sw, vc + VC0_CONTROL) & ~0xFFu) | (0xFF & ~map));
    set(node, sw, vc + CHANNEL_1, 0x80000000 | 1u << VC_ID_SHIFT | map);
}

/* The VC arbitration table by the specification's handshake: channel 1 in three phases of four. */
static void load_channels(fab_node *node, size_t sw, unsigned port) {
    uint64_t vc = capability(node, sw, port);
    uint64_t table = vc + 16 * (reg(node, sw, vc + VC_CAP2) >> 24);
    CHECK_EQ(reg(node, sw, vc + VC_CAP2) & 0xFF, 7); /* fixed, WRR of 32 and 64 phases */
    for (unsigned k = 0; k < 16; k += 4) set(node, sw, table + k, 0x11101110);
    CHECK_EQ(reg(node, sw, vc + VC_CONTROL) >> 16 & 1, 1); /* written, not loaded */
    set(node, sw, vc + VC_CONTROL, VC_LOAD_ARBITRATION_TABLE);
    CHECK_EQ(reg(node, sw, vc + VC_CONTROL), 0); /* load reads 0, the status has cleared */
    set(node, sw, vc + VC_CONTROL, VC_ARB_WRR128 << VC_ARBITRATION_SHIFT);
    CHECK_EQ(reg(node, sw, vc + VC_CONTROL), 0); /* there is no such scheme */
    set(node, sw, vc + VC_CONTROL, VC_ARB_WRR32 << VC_ARBITRATION_SHIFT);
    CHECK_EQ(reg(node, sw, vc + VC_CONTROL), VC_ARB_WRR32 << VC_ARBITRATION_SHIFT);
}

static void test_channels_divide_the_egress_by_their_table_in_both_modes(void) {
    for (int mode = FAB_TRAFFIC_FLUID; mode <= FAB_TRAFFIC_TLP; mode++) {
        fab_node *node = make();
        double moved[2], step = mode ? 0.0004 : 0.1;
        for (unsigned m = 0; m < 2; m++) {
            CHECK_EQ(bind(node, 0, 16, m, PDFID(m, 1)), 0);
            offer(node, m, 1, 1e11, 0);
        }
        CHECK_EQ(fab_node_set_mode(node, mode), 0);
        load_channels(node, 0, 16);
        classify(node, 1, 1, 3);
        CHECK_EQ(fab_node_advance(node, step), 0); /* class 3 still shares channel 0 */
        CHECK_NEAR(up_of(node, 1, 1) / up_of(node, 0, 1), 1, 0.02);
        open_channel(node, 0, 16, 1 << 3);
        CHECK_EQ(fab_node_advance(node, step / 4), 0); /* what is under way */
        for (unsigned m = 0; m < 2; m++) moved[m] = up_of(node, m, 1);
        CHECK_EQ(fab_node_advance(node, step), 0);
        for (unsigned m = 0; m < 2; m++) moved[m] = up_of(node, m, 1) - moved[m];
        CHECK_NEAR(moved[1] / (moved[0] + moved[1]), 0.75, 0.0075);
        CHECK_NEAR((moved[0] + moved[1]) / (DEFAULT_RATE * step), 1, 0.01);
        classify(node, 1, 1, 8); /* no such class: 0 */
        CHECK_EQ(fab_node_advance(node, step / 4), 0);
        for (unsigned m = 0; m < 2; m++) moved[m] = up_of(node, m, 1);
        CHECK_EQ(fab_node_advance(node, step), 0);
        for (unsigned m = 0; m < 2; m++) moved[m] = up_of(node, m, 1) - moved[m];
        CHECK_NEAR(moved[1] / (moved[0] + moved[1]), 0.5, 0.01);
        fab_node_close(node);
    }
}

static void test_a_channel_is_pending_until_both_ends_of_a_fabric_link_have_it(void) {
    fab_node *node = make();
    uint64_t here = capability(node, 0, 32), there = capability(node, 1, 40);
    open_channel(node, 0, 32, 1 << 1);
    CHECK_EQ(reg(node, 0, here + CHANNEL_1_STATUS - 2) >> 16, VC_NEGOTIATION_PENDING);
    open_channel(node, 1, 40, 1 << 1);
    CHECK_EQ(reg(node, 0, here + CHANNEL_1_STATUS - 2) >> 16, 0);
    CHECK_EQ(reg(node, 1, there + CHANNEL_1_STATUS - 2) >> 16, 0);
    set(node, 0, here + CHANNEL_1, 0x80000000 | 2u << VC_ID_SHIFT | 2); /* enabled: the id stays */
    CHECK_EQ(reg(node, 0, here + CHANNEL_1), 0x80000000 | 1u << VC_ID_SHIFT | 2);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_LINK_DOWN, 32, 0), 0);
    CHECK_EQ(reg(node, 1, there + CHANNEL_1_STATUS - 2) >> 16, VC_NEGOTIATION_PENDING);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_LINK_UP, 32, 0), 0);
    CHECK_EQ(fab_node_advance(node, TRAINING_S), 0);
    CHECK_EQ(reg(node, 1, there + CHANNEL_1_STATUS - 2) >> 16, 0);
    set(node, 1, there + CHANNEL_1, 0);
    CHECK_EQ(reg(node, 0, here + CHANNEL_1_STATUS - 2) >> 16, VC_NEGOTIATION_PENDING);
    CHECK_EQ(reg(node, 1, there + CHANNEL_1_STATUS - 2) >> 16, 0);
    fab_node_close(node);
}

static void counters(fab_node *node, size_t sw, uint8_t port, uint64_t out[7]) {
    uint8_t in[4] = {1, 1, port, 0};
    CHECK_EQ(command(node, sw, LOCAL(MRPC_PORT_COUNTERS), in, 4, out, 56), 0);
}

/* Two modules and their hosts around the ring, TLP by TLP, then a rest in which all arrives. */
static void test_ports_count_what_cells_do_tlp_by_tlp(void) {
    fab_node *node = make();
    uint64_t c[7], there[7];
    CHECK_EQ(bind(node, 1, 16, 0, PDFID(0, 1)), 0);
    CHECK_EQ(bind(node, 1, 16, 1, PDFID(1, 2)), 0);
    offer(node, 0, 1, 3.21e9, 1.7e9);
    offer(node, 1, 2, 6e10, 6e10);
    CHECK_EQ(fab_node_set_mode(node, 2), -EINVAL);
    CHECK_EQ(fab_node_start(node), 0);
    CHECK_EQ(fab_node_set_mode(node, FAB_TRAFFIC_TLP), -EBUSY); /* it could not keep up */
    CHECK_EQ(fab_node_stop(node), 0);
    CHECK_EQ(fab_node_set_mode(node, FAB_TRAFFIC_TLP), 0);
    CHECK_EQ(fab_node_set_step(node, 1e-4), 0);
    CHECK_EQ(fab_node_advance(node, 5e-4), 0);
    offer(node, 0, 1, 0, 0);
    offer(node, 1, 2, 0, 0);
    CHECK_EQ(fab_node_advance(node, 2e-4), 0);
    uint64_t up = 0, down = 0;
    for (unsigned m = 0; m < 2; m++) {
        const struct fab_function_cell *cell = cell_of(node, m, m + 1);
        CHECK_EQ(cell->out.up_backlog + cell->out.down_backlog, 0);
        counters(node, 0, (uint8_t)(8 * m), c);
        CHECK_EQ(c[4], cell->out.up_bytes);
        CHECK_EQ(c[2], cell->out.down_bytes);
        up += cell->out.up_bytes;
        down += cell->out.down_bytes;
    }
    CHECK_NEAR((double)up, (3.21e9 + 6e10) * 5e-4, 2);
    counters(node, 0, 32, c);
    counters(node, 1, 40, there);
    CHECK_EQ(c[1], up);
    CHECK_EQ(c[5], down);
    CHECK_EQ(there[4], up);
    CHECK_EQ(there[2], down);
    counters(node, 1, 16, c);
    CHECK_EQ(c[1], up);
    CHECK_EQ(c[5], down);
    fab_node_close(node);
}

static void test_tlps_are_what_bytes_and_requests_take(void) {
    for (int mode = FAB_TRAFFIC_FLUID; mode <= FAB_TRAFFIC_TLP; mode++) {
        fab_node *node = make();
        uint64_t tlps[2][3], bytes[2][3];
        uint8_t raw[4] = {12, 1, 16, 0};
        CHECK_EQ(bind(node, 0, 16, 0, PDFID(0, 1)), 0);
        CHECK_EQ(command(node, 0, LOCAL(MRPC_PORT_COUNTERS), raw, 4, NULL, 0), 0);
        CHECK_EQ(fab_node_set_mode(node, mode), 0);
        offer(node, 0, 1, 256 * 1000 * 1e3, 256 * 500 * 1e3);
        CHECK_EQ(fab_node_advance(node, 1e-3), 0);
        offer(node, 0, 1, 0, 0);
        CHECK_EQ(fab_node_advance(node, 1e-3), 0);
        const struct node_port *port = node_find_port(node, 0, 16);
        wiring_tlps(port, tlps);
        wiring_counters(port, bytes);
        uint8_t read[4] = {1, 1, 16, 0};
        uint64_t c[7];
        CHECK_EQ(command(node, 0, LOCAL(MRPC_PORT_COUNTERS), read, 4, c, 56), 0);
        CHECK_EQ(c[1], 256000 + 24 * tlps[0][0]); /* posted writes leave to the host */
        CHECK_EQ(c[3], 24 * 250);
        CHECK_EQ(c[5], 128000 + 20 * tlps[1][1]);
        CHECK_EQ(bytes[0][0], 256000);
        CHECK_EQ(bytes[1][1], 128000);
        CHECK_NEAR((double)tlps[0][0], 1000, mode);
        CHECK_NEAR((double)tlps[1][1], 500, mode);
        CHECK_EQ(tlps[0][2], 250); /* requests of 512 bytes go up */
        CHECK_EQ(tlps[1][2] + tlps[0][1] + tlps[1][0], 0);
        fab_node_close(node);
    }
}

/* What one function moves up in 10 ms after its module's port has changed. */
static double rate_after(fab_node *node, double seconds) {
    double before = up_of(node, 0, 1);
    CHECK_EQ(fab_node_advance(node, seconds), 0);
    return (up_of(node, 0, 1) - before) / seconds;
}

static void test_a_narrowed_slowed_or_throttled_link_carries_as_much_less(void) {
    fab_node *node = make();
    CHECK_EQ(bind(node, 0, 16, 0, PDFID(0, 1)), 0);
    offer(node, 0, 1, 1e11, 0);
    struct node_port *port = node_find_port(node, 0, 0);
    CHECK_NEAR(rate_after(node, 0.01) / DEFAULT_RATE, 1, 1e-6);
    port->neg_lanes = 4;
    wiring_capacity(port);
    CHECK_NEAR(rate_after(node, 0.01) / fab_payload_rate(5, 4, 256, 512, 0), 1, 1e-6);
    port->neg_gen = 3;
    wiring_capacity(port);
    CHECK_NEAR(rate_after(node, 0.01) / fab_payload_rate(3, 4, 256, 512, 0), 1, 1e-6);
    CHECK_EQ(fab_node_set_mode(node, FAB_TRAFFIC_TLP), 0);
    rate_after(node, 0.001);
    CHECK_NEAR(rate_after(node, 0.002) / fab_payload_rate(3, 4, 256, 512, 0), 1, 0.001);
    CHECK_EQ(fab_node_set_mode(node, FAB_TRAFFIC_FLUID), 0);
    port->neg_lanes = port->neg_gen = 0;
    port->throttle = 0.25;
    wiring_capacity(port);
    CHECK_NEAR(rate_after(node, 0.01) / (0.25 * DEFAULT_RATE), 1, 1e-6);
    fab_node_close(node);
}

static void test_a_payload_rate_of_no_link_is_zero(void) {
    CHECK_NEAR(fab_payload_rate(5, 16, 256, 512, FAB_TRANSFER_WRITE), DEFAULT_RATE, 20);
    CHECK_NEAR(fab_payload_rate(5, 16, 256, 512, FAB_TRANSFER_READ), DEFAULT_READ_RATE, 20);
    CHECK(fab_payload_rate(0, 16, 256, 512, 0) == 0 && fab_payload_rate(7, 16, 256, 512, 0) == 0);
    CHECK(fab_payload_rate(5, 3, 256, 512, 0) == 0 && fab_payload_rate(5, 32, 256, 512, 0) == 0);
    CHECK(fab_payload_rate(5, 16, 192, 512, 0) == 0 && fab_payload_rate(5, 16, 256, 64, 0) == 0);
    CHECK(fab_payload_rate(5, 16, 8192, 512, 0) == 0 && fab_payload_rate(5, 16, 256, 512, 2) == 0);
}

int main(void) {
    test_channels_divide_the_egress_by_their_table_in_both_modes();
    test_a_channel_is_pending_until_both_ends_of_a_fabric_link_have_it();
    test_ports_count_what_cells_do_tlp_by_tlp();
    test_tlps_are_what_bytes_and_requests_take();
    test_a_narrowed_slowed_or_throttled_link_carries_as_much_less();
    test_a_payload_rate_of_no_link_is_zero();
    return CHECK_RESULT;
}
