/* Virtual channels: which traffic classes each carries, and the arbitration between them. */
#include <errno.h>

#include "driver.h"

enum { ID_MASK = 7, TCS = 0xFF };

/* Where a place's channels are, and how many. */
static int find(fab_switch *sw, uint32_t where, struct fab_space *space, uint32_t *at) {
    uint32_t cap1;
    if (where & FAB_AT_FUNCTION) where = FAB_AT_FUNCTION | PDFID(PDFID_MODULE(where & 0xFFFF), 0);
    int rc = fab_space_at(sw, where, space);
    if (rc < 0) return rc;
    rc = fab_vc_find(space);
    if (rc < 0) return rc;
    *at = (uint32_t)rc;
    rc = fab_space_read(space, *at + VC_CAP1, &cap1, 1);
    if (rc < 0) return rc;
    if (cap1 == ALL_ONES) return fab_space_gone(space, -EPROTO);
    return (int)(cap1 & 7) + 1;
}

static uint32_t channel(uint32_t at, unsigned vc) {
    return at + VC_STRIDE * vc;
}

static int read_vc(const struct fab_space *space, uint32_t at, unsigned vc, struct fab_vc *out) {
    uint32_t control;
    uint16_t status;
    struct fab_table table;
    int rc = fab_space_read(space, channel(at, vc) + VC0_CONTROL, &control, 1);
    if (rc == 0) rc = fab_space_read16(space, channel(at, vc) + VC0_STATUS, &status);
    if (rc == 0) rc = fab_table_at(space, at, vc, &table);
    if (rc < 0) return rc;
    if (control == ALL_ONES || status == TABLE_STATUS_GONE) return fab_space_gone(space, -EPROTO);
    *out = (struct fab_vc){.id = control >> VC_ID_SHIFT & ID_MASK,
                           .enabled = control >> 31,
                           .tcs = control & TCS,
                           .negotiating = (status & VC_NEGOTIATION_PENDING) != 0,
                           .phases = (uint16_t)table.longest};
    return 0;
}

int fab_switch_vcs(fab_switch *sw, uint32_t where, struct fab_vc *out, size_t max) {
    struct fab_space space;
    uint32_t at;
    int n = find(sw, where, &space, &at);
    for (int i = 0; i < n && (size_t)i < max; i++) {
        int rc = read_vc(&space, at, (unsigned)i, &out[i]);
        if (rc < 0) return rc;
    }
    return n;
}

/* ---- the map -------------------------------------------------------------------------------- */

static int check(const struct fab_vc *wish, size_t n) {
    uint32_t ids = 0, tcs = 0;
    if (!wish[0].enabled || wish[0].id != 0 || !(wish[0].tcs & 1)) return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (!wish[i].enabled) continue;
        if (wish[i].id > ID_MASK || ids >> wish[i].id & 1) return -EINVAL;
        if (!wish[i].tcs || tcs & wish[i].tcs) return -EINVAL;
        ids |= 1u << wish[i].id;
        tcs |= wish[i].tcs;
    }
    return 0;
}

static uint32_t control_of(const struct fab_vc *vc) {
    return (vc->enabled ? VC_ENABLE : 0) | (uint32_t)vc->id << VC_ID_SHIFT | vc->tcs;
}

/* Bit 0 of VC0's map is set for good and its enable too, so the mask may hold them. */
static int put(const struct fab_space *space, uint32_t at, unsigned vc, const struct fab_vc *want) {
    uint32_t mask = VC_ENABLE | (uint32_t)ID_MASK << VC_ID_SHIFT | TCS;
    return fab_space_set(space, channel(at, vc) + VC0_CONTROL, 4, mask, control_of(want));
}

/* What loses classes first: no class is ever in two channels. An id changes only while its channel
 * is off. */
