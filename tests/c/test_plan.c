/* The plan against register images: what a tick costs, all or nothing, a cache that stays true. */
#include <errno.h>
#include <math.h>

#include "check.h"
#include "driver_image.h"

#define QUICK_NS 200000
enum { TARGETS = 3, PHASES = 128 };

struct bench {
    struct image *m[2];
    fab_switch *sw[2];
    fab_plan *plan;
    uint8_t rows[TARGETS][256];
};
/* A port of each switch, and a module's functions: the images' tables under test. */
static const struct fab_target targets[TARGETS] = {
    {.kind = FAB_TARGET_PORT, .sw = 0, .port = 16, .phases = PHASES},
    {.kind = FAB_TARGET_FUNCTION, .sw = 0, .pdfid = PDFID(0, 0), .phases = PHASES},
    {.kind = FAB_TARGET_PORT, .sw = 1, .port = 32, .phases = PHASES}};

static struct image_vc *table_of(struct bench *b, unsigned i) {
    return i == 0 ? &b->m[0]->vc[2] : i == 1 ? &b->m[0]->vc[IMAGE_PORTS] : &b->m[1]->vc[3];
}

static void wish(struct bench *b, unsigned i, uint32_t *seed) {
    for (unsigned k = 0; k < PHASES; k++)
        b->rows[i][k] = (uint8_t)(i == 1 ? image_random(seed) % 8
                                         : image_ports[image_random(seed) % IMAGE_PORTS]);
}

static struct bench *bench_open(void) {
    struct bench *b = calloc(1, sizeof *b);
    for (int k = 0; k < 2; k++) {
        b->m[k] = image_create(0x5200, 256, 3);
        CHECK_EQ(fab_switch_open(b->m[k]->bar, &b->sw[k]), 0);
        fab_switch_set_timeout(b->sw[k], QUICK_NS);
    }
    CHECK_EQ(fab_plan_open(b->sw, 2, targets, TARGETS, &b->plan), 0);
    return b;
}

static void bench_close(struct bench *b) {
    fab_plan_close(b->plan);
    for (int k = 0; k < 2; k++) {
        fab_switch_close(b->sw[k]);
        image_free(b->m[k]);
    }
    free(b);
}

static int apply(struct bench *b, struct fab_plan_report *report) {
    static const uint8_t all[TARGETS] = {1, 1, 1};
    return fab_plan_apply(b->plan, b->rows[0], all, NULL, 0, report);
}

static bool holds(struct bench *b, unsigned i, const uint8_t *row) {
    uint8_t got[256];
    return image_in_force(table_of(b, i), i == 1 ? 4 : 8, got) == PHASES &&
           memcmp(got, row, PHASES) == 0;
}

static void a_tick_costs_what_differs(void) {
    struct bench *b = bench_open();
    struct fab_plan_report r;
    uint32_t seed = 1;
    for (unsigned i = 0; i < TARGETS; i++) wish(b, i, &seed);
    CHECK_EQ(apply(b, &r), 0);
    CHECK_EQ(r.loaded, 3);
    CHECK_EQ(r.failed, -1);
    CHECK_EQ(r.rolled_back, 0);
    for (unsigned i = 0; i < TARGETS; i++) CHECK(holds(b, i, b->rows[i]));
    uint32_t commands = b->m[0]->commands;
    CHECK_EQ(apply(b, &r), 0);
    CHECK_EQ(r.writes, 0);
    CHECK_EQ(r.loaded, 0);
    CHECK_EQ(b->m[0]->commands, commands); /* nothing is asked either */
    b->rows[0][7] = b->rows[0][7] == 0 ? 8 : 0;
    b->rows[2][127] = b->rows[2][127] == 0 ? 8 : 0;
    CHECK_EQ(apply(b, &r), 0);
    CHECK_EQ(r.writes, 4); /* a dword and a load each */
    CHECK_EQ(r.loaded, 2);
    b->rows[1][0] ^= 1;
    const uint8_t second[TARGETS] = {0, 1, 0};
    b->rows[0][0] = 99; /* not looked at */
    CHECK_EQ(fab_plan_apply(b->plan, b->rows[0], second, NULL, 0, &r), 0);
    CHECK_EQ(r.loaded, 1);
    CHECK_EQ(b->m[0]->commands, commands + 4); /* write, load, status, read back */
    CHECK(holds(b, 1, b->rows[1]));
    bench_close(b);
}

