/* The rates of all flows: every link divided among its flows until all links agree.
 *
 * A link is told what each flow could use here: its ask, or the least of what its other links
 * offer. It answers with an offer, what it would let the flow have: infinite as long as the flow's
 * class is within its share, else the level that the others reach. A flow's rate is the least of
 * its ask and its offers. When no offer changes any more, a flow below its ask has a link that is
 * full and where it gets all that the arbiters give it, so the rates are feasible and
 * work-conserving.
 *
 * Offers stay from step to step: a link is divided again only when something that it was told has
 * changed and matters there, and while nothing changes the rates stand.
 */
#include "share.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum {
    SHARE_ROUNDS = 64, /* sweeps over the links in a step; where they do not do, the next goes on */
    LINK_SEEN = offsetof(struct traffic_link, table),
    MODULE_SEEN = offsetof(struct traffic_module, table)
};
static double above_zero(double x) {
    return x > 0 ? x : 0;
}

/* The most that the narrowest link of each flow carries. */
static void narrow(struct share *s) {
    for (size_t i = 0; i < s->lives; i++) {
        uint32_t f = s->live[i];
        const struct traffic_flow *flow = &s->flow[f];
        s->narrow[f] = INFINITY;
        for (int h = 0; h < flow->hops; h++) {
            uint32_t l = flow->hop[h].link;
            double most = s->capacity[l] / s->cost[2 * l + flow->direction];
            if (most < s->narrow[f]) s->narrow[f] = most;
        }
    }
}

/* A link's units are payload bytes of full posted writes. */
static void take_link(struct share *s, size_t l) {
    const struct traffic_link *link = &s->link[l];
    s->capacity[l] = above_zero(link->capacity);
    for (int way = 0; way < 2; way++)
        s->cost[2 * l + way] = (s->unit[way] + link->overhead[way]) / s->unit[way] * s->unit[0] /
                               (s->unit[0] + link->overhead[0]);
    s->stale[l] = s->heavy[l] = 1;
}

void share_look(struct share *s) {
    int changed = 0, paces = 0;
    uint8_t *seen = s->seen;
    for (size_t l = 0; l < s->links; l++, seen += LINK_SEEN) {
        if (!s->fresh && !memcmp(seen, &s->link[l], LINK_SEEN)) continue;
        memcpy(seen, &s->link[l], LINK_SEEN);
        take_link(s, l);
        changed = 1;
    }
    for (size_t m = 0; m < s->modules; m++, seen += MODULE_SEEN) {
        if (!s->fresh && !memcmp(seen, &s->module[m], MODULE_SEEN)) continue;
        memcpy(seen, &s->module[m], MODULE_SEEN);
        paces = 1;
    }
    if (paces) /* a module's table counts wherever its flows meet others */
        for (size_t l = 0; l < s->links; l++) s->stale[l] = s->heavy[l] = 1;
    if (changed) narrow(s);
    if (changed || paces) s->moved = 1;
    s->fresh = 0;
}

/* A want that was above what the link lets the flow have, and still is, changes nothing there. */
static int matters(double before, double now, double offer) {
    return before != now && !(offer < INFINITY && before >= offer && now >= offer);
}

void share_ask(struct share *s, uint32_t f, double ask, double floor) {
    if (ask == s->ask[f] && floor == s->floor[f]) return;
    const struct traffic_flow *flow = &s->flow[f];
    const struct share_lowest before = s->lowest[f];
    int heavy = floor != s->floor[f] || (ask > 0) != (s->ask[f] > 0), promised = floor > 0;
    int told = !heavy && !promised && before.at != UINT32_MAX;
    double asked = s->ask[f];
    s->moved = 1;
    s->ask[f] = ask;
    s->floor[f] = floor;
    if (told && asked > before.second && ask > before.second) return; /* two offers are below it */
    s->lowest[f] = share_lowest_of(s, f);
    /* the link that holds it back knows that it wants more than it gets, the others that it does
     * not get it: nothing new */
    if (told && s->lowest[f].at == before.at && s->lowest[f].first == before.first) return;
    const double *offer = s->offer + s->row[f];
    for (uint32_t h = 0; h < flow->hops; h++) {
        uint32_t l = flow->hop[h].link;
        if (heavy) s->heavy[l] = 1;
        if (heavy || promised ||
            matters(share_want_at(&before, h), share_want_at(&s->lowest[f], h), offer[h]))
            s->stale[l] = 1;
    }
}

