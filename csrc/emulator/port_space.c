/* The config space of a switch port: layout, link status, and what writes to it do. */
#include <string.h>

#include "node.h"

enum {
    AT_POWER = 0x40,
    AT_INTERRUPTS = 0x90, /* MSI of a bridge, MSI-X of the management endpoint */
    AT_SUBSYSTEM = 0xB0,
    AT_ACS = 0x150,
    AT_PHY = 0x180, /* up to 0x290 with 16 lanes of Gen6 */
    AT_SERIAL = 0x2D0,
    AT_VC = 0x300, /* its tables end below 0x500; the window ends at 0x800 */
    CAP_SUBSYSTEM = 0x0D,
    ENDPOINT_VECTORS = 4,
    ENDPOINT_VECTOR_TABLE = 0x76000, /* in BAR 0, where Linux's driver expects none of its own */
    ENDPOINT_VECTOR_PENDING = 0x77000
};

static int is_downstream(const struct node_port *port) {
    return port->cfg.kind == FAB_PORT_MODULE || port->cfg.kind == FAB_PORT_FABRIC;
}

static void header(struct space *s, const struct node_port *port, uint32_t device_id) {
    int endpoint = port->cfg.kind == FAB_PORT_MANAGEMENT;
    space_put(s, 0x00, 4, PFF_VENDOR | device_id << 16);
    space_allow(s, PCI_COMMAND, 2, 0x0547);
    space_put(s, PCI_STATUS, 2, 0x0010); /* has capabilities */
    space_clearable(s, PCI_STATUS, 2, 0xF900);
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
    space_clearable(s, PCI_SECONDARY_STATUS, 2, 0xF900);
    space_allow(s, 0x20, 4, 0xFFF0FFF0);
    space_put(s, 0x24, 4, 0x00010001);
    space_allow(s, 0x24, 4, 0xFFF0FFF0);
    space_allow(s, 0x28, 4, UINT32_MAX);
    space_allow(s, 0x2C, 4, UINT32_MAX);
    space_allow(s, BRIDGE_CONTROL, 2, 0x005F);
    space_cap(s, AT_SUBSYSTEM, CAP_SUBSYSTEM);
    space_put(s, AT_SUBSYSTEM + 4, 4, PFF_VENDOR | device_id << 16);
}

static void containment(struct space *s) {
    space_ext(s, AT_DPC, 0x001D, 1);
    /* triggered by software too; ERR_COR at DL_Active */
    space_put(s, AT_DPC + 4, 2, 1u << 7 | 1u << 12);
    space_allow(s, AT_DPC + DPC_CONTROL, 2, 0x009F);
    space_clearable(s, AT_DPC + DPC_STATUS, 2, DPC_TRIGGERED | DPC_INTERRUPT);
    space_sticky(s, AT_DPC + DPC_STATUS, 2, 0x006F);
    space_sticky(s, AT_DPC + DPC_SOURCE, 2, 0xFFFF);
}

static uint64_t serial_of(const struct node_port *port) {
    return port->sw->node->config.seed << 16 ^ (uint64_t)PFF_VENDOR << 48 ^ port->sw->index;
}

/* What a reset leaves, into words that are 0. */
static void lay_out(struct node_port *port) {
    struct space *s = &port->space;
    const struct fab_node_config *config = &port->sw->node->config;
    int host = port->cfg.kind == FAB_PORT_HOST, endpoint = port->cfg.kind == FAB_PORT_MANAGEMENT;
    s->cap_tail = s->ext_tail = 0;
    if (!port->phy_lanes) port->phy_lanes = port->cfg.cfg_lanes;
    header(s, port, config->device_id[port->sw->index]);
    space_power(s, AT_POWER);
    unsigned type = endpoint ? PCIE_TYPE_ENDPOINT
                    : host   ? PCIE_TYPE_UPSTREAM
                             : PCIE_TYPE_DOWNSTREAM;
    space_pcie(s, PORT_PCIE, type, port, config);
    if (endpoint)
        space_msix(s, AT_INTERRUPTS, ENDPOINT_VECTORS, ENDPOINT_VECTOR_TABLE,
                   ENDPOINT_VECTOR_PENDING);
    else
        space_msi(s, AT_INTERRUPTS, 1);
    space_aer(s, AT_AER);
    /* downstream: validation, blocking, redirects, upstream forwarding, direct translated */
    if (!endpoint) space_acs(s, AT_ACS, host ? 0x4C : 0x5F);
    if (is_downstream(port)) containment(s);
    space_phy(s, AT_PHY, port->cfg.gen, port->phy_lanes);
    space_serial(s, AT_SERIAL, serial_of(port));
    if (!endpoint) vc_build(&port->vc, s, AT_VC, EXT_CAP_VC, port->cfg.phases, 8);
}