static void a_plan_that_cannot_work_is_refused(void) {
    struct bench *b = bench_open();
    struct fab_target bad = targets[0];
    fab_plan *plan;
    bad.sw = 2;
    CHECK_EQ(fab_plan_open(b->sw, 2, &bad, 1, &plan), -EINVAL);
    bad = targets[0];
    bad.port = 1;
    CHECK_EQ(fab_plan_open(b->sw, 2, &bad, 1, &plan), -ENOENT);
    bad = targets[1];
    bad.phases = 256; /* the module's table ends at 128 */
    CHECK_EQ(fab_plan_open(b->sw, 2, &bad, 1, &plan), -EOPNOTSUPP);
    bad.phases = 100;
    CHECK_EQ(fab_plan_open(b->sw, 2, &bad, 1, &plan), -EINVAL);
    const struct fab_target twice[2] = {targets[0], targets[0]};
    CHECK_EQ(fab_plan_open(b->sw, 2, twice, 2, &plan), -EINVAL);
    CHECK_EQ(fab_plan_open(b->sw, 2, NULL, 0, &plan), 0);
    CHECK_EQ(fab_plan_apply(plan, NULL, NULL, NULL, 0, NULL), 0);
    fab_plan_close(plan);
    bench_close(b);
}

static void a_bad_row_is_refused_before_anything_is_written(void) {
    struct bench *b = bench_open();
    struct fab_plan_report r;
    uint32_t seed = 2;
    for (unsigned i = 0; i < TARGETS; i++) wish(b, i, &seed);
    uint64_t writes = b->m[1]->writes + b->m[0]->writes;
    b->rows[2][50] = 3;
    CHECK_EQ(apply(b, &r), -EINVAL);
    CHECK_EQ(r.failed, 2);
    CHECK_EQ(r.error, -EINVAL);
    CHECK_EQ(r.loaded, 0);
    CHECK_EQ(r.writes, 0);
    CHECK_EQ(b->m[0]->writes + b->m[1]->writes, writes);
    bench_close(b);
}

/* Each table's load gets stuck in turn. */
static void all_or_nothing_over_three_tables(void) {
    struct bench *b = bench_open();
    struct fab_plan_report r;
    uint8_t old[TARGETS][256];
    uint32_t seed = 3;
    for (unsigned i = 0; i < TARGETS; i++) wish(b, i, &seed);
    CHECK_EQ(apply(b, &r), 0);
    for (unsigned bad = 0; bad < TARGETS; bad++) {
        memcpy(old, b->rows, sizeof old);
        for (unsigned i = 0; i < TARGETS; i++) wish(b, i, &seed);
        table_of(b, bad)->stuck = 1;
        CHECK_EQ(apply(b, &r), -ETIMEDOUT);
        CHECK_EQ(r.failed, bad);
        CHECK_EQ(r.error, -ETIMEDOUT);
        CHECK_EQ(r.loaded, bad);
        CHECK_EQ(r.rolled_back, bad + 1); /* the one that failed was touched as well */
        for (unsigned i = 0; i < TARGETS; i++) CHECK(holds(b, i, old[i]));
        CHECK_EQ(apply(b, &r), 0); /* and what is remembered is what is held */
        CHECK_EQ(r.loaded, 3);
        for (unsigned i = 0; i < TARGETS; i++) CHECK(holds(b, i, b->rows[i]));
    }
    bench_close(b);
}

