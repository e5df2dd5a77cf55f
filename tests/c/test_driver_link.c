/* Links and virtual channels: what they negotiated, speeds, classes, tables. */
#include "check.h"
#include "control_image.h"
#include "quick_switch.h"

#define WAIT_NS 2000000
enum { PF = FAB_AT_FUNCTION | PDFID(0, 0) };

static void a_link_says_what_it_negotiated(void) {
    struct control *c = control_create(0x5200);
    fab_switch *sw = open_quick(c->bar);
    struct fab_link link;
    CHECK_EQ(fab_switch_link(sw, 0, &link), 0);
    CHECK_EQ(link.max_lanes, 16);
    CHECK_EQ(link.max_gen, 5);
    CHECK_EQ(link.target_gen, 5);
    CHECK_EQ(link.lanes, 8);
    CHECK_EQ(link.gen, 4);
    CHECK_EQ(link.cfg_lanes, 16);
    CHECK_EQ(link.ltssm, 0x0103);
    CHECK(link.up && link.active && !link.training && !link.disabled);
    CHECK_EQ(fab_switch_link_speed(sw, 0, 3, WAIT_NS), 0);
    CHECK_EQ(c->retrains, 1);
    CHECK_EQ(fab_switch_link(sw, 0, &link), 0);
    CHECK_EQ(link.gen, 3);
    CHECK_EQ(fab_switch_link_speed(sw, 0, 3, WAIT_NS), 0);
    CHECK_EQ(c->retrains, 1); /* it is as wanted */
    CHECK_EQ(fab_switch_link_speed(sw, 0, 5, WAIT_NS), 0);
    CHECK_EQ(fab_switch_link(sw, 0, &link), 0);
    CHECK_EQ(link.gen, 4); /* its other end can no more */
    c->slow_links = 5;
    CHECK_EQ(fab_switch_link_speed(sw, 0, 2, 100 * WAIT_NS), 0); /* waits for the training */
    CHECK_EQ(c->slow_links, 0);
    CHECK_EQ(fab_switch_link_speed(sw, 0, 6, WAIT_NS), -ERANGE);
    CHECK_EQ(fab_switch_link_speed(sw, 0, 0, WAIT_NS), -ERANGE);
    CHECK_EQ(fab_switch_link_speed(sw, 7, 3, WAIT_NS), -ENOENT);
    c->dead_link = true; /* it never comes up again, at no speed */
    CHECK_EQ(fab_switch_link_speed(sw, 0, 1, WAIT_NS), -ETIMEDOUT);
    uint32_t command = 1;
    fab_switch_refusal(sw, &command);
    CHECK_EQ(command, 0); /* no firmware command hangs: the link does not come up */
    CHECK_EQ(get(port_config(c, 0) + AT_PCIE + PCIE_LINK_CONTROL2, 2), 2);
    CHECK_EQ(fab_switch_link_wait(sw, 0, WAIT_NS), -ETIMEDOUT);
    CHECK_EQ(fab_switch_link(sw, 0, &link), 0);
    CHECK(!link.active && link.lanes == 0);
    control_close(c, sw);
}

static void links_are_disabled_by_register_or_firmware(void) {
    struct control *c = control_create(0x5200);
    fab_switch *sw = open_quick(c->bar);
    struct fab_link link;
    CHECK_EQ(fab_switch_link_disable(sw, 0, 1), 0);
    CHECK_EQ(fab_switch_link(sw, 0, &link), 0);
    CHECK(link.disabled && !link.active);
    CHECK_EQ(c->now.off[0], 0);
    CHECK_EQ(fab_switch_link_speed(sw, 0, 2, WAIT_NS), 0); /* for when it is enabled again */
    CHECK_EQ(fab_switch_link_disable(sw, 0, 0), 0);
    CHECK_EQ(fab_switch_link_wait(sw, 0, WAIT_NS), 0);
    CHECK_EQ(fab_switch_link(sw, 0, &link), 0);
    CHECK_EQ(link.gen, 2);
    CHECK_EQ(fab_switch_link_disable(sw, 16, 1), 0); /* upstream: the firmware's */
    CHECK_EQ(c->now.off[1], 1);
    CHECK_EQ(fab_switch_link_disable(sw, 16, 0), 0);
    CHECK_EQ(c->now.off[1], 0);
    control_close(c, sw);
}

