/* Firmware command 0x0B: how a stack's lanes are divided among its ports.
 *
 * A stack has eight port ids with two lanes each. The ports of the configuration exist always, off
 * when they have no lanes; others come and go with the bifurcation. Nothing is wired to those, and
 * their PFFs stand behind the others', renumbered when one of them goes: a scan ends at a gap.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node.h"

enum {
    SUB_GET = 0,
    SUB_SET = 1,
    ERR_STACK = 0x54003,
    ERR_SUB = 0x54040,
    ERR_CODE = 0x54042,
    ERR_PORT_BOUND = 0x54043,
    STACKS = 8,
    STACK_PORTS = 8,
    STACK_LANES = 16,
    SLOT_LANES = 2,
    GEN6_LARGE = 144 /* lanes from which on a Gen6 chip has fixed stacks */
};

static const uint8_t lanes_of_code[16] = {[1] = 2, [2] = 4, [4] = 8, [8] = 16, [0xF] = 1};

static uint32_t code_of(unsigned lanes) {
    for (uint32_t code = 0; code < 16; code++)
        if (lanes_of_code[code] == lanes) return code;
    return 0;
}

int bifurcation_prepare(struct fab_node *node) {
    node->made = calloc((size_t)node->config.switches * NODE_PORT_IDS, sizeof *node->made);
    if (!node->made) return -ENOMEM;
    for (uint32_t k = 0; k < node->config.switches; k++) {
        struct node_switch *sw = &node->switches[k];
        sw->configured = sw->port_count;
        for (unsigned stack = 0; stack < STACKS; stack++) {
            unsigned before = STACK_LANES * stack, used = 0;
            unsigned left = sw->lanes > before ? sw->lanes - before : 0;
            for (uint32_t p = 0; p < sw->port_count; p++)
                if (sw->by_pff[p]->cfg.port / STACK_PORTS == stack)
                    used += sw->by_pff[p]->cfg.cfg_lanes;
            if (!used) continue; /* no such stack on this chassis */
            if (left > STACK_LANES) left = STACK_LANES;
            sw->stack_lanes[stack] = (uint8_t)(used > left ? used : left);
        }
    }
    return 0;
}

/* Lanes of each port by the code; 0, or what is wrong with it. */
static uint32_t decode(const struct node_switch *sw, unsigned stack, uint32_t code,
                       uint8_t lanes[STACK_PORTS]) {
    unsigned free_from = 0, total = 0;
    for (unsigned k = 0; k < STACK_PORTS; k++) {
        unsigned nibble = code >> (4 * k) & 0xF;
        lanes[k] = lanes_of_code[nibble];
        if (!nibble) continue;
        unsigned slots = (lanes[k] + 1u) / SLOT_LANES;
        /* groups are aligned and do not overlap */
        if (!lanes[k] || k < free_from || k % slots || k + slots > STACK_PORTS) return ERR_CODE;
        free_from = k + slots;
        total += lanes[k];
    }
    return total > sw->stack_lanes[stack] ? ERR_CODE : 0;
}

static uint8_t split_of(const struct node_switch *sw, unsigned id) {
    return sw->by_id[id] ? sw->by_id[id]->split : 0;
}

/* A port that somebody relies on keeps its lanes. */
static int relied_upon(const struct node_port *port) {
    if (port->made) return port->partition != PARTITION_NONE;
    return port->cfg.kind == FAB_PORT_MANAGEMENT || bind_in_use(port);
}

static uint32_t check(const struct node_switch *sw, unsigned stack,
                      const uint8_t lanes[STACK_PORTS]) {
    unsigned ports = sw->port_count;
    for (unsigned k = 0; k < STACK_PORTS; k++) {
        const struct node_port *port = sw->by_id[stack * STACK_PORTS + k];
        if (!port && lanes[k]) ports++;
        if (port && port->split != lanes[k] && relied_upon(port)) return ERR_PORT_BOUND;
    }
    return ports > status_records(sw) ? ERR_CODE : 0; /* the client could not see them all */
}

/* A link trains to what both its ends have. */
static void set_link(struct node_port *port) {
    unsigned lanes = port->split < port->wired_lanes ? port->split : port->wired_lanes;
    if (port->peer && port->peer->split < lanes) lanes = port->peer->split;
    port->cfg.lanes = (uint8_t)lanes;
    port->cfg.capacity = port->lane_rate * lanes;
}

static void set_width(struct node_port *port, uint8_t lanes) {
    uint32_t at = PORT_PCIE + PCIE_LINK_CAP;
    uint32_t rest = space_get(&port->space, at, 4) & ~(UINT32_C(0x3F) << 4);
    port->split = port->cfg.cfg_lanes = lanes;
    if (lanes) space_put(&port->space, at, 4, rest | (uint32_t)lanes << 4);
    set_link(port);
    if (port->peer) set_link(port->peer);
    if (port->cfg.lanes) link_restart(port);
    link_refresh(port);
}

