/* Arbitration tables: geometry, contents, what differs, and the load handshake with its way back.
 */
#include <errno.h>
#include <string.h>

#include "driver.h"

enum {
    SELECT_MASK = 7,
    WEIGHTED = 1 << VC_ARB_WRR32 | 1 << VC_ARB_WRR64 | 1 << VC_ARB_WRR128 | 1 << VC_ARB_WRR256
};
#define GROUPS_ALLOWED UINT64_C(0xFF)
#define TABLE_STATUS_GONE                                                        \
    0xFFFF /* reserved bits of the status read as zero on a device that is there \
            */

/* Phases by the value of the select field; 4 is the time-based scheme, which is only ever read. */
static uint32_t phases_of(uint32_t select) {
    static const uint16_t phases[] = {0, 32, 64, 128, 128, 256, 0, 0};
    return phases[select & SELECT_MASK];
}

uint32_t fab_table_select(uint32_t control) {
    return control >> VC_SELECT_SHIFT & SELECT_MASK;
}

static uint32_t with_select(uint32_t control, uint32_t select) {
    return (control & ~((uint32_t)SELECT_MASK << VC_SELECT_SHIFT)) | select << VC_SELECT_SHIFT;
}

int fab_table_scheme(const struct fab_table *t, size_t phases) {
    int select = phases == 32    ? VC_ARB_WRR32
                 : phases == 64  ? VC_ARB_WRR64
                 : phases == 128 ? VC_ARB_WRR128
                 : phases == 256 ? VC_ARB_WRR256
                                 : -EINVAL;
    if (select < 0) return select;
    return t->offered >> select & 1 ? select : -EOPNOTSUPP;
}

static uint32_t dwords_for(const struct fab_table *t, size_t phases) {
    return (uint32_t)phases * t->entry_bits / 32;
}

/* ---- geometry ------------------------------------------------------------------------------- */

int fab_table_at(const struct fab_space *space, uint32_t capability, struct fab_table *out) {
    uint32_t cap1, vc0;
    int rc = fab_space_read(space, capability + VC_CAP1, &cap1, 1);
    if (rc >= 0) rc = fab_space_read(space, capability + VC0_CAP, &vc0, 1);
    if (rc < 0) return rc;
    if (cap1 == ALL_ONES || vc0 == ALL_ONES) return -ENODEV;
    struct fab_table *t = out;
    t->space = *space;
    t->capability = capability;
    t->address = capability + 16 * (vc0 >> 24);
    t->entry_bits = 1u << (cap1 >> 10 & 3);
    t->offered = vc0 >> 24 ? vc0 & WEIGHTED : 0;
    t->longest = 0;
    t->allowed = t->entry_bits == 8 ? UINT64_MAX : (UINT64_C(1) << (1u << t->entry_bits)) - 1;
    t->known = t->pending = false;
    for (uint32_t select = 0; select <= VC_ARB_WRR256; select++)
        if (t->offered >> select & 1) t->longest = phases_of(select);
    return t->address + 4 * dwords_for(t, t->longest) > space->limit ? -EPROTO : 0;
}

static int find_any(const struct fab_space *space, const uint16_t *ids, size_t n,
                    struct fab_table *out) {
    for (size_t i = 0; i < n; i++) {
        int at = fab_capability_find_ext(space, ids[i], 0);
        if (at < 0) return at;
        if (at > 0) return fab_table_at(space, (uint32_t)at, out);
    }
    return -EOPNOTSUPP;
}

int fab_table_find_port(fab_switch *sw, uint8_t port, struct fab_table *out) {
    static const uint16_t ids[] = {EXT_CAP_VC, EXT_CAP_VC_MFVC};
    struct fab_space space;
    int rc = fab_space_port(sw, port, &space);
    if (rc == 0) rc = find_any(&space, ids, 2, out);
    if (rc == 0) out->allowed &= sw->present;
    return rc;
}

/* The table belongs to the device, so it is the PF's whichever of its functions is named. */
int fab_table_find_function(fab_switch *sw, uint16_t pdfid, struct fab_table *out) {
    static const uint16_t id = EXT_CAP_MFVC;
    struct fab_space space;
    fab_space_function(sw, PDFID(PDFID_MODULE(pdfid), 0), &space);
    int rc = find_any(&space, &id, 1, out);
    if (rc == 0) out->allowed &= GROUPS_ALLOWED;
    return rc;
}

/* ---- contents ------------------------------------------------------------------------------- */