static void channels_take_classes_without_sharing_them(void) {
    struct control *c = control_create(0x5200);
    fab_switch *sw = open_quick(c->bar);
    struct fab_vc vcs[FAB_MAX_VCS];
    CHECK_EQ(fab_switch_vcs(sw, 0, vcs, FAB_MAX_VCS), VCS);
    CHECK(vcs[0].enabled && vcs[0].tcs == 0xFF && vcs[0].phases == PHASES);
    CHECK(!vcs[3].enabled && vcs[3].id == 3);
    CHECK_EQ(fab_switch_vcs(sw, PF, vcs, FAB_MAX_VCS), 1);
    struct fab_vc wish[VCS] = {{.enabled = 1, .tcs = 0x0F},
                               {.enabled = 1, .id = 7, .tcs = 0x30},
                               {.id = 2},
                               {.enabled = 1, .id = 3, .tcs = 0xC0}};
    c->slow_vcs = 1;
    CHECK_EQ(fab_switch_vc_map(sw, 0, wish, VCS), 0);
    CHECK_EQ(fab_switch_vcs(sw, 0, vcs, FAB_MAX_VCS), VCS);
    CHECK(vcs[1].enabled && vcs[1].id == 7 && vcs[1].tcs == 0x30 && vcs[1].negotiating);
    CHECK_EQ(vcs[0].tcs, 0x0F);
    CHECK_EQ(fab_switch_vc_wait(sw, 0, WAIT_NS), -ETIMEDOUT);
    c->slow_vcs = 0;
    wish[1].id = 4; /* only while it is off */
    CHECK_EQ(fab_switch_vc_map(sw, 0, wish, VCS), 0);
    wish[3].enabled = 0; /* what one loses the other takes */
    wish[3].tcs = 0;
    wish[1].tcs = 0xF0;
    CHECK_EQ(fab_switch_vc_map(sw, 0, wish, VCS), 0);
    CHECK_EQ(fab_switch_vcs(sw, 0, vcs, FAB_MAX_VCS), VCS);
    CHECK(vcs[1].id == 4 && vcs[1].tcs == 0xF0 && !vcs[3].enabled && !vcs[3].tcs);
    CHECK_EQ(fab_switch_vc_wait(sw, 0, WAIT_NS), 0);
    uint64_t writes = c->writes;
    CHECK_EQ(fab_switch_vc_map(sw, 0, wish, VCS), 0);
    CHECK_EQ(c->writes, writes);
    static const struct fab_vc bad[][2] = {
        {{.enabled = 0, .tcs = 0xFF}, {0}},                            /* VC0 is always on */
        {{.enabled = 1, .tcs = 0xFE}, {0}},                            /* and carries class 0 */
        {{.enabled = 1, .id = 1, .tcs = 1}, {0}},                      /* and is called 0 */
        {{.enabled = 1, .tcs = 3}, {.enabled = 1, .id = 1, .tcs = 2}}, /* shared */
        {{.enabled = 1, .tcs = 1}, {.enabled = 1, .id = 0, .tcs = 2}}, /* same id */
        {{.enabled = 1, .tcs = 1}, {.enabled = 1, .id = 8, .tcs = 2}},
        {{.enabled = 1, .tcs = 1}, {.enabled = 1, .id = 1, .tcs = 0}}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memcpy(wish, bad[i], sizeof bad[i]);
        CHECK_EQ(fab_switch_vc_map(sw, 0, wish, VCS), -EINVAL);
    }
    CHECK_EQ(fab_switch_vc_map(sw, 0, wish, 2), -EINVAL);
    CHECK_EQ(fab_switch_vc_map(sw, 0, NULL, VCS), -EINVAL);
    CHECK_EQ(c->writes, writes);
    CHECK_EQ(fab_switch_vcs(sw, FAB_AT_FUNCTION | PDFID(1, 0), vcs, 8), -EOPNOTSUPP);
    control_close(c, sw);
}

static void tables_between_and_within_channels_are_loaded(void) {
    struct control *c = control_create(0x5200);
    fab_switch *sw = open_quick(c->bar);
    static const struct fab_vc wish[VCS] = {
        {.enabled = 1, .tcs = 0x0F}, {.enabled = 1, .id = 6, .tcs = 0xF0}, {.id = 2}, {.id = 3}};
    uint8_t entries[PHASES], back[PHASES];
    CHECK_EQ(fab_switch_vc_map(sw, 0, wish, VCS), 0);
    for (unsigned i = 0; i < PHASES; i++) entries[i] = i % 3 ? 6 : 0;
    CHECK_EQ(fab_switch_vc_table(sw, 0, back, PHASES), 0); /* fixed */
    CHECK_EQ(fab_switch_load_vc_table(sw, 0, entries, 64), 8 + 2);
    CHECK_EQ(fab_switch_vc_table(sw, 0, back, PHASES), 64);
    CHECK_EQ(memcmp(back, entries, 64), 0);
    CHECK_EQ(c->now.in_force[0][VCS][0], 0x60); /* 4 bits each, the low half first */
    CHECK_EQ(get(port_config(c, 0) + AT_VC + VC_CONTROL, 2), 2 << 1);
    entries[9] = 0;
    CHECK_EQ(fab_switch_load_vc_table(sw, 0, entries, 64), 0);
    entries[9] = 6;
    CHECK_EQ(fab_switch_load_vc_table(sw, 0, entries, 64), 2); /* its dword, and the load */
    entries[9] = 2;                                            /* not enabled */
    CHECK_EQ(fab_switch_load_vc_table(sw, 0, entries, 64), -EINVAL);
    CHECK_EQ(fab_switch_load_vc_table(sw, 0, entries, 256), -EOPNOTSUPP);
    CHECK_EQ(fab_switch_load_vc_table(sw, 0, entries, 50), -EINVAL);
    for (unsigned vc = 0; vc < VCS; vc++) {
        memset(entries, vc % 2 ? 16 : 32, sizeof entries);
        CHECK(fab_switch_load_vc_port_table(sw, 0, (uint8_t)vc, entries, PHASES) > 0);
    }
    for (unsigned vc = 0; vc < VCS; vc++) {
        CHECK_EQ(fab_switch_vc_port_table(sw, 0, (uint8_t)vc, back, PHASES), PHASES);
        CHECK_EQ(back[PHASES - 1], vc % 2 ? 16 : 32);
        CHECK_EQ(c->now.in_force[0][vc][0], vc % 2 ? 16 : 32);
    }
    CHECK_EQ(fab_switch_port_table(sw, 0, back, PHASES), PHASES); /* that of channel 0 */
    CHECK_EQ(back[0], 32);
    CHECK_EQ(fab_switch_load_vc_port_table(sw, 0, VCS, entries, PHASES), -ENOENT);
    CHECK_EQ(fab_switch_vc_port_table(sw, 0, VCS, back, PHASES), -ENOENT);
    control_close(c, sw);
}

int main(void) {
    a_link_says_what_it_negotiated();
    links_are_disabled_by_register_or_firmware();
    channels_take_classes_without_sharing_them();
    tables_between_and_within_channels_are_loaded();
    return CHECK_RESULT;
}
