/* Which TLP a link sends next: down the tree of arbiters, a phase of a table or a turn each. */
#include "tlp.h"

#include <math.h>
#include <string.h>

enum {
    LAG_NS = 10000, /* promises that cannot all be kept fall behind together, by so much */
    DEBT = 64,      /* turns that a child may have had in advance */
    ROUNDS = 4      /* of a table, to find a phase whose turn has not been had */
};

void tlp_shape(struct tlp *e) {
    const struct share *s = e->share;
    uint32_t nodes = s->root[s->links];
    memset(e->ready, 0, nodes * sizeof *e->ready);
    memset(e->phase, 0, nodes * sizeof *e->phase);
    memset(e->debt, 0, nodes * sizeof *e->debt);
    memset(e->pass, 0, nodes * sizeof *e->pass);
    memset(e->clock, 0, nodes * sizeof *e->clock);
    for (uint32_t n = 0; n < nodes; n++) e->due[n] = e->now;
    for (size_t l = 0; l < s->links; l++) e->parent[s->root[l]] = s->root[l];
    for (uint32_t n = 0; n < nodes; n++) {
        const struct share_node *node = &s->node[n], *first = &s->node[node->child];
        e->walks[n] = node->children && !first->vc ? first->kind : 0;
        for (uint32_t c = node->child; c < node->child + node->children; c++) {
            e->parent[c] = n;
            if (s->node[c].kind != first->kind || s->node[c].arbiter != first->arbiter)
                e->walks[n] = 0;
        }
        if (node->children || !node->leaves) continue;
        const struct share_leaf *leaf = &s->leaf[node->child];
        e->leaf_at[leaf->flow * TRAFFIC_MAX_HOPS + leaf->hop] = n;
    }
}

/* Keeps promises to siblings that there is no room for from falling further and further behind, and
 * one that was held elsewhere from catching up on the others. */
static void bound_lag(struct tlp *e, const struct share_node *parent) {
    uint32_t end = parent->child + parent->children;
    double newest = -INFINITY;
    for (uint32_t c = parent->child; c < end; c++)
        if (e->promised[c] > 0 && e->due[c] > newest) newest = e->due[c];
    double shift = e->now - LAG_NS - newest;
    for (uint32_t c = parent->child; c < end; c++) {
        if (shift > 0) e->due[c] += shift;
        double least = (newest < e->now ? newest : e->now) - LAG_NS;
        if (e->due[c] < least) e->due[c] = least;
    }
}

void tlp_weigh(struct tlp *e) {
    const struct share *s = e->share;
    for (uint32_t n = s->root[s->links]; n-- > 0;) {
        const struct share_node *node = &s->node[n];
        int promised = e->promised[n] > 0;
        e->turns[n] = share_turns(s, node);
        e->promised[n] = 0;
        if (!node->children && node->leaves)
            e->promised[n] = s->floor[s->leaf[node->child].flow] / 1e9;
        for (uint32_t c = node->child; c < node->child + node->children; c++)
            e->promised[n] += e->promised[c];
        if (!promised) e->due[n] = e->now;
        if (e->promised[n] > 0 && node->children) bound_lag(e, node);
    }
}

/* Who was idle does not make up for turns that it had no use for, nor for promises: it stands where
 * the longest due of its siblings does. */
static void come_back(struct tlp *e, uint32_t n, uint32_t parent) {
    const struct share_node *p = &e->share->node[parent];
    if (e->pass[n] < e->clock[parent]) e->pass[n] = e->clock[parent];
    if (!(e->promised[n] > 0)) return;
    double least = e->now;
    for (uint32_t c = p->child; c < p->child + p->children; c++)
        if (e->ready[c] && e->promised[c] > 0 && e->due[c] < least) least = e->due[c];
    least -= e->share->unit[0] / e->promised[n];
    if (e->due[n] < least) e->due[n] = least;
}

void tlp_enable(struct tlp *e, uint32_t queue, int eligible) {
    if (e->queue[queue].eligible == eligible) return;
    e->queue[queue].eligible = (uint8_t)eligible;
    for (uint32_t n = e->leaf_at[queue];; n = e->parent[n]) {
        uint32_t up = e->parent[n];
        if (eligible && !e->ready[n]) come_back(e, n, up);
        e->ready[n] += eligible ? 1u : UINT32_MAX;
        if (up == n) return;
    }
}

