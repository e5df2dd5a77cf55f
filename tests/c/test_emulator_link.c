/* Links in time: the states of training, what limits them, hot-plug and containment. Register
 * offsets and bits are written as numbers: PCI Express Base Specification, the vendor's LTSSM words
 * (minor << 8 | major). */
#define _GNU_SOURCE
#include <errno.h>

#include "emulator_client.h"

enum { PCIE = 0x50, LNKCTL = PCIE + 0x10, LNKSTA = PCIE + 0x12, SLTCTL = PCIE + 0x18 };
enum { EV_DPC = 2, EV_HOTPLUG = 5, EV_FORCE_SPEED = 10, EV_LINK = 12 };

static uint32_t cfg(fab_node *node, size_t sw, unsigned port, unsigned at, unsigned bytes) {
    uint32_t word = reg(node, sw, window(node, sw, port) + (at & ~3u)) >> 8 * (at & 3);
    return bytes == 4 ? word : word & ((1u << 8 * bytes) - 1);
}

static void cfg_set(fab_node *node, size_t sw, unsigned port, unsigned at, uint16_t value) {
    CHECK_EQ(fab_bar_write16(fab_node_bar(node, sw), window(node, sw, port) + at, value), 0);
}

struct status {
    unsigned width, rate, ltssm;
};

static struct status status_of(fab_node *node, size_t sw, unsigned port) {
    uint8_t out[720];
    uint64_t which = UINT64_C(1) << port;
    CHECK_EQ(command(node, sw, LOCAL(0x1C), &which, 8, out, 720), 0);
    CHECK_EQ(out[0], port);
    return (struct status){out[5], out[7], out[8] | (unsigned)out[9] << 8};
}

static void expect(fab_node *node, size_t sw, unsigned port, unsigned ltssm, unsigned rate,
                   unsigned width) {
    struct status s = status_of(node, sw, port);
    CHECK_EQ(s.ltssm, ltssm);
    CHECK_EQ(s.rate, rate);
    CHECK_EQ(s.width, width);
    int up = rate >> 7;
    unsigned sta = cfg(node, sw, port, LNKSTA, 2);
    CHECK_EQ(sta >> 13 & 1, up);                                 /* data link active */
    CHECK_EQ(sta >> 11 & 1, ltssm == 0x0902 || ltssm == 0x0104); /* link training */
    if (up) CHECK_EQ(sta & 0x3FF, (rate & 0x7F) | width << 4);
}

/* How often an event has happened since it was last asked. */
static unsigned events(fab_node *node, size_t sw, unsigned port, unsigned k) {
    uint64_t at = window(node, sw, port) + 0xC10 + 0x18 * k;
    uint32_t header = reg(node, sw, at);
    set(node, sw, at, 1);
    return header >> 5 & 0xFF;
}

static void advance_ms(fab_node *node, double ms) {
    CHECK_EQ(fab_node_advance(node, ms * 1e-3), 0);
}

static void a_link_trains_through_its_states_at_both_ends(void) {
    fab_node *node = make();
    expect(node, 0, 32, 0x0103, 0x85, 16);
    CHECK_EQ(events(node, 0, 32, EV_LINK), 0); /* up since creation: nobody has seen it come */
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_LINK_DOWN, 32, 0), 0);
    expect(node, 1, 40, 0x0000, 0, 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_LINK_UP, 32, 0), 0);
    /* Detect 12 ms, Polling 4, Configuration 2, Recovery 1 + 6 for each of 8, 16 and 32 GT/s */
    static const struct {
        double ms;
        unsigned ltssm;
    } seen[] = {{11.999, 0x0100}, {0.002, 0x0201}, {4, 0x0902}, {2, 0x0104}, {18.997, 0x0104}};
    for (unsigned k = 0; k < 5; k++) {
        advance_ms(node, seen[k].ms);
        expect(node, 0, 32, seen[k].ltssm, 0, 0);
        expect(node, 1, 40, seen[k].ltssm, 0, 0);
    }
    CHECK_EQ(cfg(node, 0, 32, PCIE + 0x32, 2), 0); /* no equalisation is complete yet */
    advance_ms(node, 0.002);
    expect(node, 0, 32, 0x0103, 0x85, 16);
    expect(node, 1, 40, 0x0103, 0x85, 16);
    CHECK_EQ(cfg(node, 0, 32, PCIE + 0x32, 2), 0x1E);
    CHECK_EQ(events(node, 0, 32, EV_LINK), 2);
    CHECK_EQ(events(node, 1, 40, EV_LINK), 2);
    fab_node_close(node);
}

