/* Any register writes to an emulated node: it answers without a fault, and the driver that reads
 * what they left finds an error or an answer, but always an end.
 * At least 10 executions a second. */
#include <stdlib.h>
#include <string.h>

#include "../c/default_node.h"
#include "fabcore.h"
#include "regs.h"

/* What a switch tells of itself, whatever was written to it. */
static void tell(fab_switch *sw) {
    struct fab_event events[64];
    struct fab_event_counter counters[FAB_STACK_COUNTERS];
    struct fab_port_counters bytes;
    struct fab_latency latency;
    double celsius[4];
    uint8_t port = 16;
    int n = fab_switch_events(sw, events, 64);
    for (int k = 0; k < n; k++)
        if (!fab_event_name(events[k].event)) abort();
    fab_switch_event_enable(sw, FAB_EVENT_ALL, FAB_EVENT_ALL, FAB_EVENT_IRQ, 1);
    fab_switch_event_clear(sw, FAB_EVENT_ALL, FAB_EVENT_ALL);
    fab_switch_event_counters(sw, 2, 0, FAB_STACK_COUNTERS, 1, counters);
    fab_switch_counters(sw, &port, 1, &bytes);
    fab_switch_latency(sw, &port, 1, 1, &latency);
    fab_switch_temperature(sw, celsius, 4);
}

static void drive(fab_bar *bar) {
    struct fab_port_info ports[FAB_MAX_PORTS];
    struct fab_switch_info info;
    uint8_t table[256];
    fab_switch *sw = NULL;
    if (fab_switch_open(bar, &sw)) return;
    fab_switch_set_timeout(sw, 1000000);
    fab_switch_identify(sw, &info);
    int n = fab_switch_ports(sw, ports, FAB_MAX_PORTS);
    for (int k = 0; k < n; k++) fab_switch_port_table(sw, ports[k].port, table, sizeof table);
    fab_switch_link_events(sw, table, sizeof table);
    tell(sw);
    fab_switch_close(sw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct default_node spec;
    fab_node *node = NULL;
    default_node_fill(&spec);
    if (fab_node_create(&spec.config, spec.ports, NULL, &node)) abort();
    fab_bar *bar = fab_node_bar(node, 0);
    while (size >= 13) { /* width and area, offset, value */
        /* mailbox; doorbell and DMA; global events; a partition and its events; config spaces and
         * events of the first ports; all of it */
        static const struct {
            uint32_t at, bytes;
        } areas[8] = {{0, 0x820},
                      {0x800, 0x20},
                      {0x1800, 0x200},
                      {GAS_PART_CFG, 2 * GAS_PART_STRIDE},
                      {GAS_PFF, 0x800},
                      {GAS_PFF + PFF_EVENT_SUMMARY, 0x200},
                      {GAS_PFF, 8 * GAS_PFF_STRIDE},
                      {0, FAB_GAS_BYTES}};
        uint32_t off, area = data[0] >> 2 & 7;
        uint64_t value;
        unsigned width = 1u << (data[0] & 3);
        memcpy(&off, data + 1, 4);
        memcpy(&value, data + 5, 8);
        off = areas[area].at + off % areas[area].bytes;
        off &= ~(width - 1);
        if (width == 8)
            fab_bar_write64(bar, off, value);
        else if (width == 4)
            fab_bar_write32(bar, off, (uint32_t)value);
        else if (width == 2)
            fab_bar_write16(bar, off, (uint16_t)value);
        else
            fab_bar_write8(bar, off, (uint8_t)value);
        data += 13;
        size -= 13;
    }
    fab_node_advance(node, 0.002);
    drive(bar);
    fab_node_close(node);
    return 0;
}
