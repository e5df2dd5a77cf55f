/* The course of TLPs in time: links, buffers, credits, and the events that move them. */
#include "tlp.h"

#include <math.h>

enum { PACED_BURST = 32 }; /* TLPs that a shaper lets catch up, as a token bucket would */
static const double NS_PER_S = 1e9;

/* ---- events, the earliest first, then by id ---- */

static int earlier(const struct tlp_event *a, const struct tlp_event *b) {
    return a->time < b->time || (a->time == b->time && a->id < b->id);
}

static void push(struct tlp *e, double time, uint32_t id) {
    uint32_t at = e->events++;
    struct tlp_event new = {time, id};
    for (; at && earlier(&new, &e->heap[(at - 1) / 2]); at = (at - 1) / 2)
        e->heap[at] = e->heap[(at - 1) / 2];
    e->heap[at] = new;
}

static uint32_t pop(struct tlp *e) {
    struct tlp_event first = e->heap[0], last = e->heap[--e->events];
    uint32_t at = 0, child;
    while ((child = 2 * at + 1) < e->events) {
        if (child + 1 < e->events && earlier(&e->heap[child + 1], &e->heap[child])) child++;
        if (!earlier(&e->heap[child], &last)) break;
        e->heap[at] = e->heap[child];
        at = child;
    }
    e->heap[at] = last;
    e->now = first.time;
    return first.id;
}

/* ---- queues ---- */

static struct tlp_packet *packet(struct tlp *e, uint32_t q, uint32_t k) {
    return &e->ring[(size_t)q * TLP_WINDOW + (e->queue[q].head + k) % TLP_WINDOW];
}

/* The next TLP of a source: when it is ready, and its size. A whole one as soon as its bytes are
 * there; the rest of the step before, shorter, at once. */
static struct tlp_packet next_of_source(const struct tlp *e, uint32_t f) {
    const struct tlp_source *src = &e->source[f];
    double unit = e->share->unit[e->share->flow[f].direction];
    struct tlp_packet next = {e->begin, (uint32_t)unit};
    if (!src->waiting || !src->waiting->whole || !(src->limit > 0))
        next.ready = INFINITY;
    else if (src->had >= 1 && src->had < unit)
        next.bytes = (uint32_t)src->had;
    else if (src->had < 1)
        next.ready = src->rate > 0 ? e->begin + (unit - src->had) / src->rate : INFINITY;
    if (next.ready < src->paced_until) next.ready = src->paced_until;
    if (src->waiting && next.bytes > src->waiting->whole)
        next.bytes = (uint32_t)src->waiting->whole;
    return next;
}

static int has_room(const struct tlp *e, uint32_t f, uint32_t h) {
    return h + 1u == e->source[f].hops ||
           e->queue[f * TRAFFIC_MAX_HOPS + h + 1].occupied < TLP_WINDOW;
}

static void start(struct tlp *e, uint32_t link);

/* Looks whether a queue may send now; sees to it that it is looked at again when it may. */
static void look(struct tlp *e, uint32_t f, uint32_t h) {
    uint32_t q = f * TRAFFIC_MAX_HOPS + h;
    struct tlp_queue *queue = &e->queue[q];
    double ready = INFINITY;
    if (h == 0)
        ready = next_of_source(e, f).ready;
    else if (queue->count)
        ready = packet(e, q, 0)->ready;
    /* a source is asked again when the next step begins */
    if (ready > e->now && !queue->woken && ready < INFINITY && (h || ready <= e->until)) {
        queue->woken = 1;
        push(e, ready, (uint32_t)e->share->links + q);
    }
    int eligible = ready <= e->now && has_room(e, f, h);
    tlp_enable(e, q, eligible);
    if (eligible) start(e, e->source[f].hop[h].link);
}

/* ---- links ---- */

/* Takes the next TLP out of a queue. */
static struct tlp_packet take(struct tlp *e, uint32_t f, uint32_t h) {
    uint32_t q = f * TRAFFIC_MAX_HOPS + h;
    struct tlp_source *src = &e->source[f];
    if (h) {
        struct tlp_packet taken = *packet(e, q, 0);
        e->queue[q].head = (e->queue[q].head + 1) % TLP_WINDOW;
        e->queue[q].count--;
        return taken;
    }
    struct tlp_packet taken = next_of_source(e, f);
    double burst = e->now - PACED_BURST * taken.bytes / src->limit;
    if (src->paced_until < burst) src->paced_until = burst;
    src->paced_until += taken.bytes / src->limit;
    src->waiting->whole -= taken.bytes;
    src->had -= taken.bytes;
    src->under_way += taken.bytes;
    return taken;
}

