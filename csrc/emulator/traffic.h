/* The traffic model: offered load in, delivered bytes out, by the arbitration that is programmed.
 *
 * A flow is one bound function in one direction. It crosses directed links; the arbiter before a
 * link serves classes (ingress ports of the switch) by weighted round robin, a class's flows by
 * the arbitration of the modules they belong to. The model is fluid: one step moves what an
 * unbroken stream of equal TLPs would move in that time, work-conserving, and nothing is lost
 * between ports (credits hold back what the next link cannot take), so a byte that is delivered
 * crossed every link of its path in the same step. Whole bytes are counted; fractions are carried.
 */
#ifndef FAB_TRAFFIC_H
#define FAB_TRAFFIC_H

#include <stddef.h>
#include <stdint.h>

#define TRAFFIC_MAX_HOPS 12 /* links on a path */
#define TRAFFIC_CLASSES 64  /* physical port ids of one switch */
#define TRAFFIC_GROUPS 8    /* MFVC function groups */

enum { TRAFFIC_UP = 0, TRAFFIC_DOWN = 1 };

struct traffic_hop {
    uint16_t link;   /* index of the directed link */
    uint8_t ingress; /* class at the arbiter before it; 0 on the sender's own link */
    uint8_t pad;
};

struct traffic_link {
    double capacity; /* B/s of payload; 0 = down */
    uint16_t phases; /* of the weighted round robin in force; 0 = fixed: classes share equally */
    uint16_t slots[TRAFFIC_CLASSES]; /* entries per class; a class without any gets what is left */
    /* whole bytes that crossed, by direction of their flow (up: posted writes, down: completions)
     */
    uint64_t bytes[2];
};

struct traffic_module {
    uint16_t phases; /* of the function arbitration in force; 0 = functions share equally */
    uint16_t slots[TRAFFIC_GROUPS];
};

struct traffic_flow {
    /* set by the owner of the model */
    uint8_t active; /* 0: not bound; moves nothing and keeps its counters */
    uint8_t direction;
    uint8_t module; /* index of its module */
    uint8_t group;  /* MFVC group */
    uint16_t hops;
    struct traffic_hop hop[TRAFFIC_MAX_HOPS];
    double offered;   /* B/s */
    double ceiling;   /* B/s, host-side shaper; inf = none */
    double committed; /* B/s, the module's per-VF shaper: served before others share; 0 = none */
    double peak;      /* B/s, the module's per-VF shaper; inf = none */
    /* written by traffic_step */
    double backlog; /* bytes waiting; the owner may set it too, such as to 0 when it unbinds */
    double carry;   /* fraction of a byte moved, not yet counted; may be a rounding error below 0 */
    uint64_t delivered;
    uint64_t dropped; /* only when steps drop; what was offered = all four together */
};

struct traffic; /* caller-visible arrays are reached through the accessors below */

/* 0, -EINVAL (a count is 0 or no index type could hold it) or -ENOMEM. Nothing allocates after
 * this. Links are down, flows inactive with neither ceiling nor peak, arbiters fixed. */
int traffic_create(size_t links, size_t flows, size_t modules, struct traffic **out);
void traffic_destroy(struct traffic *t);
struct traffic_link *traffic_link(struct traffic *t, size_t i);
struct traffic_flow *traffic_flow(struct traffic *t, size_t i);
struct traffic_module *traffic_module(struct traffic *t, size_t i);

/* To be called after active, hop, hops, direction, module or group of a flow changed; cheap, the
 * next step takes it up. Everything else may change between steps without a call. A flow whose path
 * cannot be (no hop, a link twice, an index out of range) counts as inactive. */
void traffic_changed(struct traffic *t);

/* Moves `seconds` of traffic in one step: each active flow's backlog grows by offered x seconds,
 * bytes move, and with `drop` the whole bytes left waiting are dropped and counted. What is not
 * above 0 (NaN too) counts as 0. */
void traffic_step(struct traffic *t, double seconds, int drop);

#endif
