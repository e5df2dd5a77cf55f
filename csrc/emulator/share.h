/* How flows that meet at links divide them: a tree of arbiters per link and the fixed point of all.
 *
 * Inside of the traffic model only. A link's tree has the virtual channels and classes of its own
 * arbiter at the top. What stands under a class came over one upstream link, where another arbiter
 * chose; credits hold that arbiter back to what the class gets here, so it divides the class's
 * share by its own table, exactly as if the bottleneck were its own link. Hence the children of a
 * class are the channels and classes of the upstream arbiter, and so on down to the sender's link,
 * the groups of the module and the flows. Share that a flow or a class cannot use goes to its
 * nearest relatives first.
 *
 * A turn of an arbiter is a TLP; what a TLP costs depends on its direction (its size and what
 * stands around the payload), so inside a tree everything is counted in the link's own units,
 * payload x cost, and a weight is worth as many of them as its TLPs cost.
 */
#ifndef FAB_EMULATOR_SHARE_H
#define FAB_EMULATOR_SHARE_H

#include "traffic.h"

/* A flow at one of its links. */
struct share_leaf {
    uint32_t flow;
    uint32_t offer; /* index in share.offer */
    uint8_t hop;
    uint8_t direction;
};

enum share_kind { SHARE_FLOW, SHARE_VC, SHARE_CLASS, SHARE_MODULE, SHARE_GROUP };
enum { SHARE_OWN = 1 }; /* levels up to here are the link's own arbiter's */

/* A node of a tree: what competes, in which arbiter, and who divides its share. */
struct share_node {
    uint32_t child; /* first of `children` neighbours; with none, the leaf */
    uint32_t children;
    uint32_t leaf, leaves; /* the flows under it */
    uint16_t arbiter;      /* link of a channel or class, module of a module or group */
    uint8_t kind;
    uint8_t slot;  /* channel, class or group */
    uint8_t level; /* of the key that tells its children apart */
    uint8_t vc;    /* of a class */
    uint8_t ways;  /* directions of the flows under it, a bit each */
};

/* Lowest and second lowest of a flow's ask and its offers; `at` is the hop of the lowest. */
struct share_lowest {
    double first, second;
    uint32_t at;
};

struct share {
    size_t links, flows, modules;
    const struct traffic_link *link;
    const struct traffic_flow *flow;
    const struct traffic_module *module;
    double unit[2]; /* payload bytes of a full TLP by direction */

    /* The shape: written by share_build, read by share_solve. */
    struct share_leaf *leaf;
    struct share_node *node;
    uint32_t *root;  /* [links + 1] first node of a link's tree; the next link's ends it */
    uint32_t *row;   /* [flows] a flow's first offer */
    uint32_t *live;  /* [lives] flows that can move */
    uint32_t *order; /* [links] links from the senders on */
    uint8_t *paced;  /* [modules] function arbitration was in force when the shape was built */
    size_t lives;

    /* Of one step. B/s; what the caller sets with share_ask: ask and floor of every live flow. */
    double *ask, *floor, *rate;  /* [flows] wanted, committed if any is; the result */
    double *narrow;              /* [flows] most that its narrowest link carries of it */
    double *capacity;            /* [links] */
    double *cost;                /* [2 * links] capacity per byte of payload, by direction */
    double *load;                /* [links] sum of asks that cross it, at their cost */
    struct share_lowest *lowest; /* [flows] */
    double *offer;               /* by flow and hop: what the link would let the flow have */
    /* by node: weight, committed, of it wanted, wanted, allowed */
    double *weight, *commit, *low, *want, *budget;
    uint8_t *hot;   /* [links] asked for more than it has */
    uint8_t *open;  /* [links] hot, but has room for what comes now */
    uint8_t *stale; /* [links] a demand changed since it was divided */
    uint8_t *heavy; /* [links] its weights or floors have to be taken again */
    uint8_t *seen;  /* [links] and [modules] arbitration as it was last seen */
    int fresh;      /* nothing has been looked at since the shape was built */
    int moved;      /* an ask, a floor, an arbiter or the shape changed since the last solution */
};

/* 0 or -ENOMEM; share_free also after a failure. */
int share_alloc(struct share *s);
void share_free(struct share *s);

/* Builds the trees from the flows. Flows with a path that cannot be are left out. */
void share_build(struct share *s);
/* Function arbitration of a module came or went, so that its flows group differently. */
int share_outdated(const struct share *s);
/* Takes over what changed of links and modules. */
void share_look(struct share *s);
/* What a live flow asks in this step, at most narrow[f], and what it is committed. */
void share_ask(struct share *s, uint32_t flow, double ask, double floor);
/* Finds the rates of the live flows. */
void share_solve(struct share *s);
/* By what a node competes with its siblings, in turns. */
double share_turns(const struct share *s, const struct share_node *n);

/* ---- share_link.c ---- */
/* Relative. What is closer is the same: below what hand-computed shares differ by, above rounding.
 */
#define SHARE_SAME 1e-12
/* What a flow could use at hop h were the link there no limit. */
double share_want_at(const struct share_lowest *l, uint32_t h);
struct share_lowest share_lowest_of(const struct share *s, uint32_t flow);
/* A link's new offer to a flow; where that moves what the flow takes, its other links are stale. */
void share_offer_leaf(struct share *s, const struct share_leaf *l, double value);
void share_weigh(struct share *s, uint32_t link); /* readies its tree for the step */
void share_divide_link(struct share *s, uint32_t link);

/* share_level.c: divides a node's budget, which is less than its children want. */
void share_divide(struct share *s, const struct share_node *p, double budget, int floors);

#endif
