/* The driver reads the fabric's database and events of the emulated node. */
#define _GNU_SOURCE
#include <errno.h>

#include "emulator_client.h"

static fab_switch *open_switch(fab_node *node, size_t sw) {
    fab_switch *s = NULL;
    CHECK_EQ(fab_switch_open(fab_node_bar(node, sw), &s), 0);
    return s;
}

static void test_functions_come_with_their_bars_and_bindings(void) {
    fab_node *node = make();
    fab_switch *sw = open_switch(node, 1);
    static struct fab_gfms_function f[80];
    CHECK_EQ(bind(node, 3, 24, 7, 0xC1), 0); /* module 3's first VF to host 7 */
    CHECK_EQ(fab_switch_gfms_functions(sw, f, 80), 66);
    CHECK_EQ(f[0].pdfid, 0x80);
    CHECK_EQ(f[0].port, 0);
    CHECK_EQ(f[0].kind, FAB_GFMS_SRIOV_PF);
    CHECK_EQ(f[0].vfs, 32);
    CHECK_EQ(f[0].device, 0xFAB0);
    CHECK_EQ(f[0].class_code, 0x120000);
    CHECK_EQ(f[0].bars, 1);
    CHECK_EQ(f[0].bar_type[0], 0xC);
    CHECK_EQ(f[0].bar_log2[0], 24);
    CHECK_EQ(f[0].bound, 0);
    CHECK_EQ(f[34].pdfid, 0xC1);
    CHECK_EQ(f[34].port, 8);
    CHECK_EQ(f[34].function, 1);
    CHECK_EQ(f[34].kind, FAB_GFMS_VF);
    CHECK_EQ(f[34].bound, 1);
    CHECK_EQ(f[34].host_switch, 3);
    CHECK_EQ(f[34].host_port, 24);
    CHECK_EQ(f[34].logical, 7);
    memset(f, 0xEE, sizeof f);
    CHECK_EQ(fab_switch_gfms_functions(sw, f, 2), 66); /* how many there are */
    CHECK_EQ(f[1].pdfid, 0x81);
    CHECK_EQ(f[2].pdfid, 0xEEEE);
    CHECK_EQ(fab_switch_gfms_functions(sw, NULL, 0), 66);
    fab_switch_close(sw);
    fab_node_close(node);
}

static void test_hosts_and_what_is_bound_to_them(void) {
    fab_node *node = make();
    fab_switch *sw = open_switch(node, 2);
    struct fab_gfms_host hosts[4];
    struct fab_gfms_binding bindings[300];
    for (unsigned k = 0; k < 256; k++)
        CHECK_EQ(bind(node, 2, 24, k, (k / 32) << 6 | (k % 32 + 1)), 0);
    CHECK_EQ(bind(node, 2, 16, 31, 0x40), 0);
    CHECK_EQ(fab_switch_gfms_hosts(sw, hosts, 4), 2);
    CHECK_EQ(hosts[0].hvd, 4);
    CHECK_EQ(hosts[0].port, 16);
    CHECK_EQ(hosts[0].logical_ports, 32);
    CHECK_EQ(hosts[0].bound, 1);
    CHECK_EQ(hosts[1].hvd, 5);
    CHECK_EQ(hosts[1].bound, 256);
    CHECK_EQ(fab_switch_gfms_bindings(sw, bindings, 300), 257);
    CHECK_EQ(bindings[0].logical, 31);
    CHECK_EQ(bindings[0].pdfid, 0x40);
    CHECK_EQ(bindings[0].port, 16);
    for (unsigned k = 0; k < 256; k++) {
        CHECK_EQ(bindings[k + 1].logical, k);
        CHECK_EQ(bindings[k + 1].slot, k / 32);
        CHECK_EQ(bindings[k + 1].pdfid, (k / 32) << 6 | (k % 32 + 1));
        CHECK_EQ(fab_switch_unbind(sw, 2, 24, bindings[k + 1].logical, 0), 0);
    }
    CHECK_EQ(fab_switch_gfms_bindings(sw, bindings, 300), 1);
    fab_switch_close(sw);
    fab_node_close(node);
}

static void test_the_pax_in_short(void) {
    fab_node *node = make();
    fab_switch *sw = open_switch(node, 3);
    struct fab_gfms_pax pax;
    CHECK_EQ(fab_node_fault(node, 3, FAB_FAULT_LINK_DOWN, 0, 0), 0);
    CHECK_EQ(fab_switch_gfms_pax(sw, &pax), 0);
    CHECK_EQ(pax.pax, 3);
    CHECK_EQ(pax.swfid, 3);
    CHECK_EQ(pax.ports, 7);
    CHECK_EQ(pax.hosts, 2);
    CHECK_EQ(pax.devices, 1);
    CHECK_EQ(pax.functions, 33);
    CHECK_EQ(pax.pdfid[0], 6 << 6);
    CHECK_EQ(pax.pdfid[1], 7 << 6 | 32);
    CHECK_EQ(pax.module_ports, 0x101);
    CHECK_EQ(pax.fabric_ports, UINT64_C(0x10100000000));
    CHECK_EQ(fab_switch_gfms_functions(sw, NULL, 0), 33); /* the dead module's are not there */
    fab_switch_close(sw);
    fab_node_close(node);
}

