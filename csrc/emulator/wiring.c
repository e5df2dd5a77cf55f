/* How bindings become flows: traffic links of the ports, paths of the functions, cells and
 * counters.
 *
 * Every connected port has a directed link that leaves the switch there; host and module ports
 * also have the one that enters. The arbiter before a link that leaves a switch is that egress
 * port's; its classes are physical ids of ingress ports. Flow 2 x (module, function) is up, the
 * next one down; the down path is the exact reverse of the up path.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "node.h"

static size_t flow_index(unsigned module, unsigned function, unsigned direction) {
    return 2 * ((size_t)module * FAB_MAX_FUNCTIONS + function) + direction;
}

int wiring_create(struct fab_node *node) {
    int32_t links = 0;
    for (uint32_t k = 0; k < node->config.ports; k++) {
        struct node_port *port = &node->ports[k];
        uint8_t kind = port->cfg.kind;
        int ends_here = kind == FAB_PORT_HOST || kind == FAB_PORT_MODULE;
        port->out_link = ends_here || port->peer ? links++ : NODE_NONE;
        port->in_link = ends_here ? links++ : NODE_NONE;
    }
    size_t flows = 2 * (size_t)NODE_MODULES * FAB_MAX_FUNCTIONS;
    int rc = traffic_create((size_t)(links ? links : 1), flows, NODE_MODULES, &node->traffic);
    if (rc < 0) return rc;
    for (unsigned m = 0; m < NODE_MODULES; m++)
        for (unsigned f = 0; f < FAB_MAX_FUNCTIONS; f++)
            for (unsigned d = 0; d < 2; d++) {
                struct traffic_flow *flow = traffic_flow(node->traffic, flow_index(m, f, d));
                flow->direction = (uint8_t)(d ? TRAFFIC_DOWN : TRAFFIC_UP);
                flow->module = (uint8_t)m;
                flow->ceiling = flow->peak = INFINITY;
            }
    return 0;
}

void wiring_capacity(struct node_port *port) {
    struct traffic *t = port->sw->node->traffic;
    double rate = port->up ? port->cfg.capacity : 0.0;
    if (port->out_link >= 0) traffic_link(t, (size_t)port->out_link)->capacity = rate;
    if (port->in_link >= 0) traffic_link(t, (size_t)port->in_link)->capacity = rate;
}

void wiring_port_table(struct node_port *port) {
    if (port->out_link < 0) return;
    struct traffic_link *link = traffic_link(port->sw->node->traffic, (size_t)port->out_link);
    link->phases = (uint16_t)vc_slots(&port->vc, link->slots, TRAFFIC_CLASSES);
}

/* A shaper row in units: 0 as a maximum means none. */
static void shape(struct node_module *m, unsigned function, struct traffic_flow *up,
                  struct traffic_flow *down) {
    up->committed = down->committed = 0.0;
    up->peak = down->peak = INFINITY;
    if (!m->shaper) return;
    const uint32_t *words = m->functions[0].words;
    const uint32_t *row = words + (m->shaper + SHAPER_TABLE + SHAPER_STRIDE * function) / 4;
    double unit = words[(m->shaper + SHAPER_UNIT) / 4];
    up->committed = row[0] * unit;
    down->committed = row[1] * unit;
    if (row[2]) up->peak = row[2] * unit;
    if (row[3]) down->peak = row[3] * unit;
}

void wiring_function(struct fab_node *node, unsigned module, unsigned function) {
    struct node_module *m = &node->modules[module];
    struct node_function *f = &m->functions[function];
    struct traffic_flow *up = traffic_flow(node->traffic, flow_index(module, function, 0));
    struct traffic_flow *down = traffic_flow(node->traffic, flow_index(module, function, 1));
    uint32_t control = m->ari ? f->words[m->ari / 4 + 1] >> 16 : 0;
    uint8_t group = (uint8_t)(control >> ARI_CTL_GROUP_SHIFT & 7);
    uint8_t active = f->bound && function_exists(m, function);
    if (up->group != group || up->active != active) traffic_changed(node->traffic);
    up->group = down->group = group;
    up->active = down->active = active;
    shape(m, function, up, down);
}

