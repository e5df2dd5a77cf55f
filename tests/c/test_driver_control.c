/* Capabilities, config space, isolation, bifurcation and port bindings. */
#include "check.h"
#include "control_image.h"
#include "quick_switch.h"

enum { PF = FAB_AT_FUNCTION | PDFID(0, 0), VF = FAB_AT_FUNCTION | PDFID(0, 1) };

static void every_capability_is_listed_with_its_place(void) {
    struct control *c = control_create(0x5200);
    fab_switch *sw = open_quick(c->bar);
    struct fab_capability found[8];
    CHECK_EQ(fab_switch_capabilities(sw, 0, found, 8), 5);
    static const struct fab_capability want[] = {{0x01, 0x40, 3, 0},
                                                 {0x10, AT_PCIE, 2, 0},
                                                 {0x0001, AT_AER, 1, 1},
                                                 {0x000D, AT_ACS, 1, 1},
                                                 {0x0002, AT_VC, 1, 1}};
    for (unsigned k = 0; k < 5; k++) {
        CHECK_EQ(found[k].id, want[k].id);
        CHECK_EQ(found[k].offset, want[k].offset);
        CHECK_EQ(found[k].version, want[k].version);
        CHECK_EQ(found[k].extended, want[k].extended);
        CHECK(fab_capability_name(found[k].id, found[k].extended) != NULL);
    }
    found[1].id = 0x7777;
    CHECK_EQ(fab_switch_capabilities(sw, 0, found, 1), 5); /* counted, not stored */
    CHECK_EQ(found[1].id, 0x7777);
    CHECK_EQ(fab_switch_capabilities(sw, PF, found, 8), 4);
    CHECK_EQ(found[3].id, EXT_CAP_MFVC);
    CHECK_EQ(found[3].offset, AT_MFVC);
    CHECK_EQ(fab_switch_capabilities(sw, VF, found, 8), 3);
    CHECK_EQ(fab_switch_capabilities(sw, 1, found, 8), -ENOENT);
    CHECK_EQ(fab_switch_capabilities(sw, 200, found, 8), -ENOENT);
    CHECK_EQ(fab_switch_capabilities(sw, 0x20000, found, 8), -EINVAL);
    CHECK_EQ(fab_switch_capabilities(sw, FAB_AT_FUNCTION | PDFID(5, 0), found, 8), -EREMOTEIO);
    CHECK(fab_capability_name(0x7777, 1) == NULL);
    CHECK(fab_capability_name(0x7777, 0) == NULL);
    control_close(c, sw);
}

