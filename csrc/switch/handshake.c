/* The load handshake of an arbitration table, and the way back when it fails. */
#include <errno.h>
#include <string.h>

#include "driver.h"

enum { TRIES = 2 };                /* of the way back: a write lost once is not lost for ever */
#define LOAD_NS UINT64_C(20000000) /* a load takes microseconds; longer than this is a fault */

/* The next run of set bits at or above `*from`: its length, and *from its start; 0 = no more. */
static uint32_t next_run(uint64_t mask, uint32_t *from) {
    if (*from >= 64 || !(mask >> *from)) return 0;
    *from += (uint32_t)__builtin_ctzll(mask >> *from);
    uint64_t rest = ~(mask >> *from);
    return rest ? (uint32_t)__builtin_ctzll(rest) : 64;
}

static int write_runs(const struct fab_table *t, const uint32_t *dwords, uint64_t mask) {
    uint32_t at = 0;
    for (uint32_t n; (n = next_run(mask, &at)) != 0; at += n) {
        int rc = fab_space_write(&t->space, t->address + 4 * at, dwords + at, n);
        if (rc < 0) return rc;
    }
    return 0;
}

static int wait_loaded(const struct fab_table *t) {
    uint64_t limit = t->space.sw->timeout_ns;
    struct fab_wait wait = {.limit_ns = limit < LOAD_NS ? limit : LOAD_NS, .sw = t->space.sw};
    for (;;) {
        uint16_t status;
        int rc = fab_space_read16(&t->space, t->status_at, &status);
        if (rc < 0) return rc;
        if (status == TABLE_STATUS_GONE) return -ENODEV;
        if (!(status & VC_PORT_TABLE_STATUS)) return 0;
        rc = fab_wait_next(&wait);
        if (rc < 0) return rc;
    }
}

/* What a failed comparison means: the device has gone, or it holds something else. */
static int differs_because(const struct fab_table *t) {
    uint16_t status;
    int rc = fab_space_read16(&t->space, t->status_at, &status);
    if (rc < 0) return rc;
    return status == TABLE_STATUS_GONE ? -ENODEV : -EIO;
}

static int verify(const struct fab_table *t, const uint32_t *dwords, uint64_t mask, bool scheme) {
    uint32_t got[TABLE_DWORDS], control, at = 0;
    for (uint32_t n; (n = next_run(mask, &at)) != 0; at += n) {
        int rc = fab_space_read(&t->space, t->address + 4 * at, got, n);
        if (rc < 0) return rc;
        if (memcmp(got, dwords + at, 4 * n)) return differs_because(t);
    }
    if (!scheme) return 0;
    int rc = fab_table_get_control(t, &control);
    if (rc < 0) return rc;
    return fab_table_select(t, control) == fab_table_select(t, t->control) ? 0 : differs_because(t);
}

/* Dwords, load, wait, scheme, read back. Keeps only t->control and t->pending true on the way. */
static int put(struct fab_table *t, const uint32_t *dwords, uint64_t mask, uint32_t control,
               bool scheme) {
    if (mask) t->pending = true;
    int rc = write_runs(t, dwords, mask);
    if (rc == 0 && (scheme || t->pending)) {
        rc = fab_table_put_control(t, t->control | t->load);
        if (rc == 0) rc = wait_loaded(t);
    }
    if (rc < 0) return rc;
    t->pending = false;
    if (scheme) {
        rc = fab_table_put_control(t, control);
        if (rc < 0) return rc;
        t->control = control;
    }
    return verify(t, dwords, mask, scheme);
}

/* Puts a known table back, after anything. */
static int put_back(struct fab_table *t, const uint32_t *dwords, uint64_t mask, uint32_t control,
                    bool scheme) {
    int rc = -EIO;
    for (int i = 0; i < TRIES && rc < 0 && rc != -ENODEV; i++)
        rc = put(t, dwords, mask, control, scheme);
    if (rc < 0) t->known = false;
    return rc;
}

/* The table takes what was written, the change what was there before. */
static void swap_in(struct fab_table *t, struct fab_swap *change, uint32_t old_control) {
    for (uint64_t left = change->mask; left; left &= left - 1) {
        int i = __builtin_ctzll(left);
        uint32_t dword = t->dwords[i];
        t->dwords[i] = change->dwords[i];
        change->dwords[i] = dword;
    }
    change->control = old_control;
}

int fab_table_apply(struct fab_table *t, struct fab_swap *change) {
    uint32_t old = t->control;
    int rc = put(t, change->dwords, change->mask, change->control, change->scheme);
    if (rc == 0)
        swap_in(t, change, old);
    else if (rc == -ENODEV)
        t->known = false;
    else
        put_back(t, t->dwords, change->mask, old, change->scheme);
    return rc;
}

int fab_table_undo(struct fab_table *t, struct fab_swap *change) {
    uint32_t old = t->control;
    int rc = put_back(t, change->dwords, change->mask, change->control, change->scheme);
    if (rc == 0) swap_in(t, change, old);
    return rc;
}
