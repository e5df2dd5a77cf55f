/* The capabilities that ports and functions share, as they stand after a reset. */
#include "node.h"

enum {
    CAP_POWER = 0x01,
    CAP_MSI = 0x05,
    CAP_MSIX = 0x11,
    /* an attention button, a power controller, both indicators; hot-plug capable, no command
     * completed events. Not "surprise": a module pulled without notice is an error that DPC
     * contains, as the specification advises for asynchronous removal. */
    SLOT_PARTS = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 18,
    SLOT_CONTROLS = 0x17FB,    /* all but the latch's and the interlock's, which it has not */
    SLOT_STATUS_BITS = 0x011B, /* write 1 to clear */
    SLOT_AFTER_RESET = 0x01C0  /* power indicator on, attention indicator off, power on */
};

void space_power(struct space *s, uint32_t at) {
    space_cap(s, at, CAP_POWER);
    space_put(s, at + 2, 2, 0x0003); /* version 3; D0 and D3hot only */
    space_put(s, at + 4, 2, 0x0008); /* no soft reset */
    space_allow(s, at + 4, 2, 0x0003);
}

void space_msi(struct space *s, uint32_t at, unsigned vectors_log2) {
    space_cap(s, at, CAP_MSI);
    space_put(s, at + 2, 2, vectors_log2 << 1 | 1u << 7 | 1u << 8); /* 64 bits, vectors masked */
    space_allow(s, at + 2, 2, 0x0071);
    space_allow(s, at + 4, 4, 0xFFFFFFFC);
    space_allow(s, at + 8, 4, UINT32_MAX);
    space_allow(s, at + 12, 2, 0xFFFF);
    space_allow(s, at + 16, 4, (UINT32_C(1) << (1u << vectors_log2)) - 1);
}

/* Table and pending bits in BAR 0. */
void space_msix(struct space *s, uint32_t at, unsigned vectors, uint32_t table, uint32_t pending) {
    space_cap(s, at, CAP_MSIX);
    space_put(s, at + 2, 2, vectors - 1);
    space_allow(s, at + 2, 2, 0xC000);
    space_put(s, at + 4, 4, table);
    space_put(s, at + 8, 4, pending);
}

static unsigned payload_code(uint32_t bytes) {
    unsigned code = 0;
    while (code < 5 && (128u << code) < bytes) code++;
    return code;
}

/* The slot power limit's encoding: watts to 239, above in steps of 25 W from 250. */
static uint32_t slot_power(unsigned watts) {
    if (watts < 240) return watts;
    unsigned code = watts <= 250 ? 0 : (watts - 250 + 24) / 25;
    return 0xF0 + (code > 0xE ? 0xE : code);
}

static void slot(struct space *s, uint32_t at, const struct node_port *port,
                 const struct fab_node_config *config) {
    uint32_t power = slot_power(config->modules[port->cfg.index].supply_w);
    uint32_t number = port->cfg.index + 1u;
    space_put(s, at + PCIE_SLTCAP, 4, SLOT_PARTS | power << 7 | number << 19);
    space_put(s, at + PCIE_SLTCTL, 2, SLOT_AFTER_RESET);
    space_allow(s, at + PCIE_SLTCTL, 2, SLOT_CONTROLS);
    space_put(s, at + PCIE_SLTSTA, 2, SLTSTA_PRESENT);
    space_clearable(s, at + PCIE_SLTSTA, 2, SLOT_STATUS_BITS);
}

