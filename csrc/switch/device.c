/* What a Switchtec device id says: family and lanes. */
#include <errno.h>

#include "device.h"

/* Lanes by the two last hex digits; the ids read as decimal except for 100, 144 and 160. */
static uint32_t lanes_gen45(uint32_t id) {
    switch (id & 0xFF) {
        case 0x00:
            return 100;
        case 0x84:
            return 84;
        case 0x68:
            return 68;
        case 0x52:
            return 52;
        case 0x36:
            return 36;
        case 0x28:
            return 28;
        default:
            return 0;
    }
}

static uint32_t lanes_gen6(uint32_t id) {
    switch (id & 0xFF) {
        case 0x48:
            return 48;
        case 0x64:
            return 64;
        case 0x44:
            return 144;
        case 0x60:
            return 160;
        default:
            return 0;
    }
}

static uint32_t lanes_gen3(uint32_t id) {
    static const uint8_t lanes[] = {0, 24, 32, 48, 64, 80, 96};
    return (id & 0xF) < sizeof lanes ? lanes[id & 0xF] : 0;
}

int fab_device_decode(uint32_t id, enum fab_family *family, uint32_t *lanes) {
    static const enum fab_family gen45[] = {FAMILY_PFX, FAMILY_PSX, FAMILY_PAX};
    static const enum fab_family gen6[] = {FAMILY_PFX, FAMILY_PSX, FAMILY_PFX, FAMILY_PSX};
    static const enum fab_family gen3[] = {FAMILY_PFX, FAMILY_PSX, FAMILY_PAX, FAMILY_PFX,
                                           FAMILY_PFX};
    uint32_t variant = id >> 8 & 0xF;
    uint32_t found = 0;
    if (id >> 12 == 4 || id >> 12 == 5) {
        if (variant > 5) return -EPROTO;
        found = lanes_gen45(id);
        *family = gen45[variant % 3]; /* 3..5 are the -A variants */
    } else if (id >> 12 == 6) {
        if (variant > 3) return -EPROTO;
        found = lanes_gen6(id);
        *family = gen6[variant];
    } else if (id >> 8 == 0x85) {
        uint32_t series = id >> 4 & 0xF;
        if (series < 3 || series > 7) return -EPROTO;
        found = lanes_gen3(id);
        *family = gen3[series - 3];
    }
    *lanes = found;
    return found ? 0 : -EPROTO;
}
