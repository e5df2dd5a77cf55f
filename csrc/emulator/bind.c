/* Firmware command 0x84: functions bound to the logical ports of hosts. */
#include "node.h"

enum { GFMS_BIND = 1, GFMS_UNBIND = 2, BIND_MAX = HVD_SLOTS };

/* modelled: a host has 32 logical ports of 8 function slots, as the vendor's library has room for;
 * logical number 32 x slot + port starts at that slot, so that each of 256 functions can have a
 * number of its own. */
uint32_t bind_slots(const struct fab_node *node, const struct node_port *host, uint8_t logical,
                    size_t n) {
    unsigned port = logical % HVD_LOGICAL, first = logical / HVD_LOGICAL;
    if (first + n > HVD_SLOTS) return MRPC_ERR_PARAMETER;
    for (uint32_t k = 0; k < node->bound_count; k++) {
        unsigned id = node->bound[k];
        const struct node_function *f =
            &node->modules[PDFID_MODULE(id)].functions[PDFID_FUNCTION(id)];
        if (f->host == host && f->logical % HVD_LOGICAL == port && f->slot >= first &&
            f->slot < first + n)
            return MRPC_ERR_DENIED; /* taken */
    }
    return 0;
}

int bind_in_use(const struct node_port *port) {
    const struct fab_node *node = port->sw->node;
    for (uint32_t k = 0; k < node->bound_count; k++) {
        const struct node_module *m = &node->modules[PDFID_MODULE(node->bound[k])];
        if (m->port == port || m->functions[PDFID_FUNCTION(node->bound[k])].host == port) return 1;
    }
    return 0;
}

uint32_t mrpc_gfms_bind(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    (void)out;
    if (in[0] != GFMS_BIND && in[0] != GFMS_UNBIND) return MRPC_ERR_SUBCOMMAND;
    struct node_port *host = node_find_port(sw->node, in[1], in[2]);
    if (!host || host->sw->gone || port_config_type(host) != PORT_CONFIG_HOST) return MRPC_ERR_PORT;
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
