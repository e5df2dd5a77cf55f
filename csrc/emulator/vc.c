/* Arbitration tables in Virtual Channel capabilities: written, loaded, selected, in force. */
#include <string.h>

#include "node.h"

static unsigned table_bytes(const struct vc *vc) {
    return vc->phases * vc->entry_bits / 8u;
}

static unsigned scheme_phases(unsigned scheme) {
    switch (scheme) {
        case VC_ARB_WRR32:
            return 32;
        case VC_ARB_WRR64:
            return 64;
        case VC_ARB_WRR128:
            return 128;
        case VC_ARB_WRR256:
            return 256;
        default:
            return 0;
    }
}

/* The schemes that a table of so many phases can serve. */
static uint32_t offered(unsigned phases) {
    uint32_t bits = 1u << VC_ARB_FIXED;
    for (unsigned scheme = VC_ARB_WRR32; scheme <= VC_ARB_WRR256; scheme++)
        if (scheme_phases(scheme) && scheme_phases(scheme) <= phases) bits |= 1u << scheme;
    return bits;
}

void vc_build(struct vc *vc, struct space *s, uint32_t at, uint16_t id, unsigned phases,
              unsigned entry_bits) {
    uint32_t entry_code = entry_bits == 8 ? 3 : entry_bits == 4 ? 2 : 0;
    vc->cap = (uint16_t)at;
    vc->table = (uint16_t)(phases ? at + 0x20 : 0);
    vc->phases = (uint16_t)phases;
    vc->entry_bits = (uint8_t)entry_bits;
    vc->scheme = VC_ARB_FIXED;
    memset(vc->loaded, 0, sizeof vc->loaded);
    space_ext(s, at, id, 1);
    space_put(s, at + VC_CAP1, 4, phases ? entry_code << 10 : 0); /* VC0 only */
    space_put(s, at + VC0_CAP, 4, offered(phases) | (phases ? 2u << 24 : 0));
    space_put(s, at + VC0_CONTROL, 4, 0x800000FF); /* enabled, carries every traffic class */
    space_allow(s, at + VC0_CONTROL, 4, 0x000000FE | (phases ? 7u << VC_SELECT_SHIFT : 0));
    if (phases)
        for (unsigned k = 0; k < table_bytes(vc); k += 4)
            space_allow(s, vc->table + k, 4, UINT32_MAX);
}

static void set_status(struct vc *vc, struct space *s, uint32_t bit) {
    uint32_t at = vc->cap + VC0_STATUS;
    space_put(s, at, 2, (space_get(s, at, 2) & ~(uint32_t)VC_PORT_TABLE_STATUS) | bit);
}

static void load(struct vc *vc, struct space *s) {
    if (vc->stuck) {
        vc->stuck--;
        set_status(vc, s, VC_PORT_TABLE_STATUS);
        return;
    }
    memcpy(vc->loaded, &s->words[vc->table / 4], table_bytes(vc));
    set_status(vc, s, 0);
}

static int control_write(struct vc *vc, struct space *s, uint32_t at, uint32_t value,
                         unsigned bytes) {
    uint32_t where = vc->cap + VC0_CONTROL, skip = at - where;
    uint64_t ones = (UINT64_C(1) << (8 * bytes)) - 1;
    uint32_t written = (uint32_t)((value & ones) << (8 * skip));
    uint32_t before = space_get(s, where, 4);
    space_write(s, at, value, bytes);
    uint32_t scheme = space_get(s, where, 4) >> VC_SELECT_SHIFT & 7;
    if (!(offered(vc->phases) >> scheme & 1)) { /* a scheme that does not exist stays unselected */
        scheme = vc->scheme;
        uint32_t keep = (space_get(s, where, 4) & ~(7u << VC_SELECT_SHIFT));
        space_put(s, where, 4, keep | (before & 7u << VC_SELECT_SHIFT));
    }
    int changed = scheme != vc->scheme;
    vc->scheme = (uint8_t)scheme;
    if (written & VC_LOAD_PORT_TABLE && vc->phases) {
        load(vc, s);
        changed = 1;
    }
    return changed ? VC_IN_FORCE : VC_TAKEN;
}

int vc_write(struct vc *vc, struct space *s, uint32_t at, uint32_t value, unsigned bytes) {
    if (!vc->cap) return VC_OTHER;
    if (vc->table && at >= vc->table && at < vc->table + table_bytes(vc)) {
        if (vc->torn) {
            vc->torn--;
            return VC_TAKEN;
        }
        space_write(s, at, value, bytes);
        set_status(vc, s, VC_PORT_TABLE_STATUS);
        return VC_TAKEN;
    }
    uint32_t control = vc->cap + VC0_CONTROL;
    if (at < control || at >= control + 4) return VC_OTHER;
    return control_write(vc, s, at, value, bytes);
}

unsigned vc_slots(const struct vc *vc, uint16_t *slots, size_t classes) {
    unsigned phases = scheme_phases(vc->scheme);
    memset(slots, 0, classes * sizeof *slots);
    for (unsigned k = 0; k < phases; k++) {
        unsigned entry =
            vc->entry_bits == 8 ? vc->loaded[k] : vc->loaded[k / 2] >> 4 * (k & 1) & 15;
        if (entry < classes) slots[entry]++;
    }
    return phases;
}
