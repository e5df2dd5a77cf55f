/* Link states: what brings a link down, and everything that shows it. */
#include "node.h"

static int trains(const struct node_port *port) {
    return !port->sw->gone && !port->disabled && !port->held && !port->faulted && !port->unused &&
           port->cfg.lanes;
}

static int should_be_up(const struct node_port *port) {
    if (port->cfg.kind == FAB_PORT_FABRIC) return port->peer && trains(port) && trains(port->peer);
    return trains(port);
}

static int settle(struct node_port *port) {
    uint8_t up = (uint8_t)should_be_up(port);
    if (up == port->up) return 0;
    port->up = up;
    port_space_link(port);
    wiring_capacity(port);
    return 1;
}

void link_train(struct node_port *port) {
    settle(port);
    wiring_capacity(port);
    if (port->cfg.kind == FAB_PORT_MODULE)
        space_put(&port->space, PORT_PCIE + PCIE_SLTSTA, 2, SLTSTA_PRESENT);
}

static void settle_and_tell(struct node_port *port) {
    if (!settle(port)) return;
    event_port(port, PFF_EVENT_LINK_STATE);
    gfms_link(port);
}

void link_refresh(struct node_port *port) {
    settle_and_tell(port);
    if (port->peer) settle_and_tell(port->peer);
}

/* Down and up again, as a retraining is seen by both ends: two changes each. */
static void pulse(struct node_port *port) {
    uint8_t held = port->held;
    port->held = 1;
    link_refresh(port);
    port->held = held;
    link_refresh(port);
}

void link_control(struct node_port *port, unsigned action, unsigned flag) {
    switch (action) {
        case FAB_PORT_DISABLE:
        case FAB_PORT_ENABLE:
            port->disabled = action == FAB_PORT_DISABLE;
            if (port->cfg.kind == FAB_PORT_MODULE || port->cfg.kind == FAB_PORT_FABRIC) {
                uint32_t at = PORT_PCIE + PCIE_LNKCTL;
                uint32_t rest = space_get(&port->space, at, 2) & ~(uint32_t)LNKCTL_DISABLE;
                space_put(&port->space, at, 2, rest | (port->disabled ? LNKCTL_DISABLE : 0));
            }
            break;
        case FAB_PORT_RETRAIN:
            pulse(port);
            break;
        default:
            if (flag || port->held)
                port->held = (uint8_t)flag;
            else
                pulse(port); /* clearing a reset that is not held: a short one */
            if (port->cfg.kind == FAB_PORT_MODULE) function_spaces_reset(port);
    }
    link_refresh(port);
}
