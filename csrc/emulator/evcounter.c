/* Event counters: 64 a stack, each counts the TLPs and errors of chosen types at chosen ports.
 *
 * A counter is what its sources have counted since it was set up or cleared, modulo 2^32
 * (modelled). Errors are the port's whichever direction the counter names (modelled).
 */
#include <string.h>

#include "node.h"

enum {
    STACKS_GEN6 = 10,
    STACKS = 8,
    RECORD = 9, /* {u32 mask, u8 direction, u32 threshold}, packed */
    VALUE = 8,  /* {u32 value, u32 threshold} */
    FIRST = 4,  /* record of a setup */
    SETUP_MOST = 63,
    PORTS_OF_STACK = 8,
    TYPE_SHIFT = 8, /* in the mask, above the ports */
    TYPE_POSTED = 20
};
#define TYPES ((UINT32_C(1) << EVENT_COUNTER_TYPES) - 1)

static unsigned stacks_of(const struct node_switch *sw) {
    return sw->generation == 6 ? STACKS_GEN6 : STACKS;
}

/* modelled: bit 7, or the whole byte as 0 and 1, which older clients send. */
static int is_egress(uint8_t direction) {
    return direction != 0;
}

static uint64_t count_port(const struct node_port *port, uint32_t types, int egress) {
    uint64_t sum = 0, tlps[2][3];
    for (unsigned type = 0; type < TYPE_POSTED; type++)
        if (types >> type & 1) sum += port->errors[type];
    if (!(types >> TYPE_POSTED)) return sum;
    wiring_tlps(port, tlps);
    for (unsigned k = 0; k < 3; k++)
        if (types >> (TYPE_POSTED + k) & 1) sum += tlps[egress ? 0 : 1][k];
    return sum;
}

static uint64_t sources(const struct node_switch *sw, unsigned stack,
                        const struct node_counter *c) {
    uint64_t sum = 0;
    for (unsigned k = 0; k < PORTS_OF_STACK; k++) {
        const struct node_port *port = counters_port(sw, PORTS_OF_STACK * stack + k);
        if (port && c->mask >> k & 1)
            sum += count_port(port, c->mask >> TYPE_SHIFT, is_egress(c->direction));
    }
    return sum;
}

static void restart(struct node_switch *sw, unsigned stack, struct node_counter *c) {
    c->base = sources(sw, stack, c);
    c->reached = 0;
}

/* Counters with a threshold, so that a step need not look at the others. */
static void count_armed(struct node_switch *sw) {
    sw->armed = 0;
    for (unsigned k = 0; k < EVENT_COUNTER_STACKS * STACK_COUNTERS; k++)
        sw->armed += sw->counters[k / STACK_COUNTERS][k % STACK_COUNTERS].threshold != 0;
}

/* {0, stack, first, n, n x record}; all are checked before any changes. */
uint32_t evcounter_setup(struct node_switch *sw, const uint8_t *in) {
    unsigned stack = in[1], first = in[2], n = in[3];
    if (stack >= stacks_of(sw)) return MRPC_ERR_STACK;
    if (n > SETUP_MOST || first + n > STACK_COUNTERS) return MRPC_ERR_PARAMETER;
    for (unsigned k = 0; k < n; k++) {
        const uint8_t *record = in + FIRST + RECORD * k;
        if (bytes_get(record, 4) >> TYPE_SHIFT & ~TYPES) return MRPC_ERR_PARAMETER;
        if (record[4] & 0x7E) return MRPC_ERR_PARAMETER;
    }
    for (unsigned k = 0; k < n; k++) {
        const uint8_t *record = in + FIRST + RECORD * k;
        struct node_counter *c = &sw->counters[stack][first + k];
        c->mask = (uint32_t)bytes_get(record, 4);
        c->direction = record[4];
        c->threshold = (uint32_t)bytes_get(record + 5, 4);
        restart(sw, stack, c);
    }
    count_armed(sw);
    return 0;
}

/* {sub, stack, first, n, clear} -> n values or n records; only reading values clears. */
uint32_t evcounter_get(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    unsigned stack = in[1], first = in[2], n = in[3];
    if (stack >= stacks_of(sw)) return MRPC_ERR_STACK;
    if (first + n > STACK_COUNTERS) return MRPC_ERR_PARAMETER;
    for (unsigned k = 0; k < n; k++) {
        struct node_counter *c = &sw->counters[stack][first + k];
        if (in[0] == COUNTERS_EVENT_SETUP) {
            bytes_put(out + RECORD * k, 4, c->mask);
            out[RECORD * k + 4] = c->direction;
            bytes_put(out + RECORD * k + 5, 4, c->threshold);
            continue;
        }
        bytes_put(out + VALUE * k, 4, sources(sw, stack, c) - c->base);
        bytes_put(out + VALUE * k + 4, 4, c->threshold);
        if (in[4]) restart(sw, stack, c);
    }
    return 0;
}

/* modelled: every port that the counter watches raises the event, once until it is restarted. */
static void reach(struct node_switch *sw, unsigned stack, struct node_counter *c) {
    if (!c->threshold || c->reached || sources(sw, stack, c) - c->base < c->threshold) return;
    c->reached = 1;
    for (unsigned k = 0; k < PORTS_OF_STACK; k++) {
        struct node_port *port = counters_port(sw, PORTS_OF_STACK * stack + k);
        if (port && c->mask >> k & 1) event_port(port, PFF_THRESH);
    }
}

void evcounter_check(struct node_switch *sw) {
    if (!sw->armed) return;
    for (unsigned stack = 0; stack < EVENT_COUNTER_STACKS; stack++)
        for (unsigned k = 0; k < STACK_COUNTERS; k++) reach(sw, stack, &sw->counters[stack][k]);
}

void evcounter_reset(struct node_switch *sw) {
    memset(sw->counters, 0, sizeof sw->counters);
    sw->armed = 0;
}
