/* Firmware commands about ports: status, counters, configuration, control, stack bifurcation. */
#include "node.h"

enum {
    STATUS_RECORD = 12,
    STATUS_RECORDS = 60,
    STATUS_RECORDS_GEN4 = 52,
    COUNTERS_MAX = 16,
    COUNTER_BYTES = 56,
    CONFIG_SET = 0,
    CONFIG_SHOW = 1,
    ERR_STACK = 0x54003,
    ERR_STACK_SUB = 0x54040,
    LTSSM_HOT_RESET = 0x0107,
    /* bytes beside a TLP's payload: memory write with 64-bit address, read request, completion */
    OVERHEAD_WRITE = 24,
    OVERHEAD_READ = 24,
    OVERHEAD_COMPLETION = 20
};

uint16_t port_ltssm(const struct node_port *port) {
    if (port->up) return LTSSM_L0;
    if (port->held) return LTSSM_HOT_RESET;
    return port->disabled ? LTSSM_DISABLE : LTSSM_DETECT;
}

static void status_record(const struct node_port *port, uint8_t *out) {
    unsigned id = port->cfg.port;
    out[0] = (uint8_t)id;
    out[1] = 0; /* partition */
    out[2] = port->logical;
    out[3] = (uint8_t)(id / 8 << 4 | id % 8);
    out[4] = port->cfg.cfg_lanes;
    out[5] = port->up ? port->cfg.lanes : 0;
    out[6] = port->cfg.kind == FAB_PORT_HOST;
    out[7] = port->up ? (uint8_t)(0x80 | port->cfg.gen) : 0;
    bytes_put(out + 8, 2, port_ltssm(port));
    out[11] = 0; /* first lane; lanes are not reversed */
}

static uint32_t link_status(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    uint64_t wanted = bytes_get(in, 8);
    unsigned records = sw->generation == 4 ? STATUS_RECORDS_GEN4 : STATUS_RECORDS, filled = 0;
    for (uint32_t k = 0; k < sw->port_count && filled < records; k++)
        if (!wanted || wanted >> sw->by_pff[k]->cfg.port & 1)
            status_record(sw->by_pff[k], out + STATUS_RECORD * filled++);
    for (; filled < records; filled++) out[STATUS_RECORD * filled + 3] = 0xFF;
    return 0;
}

static uint64_t with_overhead(uint64_t payload, uint64_t unit, unsigned overhead) {
    return payload + (payload + unit - 1) / unit * overhead;
}

/* Raw counters add what stands around the payload, and the read requests of the completions that
 * go the other way. */
static void add_overhead(const struct fab_node_config *config, uint64_t now[2][3]) {
    uint64_t completion = config->mps < config->mrrs ? config->mps : config->mrrs;
    uint64_t answered[2] = {now[1][1], now[0][1]};
    for (int way = 0; way < 2; way++) {
        now[way][0] = with_overhead(now[way][0], config->mps, OVERHEAD_WRITE);
        now[way][1] = with_overhead(now[way][1], completion, OVERHEAD_COMPLETION);
        now[way][2] = (answered[way] + config->mrrs - 1) / config->mrrs * OVERHEAD_READ;
    }
}

static void counters_get(struct node_port *port, int clear, uint8_t *out) {
    uint64_t now[2][3];
    wiring_counters(port, now);
    if (port->raw_bytes) add_overhead(&port->sw->node->config, now);
    bytes_put(out, 8, port->sw->node->time_ns / 1000);
    for (unsigned k = 0; k < 6; k++) {
        uint64_t total = now[k / 3][k % 3];
        bytes_put(out + 8 + 8 * k, 8, total - port->counted[k / 3][k % 3]);
        if (clear) port->counted[k / 3][k % 3] = total;
    }
}

static void counters_type(struct node_port *port, int payload) {
    if (port->raw_bytes == !payload) return;
    port->raw_bytes = !payload;
    for (unsigned k = 0; k < 6; k++) port->counted[k / 3][k % 3] = 0; /* another unit: from 0 */
}

static uint32_t counters(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    unsigned sub = in[0], n = in[1];
    if (sub != COUNTERS_GET && sub != COUNTERS_SET_TYPE) return MRPC_ERR_SUBCOMMAND;
    if (n > (sub == COUNTERS_GET ? COUNTERS_MAX : STATUS_RECORDS)) return MRPC_ERR_PARAMETER;
    for (unsigned k = 0; k < n; k++) { /* all are checked before any changes */
        if (in[2 + 2 * k] >= NODE_PORT_IDS || !sw->by_id[in[2 + 2 * k]]) return MRPC_ERR_PORT;
        if (in[3 + 2 * k] > 1) return MRPC_ERR_PARAMETER;
    }
    for (unsigned k = 0; k < n; k++) {
        struct node_port *port = sw->by_id[in[2 + 2 * k]];
        if (sub == COUNTERS_GET)
            counters_get(port, in[3 + 2 * k], out + COUNTER_BYTES * k);
        else
            counters_type(port, in[3 + 2 * k]);
    }
    return 0;
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
    {MRPC_LINK_STATUS, 720, FAMILIES_ALL, GENS_ALL, link_status},
    {MRPC_PORT_COUNTERS, 896, FAMILIES_ALL, GENS_ALL, counters},
    {MRPC_STACK_BIF, 8, FAMILIES_ALL, GENS_ALL, mrpc_bifurcation},
    {MRPC_PORT_CONFIG, 4, FAMILY_BIT(FAMILY_PAX), GENS_ALL, port_config},
    {MRPC_PORT_CONTROL, 0, FAMILY_BIT(FAMILY_PAX), GENS_ALL, port_control},
    {0},
};
