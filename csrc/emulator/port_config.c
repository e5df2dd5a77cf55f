/* Firmware commands 0x88 and 0x8D: what a port is configured for, and control of its link. */
#include "node.h"

enum { CONFIG_SET = 0, CONFIG_SHOW = 1, CLOCKS = 3, CLOCK_MODES = 4 };

static uint8_t wired_type(const struct node_port *port) {
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

uint8_t port_config_type(const struct node_port *port) {
    return port->unused ? PORT_CONFIG_UNUSED : wired_type(port);
}

static uint8_t hvd_of(const struct node_port *port) {
    return port->cfg.kind == FAB_PORT_HOST ? port->cfg.index : 0;
}

static void use(struct node_port *port, int used) {
    if (port->unused == !used) return;
    port->unused = !used;
    gfms_port(port, used);
    link_refresh(port);
}

/* What a port is wired to and which host it serves is the chassis's, not firmware's: its own type
 * or none, and none only while nobody depends on it. The vendor's tool sends 0xFF for what it was
 * not given: clock and mode of an unused port, the host of any but a host's. */
static uint32_t config_set(struct node_port *port, const uint8_t *in) {
    uint8_t type = in[2], clock = in[3], mode = in[4], hvd = in[5];
    int clocked = type != PORT_CONFIG_UNUSED, used = type == wired_type(port);
    if (type > PORT_CONFIG_HOST || (clocked && (clock >= CLOCKS || mode >= CLOCK_MODES)))
        return MRPC_ERR_PARAMETER;
    if (!used && (clocked || port->cfg.kind == FAB_PORT_FABRIC)) return MRPC_ERR_DENIED;
    if (type == PORT_CONFIG_HOST && hvd != hvd_of(port)) return MRPC_ERR_DENIED;
    if (!used && bind_in_use(port)) return MRPC_ERR_STATE;
    if (clocked) {
        port->clock = clock;
        port->sris = mode;
    }
    if (!port->made) use(port, used);
    return 0;
}

uint32_t mrpc_port_config(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    if (in[0] != CONFIG_SHOW && in[0] != CONFIG_SET) return MRPC_ERR_SUBCOMMAND;
    struct node_port *port = in[1] < NODE_PORT_IDS ? sw->by_id[in[1]] : NULL;
    if (!port) return MRPC_ERR_PORT;
    uint32_t code = in[0] == CONFIG_SET ? config_set(port, in) : 0;
    if (code) return code;
    out[0] = port_config_type(port);
    out[1] = port->clock;
    out[2] = port->sris;
    out[3] = hvd_of(port);
    return 0;
}

uint32_t mrpc_port_control(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    (void)out;
    if (in[0] > FAB_PORT_HOT_RESET) return MRPC_ERR_SUBCOMMAND;
    struct node_port *port = in[1] < NODE_PORT_IDS ? sw->by_id[in[1]] : NULL;
    if (!port) return MRPC_ERR_PORT;
    if (in[0] == FAB_PORT_HOT_RESET && in[2] > 1) return MRPC_ERR_PARAMETER;
    if (port->cfg.kind == FAB_PORT_MANAGEMENT) return MRPC_ERR_DENIED; /* it would cut us off */
    uint8_t disabled = port->link.disabled;
    link_control(port, in[0], in[2]);
    if (port->link.disabled != disabled) gfms_port(port, !port->link.disabled);
    return 0;
}
