/* Hot-plug: a module's presence and power, and what its slot shows of them. */
#include "node.h"

int hotplug_ready(const struct node_port *port) {
    return !port->link.absent && !port->link.unpowered && !port->link.dark;
}

static void show(struct node_port *port, uint32_t bits) {
    uint32_t at = PORT_PCIE + PCIE_SLTSTA;
    uint32_t state = space_get(&port->space, at, 2) & ~(uint32_t)SLTSTA_PRESENT;
    if (!port->link.absent) state |= SLTSTA_PRESENT;
    space_put(&port->space, at, 2, state | bits);
}

/* Without power a module forgets everything. */
static void settle(struct node_port *port) {
    link_refresh(port);
    if (hotplug_ready(port)) return;
    function_spaces_reset(port, RESET_COLD);
    port->sw->node->modules[port->cfg.index].heat.draw_w = 0.0;
}

void hotplug_present(struct node_port *port, int present) {
    if (port->link.absent == !present) return;
    port->link.absent = !present;
    if (!present) port->link.dark = 0; /* another supply comes with the next module */
    show(port, SLTSTA_PRESENCE_CHANGED);
    event_port(port, PFF_HOTPLUG);
    settle(port);
}

void hotplug_supply(struct node_port *port, int good) {
    if (port->link.dark == !good) return;
    port->link.dark = !good;
    show(port, good ? 0 : SLTSTA_POWER_FAULT);
    event_port(port, PFF_HOTPLUG);
    settle(port);
}

void hotplug_control(struct node_port *port) {
    int off = (space_get(&port->space, PORT_PCIE + PCIE_SLTCTL, 2) & SLTCTL_POWER_OFF) != 0;
    if (port->link.unpowered == off) return;
    port->link.unpowered = (uint8_t)off;
    settle(port);
}

/* LINK_STATE tells it already; the slot's event only whoever has enabled it there. */
void hotplug_link(struct node_port *port) {
    show(port, SLTSTA_LINK_CHANGED);
    if (space_get(&port->space, PORT_PCIE + PCIE_SLTCTL, 2) & SLTCTL_LINK_ENABLE)
        event_port(port, PFF_HOTPLUG);
}
