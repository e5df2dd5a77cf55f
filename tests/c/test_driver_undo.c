/* Every operation of the driver, with a write that fails at each of its steps, leaves things as
 * they were; alone, and as one step of a change. */
#include <math.h>

#include "check.h"
#include "control_image.h"
#include "quick_switch.h"

#define WAIT_NS 2000000

typedef int (*operation)(fab_switch *sw);

static int write_config(fab_switch *sw) {
    return fab_switch_config_write(sw, 0, AT_PCIE + PCIE_LINK_CONTROL, 2, 0x43);
}
static int write_function_config(fab_switch *sw) {
    return fab_switch_function_write(sw, PDFID(0, 1), AT_ARI + ARI_CONTROL, 2, 0x30);
}
static int isolate_port(fab_switch *sw) {
    return fab_switch_isolate(sw, 0);
}
static int isolate_function(fab_switch *sw) {
    return fab_switch_isolate(sw, FAB_AT_FUNCTION | PDFID(0, 1));
}
static int map_channels(fab_switch *sw) {
    static const struct fab_vc wish[VCS] = {{.enabled = 1, .tcs = 0x03},
                                            {.enabled = 1, .id = 5, .tcs = 0x0C},
                                            {.enabled = 1, .id = 2, .tcs = 0x70},
                                            {.id = 3}};
    return fab_switch_vc_map(sw, 0, wish, VCS);
}
static int load_between(fab_switch *sw) {
    uint8_t entries[64] = {0};
    return (int)fab_switch_load_vc_table(sw, 32, entries, 64);
}
static int load_port(fab_switch *sw) {
    uint8_t entries[PHASES];
    memset(entries, 16, sizeof entries);
    return (int)fab_switch_load_vc_port_table(sw, 0, 1, entries, PHASES);
}
static int load_groups(fab_switch *sw) {
    uint8_t entries[32];
    memset(entries, 5, sizeof entries);
    return (int)fab_switch_load_function_table(sw, PDFID(0, 0), entries, 32);
}
static int set_group(fab_switch *sw) {
    return fab_switch_function_group(sw, PDFID(0, 1), 6);
}
static int shape(fab_switch *sw) {
    return fab_switch_function_shape(sw, PDFID(1, 0), 1e9, 2e9, 3e9, INFINITY);
}
static int slow_down(fab_switch *sw) {
    return fab_switch_link_speed(sw, 0, 3, WAIT_NS);
}
static int disable_downstream(fab_switch *sw) {
    return fab_switch_link_disable(sw, 32, 1);
}
static int disable_upstream(fab_switch *sw) {
    return fab_switch_link_disable(sw, 16, 1);
}
static int bifurcate(fab_switch *sw) {
    static const uint8_t widths[FAB_STACK_PORTS] = {8, 0, 0, 0, 4, 0, 1, 2};
    return fab_switch_bifurcation_set(sw, 0, widths);
}
static int bind(fab_switch *sw) {
    return fab_switch_bind(sw, 0, 16, 1, PDFID(0, 1));
}
static int unbind(fab_switch *sw) {
    return fab_switch_unbind(sw, 0, 16, 2, PDFID(0, 1));
}
static int bind_port(fab_switch *sw) {
    return fab_switch_port_bind(sw, 1, 3, 8);
}
static int unbind_port(fab_switch *sw) {
    return fab_switch_port_unbind(sw, 1, 5);
}