static void start(struct tlp *e, uint32_t link) {
    struct tlp_wire *w = &e->wire[link];
    if (w->busy || w->ns_per_byte == 0 || !e->ready[e->share->root[link]]) return;
    uint32_t q = tlp_pick(e, link), f = q / TRAFFIC_MAX_HOPS, h = q % TRAFFIC_MAX_HOPS;
    const struct traffic_flow *flow = &e->share->flow[f];
    struct tlp_packet p = take(e, f, h);
    w->busy = 1;
    w->flow = f;
    w->hop = (uint8_t)h;
    w->epoch = e->source[f].epoch;
    w->bytes = p.bytes;
    w->arrived = p.ready - TLP_LATENCY_NS;
    tlp_keep(e, q, p.bytes);
    if (h + 1u < e->source[f].hops) e->queue[q + 1].occupied++;
    uint32_t wire_bytes = p.bytes + e->link[link].overhead[flow->direction];
    push(e, e->now + wire_bytes * w->ns_per_byte, link);
    look(e, f, h); /* the link is busy: goes no deeper */
}

static void note_latency(struct tlp *e, const struct tlp_wire *w, uint32_t link) {
    struct traffic_latency *l = &e->latency[link][e->source[w->flow].hop[w->hop].ingress];
    double ns = e->now - w->arrived;
    if (ns < l->min) l->min = ns;
    if (ns > l->max) l->max = ns;
}

/* The last byte of a TLP has crossed: it is counted, and stands in the next buffer or has arrived.
 */
static void finish(struct tlp *e, uint32_t link) {
    struct tlp_wire w = e->wire[link];
    struct tlp_source *src = &e->source[w.flow];
    unsigned direction = e->share->flow[w.flow].direction;
    e->wire[link].busy = 0;
    e->link[link].bytes[direction] += w.bytes;
    e->link[link].tlp_bytes[direction] += w.bytes;
    e->link[link].tlps[direction]++;
    if (w.epoch == src->epoch) {
        uint32_t q = w.flow * TRAFFIC_MAX_HOPS + w.hop;
        if (w.hop + 1u == src->hops) {
            src->arrived += w.bytes;
            src->under_way -= w.bytes;
        } else {
            struct tlp_packet in = {e->now + TLP_LATENCY_NS, w.bytes};
            *packet(e, q + 1, e->queue[q + 1].count++) = in;
            look(e, w.flow, w.hop + 1u);
        }
        if (w.hop) {
            note_latency(e, &w, link);
            e->queue[q].occupied--;
            look(e, w.flow, w.hop - 1u);
        }
    }
    start(e, link);
}

/* ---- steps ---- */

void tlp_offer(struct tlp *e, uint32_t f, struct waiting *waiting, double before, double seconds) {
    struct tlp_source *src = &e->source[f];
    const struct traffic_flow *flow = &e->share->flow[f];
    double limit = flow->ceiling < flow->peak ? flow->ceiling : flow->peak;
    src->waiting = waiting;
    src->had = before;
    src->rate = ((double)waiting->whole + waiting->part - before) / (seconds * NS_PER_S);
    src->limit = limit / NS_PER_S;
}

void tlp_step(struct tlp *e, double seconds) {
    const struct share *s = e->share;
    e->begin = e->now;
    e->until = e->now + seconds * NS_PER_S;
    tlp_weigh(e);
    for (uint32_t l = 0; l < s->links; l++) {
        const struct traffic_link *link = &e->link[l];
        double wire = link->capacity * (s->unit[0] + link->overhead[0]) / s->unit[0];
        e->wire[l].ns_per_byte = wire > 0 ? NS_PER_S / wire : 0;
    }
    for (size_t i = 0; i < s->lives; i++)
        for (uint32_t h = 0; h < s->flow[s->live[i]].hops; h++) look(e, s->live[i], h);
    while (e->events && e->heap[0].time <= e->until) {
        uint32_t id = pop(e);
        if (id < s->links) {
            finish(e, id);
        } else {
            uint32_t q = id - (uint32_t)s->links, f = q / TRAFFIC_MAX_HOPS;
            e->queue[q].woken = 0;
            if (q % TRAFFIC_MAX_HOPS < e->source[f].hops) look(e, f, q % TRAFFIC_MAX_HOPS);
        }
    }
    e->now = e->until;
}