void wiring_module(struct fab_node *node, unsigned module) {
    struct node_module *m = &node->modules[module];
    struct traffic_module *t = traffic_module(node->traffic, module);
    t->phases = (uint16_t)vc_slots(&m->vc, t->slots, TRAFFIC_GROUPS);
    /* without function groups the table names functions, which 4 bits cannot for 33 of them: the
     * module then shares equally */
    if (m->ari && !(m->functions[0].words[m->ari / 4 + 1] >> 16 & ARI_CTL_MFVC_GROUPS))
        t->phases = 0;
    for (unsigned f = 0; f <= m->cfg.vfs; f++) wiring_function(node, module, f);
}

/* One arbitration point of the up path. */
struct crossing {
    struct node_port *in, *out;
};

/* The up path from a module's port to a host's; returns its crossings, -EHOSTUNREACH no way. */
static int up_path(struct fab_node *node, struct node_port *from, struct node_port *host,
                   struct crossing *path, int max) {
    struct node_port *in = from;
    for (int n = 0; n < max; n++) {
        path[n].in = in;
        if (in->sw == host->sw) {
            path[n].out = host;
            return n + 1;
        }
        unsigned id = node->config.route[in->sw->index][host->sw->index];
        struct node_port *out = id < NODE_PORT_IDS ? in->sw->by_id[id] : NULL;
        if (!out || !out->peer) return -EHOSTUNREACH;
        path[n].out = out;
        in = out->peer;
    }
    return -EHOSTUNREACH;
}

static void set_path(struct fab_node *node, unsigned module, unsigned function,
                     const struct crossing *path, int n) {
    struct traffic_flow *up = traffic_flow(node->traffic, flow_index(module, function, 0));
    struct traffic_flow *down = traffic_flow(node->traffic, flow_index(module, function, 1));
    traffic_changed(node->traffic);
    up->hops = down->hops = (uint16_t)(n + 1);
    up->hop[0] = (struct traffic_hop){.link = (uint16_t)path[0].in->in_link};
    down->hop[0] = (struct traffic_hop){.link = (uint16_t)path[n - 1].out->in_link};
    for (int k = 0; k < n; k++) {
        const struct crossing *back = &path[n - 1 - k];
        up->hop[k + 1] = (struct traffic_hop){.link = (uint16_t)path[k].out->out_link,
                                              .ingress = path[k].in->cfg.port};
        down->hop[k + 1] = (struct traffic_hop){.link = (uint16_t)back->in->out_link,
                                                .ingress = back->out->cfg.port};
    }
}

static void clear_queue(struct fab_node *node, unsigned module, unsigned function) {
    struct node_function *f = &node->modules[module].functions[function];
    for (unsigned d = 0; d < 2; d++) {
        struct traffic_flow *flow = traffic_flow(node->traffic, flow_index(module, function, d));
        flow->backlog = flow->carry = 0.0;
    }
    fab_store_release(&f->cell->out.up_backlog, 0);
    fab_store_release(&f->cell->out.down_backlog, 0);
}

static void list_bound(struct fab_node *node) {
    node->bound_count = 0;
    for (unsigned m = 0; m < NODE_MODULES; m++)
        for (unsigned f = 0; f < FAB_MAX_FUNCTIONS; f++)
            if (node->modules[m].functions[f].bound) node->bound[node->bound_count++] = PDFID(m, f);
}

