/* The emulated Resource Node's life: checking what it shall be, building it, taking it down. */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node.h"

#define DEFAULT_STEP_NS 1000000u

/* ---- refusing what cannot be ---- */

static int lanes_ok(unsigned lanes) {
    return lanes == 1 || lanes == 2 || lanes == 4 || lanes == 8 || lanes == 16;
}

static int phases_ok(unsigned phases) {
    return phases == 0 || phases == 32 || phases == 64 || phases == 128 || phases == 256;
}

static int power_of_two_payload(uint32_t bytes) {
    return bytes >= 128 && bytes <= 4096 && (bytes & (bytes - 1)) == 0;
}

static int port_ok(const struct fab_node_config *c, const struct fab_node_port *p) {
    if (p->sw >= c->switches || p->port >= NODE_PORT_IDS) return 0;
    if (p->kind < FAB_PORT_FABRIC || p->kind > FAB_PORT_MANAGEMENT) return 0;
    if (p->gen < 1 || p->gen > 6 || !phases_ok(p->phases)) return 0;
    if (!lanes_ok(p->cfg_lanes) || !lanes_ok(p->lanes) || p->lanes > p->cfg_lanes) return 0;
    if (p->kind == FAB_PORT_MODULE &&
        (p->index >= NODE_MODULES || c->modules[p->index].vfs >= FAB_MAX_FUNCTIONS ||
         c->modules[p->index].arbitration > FAB_ARBITRATION_SHAPER))
        return 0;
    return isfinite(p->capacity) && p->capacity >= 0;
}

static const struct fab_node_port *find(const struct fab_node_config *c,
                                        const struct fab_node_port *ports, unsigned sw,
                                        unsigned id) {
    for (uint32_t k = 0; k < c->ports; k++)
        if (ports[k].sw == sw && ports[k].port == id) return &ports[k];
    return NULL;
}

/* A port against the others: ids, module and host numbers once; fabric links from both ends. */
static int port_fits(const struct fab_node_config *c, const struct fab_node_port *ports,
                     uint32_t at) {
    const struct fab_node_port *p = &ports[at];
    uint32_t on_switch = 0;
    for (uint32_t k = 0; k < c->ports; k++) {
        if (ports[k].sw == p->sw) on_switch++;
        if (k == at) continue;
        if (ports[k].sw == p->sw && ports[k].port == p->port) return 0;
        int numbered = p->kind == FAB_PORT_MODULE || p->kind == FAB_PORT_HOST;
        if (numbered && ports[k].kind == p->kind && ports[k].index == p->index) return 0;
    }
    if (on_switch > FAB_MAX_PORTS) return 0;
    if (p->kind != FAB_PORT_FABRIC || p->peer_switch == 0xFF) return 1;
    const struct fab_node_port *peer = find(c, ports, p->peer_switch, p->peer_port);
    return peer && peer->kind == FAB_PORT_FABRIC && peer->sw != p->sw &&
           peer->peer_switch == p->sw && peer->peer_port == p->port;
}

static int check(const struct fab_node_config *c, const struct fab_node_port *ports) {
    if (c->switches < 1 || c->switches > FAB_MAX_SWITCHES || c->ports < 1) return -EINVAL;
    if (c->ports > c->switches * FAB_MAX_PORTS) return -EINVAL;
    if (c->secure_state > FAB_SECURE_SECURED) return -EINVAL;
    if (!power_of_two_payload(c->mps) || !power_of_two_payload(c->mrrs)) return -EINVAL;
    for (uint32_t k = 0; k < c->switches; k++) {
        enum fab_family family;
        uint32_t lanes;
        if (c->device_id[k] >> 12 < 4 || c->device_id[k] >> 12 > 6) return -EINVAL; /* Gen3 */
        if (fab_device_decode(c->device_id[k], &family, &lanes)) return -EINVAL;
        for (uint32_t to = 0; to < c->switches; to++) {
            if (c->route[k][to] == 0xFF) continue;
            const struct fab_node_port *p = find(c, ports, k, c->route[k][to]);
            if (!p || p->kind != FAB_PORT_FABRIC) return -EINVAL;
        }
    }
    for (uint32_t k = 0; k < c->ports; k++)
        if (!port_ok(c, &ports[k])) return -EINVAL;
    for (uint32_t k = 0; k < c->ports; k++)
        if (!port_fits(c, ports, k)) return -EINVAL;
    return 0;
}

/* ---- building ---- */

struct node_port *node_find_port(struct fab_node *node, size_t sw, unsigned port) {
    if (sw >= node->config.switches || port >= NODE_PORT_IDS) return NULL;
    return node->switches[sw].by_id[port];
}

static void connect_ports(struct fab_node *node, const struct fab_node_port *ports) {
    for (uint32_t k = 0; k < node->config.ports; k++) {
        struct node_port *port = &node->ports[k];
        struct node_switch *sw = &node->switches[ports[k].sw];
        port->cfg = ports[k];
        port->sw = sw;
        port->split = port->wired_lanes = port->cfg.lanes;
        port->lane_rate = port->cfg.capacity / port->cfg.lanes;
        port->pff = (uint8_t)sw->port_count;
        sw->by_pff[sw->port_count++] = port;
        sw->by_id[port->cfg.port] = port;
        if (port->cfg.kind == FAB_PORT_MODULE) {
            node->modules[port->cfg.index].port = port;
            node->modules[port->cfg.index].cfg = node->config.modules[port->cfg.index];
        }
    }
    for (uint32_t k = 0; k < node->config.ports; k++) {
        struct node_port *port = &node->ports[k];
        if (port->cfg.kind == FAB_PORT_FABRIC && port->cfg.peer_switch != 0xFF)
            port->peer = node_find_port(node, port->cfg.peer_switch, port->cfg.peer_port);
    }
}