void port_space_build(struct node_port *port) {
    struct space *s = &port->space;
    s->words = (uint32_t *)(void *)(port->sw->image + GAS_PFF + GAS_PFF_STRIDE * port->pff);
    s->writable = port->writable;
    s->clearable = port->clearable;
    s->sticky = port->sticky;
    lay_out(port);
}

/* Built aside and put in place word by word: others read the image at any moment. */
void port_space_reset(struct node_port *port, enum reset how) {
    uint32_t kept[PORT_SPACE_WORDS], built[PORT_SPACE_WORDS] = {0}, *place = port->space.words;
    memcpy(kept, place, sizeof kept);
    port->space.words = built;
    lay_out(port);
    if (how != RESET_COLD) space_restore(&port->space, kept, PORT_SPACE_WORDS);
    port->space.words = place;
    for (unsigned k = 0; k < PORT_SPACE_WORDS; k++) fab_store_relaxed(&place[k], built[k]);
    port->link.disabled = port->link.held = port->link.unpowered = 0;
    port->link.contained =
        is_downstream(port) && space_get(&port->space, AT_DPC + DPC_STATUS, 2) & DPC_TRIGGERED;
    if (port->link.absent) space_put(&port->space, PORT_PCIE + PCIE_SLTSTA, 2, 0);
    port_space_link(port);
    wiring_port_table(port);
    link_refresh(port);
}

void port_space_link(struct node_port *port) {
    struct space *s = &port->space;
    int reports = is_downstream(port);
    uint32_t keep = space_get(s, PORT_PCIE + PCIE_LINK_STATUS, 2) & 0xC000;
    uint32_t state = port->up ? port->neg_gen | (uint32_t)port->neg_lanes << 4 : 1;
    int trains = port->link.state == LINK_CONFIG || port->link.state == LINK_RECOVERY;
    if (port->up && reports) state |= LINK_ACTIVE;
    if (trains && reports) state |= LINK_TRAINING;
    space_put(s, PORT_PCIE + PCIE_LINK_STATUS, 2, keep | state | 1u << 12);
    space_equalised(s, AT_PHY, port->cfg.gen, port->phy_lanes, PORT_PCIE, port->neg_gen);
}

/* With Perform Equalization, all rates are equalised anew. */
static void retrain(struct node_port *port) {
    if (port->cfg.gen >= 3 && space_get(&port->space, AT_PHY + SECONDARY_LNKCTL3, 4) & 1)
        link_lead(port)->link.equalised = 0;
    link_control(port, FAB_PORT_RETRAIN, 0);
}

/* Link Disable, Retrain Link and Secondary Bus Reset act on the link. */
static void control_link(struct node_port *port, uint32_t at, unsigned bytes, uint32_t value,
                         uint32_t old_bridge) {
    struct space *s = &port->space;
    unsigned off = (space_get(s, PORT_PCIE + PCIE_LINK_CONTROL, 2) & LINK_DISABLE) != 0;
    uint32_t control = space_written(at, value, bytes, PORT_PCIE + PCIE_LINK_CONTROL, 2);
    uint32_t bridge = space_get(s, BRIDGE_CONTROL, 1) & BRIDGE_BUS_RESET;
    if (off != port->link.disabled)
        link_control(port, off ? FAB_PORT_DISABLE : FAB_PORT_ENABLE, 0);
    else if (control & LINK_RETRAIN)
        retrain(port);
    if (bridge != (old_bridge & BRIDGE_BUS_RESET))
        link_control(port, FAB_PORT_HOT_RESET, bridge != 0);
}

void port_space_write(struct node_port *port, uint32_t at, uint32_t value, unsigned bytes) {
    struct space *s = &port->space;
    int vc = vc_write(&port->vc, s, at, value, bytes);
    if (vc == VC_IN_FORCE) wiring_port_table(port);
    if (vc != VC_OTHER) return;
    uint32_t bridge = space_get(s, BRIDGE_CONTROL, 1);
    space_write(s, at, value, bytes);
    space_margin(s, AT_PHY, port->cfg.gen, port->phy_lanes, at);
    if (!is_downstream(port)) return;
    control_link(port, at, bytes, value, bridge);
    if (port->cfg.kind == FAB_PORT_MODULE) hotplug_control(port);
    if (at >= AT_DPC && at < AT_DPC + 0x0C)
        dpc_written(port, space_written(at, value, bytes, AT_DPC + DPC_CONTROL, 2));
}
