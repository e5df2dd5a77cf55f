/* The traffic model: offered load in, delivered bytes out, by the arbitration that is programmed.
 *
 * A flow is one bound function in one direction. It crosses directed links; the arbiter before a
 * link chooses a virtual channel, in it a class (ingress port of the switch) by weighted round
 * robin, and a class's flows by the arbitration of the modules they belong to.
 *
 * Fluid: one step moves what an unbroken stream of equal TLPs would move in that time,
 * work-conserving, and nothing is lost between ports (credits hold back what the next link cannot
 * take), so a byte that is delivered crossed every link of its path in the same step. Whole bytes
 * are counted; fractions are carried.
 *
 * TLP: the same arbiters choose one TLP after the other, phase by phase of their tables; links
 * serialise them, ingress buffers hold them, credits come back when they leave (tlp.h). On steady
 * load both modes move the same.
 */
#ifndef FAB_EMULATOR_TRAFFIC_H
#define FAB_EMULATOR_TRAFFIC_H

#include <stddef.h>
#include <stdint.h>

#define TRAFFIC_MAX_HOPS 12 /* links on a path */
#define TRAFFIC_CLASSES 64  /* physical port ids of one switch */
#define TRAFFIC_GROUPS 8    /* MFVC function groups */
#define TRAFFIC_VCS 8       /* virtual channel ids */
#define TRAFFIC_PHASES 256  /* of the longest table */

enum { TRAFFIC_UP = 0, TRAFFIC_DOWN = 1 };

struct traffic_hop {
    uint16_t link;   /* index of the directed link */
    uint8_t ingress; /* class at the arbiter before it; 0 on the sender's own link */
    uint8_t vc;      /* virtual channel id there; a sender's own link has one channel */
};

struct traffic_link {
    double capacity;      /* B/s of payload of full posted writes; 0 = down */
    uint16_t overhead[2]; /* bytes beside the payload of a TLP: posted write, completion */
    /* Port arbitration inside VC 0; the classes of other channels share equally. */
    uint16_t phases; /* of the weighted round robin in force; 0 = fixed: classes share equally */
    uint16_t slots[TRAFFIC_CLASSES]; /* entries per class; a class without any gets what is left */
    uint16_t vc_phases;              /* of the VC arbitration; 0 = fixed: channels share equally */
    uint16_t vc_slots[TRAFFIC_VCS];
    /* What stands above is compared from step to step, what stands below is not. */
    uint8_t table[TRAFFIC_PHASES]; /* class of each phase: slots in their order */
    uint8_t vc_table[TRAFFIC_PHASES];
    /* whole bytes that crossed, by direction of their flow (up: posted writes, down: completions)
     */
    uint64_t bytes[2];
    uint64_t tlps[2];      /* TLPs that crossed one by one, and */
    uint64_t tlp_bytes[2]; /* what of `bytes` came in them */
    uint8_t timed;         /* latency is kept in fluid steps too */
};

struct traffic_module {
    uint16_t phases; /* of the function arbitration in force; 0 = functions share equally */
    uint16_t slots[TRAFFIC_GROUPS];
    uint8_t table[TRAFFIC_PHASES];
};

/* Nanoseconds from a switch's ingress to its egress, of TLPs since the last clear. */
struct traffic_latency {
    double min, max; /* max < min: none passed */
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
/* Of the TLPs that came in as `ingress` and left by link i. */
struct traffic_latency *traffic_latency(struct traffic *t, size_t i, size_t ingress);

/* Whether link i's latency is kept in fluid steps too, where it costs; the first time, the present
 * rates count. */
void traffic_time(struct traffic *t, size_t i, int timed);
/* ns that a full posted TLP takes through an idle switch to the end of link i. */
double traffic_idle_latency(const struct traffic *t, size_t i);

/* Payload of a full TLP in bytes: posted writes (up), completions (down). 256 each at first. */
void traffic_sizes(struct traffic *t, uint32_t posted, uint32_t completion);
/* Payload bytes of a full TLP, direction TRAFFIC_UP or _DOWN. */
uint32_t traffic_unit(const struct traffic *t, unsigned direction);

enum { TRAFFIC_FLUID = 0, TRAFFIC_TLP = 1 };
/* What is under way in TLPs arrives at once when the mode becomes fluid. */
void traffic_set_mode(struct traffic *t, int mode);

/* To be called after active, hop, hops, direction, module or group of a flow changed; cheap, the
 * next step takes it up; a flow that is rebuilt inactive or with another path loses what it had
 * under way. Everything else may change between steps without a call. A flow whose path
 * cannot be (no hop, a link twice, an index out of range) counts as inactive. */
void traffic_changed(struct traffic *t);

/* Moves `seconds` of traffic in one step: each active flow's backlog grows by offered x seconds,
 * bytes move, and with `drop` the whole bytes left waiting are dropped and counted. What is not
 * above 0 (NaN too) counts as 0. */
void traffic_step(struct traffic *t, double seconds, int drop);

#endif