static void one_long_step_and_many_short_ones_end_the_same(void) {
    uint64_t moved[2];
    for (int run = 0; run < 2; run++) {
        fab_node *node = make();
        CHECK_EQ(bind(node, 0, 16, 0, PDFID(0, 1)), 0);
        offer(node, 0, 1, 1e9, 0);
        CHECK_EQ(fab_node_set_step(node, run ? 1e-4 : 1.0), 0);
        CHECK_EQ(fab_node_fault_at(node, 33333333, 0, FAB_FAULT_LINK_DOWN, 0, 0), 0);
        CHECK_EQ(fab_node_fault_at(node, 300000000, 0, FAB_FAULT_LINK_UP, 0, 0), 0);
        CHECK_EQ(fab_node_advance(node, 0.336999), 0);
        CHECK_NEAR((double)cell_of(node, 0, 1)->out.up_bytes, 33333333, 2);
        CHECK_EQ(status_of(node, 0, 0).rate, 0);
        CHECK_EQ(fab_node_advance(node, 0.000001), 0);
        CHECK_EQ(status_of(node, 0, 0).rate, 0x85);
        CHECK_EQ(fab_node_advance(node, 0.1), 0);
        moved[run] = cell_of(node, 0, 1)->out.up_bytes;
        fab_node_close(node);
    }
    CHECK_NEAR((double)moved[0], (double)moved[1], 4);
    CHECK_NEAR((double)moved[0], 0.437e9, 4);
}

static void a_retrained_link_keeps_its_data_link_and_stops_traffic_meanwhile(void) {
    fab_node *node = make();
    CHECK_EQ(bind(node, 0, 16, 0, PDFID(0, 1)), 0);
    offer(node, 0, 1, 1e9, 0);
    advance_ms(node, 1);
    uint64_t before = cell_of(node, 0, 1)->out.up_bytes;
    cfg_set(node, 0, 0, LNKCTL, 1 << 5);
    CHECK_EQ(cfg(node, 0, 0, LNKCTL, 2), 0); /* Retrain Link reads 0 */
    expect(node, 0, 0, 0x0104, 0x85, 16);
    advance_ms(node, 0.9);
    CHECK_EQ(cell_of(node, 0, 1)->out.up_bytes, before);
    CHECK_EQ(function_read(node, PDFID(0, 0), 0, 4), 0xFAB011F8);
    advance_ms(node, 0.2);
    expect(node, 0, 0, 0x0103, 0x85, 16);
    advance_ms(node, 1);
    CHECK_NEAR((double)cell_of(node, 0, 1)->out.up_bytes, 3.1e6, 2);
    CHECK_EQ(events(node, 0, 0, EV_LINK), 0);
    fab_node_close(node);
}

static void target_speed_takes_effect_with_retraining_from_either_end(void) {
    fab_node *node = make();
    cfg_set(node, 0, 32, PCIE + 0x30, 3); /* Link Control 2: 8 GT/s */
    expect(node, 0, 32, 0x0103, 0x85, 16);
    cfg_set(node, 1, 40, LNKCTL, 1 << 5); /* asked by the other end */
    advance_ms(node, 1.5);
    expect(node, 0, 32, 0x0103, 0x83, 16);
    expect(node, 1, 40, 0x0103, 0x83, 16);
    CHECK_EQ(events(node, 0, 32, EV_LINK), 1); /* it runs otherwise than before */
    CHECK_EQ(events(node, 1, 40, EV_FORCE_SPEED), 1);
    CHECK_EQ(cfg(node, 0, 32, LNKSTA, 2) >> 14 & 1, 1); /* bandwidth management status */
    cfg_set(node, 0, 32, LNKSTA, 1 << 14);
    CHECK_EQ(cfg(node, 0, 32, LNKSTA, 2) >> 14 & 1, 0);
    cfg_set(node, 0, 32, PCIE + 0x30, 5);
    cfg_set(node, 0, 32, LNKCTL, 1 << 5);
    advance_ms(node, 1.5); /* equalised before: no need to do it again */
    expect(node, 0, 32, 0x0103, 0x85, 16);
    function_write(node, PDFID(0, 0), PCIE + 0x30, 2, 1); /* the module wants 2.5 GT/s */
    cfg_set(node, 0, 0, LNKCTL, 1 << 5);
    advance_ms(node, 1.5);
    expect(node, 0, 0, 0x0103, 0x81, 16);
    CHECK_EQ(function_read(node, PDFID(0, 0), LNKSTA, 2), 0x1101);
    fab_node_close(node);
}

