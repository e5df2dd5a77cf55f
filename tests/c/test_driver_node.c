/* The driver and the plan against the emulated default node: what one writes, the other answers. */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "check.h"
#include "default_node.h"
#include "regs.h"

enum { TARGETS = 30, FULL = 256, GROUP_PHASES = 128 };

struct rig {
    fab_node *node;
    fab_switch *sw[DEFAULT_SWITCHES];
};

static struct rig open_rig(void) {
    struct default_node shape;
    struct rig rig = {0};
    default_node_fill(&shape);
    CHECK_EQ(fab_node_create(&shape.config, shape.ports, NULL, &rig.node), 0);
    for (size_t k = 0; k < DEFAULT_SWITCHES; k++) {
        CHECK_EQ(fab_switch_open(fab_node_bar(rig.node, k), &rig.sw[k]), 0);
        fab_switch_set_timeout(rig.sw[k], 1000000);
    }
    return rig;
}

static void close_rig(struct rig *rig) {
    for (size_t k = 0; k < DEFAULT_SWITCHES; k++) fab_switch_close(rig->sw[k]);
    fab_node_close(rig->node);
}

static void every_switch_says_who_it_is(void) {
    struct rig rig = open_rig();
    for (uint32_t k = 0; k < DEFAULT_SWITCHES; k++) {
        struct fab_switch_info info;
        CHECK_EQ(fab_switch_identify(rig.sw[k], &info), 0);
        CHECK_EQ(info.pax_id, k);
        CHECK_EQ(info.generation, 5);
        CHECK_EQ(info.lanes, 100);
        CHECK_EQ(strcmp(info.product, "PAX 100XG5"), 0);
    }
    uint8_t id;
    CHECK_EQ(fab_switch_mrpc(rig.sw[0], MRPC_PAX_ID, 3, NULL, 0, &id, 1, NULL), 0);
    CHECK_EQ(id, 3); /* forwarded through the fabric */
    close_rig(&rig);
}

static void ports_and_routes_are_the_topology_s(void) {
    struct rig rig = open_rig();
    struct default_node shape;
    default_node_fill(&shape);
    for (size_t k = 0; k < DEFAULT_SWITCHES; k++) {
        struct fab_port_info found[FAB_MAX_PORTS];
        uint8_t routes[FAB_MAX_SWITCHES];
        CHECK_EQ(fab_switch_ports(rig.sw[k], found, FAB_MAX_PORTS), 7);
        for (size_t j = 0; j < 7; j++) {
            const struct fab_node_port *want = &shape.ports[7 * k + j];
            CHECK_EQ(found[j].port, want->port);
            CHECK_EQ(found[j].kind, want->kind);
            CHECK_EQ(found[j].cfg_lanes, want->cfg_lanes);
            CHECK_EQ(found[j].peer_switch, want->peer_switch);
            CHECK_EQ(found[j].peer_port, want->peer_port);
            CHECK_EQ(found[j].up, 1);
            CHECK_EQ(found[j].gen, 5);
            bool named = want->kind == FAB_PORT_MODULE || want->kind == FAB_PORT_HOST;
            CHECK_EQ(found[j].index, named ? want->index : 0xFF);
            CHECK_EQ(found[j].phases, want->kind == FAB_PORT_MANAGEMENT ? 0 : want->phases);
        }
        CHECK_EQ(fab_switch_routes(rig.sw[k], routes, FAB_MAX_SWITCHES), DEFAULT_SWITCHES);
        CHECK_EQ(fab_switch_routes(rig.sw[k], routes, 3), 3);
        CHECK_EQ(fab_switch_routes(rig.sw[k], routes, DEFAULT_SWITCHES), DEFAULT_SWITCHES);
        CHECK_EQ(memcmp(routes, shape.config.route[k], DEFAULT_SWITCHES), 0);
    }
    close_rig(&rig);
}

