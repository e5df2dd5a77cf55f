/* Links in time: the states of training and what limits them. */
#define _GNU_SOURCE
#include <errno.h>

#include "link_client.h"

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
    cfg_set(node, 0, 32, 0x184, 1); /* Perform Equalization: 6 ms for each rate again */
    cfg_set(node, 0, 32, LNKCTL, 1 << 5);
    advance_ms(node, 18.9);
    expect(node, 0, 32, 0x0104, 0x85, 16);
    advance_ms(node, 0.2);
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

int main(void) {
    a_link_trains_through_its_states_at_both_ends();
    one_long_step_and_many_short_ones_end_the_same();
    a_retrained_link_keeps_its_data_link_and_stops_traffic_meanwhile();
    target_speed_takes_effect_with_retraining_from_either_end();
    faults_narrow_and_slow_a_link_until_they_are_over();
    a_flapping_link_goes_down_as_often_as_it_was_told();
    disabled_and_held_links_say_so();
    return CHECK_RESULT;
}
