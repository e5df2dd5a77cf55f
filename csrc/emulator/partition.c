/* Partitions: which ports each one holds, as its registers and firmware command 0x0C show them. */
#include <string.h>

#include "node.h"

enum {
    PART_PORT_COUNT = 0x08,
    PART_DSP_COUNT = 47,
    PART_USED = 1,
    SUB_BIND = 0,
    SUB_UNBIND = 1,
    SUB_INFO = 2,
    INFO_RECORDS = 48,
    INFO_ALL = 0xFF,
    INFO_BOUND = 0x10, /* low half: 0 = the last change went well */
    UNBIND_CAREFUL = 0,
    UNBIND_OPTIONS = 3 /* modelled: 0 leaves a port alone whose link is up, 1 and 2 take any */
};
enum { /* return codes of 0x0C */
       BIND_PORT_BOUND = 1,
       BIND_LOGICAL_BOUND = 2,
       BIND_NO_PARTITION = 3,
       BIND_NO_PORT = 4,
       BIND_PORT_DISABLED = 5,
       BIND_NO_LOGICAL = 6,
       BIND_IS_USP = 8,
       BIND_BAD_SUB = 9,
       BIND_LINK_ACTIVE = 0xA,
       BIND_LOGICAL_FREE = 0xB,
       BIND_BAD_OPTION = 0xC
};

struct node_port *partition_port(struct node_switch *sw, unsigned partition, unsigned logical) {
    for (uint32_t k = 0; k < sw->port_count; k++)
        if (sw->by_pff[k]->partition == partition && sw->by_pff[k]->logical == logical)
            return sw->by_pff[k];
    return NULL;
}

/* Writes a partition's registers from its ports: an upstream port, a virtual endpoint, and logical
 * port n in the n-th place of the downstream ports, counted from 1. */
static void show(struct node_switch *sw, unsigned partition) {
    uint32_t base = GAS_PART_CFG + GAS_PART_STRIDE * partition, count = 0;
    uint32_t list[PART_DSP_COUNT], usp = PFF_NONE, vep = PFF_NONE;
    memset(list, 0xFF, sizeof list); /* PFF_NONE */
    for (uint32_t k = 0; k < sw->port_count; k++) {
        const struct node_port *port = sw->by_pff[k];
        if (port->partition != partition) continue;
        count++;
        if (port->logical == LOGICAL_USP)
            usp = k;
        else if (port->logical == LOGICAL_VEP)
            vep = k;
        else
            list[port->logical - 1] = k;
    }
    gas_put(sw, base, 4, count ? PART_USED : 0);
    gas_put(sw, base + PART_PORT_COUNT, 4, count);
    gas_put(sw, base + PART_USP_PFF, 4, usp);
    gas_put(sw, base + PART_VEP_PFF, 4, vep);
    for (uint32_t k = 0; k < PART_DSP_COUNT; k++)
        gas_put(sw, base + PART_DSP_PFF + 4 * k, 4, list[k]);
}

/* The first host port is partition 0's upstream port, the management endpoint its virtual
 * endpoint; everything else hangs below as downstream ports. The other partitions are empty. */
void partition_build(struct node_switch *sw) {
    unsigned count = 0, usp = 0, vep = 0;
    sw->partitions = PARTITIONS;
    gas_put(sw, GAS_PARTITION_COUNT, 1, sw->partitions);
    gas_put(sw, GAS_NTB_PARTITION_COUNT, 1, sw->partitions);
    for (uint32_t k = 0; k < sw->port_count; k++) {
        struct node_port *port = sw->by_pff[k];
        port->partition = 0;
        if (port->made)
            port->partition = port->logical = PARTITION_NONE;
        else if (port->cfg.kind == FAB_PORT_HOST && !usp++)
            port->logical = LOGICAL_USP;
        else if (port->cfg.kind == FAB_PORT_MANAGEMENT && !vep++)
            port->logical = LOGICAL_VEP;
        else if (count < PART_DSP_COUNT)
            port->logical = (uint8_t)++count;
        else
            port->partition = PARTITION_NONE;
    }
    for (unsigned p = 0; p < sw->partitions; p++) {
        show(sw, p);
        gas_put(sw, GAS_PART_CFG + GAS_PART_STRIDE * p + PART_VEP_VECTOR, 2, VECTOR_EVENT);
    }
}

void partition_show_all(struct node_switch *sw) {
    for (unsigned p = 0; p < sw->partitions; p++) show(sw, p);
}

/* A host port may become the upstream port of a partition that has none. */
static uint32_t check_logical(const struct node_port *port, unsigned logical) {
    if (logical == LOGICAL_USP) return port->cfg.kind == FAB_PORT_HOST ? 0 : BIND_IS_USP;
    return logical > PART_DSP_COUNT ? BIND_NO_LOGICAL : 0;
}

static uint32_t bind_port(struct node_switch *sw, unsigned partition, unsigned logical,
                          unsigned id) {
    if (partition >= sw->partitions) return BIND_NO_PARTITION;
    struct node_port *port = id < NODE_PORT_IDS ? sw->by_id[id] : NULL;
    if (!port) return BIND_NO_PORT;
    uint32_t code = check_logical(port, logical);
    if (code) return code;
    if (port->link.disabled) return BIND_PORT_DISABLED;
    if (port->partition != PARTITION_NONE) return BIND_PORT_BOUND;
    if (partition_port(sw, partition, logical)) return BIND_LOGICAL_BOUND;
    port->partition = (uint8_t)partition;
    port->logical = (uint8_t)logical;
    show(sw, partition);
    event_partition(sw, partition, PART_DYN_BIND_COMP);
    return 0;
}

static uint32_t unbind_port(struct node_switch *sw, unsigned partition, unsigned logical,
                            unsigned option) {
    if (partition >= sw->partitions) return BIND_NO_PARTITION;
    if (logical == LOGICAL_USP) return BIND_IS_USP;
    if (logical > PART_DSP_COUNT) return BIND_NO_LOGICAL;
    if (option >= UNBIND_OPTIONS) return BIND_BAD_OPTION;
    struct node_port *port = partition_port(sw, partition, logical);
    if (!port) return BIND_LOGICAL_FREE;
    if (option == UNBIND_CAREFUL && port->up) return BIND_LINK_ACTIVE;
    port->partition = PARTITION_NONE;
    port->logical = PARTITION_NONE;
    show(sw, partition);
    event_leave(port);
    event_partition(sw, partition, PART_DYN_BIND_COMP);
    return 0;
}

static void info_record(const struct node_port *port, uint8_t *out) {
    out[0] = port->cfg.port;
    out[1] = port->partition;
    out[2] = port->logical;
    out[3] = port->partition != PARTITION_NONE ? INFO_BOUND : 0;
}

static uint32_t bind_info(struct node_switch *sw, unsigned id, uint8_t *out) {
    if (id != INFO_ALL && (id >= NODE_PORT_IDS || !sw->by_id[id])) return BIND_NO_PORT;
    for (uint32_t k = 0; k < sw->port_count && out[0] < INFO_RECORDS; k++)
        if (id == INFO_ALL || sw->by_pff[k]->cfg.port == id)
            info_record(sw->by_pff[k], out + 4 + 4 * out[0]++);
    return 0;
}

uint32_t mrpc_port_bind(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    switch (in[0]) {
        case SUB_BIND:
            return bind_port(sw, in[1], in[2], in[3]);
        case SUB_UNBIND:
            return unbind_port(sw, in[1], in[2], in[3]);
        case SUB_INFO:
            return bind_info(sw, in[1], out);
        default:
            return BIND_BAD_SUB;
    }
}
