/* The config space of a switch port: layout, link status, and what writes to it do. */
#include "node.h"

enum {
    AT_POWER = 0x40,
    AT_AER = 0x100,
    AT_ACS = 0x150,
    AT_DPC = 0x160,
    AT_PHY = 0x180, /* up to 0x2A0 with 16 lanes of Gen5 */
    AT_SERIAL = 0x2D0,
    AT_VC = 0x300, /* its table ends at 0x420 at the latest, the window at 0x800 */
    BRIDGE_CONTROL = 0x3E,
    BRIDGE_BUS_RESET = 1 << 6
};

static void header(struct space *s, const struct node_port *port, uint32_t device_id) {
    int endpoint = port->cfg.kind == FAB_PORT_MANAGEMENT;
    space_put(s, 0x00, 4, PFF_VENDOR | device_id << 16);
    space_allow(s, 0x04, 2, 0x0547);
    space_put(s, 0x06, 2, 0x0010); /* has capabilities */
    space_clearable(s, 0x06, 2, 0xF900);
    space_put(s, 0x08, 4, endpoint ? 0x05800000 : 0x06040000);
    space_allow(s, 0x0C, 1, 0xFF);
    space_allow(s, 0x3C, 1, 0xFF);
    if (endpoint) {
        space_allow(s, 0x10, 4, 0xFFC00000); /* the 4 MiB BAR */
        space_put(s, 0x2C, 4, PFF_VENDOR | device_id << 16);
        return;
    }
    /* an upstream port is function 0 beside the management endpoint */
    space_put(s, 0x0E, 1, port->cfg.kind == FAB_PORT_HOST ? 0x81 : 0x01);
    space_allow(s, 0x18, 4, 0x00FFFFFF); /* bus numbers */
    space_put(s, 0x1C, 2, 0x0101);
    space_allow(s, 0x1C, 2, 0xF0F0);
    space_clearable(s, 0x1E, 2, 0xF900);
    space_allow(s, 0x20, 4, 0xFFF0FFF0);
    space_put(s, 0x24, 4, 0x00010001);
    space_allow(s, 0x24, 4, 0xFFF0FFF0);
    space_allow(s, 0x28, 4, UINT32_MAX);
    space_allow(s, 0x2C, 4, UINT32_MAX);
    space_allow(s, BRIDGE_CONTROL, 2, 0x005F);
}

static void access_control(struct space *s, int downstream) {
    /* downstream: validation, blocking, redirects, upstream forwarding, direct translated */
    uint32_t can = downstream ? 0x5F : 0x4C;
    space_ext(s, AT_ACS, 0x000D, 1);
    space_put(s, AT_ACS + 4, 2, can);
    space_allow(s, AT_ACS + 6, 2, can);
}

static void containment(struct space *s) {
    space_ext(s, AT_DPC, 0x001D, 1);
    space_put(s, AT_DPC + 4, 2, 1u << 6 | 1u << 7 | 1u << 12);
    space_allow(s, AT_DPC + 6, 2, 0x009F);
    space_clearable(s, AT_DPC + 8, 2, 0x0009);
}

static uint64_t serial_of(const struct node_port *port) {
    return port->sw->node->config.seed << 16 ^ (uint64_t)PFF_VENDOR << 48 ^ port->sw->index;
}

void port_space_build(struct node_port *port) {
    struct space *s = &port->space;
    const struct fab_node_config *config = &port->sw->node->config;
    int host = port->cfg.kind == FAB_PORT_HOST, endpoint = port->cfg.kind == FAB_PORT_MANAGEMENT;
    s->words = (uint32_t *)(void *)(port->sw->image + GAS_PFF + GAS_PFF_STRIDE * port->pff);
    s->writable = port->writable;
    s->clearable = port->clearable;
    header(s, port, config->device_id[port->sw->index]);
    space_power(s, AT_POWER);
    unsigned type = endpoint ? PCIE_ENDPOINT : host ? PCIE_UPSTREAM : PCIE_DOWNSTREAM;
    space_pcie(s, PORT_PCIE, type, port, config);
    space_aer(s, AT_AER);
    if (!endpoint) access_control(s, !host);
    if (!endpoint && !host) containment(s);
    space_phy(s, AT_PHY, port->cfg.gen, port->cfg.cfg_lanes);
    space_serial(s, AT_SERIAL, serial_of(port));
    if (!endpoint) vc_build(&port->vc, s, AT_VC, EXT_CAP_VC, port->cfg.phases, 8);
}

void port_space_link(struct node_port *port) {
    struct space *s = &port->space;
    int reports = port->cfg.kind == FAB_PORT_MODULE || port->cfg.kind == FAB_PORT_FABRIC;
    uint32_t keep = space_get(s, PORT_PCIE + PCIE_LNKSTA, 2) & 0xC000;
    uint32_t state = port->up ? port->cfg.gen | (uint32_t)port->cfg.lanes << 4 : 1;
    if (port->up && reports) state |= LNKSTA_ACTIVE;
    space_put(s, PORT_PCIE + PCIE_LNKSTA, 2, keep | state | 1u << 12);
    if (port->cfg.kind != FAB_PORT_MODULE) return;
    uint32_t slot = space_get(s, PORT_PCIE + PCIE_SLTSTA, 2);
    space_put(s, PORT_PCIE + PCIE_SLTSTA, 2, slot | SLTSTA_LINK_CHANGED);
}

/* Link Disable, Retrain Link and Secondary Bus Reset act on the link. */
static void control_link(struct node_port *port, uint32_t at, unsigned bytes, uint32_t value,
                         uint32_t old_bridge) {
    uint32_t link = PORT_PCIE + PCIE_LNKCTL;
    if (port->cfg.kind != FAB_PORT_MODULE && port->cfg.kind != FAB_PORT_FABRIC) return;
    if (at == link) {
        unsigned off = (space_get(&port->space, link, 2) & LNKCTL_DISABLE) != 0;
        if (off != port->disabled)
            link_control(port, off ? FAB_PORT_DISABLE : FAB_PORT_ENABLE, 0);
        else if (value & LNKCTL_RETRAIN)
            link_control(port, FAB_PORT_RETRAIN, 0);
    } else if (at <= BRIDGE_CONTROL && at + bytes > BRIDGE_CONTROL) {
        uint32_t now = space_get(&port->space, BRIDGE_CONTROL, 1) & BRIDGE_BUS_RESET;
        if (now != (old_bridge & BRIDGE_BUS_RESET))
            link_control(port, FAB_PORT_HOT_RESET, now != 0);
    }
}

void port_space_write(struct node_port *port, uint32_t at, uint32_t value, unsigned bytes) {
    int vc = vc_write(&port->vc, &port->space, at, value, bytes);
    if (vc == VC_IN_FORCE) wiring_port_table(port);
    if (vc != VC_OTHER) return;
    uint32_t bridge = space_get(&port->space, BRIDGE_CONTROL, 1);
    space_write(&port->space, at, value, bytes);
    control_link(port, at, bytes, value, bridge);
}