static void faults_narrow_and_slow_a_link_until_they_are_over(void) {
    fab_node *node = make();
    CHECK_EQ(fab_node_fault(node, 1, FAB_FAULT_WIDTH, 40, 5), 0); /* five good lanes: x4 */
    advance_ms(node, 1.5);
    expect(node, 0, 32, 0x0103, 0x85, 4);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_SPEED, 32, 4), 0);
    advance_ms(node, 1.5);
    expect(node, 1, 40, 0x0103, 0x84, 4);
    CHECK_EQ(fab_node_fault(node, 1, FAB_FAULT_WIDTH, 40, 0), 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_SPEED, 32, 0), 0);
    advance_ms(node, 3);
    expect(node, 0, 32, 0x0103, 0x85, 16);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_WIDTH, 32, 17), -EINVAL);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_SPEED, 32, 7), -EINVAL);
    fab_node_close(node);
}

static void a_flapping_link_goes_down_as_often_as_it_was_told(void) {
    fab_node *node = make();
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_LINK_FLAP, 8, 3), 0);
    CHECK_EQ(status_of(node, 0, 8).rate, 0);
    advance_ms(node, 400);
    expect(node, 0, 8, 0x0103, 0x85, 16);
    CHECK_EQ(events(node, 0, 8, EV_LINK), 6);
    advance_ms(node, 400);
    CHECK_EQ(events(node, 0, 8, EV_LINK), 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_LINK_FLAP, 8, 0), -EINVAL);
    fab_node_close(node);
}

static void disabled_and_held_links_say_so(void) {
    fab_node *node = make();
    uint8_t off[4] = {0, 8, 0, 0}, on[4] = {1, 8, 0, 0}, hold[4] = {3, 8, 1, 0}, free_[4] = {3, 8};
    CHECK_EQ(command(node, 0, LOCAL(0x8D), off, 4, NULL, 0), 0);
    expect(node, 0, 8, 0x0105, 0, 0);
    CHECK_EQ(cfg(node, 0, 8, 0x104, 4), 0); /* asked for: no Surprise Down */
    CHECK_EQ(command(node, 0, LOCAL(0x8D), on, 4, NULL, 0), 0);
    advance_ms(node, 38);
    expect(node, 0, 8, 0x0103, 0x85, 16);
    CHECK_EQ(command(node, 0, LOCAL(0x8D), hold, 4, NULL, 0), 0);
    advance_ms(node, 100);
    expect(node, 0, 8, 0x0107, 0, 0);
    CHECK_EQ(command(node, 0, LOCAL(0x8D), free_, 4, NULL, 0), 0);
    advance_ms(node, 38);
    expect(node, 0, 8, 0x0103, 0x85, 16);
    cfg_set(node, 0, 8, 0x3E, 1 << 6); /* Secondary Bus Reset holds it too */
    expect(node, 0, 8, 0x0107, 0, 0);
    cfg_set(node, 0, 8, 0x3E, 0);
    advance_ms(node, 38);
    expect(node, 0, 8, 0x0103, 0x85, 16);
    fab_node_close(node);
}

/* ---- hot-plug ---- */