static uint32_t check_bind(struct fab_node *node, struct node_port *host, uint8_t logical,
                           const uint16_t *pdfids, size_t n, struct crossing *path) {
    uint32_t code = bind_slots(node, host, logical, n);
    if (code) return code;
    for (size_t k = 0; k < n; k++) {
        unsigned module = PDFID_MODULE(pdfids[k]), function = PDFID_FUNCTION(pdfids[k]);
        if (module >= NODE_MODULES || !function_exists(&node->modules[module], function))
            return MRPC_ERR_PARAMETER;
        struct node_module *m = &node->modules[module];
        if (!m->port->up) return MRPC_ERR_PARAMETER; /* the database has forgotten its functions */
        if (m->functions[function].bound) return MRPC_ERR_STATE; /* already bound */
        for (size_t j = 0; j < k; j++)
            if (pdfids[j] == pdfids[k]) return MRPC_ERR_PARAMETER;
        if (up_path(node, m->port, host, path, TRAFFIC_MAX_HOPS - 1) < 0) return MRPC_ERR_STATE;
    }
    return 0;
}

uint32_t wiring_bind(struct fab_node *node, struct node_port *host, uint8_t logical,
                     const uint16_t *pdfids, size_t n) {
    struct crossing path[TRAFFIC_MAX_HOPS - 1];
    uint32_t code = check_bind(node, host, logical, pdfids, n, path);
    if (code) return code;
    for (size_t k = 0; k < n; k++) {
        unsigned module = PDFID_MODULE(pdfids[k]), function = PDFID_FUNCTION(pdfids[k]);
        struct node_module *m = &node->modules[module];
        struct node_function *f = &m->functions[function];
        int crossings = up_path(node, m->port, host, path, TRAFFIC_MAX_HOPS - 1);
        set_path(node, module, function, path, crossings);
        f->bound = 1;
        f->host = host;
        f->logical = logical;
        f->slot = (uint8_t)(logical / HVD_LOGICAL + k);
        fab_store_release(&f->cell->out.bound, 1);
        wiring_function(node, module, function);
        gfms_bound(host, logical, pdfids[k], 1);
    }
    list_bound(node);
    return 0;
}

uint32_t wiring_unbind(struct fab_node *node, struct node_port *host, uint8_t logical) {
    uint32_t found = 0;
    for (uint32_t k = 0; k < node->bound_count; k++) {
        unsigned module = PDFID_MODULE(node->bound[k]), function = PDFID_FUNCTION(node->bound[k]);
        struct node_function *f = &node->modules[module].functions[function];
        if (f->host != host || f->logical != logical) continue;
        found++;
        f->bound = 0;
        f->host = NULL;
        clear_queue(node, module, function); /* its queue goes with its owner */
        fab_store_release(&f->cell->out.bound, 0);
        wiring_function(node, module, function);
        gfms_bound(host, logical, node->bound[k], 0);
    }
    list_bound(node);
    return found ? 0 : MRPC_ERR_STATE;
}

/* A rate that another process wrote: NaN and negative values count as 0. */
static double rate_from(const double *cell) {
    double value;
    uint64_t bits = fab_load_relaxed((const uint64_t *)(const void *)cell);
    memcpy(&value, &bits, sizeof value);
    return value > 0.0 ? value : 0.0;
}

void wiring_before_step(struct fab_node *node) {
    for (uint32_t k = 0; k < node->bound_count; k++) {
        unsigned module = PDFID_MODULE(node->bound[k]), function = PDFID_FUNCTION(node->bound[k]);
        const struct fab_function_in *in = &node->modules[module].functions[function].cell->in;
        struct traffic_flow *up = traffic_flow(node->traffic, flow_index(module, function, 0));
        struct traffic_flow *down = traffic_flow(node->traffic, flow_index(module, function, 1));
        up->offered = rate_from(&in->offered_up);
        down->offered = rate_from(&in->offered_down);
        up->ceiling = rate_from(&in->ceiling_up);
        down->ceiling = rate_from(&in->ceiling_down);
        /* an infinite load is no load that a step could account for */
        if (isinf(up->offered)) up->offered = 0.0;
        if (isinf(down->offered)) down->offered = 0.0;
    }
}

