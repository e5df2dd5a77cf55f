/* Config spaces: building them, the capabilities that ports and functions share, masked writes. */
#include "node.h"

/* 1..4 bytes at `at`, inside one dword. */
static uint32_t lane_mask(uint32_t at, unsigned bytes) {
    uint32_t ones = bytes >= 4 ? UINT32_MAX : (UINT32_C(1) << (8 * bytes)) - 1;
    return ones << (8 * (at & 3));
}

static void merge(uint32_t *words, uint32_t at, unsigned bytes, uint32_t value) {
    uint32_t mask = lane_mask(at, bytes), *word = &words[at >> 2];
    fab_store_relaxed(word, (*word & ~mask) | ((value << (8 * (at & 3))) & mask));
}

void space_put(struct space *s, uint32_t at, unsigned bytes, uint32_t value) {
    merge(s->words, at, bytes, value);
}

void space_allow(struct space *s, uint32_t at, unsigned bytes, uint32_t mask) {
    merge(s->writable, at, bytes, mask);
}

void space_clearable(struct space *s, uint32_t at, unsigned bytes, uint32_t mask) {
    merge(s->clearable, at, bytes, mask);
}

uint32_t space_get(const struct space *s, uint32_t at, unsigned bytes) {
    return (s->words[at >> 2] & lane_mask(at, bytes)) >> (8 * (at & 3));
}

void space_write(struct space *s, uint32_t at, uint32_t value, unsigned bytes) {
    uint32_t lanes = lane_mask(at, bytes), *word = &s->words[at >> 2];
    uint32_t change = s->writable[at >> 2] & lanes;
    uint32_t shifted = value << (8 * (at & 3));
    uint32_t next = (*word & ~change) | (shifted & change);
    fab_store_relaxed(word, next & ~(shifted & s->clearable[at >> 2] & lanes));
}

void space_cap(struct space *s, uint32_t at, uint8_t id) {
    space_put(s, s->cap_tail ? s->cap_tail : 0x34, 1, at);
    space_put(s, at, 1, id);
    s->cap_tail = (uint16_t)(at + 1);
}

void space_ext(struct space *s, uint32_t at, uint16_t id, uint8_t version) {
    if (s->ext_tail)
        space_put(s, s->ext_tail, 4, (space_get(s, s->ext_tail, 4) & 0xFFFFFu) | at << 20);
    space_put(s, at, 4, id | (uint32_t)version << 16);
    s->ext_tail = (uint16_t)at;
}

void space_power(struct space *s, uint32_t at) {
    space_cap(s, at, 0x01);
    space_put(s, at + 2, 2, 0x0003); /* version 3; D0 and D3hot only */
    space_put(s, at + 4, 2, 0x0008); /* no soft reset */
    space_allow(s, at + 4, 2, 0x0003);
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
    /* hot-plug surprise and capable, no command completed events */
    space_put(s, at + PCIE_SLTCAP, 4, 0x60 | power << 7 | 1u << 18 | number << 19);
    space_allow(s, at + PCIE_SLTCTL, 2, 0x1FFF);
    space_put(s, at + PCIE_SLTSTA, 2, SLTSTA_PRESENT);
    space_clearable(s, at + PCIE_SLTSTA, 2, 0x011F);
}