void space_pcie(struct space *s, uint32_t at, unsigned type, const struct node_port *port,
                const struct fab_node_config *config) {
    int down = type == PCIE_TYPE_DOWNSTREAM, has_slot = down && port->cfg.kind == FAB_PORT_MODULE;
    uint32_t mps = payload_code(config->mps), mrrs = payload_code(config->mrrs);
    uint32_t link = port->cfg.gen | (uint32_t)port->cfg.cfg_lanes << 4 | 1u << 22;
    space_cap(s, at, CAP_PCIE);
    space_put(s, at + 0x02, 2, 2 | type << 4 | (has_slot ? 0x100u : 0));
    space_put(s, at + PCIE_DEVCAP, 4,
              mps | 1u << 5 | 1u << 15); /* extended tags, role-based errors */
    space_put(s, at + PCIE_DEVCTL, 2,
              0x0100 | mps << 5 | (type == PCIE_TYPE_ENDPOINT ? mrrs << 12 : 0));
    space_allow(s, at + PCIE_DEVCTL, 2, type == PCIE_TYPE_ENDPOINT ? 0x7FFF : 0x01EF);
    space_clearable(s, at + PCIE_DEVSTA, 2, 0x000F);
    /* surprise down, link active and bandwidth notification are told by downstream ports */
    if (down) link |= 7u << 19;
    if (type != PCIE_TYPE_ENDPOINT) link |= (uint32_t)port->cfg.port << 24;
    space_put(s, at + PCIE_LINK_CAP, 4, link);
    space_allow(s, at + PCIE_LINK_CONTROL, 2, down ? 0x0ED3 : 0x02C3);
    space_put(s, at + PCIE_LINK_STATUS, 2, 0x1001);
    space_clearable(s, at + PCIE_LINK_STATUS, 2, down ? 0xC000 : 0);
    if (has_slot) slot(s, at, port, config);
    space_put(s, at + 0x24, 4, down ? 0x30 : 0x10); /* completion timeout disable, ARI forwarding */
    space_allow(s, at + 0x28, 2, down ? 0x003F : 0x001F);
    space_put(s, at + 0x2C, 4, ((1u << port->cfg.gen) - 1) << 1);
    space_put(s, at + PCIE_LINK_CONTROL2, 2, port->cfg.gen);
    space_allow(s, at + PCIE_LINK_CONTROL2, 2, 0x000F);
    space_sticky(s, at + PCIE_LINK_CONTROL2, 2, 0x000F);
}

/* Every register of it is sticky: whoever comes back after the reset wants to know. */
void space_aer(struct space *s, uint32_t at) {
    space_ext(s, at, 0x0001, 2);
    space_clearable(s, at + AER_UNC_STATUS, 4, AER_UNC_BITS);
    space_put(s, at + AER_UNC_MASK, 4, 1u << UNC_INTERNAL); /* masked by default */
    space_allow(s, at + AER_UNC_MASK, 4, AER_UNC_BITS);
    space_put(s, at + AER_UNC_SEVERITY, 4, 0x00462030); /* the default severities */
    space_allow(s, at + AER_UNC_SEVERITY, 4, AER_UNC_BITS);
    space_clearable(s, at + AER_COR_STATUS, 4, AER_COR_BITS);
    space_put(s, at + AER_COR_MASK, 4,
              1u << COR_ADVISORY | 1u << COR_INTERNAL | 1u << COR_LOG_OVERFLOW);
    space_allow(s, at + AER_COR_MASK, 4, AER_COR_BITS);
    space_put(s, at + AER_CONTROL, 4, 0x000000A0); /* ECRC generation and checking capable */
    space_allow(s, at + AER_CONTROL, 4, 0x00000140);
    for (uint32_t reg = AER_UNC_STATUS; reg <= AER_COR_MASK; reg += 4)
        space_sticky(s, at + reg, 4, reg < AER_COR_STATUS ? AER_UNC_BITS : AER_COR_BITS);
    space_sticky(s, at + AER_CONTROL, 4, 0x0000015F);
    for (unsigned k = 0; k < 4; k++) space_sticky(s, at + AER_HEADER + 4 * k, 4, UINT32_MAX);
}

void space_acs(struct space *s, uint32_t at, uint32_t can) {
    space_ext(s, at, 0x000D, 1);
    space_put(s, at + 4, 2, can);
    space_allow(s, at + 6, 2, can);
}

void space_serial(struct space *s, uint32_t at, uint64_t serial) {
    space_ext(s, at, 0x0003, 1);
    space_put(s, at + 4, 4, (uint32_t)serial);
    space_put(s, at + 8, 4, (uint32_t)(serial >> 32));
}
