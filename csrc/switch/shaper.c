/* The per-function shaper of a module: finding it, rates in units, writes that are read back. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "driver.h"

enum { VSECS = 16, TRIES = 2 };

/* The shaper among the PF's vendor-specific capabilities, or 0. */
static int find_vsec(const struct fab_space *pf) {
    int at = 0;
    for (int i = 0; i < VSECS; i++) {
        uint32_t header;
        at = fab_capability_find_ext(pf, EXT_CAP_VSEC, (uint32_t)at);
        if (at <= 0) return at;
        int rc = fab_space_read(pf, (uint32_t)at + VSEC_HEADER, &header, 1);
        if (rc < 0) return rc;
        if ((header & 0xFFFF) == SHAPER_VSEC_ID) return at;
    }
    return 0;
}

int fab_shaper_row(const struct fab_shaper *any, uint16_t pdfid, struct fab_shaper *out) {
    uint32_t rows = any->address - SHAPER_STRIDE * PDFID_FUNCTION(any->space.pdfid);
    if (PDFID_FUNCTION(pdfid) >= any->entries) return -ENOENT;
    *out = *any;
    out->address = rows + SHAPER_STRIDE * PDFID_FUNCTION(pdfid);
    out->known = false;
    return 0;
}

int fab_shaper_find(fab_switch *sw, uint16_t pdfid, struct fab_shaper *out) {
    struct fab_shaper pf = {0};
    fab_space_function(sw, PDFID(PDFID_MODULE(pdfid), 0), &pf.space);
    int at = find_vsec(&pf.space);
    if (at <= 0) return at < 0 ? at : -EOPNOTSUPP;
    pf.address = (uint32_t)at + SHAPER_TABLE;
    int rc = fab_space_read(&pf.space, (uint32_t)at + SHAPER_UNIT, &pf.unit, 1);
    if (rc == 0) rc = fab_space_read(&pf.space, (uint32_t)at + SHAPER_ENTRIES, &pf.entries, 1);
    if (rc < 0) return rc;
    if (pf.unit == ALL_ONES) return -ENODEV;
    if (pf.unit == 0 || pf.entries > (pf.space.limit - pf.address) / SHAPER_STRIDE) return -EPROTO;
    return fab_shaper_row(&pf, pdfid, out);
}

/* All ones in every rate is a module that is gone: nobody sets every rate to 2^32 - 1 units. */
int fab_shaper_read(struct fab_shaper *s) {
    s->known = false;
    int rc = fab_space_read(&s->space, s->address, s->rates, SHAPER_RATES);
    if (rc < 0) return rc;
    if ((s->rates[0] & s->rates[1] & s->rates[2] & s->rates[3]) == ALL_ONES) return -ENODEV;
    s->known = true;
    return 0;
}

static int minimum(double rate, uint32_t unit, uint32_t *out) {
    if (!(rate >= 0)) return -EINVAL;
    double units = ceil(rate / unit);
    if (units > (double)UINT32_MAX) return -ERANGE;
    *out = (uint32_t)units;
    return 0;
}

/* 0 units would mean no ceiling at all, so the lowest ceiling is one unit. */
static int maximum(double rate, uint32_t unit, uint32_t *out) {
    if (rate == INFINITY) {
        *out = 0;
        return 0;
    }
    int rc = minimum(rate, unit, out);
    if (rc == 0 && *out == 0) *out = 1;
    return rc;
}

int fab_shaper_units(const struct fab_shaper *s, const struct fab_shape *shape,
                     uint32_t rates[SHAPER_RATES]) {
    if (!(shape->up_min <= shape->up_max) || !(shape->down_min <= shape->down_max)) return -EINVAL;
    int rc = minimum(shape->up_min, s->unit, &rates[UP_MIN]);
    if (rc == 0) rc = minimum(shape->down_min, s->unit, &rates[DOWN_MIN]);
    if (rc == 0) rc = maximum(shape->up_max, s->unit, &rates[UP_MAX]);
    if (rc == 0) rc = maximum(shape->down_max, s->unit, &rates[DOWN_MAX]);
    return rc;
}

