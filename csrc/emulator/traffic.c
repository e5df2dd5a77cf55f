/* The traffic model: what each flow asks in a step, and the whole bytes that moved. */
#include "traffic.h"

#include "share.h"
#include "tlp.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Bytes that one step may add and a flow may have waiting: far above any node, far below 2^64. */
static const double MOST_ADDED = 1e18;
static const uint64_t MOST_WAITING = 9000000000000000000u;
/* Fractions that add up to a whole byte but for rounding count as one. */
static const double ROUNDING = 1e-9;

enum { DEFAULT_UNIT = 256 };
static const struct traffic_latency NO_LATENCY = {INFINITY, 0};

struct traffic {
    struct traffic_link *link;
    struct traffic_flow *flow;
    struct traffic_module *module;
    struct traffic_latency (*latency)[TRAFFIC_CLASSES]; /* [links] */
    struct waiting *waiting;                            /* [flows] */
    struct share share;
    struct tlp *tlp;
    int mode;
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
    t->latency = calloc(links, sizeof *t->latency);
    t->share = (struct share){.links = links,
                              .flows = flows,
                              .modules = modules,
                              .link = t->link,
                              .flow = t->flow,
                              .module = t->module,
                              .unit = {DEFAULT_UNIT, DEFAULT_UNIT}};
    if (share_alloc(&t->share) || !t->link || !t->flow || !t->module || !t->waiting ||
        !t->latency || tlp_create(&t->share, t->link, t->latency, &t->tlp)) {
        traffic_destroy(t);
        return -ENOMEM;
    }
    for (size_t l = 0; l < links; l++)
        for (size_t class = 0; class < TRAFFIC_CLASSES; class++) t->latency[l][class] = NO_LATENCY;
    for (size_t f = 0; f < flows; f++) t->flow[f].ceiling = t->flow[f].peak = INFINITY;
    t->changed = 1;
    *out = t;
    return 0;
}

