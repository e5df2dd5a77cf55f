/* The plan: the tables and shapers that a tick changes, all of them or none.
 *
 * What every target holds is read once and remembered, so that a tick costs the dwords that differ,
 * one load handshake per table, and the read-back of what was written. A target whose way back
 * failed is no longer known and is read again before it is next used.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

enum { ROW = 256, SHAPES = 1024 /* remembered functions, a power of two */ };

struct plan_target {
    struct fab_table table;
    struct fab_swap change; /* the wish, then the way back */
    bool wanted;
};
struct plan_shape {
    struct fab_shaper shaper;
    uint32_t want[SHAPER_RATES];
    uint32_t before[SHAPER_RATES];
    uint64_t changed_in; /* number of the call that last changed it */
    uint8_t sw;
    bool used;
    bool found; /* `shaper` is the function's row */
    uint16_t pdfid;
};
struct fab_plan {
    fab_switch **switches;
    size_t n_switches;
    struct plan_target *targets;
    size_t n;
    const struct fab_target *wish; /* as opened: n targets */
    struct plan_shape *shapes;
    size_t n_shapes;
    uint64_t calls;
};

/* ---- opening -------------------------------------------------------------------------------- */

static int open_target(struct fab_plan *plan, const struct fab_target *wish,
                       struct fab_table *table) {
    if (wish->sw >= plan->n_switches) return -EINVAL;
    fab_switch *sw = plan->switches[wish->sw];
    int rc = wish->kind == FAB_TARGET_PORT       ? fab_table_find_port(sw, wish->port, table)
             : wish->kind == FAB_TARGET_FUNCTION ? fab_table_find_function(sw, wish->pdfid, table)
                                                 : -EINVAL;
    if (rc == 0) rc = fab_table_read(table);
    if (rc == 0) rc = fab_table_scheme(table, wish->phases);
    return rc < 0 ? rc : 0;
}

/* Two targets of one table would each remember a state that the other changes. */
static bool same_table(const struct fab_table *a, const struct fab_table *b) {
    return a->space.sw == b->space.sw && a->space.base == b->space.base &&
           a->space.pdfid == b->space.pdfid;
}

static int open_targets(struct fab_plan *plan) {
    for (size_t i = 0; i < plan->n; i++) {
        int rc = open_target(plan, &plan->wish[i], &plan->targets[i].table);
        if (rc < 0) return rc;
        for (size_t j = 0; j < i; j++)
            if (same_table(&plan->targets[i].table, &plan->targets[j].table)) return -EINVAL;
    }
    return 0;
}

void fab_plan_close(fab_plan *plan) {
    if (!plan) return;
    free(plan->switches);
    free(plan->targets);
    free((void *)plan->wish);
    free(plan->shapes);
    free(plan);
}

/* A copy of n elements, at least one long so that an empty plan is no failure. */
static void *copy_of(const void *from, size_t n, size_t bytes) {
    void *to = calloc(n ? n : 1, bytes);
    if (to && n) memcpy(to, from, n * bytes);
    return to;
}

int fab_plan_open(fab_switch *const *switches, size_t n_switches, const struct fab_target *targets,
                  size_t n, fab_plan **out) {
    if (!out || (n && !targets) || (n_switches && !switches)) return -EINVAL;
    fab_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return -ENOMEM;
    plan->n_switches = n_switches;
    plan->n = n;
    plan->switches = copy_of(switches, n_switches, sizeof *switches);
    plan->wish = copy_of(targets, n, sizeof *targets);
    plan->targets = calloc(n ? n : 1, sizeof *plan->targets);
    plan->shapes = calloc(SHAPES, sizeof *plan->shapes);
    bool complete = plan->switches && plan->wish && plan->targets && plan->shapes;
    int rc = complete ? open_targets(plan) : -ENOMEM;
    if (rc < 0) {
        fab_plan_close(plan);
        return rc;
    }
    *out = plan;
    return 0;
}

/* ---- shapers that are remembered ------------------------------------------------------------ */

/* Open addressing; entries are never removed, and a quarter stays free so that probes end soon. */
static struct plan_shape *shape_entry(struct fab_plan *plan, uint8_t sw, uint16_t pdfid) {
    uint32_t at = ((uint32_t)sw << 16 | pdfid) * UINT32_C(2654435769) >> 22;
    for (;; at = (at + 1) % SHAPES) {
        struct plan_shape *e = &plan->shapes[at];
        if (e->used && e->sw == sw && e->pdfid == pdfid) return e;
        if (e->used) continue;
        if (plan->n_shapes >= SHAPES / 4 * 3) return NULL;
        plan->n_shapes++;
        e->used = true;
        e->sw = sw;
        e->pdfid = pdfid;
        return e;
    }
}

/* The walk to the shaper is made once per module: its PF's entry remembers where it is. */
static int find_shaper(struct fab_plan *plan, struct plan_shape *e) {
    struct plan_shape *pf = shape_entry(plan, e->sw, PDFID(PDFID_MODULE(e->pdfid), 0));
    if (!pf) return -ENOSPC;
    if (!pf->found) {
        int rc = fab_shaper_find(plan->switches[e->sw], pf->pdfid, &pf->shaper);
        if (rc < 0) return rc;
        pf->found = true;
    }
    if (e != pf) {
        int rc = fab_shaper_row(&pf->shaper, e->pdfid, &e->shaper);
        if (rc < 0) return rc;
        e->found = true;
    }
    return 0;
}

/* ---- one call ------------------------------------------------------------------------------- */

struct call {
    const struct fab_shape *shapes;
    size_t n_shapes;
    int failed;      /* index, as the report has it */
    size_t tables;   /* loaded */
    int rolled_back; /* tables; -1 = a way back failed */
};

