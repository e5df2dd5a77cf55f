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

/* Phases by the value of the select field; 4 is the time-based scheme, which is only ever read. */
static uint32_t phases_of(uint32_t select) {
    static const uint16_t phases[] = {0, 32, 64, 128, 128, 256, 0, 0};
    return phases[select & SELECT_MASK];
}

uint32_t fab_table_select(const struct fab_table *t, uint32_t control) {
    return control >> t->select_shift & SELECT_MASK;
}

static uint32_t with_select(const struct fab_table *t, uint32_t control, uint32_t select) {
    return (control & ~((uint32_t)SELECT_MASK << t->select_shift)) | select << t->select_shift;
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

/* What `capability` offers: schemes in its low bits, the table's place in the highest byte. */
static int settle_geometry(struct fab_table *t, uint32_t offers, uint32_t schemes) {
    t->address = t->capability + 16 * (offers >> 24);
    t->offered = offers >> 24 ? offers & schemes : 0;
    t->longest = 0;
    t->allowed = t->entry_bits == 8 ? UINT64_MAX : (UINT64_C(1) << (1u << t->entry_bits)) - 1;
    t->known = t->pending = false;
    for (uint32_t select = 0; select <= VC_ARB_WRR256; select++)
        if (t->offered >> select & 1) t->longest = phases_of(select);
    return t->address + 4 * dwords_for(t, t->longest) > t->space.limit ? -EPROTO : 0;
}

int fab_table_at(const struct fab_space *space, uint32_t capability, unsigned vc,
                 struct fab_table *out) {
    uint32_t cap1, offers, channel = capability + VC_STRIDE * vc;
    int rc = fab_space_read(space, capability + VC_CAP1, &cap1, 1);
    if (rc < 0) return rc;
    if (cap1 == ALL_ONES) return -ENODEV;
    if (vc > (cap1 & 7)) return -ENOENT;
    rc = fab_space_read(space, channel + VC0_CAP, &offers, 1);
    if (rc < 0) return rc;
    if (offers == ALL_ONES) return -ENODEV;
    *out = (struct fab_table){.space = *space,
                              .capability = capability,
                              .control_at = channel + VC0_CONTROL,
                              .status_at = channel + VC0_STATUS,
                              .control_bytes = 4,
                              .select_shift = VC_SELECT_SHIFT,
                              .load = VC_LOAD_PORT_TABLE,
                              .entry_bits = 1u << (cap1 >> 10 & 3)};
    return settle_geometry(out, offers, WEIGHTED);
}

int fab_table_between(const struct fab_space *space, uint32_t capability, struct fab_table *out) {
    uint32_t offers;
    int rc = fab_space_read(space, capability + VC_CAP2, &offers, 1);
    if (rc < 0) return rc;
    if (offers == ALL_ONES) return -ENODEV;
    *out = (struct fab_table){.space = *space,
                              .capability = capability,
                              .control_at = capability + VC_CONTROL,
                              .status_at = capability + VC_STATUS,
                              .control_bytes = 2,
                              .select_shift = VC_ARBITRATION_SHIFT,
                              .load = VC_LOAD_ARBITRATION_TABLE,
                              .entry_bits = 4};
    return settle_geometry(out, offers, 1 << VC_ARB_WRR32 | 1 << VC_ARB_WRR64 | 1 << VC_ARB_WRR128);
}

int fab_vc_find(const struct fab_space *space) {
    static const uint16_t of_port[] = {EXT_CAP_VC, EXT_CAP_VC_MFVC}, of_function[] = {EXT_CAP_MFVC};
    const uint16_t *ids = space->pdfid < 0 ? of_port : of_function;
    for (size_t i = 0; i < (space->pdfid < 0 ? 2 : 1); i++) {
        int at = fab_capability_find_ext(space, ids[i], 0);
        if (at != 0) return at;
    }
    return -EOPNOTSUPP;
}

/* A function's table belongs to the device, so it is the PF's whichever of its functions is named.
 */
int fab_table_find(fab_switch *sw, uint32_t where, unsigned vc, struct fab_table *out) {
    struct fab_space space;
    if (where & FAB_AT_FUNCTION) where = FAB_AT_FUNCTION | PDFID(PDFID_MODULE(where & 0xFFFF), 0);
    int rc = fab_space_at(sw, where, &space);
    if (rc < 0) return rc;
    rc = fab_vc_find(&space);
    if (rc < 0) return rc;
    rc = fab_table_at(&space, (uint32_t)rc, vc, out);
    if (rc == 0) out->allowed &= space.pdfid < 0 ? sw->present : GROUPS_ALLOWED;
    return rc;
}

int fab_table_find_port(fab_switch *sw, uint8_t port, struct fab_table *out) {
    return fab_table_find(sw, port, 0, out);
}

int fab_table_find_function(fab_switch *sw, uint16_t pdfid, struct fab_table *out) {
    return fab_table_find(sw, FAB_AT_FUNCTION | pdfid, 0, out);
}

/* ---- contents ------------------------------------------------------------------------------- */

int fab_table_get_control(const struct fab_table *t, uint32_t *control) {
    return fab_space_get(&t->space, t->control_at, t->control_bytes, control);
}

int fab_table_put_control(const struct fab_table *t, uint32_t control) {
    return fab_space_put(&t->space, t->control_at, t->control_bytes, control);
}

int fab_table_read(struct fab_table *t) {
    uint16_t status;
    t->known = false;
    int rc = fab_table_get_control(t, &t->control);
    if (rc >= 0) rc = fab_space_read16(&t->space, t->status_at, &status);
    if (rc < 0) return rc;
    if (t->control == ALL_ONES || status == TABLE_STATUS_GONE) return -ENODEV;
    t->control &= ~t->load;
    t->pending = status & VC_PORT_TABLE_STATUS;
    rc = fab_space_read(&t->space, t->address, t->dwords, dwords_for(t, t->longest));
    if (rc < 0) return rc;
    t->known = true;
    return 0;
}

uint32_t fab_table_phases(const struct fab_table *t) {
    return phases_of(fab_table_select(t, t->control));
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
                   struct fab_swap *out) {
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
    out->control = with_select(t, t->control, (uint32_t)select);
    out->scheme = out->control != t->control;
    return 0;
}

bool fab_table_differs(const struct fab_table *t, const struct fab_swap *change) {
    return change->mask || change->scheme || t->pending;
}

/* ---- one table at a time -------------------------------------------------------------------- */

static int table_back(struct fab_step *step) {
    return fab_table_undo(&step->table.table, &step->table.swap);
}

/* A table that failed has put itself back: only one that is in force has a way back to note. */
static int apply_noted(struct fab_table *t, struct fab_swap *swap) {
    int rc = fab_table_apply(t, swap);
    if (rc == 0) {
        struct fab_step *step = fab_undo_note(t->space.sw, table_back);
        step->table.table = *t;
        step->table.swap = *swap;
    } else if (!t->known && rc != -ENODEV) {
        rc = -ENOTRECOVERABLE;
    }
    return rc;
}

int64_t fab_table_load(fab_switch *sw, struct fab_table *t, int found, const uint8_t *entries,
                       size_t phases) {
    struct fab_swap swap;
    size_t mark;
    int rc = fab_undo_begin(sw, 1, &mark);
    if (rc < 0) return rc;
    uint64_t before = fab_bar_writes(sw->bar);
    rc = found < 0 ? found : fab_table_read(t);
    if (rc == 0) rc = fab_table_diff(t, entries, phases, &swap);
    if (rc == 0 && fab_table_differs(t, &swap)) rc = apply_noted(t, &swap);
    rc = fab_undo_end(sw, mark, rc);
    return rc < 0 ? rc : (int64_t)(fab_bar_writes(sw->bar) - before);
}

int fab_table_contents(struct fab_table *t, uint8_t *entries, size_t max) {
    int rc = fab_table_read(t);
    if (rc < 0) return rc;
    if (t->pending) return -EBUSY; /* the registers are not what is in force */
    uint32_t phases = fab_table_phases(t);
    if (phases > t->longest) return -EPROTO;
    fab_table_unpack(t, entries, phases < max ? phases : max);
    return (int)phases;
}

int64_t fab_switch_load_vc_port_table(fab_switch *sw, uint32_t where, uint8_t vc,
                                      const uint8_t *entries, size_t phases) {
    struct fab_table table;
    return fab_table_load(sw, &table, fab_table_find(sw, where, vc, &table), entries, phases);
}

int fab_switch_vc_port_table(fab_switch *sw, uint32_t where, uint8_t vc, uint8_t *entries,
                             size_t max) {
    struct fab_table table;
    int rc = fab_table_find(sw, where, vc, &table);
    return rc < 0 ? rc : fab_table_contents(&table, entries, max);
}

int64_t fab_switch_load_port_table(fab_switch *sw, uint8_t port, const uint8_t *entries,
                                   size_t phases) {
    return fab_switch_load_vc_port_table(sw, port, 0, entries, phases);
}

int fab_switch_port_table(fab_switch *sw, uint8_t port, uint8_t *entries, size_t max) {
    return fab_switch_vc_port_table(sw, port, 0, entries, max);
}

int64_t fab_switch_load_function_table(fab_switch *sw, uint16_t pdfid, const uint8_t *entries,
                                       size_t phases) {
    return fab_switch_load_vc_port_table(sw, FAB_AT_FUNCTION | pdfid, 0, entries, phases);
}

int fab_switch_function_table(fab_switch *sw, uint16_t pdfid, uint8_t *entries, size_t max) {
    return fab_switch_vc_port_table(sw, FAB_AT_FUNCTION | pdfid, 0, entries, max);
}