void wiring_after_step(struct fab_node *node) {
    for (uint32_t k = 0; k < node->bound_count; k++) {
        unsigned module = PDFID_MODULE(node->bound[k]), function = PDFID_FUNCTION(node->bound[k]);
        struct fab_function_out *out = &node->modules[module].functions[function].cell->out;
        struct traffic_flow *up = traffic_flow(node->traffic, flow_index(module, function, 0));
        struct traffic_flow *down = traffic_flow(node->traffic, flow_index(module, function, 1));
        fab_store_release(&out->up_bytes, up->delivered);
        fab_store_release(&out->down_bytes, down->delivered);
        fab_store_release(&out->up_backlog, (uint64_t)up->backlog);
        fab_store_release(&out->down_backlog, (uint64_t)down->backlog);
        fab_store_release(&out->up_dropped, up->dropped);
        fab_store_release(&out->down_dropped, down->dropped);
    }
}

static void add_link(const struct fab_node *node, int32_t link, uint64_t *posted,
                     uint64_t *completion) {
    if (link < 0) return;
    const struct traffic_link *l = traffic_link(node->traffic, (size_t)link);
    *posted = l->bytes[TRAFFIC_UP];
    *completion = l->bytes[TRAFFIC_DOWN];
}

void wiring_counters(const struct node_port *port, uint64_t out[2][3]) {
    const struct fab_node *node = port->sw->node;
    int32_t in = port->peer ? port->peer->out_link : port->in_link;
    memset(out, 0, 6 * sizeof(uint64_t));
    add_link(node, port->out_link, &out[0][0], &out[0][1]);
    add_link(node, in, &out[1][0], &out[1][1]);
}

/* TLPs so far, of the fluid's equal sizes: writes of MaxPayloadSize, completions of the lesser of
 * MaxPayloadSize and MaxReadRequest, and the read requests that asked for the completions which
 * went the other way. */
void wiring_tlps(const struct node_port *port, uint64_t out[2][3]) {
    const struct fab_node_config *config = &port->sw->node->config;
    uint64_t bytes[2][3], completion = config->mps < config->mrrs ? config->mps : config->mrrs;
    wiring_counters(port, bytes);
    for (int way = 0; way < 2; way++) {
        out[way][0] = (bytes[way][0] + config->mps - 1) / config->mps;
        out[way][1] = (bytes[way][1] + completion - 1) / completion;
        out[way][2] = (bytes[!way][1] + config->mrrs - 1) / config->mrrs;
    }
}

/* Bytes that wait to leave by a port, of those that would enter it from `ingress`. */
static double waiting_at(const struct node_port *egress, const struct node_port *ingress) {
    struct fab_node *node = egress->sw->node;
    double bytes = 0;
    for (uint32_t k = 0; k < 2 * node->bound_count; k++) {
        unsigned id = node->bound[k / 2];
        const struct traffic_flow *flow =
            traffic_flow(node->traffic, flow_index(PDFID_MODULE(id), PDFID_FUNCTION(id), k % 2));
        for (int hop = 1; hop < flow->hops; hop++)
            if (flow->hop[hop].link == egress->out_link &&
                (!ingress || flow->hop[hop].ingress == ingress->cfg.port))
                bytes += flow->backlog;
    }
    return bytes;
}

/* A fluid meets an empty egress or waits for what stands before it: the two bounds, as of now. */
void wiring_latency(const struct node_port *egress, const struct node_port *ingress, int clear,
                    uint16_t *min_ns, uint16_t *max_ns) {
    enum { CUT_THROUGH_NS = 115 }; /* modelled */
    double queue_ns = 0, rate = egress->up ? egress->cfg.capacity : 0;
    (void)clear; /* nothing is remembered that could be cleared */
    *min_ns = *max_ns = 0;
    if (!egress->up || (ingress && !ingress->up)) return;
    if (rate > 0 && egress->out_link >= 0) queue_ns = waiting_at(egress, ingress) / rate * 1e9;
    *min_ns = CUT_THROUGH_NS;
    *max_ns =
        (uint16_t)(queue_ns < UINT16_MAX - CUT_THROUGH_NS ? CUT_THROUGH_NS + queue_ns : UINT16_MAX);
}
