/* Bifurcation: how a stack's lanes are divided among its eight ports. */
#include <errno.h>
#include <string.h>

#include "driver.h"

enum { GET = 0, SET = 1, CODE_X1 = 0xF };

/* Lanes by the code nibble. */
static int lanes_of(uint32_t code) {
    switch (code) {
        case 0:
            return 0;
        case CODE_X1:
            return 1;
        case 1:
        case 2:
        case 4:
        case 8:
            return 2 * (int)code;
        default:
            return -EPROTO;
    }
}

static int code_of(uint8_t lanes) {
    for (int code = 0; code <= CODE_X1; code++)
        if (lanes_of((uint32_t)code) == lanes) return code;
    return -EINVAL;
}

static int ask(fab_switch *sw, uint8_t sub, uint8_t stack, uint32_t *code) {
    uint8_t in[8] = {sub, stack}, out[8];
    memcpy(in + 4, code, sizeof *code);
    int rc = fab_switch_command(sw, MRPC_STACK_BIF, in, sizeof in, out, sizeof out);
    if (rc == 0) memcpy(code, out + 4, sizeof *code);
    return rc;
}

static int get(fab_switch *sw, uint8_t stack, uint32_t *code) {
    *code = 0;
    return ask(sw, GET, stack, code);
}

int fab_switch_bifurcation(fab_switch *sw, uint8_t stack, uint8_t widths[FAB_STACK_PORTS]) {
    uint32_t code;
    int ports = 0, rc = get(sw, stack, &code);
    if (rc < 0) return rc;
    for (unsigned i = 0; i < FAB_STACK_PORTS; i++) {
        int lanes = lanes_of(code >> 4 * i & 0xF);
        if (lanes < 0) return fab_switch_gone(sw, lanes);
        widths[i] = (uint8_t)lanes;
        ports += lanes > 0;
    }
    return ports;
}

/* The code of a wish, after everything about it has been checked. */
static int encode(const uint8_t widths[FAB_STACK_PORTS], uint32_t *out) {
    uint32_t code = 0;
    unsigned taken = 0; /* places up to here belong to the last port that is on */
    for (unsigned i = 0; i < FAB_STACK_PORTS; i++) {
        int nibble = code_of(widths[i]);
        if (nibble < 0) return nibble;
        if (!widths[i]) continue;
        unsigned places = widths[i] < 2 ? 1 : widths[i] / 2u;
        if (i % places || i < taken) return -EINVAL;
        taken = i + places;
        code |= (uint32_t)nibble << 4 * i;
    }
    *out = code;
    return 0;
}

/* Sets and reads back. */
static int put(fab_switch *sw, uint8_t stack, uint32_t want) {
    uint32_t code = want, now;
    int rc = ask(sw, SET, stack, &code);
    if (rc == 0) rc = get(sw, stack, &now);
    if (rc < 0) return rc;
    return now == want ? 0 : fab_switch_gone(sw, -EIO);
}

static int bifurcation_back(struct fab_step *step) {
    uint32_t now;
    int rc = get(step->sw, step->bifurcation.stack, &now);
    if (rc < 0 || now == step->bifurcation.code) return rc;
    return put(step->sw, step->bifurcation.stack, step->bifurcation.code);
}

static int set(fab_switch *sw, uint8_t stack, const uint8_t widths[FAB_STACK_PORTS]) {
    uint32_t want, old;
    int rc = encode(widths, &want);
    if (rc == 0) rc = get(sw, stack, &old);
    if (rc < 0 || old == want) return rc;
    struct fab_step *step = fab_undo_note(sw, bifurcation_back);
    step->bifurcation.stack = stack;
    step->bifurcation.code = old;
    return put(sw, stack, want);
}

int fab_switch_bifurcation_set(fab_switch *sw, uint8_t stack,
                               const uint8_t widths[FAB_STACK_PORTS]) {
    size_t mark;
    int rc = fab_undo_begin(sw, 1, &mark);
    return rc < 0 ? rc : fab_undo_end(sw, mark, set(sw, stack, widths));
}
