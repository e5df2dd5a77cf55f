/* The rates of all flows: every link divided among its flows until all links agree.
 *
 * A link is told what each flow could use here: its ask, or the least of what its other links
 * offer. It answers with an offer, what it would let the flow have: infinite as long as the flow's
 * class is within its share, else the level that the others reach. A flow's rate is the least of
 * its ask and its offers. When no offer changes any more, a flow below its ask has a link that is
 * full and where it gets all that the arbiters give it, so the rates are feasible and
 * work-conserving.
 */
#include "share.h"

#include <math.h>

enum {
    SHARE_ROUNDS = 16, /* sweeps over the links; a bottleneck that depends on another costs one */
    LEVEL_ROUNDS = 64  /* tries at one level; each settles a child for good, few are needed */
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

/* Children that compete, as seen by one arbiter: by weight, or all alike, or by what is committed.
 */
struct contest {
    const double *weight, *low, *want;
    uint32_t n;
    int rest;   /* only those without weight compete, all alike; the others have what they want */
    int floors; /* low counts */
};

static double weight_in(const struct contest *c, uint32_t i) {
    return c->rest ? c->weight[i] == 0 : c->weight[i];
}

/* The level at which children without floors take `budget`: min(weight x level, want) each. It
 * starts too low, and each try settles those that want no more. */
static double find_level_plain(const struct contest *c, double budget) {
    double level = 0, settled = 0, sum = 0;
    for (uint32_t i = 0; i < c->n; i++) sum += c->weight[i];
    for (uint32_t left = c->n + 1, above = c->n; above < left && sum > 0;) {
        left = above;
        level = (budget - settled) / sum;
        settled = sum = above = 0;
        for (uint32_t i = 0; i < c->n; i++) {
            int more = c->want[i] > c->weight[i] * level;
            sum += more ? c->weight[i] : 0;
            settled += more ? 0 : c->want[i];
            above += (uint32_t)more;
        }
    }
    return level;
}

/* The level at which children take `budget`: child i takes clamp(weight x level, low, want), one
 * that does not compete its low (with `rest` its want). Each try settles the children that are
 * beyond their bound on the heavier side: the level sought lies on that side too, so they stay
 * there. */
static double find_level(const struct contest *c, double budget) {
    double least = 0, most = INFINITY, level = 0;
    for (int round = 0; round < LEVEL_ROUNDS; round++) {
        double settled = 0, sum = 0, over = 0, under = 0;
        for (uint32_t i = 0; i < c->n; i++) {
            double w = weight_in(c, i), low = c->floors ? c->low[i] : 0;
            if (w == 0)
                settled += c->rest ? c->want[i] : low;
            else if (c->want[i] <= w * least)
                settled += c->want[i];
            else if (low >= w * most)
                settled += low;
            else
                sum += w;
        }
        if (sum == 0) break;
        level = (budget - settled) / sum;
        for (uint32_t i = 0; i < c->n; i++) {
            double w = weight_in(c, i), low = c->floors ? c->low[i] : 0;
            if (w == 0 || c->want[i] <= w * least || low >= w * most) continue;
            if (w * level > c->want[i]) over += w * level - c->want[i];
            if (w * level < low) under += low - w * level;
        }
        if (over == under) break;
        *(over > under ? &least : &most) = level;
    }
    return level;
}

/* Divides a node's budget, which is less than its children want. Floors come first, in proportion
 * if they are too much; a child with weight gets its share by weight; the others what that leaves.
 * A flow's own want does not limit its offer, or two links would talk each other down. */
static void divide(struct share *s, const struct share_node *p, double budget, int floors) {
    const uint32_t first = p->child;
    struct contest c = {s->weight + first, s->low + first, s->want + first, p->children, 0, floors};
    double *out = s->budget + first, weighted = 0, floor = 0;
    for (uint32_t i = 0; i < c.n; i++) {
        weighted += c.weight[i] > 0 ? c.want[i] : floors ? c.low[i] : 0;
        if (floors) floor += c.low[i];
    }
    if (floors && floor >= budget) {
        c.weight = s->commit + first;
        c.floors = 0;
    } else {
        c.rest = weighted <= budget;
    }
    double level = c.rest || c.floors ? find_level(&c, budget) : find_level_plain(&c, budget);
    for (uint32_t i = 0; i < c.n; i++) {
        double w = weight_in(&c, i), least = 0;
        if (c.floors) least = s->node[first + i].children ? c.low[i] : s->commit[first + i];
        if (w == 0)
            out[i] = c.rest ? INFINITY : least;
        else
            out[i] = w * level > least ? w * level : least;
    }
}

/* Sums what the flows want, up the tree of nodes root .. end. */
static void gather_wants(struct share *s, uint32_t root, uint32_t end) {
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
            want = want_at(&s->lowest[l->flow], l->hop);
            low = s->floor[l->flow] < want ? s->floor[l->flow] : want;
        }
        s->want[i] = want;
        s->low[i] = low;
    }
}