static void prepare_switches(struct fab_node *node) {
    for (uint32_t k = 0; k < node->config.switches; k++) {
        struct node_switch *sw = &node->switches[k];
        sw->node = node;
        sw->index = k;
        sw->generation = (uint8_t)(node->config.device_id[k] >> 12);
        fab_device_decode(node->config.device_id[k], &sw->family, &sw->lanes); /* checked before */
    }
}

/* The cells of a module are those of its port's block in the page of its switch. */
static void assign_cells(struct fab_node *node) {
    for (uint32_t k = 0; k < node->config.switches; k++) {
        struct node_switch *sw = &node->switches[k];
        unsigned block = 0;
        for (uint32_t p = 0; p < sw->port_count; p++) {
            if (sw->by_pff[p]->cfg.kind != FAB_PORT_MODULE) continue;
            struct node_module *m = &node->modules[sw->by_pff[p]->cfg.index];
            for (unsigned f = 0; f < FAB_MAX_FUNCTIONS; f++)
                m->functions[f].cell = &sw->page->cells[block][f];
            block++;
        }
    }
}

static int build(struct fab_node *node) {
    for (uint32_t k = 0; k < node->config.switches; k++) {
        struct node_switch *sw = &node->switches[k];
        sw->page = (struct fab_bar_page *)(void *)(sw->image + FAB_GAS_BYTES);
        gas_build(sw);
    }
    assign_cells(node);
    int rc = wiring_create(node);
    if (rc < 0) return rc;
    heat_start(node);
    for (unsigned m = 0; m < NODE_MODULES; m++) {
        if (!node->modules[m].port) continue;
        function_spaces_build(node, m);
        wiring_module(node, m);
    }
    for (uint32_t k = 0; k < node->config.ports; k++) {
        wiring_port_table(&node->ports[k]);
        link_start(&node->ports[k]);
    }
    node->ready = 1;
    shm_publish(node);
    for (uint32_t k = 0; k < node->config.switches && !rc; k++) {
        struct node_switch *sw = &node->switches[k];
        rc = fab_bar_trapped(sw->image, FAB_BAR_BYTES, gas_trap, sw, &sw->bar);
    }
    return rc;
}

int fab_node_create(const struct fab_node_config *config, const struct fab_node_port *ports,
                    const char *shm, fab_node **out) {
    int rc = check(config, ports);
    if (rc < 0) return rc;
    struct fab_node *node = calloc(1, sizeof *node);
    if (!node) return -ENOMEM;
    node->config = *config;
    node->dir = -1;
    node->pid = getpid();
    node->step_ns = DEFAULT_STEP_NS;
    node->due_ns = NODE_NEVER;
    pthread_mutex_init(&node->lock, NULL);
    node->ports = calloc(config->ports, sizeof *node->ports);
    rc = node->ports ? 0 : -ENOMEM;
    if (!rc) {
        prepare_switches(node);
        connect_ports(node, ports);
        rc = bifurcation_prepare(node);
    }
    if (!rc) rc = shm ? shm_map_files(node, shm) : shm_map_private(node);
    if (!rc) rc = build(node);
    if (!rc) rc = shm_reveal(node);
    if (rc < 0) {
        fab_node_close(node);
        return rc;
    }
    *out = node;
    return 0;
}

void fab_node_close(fab_node *node) {
    if (!node) return;
    if (node->pid == getpid()) fab_node_stop(node);
    for (uint32_t k = 0; k < node->config.switches; k++)
        if (node->switches[k].bar) fab_bar_close(node->switches[k].bar);
    shm_unmap(node);
    if (node->traffic) traffic_destroy(node->traffic);
    pthread_mutex_destroy(&node->lock);
    free(node->made);
    free(node->ports);
    free(node);
}

fab_bar *fab_node_bar(fab_node *node, size_t sw) {
    return sw < node->config.switches ? node->switches[sw].bar : NULL;
}

/* ---- looking into config spaces ---- */

static int copy_space(fab_node *node, size_t sw, uint8_t port_id, int function, uint8_t *out) {
    struct node_port *port = node_find_port(node, sw, port_id);
    if (!port || function < -1) return -ENOENT;
    struct node_module *m = NULL;
    if (function >= 0) {
        if (port->cfg.kind != FAB_PORT_MODULE || function >= FAB_MAX_FUNCTIONS) return -ENOENT;
        m = &node->modules[port->cfg.index];
        if (!function_exists(m, (unsigned)function)) return -ENOENT;
    }
    /* nobody answers: all ones, as a host would read */
    int silent = port->sw->gone || (m ? !port->up : port->ones_until_ns != 0);
    memset(out, silent ? 0xFF : 0, 4 * FUNCTION_SPACE_WORDS);
    if (out[0]) return 0;
    if (m)
        memcpy(out, m->functions[function].words, 4 * FUNCTION_SPACE_WORDS);
    else
        memcpy(out, port->space.words, PFF_CONFIG_BYTES);
    return 0;
}

int fab_node_config_space(fab_node *node, size_t sw, uint8_t port, int function, uint8_t *out) {
    pthread_mutex_lock(&node->lock);
    int rc = copy_space(node, sw, port, function, out);
    pthread_mutex_unlock(&node->lock);
    return rc;
}
