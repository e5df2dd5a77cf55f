/* Virtual Channel capabilities: channels and the classes they carry, arbitration tables written,
 * loaded, selected, in force. */
#include <string.h>

#include "node.h"

enum {
    PORT_CHANNELS = 4,
    CHANNEL_PHASES = 64,  /* longest VC arbitration */
    CHANNEL_TABLE = 0x40, /* in a port's capability, behind four resources; its bytes: */
    CHANNEL_TABLE_BYTES = CHANNEL_PHASES / 2,
    PORT_TABLE = 0x60,
    ONE_CHANNEL_TABLE = 0x20,
    CHANNEL_SCHEMES = 1 << VC_ARB_FIXED | 1 << VC_ARB_WRR32 | 1 << VC_ARB_WRR64
};
#define CHANNEL_MAP 0xFFu

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

static uint32_t control_at(const struct vc *vc, unsigned channel) {
    return vc->cap + VC0_CONTROL + VC_STRIDE * channel;
}

/* The channels of a port beside the first. All are in the low-priority group, so the VC arbitration
 * divides the link among all of them. */
static void build_channels(struct vc *vc, struct space *s) {
    uint32_t at = vc->cap, more = vc->channels - 1u;
    space_put(s, at + VC_CAP1, 4, space_get(s, at + VC_CAP1, 4) | more << 4 | more);
    space_put(s, at + VC_CAP2, 4, CHANNEL_SCHEMES | CHANNEL_TABLE / 16 << 24);
    space_allow(s, at + VC_CONTROL, 2, VC_ARBITRATION_MASK);
    for (unsigned k = 0; k < CHANNEL_TABLE_BYTES; k += 4)
        space_allow(s, at + CHANNEL_TABLE + k, 4, 0x77777777);
    for (unsigned n = 1; n < vc->channels; n++) {
        space_put(s, control_at(vc, n) - 4, 4, 1u << VC_ARB_FIXED);
        space_put(s, control_at(vc, n), 4, n << VC_ID_SHIFT);
        space_allow(s, control_at(vc, n), 4, VC_ENABLE | 7u << VC_ID_SHIFT | 0xFE);
    }
}

void vc_build(struct vc *vc, struct space *s, uint32_t at, uint16_t id, unsigned phases,
              unsigned entry_bits) {
    uint32_t entry_code = entry_bits == 8 ? 3 : entry_bits == 4 ? 2 : 0;
    vc->cap = (uint16_t)at;
    vc->channels = id == EXT_CAP_VC ? PORT_CHANNELS : 1;
    uint32_t table = vc->channels > 1 ? PORT_TABLE : ONE_CHANNEL_TABLE;
    vc->table = (uint16_t)(phases ? at + table : 0);
    vc->phases = (uint16_t)phases;
    vc->entry_bits = (uint8_t)entry_bits;
    vc->scheme = vc->vc_scheme = VC_ARB_FIXED;
    memset(vc->loaded, 0, sizeof vc->loaded);
    memset(vc->vc_loaded, 0, sizeof vc->vc_loaded);
    space_ext(s, at, id, 1);
    space_put(s, at + VC_CAP1, 4, phases ? entry_code << 10 : 0);
    space_put(s, at + VC0_CAP, 4, offered(phases) | (phases ? table / 16 << 24 : 0));
    space_put(s, at + VC0_CONTROL, 4, VC_ENABLE | CHANNEL_MAP); /* carries every class */
    space_allow(s, at + VC0_CONTROL, 4, 0x000000FE | (phases ? 7u << VC_SELECT_SHIFT : 0));
    for (unsigned k = 0; k < table_bytes(vc); k += 4) space_allow(s, at + table + k, 4, UINT32_MAX);
    if (vc->channels > 1) build_channels(vc, s);
}

static void set_status(struct space *s, uint32_t at, uint32_t bit, int on) {
    space_put(s, at, 2, (space_get(s, at, 2) & ~bit) | (on ? bit : 0));
}

