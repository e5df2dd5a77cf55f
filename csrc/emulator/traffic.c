/* The traffic model: what each flow asks in a step, and the whole bytes that moved. */
#include "traffic.h"

#include "share.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Bytes that one step may add and a flow may have waiting: far above any node, far below 2^64. */
static const double MOST_ADDED = 1e18;
static const uint64_t MOST_WAITING = 9000000000000000000u;
/* Fractions that add up to a whole byte but for rounding count as one. */
static const double ROUNDING = 1e-9;

/* Bytes waiting, split so that no sum ever loses a fraction to a large whole. */
struct waiting {
    uint64_t whole;
    double part; /* 0 <= part < 1 */
};

struct traffic {
    struct traffic_link *link;
    struct traffic_flow *flow;
    struct traffic_module *module;
    struct waiting *waiting; /* [flows] */
    struct share share;
    int changed;
};

int traffic_create(size_t links, size_t flows, size_t modules, struct traffic **out) {
    if (!links || links > 65536 || !flows || flows > 1u << 20 || !modules || modules > 256)
        return -EINVAL;
    struct traffic *t = calloc(1, sizeof *t);
    if (!t) return -ENOMEM;
    t->link = calloc(links, sizeof *t->link);
    t->flow = calloc(flows, sizeof *t->flow);
    t->module = calloc(modules, sizeof *t->module);
    t->waiting = calloc(flows, sizeof *t->waiting);
    t->share = (struct share){.links = links,
                              .flows = flows,
                              .modules = modules,
                              .link = t->link,
                              .flow = t->flow,
                              .module = t->module};
    if (share_alloc(&t->share) || !t->link || !t->flow || !t->module || !t->waiting) {
        traffic_destroy(t);
        return -ENOMEM;
    }
    for (size_t f = 0; f < flows; f++) t->flow[f].ceiling = t->flow[f].peak = INFINITY;
    t->changed = 1;
    *out = t;
    return 0;
}

void traffic_destroy(struct traffic *t) {
    if (!t) return;
    share_free(&t->share);
    free(t->waiting);
    free(t->module);
    free(t->flow);
    free(t->link);
    free(t);
}

struct traffic_link *traffic_link(struct traffic *t, size_t i) {
    return &t->link[i];
}
struct traffic_flow *traffic_flow(struct traffic *t, size_t i) {
    return &t->flow[i];
}
struct traffic_module *traffic_module(struct traffic *t, size_t i) {
    return &t->module[i];
}
void traffic_changed(struct traffic *t) {
    t->changed = 1;
}

static double lesser(double a, double b) {
    return a < b ? a : b;
}
static double above_zero(double x) {
    return x > 0 ? x : 0;
}
static double bytes_of(struct waiting w) {
    return (double)w.whole + w.part;
}

/* Puts more bytes in the queue. */
static struct waiting add(struct waiting w, double bytes) {
    bytes = lesser(bytes, MOST_ADDED);
    uint64_t whole = (uint64_t)bytes;
    w.part += bytes - (double)whole;
    if (w.part >= 1) {
        w.part -= 1;
        whole++;
    }
    w.whole = w.whole + whole < MOST_WAITING ? w.whole + whole : MOST_WAITING;
    return w;
}

/* Takes what moved, at most all, from the queue. */
static struct waiting take(struct waiting *w, double bytes) {
    struct waiting moved = *w;
    if (bytes < bytes_of(*w)) {
        moved.whole = (uint64_t)bytes;
        moved.part = bytes - (double)moved.whole;
        if (moved.whole > w->whole || (moved.whole == w->whole && moved.part > w->part)) moved = *w;
    }
    w->whole -= moved.whole;
    w->part -= moved.part;
    if (w->part < 0) { /* the whole byte that the test above says is there */
        w->part += 1;
        w->whole--;
    }
    if (w->part >= 1) w->part = 1 - 0x1p-53; /* the sum was rounded up */
    return moved;
}

/* Queues what a flow offers in this step, and says what it asks of its links. */
static void queue(struct traffic *t, uint32_t f, double seconds) {
    struct traffic_flow *flow = &t->flow[f];
    struct waiting *w = &t->waiting[f];
    if (flow->backlog != bytes_of(*w)) /* the owner set it */
        *w = add((struct waiting){0, 0}, above_zero(flow->backlog));
    double offered = above_zero(flow->offered) * seconds;
    if (offered > 0) *w = add(*w, offered);
    double ask = bytes_of(*w);
    if (ask > 0) {
        ask = lesser(ask / seconds, lesser(above_zero(flow->ceiling), above_zero(flow->peak)));
        for (int h = 0; h < flow->hops; h++)
            ask = lesser(ask, t->share.capacity[flow->hop[h].link]);
        for (int h = 0; h < flow->hops; h++) t->share.load[flow->hop[h].link] += ask;
    }
    t->share.ask[f] = ask;
    t->share.floor[f] = ask > 0 ? lesser(above_zero(flow->committed), MOST_ADDED) : 0;
}

/* Moves what a flow's rate allows, and counts it in whole bytes wherever it passed. */
static void move(struct traffic *t, uint32_t f, double seconds, int drop) {
    struct traffic_flow *flow = &t->flow[f];
    struct waiting *w = &t->waiting[f];
    /* All of it, if it asked for all and got it: a rate times seconds would leave a trace. */
    double rate = t->share.rate[f], all = bytes_of(*w);
    struct waiting moved = take(w, rate >= all / seconds ? all : rate * seconds);
    flow->carry += moved.part;
    if (flow->carry >= 1 - ROUNDING) {
        flow->carry -= 1;
        moved.whole++;
    }
    if (moved.whole) {
        flow->delivered += moved.whole;
        for (int h = 0; h < flow->hops; h++)
            t->link[flow->hop[h].link].bytes[flow->direction] += moved.whole;
    }
    if (drop) {
        flow->dropped += w->whole;
        w->whole = 0;
    }
    flow->backlog = bytes_of(*w);
}

void traffic_step(struct traffic *t, double seconds, int drop) {
    struct share *s = &t->share;
    if (!(seconds > 0 && seconds < INFINITY)) return;
    if (t->changed || share_outdated(s)) {
        share_build(s);
        t->changed = 0;
    }
    for (size_t l = 0; l < s->links; l++) {
        s->capacity[l] = above_zero(t->link[l].capacity);
        s->load[l] = 0;
    }
    for (size_t i = 0; i < s->lives; i++) queue(t, s->live[i], seconds);
    share_solve(s);
    for (size_t i = 0; i < s->lives; i++)
        if (t->waiting[s->live[i]].whole || t->waiting[s->live[i]].part > 0)
            move(t, s->live[i], seconds, drop);
}
