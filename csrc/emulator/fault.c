/* Faults on demand. */
#include <errno.h>

#include "node.h"

static void vanish(struct node_switch *sw, int gone) {
    sw->gone = (uint8_t)gone;
    fab_store_release(&sw->page->state, gone ? FAB_NODE_GONE : FAB_NODE_ALIVE);
    for (uint32_t k = 0; k < sw->port_count; k++) link_refresh(sw->by_pff[k]);
}

static int port_fault(struct node_port *port, int fault, uint32_t count) {
    switch (fault) {
        case FAB_FAULT_LINK_DOWN:
        case FAB_FAULT_LINK_UP:
            port->faulted = fault == FAB_FAULT_LINK_DOWN;
            link_refresh(port);
            return 0;
        case FAB_FAULT_VC_STUCK:
            port->vc.stuck = count;
            return 0;
        default:
            port->vc.torn = count;
            return 0;
    }
}

/* The counter of what a fault of the mailbox or of events does `count` times; NULL = no such. */
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

static int inject(struct fab_node *node, size_t sw, int fault, uint8_t port_id, uint32_t count) {
    if (sw >= node->config.switches) return -ENOENT;
    struct node_switch *s = &node->switches[sw];
    uint32_t *times = times_of(s, fault);
    if (times) *times = count;
    if (fault == FAB_FAULT_RESET) switch_reset(s);
    if (times || fault == FAB_FAULT_RESET) return 0;
    if (fault < FAB_FAULT_LINK_DOWN || fault > FAB_FAULT_BACK) return -EINVAL;
    if (fault == FAB_FAULT_GONE || fault == FAB_FAULT_BACK) {
        vanish(s, fault == FAB_FAULT_GONE);
        return 0;
    }
    struct node_port *port = node_find_port(node, sw, port_id);
    return port ? port_fault(port, fault, count) : -ENOENT;
}

int fab_node_fault(fab_node *node, size_t sw, int fault, uint8_t port, uint32_t count) {
    pthread_mutex_lock(&node->lock);
    int rc = inject(node, sw, fault, port, count);
    if (!rc) evcounter_check(&node->switches[sw]); /* an error may have been the last to come */
    node_deliver(node);
    pthread_mutex_unlock(&node->lock);
    return rc;
}
