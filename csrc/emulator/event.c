/* Event headers and their summaries: set by the node, written 1 to clear by clients. */
#include "node.h"

enum {
    GLOBAL_HEADERS = 0x1830,
    GLOBAL_EVENTS = 14,
    PART_HEADERS = 0x124, /* in the partition's block */
    PARTITION_EVENTS = 5, /* reset, MRPC done, async done, bind done, intercomm */
    PORT_EVENTS = 13,
    HEADER_STRIDE = PFF_EVENT_STRIDE,
    ENABLES = EVENT_EN_LOG | EVENT_EN_CLI | EVENT_EN_IRQ | EVENT_FATAL,
    COUNT_SHIFT = 5,
    COUNT_MASK = 0xFF << COUNT_SHIFT
};

static void set_bit(struct node_switch *sw, uint32_t at, unsigned bit, int on) {
    uint32_t value = gas_get(sw, at), mask = UINT32_C(1) << bit;
    gas_put(sw, at, 4, on ? value | mask : value & ~mask);
}

/* Bit 0 of the partition bitmap: partition 0 or one of its ports has an event. */
static void sum_up(struct node_switch *sw) {
    uint32_t any = gas_get(sw, GAS_PART_CFG + PART_EVENT_SUMMARY);
    for (uint32_t k = 0; k < sw->port_count && !any; k++)
        any = gas_get(sw, GAS_PFF + GAS_PFF_STRIDE * k + PFF_EVENT_SUMMARY);
    gas_put(sw, GAS_EVENT_PARTITIONS, 8, any != 0);
}

static void occur(struct node_switch *sw, uint32_t header, uint32_t summary, unsigned k) {
    uint32_t value = gas_get(sw, header);
    /* the count wraps, so that a watcher sees every event move it */
    uint32_t count = (value + (1u << COUNT_SHIFT)) & COUNT_MASK;
    gas_put(sw, header, 4, (value & ~(uint32_t)COUNT_MASK) | count | EVENT_OCCURRED);
    set_bit(sw, summary, k, 1);
    gas_put(sw, GAS_EVENT_PARTITIONS, 8, 1);
}

void event_port(struct node_port *port, unsigned k) {
    uint32_t base = GAS_PFF + GAS_PFF_STRIDE * (uint32_t)port->pff;
    occur(port->sw, base + PFF_EVENT_HEADERS + HEADER_STRIDE * k, base + PFF_EVENT_SUMMARY, k);
}

void event_partition(struct node_switch *sw, unsigned k) {
    occur(sw, GAS_PART_CFG + PART_HEADERS + HEADER_STRIDE * k, GAS_PART_CFG + PART_EVENT_SUMMARY,
          k);
}

/* Which event's header a register is, given where its block's headers start; -1 = none. */
static int header_index(uint32_t at, uint32_t start, unsigned events) {
    if (at < start || at >= start + HEADER_STRIDE * events) return -1;
    return (at - start) % HEADER_STRIDE < 4 ? (int)((at - start) / HEADER_STRIDE) : -1;
}

static int locate(uint32_t at, uint32_t *summary) {
    if (at >= GAS_PFF) {
        uint32_t base = at - (at - GAS_PFF) % GAS_PFF_STRIDE;
        *summary = base + PFF_EVENT_SUMMARY;
        return header_index(at, base + PFF_EVENT_HEADERS, PORT_EVENTS);
    }
    if (at < GAS_PART_CFG) {
        *summary = GAS_EVENT_GLOBAL;
        return header_index(at, GLOBAL_HEADERS, GLOBAL_EVENTS);
    }
    *summary = GAS_PART_CFG + PART_EVENT_SUMMARY;
    return header_index(at, GAS_PART_CFG + PART_HEADERS, PARTITION_EVENTS);
}

int event_write(struct node_switch *sw, uint32_t at, uint32_t value) {
    uint32_t summary;
    int k = locate(at, &summary);
    if (k < 0) return 0;
    if (at & 3) return 1; /* only the first byte holds bits that a write may change */
    uint32_t header = gas_get(sw, at), enables = value & ENABLES;
    uint32_t next = (header & ~(uint32_t)ENABLES) | enables;
    if (value & EVENT_OCCURRED) next &= ~(uint32_t)(EVENT_OCCURRED | COUNT_MASK);
    gas_put(sw, at, 4, next);
    if (value & EVENT_OCCURRED) {
        set_bit(sw, summary, (unsigned)k, 0);
        sum_up(sw);
    }
    return 1;
}
