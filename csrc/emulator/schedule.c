/* What happens by itself at its time: link states that end, windows that come back, resets that
 * were answered, faults that were asked for beforehand. */
#include <errno.h>
#include <string.h>

#include "node.h"

void schedule_at(struct fab_node *node, uint64_t at_ns) {
    if (at_ns < node->due_ns) node->due_ns = at_ns;
}

static void run_port(struct node_port *port, uint64_t now) {
    if (link_lead(port) == port && port->link.due_ns <= now) link_due(port);
    if (port->ones_until_ns && port->ones_until_ns <= now) fault_ones_end(port);
}

static void run_faults(struct fab_node *node) {
    while (node->fault_count && node->faults[0].at_ns <= node->moved_ns) {
        struct node_fault f = node->faults[0];
        node->fault_count--;
        memmove(node->faults, node->faults + 1, node->fault_count * sizeof f);
        fault_inject(node, f.sw, f.fault, f.port, f.count); /* checked when it was asked for */
    }
}

static void run_switch(struct node_switch *sw) {
    if (sw->reset_at_ns && sw->reset_at_ns <= sw->node->moved_ns) switch_reset(sw);
}

static void look_ahead(struct fab_node *node) {
    node->due_ns = node->fault_count ? node->faults[0].at_ns : NODE_NEVER;
    for (uint32_t k = 0; k < node->config.switches; k++)
        if (node->switches[k].reset_at_ns) schedule_at(node, node->switches[k].reset_at_ns);
    for (uint32_t k = 0; k < node->config.ports; k++) {
        const struct node_port *port = &node->ports[k];
        schedule_at(node, port->link.due_ns);
        if (port->ones_until_ns) schedule_at(node, port->ones_until_ns);
    }
}

void schedule_run(struct fab_node *node) {
    while (node->due_ns <= node->moved_ns) {
        for (uint32_t k = 0; k < node->config.ports; k++) run_port(&node->ports[k], node->moved_ns);
        for (uint32_t k = 0; k < node->config.switches; k++) run_switch(&node->switches[k]);
        run_faults(node);
        look_ahead(node);
    }
}

/* In order of time; of the same time, in the order asked for. */
static void insert(struct fab_node *node, const struct node_fault *f) {
    uint32_t at = node->fault_count++;
    for (; at && node->faults[at - 1].at_ns > f->at_ns; at--)
        node->faults[at] = node->faults[at - 1];
    node->faults[at] = *f;
    schedule_at(node, f->at_ns);
}

int fab_node_fault_at(fab_node *node, uint64_t at_ns, size_t sw, int fault, uint8_t port,
                      uint32_t count) {
    pthread_mutex_lock(&node->lock);
    int rc = fault_check(node, sw, fault, port, count);
    if (!rc && node->fault_count == NODE_FAULTS) rc = -ENOSPC;
    if (!rc) {
        struct node_fault f = {at_ns, count, (uint8_t)sw, (uint8_t)fault, port};
        insert(node, &f);
        schedule_run(node);
        node_deliver(node);
    }
    pthread_mutex_unlock(&node->lock);
    return rc;
}

uint64_t fab_node_moved_ns(fab_node *node) {
    pthread_mutex_lock(&node->lock);
    uint64_t moved = node->moved_ns;
    pthread_mutex_unlock(&node->lock);
    return moved;
}