static const struct {
    const char *name;
    operation run;
} operations[] = {
    {"config write", write_config},
    {"function config write", write_function_config},
    {"isolate port", isolate_port},
    {"isolate function", isolate_function},
    {"map channels", map_channels},
    {"table between channels", load_between},
    {"table of a channel", load_port},
    {"table of groups", load_groups},
    {"group", set_group},
    {"shape", shape},
    {"speed", slow_down},
    {"disable downstream", disable_downstream},
    {"disable upstream", disable_upstream},
    {"bifurcate", bifurcate},
    {"bind", bind},
    {"unbind", unbind},
    {"bind port", bind_port},
    {"unbind port", unbind_port},
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

static bool same(struct control *c, const struct state *before) {
    struct state now = snapshot(c);
    return memcmp(&now, before, sizeof now) == 0;
}

/* Ends when the operation is through before the fault strikes; returns how often it failed. */
static unsigned fail_everywhere(unsigned i, enum fault fault, bool in_change) {
    unsigned failures = 0;
    for (uint64_t step = 1; step < 500; step++) {
        struct control *c = control_create(0x5200);
        fab_switch *sw = open_quick(c->bar);
        fab_change *change;
        struct fab_change_report report;
        struct fab_link link;
        CHECK_EQ(fab_change_open(128, &change), 0);
        CHECK_EQ(fab_switch_link(sw, 0, &link), 0); /* who it is has been asked */
        struct state before = snapshot(c);
        if (in_change) {
            CHECK_EQ(fab_change_begin(change, &sw, 1), 0);
            CHECK_EQ(fab_switch_isolate(sw, 16), 0);
            CHECK_EQ(fab_switch_bind(sw, 0, 16, 3, PDFID(1, 0)), 0);
            CHECK_EQ(fab_switch_link_speed(sw, 32, 2, WAIT_NS), 0);
        }
        c->fault = fault;
        c->countdown = step;
        int rc = operations[i].run(sw), end = 0;
        bool struck = c->countdown == 0;
        c->countdown = 0;
        if (in_change) end = fab_change_commit(change, &report);
        if (rc < 0 || end < 0) {
            failures++;
            if (!same(c, &before)) {
                fprintf(stderr, "%s, fault %d at step %d: not as before (%d)\n", operations[i].name,
                        fault, (int)step, rc);
                check_failures++;
            }
            CHECK(rc != -ENOTRECOVERABLE && rc != -ECANCELED);
            if (in_change) {
                CHECK_EQ(end, rc);
                CHECK_EQ(report.error, rc);
                CHECK_EQ(report.failed, 3);
                CHECK(report.rolled_back >= 3);
            }
        }
        fab_change_close(change);
        fab_switch_close(sw);
        control_free(c);
        if (!struck) {
            CHECK(rc >= 0);
            return failures;
        }
    }
    CHECK(!"an operation without end");
    return failures;
}

static void a_failure_at_any_step_leaves_things_as_they_were(void) {
    for (unsigned i = 0; i < OPERATIONS; i++) {
        for (int in_change = 0; in_change < 2; in_change++) {
            CHECK(fail_everywhere(i, REFUSE, in_change) > 0);
            fail_everywhere(i, LOSE, in_change);
            fail_everywhere(i, HANG, in_change);
            fail_everywhere(i, HANG_DONE, in_change);
        }
    }
}

/* All of them in one change; then back, or kept. */
static void a_change_over_everything_is_rolled_back_whole(void) {
    struct control *c = control_create(0x5200);
    fab_switch *sw = open_quick(c->bar);
    fab_change *change;
    struct fab_change_report report;
    CHECK_EQ(fab_change_open(64, &change), 0);
    CHECK_EQ(fab_change_roll_back(change, NULL), -EINVAL);
    struct state before = snapshot(c);
    CHECK_EQ(fab_change_begin(change, &sw, 1), 0);
    CHECK_EQ(fab_change_begin(change, &sw, 1), -EBUSY);
    for (unsigned i = 0; i < OPERATIONS; i++) CHECK(operations[i].run(sw) >= 0);
    CHECK(!same(c, &before));
    CHECK_EQ(fab_change_roll_back(change, &report), 0);
    CHECK(report.steps > OPERATIONS);
    CHECK_EQ(report.rolled_back, report.steps);
    CHECK_EQ(report.failed, -1);
    CHECK(same(c, &before));
    CHECK_EQ(fab_change_begin(change, &sw, 1), 0);
    for (unsigned i = 0; i < OPERATIONS; i++) CHECK(operations[i].run(sw) >= 0);
    struct state after = snapshot(c);
    CHECK_EQ(fab_change_commit(change, &report), 0);
    CHECK(same(c, &after));
    CHECK_EQ(fab_change_begin(change, &sw, 1), 0);
    CHECK(bifurcate(sw) >= 0 && slow_down(sw) >= 0); /* nothing to do: nothing to undo */
    CHECK_EQ(fab_switch_port_control(sw, 0, FAB_PORT_HOT_RESET), -EOPNOTSUPP);
    CHECK_EQ(fab_change_commit(change, &report), -EOPNOTSUPP);
    CHECK_EQ(report.steps, 0);
    CHECK_EQ(report.failed, 2);
    fab_change_close(change);
    CHECK(same(c, &after));
    fab_switch_close(sw);
    control_free(c);
}

static void after_a_failure_a_change_takes_nothing_more(void) {
    struct control *c = control_create(0x5200);
    fab_switch *sw = open_quick(c->bar);
    fab_change *change;
    struct fab_change_report report;
    CHECK_EQ(fab_change_open(2, &change), 0);
    struct state before = snapshot(c);
    CHECK_EQ(fab_change_begin(change, &sw, 1), 0);
    CHECK_EQ(isolate_port(sw), 0);
    CHECK_EQ(fab_switch_bind(sw, 0, 17, 1, 5), -EREMOTEIO); /* no such host */
    uint64_t writes = c->writes;
    CHECK_EQ(bind_port(sw), -ECANCELED);
    CHECK_EQ(write_config(sw), -ECANCELED);
    CHECK_EQ(fab_change_commit(change, &report), -EREMOTEIO);
    CHECK_EQ(report.failed, 1);
    CHECK_EQ(report.rolled_back, 1);
    CHECK(c->writes > writes);
    CHECK(same(c, &before));
    CHECK_EQ(fab_change_begin(change, &sw, 1), 0); /* and it can be used again */
    CHECK_EQ(map_channels(sw), -ENOSPC);           /* twelve steps at most */
    CHECK(same(c, &before));
    fab_change_close(change);
    fab_switch_close(sw);
    control_free(c);
}

/* A way back that fails is said, and the others are walked all the same. */
static void a_way_back_that_fails_is_told(void) {
    struct control *c = control_create(0x5200);
    fab_switch *sw = open_quick(c->bar);
    fab_change *change;
    struct fab_change_report report;
    CHECK_EQ(fab_change_open(8, &change), 0);
    CHECK_EQ(fab_change_begin(change, &sw, 1), 0);
    CHECK_EQ(isolate_port(sw), 0);
    CHECK_EQ(bifurcate(sw), 0);
    c->port_masks[AT_ACS + ACS_CTRL] = 0; /* from now on it sticks */
    CHECK_EQ(fab_change_roll_back(change, &report), -EIO);
    CHECK_EQ(report.rolled_back, -1);
    CHECK_EQ(c->now.bifurcation[0], 8);
    c->fault = HANG_DONE; /* it takes the code, never answers, and neither does anything after it */
    c->countdown = 2;
    c->for_good = true;
    CHECK_EQ(bifurcate(sw), -ENOTRECOVERABLE);
    CHECK(c->now.bifurcation[0] != 8);
    fab_change_close(change);
    fab_switch_close(sw);
    control_free(c);
}

int main(void) {
    a_failure_at_any_step_leaves_things_as_they_were();
    a_change_over_everything_is_rolled_back_whole();
    after_a_failure_a_change_takes_nothing_more();
    a_way_back_that_fails_is_told();
    return CHECK_RESULT;
}
