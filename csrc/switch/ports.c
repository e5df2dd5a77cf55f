/* The ports of a switch: kind, index, link and arbitration, from registers and firmware commands.
 */
#include <errno.h>
#include <string.h>

#include "driver.h"

enum {
    LINK_RECORDS = 60, /* Gen5; Gen4 answers 52, Gen6 20 */
    LINK_RECORD_BYTES = 12,
    SLOT_CAP = 0x14, /* in the PCI Express capability: physical slot number in [31:19] */
    FAB_PORT_BYTES = 32,
};

struct link_record {
    uint8_t port, partition, logical, stack;
    uint8_t cfg_lanes, neg_lanes, upstream, rate; /* rate: bit 7 = up, below it the generation */
    uint16_t ltssm;
    uint8_t lane_reversal, first_lane;
};
_Static_assert(sizeof(struct link_record) == LINK_RECORD_BYTES, "as the firmware answers it");

/* The scan ends at the first PFF that is none of the vendor's. Two PFFs may share a port (an
 * upstream port and its management endpoint): the first is the port's own. */
int fab_switch_scan(fab_switch *sw, bool again) {
    if (sw->pffs && !again) return 0;
    uint64_t present = 0;
    unsigned pffs = 0;
    uint8_t port_of_pff[GAS_PFF_MAX], pff_of_port[PORT_IDS];
    memset(pff_of_port, 0xFF, sizeof pff_of_port);
    int rc = fab_bar_read_block(sw->bar, GAS_PFF_PORT, port_of_pff, sizeof port_of_pff);
    if (rc < 0) return rc;
    for (; pffs < GAS_PFF_MAX; pffs++) {
        uint16_t vendor;
        rc = fab_bar_read16(sw->bar, GAS_PFF + (uint64_t)GAS_PFF_STRIDE * pffs, &vendor);
        if (rc < 0) return rc;
        if (vendor != PFF_VENDOR) break;
        uint8_t port = port_of_pff[pffs];
        if (port >= PORT_IDS || (present >> port & 1)) continue;
        present |= UINT64_C(1) << port;
        pff_of_port[port] = (uint8_t)pffs;
    }
    rc = fab_switch_gone(sw, pffs ? 0 : -EPROTO);
    if (rc < 0) return rc;
    sw->pffs = pffs;
    sw->present = present;
    memcpy(sw->port_of_pff, port_of_pff, sizeof port_of_pff);
    memcpy(sw->pff_of_port, pff_of_port, sizeof pff_of_port);
    return 0;
}

static int read_links(fab_switch *sw, struct link_record out[LINK_RECORDS], unsigned *n) {
    uint64_t all[2] = {0, 0}; /* 0 = every port; Gen6 has two words */
    int rc = fab_switch_ready(sw);
    if (rc < 0) return rc;
    *n = sw->generation == 6 ? 20 : sw->generation == 5 ? 60 : 52;
    return fab_switch_command(sw, MRPC_LINK_STATUS, all, sw->generation == 6 ? 16 : 8, out,
                              *n * LINK_RECORD_BYTES);
}

static void take_link(const struct link_record *links, unsigned n, struct fab_port_info *info) {
    for (unsigned i = 0; i < n; i++) {
        if (links[i].stack >> 4 > 10 || links[i].port != info->port) continue; /* unused record */
        info->cfg_lanes = links[i].cfg_lanes;
        info->up = links[i].rate >> 7;
        info->neg_lanes = info->up ? links[i].neg_lanes : 0;
        info->gen = info->up ? links[i].rate & 0x7F : 0;
        info->ltssm = links[i].ltssm;
        return;
    }
}

/* A module is named by the physical slot number of its downstream port: index + 1. */
static int module_index(const struct fab_space *space, uint8_t *index) {
    uint32_t slot;
    int rc = fab_capability_find(space, CAP_PCIE);
    if (rc <= 0) return rc;
    rc = fab_space_read(space, (uint32_t)rc + SLOT_CAP, &slot, 1);
    if (rc < 0) return rc;
    if (slot >> 19 >= 1 && slot >> 19 <= 0xFF) *index = (uint8_t)((slot >> 19) - 1);
    return 0;
}

