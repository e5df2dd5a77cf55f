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
/* Relative. What is closer is the same: below what hand-computed shares differ by, above rounding.
 */
static const double SAME = 1e-12;

/* Neither is negative; infinity is like nothing but itself. */
static int same(double a, double b) {
    return a == b || fabs(a - b) <= SAME * (a < b ? a : b);
}

/* What flow f could use at hop h were the link there no limit. */
static double want_at(const struct share_lowest *l, uint32_t h) {
    return l->at == h ? l->second : l->first;
}

static struct share_lowest lowest_of(const struct share *s, uint32_t f) {
    const double *offer = s->offer + s->row[f];
    struct share_lowest l = {s->ask[f], s->ask[f], UINT32_MAX};
    for (uint32_t h = 0; h < s->flow[f].hops; h++) {
        if (offer[h] < l.first) {
            l.second = l.first;
            l.first = offer[h];
            l.at = h;
        } else if (offer[h] < l.second) {
            l.second = offer[h];
        }
    }
    return l;
}

/* What a flow takes of a link is the least of all offers: only if a new offer moves that, its other
 * links have to be divided again. */
static void offer_leaf(struct share *s, const struct share_leaf *l, double value) {
    struct share_lowest *lowest = &s->lowest[l->flow];
    double before = s->offer[l->offer], took = lowest->first;
    if (same(value, before)) return;
    s->offer[l->offer] = value;
    if (l->hop == lowest->at && value <= lowest->second)
        lowest->first = value;
    else if (l->hop == lowest->at || value < lowest->second || before <= lowest->second)
        *lowest = lowest_of(s, l->flow);
    if (same(took, lowest->first)) return;
    const struct traffic_flow *flow = &s->flow[l->flow];
    for (uint32_t h = 0; h < flow->hops; h++)
        if (h != l->hop) s->stale[flow->hop[h].link] = 1;
}

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
    const double *offer = s->offer + s->row[f];
    int heavy = floor != s->floor[f] || (ask > 0) != (s->ask[f] > 0), promised = floor > 0;
    struct share_lowest before = s->lowest[f];
    s->moved = 1;
    s->ask[f] = ask;
    s->floor[f] = floor;
    s->lowest[f] = lowest_of(s, f);
    for (uint32_t h = 0; h < flow->hops; h++) {
        uint32_t l = flow->hop[h].link;
        if (heavy) s->heavy[l] = 1;
        if (heavy || promised || matters(want_at(&before, h), want_at(&s->lowest[f], h), offer[h]))
            s->stale[l] = 1;
    }
}

/* Sums what the flows want, up the tree of nodes root .. end. */
static void gather_wants(struct share *s, uint32_t link, uint32_t root, uint32_t end) {
    const double *cost = s->cost + 2 * link;
    for (uint32_t i = end; i-- > root;) {
        const struct share_node *n = &s->node[i];
        double want = 0, low = 0;
        if (n->children) {
            for (uint32_t c = n->child; c < n->child + n->children; c++) {
                want += s->want[c];
                low += s->low[c];
            }
        } else {
            const struct share_leaf *l = &s->leaf[n->child];
            want = want_at(&s->lowest[l->flow], l->hop) * cost[l->direction];
            low = s->commit[i] < want ? s->commit[i] : want;
        }
        s->want[i] = want;
        s->low[i] = low;
    }
}

/* Divides a link among its flows, down its tree. The link's own arbiter knows no floors. */
static void divide_link(struct share *s, uint32_t link) {
    uint32_t root = s->root[link], end = s->root[link + 1];
    const double *cost = s->cost + 2 * link;
    gather_wants(s, link, root, end);
    s->budget[root] = s->capacity[link];
    int open = s->want[root] <= s->capacity[link] * (1 + SAME);
    if (open && s->open[link]) return;
    s->open[link] = open;
    for (uint32_t i = root; i < end; i++) {
        const struct share_node *n = &s->node[i];
        double budget = s->budget[i];
        if (!n->children)
            offer_leaf(s, &s->leaf[n->child], budget / cost[s->leaf[n->child].direction]);
        else if (s->want[i] <= budget + SAME * budget)
            for (uint32_t c = n->child; c < n->child + n->children; c++) s->budget[c] = INFINITY;
        else
            share_divide(s, n, budget, s->low[i] > 0 && n->level > SHARE_OWN);
    }
}