static int prepare_table(struct fab_plan *plan, size_t i, const uint8_t *row) {
    struct plan_target *target = &plan->targets[i];
    if (!target->table.known) {
        int rc = fab_table_read(&target->table);
        if (rc < 0) return rc;
    }
    int rc = fab_table_diff(&target->table, row, plan->wish[i].phases, &target->change);
    target->wanted = rc == 0 && fab_table_differs(&target->table, &target->change);
    return rc;
}

static int prepare_shape(struct fab_plan *plan, const struct fab_shape *shape) {
    if (shape->sw >= plan->n_switches) return -EINVAL;
    struct plan_shape *e = shape_entry(plan, shape->sw, shape->pdfid);
    if (!e) return -ENOSPC;
    int rc = e->found ? 0 : find_shaper(plan, e);
    if (rc == 0) rc = fab_shaper_units(&e->shaper, shape, e->want);
    if (rc == 0 && !e->shaper.known) rc = fab_shaper_read(&e->shaper);
    return rc;
}

/* Reads what is not known, refuses what is wrong, writes nothing. A function that is named twice
 * gets its last wish. */
static int prepare(struct fab_plan *plan, const uint8_t *tables, const uint8_t *changed,
                   struct call *call) {
    for (size_t i = 0; i < plan->n; i++) {
        plan->targets[i].wanted = false;
        if (changed && !changed[i]) continue;
        call->failed = (int)i;
        int rc = prepare_table(plan, i, tables + ROW * i);
        if (rc < 0) return rc;
    }
    for (size_t i = 0; i < call->n_shapes; i++) {
        call->failed = (int)(plan->n + i);
        int rc = prepare_shape(plan, &call->shapes[i]);
        if (rc < 0) return rc;
    }
    return 0;
}

static int commit_shape(struct fab_plan *plan, struct plan_shape *e) {
    uint32_t old[SHAPER_RATES];
    if (memcmp(e->want, e->shaper.rates, sizeof old) == 0) return 0;
    memcpy(old, e->shaper.rates, sizeof old);
    int rc = fab_shaper_apply(&e->shaper, e->want);
    if (rc < 0) return rc;
    memcpy(e->before, old, sizeof old);
    e->changed_in = plan->calls;
    return 0;
}

static int commit(struct fab_plan *plan, struct call *call) {
    for (size_t i = 0; i < plan->n; i++) {
        struct plan_target *target = &plan->targets[i];
        if (!target->wanted) continue;
        call->failed = (int)i;
        int rc = fab_table_apply(&target->table, &target->change);
        if (rc < 0) {
            call->rolled_back = target->table.known ? 1 : -1;
            return rc;
        }
        call->tables++;
    }
    for (size_t i = 0; i < call->n_shapes; i++) {
        call->failed = (int)(plan->n + i);
        struct plan_shape *e = shape_entry(plan, call->shapes[i].sw, call->shapes[i].pdfid);
        int rc = commit_shape(plan, e);
        if (rc < 0) {
            call->rolled_back = e->shaper.known ? 0 : -1;
            return rc;
        }
    }
    return 0;
}

/* Everything before the one that failed, newest first. Goes on past a way back that fails: every
 * other table is still better off. */
static void roll_back(struct fab_plan *plan, struct call *call) {
    bool failed = call->rolled_back < 0;
    int restored = failed ? 0 : call->rolled_back;
    for (size_t i = call->n_shapes; i-- > 0;) {
        struct plan_shape *e = shape_entry(plan, call->shapes[i].sw, call->shapes[i].pdfid);
        if (!e || e->changed_in != plan->calls) continue;
        e->changed_in = 0;
        if (fab_shaper_undo(&e->shaper, e->before) < 0) failed = true;
    }
    size_t end = (size_t)call->failed < plan->n ? (size_t)call->failed : plan->n;
    for (size_t i = end; i-- > 0;) {
        struct plan_target *target = &plan->targets[i];
        if (!target->wanted) continue;
        if (fab_table_undo(&target->table, &target->change) < 0)
            failed = true;
        else
            restored++;
    }
    call->rolled_back = failed ? -1 : restored;
}

static uint64_t writes_so_far(const struct fab_plan *plan) {
    uint64_t sum = 0;
    for (size_t i = 0; i < plan->n_switches; i++) sum += fab_bar_writes(plan->switches[i]->bar);
    return sum;
}

/* Whether this call may write: its switches are still owned, and no open change would be left
 * without the way back. */
static int may_write(struct fab_plan *plan) {
    for (size_t i = 0; i < plan->n_switches; i++) {
        int rc = plan->switches[i]->change ? -EBUSY : fab_owner_check(plan->switches[i]);
        if (rc < 0) return rc;
    }
    return 0;
}

int fab_plan_apply(fab_plan *plan, const uint8_t *tables, const uint8_t *changed,
                   const struct fab_shape *shapes, size_t n_shapes,
                   struct fab_plan_report *report) {
    if ((plan->n && !tables) || (n_shapes && !shapes)) return -EINVAL;
    struct call call = {.shapes = shapes, .n_shapes = n_shapes, .failed = -1};
    uint64_t before = writes_so_far(plan);
    plan->calls++;
    int rc = may_write(plan);
    if (rc == 0) rc = prepare(plan, tables, changed, &call);
    if (rc == 0) {
        rc = commit(plan, &call);
        if (rc < 0) roll_back(plan, &call);
    }
    if (report)
        *report = (struct fab_plan_report){.writes = writes_so_far(plan) - before,
                                           .loaded = (uint32_t)call.tables,
                                           .failed = rc < 0 ? call.failed : -1,
                                           .error = rc,
                                           .rolled_back = call.rolled_back};
    return rc;
}