static void a_module_that_is_pulled_takes_its_functions_along(void) {
    fab_node *node = make();
    uint8_t s[4096];
    struct fab_module_state state;
    CHECK_EQ(bind(node, 0, 16, 0, PDFID(0, 1)), 0);
    offer(node, 0, 1, 1e9, 0);
    advance_ms(node, 10);
    uint64_t moved = cell_of(node, 0, 1)->out.up_bytes;
    function_write(node, PDFID(0, 0), 0x04, 2, 0x0006);
    function_write(node, PDFID(0, 0), 0x108, 4, 0x00100000); /* AER mask: sticky, but not this */
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_REMOVED, 0, 1), 0);
    expect(node, 0, 0, 0x0000, 0, 0);
    CHECK_EQ(cfg(node, 0, 0, PCIE + 0x1A, 2), 0x0108); /* absent; presence and link changed */
    CHECK(events(node, 0, 0, EV_HOTPLUG) >= 1);
    CHECK_EQ(events(node, 0, 0, EV_LINK), 1);
    CHECK_EQ(cfg(node, 0, 0, 0x104, 4), 1 << 5); /* Surprise Down */
    uint8_t read[8] = {0, 0, 0, 0, 0, 0, 4, 0};
    CHECK(command(node, 0, LOCAL(0x8E), read, 8, s, 4) > 0);
    CHECK_EQ(fab_node_config_space(node, 0, 0, 0, s), 0);
    CHECK_EQ(word_at(s, 0), UINT32_MAX);
    CHECK_EQ(fab_node_module_state(node, 0, &state), 0);
    CHECK(!state.present && !state.powered && !state.link_up && state.draw_w == 0.0);
    advance_ms(node, 10);
    CHECK_EQ(cell_of(node, 0, 1)->out.up_bytes, moved);
    cfg_set(node, 0, 0, PCIE + 0x1A, 0x0108);
    CHECK_EQ(cfg(node, 0, 0, PCIE + 0x1A, 2), 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_INSERTED, 0, 1), 0);
    CHECK_EQ(cfg(node, 0, 0, PCIE + 0x1A, 2), 0x0048);
    advance_ms(node, 38);
    expect(node, 0, 0, 0x0103, 0x85, 16);
    CHECK_EQ(function_read(node, PDFID(0, 0), 0x04, 2), 0); /* in its reset state */
    CHECK_EQ(function_read(node, PDFID(0, 0), 0x108, 4), 0x00400000);
    advance_ms(node, 10); /* still bound: the slot is what was bound */
    CHECK(cell_of(node, 0, 1)->out.up_bytes > moved);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_REMOVED, 16, 1), -ENOENT); /* a host's */
    fab_node_close(node);
}

static void the_slot_switches_its_module_on_and_off(void) {
    fab_node *node = make();
    struct fab_module_state state;
    uint16_t control = (uint16_t)cfg(node, 0, 0, SLTCTL, 2);
    CHECK_EQ(control, 0x01C0); /* power on, its indicator too, attention off */
    CHECK_EQ(cfg(node, 0, 0, PCIE + 0x14, 4) & 0x7F, 0x5B); /* button, controller, indicators */
    cfg_set(node, 0, 0, SLTCTL, control | 1 << 10);
    expect(node, 0, 0, 0x0000, 0, 0);
    CHECK_EQ(cfg(node, 0, 0, PCIE + 0x1A, 2) & 0x48, 0x40); /* it is still there */
    CHECK_EQ(cfg(node, 0, 0, 0x104, 4), 0);                 /* and went as asked */
    CHECK_EQ(fab_node_module_state(node, 0, &state), 0);
    CHECK(state.present && !state.powered);
    cfg_set(node, 0, 0, SLTCTL, control);
    advance_ms(node, 38);
    expect(node, 0, 0, 0x0103, 0x85, 16);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_SUPPLY_LOST, 0, 1), 0);
    CHECK_EQ(cfg(node, 0, 0, PCIE + 0x1A, 2) & 0x4A, 0x42); /* there, power fault */
    CHECK_EQ(status_of(node, 0, 0).rate, 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_SUPPLY_BACK, 0, 1), 0);
    advance_ms(node, 38);
    expect(node, 0, 0, 0x0103, 0x85, 16);
    cfg_set(node, 0, 0, SLTCTL, 0xFFFF & ~(1 << 10));
    CHECK_EQ(cfg(node, 0, 0, SLTCTL, 2), 0x13FB); /* no latch, no interlock; reserved bits are 0 */
    fab_node_close(node);
}

