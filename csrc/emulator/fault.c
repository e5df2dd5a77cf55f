/* Faults on demand. */
#include <errno.h>
#include <string.h>

#include "node.h"

#define NS_PER_US UINT64_C(1000)

enum { FLAPS_MOST = 255, ONES_MOST_US = 3600u * 1000000u };

static void vanish(struct node_switch *sw, int gone) {
    if (sw->gone == gone) return;
    sw->gone = (uint8_t)gone;
    fab_store_release(&sw->page->state, gone ? FAB_NODE_GONE : FAB_NODE_ALIVE);
    for (uint32_t k = 0; k < sw->port_count; k++) link_refresh(sw->by_pff[k]);
}

/* ---- a window of ones: what it held is kept aside, and goes on there ---- */

static void ones_begin(struct node_port *port, uint32_t us) {
    struct fab_node *node = port->sw->node;
    uint32_t base = GAS_PFF + GAS_PFF_STRIDE * (uint32_t)port->pff;
    if (!port->ones_until_ns) {
        memcpy(port->window, port->sw->image + base, sizeof port->window);
        port->space.words = port->window;
        for (uint32_t k = 0; k < GAS_PFF_STRIDE; k += 4) gas_put(port->sw, base + k, 4, UINT32_MAX);
    }
    port->ones_until_ns = node->moved_ns + us * NS_PER_US;
    schedule_at(node, port->ones_until_ns);
}

void fault_ones_end(struct node_port *port) {
    uint32_t base = GAS_PFF + GAS_PFF_STRIDE * (uint32_t)port->pff, events = port->ones_events;
    port->ones_until_ns = 0;
    port->ones_events = 0;
    port->space.words = (uint32_t *)(void *)(port->sw->image + base);
    for (uint32_t k = 0; k < GAS_PFF_STRIDE; k += 4)
        gas_put(port->sw, base + k, 4, port->window[k / 4]);
    for (unsigned k = 0; k < PFF_EVENTS; k++)
        if (events >> k & 1) event_port(port, k);
}

/* ---- what each does ---- */

static int is_known(int fault) {
    return fault >= FAB_FAULT_LINK_DOWN && fault <= FAB_FAULT_SUPPLY_BACK;
}

/* The switch's own, without a port. */
static int is_of_switch(int fault) {
    return fault == FAB_FAULT_MRPC_STUCK || fault == FAB_FAULT_MRPC_INTERRUPTED ||
           fault == FAB_FAULT_GONE || fault == FAB_FAULT_BACK || fault == FAB_FAULT_EVENT_LOST ||
           fault == FAB_FAULT_FIRMWARE_TORN || fault == FAB_FAULT_RESET;
}

static int is_of_module(int fault) {
    return fault == FAB_FAULT_REMOVED || fault == FAB_FAULT_INSERTED || fault == FAB_FAULT_HEAT ||
           fault == FAB_FAULT_SUPPLY_LOST || fault == FAB_FAULT_SUPPLY_BACK;
}

/* The counter of what a fault does `count` times; NULL = no such. */
static uint32_t *times_of(struct node_switch *sw, int fault) {
    switch (fault) {
        case FAB_FAULT_MRPC_STUCK:
            return &sw->stuck;
        case FAB_FAULT_MRPC_INTERRUPTED:
            return &sw->interrupted;
        case FAB_FAULT_EVENT_LOST:
            return &sw->events_lost;
        case FAB_FAULT_FIRMWARE_TORN:
            return &sw->firmware.torn;
        default:
            return NULL;
    }
}

static int switch_fault(struct node_switch *sw, int fault, uint32_t count) {
    uint32_t *times = times_of(sw, fault);
    if (times)
        *times = count;
    else if (fault == FAB_FAULT_RESET)
        switch_reset(sw);
    else
        vanish(sw, fault == FAB_FAULT_GONE);
    return 0;
}