/* Rates that were cut short before all links agreed may ask too much of a link: scale them down. */
static void fit(struct share *s, uint32_t link) {
    uint32_t first = s->node[s->root[link]].leaf, n = s->node[s->root[link]].leaves;
    const double *cost = s->cost + 2 * link;
    double sum = 0;
    for (uint32_t i = first; i < first + n; i++)
        sum += s->rate[s->leaf[i].flow] * cost[s->leaf[i].direction];
    if (sum <= s->capacity[link] * (1 + SHARE_SAME)) return;
    for (uint32_t i = first; i < first + n; i++)
        s->rate[s->leaf[i].flow] *= s->capacity[link] / sum;
}

/* Hands what is left on every link of a flow's path to the flow. Next to nothing, as a rule. */
static void fill(struct share *s) {
    for (size_t l = 0; l < s->links; l++) {
        const struct share_node *n = &s->node[s->root[l]];
        s->load[l] = 0;
        for (uint32_t i = n->leaf; i < n->leaf + n->leaves; i++)
            s->load[l] += s->rate[s->leaf[i].flow] * s->cost[2 * l + s->leaf[i].direction];
    }
    for (size_t i = 0; i < s->lives; i++) {
        uint32_t f = s->live[i];
        const struct traffic_flow *flow = &s->flow[f];
        double give = s->ask[f] - s->rate[f];
        for (int h = 0; h < flow->hops && give > 0; h++) {
            uint32_t l = flow->hop[h].link;
            double spare = s->capacity[l] * (1 - 1e-9) - s->load[l];
            double most = spare / s->cost[2 * l + flow->direction];
            if (s->hot[l] && most < give) give = most;
        }
        if (!(give > 0)) continue;
        s->rate[f] += give;
        for (int h = 0; h < flow->hops; h++)
            s->load[flow->hop[h].link] += give * s->cost[2 * flow->hop[h].link + flow->direction];
    }
}

/* Which links were asked for more than they have; one that has enough again offers everything. */
static void take_loads(struct share *s) {
    for (size_t l = 0; l < s->links; l++) s->load[l] = 0;
    for (size_t i = 0; i < s->lives; i++) {
        const struct traffic_flow *flow = &s->flow[s->live[i]];
        double ask = s->ask[s->live[i]];
        if (ask > 0)
            for (int h = 0; h < flow->hops; h++)
                s->load[flow->hop[h].link] +=
                    ask * s->cost[2 * flow->hop[h].link + flow->direction];
    }
    for (uint32_t l = 0; l < s->links; l++) {
        int hot = s->load[l] > s->capacity[l];
        if (hot && !s->hot[l]) s->stale[l] = 1;
        if (hot && s->heavy[l]) {
            share_weigh(s, l);
            s->heavy[l] = 0;
        }
        if (!hot && !s->open[l]) {
            const struct share_node *n = &s->node[s->root[l]];
            for (uint32_t i = n->leaf; i < n->leaf + n->leaves; i++)
                share_offer_leaf(s, &s->leaf[i], INFINITY);
            s->open[l] = 1;
        }
        s->hot[l] = (uint8_t)hot;
    }
}

/* One sweep over the links; 0 when there was nothing left to do. */
static int sweep(struct share *s, int forward) {
    int busy = 0;
    for (size_t i = 0; i < s->links; i++) {
        uint32_t l = s->order[forward ? i : s->links - 1 - i];
        if (!s->stale[l]) continue;
        s->stale[l] = 0;
        if (!s->hot[l]) continue;
        share_divide_link(s, l);
        busy = 1;
    }
    return busy;
}

void share_solve(struct share *s) {
    if (!s->moved) return;
    take_loads(s);
    int busy = 1;
    for (int round = 0; round < SHARE_ROUNDS && busy; round++) busy = sweep(s, round % 2 == 0);
    s->moved = busy;
    for (size_t i = 0; i < s->lives; i++) s->rate[s->live[i]] = s->lowest[s->live[i]].first;
    if (!busy) return;
    for (uint32_t l = 0; l < s->links; l++)
        if (s->hot[l]) fit(s, l);
    fill(s);
}