/* ---- containment ---- */

static void dpc_contains_a_fatal_error_until_its_status_is_cleared(void) {
    fab_node *node = make();
    unsigned dpc = 0x160;
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_FATAL, 0, 4), 0);
    expect(node, 0, 0, 0x0103, 0x85, 16); /* not enabled */
    cfg_set(node, 0, 0, dpc + 6, 1);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_NONFATAL, 0, 21), 0);
    expect(node, 0, 0, 0x0103, 0x85, 16); /* not fatal */
    CHECK_EQ(events(node, 0, 0, EV_DPC), 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_FATAL, 0, 4), 0);
    expect(node, 0, 0, 0x0105, 0, 0);
    CHECK_EQ(cfg(node, 0, 0, dpc + 8, 2), 0x0009); /* triggered, reason 0, interrupt */
    CHECK_EQ(events(node, 0, 0, EV_DPC), 1);
    advance_ms(node, 100);
    expect(node, 0, 0, 0x0105, 0, 0);
    cfg_set(node, 0, 0, dpc + 8, 0x0009);
    CHECK_EQ(cfg(node, 0, 0, dpc + 8, 2), 0);
    advance_ms(node, 38);
    expect(node, 0, 0, 0x0103, 0x85, 16);
    cfg_set(node, 0, 0, dpc + 6, 0x42); /* on any error, and by software now */
    CHECK_EQ(cfg(node, 0, 0, dpc + 6, 2), 0x0002);
    CHECK_EQ(cfg(node, 0, 0, dpc + 8, 2), 0x002F); /* reason 3, extension 1 */
    cfg_set(node, 0, 0, dpc + 8, 0x0009);
    advance_ms(node, 38);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_NONFATAL, 0, 21), 0);
    expect(node, 0, 0, 0x0105, 0, 0);
    fab_node_close(node);
}

static void dpc_names_the_function_whose_message_triggered_it(void) {
    fab_node *node = make();
    cfg_set(node, 2, 8, 0x18, 0x2201); /* primary 1, secondary 0x22 */
    cfg_set(node, 2, 8, 0x166, 2);
    CHECK_EQ(fab_node_fault(node, 2, FAB_FAULT_NONFATAL, 8, 20), 0);
    expect(node, 2, 8, 0x0103, 0x85, 16);                   /* the module may not report it */
    function_write(node, PDFID(5, 0), PCIE + 8, 2, 0x2932); /* non-fatal reporting on */
    CHECK_EQ(fab_node_fault(node, 2, FAB_FAULT_NONFATAL, 8, 20), 0);
    expect(node, 2, 8, 0x0105, 0, 0);
    CHECK_EQ(cfg(node, 2, 8, 0x168, 4), 0x2200000Bu); /* reason 1: message; source 22:00.0 */
    CHECK_EQ(cfg(node, 2, 8, 0x1E, 2) >> 14 & 1, 1);  /* received system error */
    CHECK_EQ(fab_node_fault(node, 2, FAB_FAULT_NONFATAL, 8, 20), -ENOLINK);
    fab_node_close(node);
}

int main(void) {
    a_link_trains_through_its_states_at_both_ends();
    one_long_step_and_many_short_ones_end_the_same();
    a_retrained_link_keeps_its_data_link_and_stops_traffic_meanwhile();
    target_speed_takes_effect_with_retraining_from_either_end();
    faults_narrow_and_slow_a_link_until_they_are_over();
    a_flapping_link_goes_down_as_often_as_it_was_told();
    disabled_and_held_links_say_so();
    a_module_that_is_pulled_takes_its_functions_along();
    the_slot_switches_its_module_on_and_off();
    dpc_contains_a_fatal_error_until_its_status_is_cleared();
    dpc_names_the_function_whose_message_triggered_it();
    return CHECK_RESULT;
}
