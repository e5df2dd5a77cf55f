/* Any register writes to an emulated node: it answers without a fault, and the driver that reads
 * what they left finds an error or an answer, but always an end. */
#include <stdlib.h>
#include <string.h>

#include "../c/default_node.h"
#include "fabcore.h"
#include "regs.h"

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
    fab_switch_close(sw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct default_node spec;
    fab_node *node = NULL;
    default_node_fill(&spec);
    if (fab_node_create(&spec.config, spec.ports, NULL, &node)) abort();
    fab_bar *bar = fab_node_bar(node, 0);
    while (size >= 13) { /* width and area, offset, value */
        static const uint32_t area[4] = {0, 0x800, GAS_PFF, 0};
        uint32_t off;
        uint64_t value;
        unsigned width = 1u << (data[0] & 3);
        memcpy(&off, data + 1, 4);
        memcpy(&value, data + 5, 8);
        off = area[data[0] >> 2 & 3] + off % ((data[0] >> 2 & 3) == 3 ? FAB_GAS_BYTES : 0x2000);
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