int fab_table_read(struct fab_table *t) {
    uint16_t status;
    t->known = false;
    int rc = fab_space_read(&t->space, t->capability + VC0_CONTROL, &t->control, 1);
    if (rc >= 0) rc = fab_space_read16(&t->space, t->capability + VC0_STATUS, &status);
    if (rc < 0) return rc;
    if (t->control == ALL_ONES || status == TABLE_STATUS_GONE) return -ENODEV;
    t->control &= ~(uint32_t)VC_LOAD_PORT_TABLE;
    t->pending = status & VC_PORT_TABLE_STATUS;
    rc = fab_space_read(&t->space, t->address, t->dwords, dwords_for(t, t->longest));
    if (rc < 0) return rc;
    t->known = true;
    return 0;
}

uint32_t fab_table_phases(const struct fab_table *t) {
    return phases_of(fab_table_select(t->control));
}

void fab_table_unpack(const struct fab_table *t, uint8_t *entries, size_t n) {
    uint32_t bits = t->entry_bits, mask = (1u << bits) - 1;
    for (size_t i = 0; i < n; i++)
        entries[i] = (uint8_t)(t->dwords[i * bits / 32] >> (i * bits % 32) & mask);
}

static bool entries_allowed(uint64_t allowed, const uint8_t *entries, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (entries[i] > 63 || !(allowed >> entries[i] & 1)) return false;
    return true;
}

static void pack(uint32_t bits, const uint8_t *entries, size_t n, uint32_t *dwords) {
    memset(dwords, 0, n * bits / 8);
    for (size_t i = 0; i < n; i++) dwords[i * bits / 32] |= (uint32_t)entries[i] << (i * bits % 32);
}

/* Entries of 8 bits lie in memory as they do in the registers; only those that change are checked,
 * as every tick comes through here. */
int fab_table_diff(const struct fab_table *t, const uint8_t *entries, size_t phases,
                   struct fab_change *out) {
    int select = fab_table_scheme(t, phases);
    if (select < 0) return select;
    uint32_t dwords = dwords_for(t, phases);
    if (t->entry_bits == 8) {
        memcpy(out->dwords, entries, phases);
    } else {
        if (!entries_allowed(t->allowed, entries, phases)) return -EINVAL;
        pack(t->entry_bits, entries, phases, out->dwords);
    }
    out->mask = 0;
    for (uint32_t i = 0; i < dwords; i++) {
        if (out->dwords[i] == t->dwords[i]) continue;
        if (t->entry_bits == 8 && !entries_allowed(t->allowed, entries + 4 * i, 4)) return -EINVAL;
        out->mask |= UINT64_C(1) << i;
    }
    out->control = with_select(t->control, (uint32_t)select);
    out->scheme = out->control != t->control;
    return 0;
}

bool fab_table_differs(const struct fab_table *t, const struct fab_change *change) {
    return change->mask || change->scheme || t->pending;
}

/* ---- one table at a time -------------------------------------------------------------------- */

static int64_t load(fab_switch *sw, struct fab_table *t, const uint8_t *entries, size_t phases) {
    struct fab_change change;
    uint64_t before = fab_bar_writes(sw->bar);
    int rc = fab_table_read(t);
    if (rc == 0) rc = fab_table_diff(t, entries, phases, &change);
    if (rc == 0 && fab_table_differs(t, &change)) rc = fab_table_apply(t, &change);
    return rc < 0 ? rc : (int64_t)(fab_bar_writes(sw->bar) - before);
}

static int contents(struct fab_table *t, uint8_t *entries, size_t max) {
    int rc = fab_table_read(t);
    if (rc < 0) return rc;
    if (t->pending) return -EBUSY; /* the registers are not what is in force */
    uint32_t phases = fab_table_phases(t);
    if (phases > t->longest) return -EPROTO;
    fab_table_unpack(t, entries, phases < max ? phases : max);
    return (int)phases;
}

int64_t fab_switch_load_port_table(fab_switch *sw, uint8_t port, const uint8_t *entries,
                                   size_t phases) {
    struct fab_table table;
    int rc = fab_table_find_port(sw, port, &table);
    return rc < 0 ? rc : load(sw, &table, entries, phases);
}

int fab_switch_port_table(fab_switch *sw, uint8_t port, uint8_t *entries, size_t max) {
    struct fab_table table;
    int rc = fab_table_find_port(sw, port, &table);
    return rc < 0 ? rc : contents(&table, entries, max);
}

int64_t fab_switch_load_function_table(fab_switch *sw, uint16_t pdfid, const uint8_t *entries,
                                       size_t phases) {
    struct fab_table table;
    int rc = fab_table_find_function(sw, pdfid, &table);
    return rc < 0 ? rc : load(sw, &table, entries, phases);
}

int fab_switch_function_table(fab_switch *sw, uint16_t pdfid, uint8_t *entries, size_t max) {
    struct fab_table table;
    int rc = fab_table_find_function(sw, pdfid, &table);
    return rc < 0 ? rc : contents(&table, entries, max);
}