/* The child whose promised rate entitles it to the next TLP, for something under it that is itself
 * entitled; the longest due. UINT32_MAX = none. */
static uint32_t entitled(const struct tlp *e, uint32_t n) {
    const struct share_node *node = &e->share->node[n];
    uint32_t found = UINT32_MAX;
    for (uint32_t c = node->child; c < node->child + node->children; c++) {
        if (!e->ready[c] || !(e->promised[c] > 0) || e->due[c] > e->now) continue;
        if (found != UINT32_MAX && e->due[c] >= e->due[found]) continue;
        if (e->share->node[c].children && entitled(e, c) == UINT32_MAX) continue;
        found = c;
    }
    return found;
}

/* The child that the next phase names; the phases of idle ones are skipped, and of those that had
 * their turn in advance. UINT32_MAX = no phase names any. */
static uint32_t walk(struct tlp *e, uint32_t n, const uint8_t *table, uint32_t phases) {
    const struct share_node *node = &e->share->node[n];
    uint32_t at = e->phase[n] < phases ? e->phase[n] : 0;
    for (uint32_t k = 0; k < ROUNDS * phases; k++) {
        uint8_t slot = table[at];
        uint32_t c = node->child, end = node->child + node->children;
        at = at + 1 < phases ? at + 1 : 0;
        while (c < end && e->share->node[c].slot != slot) c++;
        if (c == end || !e->ready[c]) continue;
        if (e->debt[c]) {
            e->debt[c]--;
            continue;
        }
        e->phase[n] = at;
        return c;
    }
    return UINT32_MAX;
}

/* Turns in proportion to weights; children without weight only when no other wants one. */
static uint32_t take_turn(struct tlp *e, uint32_t n) {
    const struct share_node *node = &e->share->node[n];
    uint32_t found = UINT32_MAX;
    for (uint32_t c = node->child; c < node->child + node->children; c++) {
        if (!e->ready[c]) continue;
        int better = found == UINT32_MAX || (e->turns[c] > 0 && e->turns[found] == 0);
        if (!better && (e->turns[c] > 0) == (e->turns[found] > 0))
            better = e->pass[c] < e->pass[found];
        if (better) found = c;
    }
    if (e->clock[n] < e->pass[found]) e->clock[n] = e->pass[found];
    e->pass[found] += e->turns[found] > 0 ? 1 / e->turns[found] : 1;
    return found;
}

/* A promise is no extra: what it moves comes out of the child's turns. */
static void take_in_advance(struct tlp *e, uint32_t n, uint32_t child) {
    double turn = e->turns[child] > 0 ? 1 / e->turns[child] : 1;
    if (e->debt[child] < DEBT) e->debt[child]++;
    if (e->pass[child] < e->clock[n] + DEBT * turn) e->pass[child] += turn;
}

static uint32_t choose(struct tlp *e, uint32_t n) {
    const struct share_node *first = &e->share->node[e->share->node[n].child];
    const struct traffic_link *link = &e->link[first->arbiter];
    const struct traffic_module *module = &e->share->module[first->arbiter];
    uint32_t child = UINT32_MAX;
    if (e->walks[n] == SHARE_VC && link->vc_phases)
        child = walk(e, n, link->vc_table, link->vc_phases);
    else if (e->walks[n] == SHARE_CLASS && link->phases)
        child = walk(e, n, link->table, link->phases);
    else if (e->walks[n] == SHARE_GROUP && module->phases)
        child = walk(e, n, module->table, module->phases);
    return child != UINT32_MAX ? child : take_turn(e, n);
}

uint32_t tlp_pick(struct tlp *e, uint32_t link) {
    const struct share *s = e->share;
    uint32_t n = s->root[link];
    while (s->node[n].children) {
        uint32_t child = UINT32_MAX;
        if (e->promised[n] > 0 && s->node[n].level > SHARE_OWN) child = entitled(e, n);
        if (child != UINT32_MAX)
            take_in_advance(e, n, child);
        else
            child = s->node[n].children > 1 ? choose(e, n) : s->node[n].child;
        n = child;
    }
    return s->leaf[s->node[n].child].flow * TRAFFIC_MAX_HOPS + s->leaf[s->node[n].child].hop;
}

void tlp_keep(struct tlp *e, uint32_t queue, uint32_t bytes) {
    for (uint32_t n = e->leaf_at[queue]; e->parent[n] != n; n = e->parent[n])
        if (e->promised[n] > 0) e->due[n] += bytes / e->promised[n];
}
