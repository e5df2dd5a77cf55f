/* The shape of sharing: per link a tree of the arbiters that its flows went through. */
#include "share.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_FLOW = 0
}; /* nothing further tells a flow from its siblings: it stands alone; it is no
      other kind's key, as SHARE_FLOW is kind 0 */

int share_alloc(struct share *s) {
    size_t leaves = s->flows * TRAFFIC_MAX_HOPS;
    size_t nodes = 2 * leaves + s->links; /* an inner node but the root has two children or more */
    size_t seen = s->links * sizeof(struct traffic_link);
    seen += s->modules * sizeof(struct traffic_module);
    struct {
        void *at;
        size_t count, size;
    } part[] = {
        {&s->leaf, leaves, sizeof *s->leaf},
        {&s->node, nodes, sizeof *s->node},
        {&s->root, s->links + 1, sizeof *s->root},
        {&s->row, s->flows, sizeof *s->row},
        {&s->live, s->flows, sizeof *s->live},
        {&s->order, s->links, sizeof *s->order},
        {&s->paced, s->modules, 1},
        {&s->ask, s->flows, sizeof(double)},
        {&s->floor, s->flows, sizeof(double)},
        {&s->rate, s->flows, sizeof(double)},
        {&s->narrow, s->flows, sizeof(double)},
        {&s->cost, 2 * s->links, sizeof(double)},
        {&s->capacity, s->links, sizeof(double)},
        {&s->load, s->links, sizeof(double)},
        {&s->lowest, s->flows, sizeof *s->lowest},
        {&s->offer, leaves, sizeof(double)},
        {&s->weight, nodes, sizeof(double)},
        {&s->commit, nodes, sizeof(double)},
        {&s->low, nodes, sizeof(double)},
        {&s->want, nodes, sizeof(double)},
        {&s->budget, nodes, sizeof(double)},
        {&s->hot, s->links, 1},
        {&s->stale, s->links, 1},
        {&s->open, s->links, 1},
        {&s->heavy, s->links, 1},
        {&s->seen, seen, 1},
    };
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        void *memory = calloc(part[i].count, part[i].size);
        memcpy(part[i].at, &memory, sizeof memory);
        if (!memory) return -ENOMEM;
    }
    return 0;
}

void share_free(struct share *s) {
    void *part[] = {s->leaf, s->node,   s->root,   s->row,   s->live,   s->order,  s->paced,
                    s->ask,  s->floor,  s->rate,   s->load,  s->offer,  s->lowest, s->capacity,
                    s->low,  s->commit, s->weight, s->want,  s->budget, s->hot,    s->stale,
                    s->open, s->narrow, s->cost,   s->heavy, s->seen};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) free(part[i]);
}

/* A path that cannot be (no link, a link twice, an index out of range) moves nothing. */
static int path_holds(const struct share *s, const struct traffic_flow *f) {
    if (!f->active || f->hops < 1 || f->hops > TRAFFIC_MAX_HOPS || f->direction > TRAFFIC_DOWN ||
        f->module >= s->modules || f->group >= TRAFFIC_GROUPS)
        return 0;
    for (int h = 0; h < f->hops; h++) {
        if (f->hop[h].link >= s->links || f->hop[h].ingress >= TRAFFIC_CLASSES) return 0;
        if (f->hop[h].vc >= TRAFFIC_VCS) return 0;
        for (int g = 0; g < h; g++)
            if (f->hop[g].link == f->hop[h].link) return 0;
    }
    return 1;
}

static uint32_t key_of(enum share_kind kind, uint32_t arbiter, uint32_t slot) {
    return (uint32_t)kind << 24 | arbiter << 8 | slot;
}

/* What tells this flow from others at `level`: channel here, class here, channel one link up, ...,
 * module, group. A sender's own link has one channel and one class. */
static uint32_t leaf_key(const struct share *s, const struct share_leaf *l, int level) {
    const struct traffic_flow *f = &s->flow[l->flow];
    int up = level / 2, inner = level - 2 * (l->hop + 1);
    if (inner < 0) {
        const struct traffic_hop *h = &f->hop[l->hop - up];
        if (level % 2 == 0) return key_of(SHARE_VC, h->link, up < l->hop ? h->vc : 0);
        return key_of(SHARE_CLASS, h->link, up < l->hop ? h->ingress : 0);
    }
    if (!s->paced[f->module]) return KEY_FLOW;
    if (inner == 0) return key_of(SHARE_MODULE, f->module, 0);
    if (inner == 1) return key_of(SHARE_GROUP, f->module, f->group);
    return KEY_FLOW;
}

/* Who the flows of this key compete as. */
static struct share_node node_of_key(uint32_t key, const struct share *s, uint32_t leaf,
                                     int level) {
    const struct share_leaf *l = &s->leaf[leaf];
    struct share_node n = {.leaf = leaf, .leaves = 1, .kind = SHARE_FLOW};
    if (key == KEY_FLOW) return n;
    n.kind = (uint8_t)(key >> 24);
    n.arbiter = key >> 8 & 0xffff;
    n.slot = key & 0xff;
    if (n.kind == SHARE_CLASS && level / 2 < l->hop)
        n.vc = s->flow[l->flow].hop[l->hop - level / 2].vc;
    return n;
}