void space_pcie(struct space *s, uint32_t at, unsigned type, const struct node_port *port,
                const struct fab_node_config *config) {
    int down = type == PCIE_DOWNSTREAM, has_slot = down && port->cfg.kind == FAB_PORT_MODULE;
    uint32_t mps = payload_code(config->mps), mrrs = payload_code(config->mrrs);
    uint32_t link = port->cfg.gen | (uint32_t)port->cfg.cfg_lanes << 4 | 1u << 22;
    space_cap(s, at, CAP_PCIE);
    space_put(s, at + 0x02, 2, 2 | type << 4 | (has_slot ? 0x100u : 0));
    space_put(s, at + 0x04, 4, mps | 1u << 5 | 1u << 15); /* extended tags, role-based errors */
    space_put(s, at + PCIE_DEVCTL, 2, 0x0100 | mps << 5 | (type == PCIE_ENDPOINT ? mrrs << 12 : 0));
    space_allow(s, at + PCIE_DEVCTL, 2, type == PCIE_ENDPOINT ? 0x7FFF : 0x01EF);
    space_clearable(s, at + 0x0A, 2, 0x000F);
    /* surprise down, link active and bandwidth notification are told by downstream ports */
    if (down) link |= 7u << 19;
    space_put(s, at + PCIE_LNKCAP, 4, link | (uint32_t)port->cfg.port << 24);
    space_allow(s, at + PCIE_LNKCTL, 2, down ? 0x0ED3 : 0x02C3);
    space_put(s, at + PCIE_LNKSTA, 2, 0x1001);
    space_clearable(s, at + PCIE_LNKSTA, 2, down ? 0xC000 : 0);
    if (has_slot) slot(s, at, port, config);
    space_put(s, at + 0x24, 4, down ? 0x30 : 0x10); /* completion timeout disable, ARI forwarding */
    space_allow(s, at + 0x28, 2, down ? 0x003F : 0x001F);
    space_put(s, at + 0x2C, 4, ((1u << port->cfg.gen) - 1) << 1);
    space_put(s, at + 0x30, 2, port->cfg.gen);
    space_allow(s, at + 0x30, 2, 0x000F);
}

void space_aer(struct space *s, uint32_t at) {
    space_ext(s, at, 0x0001, 2);
    space_clearable(s, at + 0x04, 4, 0x047FF030);
    space_allow(s, at + 0x08, 4, 0x047FF030);
    space_put(s, at + 0x0C, 4, 0x00462030); /* the specification's default severities */
    space_allow(s, at + 0x0C, 4, 0x047FF030);
    space_clearable(s, at + 0x10, 4, 0x0000F1C1);
    space_put(s, at + 0x14, 4, 0x00002000);
    space_allow(s, at + 0x14, 4, 0x0000F1C1);
    space_put(s, at + 0x18, 4, 0x000000A0); /* ECRC generation and checking capable */
    space_allow(s, at + 0x18, 4, 0x00000140);
}

void space_serial(struct space *s, uint32_t at, uint64_t serial) {
    space_ext(s, at, 0x0003, 1);
    space_put(s, at + 4, 4, (uint32_t)serial);
    space_put(s, at + 8, 4, (uint32_t)(serial >> 32));
}

static uint32_t equalised(struct space *s, uint32_t at, uint16_t id, unsigned lanes) {
    space_ext(s, at, id, 1);
    space_put(s, at + 0x0C, 4, 0x0F); /* equalisation complete, phases 1-3 successful */
    for (unsigned lane = 0; lane < lanes; lane++) space_put(s, at + 0x20 + lane, 1, 0x55);
    return (at + 0x20 + lanes + 15) & ~15u;
}

uint32_t space_phy(struct space *s, uint32_t at, unsigned gen, unsigned lanes) {
    if (gen < 3) return at;
    space_ext(s, at, 0x0019, 1);
    space_allow(s, at + 4, 4, 0x00000003);
    space_clearable(s, at + 8, 4, lanes >= 32 ? UINT32_MAX : (1u << lanes) - 1);
    for (unsigned lane = 0; lane < lanes; lane++) space_put(s, at + 12 + 2 * lane, 2, 0x5555);
    at = (at + 12 + 2 * lanes + 15) & ~15u;
    if (gen < 4) return at;
    space_ext(s, at, 0x0025, 1); /* data link feature: scaled flow control, both sides */
    space_put(s, at + 4, 4, 0x80000001);
    space_put(s, at + 8, 4, 0x80000001);
    at = equalised(s, at + 16, 0x0026, lanes);
    if (gen >= 5) at = equalised(s, at, 0x002A, lanes);
    space_ext(s, at, 0x0027, 1);
    space_put(s, at + 6, 2, 1); /* margining ready */
    for (unsigned lane = 0; lane < lanes; lane++) {
        space_put(s, at + 8 + 4 * lane, 2, 0x9C38); /* "no command" to no receiver */
        space_allow(s, at + 8 + 4 * lane, 2, 0xFF7F);
    }
    return (at + 8 + 4 * lanes + 15) & ~15u;
}
