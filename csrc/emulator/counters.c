/* Firmware command 0x07, the performance counters: bytes by port; events and latency stand in their
 * own files. */
#include <string.h>

#include "node.h"

enum {
    GET_MOST = 16, /* ports of a request, as many as fit its answer */
    PORT_BYTES = 56,
    /* bytes beside a TLP's payload: memory write with 64-bit address, read request, completion */
    OVERHEAD_WRITE = 24,
    OVERHEAD_READ = 24,
    OVERHEAD_COMPLETION = 20
};

struct node_port *counters_port(const struct node_switch *sw, unsigned id) {
    return id < NODE_PORT_IDS ? sw->by_id[id] : NULL;
}

/* Raw counters add what stands around the payload, and the read requests. */
static void bytes_read(const struct node_port *port, uint64_t now[2][3]) {
    static const unsigned overhead[] = {OVERHEAD_WRITE, OVERHEAD_COMPLETION, OVERHEAD_READ};
    uint64_t tlps[2][3];
    wiring_counters(port, now);
    if (!port->raw_bytes) return;
    wiring_tlps(port, tlps);
    for (unsigned k = 0; k < 6; k++) now[k / 3][k % 3] += tlps[k / 3][k % 3] * overhead[k % 3];
}

static void bytes_get_port(struct node_port *port, int clear, uint8_t *out) {
    uint64_t now[2][3];
    bytes_read(port, now);
    bytes_put(out, 8, port->sw->node->time_ns / 1000);
    for (unsigned k = 0; k < 6; k++) {
        uint64_t total = now[k / 3][k % 3];
        bytes_put(out + 8 + 8 * k, 8, total - port->counted[k / 3][k % 3]);
        if (clear) port->counted[k / 3][k % 3] = total;
    }
}

/* Another unit is counted from now on: the vendor's tool says that setting the type resets the
 * counters. modelled: setting the one in force leaves them, so that two clients can agree on it. */
static void bytes_type(struct node_port *port, int payload) {
    if (port->raw_bytes == !payload) return;
    port->raw_bytes = !payload;
    bytes_read(port, port->counted);
}

/* {sub, n, n x {port, clear or type}}; all are checked before any changes. */
static uint32_t bytes_of_ports(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    unsigned n = in[1], get = in[0] == COUNTERS_GET;
    if (n > (get ? GET_MOST : FAB_MAX_PORTS)) return MRPC_ERR_PARAMETER;
    for (unsigned k = 0; k < n; k++) {
        if (!counters_port(sw, in[2 + 2 * k])) return MRPC_ERR_PORT;
        if (in[3 + 2 * k] > 1) return MRPC_ERR_PARAMETER;
    }
    for (unsigned k = 0; k < n; k++) {
        struct node_port *port = counters_port(sw, in[2 + 2 * k]);
        if (get)
            bytes_get_port(port, in[3 + 2 * k], out + PORT_BYTES * k);
        else
            bytes_type(port, in[3 + 2 * k]);
    }
    return 0;
}

void counters_reset(struct node_switch *sw) {
    for (uint32_t k = 0; k < sw->port_count; k++) {
        struct node_port *port = sw->by_pff[k];
        port->raw_bytes = 0;
        bytes_read(port, port->counted);
        memset(port->errors, 0, sizeof port->errors);
    }
    evcounter_reset(sw);
    latency_reset(sw);
}

static uint32_t counters(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    switch (in[0]) {
        case COUNTERS_GET:
        case COUNTERS_SET_TYPE:
            return bytes_of_ports(sw, in, out);
        case COUNTERS_SETUP_EVENT:
            return evcounter_setup(sw, in);
        case COUNTERS_EVENT:
        case COUNTERS_EVENT_SETUP:
            return evcounter_get(sw, in, out);
        case COUNTERS_SETUP_LATENCY:
            return latency_setup(sw, in);
        case COUNTERS_LATENCY:
            return latency_get(sw, in, out);
        default:
            return MRPC_ERR_SUBCOMMAND;
    }
}

const struct mrpc_entry mrpc_counter_commands[] = {
    {MRPC_PORT_COUNTERS, GET_MOST * PORT_BYTES, FAMILIES_ALL, GENS_ALL, counters},
    {0},
};
