/* The level at which competing children share what there is. */
#include "share.h"

#include <math.h>

enum { LEVEL_ROUNDS = 64 }; /* tries at one level; each settles a child for good, few are needed */

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
void share_divide(struct share *s, const struct share_node *p, double budget, int floors) {
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
