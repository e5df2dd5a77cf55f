/* Between the functions' cells and the flows, and what ports count. */
#include <math.h>
#include <string.h>

#include "node.h"

/* A rate that another process wrote: NaN and negative values count as 0. */
static double rate_from(const double *cell) {
    double value;
    uint64_t bits = fab_load_relaxed((const uint64_t *)(const void *)cell);
    memcpy(&value, &bits, sizeof value);
    return value > 0.0 ? value : 0.0;
}

/* Flows by their place, of which a step looks at hundreds. */
static struct traffic_flow *flows_of(struct traffic_flow *first, unsigned id) {
    return first + wiring_flow_index(PDFID_MODULE(id), PDFID_FUNCTION(id), 0);
}

void wiring_before_step(struct fab_node *node) {
    struct traffic_flow *first = traffic_flow(node->traffic, 0);
    for (uint32_t k = 0; k < node->bound_count; k++) {
        unsigned module = PDFID_MODULE(node->bound[k]), function = PDFID_FUNCTION(node->bound[k]);
        struct node_function *f = &node->modules[module].functions[function];
        const struct fab_function_in *in = &f->cell->in;
        struct traffic_flow *up = flows_of(first, node->bound[k]), *down = up + 1;
        up->offered = rate_from(&in->offered_up);
        down->offered = rate_from(&in->offered_down);
        up->ceiling = rate_from(&in->ceiling_up);
        down->ceiling = rate_from(&in->ceiling_down);
        /* an infinite load is no load that a step could account for */
        if (isinf(up->offered)) up->offered = 0.0;
        if (isinf(down->offered)) down->offered = 0.0;
        uint32_t class = fab_load_relaxed(&in->traffic_class);
        if (class > 7) class = 0; /* nonsense gets no channel of its own */
        if (class == f->traffic_class) continue;
        f->traffic_class = (uint8_t)class;
        wiring_class(node, module, function);
    }
}

void wiring_after_step(struct fab_node *node) {
    struct traffic_flow *first = traffic_flow(node->traffic, 0);
    for (uint32_t k = 0; k < node->bound_count; k++) {
        unsigned module = PDFID_MODULE(node->bound[k]), function = PDFID_FUNCTION(node->bound[k]);
        struct fab_function_out *out = &node->modules[module].functions[function].cell->out;
        const struct traffic_flow *up = flows_of(first, node->bound[k]), *down = up + 1;
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

/* TLPs that crossed a link: those sent one by one, and full ones for what a fluid moved. */
static uint64_t tlps_of(const struct fab_node *node, int32_t link, unsigned direction) {
    if (link < 0) return 0;
    const struct traffic_link *l = traffic_link(node->traffic, (size_t)link);
    uint64_t unit = traffic_unit(node->traffic, direction);
    uint64_t fluid = l->bytes[direction] - l->tlp_bytes[direction];
    return l->tlps[direction] + (fluid + unit - 1) / unit;
}

void wiring_tlps(const struct node_port *port, uint64_t out[2][3]) {
    const struct fab_node *node = port->sw->node;
    int32_t links[2] = {port->out_link, port->peer ? port->peer->out_link : port->in_link};
    uint64_t bytes[2][3], request = node->config.mrrs;
    wiring_counters(port, bytes);
    for (int way = 0; way < 2; way++) {
        out[way][0] = tlps_of(node, links[way], TRAFFIC_UP);
        out[way][1] = tlps_of(node, links[way], TRAFFIC_DOWN);
        out[way][2] = (bytes[!way][1] + request - 1) / request;
    }
}

static uint16_t whole_ns(double ns) {
    return ns < UINT16_MAX ? (uint16_t)lround(ns) : UINT16_MAX;
}

void wiring_latency(const struct node_port *egress, const struct node_port *ingress, int clear,
                    uint16_t *min_ns, uint16_t *max_ns) {
    double min = INFINITY, max = 0.0;
    *min_ns = *max_ns = 0;
    if (egress->out_link < 0) return;
    struct traffic *t = egress->sw->node->traffic;
    size_t link = (size_t)egress->out_link;
    traffic_time(t, link, egress->latency_from != 0);
    for (unsigned class = 0; class < TRAFFIC_CLASSES; class++) {
        struct traffic_latency *l = traffic_latency(t, link, class);
        if (ingress && class != ingress->cfg.port) continue;
        if (l->min < min) min = l->min;
        if (l->max > max) max = l->max;
        if (clear) *l = (struct traffic_latency){INFINITY, 0.0};
    }
    if (!egress->up || (ingress && !ingress->up)) return;
    if (max < min) min = max = traffic_idle_latency(t, link);
    *min_ns = whole_ns(min);
    *max_ns = whole_ns(max);
}