static int fabric_peer(fab_switch *sw, struct fab_port_info *info) {
    uint8_t in[2] = {GFMS_FAB_PORT, info->port}, out[FAB_PORT_BYTES];
    int rc = fab_switch_command(sw, MRPC_GFMS_DUMP, in, sizeof in, out, sizeof out);
    if (rc < 0) return rc;
    if (out[16] == NOT_ATTACHED) return 0;
    info->peer_port = out[16];
    info->peer_switch = out[17];
    return 0;
}

/* A downstream port leads to whatever hangs on it, not to the manager. */
static int without_part(const struct fab_space *space, struct fab_port_info *info) {
    enum { PORT_TYPE_SHIFT = 20, DOWNSTREAM = 6 };
    uint32_t flags = 0;
    int rc = info->cfg_lanes ? fab_capability_find(space, CAP_PCIE) : 0;
    if (rc > 0) rc = fab_space_read(space, (uint32_t)rc, &flags, 1);
    if (rc < 0) return rc;
    int downstream = (flags >> PORT_TYPE_SHIFT & 0xF) == DOWNSTREAM;
    info->kind = info->cfg_lanes && !downstream ? FAB_PORT_MANAGEMENT : FAB_PORT_UNUSED;
    return 0;
}

/* Kind and index. A port that has lanes but no part in the fabric's configuration is the one that
 * the manager itself sits on, or one that a bifurcation made and nothing uses. */
static int take_kind(fab_switch *sw, const struct fab_space *space, struct fab_port_info *info) {
    uint8_t in[4] = {1, info->port, 0, 0}, out[4]; /* out: type, clock, sris, hvd */
    int rc = fab_switch_command(sw, MRPC_PORT_CONFIG, in, sizeof in, out, sizeof out);
    if (rc < 0) return rc;
    switch (out[0]) {
        case PORT_CONFIG_FABRIC:
            info->kind = FAB_PORT_FABRIC;
            return fabric_peer(sw, info);
        case PORT_CONFIG_EP:
            info->kind = FAB_PORT_MODULE;
            return module_index(space, &info->index);
        case PORT_CONFIG_HOST:
            info->kind = FAB_PORT_HOST;
            info->index = out[3];
            return 0;
        case PORT_CONFIG_UNUSED:
            return without_part(space, info);
        default:
            return fab_switch_gone(sw, -EPROTO);
    }
}

static int take_arbitration(fab_switch *sw, struct fab_port_info *info) {
    struct fab_table table;
    int rc = fab_table_find_port(sw, info->port, &table);
    if (rc == -EOPNOTSUPP) return 0;
    if (rc < 0) return rc;
    info->vc_offset = (uint16_t)table.capability;
    info->phases = (uint16_t)table.longest;
    return 0;
}

int fab_switch_ports(fab_switch *sw, struct fab_port_info *out, size_t max) {
    struct link_record links[LINK_RECORDS];
    unsigned records = 0;
    size_t n = 0;
    int rc = fab_switch_scan(sw, true);
    if (rc == 0) rc = read_links(sw, links, &records);
    if (rc < 0) return rc;
    for (unsigned port = 0; port < PORT_IDS && n < max; port++) {
        struct fab_space space;
        if (fab_space_port(sw, (uint8_t)port, &space) < 0) continue;
        struct fab_port_info *info = &out[n++];
        *info = (struct fab_port_info){.port = (uint8_t)port,
                                       .index = 0xFF,
                                       .pff = sw->pff_of_port[port],
                                       .peer_switch = 0xFF,
                                       .peer_port = 0xFF};
        take_link(links, records, info);
        rc = take_kind(sw, &space, info);
        if (rc == 0) rc = take_arbitration(sw, info);
        if (rc < 0) return rc;
    }
    return (int)n;
}
