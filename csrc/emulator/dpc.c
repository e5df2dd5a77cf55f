/* Downstream Port Containment: a port that cuts its link off when an error comes from there. */
#include "node.h"

enum { EXTENSION_SOFTWARE = 1 };

static void trigger(struct node_port *port, unsigned reason, unsigned extension, uint16_t source) {
    struct space *s = &port->space;
    if (port->link.contained) return;
    uint32_t bits = DPC_TRIGGERED | reason << DPC_REASON_SHIFT | DPC_INTERRUPT;
    space_put(s, AT_DPC + DPC_STATUS, 2, bits | extension << DPC_EXTENSION_SHIFT);
    space_put(s, AT_DPC + DPC_SOURCE, 2, source);
    port->link.contained = 1;
    event_port(port, PFF_DPC);
    link_refresh(port);
}

static int is_capable(const struct node_port *port) {
    return port->cfg.kind == FAB_PORT_MODULE || port->cfg.kind == FAB_PORT_FABRIC;
}

void dpc_error(struct node_port *port, int fatal, unsigned reason, uint16_t source) {
    if (!is_capable(port)) return;
    unsigned on = space_get(&port->space, AT_DPC + DPC_CONTROL, 2) & 3;
    if (on == DPC_ON_ANY || (on == DPC_ON_FATAL && fatal)) trigger(port, reason, 0, source);
}

void dpc_written(struct node_port *port, uint32_t control) {
    unsigned on = space_get(&port->space, AT_DPC + DPC_CONTROL, 2) & 3;
    if (control & DPC_SOFTWARE && on) trigger(port, DPC_OTHER, EXTENSION_SOFTWARE, 0);
    uint32_t status = space_get(&port->space, AT_DPC + DPC_STATUS, 2);
    if (!port->link.contained || status & DPC_TRIGGERED) return;
    port->link.contained = 0;
    link_refresh(port);
}