static int shrink(const struct fab_space *space, uint32_t at, const struct fab_vc *now,
                  const struct fab_vc *wish, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        struct fab_vc less = now[i];
        if (now[i].enabled) less.tcs &= wish[i].enabled ? wish[i].tcs : 0;
        if (!wish[i].enabled || wish[i].id != now[i].id) less.enabled = 0;
        if (!less.enabled) less.tcs = now[i].enabled ? 0 : now[i].tcs;
        int rc = put(space, at, i, &less);
        if (rc < 0) return rc;
    }
    return 0;
}

static int grow(const struct fab_space *space, uint32_t at, const struct fab_vc *wish, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        struct fab_vc still = wish[i];
        struct fab_vc now;
        int rc = read_vc(space, at, i, &now);
        if (rc < 0) return rc;
        still.enabled = now.enabled;
        rc = put(space, at, i, &still);
        if (rc == 0) rc = put(space, at, i, &wish[i]);
        if (rc < 0) return rc;
    }
    return 0;
}

static int map(fab_switch *sw, uint32_t where, const struct fab_vc *wish, size_t n) {
    struct fab_vc now[FAB_MAX_VCS];
    struct fab_space space;
    uint32_t at;
    int rc = find(sw, where, &space, &at);
    if (rc < 0) return rc;
    if (!wish || n != (size_t)rc) return -EINVAL;
    rc = check(wish, n);
    for (unsigned i = 0; i < n && rc == 0; i++) rc = read_vc(&space, at, i, &now[i]);
    if (rc == 0) rc = shrink(&space, at, now, wish, (unsigned)n);
    return rc < 0 ? rc : grow(&space, at, wish, (unsigned)n);
}

int fab_switch_vc_map(fab_switch *sw, uint32_t where, const struct fab_vc *wish, size_t n) {
    size_t mark;
    int rc = fab_undo_begin(sw, 3 * (n < FAB_MAX_VCS ? n : FAB_MAX_VCS), &mark);
    return rc < 0 ? rc : fab_undo_end(sw, mark, map(sw, where, wish, n));
}

int fab_switch_vc_wait(fab_switch *sw, uint32_t where, uint64_t timeout_ns) {
    struct fab_wait wait = {.limit_ns = timeout_ns, .sw = sw};
    for (;;) {
        struct fab_vc vcs[FAB_MAX_VCS];
        int n = fab_switch_vcs(sw, where, vcs, FAB_MAX_VCS), left = 0;
        if (n < 0) return n;
        for (int i = 0; i < n; i++) left += vcs[i].enabled && vcs[i].negotiating;
        if (!left) return 0;
        int rc = fab_wait_next(&wait);
        if (rc < 0) return rc;
    }
}

/* ---- between channels ----------------------------------------------------------------------- */

/* An entry names the id of a channel that is enabled. */
static int find_between(fab_switch *sw, uint32_t where, struct fab_table *out) {
    struct fab_vc vcs[FAB_MAX_VCS];
    struct fab_space space;
    uint32_t at;
    uint64_t ids = 0;
    int n = find(sw, where, &space, &at);
    if (n < 0) return n;
    for (int i = 0; i < n; i++) {
        int rc = read_vc(&space, at, (unsigned)i, &vcs[i]);
        if (rc < 0) return rc;
        if (vcs[i].enabled) ids |= UINT64_C(1) << vcs[i].id;
    }
    int rc = fab_table_between(&space, at, out);
    if (rc == 0) out->allowed = ids;
    return rc;
}

int64_t fab_switch_load_vc_table(fab_switch *sw, uint32_t where, const uint8_t *entries,
                                 size_t phases) {
    struct fab_table table;
    return fab_table_load(sw, &table, find_between(sw, where, &table), entries, phases);
}

int fab_switch_vc_table(fab_switch *sw, uint32_t where, uint8_t *entries, size_t max) {
    struct fab_table table;
    int rc = find_between(sw, where, &table);
    return rc < 0 ? rc : fab_table_contents(&table, entries, max);
}
