/* The config spaces of module functions: layout of PF and VFs, and what writes to them do. */
#include <string.h>

#include "node.h"

enum {
    AT_POWER = 0x40,
    AT_VECTORS = 0x90,
    AT_ARI = 0x150,
    AT_SRIOV = 0x160,
    AT_ACS = 0x1A0,
    AT_SERIAL = 0x1B0,
    AT_DOE = 0x1C0,
    AT_ARBITRATION = 0x200, /* MFVC, table to 0x260; or the shaper, rows to 0x420 */
    AT_PHY = 0x500,
    VECTORS_PF = 8,
    VECTORS_VF = 4,
    VECTOR_TABLE = 0x2000, /* in BAR 0 */
    VECTOR_PENDING = 0x3000,
    MODULE_PF_ID = 0xFAB0, /* modelled: device ids of this project's modules */
    MODULE_VF_ID = 0xFAB1,
    SHAPER_UNIT_BYTES = 1000000, /* B/s */
    MFVC_PHASES = 128
};

static void header(struct space *s, int physical) {
    uint32_t device = physical ? MODULE_PF_ID : MODULE_VF_ID;
    space_put(s, 0x00, 4, PFF_VENDOR | device << 16);
    /* a VF has bus mastering only: its memory is enabled in the SR-IOV capability */
    space_allow(s, PCI_COMMAND, 2, physical ? 0x0546 : 0x0004);
    space_put(s, PCI_STATUS, 2, 0x0010);
    space_clearable(s, PCI_STATUS, 2, 0xF900);
    space_put(s, 0x08, 4, 0x12000001); /* processing accelerator */
    space_allow(s, 0x0C, 1, physical ? 0xFF : 0);
    space_put(s, 0x2C, 4, PFF_VENDOR | device << 16);
    space_allow(s, 0x3C, 1, physical ? 0xFF : 0);
    if (!physical) return;
    space_put(s, 0x10, 4, 0x0000000C);
    space_allow(s, 0x10, 4, 0xFF000000); /* 64-bit prefetchable, 16 MiB */
    space_allow(s, 0x14, 4, UINT32_MAX);
}

static void shaper(struct space *s, unsigned entries) {
    uint32_t length = SHAPER_TABLE + SHAPER_STRIDE * entries;
    space_ext(s, AT_ARBITRATION, EXT_CAP_VSEC, 1);
    space_put(s, AT_ARBITRATION + VSEC_HEADER, 4, SHAPER_VSEC_ID | 1u << 16 | length << 20);
    space_put(s, AT_ARBITRATION + SHAPER_UNIT, 4, SHAPER_UNIT_BYTES);
    space_put(s, AT_ARBITRATION + SHAPER_ENTRIES, 4, entries);
    for (uint32_t at = SHAPER_TABLE; at < length; at += 4)
        space_allow(s, AT_ARBITRATION + at, 4, UINT32_MAX);
}

static void ari(struct space *s, int groups, int physical) {
    space_ext(s, AT_ARI, EXT_CAP_ARI, 1);
    space_put(s, AT_ARI + 4, 2, groups ? 1 : 0);
    /* every function has its group; the enable bit is the PF's alone */
    if (groups)
        space_allow(s, AT_ARI + ARI_CONTROL, 2,
                    7u << ARI_CTL_GROUP_SHIFT | (physical ? ARI_CTL_MFVC_GROUPS : 0));
}

struct space function_space(struct node_module *m, unsigned function) {
    struct space s = {.words = m->functions[function].words,
                      .writable = m->writable[function != 0],
                      .clearable = m->clearable[function != 0],
                      .sticky = m->sticky[function != 0]};
    return s;
}

/* What the PF sets for its VFs too, is reserved in theirs: sizes, the link. */
static void pcie(struct space *s, const struct node_port *port, const struct fab_node_config *c,
                 int physical) {
    space_pcie(s, FUNCTION_PCIE, PCIE_TYPE_ENDPOINT, port, c);
    space_set(s, FUNCTION_PCIE + PCIE_DEVCAP, 4, DEVCAP_FLR);
    if (physical) return;
    space_put(s, FUNCTION_PCIE + PCIE_DEVCTL, 2, 0);
    space_allow(s, FUNCTION_PCIE + PCIE_DEVCTL, 2, 0);
    space_allow(s, FUNCTION_PCIE + PCIE_LINK_CONTROL, 2, 0);
    space_put(s, FUNCTION_PCIE + PCIE_LINK_STATUS, 2, 0);
    space_put(s, FUNCTION_PCIE + PCIE_LINK_CONTROL2, 2, 0);
    space_allow(s, FUNCTION_PCIE + PCIE_LINK_CONTROL2, 2, 0);
}