/* The very first call changes schemes as well: a failure brings the fixed order back. */
static void the_scheme_goes_back_too(void) {
    struct bench *b = bench_open();
    struct fab_plan_report r;
    uint8_t got[256];
    uint32_t seed = 8;
    for (unsigned i = 0; i < TARGETS; i++) wish(b, i, &seed);
    table_of(b, 2)->stuck = 1;
    CHECK_EQ(apply(b, &r), -ETIMEDOUT);
    CHECK_EQ(r.rolled_back, 3);
    for (unsigned i = 0; i < TARGETS; i++) CHECK_EQ(image_in_force(table_of(b, i), 8, got), 0);
    CHECK_EQ(apply(b, &r), 0);
    for (unsigned i = 0; i < TARGETS; i++) CHECK(holds(b, i, b->rows[i]));
    bench_close(b);
}

/* Each register write of a call is lost in turn, on either switch. */
static void a_write_lost_anywhere_changes_all_or_nothing(void) {
    struct bench *b = bench_open();
    struct fab_plan_report r;
    uint8_t old[TARGETS][256];
    uint32_t seed = 4, failures = 0;
    for (unsigned i = 0; i < TARGETS; i++) wish(b, i, &seed);
    CHECK_EQ(apply(b, &r), 0);
    for (uint64_t step = 1; step < 40; step++) {
        struct image *m = b->m[step % 2];
        memcpy(old, b->rows, sizeof old);
        for (unsigned i = 0; i < TARGETS; i++) /* eight neighbouring dwords of each */
            for (unsigned k = 0; k < (i == 1 ? 64 : 32); k++)
                b->rows[i][k] = i == 1 ? (b->rows[i][k] + 1) % 8 : image_ports[(step + k) % 5];
        m->lose_at = m->writes + step;
        m->lose_count = 1;
        int rc = apply(b, &r);
        m->lose_at = 0;
        failures += rc < 0;
        CHECK_EQ(r.error, rc);
        CHECK(rc == 0 || r.rolled_back >= 0);
        for (unsigned i = 0; i < TARGETS; i++) CHECK(holds(b, i, rc < 0 ? old[i] : b->rows[i]));
        if (rc < 0) memcpy(b->rows, old, sizeof old);
    }
    CHECK(failures >= 15);
    bench_close(b);
}

static void a_way_back_that_fails_is_said_and_read_again(void) {
    struct bench *b = bench_open();
    struct fab_plan_report r;
    uint32_t seed = 6;
    for (unsigned i = 0; i < TARGETS; i++) wish(b, i, &seed);
    CHECK_EQ(apply(b, &r), 0);
    for (unsigned i = 0; i < TARGETS; i++) wish(b, i, &seed);
    table_of(b, 2)->stuck = 10;
    CHECK_EQ(apply(b, &r), -ETIMEDOUT);
    CHECK_EQ(r.failed, 2);
    CHECK_EQ(r.rolled_back, -1);
    table_of(b, 2)->stuck = 0;
    CHECK_EQ(apply(b, &r), 0);
    for (unsigned i = 0; i < TARGETS; i++) CHECK(holds(b, i, b->rows[i]));
    image_vanish(b->m[1]);
    for (unsigned i = 0; i < TARGETS; i++) wish(b, i, &seed);
    CHECK_EQ(apply(b, &r), -ENODEV);
    CHECK_EQ(r.failed, 2);
    CHECK_EQ(r.rolled_back, -1);
    bench_close(b);
}

static uint32_t rate(struct bench *b, unsigned function, unsigned which) {
    const uint8_t *table = b->m[0]->functions[1][0] + IMAGE_SHAPER + SHAPER_TABLE;
    return get(table + SHAPER_STRIDE * function + 4 * which, 4);
}

