/* Memory of the TLPs, paths that come and go, and what is under way. */
#include "tlp.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int tlp_create(struct share *s, struct traffic_link *link,
               struct traffic_latency (*latency)[TRAFFIC_CLASSES], struct tlp **out) {
    size_t queues = s->flows * TRAFFIC_MAX_HOPS, nodes = 2 * queues + s->links;
    struct tlp *e = calloc(1, sizeof *e);
    *out = e;
    if (!e) return -ENOMEM;
    e->share = s;
    e->link = link;
    e->latency = latency;
    struct {
        void *at;
        size_t count, size;
    } part[] = {
        {&e->source, s->flows, sizeof *e->source},
        {&e->queue, queues, sizeof *e->queue},
        {&e->ring, queues * TLP_WINDOW, sizeof *e->ring}, /* untouched as long as rates do */
        {&e->wire, s->links, sizeof *e->wire},
        {&e->heap, s->links + queues, sizeof *e->heap},
        {&e->parent, nodes, sizeof *e->parent},
        {&e->leaf_at, queues, sizeof *e->leaf_at},
        {&e->ready, nodes, sizeof *e->ready},
        {&e->promised, nodes, sizeof(double)},
        {&e->due, nodes, sizeof(double)},
        {&e->phase, nodes, sizeof *e->phase},
        {&e->debt, nodes, sizeof *e->debt},
        {&e->walks, nodes, sizeof *e->walks},
        {&e->turns, nodes, sizeof(double)},
        {&e->pass, nodes, sizeof(double)},
        {&e->clock, nodes, sizeof(double)},
    };
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        void *memory = calloc(part[i].count, part[i].size);
        memcpy(part[i].at, &memory, sizeof memory);
        if (!memory) return -ENOMEM;
    }
    return 0;
}

void tlp_destroy(struct tlp *e) {
    if (!e) return;
    void *part[] = {e->source,  e->queue, e->ring,     e->wire,  e->heap,  e->parent,
                    e->leaf_at, e->ready, e->promised, e->phase, e->walks, e->turns,
                    e->pass,    e->clock, e->due,      e->debt};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) free(part[i]);
    free(e);
}

void tlp_forget(struct tlp *e, uint32_t f) {
    struct tlp_source *src = &e->source[f];
    src->epoch++;
    src->under_way = 0;
    src->paced_until = 0;
    for (uint32_t h = 0; h < src->hops; h++) {
        struct tlp_queue *q = &e->queue[f * TRAFFIC_MAX_HOPS + h];
        tlp_enable(e, f * TRAFFIC_MAX_HOPS + h, 0);
        q->head = q->count = q->occupied = 0;
    }
}

void tlp_rebuild(struct tlp *e) {
    const struct share *s = e->share;
    size_t live = 0;
    /* the counts of the old trees went with them */
    for (size_t q = 0; q < s->flows * TRAFFIC_MAX_HOPS; q++) e->queue[q].eligible = 0;
    tlp_shape(e);
    for (uint32_t f = 0; f < s->flows; f++) {
        const struct traffic_flow *flow = &s->flow[f];
        struct tlp_source *src = &e->source[f];
        uint16_t hops = live < s->lives && s->live[live] == f ? flow->hops : 0;
        live += hops > 0;
        if (src->hops == hops && !memcmp(src->hop, flow->hop, hops * sizeof *flow->hop)) continue;
        tlp_forget(e, f);
        src->hops = hops;
        memcpy(src->hop, flow->hop, hops * sizeof *flow->hop);
    }
}

uint64_t tlp_under_way(const struct tlp *e, uint32_t f) {
    return e->source[f].under_way;
}

uint64_t tlp_delivered(struct tlp *e, uint32_t f) {
    uint64_t arrived = e->source[f].arrived;
    e->source[f].arrived = 0;
    return arrived;
}

/* A TLP that has `hop` links behind it crosses the others. */
static void arrive(struct tlp *e, uint32_t f, uint32_t hop, uint32_t bytes) {
    struct tlp_source *src = &e->source[f];
    unsigned direction = e->share->flow[f].direction;
    for (uint32_t h = hop; h < src->hops; h++) {
        struct traffic_link *link = &e->link[src->hop[h].link];
        link->bytes[direction] += bytes;
        link->tlp_bytes[direction] += bytes;
        link->tlps[direction]++;
    }
    src->arrived += bytes;
}

void tlp_drain(struct tlp *e) {
    const struct share *s = e->share;
    for (uint32_t l = 0; l < s->links; l++) {
        struct tlp_wire *w = &e->wire[l];
        if (w->busy && w->epoch == e->source[w->flow].epoch) arrive(e, w->flow, w->hop, w->bytes);
        w->busy = 0;
    }
    for (uint32_t f = 0; f < s->flows; f++) {
        for (uint32_t h = 1; h < e->source[f].hops; h++) {
            uint32_t q = f * TRAFFIC_MAX_HOPS + h;
            const struct tlp_packet *ring = &e->ring[(size_t)q * TLP_WINDOW];
            for (uint32_t k = 0; k < e->queue[q].count; k++)
                arrive(e, f, h, ring[(e->queue[q].head + k) % TLP_WINDOW].bytes);
        }
        tlp_forget(e, f);
        for (uint32_t h = 0; h < TRAFFIC_MAX_HOPS; h++)
            e->queue[f * TRAFFIC_MAX_HOPS + h].woken = 0;
    }
    e->events = 0;
}

/* The last hop that holds a flow back: where it gets less than it asks, or its narrowest link when
 * it asks all of that; -1 = none does. */
static int held_at(const struct share *s, uint32_t f) {
    const struct traffic_flow *flow = &s->flow[f];
    const struct share_lowest *lowest = &s->lowest[f];
    if (lowest->at != UINT32_MAX && lowest->first < s->ask[f]) return (int)lowest->at;
    for (int h = flow->hops; h-- > 0;) {
        uint32_t l = flow->hop[h].link;
        if (s->ask[f] >= s->capacity[l] / s->cost[2 * l + flow->direction]) return h;
    }
    return -1;
}

/* A flow that is held back here or further on fills the buffer in front of this link; one that is
 * not finds it empty. */
void tlp_imply_latency(struct tlp *e, uint32_t link) {
    const struct share *s = e->share;
    const struct share_node *root = &s->node[s->root[link]];
    for (uint32_t k = root->leaf; k < root->leaf + root->leaves && s->capacity[link] > 0; k++) {
        const struct share_leaf *l = &s->leaf[k];
        uint32_t f = l->flow;
        if (!l->hop || !(s->rate[f] > 0)) continue;
        double unit = s->unit[l->direction];
        double ns =
            TLP_LATENCY_NS + unit * s->cost[2 * link + l->direction] / s->capacity[link] * 1e9;
        double full = TLP_WINDOW * unit / s->rate[f] * 1e9;
        if (held_at(s, f) >= l->hop && full > ns) ns = full;
        struct traffic_latency *seen = &e->latency[link][s->flow[f].hop[l->hop].ingress];
        if (ns < seen->min) seen->min = ns;
        if (ns > seen->max) seen->max = ns;
    }
}