/* A load that was asked for: what was written into the table is in force, if it ever finishes. */
static void load(struct vc *vc, struct space *s, uint32_t status, uint8_t *loaded, uint32_t table,
                 unsigned bytes) {
    int stuck = vc->stuck > 0;
    if (stuck)
        vc->stuck--;
    else
        memcpy(loaded, &s->words[table / 4], bytes);
    set_status(s, status, VC_PORT_TABLE_STATUS, stuck);
}

/* A write of a select field and load bit; a scheme that does not exist stays unselected. */
static void select_write(struct space *s, uint32_t at, uint32_t value, unsigned bytes,
                         uint32_t where, unsigned shift, uint32_t schemes, uint8_t *scheme) {
    uint32_t before = space_get(s, where, 4), field = 7u << shift;
    space_write(s, at, value, bytes);
    uint32_t now = space_get(s, where, 4);
    if (schemes >> (now >> shift & 7) & 1)
        *scheme = (uint8_t)(now >> shift & 7);
    else
        space_put(s, where, 4, (now & ~field) | (before & field));
}

/* The bits that a write of `bytes` at `at` sets in the dword at `where`. */
static uint32_t written(uint32_t at, uint32_t value, unsigned bytes, uint32_t where) {
    uint64_t ones = (UINT64_C(1) << (8 * bytes)) - 1;
    return (uint32_t)((value & ones) << (8 * (at - where)));
}

static int first_control(struct vc *vc, struct space *s, uint32_t at, uint32_t value,
                         unsigned bytes) {
    uint32_t where = control_at(vc, 0), before = space_get(s, where, 4);
    uint8_t scheme = vc->scheme;
    select_write(s, at, value, bytes, where, VC_SELECT_SHIFT, offered(vc->phases), &vc->scheme);
    int remapped = (space_get(s, where, 4) ^ before) & CHANNEL_MAP ? 1 : 0;
    int changed = scheme != vc->scheme || remapped;
    vc->remapped |= (uint8_t)remapped;
    if (!(written(at, value, bytes, where) & VC_LOAD_PORT_TABLE) || !vc->phases)
        return changed ? VC_IN_FORCE : VC_TAKEN;
    load(vc, s, vc->cap + VC0_STATUS, vc->loaded, vc->table, table_bytes(vc));
    return VC_IN_FORCE;
}

static int arbitration_control(struct vc *vc, struct space *s, uint32_t at, uint32_t value,
                               unsigned bytes) {
    uint32_t where = vc->cap + VC_CONTROL;
    uint8_t scheme = vc->vc_scheme;
    if (at >= where + 2) return VC_TAKEN; /* the status is read-only */
    select_write(s, at, value, bytes, where, VC_ARBITRATION_SHIFT, CHANNEL_SCHEMES, &vc->vc_scheme);
    if (!(written(at, value, bytes, where) & VC_LOAD_ARBITRATION_TABLE))
        return scheme != vc->vc_scheme ? VC_IN_FORCE : VC_TAKEN;
    load(vc, s, vc->cap + VC_STATUS, vc->vc_loaded, vc->cap + CHANNEL_TABLE, CHANNEL_TABLE_BYTES);
    return VC_IN_FORCE;
}

/* The id of a channel stays while the channel is enabled. */
static int channel_control(struct vc *vc, struct space *s, unsigned n, uint32_t at, uint32_t value,
                           unsigned bytes) {
    uint32_t where = control_at(vc, n), before = space_get(s, where, 4), id = 7u << VC_ID_SHIFT;
    space_write(s, at, value, bytes);
    uint32_t now = space_get(s, where, 4);
    if (before & now & VC_ENABLE) space_put(s, where, 4, (now & ~id) | (before & id));
    if (space_get(s, where, 4) == before) return VC_TAKEN;
    vc->remapped = 1;
    return VC_IN_FORCE;
}