/* How many of the n leaves have the key of the first; those are moved to the front. */
static uint32_t gather(const struct share *s, struct share_leaf *l, uint32_t n, int level) {
    uint32_t key = leaf_key(s, l, level), same = 1;
    if (key == KEY_FLOW) return 1;
    for (uint32_t i = 1; i < n; i++) {
        if (leaf_key(s, &l[i], level) != key) continue;
        struct share_leaf moved = l[i];
        l[i] = l[same];
        l[same++] = moved;
    }
    return same;
}

static uint8_t ways_of(const struct share_leaf *l, uint32_t n) {
    uint8_t ways = 0;
    for (uint32_t i = 0; i < n; i++) ways |= (uint8_t)(1 << l[i].direction);
    return ways;
}

/* Splits what stands under node p into children from node `end` on; the new end. Levels on which
 * all agree are no choice of any arbiter and are passed over. */
static uint32_t split(struct share *s, uint32_t p, uint32_t end) {
    struct share_node *parent = &s->node[p];
    struct share_leaf *l = &s->leaf[parent->leaf];
    int level = parent->level;
    while (parent->leaves > 1 && gather(s, l, parent->leaves, level) == parent->leaves) level++;
    parent->child = end;
    for (uint32_t at = 0; at < parent->leaves;) {
        uint32_t same = gather(s, l + at, parent->leaves - at, level);
        uint32_t key = leaf_key(s, l + at, level);
        struct share_node n = node_of_key(key, s, parent->leaf + at, level);
        n.leaves = same;
        n.ways = ways_of(l + at, same);
        n.level = (uint8_t)(level + 1);
        s->node[end++] = n;
        at += same;
    }
    parent->level = (uint8_t)level;
    parent->children = end - parent->child;
    return end;
}

/* The tree of the flows in leaf[first .. first + n), from node `end` on; the new end. Children come
 * after their parent, so one loop forward goes down and one backward goes up. */
static uint32_t build_tree(struct share *s, uint32_t first, uint32_t n, uint32_t end) {
    uint32_t root = end++;
    s->node[root] = (struct share_node){.kind = SHARE_CLASS, .leaf = first, .leaves = n};
    s->node[root].ways = ways_of(&s->leaf[first], n);
    if (!n) return end;
    end = split(s, root, end);
    for (uint32_t i = root + 1; i < end; i++) {
        if (s->node[i].leaves > 1)
            end = split(s, i, end);
        else
            s->node[i].child = s->node[i].leaf;
    }
    return end;
}

/* Links by the earliest hop that they are of any flow: offers then travel with the traffic. */
static void order_links(struct share *s) {
    uint32_t n = 0;
    for (size_t l = 0; l < s->links; l++) s->stale[l] = TRAFFIC_MAX_HOPS;
    for (size_t i = 0; i < s->lives; i++) {
        const struct traffic_flow *f = &s->flow[s->live[i]];
        for (uint8_t h = 0; h < f->hops; h++)
            if (h < s->stale[f->hop[h].link]) s->stale[f->hop[h].link] = h;
    }
    for (int h = 0; h <= TRAFFIC_MAX_HOPS; h++)
        for (size_t l = 0; l < s->links; l++)
            if (s->stale[l] == h) s->order[n++] = (uint32_t)l;
}

/* Nothing is known of the new shape: links are looked at again, flows ask anew. */
static void forget(struct share *s) {
    for (size_t i = 0; i < s->lives; i++) {
        uint32_t f = s->live[i];
        s->ask[f] = s->floor[f] = s->rate[f] = 0;
        s->lowest[f] = (struct share_lowest){0, 0, UINT32_MAX};
    }
    for (size_t l = 0; l < s->links; l++) {
        s->hot[l] = 0;
        s->open[l] = 1;
    }
    s->fresh = 1;
}

void share_build(struct share *s) {
    uint32_t row = 0, end = 0;
    s->lives = 0;
    for (size_t m = 0; m < s->modules; m++) s->paced[m] = s->module[m].phases > 0;
    for (size_t l = 0; l <= s->links; l++) s->root[l] = 0;
    for (uint32_t f = 0; f < s->flows; f++) {
        if (!path_holds(s, &s->flow[f])) continue;
        s->live[s->lives++] = f;
        s->row[f] = row;
        row += s->flow[f].hops;
        for (int h = 0; h < s->flow[f].hops; h++) s->root[s->flow[f].hop[h].link + 1]++;
    }
    /* root[] counts, then says where a link's leaves begin, and at last where its nodes do. */
    for (size_t l = 0; l < s->links; l++) s->root[l + 1] += s->root[l];
    for (size_t i = s->lives; i-- > 0;) {
        uint32_t f = s->live[i];
        for (uint8_t h = 0; h < s->flow[f].hops; h++) {
            uint32_t at = --s->root[s->flow[f].hop[h].link + 1];
            s->leaf[at] = (struct share_leaf){
                .flow = f, .offer = s->row[f] + h, .hop = h, .direction = s->flow[f].direction};
        }
    }
    for (size_t l = 0; l < s->links; l++) {
        uint32_t first = s->root[l + 1]; /* filled from its end: now the link's own beginning */
        uint32_t next = l + 1 < s->links ? s->root[l + 2] : row;
        s->root[l] = end;
        end = build_tree(s, first, next - first, end);
    }
    s->root[s->links] = end;
    for (uint32_t i = 0; i < row; i++) s->offer[i] = INFINITY;
    order_links(s);
    forget(s);
}

int share_outdated(const struct share *s) {
    for (size_t m = 0; m < s->modules; m++)
        if (s->paced[m] != (s->module[m].phases > 0)) return 1;
    return 0;
}