static void modules_are_probed_as_they_are(void) {
    struct rig rig = open_rig();
    for (unsigned module = 0; module < 8; module++) {
        struct fab_function_info f;
        int kind = module < 3   ? FAB_ARBITRATION_MFVC
                   : module < 6 ? FAB_ARBITRATION_SHAPER
                                : FAB_ARBITRATION_NONE;
        CHECK_EQ(fab_switch_function_probe(rig.sw[module / 2], PDFID(module, 3), &f), 0);
        CHECK_EQ(f.arbitration, kind);
        CHECK_EQ(f.groups, module < 3 ? 8 : 0);
        CHECK_EQ(f.phases, module < 3 ? GROUP_PHASES : 0);
        CHECK_EQ(f.total_vfs, 32);
        CHECK_EQ(f.num_vfs, 32);
    }
    CHECK_EQ(fab_switch_function_group(rig.sw[0], PDFID(0, 32), 7), 0);
    CHECK_EQ(fab_switch_function_group(rig.sw[2], PDFID(4, 1), 1), -EOPNOTSUPP);
    CHECK_EQ(fab_switch_function_shape(rig.sw[2], PDFID(4, 32), 1e9, 1e9, 2e9, INFINITY), 0);
    close_rig(&rig);
}

static void a_bound_function_s_bytes_reach_the_counters(void) {
    struct rig rig = open_rig();
    static const uint8_t ports[2] = {0, 16};
    struct fab_port_counters c[2];
    CHECK_EQ(fab_switch_counters(rig.sw[0], ports, 2, c), 2); /* sets them to payload */
    CHECK_EQ(fab_switch_bind(rig.sw[0], 0, 16, 1, PDFID(0, 1)), 0);
    CHECK_EQ(fab_switch_bind(rig.sw[0], 0, 0, 1, PDFID(0, 2)), -EREMOTEIO); /* no host port */
    CHECK_EQ(fab_function_offer(fab_node_bar(rig.node, 0), 0, 1, 1e9, 0), 0);
    CHECK_EQ(fab_node_advance(rig.node, 1.0), 0);
    CHECK_EQ(fab_switch_counters(rig.sw[0], ports, 2, c), 2);
    CHECK_NEAR((double)c[0].ingress_posted, 1e9, 2e6);
    CHECK_NEAR((double)c[1].egress_posted, 1e9, 2e6);
    CHECK_EQ(fab_switch_unbind(rig.sw[0], 0, 16, 1, PDFID(0, 1)), 0);
    close_rig(&rig);
}

static void link_events_follow_the_link(void) {
    struct rig rig = open_rig();
    uint8_t ports[8];
    fab_switch_link_events(rig.sw[1], ports, 8); /* what happened at start */
    CHECK_EQ(fab_node_fault(rig.node, 1, FAB_FAULT_LINK_DOWN, 8, 1), 0);
    CHECK_EQ(fab_switch_link_events(rig.sw[1], ports, 8), 1);
    CHECK_EQ(ports[0], 8);
    CHECK_EQ(fab_switch_link_events(rig.sw[1], ports, 8), 0);
    CHECK_EQ(fab_switch_port_control(rig.sw[1], 16, FAB_PORT_DISABLE), 0);
    CHECK_EQ(fab_switch_link_events(rig.sw[1], ports, 8), 1);
    CHECK_EQ(ports[0], 16);
    close_rig(&rig);
}

/* Every egress of the chassis and the three modules with function arbitration. */
static size_t all_targets(struct fab_target *out) {
    static const uint8_t ids[] = {0, 8, 16, 24, 32, 40};
    size_t n = 0;
    for (uint8_t k = 0; k < DEFAULT_SWITCHES; k++)
        for (size_t j = 0; j < sizeof ids; j++)
            out[n++] = (struct fab_target){.sw = k, .port = ids[j], .phases = FULL};
    for (uint8_t m = 0; m < 3; m++)
        out[n++] = (struct fab_target){
            .kind = FAB_TARGET_FUNCTION, .sw = m / 2, .pdfid = PDFID(m, 0), .phases = GROUP_PHASES};
    return n;
}

static void wish(uint8_t *rows, const struct fab_target *targets, size_t n, uint32_t *seed) {
    static const uint8_t ids[] = {0, 8, 16, 24, 32, 40};
    for (size_t i = 0; i < n * 256; i++) {
        *seed = *seed * 1664525u + 1013904223u;
        rows[i] = targets[i / 256].kind ? *seed >> 29 : ids[(*seed >> 8) % 6];
    }
}

