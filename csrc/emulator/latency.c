/* Latency counters: the time that TLPs take from an ingress port, or any, to an egress port. */
#include "node.h"

enum { ANY_INGRESS = 63, NOT_SET_UP = 0 }; /* a port keeps its ingress + 1 */

/* {4, n, n x {egress, ingress}}; all are checked before any changes. */
uint32_t latency_setup(struct node_switch *sw, const uint8_t *in) {
    unsigned n = in[1];
    if (n > FAB_MAX_PORTS) return MRPC_ERR_PARAMETER;
    for (unsigned k = 0; k < n; k++) {
        unsigned ingress = in[3 + 2 * k];
        if (!counters_port(sw, in[2 + 2 * k])) return MRPC_ERR_PORT;
        if (ingress != ANY_INGRESS && !counters_port(sw, ingress)) return MRPC_ERR_PORT;
    }
    for (unsigned k = 0; k < n; k++)
        counters_port(sw, in[2 + 2 * k])->latency_from = (uint8_t)(in[3 + 2 * k] + 1);
    return 0;
}

/* {6, n, clear, n x egress} -> n x {u16 least, u16 most} ns. modelled: a port whose counter was
 * not set up has measured nothing: 0, 0. */
uint32_t latency_get(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    unsigned n = in[1];
    if (n > FAB_MAX_PORTS) return MRPC_ERR_PARAMETER;
    for (unsigned k = 0; k < n; k++)
        if (!counters_port(sw, in[3 + k])) return MRPC_ERR_PORT;
    for (unsigned k = 0; k < n; k++) {
        const struct node_port *egress = counters_port(sw, in[3 + k]);
        unsigned from = egress->latency_from;
        const struct node_port *ingress =
            from == ANY_INGRESS + 1 ? NULL : counters_port(sw, from - 1u);
        uint16_t least = 0, most = 0;
        if (from != NOT_SET_UP) wiring_latency(egress, ingress, in[2], &least, &most);
        bytes_put(out + 4 * k, 2, least);
        bytes_put(out + 4 * k + 2, 2, most);
    }
    return 0;
}

void latency_reset(struct node_switch *sw) {
    uint16_t least, most;
    for (uint32_t k = 0; k < sw->port_count; k++) {
        sw->by_pff[k]->latency_from = NOT_SET_UP;
        wiring_latency(sw->by_pff[k], NULL, 1, &least, &most);
    }
}