/* Divides a link among its flows, down its tree. The link's own arbiter knows no floors. */
static void divide_link(struct share *s, uint32_t link) {
    uint32_t root = s->root[link], end = s->root[link + 1];
    gather_wants(s, root, end);
    s->budget[root] = s->capacity[link];
    int open = s->want[root] <= s->capacity[link] * (1 + SAME);
    if (open && s->open[link]) return;
    s->open[link] = open;
    for (uint32_t i = root; i < end; i++) {
        const struct share_node *n = &s->node[i];
        double budget = s->budget[i];
        if (!n->children)
            offer_leaf(s, &s->leaf[n->child], budget);
        else if (s->want[i] <= budget + SAME * budget)
            for (uint32_t c = n->child; c < n->child + n->children; c++) s->budget[c] = INFINITY;
        else
            divide(s, n, budget, s->low[i] > 0 && !(i == root && n->level == 0));
    }
}

static double ratio(uint16_t slots, uint16_t phases) {
    return phases ? (double)slots / phases : 1;
}

/* By what a node competes with its siblings. */
static double weight_of(const struct share *s, const struct share_node *n) {
    if (n->kind == SHARE_CLASS) {
        const struct traffic_link *a = &s->link[n->arbiter];
        return ratio(a->slots[n->slot], a->phases);
    }
    if (n->kind == SHARE_GROUP) {
        const struct traffic_module *m = &s->module[n->arbiter];
        return ratio(m->slots[n->slot], m->phases);
    }
    if (n->kind == SHARE_FLOW) return 1;
    /* Modules meet in one class only on a host's link, which serves functions alike. */
    double busy = 0;
    for (uint32_t k = n->leaf; k < n->leaf + n->leaves; k++) busy += s->ask[s->leaf[k].flow] > 0;
    return busy;
}

/* Readies a link's tree for the step. */
static void weigh(struct share *s, uint32_t link) {
    for (uint32_t i = s->root[link + 1]; i-- > s->root[link];) {
        const struct share_node *n = &s->node[i];
        s->weight[i] = weight_of(s, n);
        s->commit[i] = n->children ? 0 : s->floor[s->leaf[n->child].flow];
        for (uint32_t c = n->child; c < n->child + n->children; c++) s->commit[i] += s->commit[c];
    }
}

/* Rates that were cut short before all links agreed may ask too much of a link: scale them down. */
static void fit(struct share *s, uint32_t link) {
    uint32_t first = s->node[s->root[link]].leaf, n = s->node[s->root[link]].leaves;
    double sum = 0;
    for (uint32_t i = first; i < first + n; i++) sum += s->rate[s->leaf[i].flow];
    s->load[link] = sum;
    if (sum <= s->capacity[link] * (1 + SAME)) return;
    for (uint32_t i = first; i < first + n; i++)
        s->rate[s->leaf[i].flow] *= s->capacity[link] / sum;
    s->load[link] = s->capacity[link];
}

/* Hands what is left on every link of a flow's path to the flow. Next to nothing, as a rule. */
static void fill(struct share *s) {
    for (size_t l = 0; l < s->links; l++) {
        if (!s->hot[l]) continue;
        const struct share_node *n = &s->node[s->root[l]];
        s->load[l] = 0;
        for (uint32_t i = n->leaf; i < n->leaf + n->leaves; i++)
            s->load[l] += s->rate[s->leaf[i].flow];
    }
    for (size_t i = 0; i < s->lives; i++) {
        uint32_t f = s->live[i];
        const struct traffic_flow *flow = &s->flow[f];
        double give = s->ask[f] - s->rate[f];
        for (int h = 0; h < flow->hops && give > 0; h++) {
            uint32_t l = flow->hop[h].link;
            double spare = s->capacity[l] * (1 - 1e-9) - s->load[l];
            if (s->hot[l] && spare < give) give = spare;
        }
        if (!(give > 0)) continue;
        s->rate[f] += give;
        for (int h = 0; h < flow->hops; h++) s->load[flow->hop[h].link] += give;
    }
}

void share_solve(struct share *s) {
    int busy = 0;
    for (uint32_t l = 0; l < s->links; l++) {
        s->stale[l] = s->hot[l] = s->load[l] > s->capacity[l];
        s->open[l] = 0;
        if (s->hot[l]) weigh(s, l);
        busy |= s->hot[l];
    }
    for (size_t i = 0; i < s->lives; i++) s->rate[s->live[i]] = s->ask[s->live[i]];
    if (!busy) return;
    for (size_t i = 0; i < s->lives; i++) {
        uint32_t f = s->live[i];
        for (int h = 0; h < s->flow[f].hops; h++)
            if (!s->hot[s->flow[f].hop[h].link]) s->offer[s->row[f] + h] = INFINITY;
        s->lowest[f] = lowest_of(s, f);
    }
    for (int round = 0; round < SHARE_ROUNDS && busy; round++) {
        busy = 0;
        for (size_t i = 0; i < s->links; i++) {
            uint32_t l = s->order[round % 2 ? i : s->links - 1 - i];
            if (!s->stale[l]) continue;
            s->stale[l] = 0;
            if (!s->hot[l]) continue;
            divide_link(s, l);
            busy = 1;
        }
    }
    for (size_t i = 0; i < s->lives; i++) s->rate[s->live[i]] = s->lowest[s->live[i]].first;
    for (uint32_t l = 0; l < s->links; l++)
        if (s->hot[l]) fit(s, l);
    fill(s);
}
