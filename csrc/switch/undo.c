/* The way back: operations note how to undo each step before they write it, alone or as one change.
 *
 * The note comes first because a write that fails may yet have arrived: its way back is walked as
 * well. A way back is tried twice, since what was lost once is not lost for ever.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

enum { TRIES = 2, MOST_STEPS = 4096 };

static struct fab_change *journal(fab_switch *sw) {
    return sw->change ? sw->change : &sw->journal;
}

/* Newest first, down to `mark`; goes on past a way back that fails. Returns the first error. */
static int walk_back(struct fab_change *c, size_t mark, int *restored) {
    int first = 0;
    while (c->n > mark) {
        struct fab_step *step = &c->steps[--c->n];
        int rc = fab_owner_check(step->sw); /* another owner's switch is not ours to put right */
        for (int i = 0; i < TRIES && (i == 0 || (rc < 0 && rc != -ENODEV && rc != -ESTALE)); i++)
            if (rc != -ESTALE) rc = step->back(step);
        if (rc < 0 && first == 0) first = rc;
        if (rc == 0 && restored) ++*restored;
    }
    return first;
}

/* ---- one operation -------------------------------------------------------------------------- */

int fab_undo_begin(fab_switch *sw, size_t steps, size_t *mark) {
    struct fab_change *c = journal(sw);
    if (c->error) return -ECANCELED;
    *mark = c->n;
    int rc = fab_owner_check(sw);
    if (rc == 0 && steps > c->max - c->n) rc = -ENOSPC;
    return rc < 0 ? fab_undo_end(sw, *mark, rc) : 0;
}

int fab_undo_end(fab_switch *sw, size_t mark, int rc) {
    struct fab_change *c = journal(sw);
    if (rc < 0) {
        int back = walk_back(c, mark, NULL);
        if (back == -ENODEV || back == -ESTALE)
            rc = back;
        else if (back < 0)
            rc = -ENOTRECOVERABLE;
        if (sw->change && !c->error) {
            c->error = rc;
            c->failed = c->operations;
        }
    }
    c->operations++;
    if (!sw->change) c->n = 0;
    return rc;
}

struct fab_step *fab_undo_note(fab_switch *sw, int (*back)(struct fab_step *step)) {
    struct fab_change *c = journal(sw);
    struct fab_step *step = &c->steps[c->n++];
    step->sw = sw;
    step->back = back;
    return step;
}

void fab_undo_forget(fab_switch *sw) {
    journal(sw)->n--;
}

/* ---- firmware commands ---------------------------------------------------------------------- */

static int command_back(struct fab_step *step) {
    uint8_t out[GAS_MRPC_BYTES];
    int rc = fab_switch_command(step->sw, step->command.id, step->command.in,
                                step->command.in_bytes, out, step->command.out_bytes);
    return rc == -EREMOTEIO && step->command.maybe ? 0 : rc;
}

int fab_undo_run(fab_switch *sw, const struct fab_command *forth, const struct fab_command *back) {
    uint8_t out[GAS_MRPC_BYTES];
    struct fab_step *step = fab_undo_note(sw, command_back);
    step->command.id = back->id;
    step->command.maybe = true;
    step->command.in_bytes = (uint8_t)back->in_bytes;
    step->command.out_bytes = (uint8_t)back->out_bytes;
    memcpy(step->command.in, back->in, back->in_bytes);
    int rc = fab_switch_command(sw, forth->id, forth->in, forth->in_bytes, out, forth->out_bytes);
    if (rc == 0) step->command.maybe = false;
    if (rc == -EREMOTEIO) fab_undo_forget(sw);
    return rc;
}

/* ---- changes -------------------------------------------------------------------------------- */

int fab_change_open(size_t steps, fab_change **out) {
    if (!out || steps < 1 || steps > MOST_STEPS) return -EINVAL;
    fab_change *c = calloc(1, sizeof *c);
    struct fab_step *room = calloc(steps, sizeof *room);
    if (!c || !room) {
        free(c);
        free(room);
        return -ENOMEM;
    }
    c->steps = room;
    c->max = steps;
    *out = c;
    return 0;
}

static void detach(struct fab_change *c) {
    for (size_t i = 0; i < c->n_switches; i++) c->switches[i]->change = NULL;
    c->n_switches = 0;
    c->n = 0;
}

void fab_change_close(fab_change *c) {
    if (!c) return;
    if (c->n_switches) fab_change_roll_back(c, NULL);
    free(c->steps);
    free(c);
}

int fab_change_begin(fab_change *c, fab_switch *const *switches, size_t n) {
    if (!switches || n < 1 || n > FAB_MAX_SWITCHES) return -EINVAL;
    if (c->n_switches) return -EBUSY;
    for (size_t i = 0; i < n; i++) {
        if (!switches[i]) return -EINVAL;
        if (switches[i]->change) return -EBUSY;
        int rc = fab_owner_check(switches[i]);
        if (rc < 0) return rc;
    }
    for (size_t i = 0; i < n; i++) {
        c->switches[i] = switches[i];
        switches[i]->change = c;
    }
    c->n_switches = n;
    c->n = 0;
    c->operations = c->error = 0;
    c->failed = -1;
    return 0;
}

int fab_change_roll_back(fab_change *c, struct fab_change_report *report) {
    int restored = 0;
    if (!c->n_switches) return -EINVAL;
    struct fab_change_report r = {.steps = (uint32_t)c->n, .failed = c->failed, .error = c->error};
    int rc = walk_back(c, 0, &restored);
    r.rolled_back = rc < 0 || c->error == -ENOTRECOVERABLE ? -1 : restored;
    detach(c);
    if (report) *report = r;
    return rc;
}

int fab_change_commit(fab_change *c, struct fab_change_report *report) {
    if (!c->n_switches) return -EINVAL;
    if (c->error) {
        int error = c->error;
        fab_change_roll_back(c, report);
        return error;
    }
    if (report) *report = (struct fab_change_report){.steps = (uint32_t)c->n, .failed = -1};
    detach(c);
    return 0;
}
