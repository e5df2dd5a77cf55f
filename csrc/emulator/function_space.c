/* The config spaces of module functions: layout of PF and VFs, and what writes to them do. */
#include <string.h>

#include "node.h"

enum {
    AT_POWER = 0x40,
    AT_PCIE = 0x50,
    AT_AER = 0x100,
    AT_ARI = 0x150,
    AT_SRIOV = 0x160,
    AT_ACS = 0x1A0,
    AT_SERIAL = 0x1B0,
    AT_ARBITRATION = 0x200, /* MFVC, table to 0x260; or the shaper, rows to 0x420 */
    AT_PHY = 0x500,
    MODULE_PF_ID = 0xFAB0, /* modelled: device ids of this project's modules */
    MODULE_VF_ID = 0xFAB1,
    SRIOV_ENABLE = 1 << 0,
    SHAPER_UNIT_BYTES = 1000000, /* B/s */
    MFVC_PHASES = 128
};

static void header(struct space *s, uint32_t device) {
    space_put(s, 0x00, 4, PFF_VENDOR | device << 16);
    space_allow(s, 0x04, 2, 0x0546);
    space_put(s, 0x06, 2, 0x0010);
    space_clearable(s, 0x06, 2, 0xF900);
    space_put(s, 0x08, 4, 0x12000001); /* processing accelerator */
    space_allow(s, 0x0C, 1, 0xFF);
    space_put(s, 0x2C, 4, PFF_VENDOR | device << 16);
    space_allow(s, 0x3C, 1, 0xFF);
}

static void sriov(struct space *s, unsigned vfs) {
    space_ext(s, AT_SRIOV, EXT_CAP_SRIOV, 1);
    space_put(s, AT_SRIOV + 4, 4, 1u << 1);          /* ARI capable hierarchy preserved */
    space_put(s, AT_SRIOV + SRIOV_CONTROL, 2, 0x19); /* VFs and their memory enabled, ARI */
    space_allow(s, AT_SRIOV + SRIOV_CONTROL, 2, 0x19);
    space_put(s, AT_SRIOV + SRIOV_INITIAL_VFS, 2, vfs);
    space_put(s, AT_SRIOV + SRIOV_TOTAL_VFS, 2, vfs);
    space_put(s, AT_SRIOV + SRIOV_NUM_VFS, 2, vfs);
    space_allow(s, AT_SRIOV + SRIOV_NUM_VFS, 2, 0xFFFF);
    space_put(s, AT_SRIOV + 0x14, 4, 0x00010001); /* first VF offset and stride */
    space_put(s, AT_SRIOV + 0x1A, 2, MODULE_VF_ID);
    space_put(s, AT_SRIOV + 0x1C, 4, 0x553); /* page sizes */
    space_put(s, AT_SRIOV + 0x20, 4, 1);
    space_allow(s, AT_SRIOV + 0x20, 4, 0x553);
    space_put(s, AT_SRIOV + 0x24, 4, 0x0000000C); /* 64-bit prefetchable, 16 MiB a VF */
    space_allow(s, AT_SRIOV + 0x24, 4, 0xFF000000);
    space_allow(s, AT_SRIOV + 0x28, 4, UINT32_MAX);
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
                      .clearable = m->clearable[function != 0]};
    return s;
}