static int module_fault(struct node_port *port, int fault, uint32_t count) {
    switch (fault) {
        case FAB_FAULT_REMOVED:
        case FAB_FAULT_INSERTED:
            hotplug_present(port, fault == FAB_FAULT_INSERTED);
            return 0;
        case FAB_FAULT_SUPPLY_LOST:
        case FAB_FAULT_SUPPLY_BACK:
            hotplug_supply(port, fault == FAB_FAULT_SUPPLY_BACK);
            return 0;
        default:
            port->sw->node->modules[port->cfg.index].heat.extra_w = count;
            return 0;
    }
}

/* A limit to what the link trains to, and its end, are both followed by training anew. */
static int limit(struct node_port *port, uint8_t *most, uint32_t count) {
    *most = (uint8_t)count;
    link_retrain(port);
    return 0;
}

static int port_fault(struct node_port *port, int fault, uint32_t count) {
    switch (fault) {
        case FAB_FAULT_LINK_DOWN:
        case FAB_FAULT_LINK_UP:
            port->link.faulted = fault == FAB_FAULT_LINK_DOWN;
            link_refresh(port);
            return 0;
        case FAB_FAULT_LINK_FLAP:
            link_flap(port, count);
            return 0;
        case FAB_FAULT_WIDTH:
            return limit(port, &port->link.lanes_most, count);
        case FAB_FAULT_SPEED:
            return limit(port, &port->link.gen_most, count);
        case FAB_FAULT_ALL_ONES:
            ones_begin(port, count);
            return 0;
        case FAB_FAULT_VC_STUCK:
            port->vc.stuck = count;
            return 0;
        case FAB_FAULT_TORN_WRITE:
            port->vc.torn = count;
            return 0;
        default:
            return aer_inject(port, AER_CORRECTABLE + (fault - FAB_FAULT_CORRECTABLE), count);
    }
}

static int count_ok(int fault, uint32_t count) {
    switch (fault) {
        case FAB_FAULT_LINK_FLAP:
            return count >= 1 && count <= FLAPS_MOST;
        case FAB_FAULT_WIDTH:
            return count <= 16;
        case FAB_FAULT_SPEED:
            return count <= 6;
        case FAB_FAULT_ALL_ONES:
            return count >= 1 && count <= ONES_MOST_US;
        case FAB_FAULT_CORRECTABLE:
        case FAB_FAULT_NONFATAL:
        case FAB_FAULT_FATAL:
            return aer_check(fault - FAB_FAULT_CORRECTABLE, count) == 0;
        default:
            return 1;
    }
}

int fault_check(const struct fab_node *node, size_t sw, int fault, uint8_t port_id,
                uint32_t count) {
    if (!is_known(fault) || !count_ok(fault, count)) return -EINVAL;
    if (sw >= node->config.switches) return -ENOENT;
    if (is_of_switch(fault)) return 0;
    const struct node_port *port =
        port_id < NODE_PORT_IDS ? node->switches[sw].by_id[port_id] : NULL;
    if (!port || (is_of_module(fault) && port->cfg.kind != FAB_PORT_MODULE)) return -ENOENT;
    return 0;
}

int fault_inject(struct fab_node *node, size_t sw, int fault, uint8_t port_id, uint32_t count) {
    int rc = fault_check(node, sw, fault, port_id, count);
    if (rc < 0) return rc;
    if (is_of_switch(fault)) return switch_fault(&node->switches[sw], fault, count);
    struct node_port *port = node->switches[sw].by_id[port_id];
    return is_of_module(fault) ? module_fault(port, fault, count) : port_fault(port, fault, count);
}

int fab_node_fault(fab_node *node, size_t sw, int fault, uint8_t port, uint32_t count) {
    pthread_mutex_lock(&node->lock);
    int rc = fault_inject(node, sw, fault, port, count);
    if (!rc) evcounter_check(&node->switches[sw]); /* an error may have been the last to come */
    node_deliver(node);
    pthread_mutex_unlock(&node->lock);
    return rc;
}
