/* Firmware commands about the fabric: their table, and access to functions behind module ports. */
#include "node.h"

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

int fabric_reaches(const struct node_switch *sw, uint32_t to) {
    const struct fab_node *node = sw->node;
    if (to >= node->config.switches) return 0;
    for (unsigned hops = 0; hops < FAB_MAX_SWITCHES && !sw->gone; hops++) {
        if (sw->index == to) return 1;
        unsigned id = node->config.route[sw->index][to];
        const struct node_port *port = id < NODE_PORT_IDS ? sw->by_id[id] : NULL;
        if (!port || !port->up || !port->peer) return 0;
        sw = port->peer->sw;
    }
    return 0;
}

void fabric_reset(struct node_switch *sw) {
    sw->dump.kind = 0;
    sw->gfms = (struct gfms_log){0};
    partition_build(sw);
}

#define PAX FAMILY_BIT(FAMILY_PAX)

const struct mrpc_entry mrpc_fabric_commands[] = {
    {MRPC_STACK_BIF, 8, FAMILIES_ALL, GENS_ALL, mrpc_bifurcation},
    {MRPC_PORT_BIND, 196, FAMILIES_ALL, GENS_ALL, mrpc_port_bind},
    {MRPC_TOPOLOGY, 1004, PAX, GENS_ALL, mrpc_topology},
    {MRPC_GFMS_DUMP, 1024, PAX, GENS_ALL, mrpc_gfms_dump},
    {MRPC_GFMS_BIND, 4, PAX, GENS_ALL, mrpc_gfms_bind},
    {MRPC_PORT_CONFIG, 4, PAX, GENS_ALL, mrpc_port_config},
    {MRPC_PORT_CONTROL, 0, PAX, GENS_ALL, mrpc_port_control},
    {MRPC_GFMS_EVENT, 1024, PAX, GENS_ALL, gfms_events},
    {MRPC_FUNCTION_ACCESS, 4, PAX, GENS_ALL, function_access},
    {0},
};