static void build(struct fab_node *node, struct node_module *m, unsigned function) {
    struct space s = function_space(m, function);
    const struct node_port *port = m->port;
    int physical = function == 0;
    header(&s, physical ? MODULE_PF_ID : MODULE_VF_ID);
    if (physical && m->cfg.vfs) space_put(&s, 0x0E, 1, 0x00);
    space_put(&s, 0x10, 4, physical ? 0x0000000C : 0);
    space_allow(&s, 0x10, 4, physical ? 0xFF000000 : 0); /* 64-bit prefetchable, 16 MiB */
    space_allow(&s, 0x14, 4, physical ? UINT32_MAX : 0);
    space_power(&s, AT_POWER);
    space_pcie(&s, AT_PCIE, PCIE_ENDPOINT, port, &node->config);
    space_put(&s, AT_PCIE + PCIE_LNKSTA, 2, 0x1000 | port->cfg.gen | (port->cfg.lanes << 4));
    space_aer(&s, AT_AER);
    ari(&s, m->cfg.arbitration == FAB_ARBITRATION_MFVC, physical);
    if (physical && m->cfg.vfs) sriov(&s, m->cfg.vfs);
    space_ext(&s, AT_ACS, 0x000D, 1);
    space_put(&s, AT_ACS + 4, 2, 0x4C);
    space_allow(&s, AT_ACS + 6, 2, 0x4C);
    if (!physical) return;
    uint64_t serial = node->config.seed << 16 ^ UINT64_C(0xFAB0) << 48 ^ port->cfg.index;
    space_serial(&s, AT_SERIAL, serial);
    if (m->cfg.arbitration == FAB_ARBITRATION_MFVC)
        vc_build(&m->vc, &s, AT_ARBITRATION, EXT_CAP_MFVC, MFVC_PHASES, 4);
    if (m->cfg.arbitration == FAB_ARBITRATION_SHAPER) shaper(&s, m->cfg.vfs + 1u);
    space_phy(&s, AT_PHY, port->cfg.gen, port->cfg.cfg_lanes);
}

void function_spaces_build(struct fab_node *node, unsigned module) {
    struct node_module *m = &node->modules[module];
    m->pcie = AT_PCIE;
    m->ari = AT_ARI;
    m->sriov = m->cfg.vfs ? AT_SRIOV : 0;
    m->shaper = m->cfg.arbitration == FAB_ARBITRATION_SHAPER ? AT_ARBITRATION : 0;
    for (unsigned f = 0; f <= m->cfg.vfs; f++) build(node, m, f);
}

void function_spaces_reset(struct node_port *port) {
    unsigned module = port->cfg.index;
    struct node_module *m = &port->sw->node->modules[module];
    for (unsigned f = 0; f <= m->cfg.vfs; f++)
        memset(m->functions[f].words, 0, sizeof m->functions[f].words);
    function_spaces_build(port->sw->node, module);
    wiring_module(port->sw->node, module);
}

int function_exists(const struct node_module *m, unsigned function) {
    if (!m->port || function > m->cfg.vfs) return 0;
    if (function == 0) return 1;
    const uint32_t *words = m->functions[0].words;
    unsigned enabled = words[(m->sriov + SRIOV_CONTROL) / 4] & SRIOV_ENABLE;
    return enabled && function <= (words[(m->sriov + SRIOV_NUM_VFS) / 4] & 0xFFFF);
}

/* NumVFs is writable only while the VFs are disabled, and never above TotalVFs. */
static void num_vfs_guard(struct node_module *m, struct space *s, uint32_t before) {
    uint32_t at = m->sriov + SRIOV_NUM_VFS;
    int enabled = (space_get(s, m->sriov + SRIOV_CONTROL, 2) & SRIOV_ENABLE) != 0;
    if (enabled || space_get(s, at, 2) > m->cfg.vfs) space_put(s, at, 2, before);
}

static int inside(uint32_t at, uint32_t start, uint32_t bytes) {
    return start && at >= start && at < start + bytes;
}

void function_write(struct fab_node *node, unsigned module, unsigned function, uint32_t at,
                    uint32_t value, unsigned bytes) {
    struct node_module *m = &node->modules[module];
    struct space s = function_space(m, function);
    if (function == 0) {
        int vc = vc_write(&m->vc, &s, at, value, bytes);
        if (vc == VC_IN_FORCE) wiring_module(node, module);
        if (vc != VC_OTHER) return;
    }
    uint32_t num = function == 0 && m->sriov ? space_get(&s, m->sriov + SRIOV_NUM_VFS, 2) : 0;
    space_write(&s, at, value, bytes);
    if (inside(at, m->ari, 8)) {
        if (function == 0)
            wiring_module(node, module);
        else
            wiring_function(node, module, function);
    }
    if (function != 0) return;
    if (inside(at, m->sriov, 0x40)) {
        if (inside(at & ~3u, m->sriov + SRIOV_NUM_VFS, 4)) num_vfs_guard(m, &s, num);
        wiring_module(node, module);
    }
    if (m->shaper && inside(at, m->shaper + SHAPER_TABLE, SHAPER_STRIDE * (m->cfg.vfs + 1u)))
        wiring_function(node, module, (at - m->shaper - SHAPER_TABLE) / SHAPER_STRIDE);
}
