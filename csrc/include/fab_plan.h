/* The plan of a tick: every table and shaper that it may change, changed together or not at all.
 * Part of fabcore.h, whose caveats hold. */
#ifndef FAB_PLAN_H
#define FAB_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "fab_switch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A plan names the tables that a tick may change; applying it changes all or none of them. */
enum { FAB_TARGET_PORT = 0, FAB_TARGET_FUNCTION = 1 };
struct fab_target {
    uint8_t kind;
    uint8_t sw;   /* index into the array of switches */
    uint8_t port; /* FAB_TARGET_PORT */
    uint8_t pad;
    uint16_t pdfid; /* FAB_TARGET_FUNCTION */
    uint16_t phases;
};
struct fab_plan_report {
    uint64_t writes;
    uint32_t loaded;     /* tables */
    int32_t failed;      /* index of the target that failed, -1 = none */
    int32_t error;       /* its -errno */
    int32_t rolled_back; /* tables restored; -1: the roll-back itself failed */
};
typedef struct fab_plan fab_plan;
FAB_API int fab_plan_open(fab_switch *const *switches, size_t n_switches,
                          const struct fab_target *targets, size_t n, fab_plan **out);
FAB_API void fab_plan_close(fab_plan *plan);
/* One per-VF shaper setting that a plan may carry (fab_switch_function_shape). */
struct fab_shape {
    uint8_t sw; /* index into the array of switches */
    uint8_t pad;
    uint16_t pdfid;
    uint32_t pad2;
    double up_min, down_min, up_max, down_max; /* B/s; max inf = none */
};
/* tables: n rows of 256 entries (row i valid for targets[i].phases); changed: n flags, only those
 * rows are looked at; shapes may be NULL when n_shapes is 0. 0 or -errno of the first failure,
 * after every table and shaper touched is back (report->failed: index of the target, or n + index
 * of the shape). Dwords that already hold what is wanted are not written. */
FAB_API int fab_plan_apply(fab_plan *plan, const uint8_t *tables, const uint8_t *changed,
                           const struct fab_shape *shapes, size_t n_shapes,
                           struct fab_plan_report *report);

#ifdef __cplusplus
}
#endif
#endif