static void make(struct node_switch *sw, unsigned id, uint8_t lanes) {
    struct node_port *port = &sw->node->made[sw->index * NODE_PORT_IDS + id];
    const struct node_port *like = sw->by_pff[0];
    for (uint32_t k = 0; k < sw->configured; k++)
        if (sw->by_pff[k]->cfg.port / STACK_PORTS == id / STACK_PORTS) like = sw->by_pff[k];
    memset(port, 0, sizeof *port);
    port->cfg = (struct fab_node_port){.sw = (uint8_t)sw->index,
                                       .port = (uint8_t)id,
                                       .kind = FAB_PORT_UNUSED,
                                       .gen = like->cfg.gen,
                                       .cfg_lanes = lanes,
                                       .peer_switch = 0xFF,
                                       .peer_port = 0xFF,
                                       .phases = like->cfg.phases};
    port->sw = sw;
    port->made = port->unused = 1;
    port->split = lanes;
    port->partition = port->logical = PARTITION_NONE;
    port->out_link = port->in_link = NODE_NONE;
    sw->by_id[id] = port;
}

/* By stores, not memset: other processes read the image at any moment. */
static void clear_window(struct node_switch *sw, uint32_t pff) {
    uint32_t base = GAS_PFF + GAS_PFF_STRIDE * pff;
    for (uint32_t at = base; at < base + GAS_PFF_STRIDE; at += 8) gas_put(sw, at, 8, 0);
}

/* Lists the made ports anew behind the others; windows nobody has any more read as zero. A port
 * that keeps its place keeps what was written to it (a new one has PFF 0, which is a configured
 * port's). */
static void renumber(struct node_switch *sw) {
    uint32_t before = sw->port_count;
    sw->port_count = sw->configured;
    for (unsigned id = 0; id < NODE_PORT_IDS; id++) {
        struct node_port *port = sw->by_id[id];
        if (!port || !port->made) continue;
        uint32_t k = sw->port_count++;
        if (port->pff == k) continue;
        sw->by_pff[k] = port;
        port->pff = (uint8_t)k;
        clear_window(sw, k);
        memset(port->writable, 0, sizeof port->writable);
        memset(port->clearable, 0, sizeof port->clearable);
        memset(port->sticky, 0, sizeof port->sticky);
        memset(&port->space, 0, sizeof port->space);
        port_space_build(port);
        port_space_link(port);
        gas_put(sw, GAS_PFF_PORT + k, 1, id);
    }
    for (uint32_t k = sw->port_count; k < before; k++) {
        clear_window(sw, k);
        gas_put(sw, GAS_PFF_PORT + k, 1, 0xFF);
        sw->by_pff[k] = NULL;
    }
    gas_put(sw, GAS_PFF_COUNT, 1, sw->port_count);
    partition_show_all(sw);
    event_sum_up(sw);
}

static void apply(struct node_switch *sw, unsigned stack, const uint8_t lanes[STACK_PORTS]) {
    int came_or_went = 0;
    for (unsigned k = 0; k < STACK_PORTS; k++) {
        unsigned id = stack * STACK_PORTS + k;
        struct node_port *port = sw->by_id[id];
        if (split_of(sw, id) == lanes[k]) continue;
        if (port && !port->made) {
            set_width(port, lanes[k]);
            continue;
        }
        came_or_went = 1;
        if (lanes[k])
            make(sw, id, lanes[k]);
        else
            sw->by_id[id] = NULL;
    }
    if (!came_or_went) return;
    const uint8_t changed[8] = {(uint8_t)sw->index, (uint8_t)(stack * STACK_PORTS)};
    renumber(sw);
    gfms_event(sw, FAB_GFMS_DATABASE_CHANGED, changed, sizeof changed);
}

static uint32_t set(struct node_switch *sw, unsigned stack, uint32_t code) {
    uint8_t lanes[STACK_PORTS];
    uint32_t wrong = decode(sw, stack, code, lanes);
    if (!wrong) wrong = check(sw, stack, lanes);
    if (!wrong) apply(sw, stack, lanes);
    return wrong;
}

uint32_t mrpc_bifurcation(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    unsigned stack = in[1];
    if (sw->generation == 6 && sw->lanes >= GEN6_LARGE) return MRPC_ERR_COMMAND;
    if (in[0] > SUB_SET) return ERR_SUB;
    if (stack >= STACKS || !sw->stack_lanes[stack]) return ERR_STACK;
    uint32_t code = 0;
    uint32_t wrong = in[0] == SUB_SET ? set(sw, stack, (uint32_t)bytes_get(in + 4, 4)) : 0;
    if (wrong) return wrong;
    for (unsigned k = 0; k < STACK_PORTS; k++)
        code |= code_of(split_of(sw, stack * STACK_PORTS + k)) << (4 * k);
    out[0] = in[0];
    out[1] = (uint8_t)stack;
    bytes_put(out + 4, 4, code);
    return 0;
}
