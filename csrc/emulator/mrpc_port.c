/* Firmware commands about ports: configuration, control, stack bifurcation. */
#include "node.h"

enum {
    CONFIG_SET = 0,
    CONFIG_SHOW = 1,
    ERR_STACK = 0x54003,
    ERR_STACK_SUB = 0x54040,
    LTSSM_HOT_RESET = 0x0107
};

uint16_t port_ltssm(const struct node_port *port) {
    if (port->up) return LTSSM_L0;
    if (port->held) return LTSSM_HOT_RESET;
    return port->disabled ? LTSSM_DISABLE : LTSSM_DETECT;
}

static uint8_t config_type(const struct node_port *port) {
    switch (port->cfg.kind) {
        case FAB_PORT_FABRIC:
            return PORT_CONFIG_FABRIC;
        case FAB_PORT_MODULE:
            return PORT_CONFIG_EP;
        case FAB_PORT_HOST:
            return PORT_CONFIG_HOST;
        default:
            return PORT_CONFIG_UNUSED;
    }
}

static uint32_t port_config(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    if (in[0] != CONFIG_SHOW && in[0] != CONFIG_SET) return MRPC_ERR_SUBCOMMAND;
    struct node_port *port = in[1] < NODE_PORT_IDS ? sw->by_id[in[1]] : NULL;
    if (!port) return MRPC_ERR_PORT;
    uint8_t hvd = port->cfg.kind == FAB_PORT_HOST ? port->cfg.index : 0;
    if (in[0] == CONFIG_SET) {
        /* what a port is wired to and which host it serves is the chassis's, not firmware's */
        if (in[2] != config_type(port) || in[5] != hvd) return MRPC_ERR_DENIED;
        port->clock = in[3];
        port->sris = in[4];
    }
    out[0] = config_type(port);
    out[1] = port->clock;
    out[2] = port->sris;
    out[3] = hvd;
    return 0;
}

static uint32_t port_control(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    (void)out;
    if (in[0] > FAB_PORT_HOT_RESET) return MRPC_ERR_SUBCOMMAND;
    struct node_port *port = in[1] < NODE_PORT_IDS ? sw->by_id[in[1]] : NULL;
    if (!port) return MRPC_ERR_PORT;
    if (in[2] > 1) return MRPC_ERR_PARAMETER;
    if (port->cfg.kind == FAB_PORT_MANAGEMENT) return MRPC_ERR_DENIED; /* it would cut us off */
    link_control(port, in[0], in[2]);
    return 0;
}

static uint32_t width_code(unsigned lanes) {
    switch (lanes) {
        case 1:
            return 0xF;
        case 2:
            return 1;
        case 4:
            return 2;
        case 8:
            return 4;
        case 16:
            return 8;
        default:
            return 0;
    }
}

uint32_t mrpc_bifurcation(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    unsigned stack = in[1];
    uint32_t code = 0, ports = 0;
    if (in[0] != 0) return ERR_STACK_SUB;
    for (uint32_t k = 0; k < sw->port_count; k++) {
        const struct node_port *port = sw->by_pff[k];
        if (port->cfg.port / 8 != stack) continue;
        code |= width_code(port->cfg.lanes) << (4 * (port->cfg.port % 8));
        ports++;
    }
    if (!ports) return ERR_STACK;
    out[1] = (uint8_t)stack;
    bytes_put(out + 4, 4, code);
    return 0;
}

const struct mrpc_entry mrpc_port_commands[] = {
    {MRPC_STACK_BIF, 8, FAMILIES_ALL, GENS_ALL, mrpc_bifurcation},
    {MRPC_PORT_CONFIG, 4, FAMILY_BIT(FAMILY_PAX), GENS_ALL, port_config},
    {MRPC_PORT_CONTROL, 0, FAMILY_BIT(FAMILY_PAX), GENS_ALL, port_control},
    {0},
};