static void a_broken_list_is_reported_and_ends(void) {
    static const struct {
        uint32_t at;
        unsigned bytes;
        uint32_t value;
        int rc;
    } cases[] = {
        {AT_VC, 4, 2 | 1 << 16 | (uint32_t)AT_AER << 20, -EPROTO}, /* bites its own tail */
        {AT_VC, 4, 2 | 1 << 16 | (uint32_t)AT_VC << 20, -EPROTO},
        {AT_VC, 4, 2 | 1 << 16 | 0x80u << 20, -EPROTO},  /* back into the standard part */
        {AT_VC, 4, 2 | 1 << 16 | 0x700u << 20, -EPROTO}, /* nothing is there */
        {AT_VC, 4, 0xFFFFFFFF, -EPROTO},
        {AT_VC, 4, 2 | 1 << 16 | 0x900u << 20, 5}, /* behind the window: not reachable, not wrong */
        {AT_ACS, 4, 0, -EPROTO},
        {AT_AER, 4, 0, 2},                      /* none at all */
        {AT_AER, 4, (uint32_t)AT_ACS << 20, 4}, /* a null capability with a successor */
        {AT_PCIE, 2, 0x4010, -EPROTO},
        {AT_PCIE, 2, 0x3010, -EPROTO},
        {0x34, 1, 0x50, 4},
        {0x34, 1, 0, 3},
        {0x34, 1, 0x90, -EPROTO},
        {6, 2, 0, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct control *c = control_create(0x5200);
        fab_switch *sw = open_quick(c->bar);
        struct fab_capability found[8];
        put(port_config(c, 0) + cases[i].at, cases[i].bytes, cases[i].value);
        CHECK_EQ(fab_switch_capabilities(sw, 0, found, 8), cases[i].rc);
        control_close(c, sw);
    }
    struct control *c = control_create(0x5200);
    fab_switch *sw = open_quick(c->bar);
    struct fab_capability found[8];
    CHECK_EQ(fab_switch_capabilities(sw, 0, found, 8), 5);
    memset(port_config(c, 0), 0xFF, PFF_CONFIG_BYTES);
    CHECK_EQ(fab_switch_capabilities(sw, 0, found, 8), -ENODEV);
    control_close(c, sw);
}

static void config_space_is_read_and_written_in_its_widths(void) {
    struct control *c = control_create(0x5200);
    fab_switch *sw = open_quick(c->bar);
    uint32_t value;
    CHECK_EQ(fab_switch_config_read(sw, 0, 0, 4, &value), 0);
    CHECK_EQ(value, 0x520011F8);
    CHECK_EQ(fab_switch_config_read(sw, 0, 3, 1, &value), 0);
    CHECK_EQ(value, 0x52);
    CHECK_EQ(fab_switch_config_read(sw, VF, 2, 2, &value), 0);
    CHECK_EQ(value, 0xFAB0);
    CHECK_EQ(fab_switch_config_write(sw, 0, AT_ACS + ACS_CTRL, 1, 0x15), 0);
    CHECK_EQ(fab_switch_config_read(sw, 0, AT_ACS + ACS_CTRL, 2, &value), 0);
    CHECK_EQ(value, 0x15);
    CHECK_EQ(fab_switch_config_write(sw, VF, AT_ACS + ACS_CTRL, 2, 0xFFFF), 0);
    CHECK_EQ(fab_switch_config_read(sw, VF, AT_ACS + ACS_CTRL, 2, &value), 0);
    CHECK_EQ(value, 0x0C);
    static const struct {
        uint32_t where;
        uint16_t addr;
        uint8_t bytes;
        int rc;
    } bad[] = {{0, 2, 4, -EINVAL},           {0, 1, 2, -EINVAL},       {0, 0, 3, -EINVAL},
               {0, 0, 0, -EINVAL},           {0, 0, 8, -EINVAL},       {0, 0x800, 4, -ERANGE},
               {0, 0x7FE, 4, -EINVAL},       {VF, 0x1000, 1, -ERANGE}, {VF, 0xFFE, 4, -EINVAL},
               {9, 0, 4, -ENOENT},           {64, 0, 4, -ENOENT},      {0x30000, 0, 4, -EINVAL},
               {PF | 0x3F, 0, 4, -EREMOTEIO}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t writes = c->writes;
        int rc = fab_switch_config_read(sw, bad[i].where, bad[i].addr, bad[i].bytes, &value);
        CHECK_EQ(rc, bad[i].rc);
        rc = fab_switch_config_write(sw, bad[i].where, bad[i].addr, bad[i].bytes, 1);
        CHECK_EQ(rc, bad[i].rc);
        if (bad[i].rc != -EREMOTEIO) CHECK_EQ(c->writes, writes);
    }
    control_close(c, sw);
}

static void isolation_is_set_and_what_is_missing_named(void) {
    struct control *c = control_create(0x5200);
    fab_switch *sw = open_quick(c->bar);
    CHECK_EQ(fab_switch_isolate(sw, 0), 0);
    CHECK_EQ(get(port_config(c, 0) + AT_ACS + ACS_CTRL, 2), 0x1F); /* and the others are off */
    uint64_t writes = c->writes;
    CHECK_EQ(fab_switch_isolate(sw, 0), 0);
    CHECK_EQ(c->writes, writes);
    CHECK_EQ(fab_switch_isolate(sw, 32), FAB_ACS_SOURCE_VALIDATION | FAB_ACS_TRANSLATION_BLOCKING);
    CHECK_EQ(get(port_config(c, 2) + AT_ACS + ACS_CTRL, 2), 0x1C);
    CHECK_EQ(fab_switch_isolate(sw, VF), 0);
    CHECK_EQ(get(c->now.functions[1] + AT_ACS + ACS_CTRL, 2), 0x0C);
    extended(c->now.functions[0], AT_AER, 0x0001, AT_ARI); /* without the capability */
    CHECK_EQ(fab_switch_isolate(sw, PF), FAB_ACS_REQUEST_REDIRECT | FAB_ACS_COMPLETION_REDIRECT);
    CHECK_EQ(fab_switch_isolate(sw, 5), -ENOENT);
    c->port_masks[AT_ACS + ACS_CTRL] = 0x0F; /* offered, but one of them does not take */
    put(port_config(c, 1) + AT_ACS + ACS_CTRL, 2, 0);
    CHECK_EQ(fab_switch_isolate(sw, 16), -EIO);
    CHECK_EQ(get(port_config(c, 1) + AT_ACS + ACS_CTRL, 2), 0);
    control_close(c, sw);
}

static void stacks_are_bifurcated_only_as_lanes_allow(void) {
    struct control *c = control_create(0x5100);
    fab_switch *sw = open_quick(c->bar);
    uint8_t widths[FAB_STACK_PORTS];
    CHECK_EQ(fab_switch_bifurcation(sw, 0, widths), 1);
    CHECK_EQ(widths[0], 16);
    CHECK_EQ(fab_switch_bifurcation(sw, 1, widths), 3);
    CHECK(widths[0] == 8 && widths[2] == 4 && widths[4] == 4);
    CHECK_EQ(fab_switch_bifurcation(sw, 2, widths), -EREMOTEIO);
    CHECK_EQ(fab_switch_refusal(sw, NULL), 0x54003);
    static const struct {
        uint8_t widths[FAB_STACK_PORTS];
        uint32_t code; /* 0 = refused */
    } cases[] = {{{8, 0, 0, 0, 8}, 0x40004},
                 {{4, 0, 4, 0, 8}, 0x40202},
                 {{2, 2, 2, 2, 2, 2, 2, 2}, 0x11111111},
                 {{1, 2, 4, 0, 1, 1, 1, 1}, 0xFFFF021F},
                 {{0, 0, 0, 0, 4}, 0x20000},
                 {{16, 1}, 0},
                 {{0, 16}, 0},
                 {{0, 0, 8}, 0},
                 {{0, 4}, 0},
                 {{4, 2}, 0},
                 {{8, 0, 0, 4}, 0},
                 {{3}, 0},
                 {{32}, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t writes = c->writes;
        uint32_t before = c->now.bifurcation[0];
        int rc = fab_switch_bifurcation_set(sw, 0, cases[i].widths);
        CHECK_EQ(rc, cases[i].code ? 0 : -EINVAL);
        CHECK_EQ(c->now.bifurcation[0], cases[i].code ? cases[i].code : before);
        if (!cases[i].code) CHECK_EQ(c->writes, writes); /* nothing was sent */
    }
    static const uint8_t one[FAB_STACK_PORTS] = {1};
    CHECK_EQ(fab_switch_bifurcation_set(sw, 1, one), -EREMOTEIO);
    CHECK_EQ(fab_switch_refusal(sw, NULL), 0x54043);
    c->now.bifurcation[1] = 3; /* no such code */
    CHECK_EQ(fab_switch_bifurcation(sw, 1, widths), -EPROTO);
    control_close(c, sw);
}

static void ports_are_bound_to_partitions(void) {
    struct control *c = control_create(0x5100);
    fab_switch *sw = open_quick(c->bar);
    struct fab_port_binding all[8];
    CHECK_EQ(fab_switch_port_bindings(sw, all, 8), PSX_PORTS);
    CHECK(!all[0].bound && all[3].bound && all[3].partition == 1 && all[3].logical == 5);
    c->slow_binds = 3;
    CHECK_EQ(fab_switch_port_bind(sw, 2, 1, 8), 0);
    CHECK_EQ(c->slow_binds, 0); /* waited for */
    CHECK_EQ(fab_switch_port_bindings(sw, all, 1), PSX_PORTS);
    CHECK_EQ(fab_switch_port_bindings(sw, all, 8), PSX_PORTS);
    CHECK(all[1].bound && all[1].partition == 2 && all[1].logical == 1);
    static const struct {
        uint8_t partition, logical, phys, code;
    } bad[] = {{2, 2, 8, 1}, {2, 1, 0, 2}, {2, 9, 99, 4}};
    for (size_t i = 0; i < 3; i++) {
        int rc = fab_switch_port_bind(sw, bad[i].partition, bad[i].logical, bad[i].phys);
        CHECK_EQ(rc, -EREMOTEIO);
        CHECK_EQ(fab_switch_refusal(sw, NULL), bad[i].code);
    }
    CHECK_EQ(fab_switch_port_unbind(sw, 2, 1), 0);
    CHECK_EQ(c->now.psx[1][3], 0);
    CHECK_EQ(fab_switch_port_unbind(sw, 2, 1), -ENOENT);
    c->failed_binds = 1; /* taken on, and then said to have failed */
    CHECK_EQ(fab_switch_port_bind(sw, 2, 1, 0), -EIO);
    c->failed_binds = 0;
    c->slow_binds = UINT32_MAX;
    CHECK_EQ(fab_switch_port_bind(sw, 2, 1, 8), -ENOTRECOVERABLE); /* without end */
    control_close(c, sw);
}

static void a_hung_command_leaves_its_name(void) {
    struct control *c = control_create(0x5200);
    fab_switch *sw = open_quick(c->bar);
    uint8_t widths[FAB_STACK_PORTS];
    uint32_t command = 0;
    c->fault = HANG;
    c->countdown = 1;
    CHECK_EQ(fab_switch_bifurcation(sw, 0, widths), -ETIMEDOUT);
    CHECK_EQ(fab_switch_refusal(sw, &command), MRPC_IN_PROGRESS);
    CHECK_EQ(command, MRPC_STACK_BIF);
    control_close(c, sw);
}

int main(void) {
    every_capability_is_listed_with_its_place();
    a_broken_list_is_reported_and_ends();
    config_space_is_read_and_written_in_its_widths();
    isolation_is_set_and_what_is_missing_named();
    stacks_are_bifurcated_only_as_lanes_allow();
    ports_are_bound_to_partitions();
    a_hung_command_leaves_its_name();
    return CHECK_RESULT;
}
