/* Event headers and their summaries: set by the node, written 1 to clear by clients; and the
 * listeners, who are told of events whose interrupt is enabled. */
#include <errno.h>
#include <string.h>

#include "node.h"

enum { HEADER_STRIDE = PFF_EVENT_STRIDE };

static void set_bit(struct node_switch *sw, uint32_t at, unsigned bit, int on) {
    uint32_t value = gas_get(sw, at), mask = UINT32_C(1) << bit;
    gas_put(sw, at, 4, on ? value | mask : value & ~mask);
}

void event_sum_up(struct node_switch *sw) {
    uint64_t bitmap = 0;
    for (unsigned p = 0; p < sw->partitions; p++) {
        uint32_t base = GAS_PART_CFG + GAS_PART_STRIDE * p;
        uint32_t any = gas_get(sw, base + PART_EVENT_SUMMARY);
        for (uint32_t k = 0; k < sw->port_count && !any; k++)
            if (sw->by_pff[k]->partition == p && !sw->by_pff[k]->ones_until_ns)
                any = gas_get(sw, GAS_PFF + GAS_PFF_STRIDE * k + PFF_EVENT_SUMMARY);
        if (any) bitmap |= UINT64_C(1) << p;
    }
    gas_put(sw, GAS_EVENT_PARTITIONS, 8, bitmap);
}

static int occur(struct node_switch *sw, uint32_t header, uint32_t summary, unsigned k) {
    uint32_t value = gas_get(sw, header);
    if (value & EVENT_NOT_SUPPORTED) return EVENT_LOST;
    if (sw->events_lost) {
        sw->events_lost--;
        return EVENT_LOST;
    }
    /* the count wraps, so that a watcher sees every event move it */
    uint32_t count = (value + (1u << EVENT_COUNT_SHIFT)) & EVENT_COUNT_MASK;
    gas_put(sw, header, 4, (value & ~EVENT_COUNT_MASK) | count | EVENT_OCCURRED);
    set_bit(sw, summary, k, 1);
    return value & EVENT_EN_IRQ ? EVENT_TELLS : EVENT_SILENT;
}

void event_port(struct node_port *port, unsigned k) {
    if (port->partition == PARTITION_NONE) return; /* no bridge that it could be an event of */
    if (port->ones_until_ns) {                     /* nothing can be seen there now */
        port->ones_events |= UINT32_C(1) << k;
        return;
    }
    uint32_t base = GAS_PFF + GAS_PFF_STRIDE * (uint32_t)port->pff;
    uint32_t header = base + PFF_EVENT_HEADERS + HEADER_STRIDE * k;
    if (occur(port->sw, header, base + PFF_EVENT_SUMMARY, k) == EVENT_TELLS)
        event_raise(port->sw, VECTOR_EVENT);
    event_sum_up(port->sw);
}

/* Through the space's words, which stand aside while the window reads as ones. */
void event_leave(struct node_port *port) {
    port->ones_events = 0;
    space_put(&port->space, PFF_EVENT_SUMMARY, 4, 0);
    for (unsigned k = 0; k < PFF_EVENTS; k++) {
        uint32_t at = PFF_EVENT_HEADERS + HEADER_STRIDE * k;
        uint32_t happened = EVENT_OCCURRED | EVENT_COUNT_MASK;
        space_put(&port->space, at, 4, space_get(&port->space, at, 4) & ~happened);
    }
    event_sum_up(port->sw);
}

int event_mark_partition(struct node_switch *sw, unsigned partition, unsigned k) {
    uint32_t base = GAS_PART_CFG + GAS_PART_STRIDE * partition;
    uint32_t header = base + PART_EVENT_HEADERS + HEADER_STRIDE * k;
    int marked = occur(sw, header, base + PART_EVENT_SUMMARY, k);
    event_sum_up(sw);
    return marked;
}

void event_partition(struct node_switch *sw, unsigned partition, unsigned k) {
    if (event_mark_partition(sw, partition, k) == EVENT_TELLS) event_raise(sw, VECTOR_EVENT);
}

void event_global(struct node_switch *sw, unsigned k) {
    if (occur(sw, GLOBAL_EVENT_HEADERS + HEADER_STRIDE * k, GAS_EVENT_GLOBAL, k) == EVENT_TELLS)
        event_raise(sw, VECTOR_EVENT);
}