static void test_events_are_read_and_cleared(void) {
    fab_node *node = make();
    fab_switch *sw = open_switch(node, 0);
    static struct fab_gfms_event e[200];
    uint32_t left = 9;
    int lost = 9;
    CHECK_EQ(fab_switch_gfms_events(sw, e, 200, &left, &lost), 0);
    CHECK_EQ(left, 0);
    CHECK_EQ(lost, 0);
    CHECK_EQ(fab_switch_bind(sw, 1, 16, 4, 0x41), 0);
    CHECK_EQ(fab_node_fault(node, 1, FAB_FAULT_LINK_DOWN, 16, 0), 0);
    CHECK_EQ(fab_switch_gfms_events(sw, e, 1, &left, NULL), 1);
    CHECK_EQ(left, 2);
    CHECK_EQ(fab_switch_gfms_events(sw, e, 200, NULL, NULL), 3);
    CHECK_EQ(e[0].code, FAB_GFMS_BOUND);
    CHECK_EQ(e[0].sw, 1);
    CHECK_EQ(e[0].bytes, 8);
    CHECK_EQ(e[0].data[1], 16);
    CHECK_EQ(e[0].data[4], 0x41);
    CHECK_EQ(e[1].code, FAB_GFMS_DATABASE_CHANGED);
    CHECK_EQ(e[2].code, FAB_GFMS_HOST_DOWN);
    CHECK_EQ(e[2].bytes, 4);
    CHECK_EQ(e[2].data[0], 16);
    CHECK_EQ(fab_switch_gfms_clear(sw), 0);
    CHECK_EQ(fab_switch_gfms_events(sw, e, 200, NULL, NULL), 0);
    fab_switch_close(sw);
    fab_node_close(node);
}

static void test_ports_that_a_bifurcation_made_are_unused(void) {
    fab_node *node = make();
    fab_switch *sw = open_switch(node, 0);
    struct fab_port_info ports[FAB_MAX_PORTS];
    uint8_t split[8] = {1, 0, 0, 0, 4, 0, 4, 0}; /* x8 and x8 */
    CHECK_EQ(command(node, 0, LOCAL(0x0B), split, 8, NULL, 0), 0);
    CHECK_EQ(fab_switch_ports(sw, ports, FAB_MAX_PORTS), 8);
    CHECK_EQ(ports[1].port, 4);
    CHECK_EQ(ports[1].kind, FAB_PORT_UNUSED);
    CHECK_EQ(ports[1].pff, 7);
    CHECK_EQ(ports[1].cfg_lanes, 8);
    CHECK_EQ(ports[7].port, 48);
    CHECK_EQ(ports[7].kind, FAB_PORT_MANAGEMENT);
    fab_switch_close(sw);
    fab_node_close(node);
}

static void test_other_families_and_dead_switches_say_so(void) {
    fab_node *node = NULL;
    struct fab_gfms_pax pax;
    default_node_fill(&plan);
    plan.config.device_id[0] = 0x5100;
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, NULL, &node), 0);
    fab_switch *psx = open_switch(node, 0), *sw = open_switch(node, 1);
    CHECK_EQ(fab_switch_gfms_pax(psx, &pax), -EOPNOTSUPP);
    CHECK_EQ(fab_switch_gfms_functions(psx, NULL, 0), -EOPNOTSUPP);
    CHECK_EQ(fab_switch_gfms_clear(psx), -EOPNOTSUPP);
    CHECK_EQ(fab_switch_gfms_functions(sw, NULL, 0), 66);
    CHECK_EQ(fab_node_fault(node, 1, FAB_FAULT_GONE, 0, 0), 0);
    CHECK_EQ(fab_switch_gfms_functions(sw, NULL, 0), -ENODEV);
    CHECK_EQ(fab_switch_gfms_events(sw, NULL, 0, NULL, NULL), -ENODEV);
    fab_switch_close(sw);
    fab_switch_close(psx);
    fab_node_close(node);
}

int main(void) {
    test_functions_come_with_their_bars_and_bindings();
    test_hosts_and_what_is_bound_to_them();
    test_the_pax_in_short();
    test_events_are_read_and_cleared();
    test_ports_that_a_bifurcation_made_are_unused();
    test_other_families_and_dead_switches_say_so();
    return CHECK_RESULT;
}