static int table_write(struct vc *vc, struct space *s, uint32_t at, uint32_t value, unsigned bytes,
                       uint32_t status) {
    if (vc->torn) {
        vc->torn--;
        return VC_TAKEN;
    }
    space_write(s, at, value, bytes);
    set_status(s, status, VC_PORT_TABLE_STATUS, 1);
    return VC_TAKEN;
}

static int inside(uint32_t at, uint32_t start, uint32_t bytes) {
    return at >= start && at < start + bytes;
}

int vc_write(struct vc *vc, struct space *s, uint32_t at, uint32_t value, unsigned bytes) {
    if (!vc->cap) return VC_OTHER;
    if (vc->table && inside(at, vc->table, table_bytes(vc)))
        return table_write(vc, s, at, value, bytes, vc->cap + VC0_STATUS);
    if (inside(at, control_at(vc, 0), 4)) return first_control(vc, s, at, value, bytes);
    if (vc->channels == 1) return VC_OTHER;
    if (inside(at, vc->cap + CHANNEL_TABLE, CHANNEL_TABLE_BYTES))
        return table_write(vc, s, at, value, bytes, vc->cap + VC_STATUS);
    if (inside(at, vc->cap + VC_CONTROL, 4)) return arbitration_control(vc, s, at, value, bytes);
    for (unsigned n = 1; n < vc->channels; n++)
        if (inside(at, control_at(vc, n), 4)) return channel_control(vc, s, n, at, value, bytes);
    return VC_OTHER;
}

/* ---- what is in force ---- */

static unsigned entries(const uint8_t *loaded, unsigned bits, unsigned phases, uint16_t *slots,
                        uint8_t *table, size_t classes) {
    memset(slots, 0, classes * sizeof *slots);
    for (unsigned k = 0; k < phases; k++) {
        table[k] = bits == 8 ? loaded[k] : loaded[k / 2] >> 4 * (k & 1) & 15;
        if (table[k] < classes) slots[table[k]]++;
    }
    return phases;
}

unsigned vc_slots(const struct vc *vc, uint16_t *slots, uint8_t *table, size_t classes) {
    return entries(vc->loaded, vc->entry_bits, scheme_phases(vc->scheme), slots, table, classes);
}

unsigned vc_channel_slots(const struct vc *vc, uint16_t *slots, uint8_t *table, size_t channels) {
    return entries(vc->vc_loaded, 4, scheme_phases(vc->vc_scheme), slots, table, channels);
}

static int has_channel(const struct vc *vc, const struct space *s, uint32_t id) {
    for (unsigned n = 1; n < vc->channels; n++) {
        uint32_t control = space_get(s, control_at(vc, n), 4);
        if (control & VC_ENABLE && (control >> VC_ID_SHIFT & 7) == id) return 1;
    }
    return 0;
}

int vc_negotiate(struct vc *vc, struct space *s, int up, const struct vc *peer,
                 const struct space *peer_space) {
    int changed = 0;
    for (unsigned n = 1; n < vc->channels; n++) {
        uint32_t control = space_get(s, control_at(vc, n), 4), at = control_at(vc, n) + 6;
        uint32_t id = control >> VC_ID_SHIFT & 7;
        int there = up && (!peer || has_channel(peer, peer_space, id));
        int pending = control & VC_ENABLE && !there;
        changed |= pending != (int)(space_get(s, at, 2) >> 1 & 1);
        set_status(s, at, VC_NEGOTIATION_PENDING, pending);
    }
    return changed;
}

uint8_t vc_of_class(const struct vc *vc, const struct space *s, unsigned class) {
    for (unsigned n = vc->channels; n-- > 1;) {
        uint32_t control = space_get(s, control_at(vc, n), 4);
        uint32_t status = space_get(s, control_at(vc, n) + 6, 2);
        if (control & VC_ENABLE && control >> class & 1 && !(status & VC_NEGOTIATION_PENDING))
            return control >> VC_ID_SHIFT & 7;
    }
    return 0;
}
