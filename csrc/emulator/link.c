/* Links: what brings one down, what limits it, and who is told. How it comes up takes time:
 * training.c. */
#include "node.h"

/* Nothing at this end keeps the link down. */
static int willing(const struct node_port *port) {
    const struct link_end *e = &port->link;
    if (port->sw->gone || e->disabled || e->held || e->faulted || e->contained) return 0;
    return !port->unused && port->cfg.lanes &&
           (port->cfg.kind != FAB_PORT_MODULE || hotplug_ready(port));
}

static int should_be_up(const struct node_port *port) {
    if (port->cfg.kind == FAB_PORT_FABRIC)
        return port->peer && willing(port) && willing(port->peer);
    return willing(port);
}

/* The link has failed, where an orderly end (Link Disable, reset, power control) is announced. */
static int failed(const struct node_port *end) {
    const struct link_end *e = &end->link;
    return end->sw->gone || e->faulted || e->absent || e->dark;
}

static int failed_at(const struct node_port *port) {
    return failed(port) || (port->peer && failed(port->peer));
}

void link_throttle(struct node_port *port) {
    double most = 1.0;
    if (port->cfg.kind == FAB_PORT_MODULE)
        most = port->sw->node->modules[port->cfg.index].heat.throttle;
    port->throttle = port->link.state == LINK_L0 ? most : 0.0;
    wiring_capacity(port);
}

void link_tell(struct node_port *port, int came_or_went) {
    event_port(port, PFF_LINK_STATE);
    if (came_or_went) gfms_link(port);
}

void link_start(struct node_port *port) {
    struct node_port *lead = link_lead(port);
    lead->link.due_ns = port->link.due_ns = NODE_NEVER;
    if (lead == port) link_enter(lead, should_be_up(lead) ? LINK_L0 : LINK_DOWN);
    /* nobody has seen it come up */
    if (port->cfg.kind == FAB_PORT_MODULE)
        space_put(&port->space, PORT_PCIE + PCIE_SLTSTA, 2, SLTSTA_PRESENT);
}

static void surprise(struct node_port *lead) {
    aer_surprise_down(lead);
    if (lead->peer) aer_surprise_down(lead->peer);
}

void link_refresh(struct node_port *port) {
    struct node_port *lead = link_lead(port);
    if (should_be_up(lead)) {
        if (lead->link.state == LINK_DOWN) link_enter(lead, LINK_DETECT);
        return;
    }
    int surprised = lead->up && failed_at(lead);
    link_enter(lead, LINK_DOWN);
    if (surprised) surprise(lead);
}

void link_flap(struct node_port *port, unsigned times) {
    struct node_port *lead = link_lead(port);
    if (!times) return;
    lead->link.flaps = (uint8_t)(times - (lead->link.state == LINK_L0));
    if (lead->link.state != LINK_L0) return; /* it begins when the link is there */
    link_enter(lead, LINK_DETECT);
    surprise(lead);
}

void link_retrain(struct node_port *port) {
    struct node_port *lead = link_lead(port);
    if (lead->link.state == LINK_L0) link_enter(lead, LINK_RECOVERY);
}

void link_restart(struct node_port *port) {
    struct node_port *lead = link_lead(port);
    if (lead->link.state != LINK_DOWN) link_enter(lead, LINK_RESET);
}

static void disable(struct node_port *port, int off) {
    port->link.disabled = (uint8_t)off;
    if (port->cfg.kind == FAB_PORT_MODULE || port->cfg.kind == FAB_PORT_FABRIC) {
        uint32_t at = PORT_PCIE + PCIE_LINK_CONTROL;
        uint32_t rest = space_get(&port->space, at, 2) & ~(uint32_t)LINK_DISABLE;
        space_put(&port->space, at, 2, rest | (off ? LINK_DISABLE : 0));
    }
    link_refresh(port);
}

/* With flag 0: releases one that is held, or is a short one. */
static void hot_reset(struct node_port *port, unsigned flag) {
    if (flag || port->link.held) {
        port->link.held = flag != 0;
        link_refresh(port);
        return;
    }
    link_restart(port);
}

void link_control(struct node_port *port, unsigned action, unsigned flag) {
    switch (action) {
        case FAB_PORT_DISABLE:
        case FAB_PORT_ENABLE:
            disable(port, action == FAB_PORT_DISABLE);
            break;
        case FAB_PORT_RETRAIN:
            link_retrain(port);
            break;
        default:
            hot_reset(port, flag);
            break;
    }
}