void traffic_destroy(struct traffic *t) {
    if (!t) return;
    tlp_destroy(t->tlp);
    share_free(&t->share);
    free(t->latency);
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
struct traffic_latency *traffic_latency(struct traffic *t, size_t i, size_t ingress) {
    return &t->latency[i][ingress];
}
void traffic_time(struct traffic *t, size_t i, int timed) {
    if (timed && !t->link[i].timed && t->mode == TRAFFIC_FLUID && !t->changed)
        tlp_imply_latency(t->tlp, (uint32_t)i);
    t->link[i].timed = timed != 0;
}
double traffic_idle_latency(const struct traffic *t, size_t i) {
    double capacity = t->link[i].capacity;
    return TLP_LATENCY_NS + (capacity > 0 ? t->share.unit[TRAFFIC_UP] / capacity * 1e9 : 0);
}
void traffic_changed(struct traffic *t) {
    t->changed = 1;
}

void traffic_sizes(struct traffic *t, uint32_t posted, uint32_t completion) {
    t->share.unit[TRAFFIC_UP] = posted;
    t->share.unit[TRAFFIC_DOWN] = completion;
    t->share.fresh = 1;
}

uint32_t traffic_unit(const struct traffic *t, unsigned direction) {
    return (uint32_t)t->share.unit[direction];
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

/* What is under way arrives. */
static void drain(struct traffic *t) {
    for (uint32_t f = 0; f < t->share.flows; f++) /* its owner may have set its backlog */
        if (t->flow[f].backlog == bytes_of(t->waiting[f]) + (double)tlp_under_way(t->tlp, f))
            t->flow[f].backlog = bytes_of(t->waiting[f]);
    tlp_drain(t->tlp);
    for (uint32_t f = 0; f < t->share.flows; f++) t->flow[f].delivered += tlp_delivered(t->tlp, f);
}

void traffic_set_mode(struct traffic *t, int mode) {
    if (mode == TRAFFIC_FLUID && t->mode == TRAFFIC_TLP) drain(t);
    t->mode = mode;
}

/* Puts more bytes in the queue. */
static struct waiting add(struct waiting w, double bytes) {
    bytes = lesser(bytes, MOST_ADDED);
    uint64_t whole = (uint64_t)bytes;
    w.part += bytes - (double)whole;
    int carry = w.part >= 1; /* as likely as not: no branch could guess it */
    w.part -= carry;
    whole += (uint64_t)carry;
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
    int borrow = w->part < 0; /* of the whole byte that the test above says is there */
    w->part += borrow;
    w->whole -= (uint64_t)borrow;
    if (w->part >= 1) w->part = 1 - 0x1p-53; /* the sum was rounded up */
    return moved;
}

/* Queues what a flow offers in this step; returns what waited before. */
static double queue(struct traffic *t, uint32_t f, double seconds) {
    struct traffic_flow *flow = &t->flow[f];
    struct waiting *w = &t->waiting[f];
    uint64_t held = t->mode == TRAFFIC_TLP ? tlp_under_way(t->tlp, f) : 0;
    if (flow->backlog != bytes_of(*w) + (double)held) { /* the owner set it */
        *w = add((struct waiting){0, 0}, above_zero(flow->backlog));
        if (held) tlp_forget(t->tlp, f);
    }
    double before = bytes_of(*w), offered = above_zero(flow->offered) * seconds;
    if (offered > 0) *w = add(*w, offered);
    return before;
}

/* Moves what a flow's rate allows, and counts it in whole bytes wherever it passed. */
static void move(struct traffic *t, uint32_t f, double seconds, int drop) {
    struct traffic_flow *flow = &t->flow[f];
    struct waiting *w = &t->waiting[f];
    /* All of it, if it asked for all and got it: a rate times seconds would leave a trace. */
    double rate = t->share.rate[f], all = bytes_of(*w);
    struct waiting moved = take(w, rate >= all / seconds ? all : rate * seconds);
    flow->carry += moved.part;
    int whole = flow->carry >= 1 - ROUNDING;
    flow->carry -= whole;
    moved.whole += (uint64_t)whole;
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

/* What a flow could use of its links in this step. */
static void ask(struct traffic *t, uint32_t f, double seconds) {
    const struct traffic_flow *flow = &t->flow[f];
    double rate = bytes_of(t->waiting[f]) / seconds;
    if (rate > 0) {
        rate = lesser(rate, lesser(above_zero(flow->ceiling), above_zero(flow->peak)));
        rate = lesser(rate, t->share.narrow[f]);
    }
    share_ask(&t->share, f, rate, rate > 0 ? lesser(above_zero(flow->committed), MOST_ADDED) : 0);
}

/* Rates first, then everything at once. */
static void step_fluid(struct traffic *t, double seconds, int drop) {
    struct share *s = &t->share;
    for (size_t i = 0; i < s->lives; i++) {
        queue(t, s->live[i], seconds);
        ask(t, s->live[i], seconds);
    }
    share_solve(s);
    for (size_t i = 0; i < s->lives; i++)
        if (t->waiting[s->live[i]].whole || t->waiting[s->live[i]].part > 0)
            move(t, s->live[i], seconds, drop);
    for (uint32_t l = 0; l < s->links; l++)
        if (t->link[l].timed) tlp_imply_latency(t->tlp, l);
}

/* One TLP after the other; what did not get away stays in the queue. */
static void step_tlp(struct traffic *t, double seconds, int drop) {
    struct share *s = &t->share;
    for (size_t i = 0; i < s->lives; i++) {
        uint32_t f = s->live[i];
        double before = queue(t, f, seconds);
        ask(t, f, seconds);
        tlp_offer(t->tlp, f, &t->waiting[f], before, seconds);
    }
    tlp_step(t->tlp, seconds);
    for (size_t i = 0; i < s->lives; i++) {
        uint32_t f = s->live[i];
        struct traffic_flow *flow = &t->flow[f];
        flow->delivered += tlp_delivered(t->tlp, f);
        if (drop) {
            flow->dropped += t->waiting[f].whole;
            t->waiting[f].whole = 0;
        }
        flow->backlog = bytes_of(t->waiting[f]) + (double)tlp_under_way(t->tlp, f);
    }
}

void traffic_step(struct traffic *t, double seconds, int drop) {
    struct share *s = &t->share;
    if (!(seconds > 0 && seconds < INFINITY)) return;
    if (t->changed || share_outdated(s)) {
        share_build(s);
        tlp_rebuild(t->tlp);
        t->changed = 0;
    }
    share_look(s);
    if (t->mode == TRAFFIC_TLP)
        step_tlp(t, seconds, drop);
    else
        step_fluid(t, seconds, drop);
}