static void expect(struct rig *rig, const struct fab_target *t, size_t n, const uint8_t *rows) {
    for (size_t i = 0; i < n; i++) {
        uint8_t got[256];
        int phases = t[i].kind ? fab_switch_function_table(rig->sw[t[i].sw], t[i].pdfid, got, 256)
                               : fab_switch_port_table(rig->sw[t[i].sw], t[i].port, got, 256);
        CHECK_EQ(phases, t[i].phases);
        CHECK_EQ(memcmp(got, rows + 256 * i, t[i].phases), 0);
    }
}

static void a_plan_over_the_whole_chassis_is_all_or_nothing(void) {
    struct rig rig = open_rig();
    struct fab_target targets[TARGETS];
    struct fab_plan_report r;
    fab_plan *plan;
    uint8_t rows[TARGETS * 256], old[TARGETS * 256];
    uint32_t seed = 9;
    size_t n = all_targets(targets);
    CHECK_EQ(fab_plan_open(rig.sw, DEFAULT_SWITCHES, targets, n, &plan), 0);
    for (int round = 0; round < 5; round++) {
        wish(rows, targets, n, &seed);
        CHECK_EQ(fab_plan_apply(plan, rows, NULL, NULL, 0, &r), 0);
        CHECK_EQ(r.loaded, n);
        expect(&rig, targets, n, rows);
    }
    CHECK_EQ(fab_plan_apply(plan, rows, NULL, NULL, 0, &r), 0);
    CHECK_EQ(r.writes, 0);
    memcpy(old, rows, sizeof old);
    static const int faults[] = {FAB_FAULT_VC_STUCK, FAB_FAULT_TORN_WRITE};
    for (size_t i = 0; i < 2; i++) {
        wish(rows, targets, n, &seed);
        CHECK_EQ(fab_node_fault(rig.node, 2, faults[i], 24, 1), 0);
        CHECK_EQ(fab_plan_apply(plan, rows, NULL, NULL, 0, &r), i ? -EIO : -ETIMEDOUT);
        CHECK_EQ(r.failed, 15);
        CHECK_EQ(r.rolled_back, 16);
        expect(&rig, targets, n, old);
    }
    CHECK_EQ(fab_node_fault(rig.node, 1, FAB_FAULT_MRPC_STUCK, 0, 2), 0); /* module 2's table */
    CHECK_EQ(fab_plan_apply(plan, rows, NULL, NULL, 0, &r), -ETIMEDOUT);
    CHECK_EQ(r.failed, 26);
    CHECK_EQ(r.rolled_back, 27); /* the way back's second try reached it */
    expect(&rig, targets, n, old);
    CHECK_EQ(fab_plan_apply(plan, rows, NULL, NULL, 0, &r), 0);
    expect(&rig, targets, n, rows);
    fab_plan_close(plan);
    close_rig(&rig);
}

static void a_switch_that_vanished_is_reported_as_gone(void) {
    struct rig rig = open_rig();
    struct fab_port_info ports[FAB_MAX_PORTS];
    struct fab_switch_info info;
    uint8_t changed[8], entries[256] = {0};
    CHECK(fab_switch_ports(rig.sw[3], ports, FAB_MAX_PORTS) > 0);
    CHECK_EQ(fab_node_fault(rig.node, 3, FAB_FAULT_GONE, 0, 1), 0);
    CHECK_EQ(fab_switch_identify(rig.sw[3], &info), -ENODEV);
    CHECK_EQ(fab_switch_ports(rig.sw[3], ports, FAB_MAX_PORTS), -ENODEV);
    CHECK_EQ(fab_switch_link_events(rig.sw[3], changed, 8), -ENODEV);
    CHECK_EQ(fab_switch_load_port_table(rig.sw[3], 0, entries, 256), -ENODEV);
    CHECK_EQ(fab_switch_bind(rig.sw[3], 3, 16, 1, PDFID(6, 1)), -ENODEV);
    CHECK_EQ(fab_node_fault(rig.node, 3, FAB_FAULT_BACK, 0, 1), 0);
    CHECK_EQ(fab_switch_identify(rig.sw[3], &info), 0);
    close_rig(&rig);
}

int main(void) {
    every_switch_says_who_it_is();
    ports_and_routes_are_the_topology_s();
    modules_are_probed_as_they_are();
    a_bound_function_s_bytes_reach_the_counters();
    link_events_follow_the_link();
    a_plan_over_the_whole_chassis_is_all_or_nothing();
    a_switch_that_vanished_is_reported_as_gone();
    return CHECK_RESULT;
}
