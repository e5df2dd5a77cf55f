/* The capabilities of the physical layer: equalisation by rate, margining. Where each stands
 * follows from the generation and the lanes. */
#include "node.h"

enum {
    SECONDARY_LANES = 0x0C, /* u16 a lane */
    RATE_STATUS = 0x0C,     /* of the 16, 32 and 64 GT/s capabilities */
    RATE_LANES = 0x20,      /* u8 a lane; 0x10 in the 64 GT/s one */
    RATE_LANES_64 = 0x10,
    RATE_EQUALISED = 0x0F,   /* complete, phases 1-3 successful */
    MARGIN_LANES = 0x08,     /* per lane u16 control, u16 status */
    MARGIN_NOTHING = 0x9C38, /* "no command" to no receiver */
    MARGIN_BITS = 0xFF7F
};

static uint32_t round_up(uint32_t at) {
    return (at + 15) & ~15u;
}

/* Behind secondary PCIe stands the Data Link Feature, then a capability for each rate from 16 GT/s
 * on, then margining. */
static uint32_t rate_at(uint32_t at, unsigned lanes, unsigned gen) {
    uint32_t first = round_up(at + SECONDARY_LANES + 2 * lanes) + 16;
    return first + (gen - 4) * (round_up(RATE_LANES + lanes));
}

static void rate(struct space *s, uint32_t at, unsigned gen, unsigned lanes) {
    static const uint16_t ids[] = {0x0026, 0x002A, 0x0031};
    uint32_t presets = at + (gen == 6 ? RATE_LANES_64 : RATE_LANES);
    space_ext(s, at, ids[gen - 4], 1);
    for (unsigned lane = 0; lane < lanes; lane++) space_put(s, presets + lane, 1, 0x55);
}

uint32_t space_phy(struct space *s, uint32_t at, unsigned gen, unsigned lanes) {
    uint32_t start = at;
    if (gen < 3) return at;
    space_ext(s, at, 0x0019, 1);
    space_allow(s, at + SECONDARY_LNKCTL3, 4, 0x00000003);
    space_clearable(s, at + 8, 4, lanes >= 32 ? UINT32_MAX : (1u << lanes) - 1);
    space_sticky(s, at + 8, 4, lanes >= 32 ? UINT32_MAX : (1u << lanes) - 1);
    for (unsigned lane = 0; lane < lanes; lane++)
        space_put(s, at + SECONDARY_LANES + 2 * lane, 2, 0x5555);
    at = round_up(at + SECONDARY_LANES + 2 * lanes);
    if (gen < 4) return at;
    space_ext(s, at, 0x0025, 1); /* data link feature: scaled flow control, both sides */
    space_put(s, at + 4, 4, 0x80000001);
    space_put(s, at + 8, 4, 0x80000001);
    for (unsigned g = 4; g <= gen; g++) rate(s, rate_at(start, lanes, g), g, lanes);
    at = rate_at(start, lanes, gen + 1);
    space_ext(s, at, 0x0027, 1);
    space_put(s, at + 6, 2, 1); /* margining ready */
    for (unsigned lane = 0; lane < lanes; lane++) {
        space_put(s, at + MARGIN_LANES + 4 * lane, 4, (uint32_t)MARGIN_NOTHING * 0x10001u);
        space_allow(s, at + MARGIN_LANES + 4 * lane, 2, MARGIN_BITS);
    }
    return round_up(at + MARGIN_LANES + 4 * lanes);
}

void space_equalised(struct space *s, uint32_t at, unsigned gen, unsigned lanes, uint32_t pcie,
                     unsigned now) {
    space_put(s, pcie + PCIE_LINK_STATUS2, 2, now >= 3 ? 0x001E : 0);
    for (unsigned g = 4; g <= gen; g++)
        space_put(s, rate_at(at, lanes, g) + RATE_STATUS, 1, now >= g ? RATE_EQUALISED : 0);
}

/* modelled: receivers have no margining to offer, so every command is answered by its echo */
void space_margin(struct space *s, uint32_t at, unsigned gen, unsigned lanes, uint32_t where) {
    if (gen < 4) return;
    uint32_t first = rate_at(at, lanes, gen + 1) + MARGIN_LANES;
    if (where < first || where >= first + 4 * lanes) return;
    where &= ~3u;
    space_put(s, where + 2, 2, space_get(s, where, 2));
}
