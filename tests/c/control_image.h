/* A switch for the tests of the driver's operations: ports with links, access control and four
 * virtual channels, a module with groups and a shaper, a firmware that binds and bifurcates. */
#ifndef FAB_CONTROL_IMAGE_H
#define FAB_CONTROL_IMAGE_H

#include "control_firmware.h"

static void build_port(struct control *c, unsigned pff) {
    uint8_t *config = port_config(c, pff), *pcie = config + AT_PCIE, *vc = config + AT_VC;
    bool upstream = port_ids[pff] == 16;
    put(c->gas + GAS_PFF_PORT + pff, 1, port_ids[pff]);
    put(config, 4, PFF_VENDOR | 0x5200u << 16);
    put(config + 6, 2, 0x10);
    config[0x34] = 0x40;
    put(config + 0x40, 4, 0x00035001); /* power management 3 */
    put(pcie, 4, CAP_PCIE | (2u | (upstream ? 5u : 6u) << 4) << 16);
    put(pcie + PCIE_LINK_CAP, 4, 5 | 16u << 4 | (upstream ? 0u : (uint32_t)LINK_CAP_TELLS_ACTIVE));
    put(pcie + PCIE_LINK_CAP2, 4, 0x3E);
    put(pcie + PCIE_LINK_CONTROL2, 2, 5);
    train(c, pff);
    extended(config, AT_AER, 0x0001, AT_ACS);
    extended(config, AT_ACS, EXT_CAP_ACS, AT_VC);
    put(config + AT_ACS + ACS_CAP, 2, pff == 2 ? 0x1C : 0x7F);
    put(config + AT_ACS + ACS_CTRL, 2, pff == 2 ? 0 : 0x60); /* egress control, translated */
    extended(config, AT_VC, EXT_CAP_VC, 0);
    put(vc + VC_CAP1, 4, (VCS - 1) | (VCS - 1) << 4 | 3u << 10);
    put(vc + VC_CAP2, 4, 0xFu | 4u << 24);
    for (uint32_t n = 0; n < VCS; n++) {
        put(vc + VC0_CAP + VC_STRIDE * n, 4, 0xFu | (8u + 8u * n) << 24);
        put(vc + VC0_CONTROL + VC_STRIDE * n, 4, n ? n << VC_ID_SHIFT : VC_ENABLE | 0xFF);
    }
}

static void build_masks(struct control *c) {
    uint8_t *m = c->port_masks;
    put(m + AT_PCIE + PCIE_LINK_CONTROL, 2, LINK_DISABLE | 0x43);
    put(m + AT_PCIE + PCIE_LINK_CONTROL2, 2, 0xF);
    put(m + AT_ACS + ACS_CTRL, 2, 0x7F);
    put(m + AT_VC + VC_CONTROL, 2, 7u << VC_ARBITRATION_SHIFT);
    for (unsigned n = 0; n < VCS; n++)
        put(m + AT_VC + VC0_CONTROL + VC_STRIDE * n, 4,
            VC_ENABLE | 7u << VC_ID_SHIFT | 7u << VC_SELECT_SHIFT | 0xFF);
    memset(m + AT_VC + 0x40, 0xFF, 0x40 + VCS * PHASES);
    for (unsigned f = 0; f < FUNCTIONS; f++) {
        put(c->function_masks[f] + AT_ARI + ARI_CONTROL, 2, 0x73);
        put(c->function_masks[f] + AT_ACS + ACS_CTRL, 2, 0x0C);
    }
    put(c->function_masks[0] + AT_MFVC + VC0_CONTROL, 4, 7u << VC_SELECT_SHIFT);
    memset(c->function_masks[0] + AT_MFVC + 0x20, 0xFF, 16);
    memset(c->function_masks[2] + AT_SHAPER + SHAPER_TABLE, 0xFF, SHAPER_STRIDE);
}

static void build_functions(struct control *c) {
    for (unsigned f = 0; f < FUNCTIONS; f++) {
        uint8_t *config = c->now.functions[f];
        put(config, 4, 0xFAB011F8u);
        extended(config, AT_AER, 0x0001, AT_ACS);
        extended(config, AT_ACS, EXT_CAP_ACS, AT_ARI);
        put(config + AT_ACS + ACS_CAP, 2, 0x0C);
        extended(config, AT_ARI, EXT_CAP_ARI, f == 0 ? AT_MFVC : f == 2 ? AT_SHAPER : 0);
        put(config + AT_ARI + 4, 2, f < 2);
    }
    uint8_t *mfvc = c->now.functions[0] + AT_MFVC, *shaper = c->now.functions[2] + AT_SHAPER;
    extended(c->now.functions[0], AT_MFVC, EXT_CAP_MFVC, 0);
    put(mfvc + VC_CAP1, 4, 2u << 10);
    put(mfvc + VC0_CAP, 4, 3u | 2u << 24);
    put(mfvc + VC0_CONTROL, 4, VC_ENABLE | 0xFF);
    extended(c->now.functions[2], AT_SHAPER, EXT_CAP_VSEC, 0);
    put(shaper + VSEC_HEADER, 4, SHAPER_VSEC_ID);
    put(shaper + SHAPER_UNIT, 4, 1000000);
    put(shaper + SHAPER_ENTRIES, 4, 1);
}

static inline struct control *control_create(uint32_t device_id) {
    struct control *c = calloc(1, sizeof *c);
    c->gas = calloc(1, FAB_GAS_BYTES);
    put(c->gas + GAS_DEVICE_ID, 4, device_id);
    memset(c->gas + GAS_PFF_PORT, 0xFF, GAS_PFF_MAX);
    for (unsigned k = 0; k < PORTS; k++) build_port(c, k);
    build_functions(c);
    build_masks(c);
    c->now.bifurcation[0] = 8;       /* one x16 */
    c->now.bifurcation[1] = 0x20204; /* x8, x4, x4 */
    c->now.bound[2] = PDFID(0, 1);
    for (unsigned k = 0; k < PSX_PORTS; k++) {
        const uint8_t free_port[4] = {(uint8_t)(8 * k), 0xFF, 0xFF, 0};
        const uint8_t taken[4] = {(uint8_t)(8 * k), 1, 5, 0x10};
        memcpy(c->now.psx[k], k == 3 ? taken : free_port, 4);
    }
    fab_bar_trapped(c->gas, FAB_GAS_BYTES, control_trap, c, &c->bar);
    return c;
}

static inline void control_free(struct control *c) {
    fab_bar_close(c->bar);
    free(c->gas);
    free(c);
}

static inline void control_close(struct control *c, fab_switch *sw) {
    fab_switch_close(sw);
    control_free(c);
}

#endif
