/* Traffic one TLP after the other, by the same trees of arbiters as the fluid rates.
 *
 * A link carries one TLP at a time. Behind a link that does not end a path lies the ingress buffer
 * of a switch port; a TLP may leave it TLP_LATENCY_NS after its last byte came in, and its room is
 * free, its credit returned, when its last byte went out. A link sends only what has room at its
 * far end, so a full buffer holds the sender back, and that one its own. Posted and completion
 * credits are apart because flows are.
 *
 * Modelled: the buffer is as if every flow had a queue of its own in it, TLP_WINDOW deep, and the
 * queues of a class are served as the arbiters upstream would choose. A chip that lets flows share
 * a queue would have those wait that stand behind a flow without credit.
 */
#ifndef FAB_EMULATOR_TLP_H
#define FAB_EMULATOR_TLP_H

#include "share.h"

enum {
    TLP_WINDOW = 128, /* TLPs of one flow in one buffer: covers the way of a credit at Gen6 x16 */
    TLP_LATENCY_NS = 115 /* modelled: from last bit in to first bit out of an idle switch */
};

/* Bytes waiting, split so that no sum ever loses a fraction to a large whole. */
struct waiting {
    uint64_t whole;
    double part; /* 0 <= part < 1 */
};

/* A queue: flow f's TLPs before its hop h is number f * TRAFFIC_MAX_HOPS + h. */
struct tlp_packet {
    double ready; /* ns; may leave from then on */
    uint32_t bytes;
};

struct tlp_queue {
    uint32_t head, count; /* of the ring; hop 0 has none, the flow's load stands there */
    uint32_t occupied;    /* in the ring, or on the way in or out: credits in use */
    uint8_t eligible;     /* something is ready and there is room for it behind the link */
    uint8_t woken;        /* an event will look at it */
};

/* What a flow has to send in a step: `had` bytes at its start, `rate` more every ns. */
struct tlp_source {
    struct waiting *waiting;
    double had, rate;
    double limit;       /* bytes per ns of its shapers */
    double paced_until; /* ns; they let the next TLP go then */
    uint64_t under_way; /* bytes that have left the source and not arrived */
    uint64_t arrived;   /* bytes since tlp_delivered */
    uint32_t epoch;     /* what was sent in an earlier one is forgotten */
    uint16_t hops;      /* the path that the queues belong to; 0 = none */
    struct traffic_hop hop[TRAFFIC_MAX_HOPS];
};

/* What a link is sending. */
struct tlp_wire {
    uint8_t busy;
    uint8_t hop;
    uint32_t flow, epoch, bytes;
    double arrived;     /* ns; when the TLP had come in at the switch that sends it */
    double ns_per_byte; /* 0 = down */
};

struct tlp_event {
    double time;
    uint32_t id; /* a link, or links + a queue */
};

struct tlp {
    struct share *share;
    struct traffic_link *link;
    struct traffic_latency (*latency)[TRAFFIC_CLASSES];
    double begin, now, until; /* ns: of the step, of the event, the end of the step */

    struct tlp_source *source; /* [flows] */
    struct tlp_queue *queue;   /* [flows * TRAFFIC_MAX_HOPS] */
    struct tlp_packet *ring;   /* TLP_WINDOW for each queue */
    struct tlp_wire *wire;     /* [links] */
    struct tlp_event *heap;
    uint32_t events;

    /* By node of the share's trees. */
    uint32_t *parent;  /* of a root: itself */
    uint32_t *leaf_at; /* by queue: its node */
    uint32_t *ready;   /* eligible queues under it */
    uint32_t *phase;   /* next phase of the table that divides it */
    uint32_t *debt;    /* turns of its parent's table that it had in advance */
    uint8_t *walks;    /* kind of table that divides it, 0 = none */
    double *promised;  /* bytes per ns committed to the flows under it that ask for any */
    double *due;       /* ns; when that next entitles it to a TLP */
    double *turns;     /* weight among its siblings */
    double *pass;      /* turns taken, over weight: the least comes next where no table says */
    double *clock;     /* pass of the child that had the last turn */
};

int tlp_create(struct share *s, struct traffic_link *link,
               struct traffic_latency (*latency)[TRAFFIC_CLASSES], struct tlp **out);
void tlp_destroy(struct tlp *e);
/* After share_build. What a flow that left its path had under way is forgotten. */
void tlp_rebuild(struct tlp *e);
void tlp_forget(struct tlp *e, uint32_t flow);
uint64_t tlp_under_way(const struct tlp *e, uint32_t flow);
/* What a flow has to send in the next step: all that waits, `before` of it from its beginning. */
void tlp_offer(struct tlp *e, uint32_t flow, struct waiting *waiting, double before,
               double seconds);
void tlp_step(struct tlp *e, double seconds);
uint64_t tlp_delivered(struct tlp *e, uint32_t flow); /* since the last call */
/* Everything under way arrives. */
void tlp_drain(struct tlp *e);
/* The latency that the rates of a fluid step mean for a link. */
void tlp_imply_latency(struct tlp *e, uint32_t link);

/* tlp_pick.c */
void tlp_shape(struct tlp *e); /* the trees are new */
void tlp_weigh(struct tlp *e); /* a step begins */
void tlp_enable(struct tlp *e, uint32_t queue, int eligible);
uint32_t tlp_pick(struct tlp *e, uint32_t link); /* the queue that is next; one is eligible */
void tlp_keep(struct tlp *e, uint32_t queue, uint32_t bytes); /* promises, by what was sent */

#endif
