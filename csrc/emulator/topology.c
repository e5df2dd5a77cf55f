/* Firmware command 0x82: the topology dump, ports with their links and the routes between switches.
 */
#include <string.h>

#include "node.h"

enum {
    TOPOLOGY_HEAD = 64,
    TOPOLOGY_PORT = 32,
    TOPOLOGY_CHUNK = 1000,
    TOPOLOGY_MAX = TOPOLOGY_HEAD + TOPOLOGY_PORT * FAB_MAX_PORTS
};

static void topology_port(const struct node_port *port, uint8_t *out) {
    out[0] = port->cfg.port;
    out[1] = port_config_type(port);
    for (unsigned k = 0; k < 5; k++) bytes_put(out + 4 + 4 * k, 2, 0xFFFF); /* no GPIO lines */
    out[2] = port->clock;
    out[24] = port->cfg.cfg_lanes;
    out[25] = port->neg_lanes;
    out[26] = port->cfg.gen;
    out[27] = port->neg_gen;
    bytes_put(out + 28, 2, port_ltssm(port));
}

/* Fills the dump; returns its bytes. The fourth generation has one word less in front. */
static uint32_t topology_dump(struct node_switch *sw, uint8_t *out) {
    const uint8_t *route = sw->node->config.route[sw->index];
    uint32_t gap = sw->generation == 4 ? 4 : 0, bytes = TOPOLOGY_HEAD - 2 * gap;
    uint64_t bitmap = 0;
    memset(out, 0, TOPOLOGY_MAX);
    out[0] = (uint8_t)sw->index;
    for (unsigned k = 0; k < FAB_MAX_SWITCHES; k++)
        out[36 - gap + k] = k < sw->node->config.switches ? route[k] : NOT_ATTACHED;
    for (unsigned stack = 0; stack < (gap ? 7u : 8u); stack++) {
        uint8_t in[4] = {0, (uint8_t)stack, 0, 0}, answer[8] = {0};
        if (mrpc_bifurcation(sw, in, answer) == 0) memcpy(out + 4 + 4 * stack, answer + 4, 4);
    }
    for (uint32_t k = 0; k < sw->port_count; k++, bytes += TOPOLOGY_PORT) {
        topology_port(sw->by_pff[k], out + bytes);
        bitmap |= UINT64_C(1) << sw->by_pff[k]->cfg.port;
    }
    bytes_put(out + (gap ? 48 : 56), 8, bitmap);
    return bytes;
}

static uint32_t topology_data(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    uint8_t dump[TOPOLOGY_MAX];
    uint32_t bytes = topology_dump(sw, dump), offset = (uint32_t)bytes_get(in + 2, 2);
    if (!sw->topology_ready) return MRPC_ERR_STATE;
    if (offset % 4 || offset >= bytes) return MRPC_ERR_PARAMETER;
    uint32_t part = bytes - offset < TOPOLOGY_CHUNK ? bytes - offset : TOPOLOGY_CHUNK;
    out[0] = TOPOLOGY_READY;
    bytes_put(out + 2, 2, part / 4);
    memcpy(out + 4, dump + offset, part);
    return 0;
}

uint32_t mrpc_topology(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    uint8_t dump[TOPOLOGY_MAX];
    if (in[0] == (sw->generation == 4 ? TOPOLOGY_DATA_GEN4 : TOPOLOGY_DATA))
        return topology_data(sw, in, out);
    switch (in[0]) {
        case TOPOLOGY_START:
            sw->topology_ready = 1;
            return 0;
        case TOPOLOGY_STATUS:
            out[0] = sw->topology_ready ? TOPOLOGY_READY : TOPOLOGY_NOT_STARTED;
            if (sw->topology_ready) bytes_put(out + 2, 2, topology_dump(sw, dump) / 4);
            return 0;
        case TOPOLOGY_FINISH:
            sw->topology_ready = 0;
            return 0;
        default:
            return MRPC_ERR_SUBCOMMAND;
    }
}
