/* Power and heat: they follow the load, and a module that is too hot takes less from its link. */
#define _GNU_SOURCE
#include <errno.h>

#include "emulator_client.h"

static struct fab_module_state state_of(fab_node *node, unsigned module) {
    struct fab_module_state state;
    memset(&state, 0, sizeof state);
    CHECK_EQ(fab_node_module_state(node, module, &state), 0);
    return state;
}

static uint32_t throttlings(fab_node *node) {
    return reg(node, 0, window(node, 0, 0) + 0xC10 + 0x18 * 9) >> 5 & 0xFF;
}

static void draw_fan_and_temperature_follow_the_load(void) {
    fab_node *node = make();
    CHECK_EQ(fab_node_set_step(node, 0.01), 0);
    CHECK_EQ(fab_node_advance(node, 100.0), 0);
    struct fab_module_state idle = state_of(node, 0);
    CHECK(idle.present && idle.powered && idle.link_up && idle.neg_lanes == 16);
    CHECK_EQ(idle.neg_gen, 5);
    CHECK_NEAR(idle.draw_w, 70.0, 1e-6); /* a fifth of 350 W */
    CHECK(idle.temperature_c > 40.0 && idle.temperature_c < 50.0);
    CHECK_EQ(idle.throttle, 1);
    CHECK_EQ(bind(node, 0, 16, 0, PDFID(0, 1)), 0);
    offer(node, 0, 1, 1e11, 1e11);
    CHECK_EQ(fab_node_advance(node, 1.0), 0);
    struct fab_module_state soon = state_of(node, 0);
    CHECK_NEAR(soon.draw_w, 350.0, 1.0);
    CHECK(soon.temperature_c > idle.temperature_c + 2 && soon.temperature_c < 60.0);
    CHECK_EQ(fab_node_advance(node, 100.0), 0);
    struct fab_module_state busy = state_of(node, 0);
    CHECK(busy.temperature_c > 70.0 && busy.temperature_c < 80.0);
    CHECK(busy.fan_rpm > 2 * idle.fan_rpm);
    CHECK_EQ(busy.throttle, 1); /* cooling is made for the supply */
    CHECK_NEAR(state_of(node, 1).draw_w, 70.0, 1e-6);
    CHECK_EQ(throttlings(node), 0);
    struct fab_module_state none;
    CHECK_EQ(fab_node_module_state(node, 8, &none), -ENOENT);
    fab_node_close(node);
}

static void a_module_over_its_limit_throttles_until_it_is_cool(void) {
    fab_node *node = make();
    CHECK_EQ(fab_node_set_step(node, 0.01), 0);
    CHECK_EQ(bind(node, 0, 16, 0, PDFID(0, 1)), 0);
    offer(node, 0, 1, 1e11, 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_HEAT, 0, 400), 0);
    CHECK_EQ(fab_node_advance(node, 60.0), 0);
    struct fab_module_state hot = state_of(node, 0);
    CHECK(hot.temperature_c > 85.0 && hot.throttle < 1.0);
    CHECK(hot.powered && hot.link_up);
    CHECK_EQ(throttlings(node), 1);
    uint64_t before = cell_of(node, 0, 1)->out.up_bytes;
    CHECK_EQ(fab_node_advance(node, 1.0), 0);
    double moved = (double)(cell_of(node, 0, 1)->out.up_bytes - before);
    CHECK_NEAR(moved, DEFAULT_RATE * hot.throttle, DEFAULT_RATE * 0.001);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_HEAT, 0, 0), 0);
    double last = 200.0;
    int below_limit_and_still_throttled = 0;
    for (unsigned k = 0; k < 600 && state_of(node, 0).throttle < 1.0; k++) {
        CHECK_EQ(fab_node_advance(node, 0.1), 0);
        CHECK(state_of(node, 0).temperature_c < last);
        last = state_of(node, 0).temperature_c;
        if (last < 85.0 && state_of(node, 0).throttle < 1.0) below_limit_and_still_throttled = 1;
    }
    CHECK(below_limit_and_still_throttled); /* hysteresis */
    CHECK_EQ(state_of(node, 0).throttle, 1);
    CHECK_EQ(throttlings(node), 2);
    fab_node_close(node);
}

static void a_switch_s_die_cools_when_its_links_go(void) {
    fab_node *node = make();
    uint32_t in = 4, warm[4], cool[4];
    CHECK_EQ(command(node, 0, LOCAL(0x04), &in, 4, warm, 16), 0);
    for (unsigned k = 0; k < 4; k++) CHECK(warm[k] > 3000 && warm[k] < 9000); /* 0.01 degrees */
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_LINK_DOWN, 32, 0), 0);
    CHECK_EQ(command(node, 0, LOCAL(0x04), &in, 4, cool, 16), 0);
    CHECK(cool[0] < warm[0]);
    fab_node_close(node);
}

int main(void) {
    draw_fan_and_temperature_follow_the_load();
    a_module_over_its_limit_throttles_until_it_is_cool();
    a_switch_s_die_cools_when_its_links_go();
    return CHECK_RESULT;
}