void function_space_build(struct fab_node *node, struct node_module *m, unsigned function) {
    struct space s = function_space(m, function);
    const struct node_port *port = m->port;
    int physical = function == 0;
    header(&s, physical);
    space_power(&s, AT_POWER);
    pcie(&s, port, &node->config, physical);
    space_msix(&s, AT_VECTORS, physical ? VECTORS_PF : VECTORS_VF, VECTOR_TABLE, VECTOR_PENDING);
    space_aer(&s, AT_AER);
    ari(&s, m->cfg.arbitration == FAB_ARBITRATION_MFVC, physical);
    if (physical && m->cfg.vfs) sriov_build(&s, AT_SRIOV, m->cfg.vfs);
    space_acs(&s, AT_ACS, 0x4C);
    if (!physical) return;
    uint64_t serial = node->config.seed << 16 ^ UINT64_C(0xFAB0) << 48 ^ port->cfg.index;
    space_serial(&s, AT_SERIAL, serial);
    doe_build(&m->doe, &s, AT_DOE);
    if (m->cfg.arbitration == FAB_ARBITRATION_MFVC)
        vc_build(&m->vc, &s, AT_ARBITRATION, EXT_CAP_MFVC, MFVC_PHASES, 4);
    if (m->cfg.arbitration == FAB_ARBITRATION_SHAPER) shaper(&s, m->cfg.vfs + 1u);
    space_phy(&s, AT_PHY, port->cfg.gen, port->phy_lanes);
}

void function_space_link(struct node_port *port) {
    struct space s = function_space(&port->sw->node->modules[port->cfg.index], 0);
    uint32_t state = port->up ? port->neg_gen | (uint32_t)port->neg_lanes << 4 : 1;
    space_put(&s, FUNCTION_PCIE + PCIE_LINK_STATUS, 2, state | 1u << 12);
    space_equalised(&s, AT_PHY, port->cfg.gen, port->phy_lanes, FUNCTION_PCIE, port->neg_gen);
}

void function_spaces_build(struct fab_node *node, unsigned module) {
    struct node_module *m = &node->modules[module];
    m->pcie = FUNCTION_PCIE;
    m->ari = AT_ARI;
    m->sriov = m->cfg.vfs ? AT_SRIOV : 0;
    m->shaper = m->cfg.arbitration == FAB_ARBITRATION_SHAPER ? AT_ARBITRATION : 0;
    for (unsigned f = 0; f <= m->cfg.vfs; f++) function_space_build(node, m, f);
}

static int inside(uint32_t at, uint32_t start, uint32_t bytes) {
    return start && at >= start && at < start + bytes;
}

/* What its registers do to traffic. */
static void take_effect(struct fab_node *node, unsigned module, unsigned function, uint32_t at) {
    struct node_module *m = &node->modules[module];
    uint32_t rows = SHAPER_STRIDE * (m->cfg.vfs + 1u);
    if (function != 0) {
        if (inside(at, m->ari, 8)) wiring_function(node, module, function);
        return;
    }
    if (inside(at, m->ari, 8) || inside(at, m->sriov, 0x40)) wiring_module(node, module);
    if (m->shaper && inside(at, m->shaper + SHAPER_TABLE, rows))
        wiring_function(node, module, (at - m->shaper - SHAPER_TABLE) / SHAPER_STRIDE);
}

void function_write(struct fab_node *node, unsigned module, unsigned function, uint32_t at,
                    uint32_t value, unsigned bytes) {
    struct node_module *m = &node->modules[module];
    struct space s = function_space(m, function);
    if (function == 0) {
        int vc = vc_write(&m->vc, &s, at, value, bytes);
        if (vc == VC_IN_FORCE) wiring_module(node, module);
        if (vc != VC_OTHER || doe_write(&m->doe, &s, at, value, bytes)) return;
    }
    if (space_written(at, value, bytes, FUNCTION_PCIE + PCIE_DEVCTL, 2) & DEVCTL_FLR) {
        function_level_reset(node, module, function);
        return;
    }
    uint32_t vfs = function == 0 && m->sriov ? space_get(&s, m->sriov + SRIOV_NUM_VFS, 2) : 0;
    space_write(&s, at, value, bytes);
    if (function == 0) {
        space_margin(&s, AT_PHY, m->port->cfg.gen, m->port->cfg.cfg_lanes, at);
        if (inside(at, m->sriov, 0x40)) sriov_written(m, at, vfs);
    }
    take_effect(node, module, function, at);
}
