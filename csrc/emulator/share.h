/* How flows that meet at links divide them: a tree of arbiters per link and the fixed point of all.
 *
 * Inside of the traffic model; only traffic.c includes it. A link's tree has the classes of its own
 * arbiter at the top. What stands under a class came over one upstream link, where another arbiter
 * chose; credits hold that arbiter back to what the class gets here, so it divides the class's
 * share by its own table, exactly as if the bottleneck were its own link. Hence the children of a
 * class are the classes of the upstream arbiter, and so on down to the sender's link, the groups of
 * the module and the flows. Share that a flow or a class cannot use goes to its nearest relatives
 * first.
 */
#ifndef FAB_SHARE_H
#define FAB_SHARE_H

#include "traffic.h"

/* A flow at one of its links. */
struct share_leaf {
    uint32_t flow;
    uint32_t offer; /* index in share.offer */
    uint16_t hop;
};

enum share_kind { SHARE_FLOW, SHARE_CLASS, SHARE_MODULE, SHARE_GROUP };

/* A node of a tree: what competes, in which arbiter, and who divides its share. */
struct share_node {
    uint32_t child; /* first of `children` neighbours; with none, the leaf */
    uint32_t children;
    uint32_t leaf, leaves; /* the flows under it */
    uint16_t arbiter;      /* link of a class, module of a module or group */
    uint8_t kind;
    uint8_t slot;  /* class or group */
    uint8_t level; /* of the key that tells its children apart */
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

    /* The shape: written by share_build, read by share_solve. */
    struct share_leaf *leaf;
    struct share_node *node;
    uint32_t *root;  /* [links + 1] first node of a link's tree; the next link's ends it */
    uint32_t *row;   /* [flows] a flow's first offer */
    uint32_t *live;  /* [lives] flows that can move */
    uint32_t *order; /* [links] links from the senders on */
    uint8_t *paced;  /* [modules] function arbitration was in force when the shape was built */
    size_t lives;

    /* Of one step. B/s; what the caller sets: ask and floor of every live flow, capacity, load. */
    double *ask, *floor, *rate;  /* [flows] wanted, committed if any is; the result */
    double *capacity, *load;     /* [links] load = sum of asks that cross it */
    struct share_lowest *lowest; /* [flows] */
    double *offer;               /* by flow and hop: what the link would let the flow have */
    /* by node: slots, committed, of it wanted, wanted, allowed */
    double *weight, *commit, *low, *want, *budget;
    uint8_t *hot;   /* [links] asked for more than it has */
    uint8_t *open;  /* [links] hot, but has room for what comes now */
    uint8_t *stale; /* [links] a demand changed since it was divided */
};

/* 0 or -ENOMEM; share_free also after a failure. */
int share_alloc(struct share *s);
void share_free(struct share *s);

/* Builds the trees from the flows. Flows with a path that cannot be are left out. */
void share_build(struct share *s);
/* Function arbitration of a module came or went, so that its flows group differently. */
int share_outdated(const struct share *s);
/* Finds the rates of the live flows. */
void share_solve(struct share *s);

#endif
