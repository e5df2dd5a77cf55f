/* Firmware command 0x07: counters.c, evcounter.c, latency.c. */
#ifndef FAB_EMULATOR_COUNTERS_H
#define FAB_EMULATOR_COUNTERS_H

#include <stdint.h>

struct node_port;
struct node_switch;

/* One event counter. */
enum { EVENT_COUNTER_TYPES = 23, EVENT_COUNTER_STACKS = 10, STACK_COUNTERS = 64 };
struct node_counter {
    uint32_t mask;      /* ports of the stack in bits 0-7, types above */
    uint32_t threshold; /* 0 = none */
    uint64_t base;      /* of its sources, when it was set up or cleared */
    uint8_t direction;  /* as it was written */
    uint8_t reached;    /* the threshold, and the event was raised */
};

struct node_port *counters_port(const struct node_switch *sw, unsigned id); /* or NULL */
void counters_reset(struct node_switch *sw);
uint32_t evcounter_setup(struct node_switch *sw, const uint8_t *in);
uint32_t evcounter_get(struct node_switch *sw, const uint8_t *in, uint8_t *out);
void evcounter_check(struct node_switch *sw); /* raises the events of thresholds reached */
void evcounter_reset(struct node_switch *sw);
uint32_t latency_setup(struct node_switch *sw, const uint8_t *in);
uint32_t latency_get(struct node_switch *sw, const uint8_t *in, uint8_t *out);
void latency_reset(struct node_switch *sw);

#endif
