/* How bindings become flows: traffic links of the ports, paths and channels of the functions.
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
#include "rate.h"

struct traffic_flow *wiring_flow(struct fab_node *node, unsigned module, unsigned function,
                                 unsigned direction) {
    return traffic_flow(node->traffic, wiring_flow_index(module, function, direction));
}

int wiring_create(struct fab_node *node) {
    int32_t links = 0;
    for (uint32_t k = 0; k < node->config.ports; k++) {
        struct node_port *port = &node->ports[k];
        uint8_t kind = port->cfg.kind;
        int ends_here = kind == FAB_PORT_HOST || kind == FAB_PORT_MODULE;
        port->out_link = ends_here || port->peer ? links++ : NODE_NONE;
        port->in_link = ends_here ? links++ : NODE_NONE;
        port->throttle = 1.0;
    }
    size_t flows = 2 * (size_t)NODE_MODULES * FAB_MAX_FUNCTIONS;
    int rc = traffic_create((size_t)(links ? links : 1), flows, NODE_MODULES, &node->traffic);
    if (rc < 0) return rc;
    uint32_t mps = node->config.mps, mrrs = node->config.mrrs;
    traffic_sizes(node->traffic, rate_unit(mps, mrrs, FAB_TRANSFER_WRITE),
                  rate_unit(mps, mrrs, FAB_TRANSFER_READ));
    for (unsigned m = 0; m < NODE_MODULES; m++)
        for (unsigned f = 0; f < FAB_MAX_FUNCTIONS; f++)
            for (unsigned d = 0; d < 2; d++) {
                struct traffic_flow *flow = wiring_flow(node, m, f, d);
                flow->direction = (uint8_t)(d ? TRAFFIC_DOWN : TRAFFIC_UP);
                flow->module = (uint8_t)m;
                flow->ceiling = flow->peak = INFINITY;
            }
    return 0;
}

/* ---- channels ---- */

/* The port whose egress a link is. */
static const struct node_port *egress_of(const struct fab_node *node, unsigned link) {
    for (uint32_t k = 0; k < node->config.ports; k++)
        if (node->ports[k].out_link == (int32_t)link) return &node->ports[k];
    return NULL;
}

void wiring_class(struct fab_node *node, unsigned module, unsigned function) {
    unsigned class = node->modules[module].functions[function].traffic_class;
    for (unsigned d = 0; d < 2; d++) {
        struct traffic_flow *flow = wiring_flow(node, module, function, d);
        for (int h = 1; h < flow->hops; h++) {
            const struct node_port *port = egress_of(node, flow->hop[h].link);
            uint8_t vc = port ? vc_of_class(&port->vc, &port->space, class) : 0;
            if (flow->hop[h].vc != vc) traffic_changed(node->traffic);
            flow->hop[h].vc = vc;
        }
    }
}

static void reclass(struct fab_node *node) {
    for (uint32_t k = 0; k < node->bound_count; k++)
        wiring_class(node, PDFID_MODULE(node->bound[k]), PDFID_FUNCTION(node->bound[k]));
}

/* Both ends of a link settle which channels it has. */
static void negotiate(struct node_port *port) {
    struct node_port *peer = port->peer;
    int changed = vc_negotiate(&port->vc, &port->space, port->up, peer ? &peer->vc : NULL,
                               peer ? &peer->space : NULL);
    if (peer) changed |= vc_negotiate(&peer->vc, &peer->space, peer->up, &port->vc, &port->space);
    if (changed) reclass(port->sw->node);
}

/* ---- links ---- */

/* cfg.capacity is the configured link's; a narrowed or slowed one carries as much less as the model
 * of the payload rate says. */
static double capacity(const struct node_port *port, unsigned gen) {
    const struct fab_node_config *c = &port->sw->node->config;
    unsigned lanes = port->neg_lanes ? port->neg_lanes : port->cfg.lanes;
    double full = fab_payload_rate(port->cfg.gen, port->cfg.lanes, c->mps, c->mrrs, 0);
    double now = fab_payload_rate(gen, lanes, c->mps, c->mrrs, FAB_TRANSFER_WRITE);
    return port->up && full > 0 ? port->cfg.capacity * (now / full) * port->throttle : 0.0;
}

void wiring_capacity(struct node_port *port) {
    unsigned gen = port->neg_gen ? port->neg_gen : port->cfg.gen;
    int32_t links[] = {port->out_link, port->in_link};
    for (int k = 0; k < 2; k++) {
        if (links[k] < 0) continue;
        struct traffic_link *link = traffic_link(port->sw->node->traffic, (size_t)links[k]);
        link->capacity = capacity(port, gen);
        link->overhead[TRAFFIC_UP] = (uint16_t)rate_overhead(gen, FAB_TRANSFER_WRITE);
        link->overhead[TRAFFIC_DOWN] = (uint16_t)rate_overhead(gen, FAB_TRANSFER_READ);
    }
    negotiate(port);
}

void wiring_port_table(struct node_port *port) {
    if (port->out_link < 0) return;
    struct traffic_link *link = traffic_link(port->sw->node->traffic, (size_t)port->out_link);
    link->phases = (uint16_t)vc_slots(&port->vc, link->slots, link->table, TRAFFIC_CLASSES);
    link->vc_phases =
        (uint16_t)vc_channel_slots(&port->vc, link->vc_slots, link->vc_table, TRAFFIC_VCS);
    if (!port->vc.remapped) return;
    port->vc.remapped = 0;
    negotiate(port);
    reclass(port->sw->node); /* a map changes without a negotiation */
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
    struct traffic_flow *up = wiring_flow(node, module, function, 0);
    struct traffic_flow *down = wiring_flow(node, module, function, 1);
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
    t->phases = (uint16_t)vc_slots(&m->vc, t->slots, t->table, TRAFFIC_GROUPS);
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
    struct traffic_flow *up = wiring_flow(node, module, function, 0);
    struct traffic_flow *down = wiring_flow(node, module, function, 1);
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
    wiring_class(node, module, function);
}

static void clear_queue(struct fab_node *node, unsigned module, unsigned function) {
    struct node_function *f = &node->modules[module].functions[function];
    for (unsigned d = 0; d < 2; d++) {
        struct traffic_flow *flow = wiring_flow(node, module, function, d);
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