static void clear_block(struct node_switch *sw, uint32_t summary, uint32_t headers, unsigned n) {
    gas_put(sw, summary, 4, 0);
    for (uint32_t at = headers; at < headers + HEADER_STRIDE * n; at += 4) gas_put(sw, at, 4, 0);
}

void event_build(struct node_switch *sw) {
    memset(sw->told, 0, sizeof sw->told);
    clear_block(sw, GAS_EVENT_GLOBAL, GLOBAL_EVENT_HEADERS, GLOBAL_EVENTS);
    for (unsigned p = 0; p < sw->partitions; p++) {
        uint32_t base = GAS_PART_CFG + GAS_PART_STRIDE * p;
        clear_block(sw, base + PART_EVENT_SUMMARY, base + PART_EVENT_HEADERS, PART_EVENTS);
    }
    for (uint32_t k = 0; k < sw->port_count; k++) {
        uint32_t base = GAS_PFF + GAS_PFF_STRIDE * k;
        clear_block(sw, base + PFF_EVENT_SUMMARY, base + PFF_EVENT_HEADERS, PFF_EVENTS);
    }
    gas_put(sw, GAS_EVENT_PARTITIONS, 8, 0);
    if (sw->family != FAMILY_PAX) /* without a fabric manager nothing can come from one */
        gas_put(sw, GLOBAL_EVENT_HEADERS + HEADER_STRIDE * GLOBAL_GFMS, 4, EVENT_NOT_SUPPORTED);
}

/* ---- who is told ---- */

void event_raise(struct node_switch *sw, unsigned vector) {
    if (vector < VECTORS) sw->told[vector] = sw->node->told = 1;
}

void event_deliver(struct node_switch *sw) {
    for (unsigned vector = 0; vector < VECTORS; vector++) {
        if (!sw->told[vector]) continue;
        sw->told[vector] = 0;
        for (struct node_listener *l = sw->listeners; l; l = l->next) l->tell(l->context, vector);
    }
}

void node_deliver(struct fab_node *node) {
    if (!node->told) return; /* every register write asks */
    node->told = 0;
    for (uint32_t k = 0; k < node->config.switches; k++) event_deliver(&node->switches[k]);
}

int node_listen(struct fab_node *node, size_t sw, struct node_listener *listener) {
    if (sw >= node->config.switches) return -ENOENT;
    pthread_mutex_lock(&node->lock);
    listener->next = node->switches[sw].listeners;
    node->switches[sw].listeners = listener;
    pthread_mutex_unlock(&node->lock);
    return 0;
}

void node_unlisten(struct fab_node *node, size_t sw, struct node_listener *listener) {
    if (sw >= node->config.switches) return;
    pthread_mutex_lock(&node->lock);
    struct node_listener **at = &node->switches[sw].listeners;
    while (*at && *at != listener) at = &(*at)->next;
    if (*at) *at = listener->next;
    pthread_mutex_unlock(&node->lock);
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
        return header_index(at, base + PFF_EVENT_HEADERS, PFF_EVENTS);
    }
    if (at < GAS_PART_CFG) {
        *summary = GAS_EVENT_GLOBAL;
        return header_index(at, GLOBAL_EVENT_HEADERS, GLOBAL_EVENTS);
    }
    uint32_t base = at - (at - GAS_PART_CFG) % GAS_PART_STRIDE;
    *summary = base + PART_EVENT_SUMMARY;
    return header_index(at, base + PART_EVENT_HEADERS, PART_EVENTS);
}

int event_write(struct node_switch *sw, uint32_t at, uint32_t value) {
    uint32_t summary;
    int k = locate(at, &summary);
    if (k < 0) return 0;
    if (at & 3) return 1; /* only the first byte holds bits that a write may change */
    uint32_t header = gas_get(sw, at);
    if (header & EVENT_NOT_SUPPORTED) return 1;
    uint32_t next = (header & ~(uint32_t)EVENT_ENABLES) | (value & EVENT_ENABLES);
    if (value & EVENT_OCCURRED) next &= ~(EVENT_OCCURRED | EVENT_COUNT_MASK);
    gas_put(sw, at, 4, next);
    if (value & EVENT_OCCURRED) {
        set_bit(sw, summary, (unsigned)k, 0);
        event_sum_up(sw);
    }
    return 1;
}
