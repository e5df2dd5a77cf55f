/* One link: what its flows want of it, its weights, and what it offers them. */
#include "share.h"

#include <math.h>

/* Neither is negative; infinity is like nothing but itself. */
static int same(double a, double b) {
    return a == b || fabs(a - b) <= SHARE_SAME * (a < b ? a : b);
}

/* What flow f could use at hop h were the link there no limit. */
double share_want_at(const struct share_lowest *l, uint32_t h) {
    return l->at == h ? l->second : l->first;
}

struct share_lowest share_lowest_of(const struct share *s, uint32_t f) {
    const double *offer = s->offer + s->row[f];
    struct share_lowest l = {s->ask[f], s->ask[f], UINT32_MAX};
    for (uint32_t h = 0; h < s->flow[f].hops; h++) { /* without a branch: none could be guessed */
        double higher = offer[h] > l.first ? offer[h] : l.first;
        l.at = offer[h] < l.first ? h : l.at;
        l.first = offer[h] < l.first ? offer[h] : l.first;
        l.second = higher < l.second ? higher : l.second;
    }
    return l;
}

/* What a flow takes of a link is the least of all offers: only if a new offer moves that, its other
 * links have to be divided again. */
void share_offer_leaf(struct share *s, const struct share_leaf *l, double value) {
    struct share_lowest *lowest = &s->lowest[l->flow];
    double before = s->offer[l->offer], took = lowest->first;
    if (same(value, before)) return;
    s->offer[l->offer] = value;
    if (l->hop == lowest->at && value <= lowest->second)
        lowest->first = value;
    else if (l->hop == lowest->at || value < lowest->second || before <= lowest->second)
        *lowest = share_lowest_of(s, l->flow);
    if (same(took, lowest->first)) return;
    const struct traffic_flow *flow = &s->flow[l->flow];
    for (uint32_t h = 0; h < flow->hops; h++)
        if (h != l->hop) s->stale[flow->hop[h].link] = 1;
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
            want = share_want_at(&s->lowest[l->flow], l->hop) * cost[l->direction];
            low = s->commit[i] < want ? s->commit[i] : want;
        }
        s->want[i] = want;
        s->low[i] = low;
    }
}

/* Divides a link among its flows, down its tree. The link's own arbiter knows no floors. */
void share_divide_link(struct share *s, uint32_t link) {
    uint32_t root = s->root[link], end = s->root[link + 1];
    const double *cost = s->cost + 2 * link;
    gather_wants(s, link, root, end);
    s->budget[root] = s->capacity[link];
    int open = s->want[root] <= s->capacity[link] * (1 + SHARE_SAME);
    if (open && s->open[link]) return;
    s->open[link] = open;
    for (uint32_t i = root; i < end; i++) {
        const struct share_node *n = &s->node[i];
        double budget = s->budget[i];
        if (!n->children)
            share_offer_leaf(s, &s->leaf[n->child], budget / cost[s->leaf[n->child].direction]);
        else if (s->want[i] <= budget + SHARE_SAME * budget)
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
void share_weigh(struct share *s, uint32_t link) {
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