static void shapes_are_part_of_all_or_nothing(void) {
    struct bench *b = bench_open();
    struct fab_plan_report r;
    uint8_t old[TARGETS][256];
    uint32_t seed = 7;
    struct fab_shape s[3] = {{.sw = 0,
                              .pdfid = PDFID(1, 1),
                              .up_min = 1e9,
                              .down_min = 0,
                              .up_max = 2e9,
                              .down_max = INFINITY},
                             {.sw = 0,
                              .pdfid = PDFID(1, 2),
                              .up_min = 3e9,
                              .down_min = 0,
                              .up_max = 4e9,
                              .down_max = 5e9},
                             {.sw = 0,
                              .pdfid = PDFID(1, 1),
                              .up_min = 1e9,
                              .down_min = 0,
                              .up_max = 2e9,
                              .down_max = INFINITY}};
    for (unsigned i = 0; i < TARGETS; i++) wish(b, i, &seed);
    CHECK_EQ(fab_plan_apply(b->plan, b->rows[0], NULL, s, 2, &r), 0);
    CHECK_EQ(rate(b, 1, 0), 1000);
    CHECK_EQ(rate(b, 2, 3), 5000);
    uint32_t commands = b->m[0]->commands;
    CHECK_EQ(fab_plan_apply(b->plan, b->rows[0], NULL, s, 3, &r), 0);
    CHECK_EQ(r.writes, 0);
    CHECK_EQ(b->m[0]->commands, commands);
    memcpy(old, b->rows, sizeof old);
    for (unsigned i = 0; i < TARGETS; i++) wish(b, i, &seed);
    s[0].up_min = s[2].up_min = 1.5e9;
    s[1].up_min = 5e9; /* above its maximum: refused before the first register changes */
    uint64_t writes = fab_bar_writes(b->m[1]->bar);
    CHECK_EQ(fab_plan_apply(b->plan, b->rows[0], NULL, s, 3, &r), -EINVAL);
    CHECK_EQ(r.failed, TARGETS + 1);
    CHECK_EQ(fab_bar_writes(b->m[1]->bar), writes);
    s[1].up_min = 0;
    s[1].up_max = 1e9;
    b->m[0]->lost_rate = IMAGE_SHAPER + SHAPER_TABLE + SHAPER_STRIDE * 2 + 8;
    CHECK_EQ(fab_plan_apply(b->plan, b->rows[0], NULL, s, 3, &r), -EIO);
    CHECK_EQ(r.failed, TARGETS + 1);
    CHECK_EQ(r.loaded, 3);
    CHECK_EQ(r.rolled_back, 3);
    CHECK_EQ(rate(b, 1, 0), 1000);
    CHECK_EQ(rate(b, 2, 0), 3000);
    CHECK_EQ(rate(b, 2, 2), 4000);
    for (unsigned i = 0; i < TARGETS; i++) CHECK(holds(b, i, old[i]));
    b->m[0]->lost_rate = 0;
    CHECK_EQ(fab_plan_apply(b->plan, b->rows[0], NULL, s, 3, &r), 0);
    CHECK_EQ(rate(b, 1, 0), 1500);
    CHECK_EQ(rate(b, 2, 2), 1000);
    s[0].pdfid = PDFID(0, 1); /* no shaper there */
    CHECK_EQ(fab_plan_apply(b->plan, b->rows[0], NULL, s, 3, &r), -EOPNOTSUPP);
    CHECK_EQ(r.failed, TARGETS);
    bench_close(b);
}

int main(void) {
    a_tick_costs_what_differs();
    a_plan_that_cannot_work_is_refused();
    a_bad_row_is_refused_before_anything_is_written();
    all_or_nothing_over_three_tables();
    the_scheme_goes_back_too();
    a_write_lost_anywhere_changes_all_or_nothing();
    a_way_back_that_fails_is_said_and_read_again();
    shapes_are_part_of_all_or_nothing();
    return CHECK_RESULT;
}