/* One rate, read back. */
static int put_rate(struct fab_shaper *s, unsigned which, uint32_t want, bool always) {
    uint32_t at = s->address + 4 * which, now;
    if (s->rates[which] == want && !always) return 0;
    int rc = fab_space_write(&s->space, at, &want, 1);
    if (rc == 0) rc = fab_space_read(&s->space, at, &now, 1);
    if (rc < 0) return rc;
    if (now == want) return 0;
    if (now == ALL_ONES) {
        uint32_t id;
        rc = fab_space_read(&s->space, 0, &id, 1);
        if (rc < 0) return rc;
        if (id == ALL_ONES) return -ENODEV;
    }
    return -EIO;
}

/* A direction's two rates in the order that never shows a minimum above its maximum: a maximum that
 * grows goes first. */
static int put_direction(struct fab_shaper *s, unsigned min, unsigned max, const uint32_t *rates,
                         bool always) {
    bool grows = rates[max] == 0 || (s->rates[max] != 0 && rates[max] >= s->rates[max]);
    unsigned first = grows ? max : min, second = grows ? min : max;
    int rc = put_rate(s, first, rates[first], always);
    return rc < 0 ? rc : put_rate(s, second, rates[second], always);
}

static int put_rates(struct fab_shaper *s, const uint32_t *rates, bool always) {
    int rc = put_direction(s, UP_MIN, UP_MAX, rates, always);
    return rc < 0 ? rc : put_direction(s, DOWN_MIN, DOWN_MAX, rates, always);
}

int fab_shaper_undo(struct fab_shaper *s, const uint32_t rates[SHAPER_RATES]) {
    int rc = -EIO;
    for (int i = 0; i < TRIES && rc < 0 && rc != -ENODEV; i++) rc = put_rates(s, rates, true);
    s->known = rc == 0;
    if (rc == 0) memcpy(s->rates, rates, sizeof s->rates);
    return rc;
}

int fab_shaper_apply(struct fab_shaper *s, const uint32_t rates[SHAPER_RATES]) {
    uint32_t old[SHAPER_RATES];
    memcpy(old, s->rates, sizeof old);
    int rc = put_rates(s, rates, false);
    memcpy(s->rates, rates, sizeof s->rates); /* so that the way back runs in the safe order too */
    if (rc < 0) fab_shaper_undo(s, old);
    return rc;
}

static int shaper_back(struct fab_step *step) {
    return fab_shaper_undo(&step->shaper.shaper, step->shaper.rates);
}

/* One that failed has put itself back: only rates that are in force have a way back to note. */
static int apply_noted(struct fab_shaper *shaper, const uint32_t rates[SHAPER_RATES]) {
    uint32_t old[SHAPER_RATES];
    memcpy(old, shaper->rates, sizeof old);
    int rc = fab_shaper_apply(shaper, rates);
    if (rc == 0) {
        struct fab_step *step = fab_undo_note(shaper->space.sw, shaper_back);
        step->shaper.shaper = *shaper;
        memcpy(step->shaper.rates, old, sizeof old);
    } else if (!shaper->known && rc != -ENODEV) {
        rc = -ENOTRECOVERABLE;
    }
    return rc;
}

int fab_switch_function_shape(fab_switch *sw, uint16_t pdfid, double up_min, double down_min,
                              double up_max, double down_max) {
    struct fab_shape shape = {.pdfid = pdfid,
                              .up_min = up_min,
                              .down_min = down_min,
                              .up_max = up_max,
                              .down_max = down_max};
    struct fab_shaper shaper;
    uint32_t rates[SHAPER_RATES];
    size_t mark;
    int rc = fab_undo_begin(sw, 1, &mark);
    if (rc < 0) return rc;
    rc = fab_shaper_find(sw, pdfid, &shaper);
    if (rc == 0) rc = fab_shaper_units(&shaper, &shape, rates);
    if (rc == 0) rc = fab_shaper_read(&shaper);
    if (rc == 0) rc = apply_noted(&shaper, rates);
    return fab_undo_end(sw, mark, rc);
}