static double ratio(uint16_t slots, uint16_t phases) {
    return phases ? (double)slots / phases : 1;
}

static uint32_t busy_under(const struct share *s, const struct share_node *n, int way) {
    uint32_t busy = 0;
    for (uint32_t k = n->leaf; k < n->leaf + n->leaves; k++)
        busy += s->ask[s->leaf[k].flow] > 0 && (way < 0 || s->leaf[k].direction == way);
    return busy;
}

double share_turns(const struct share *s, const struct share_node *n) {
    if (n->kind == SHARE_VC) {
        const struct traffic_link *a = &s->link[n->arbiter];
        return ratio(a->vc_slots[n->slot], a->vc_phases);
    }
    if (n->kind == SHARE_CLASS) {
        const struct traffic_link *a = &s->link[n->arbiter];
        return n->vc ? 1 : ratio(a->slots[n->slot], a->phases);
    }
    if (n->kind == SHARE_GROUP) {
        const struct traffic_module *m = &s->module[n->arbiter];
        return ratio(m->slots[n->slot], m->phases);
    }
    /* Modules meet in one class only on a host's link, which serves functions alike. */
    return n->kind == SHARE_FLOW ? 1 : busy_under(s, n, -1);
}

/* What a turn of a node takes of the link, next to a full posted write: where both directions share
 * a class, by how many flows of each are busy. */
static double turn_cost(const struct share *s, uint32_t link, const struct share_node *n) {
    double completion = s->unit[1] * s->cost[2 * link + 1] / (s->unit[0] * s->cost[2 * link]);
    if (n->ways < 3) return n->ways == 2 ? completion : 1;
    double up = busy_under(s, n, TRAFFIC_UP), down = busy_under(s, n, TRAFFIC_DOWN);
    return up + down > 0 ? (up + down * completion) / (up + down) : 1;
}

/* Readies a link's tree for the step. */
static void weigh(struct share *s, uint32_t link) {
    uint32_t root = s->root[link];
    int mixed = s->node[root].ways == 3;
    for (uint32_t i = s->root[link + 1]; i-- > root;) {
        const struct share_node *n = &s->node[i];
        s->weight[i] = share_turns(s, n) * (mixed ? turn_cost(s, link, n) : 1);
        s->commit[i] = 0;
        if (!n->children && n->leaves) {
            const struct share_leaf *l = &s->leaf[n->child];
            s->commit[i] = s->floor[l->flow] * s->cost[2 * link + l->direction];
        }
        for (uint32_t c = n->child; c < n->child + n->children; c++) s->commit[i] += s->commit[c];
    }
}

/* Rates that were cut short before all links agreed may ask too much of a link: scale them down. */
static void fit(struct share *s, uint32_t link) {
    uint32_t first = s->node[s->root[link]].leaf, n = s->node[s->root[link]].leaves;
    const double *cost = s->cost + 2 * link;
    double sum = 0;
    for (uint32_t i = first; i < first + n; i++)
        sum += s->rate[s->leaf[i].flow] * cost[s->leaf[i].direction];
    if (sum <= s->capacity[link] * (1 + SAME)) return;
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
            weigh(s, l);
            s->heavy[l] = 0;
        }
        if (!hot && !s->open[l]) {
            const struct share_node *n = &s->node[s->root[l]];
            for (uint32_t i = n->leaf; i < n->leaf + n->leaves; i++)
                offer_leaf(s, &s->leaf[i], INFINITY);
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
        divide_link(s, l);
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
