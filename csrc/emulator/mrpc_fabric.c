/* Firmware commands about the fabric: topology, GFMS sections, bindings, function access. */
#include <string.h>

#include "node.h"

enum {
    TOPOLOGY_HEAD = 64,
    TOPOLOGY_PORT = 32,
    TOPOLOGY_CHUNK = 1000,
    TOPOLOGY_MAX = TOPOLOGY_HEAD + TOPOLOGY_PORT * FAB_MAX_PORTS,
    SECTION_HEAD = 12,
    GFMS_FABRIC = 0,
    GFMS_REACH_UNICAST = 0,
    GFMS_REACH_NONE = 2,
    GFMS_BIND = 1,
    GFMS_UNBIND = 2,
    BIND_MAX = 8
};

static void topology_port(const struct node_port *port, uint8_t *out) {
    static const uint8_t types[] = {PORT_CONFIG_UNUSED, PORT_CONFIG_FABRIC, PORT_CONFIG_EP,
                                    PORT_CONFIG_HOST, PORT_CONFIG_UNUSED};
    out[0] = port->cfg.port;
    out[1] = types[port->cfg.kind];
    for (unsigned k = 0; k < 5; k++) bytes_put(out + 4 + 4 * k, 2, 0xFFFF); /* no GPIO lines */
    out[24] = port->cfg.cfg_lanes;
    out[25] = port->up ? port->cfg.lanes : 0;
    out[26] = port->cfg.gen;
    out[27] = port->up ? port->cfg.gen : 0;
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

static uint32_t topology(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
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

static void section(struct node_switch *sw, uint8_t *out, unsigned kind, uint32_t bytes) {
    out[0] = (uint8_t)kind;
    out[1] = (uint8_t)sw->index;
    bytes_put(out + 2, 2, sw->index); /* modelled: a switch's fabric id is its index */
    bytes_put(out + 4, 4, bytes / 4);
}

static uint32_t dump_fabric(struct node_switch *sw, uint8_t *out) {
    section(sw, out, GFMS_FABRIC, 88);
    for (unsigned k = 0; k < FAB_MAX_SWITCHES; k++) {
        uint8_t *entry = out + SECTION_HEAD + 12 + 4 * k;
        int there = k < sw->node->config.switches && !sw->node->switches[k].gone;
        int reached = there && (k == sw->index || sw->node->config.route[sw->index][k] != 0xFF);
        entry[0] = (uint8_t)k;
        entry[1] = reached ? GFMS_REACH_UNICAST : GFMS_REACH_NONE;
    }
    return 0;
}

static uint32_t dump_fabric_port(struct node_switch *sw, unsigned id, uint8_t *out) {
    const struct node_port *port = id < NODE_PORT_IDS ? sw->by_id[id] : NULL;
    if (!port || port->cfg.kind != FAB_PORT_FABRIC) return MRPC_ERR_PORT;
    const struct node_port *peer = port->peer && !port->peer->sw->gone ? port->peer : NULL;
    uint8_t *body = out + SECTION_HEAD;
    section(sw, out, GFMS_FAB_PORT, 32);
    body[0] = (uint8_t)id;
    body[4] = peer ? peer->cfg.port : NOT_ATTACHED;
    body[5] = peer ? (uint8_t)peer->sw->index : NOT_ATTACHED;
    bytes_put(body + 6, 2, peer ? peer->sw->index : NOT_ATTACHED);
    bytes_put(body + 8, 4, peer ? gas_get(peer->sw, GAS_FW_VERSION) : 0);
    return 0;
}

static uint32_t gfms_dump(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    switch (in[0]) {
        case GFMS_FABRIC:
            return dump_fabric(sw, out);
        case GFMS_FAB_PORT:
            return dump_fabric_port(sw, in[1], out);
        default:
            return MRPC_ERR_SUBCOMMAND;
    }
}

static uint32_t gfms_bind(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    (void)out;
    if (in[0] != GFMS_BIND && in[0] != GFMS_UNBIND) return MRPC_ERR_SUBCOMMAND;
    struct node_port *host = node_find_port(sw->node, in[1], in[2]);
    if (!host || host->cfg.kind != FAB_PORT_HOST) return MRPC_ERR_PORT;
    /* unbinding names the logical port; its pdfid field is not filled in by all clients */
    if (in[0] == GFMS_UNBIND) return wiring_unbind(sw->node, host, in[3]);
    uint16_t pdfids[BIND_MAX];
    size_t n = 0;
    do {
        pdfids[n] = (uint16_t)bytes_get(in + 4 + 4 * n, 2);
        n++;
    } while (n < BIND_MAX && in[4 + 4 * (n - 1) + 2]); /* entries behind the last are garbage */
    return wiring_bind(sw->node, host, in[3], pdfids, n);
}

static uint32_t function_access(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    unsigned pdfid = (unsigned)bytes_get(in + 2, 2), addr = (unsigned)bytes_get(in + 4, 2);
    unsigned module = PDFID_MODULE(pdfid), function = PDFID_FUNCTION(pdfid), bytes = in[6];
    if (in[0] > 1) return MRPC_ERR_SUBCOMMAND;
    if (module >= NODE_MODULES || !function_exists(&sw->node->modules[module], function))
        return MRPC_ERR_PARAMETER;
    if (bytes < 1 || bytes > 4 || addr / 4 != (addr + bytes - 1) / 4 ||
        addr >= 4 * FUNCTION_SPACE_WORDS)
        return MRPC_ERR_PARAMETER;
    struct node_module *m = &sw->node->modules[module];
    if (!m->port->up) return MRPC_ERR_STATE;
    if (in[0] == 1) {
        function_write(sw->node, module, function, addr, (uint32_t)bytes_get(in + 8, 4), bytes);
        return 0;
    }
    struct space s = function_space(m, function);
    bytes_put(out, 4, space_get(&s, addr, bytes));
    return 0;
}

const struct mrpc_entry mrpc_fabric_commands[] = {
    {MRPC_TOPOLOGY, 1004, FAMILY_BIT(FAMILY_PAX), GENS_ALL, topology},
    {MRPC_GFMS_DUMP, 88, FAMILY_BIT(FAMILY_PAX), GENS_ALL, gfms_dump},
    {MRPC_GFMS_BIND, 4, FAMILY_BIT(FAMILY_PAX), GENS_ALL, gfms_bind},
    {MRPC_FUNCTION_ACCESS, 4, FAMILY_BIT(FAMILY_PAX), GENS_ALL, function_access},
    {0},
};
