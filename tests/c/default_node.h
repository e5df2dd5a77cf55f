/* The default Resource Node of the contract as fab_node_config and ports: four PAX Gen5 switches in
 * a ring, port 32 of switch k to port 40 of switch k + 1; modules at 0 and 8, hosts at 16 and 24,
 * management at 48. Modules 0-2 have MFVC, 3-5 a shaper, 6-7 neither. */
#ifndef FAB_DEFAULT_NODE_H
#define FAB_DEFAULT_NODE_H

#include <string.h>

#include "fabcore.h"

#define DEFAULT_SWITCHES 4
#define DEFAULT_PORTS 28
#define DEFAULT_RATE 51977170500.0      /* B/s of write payload, Gen5 x16, MPS 256 */
#define DEFAULT_READ_RATE 52730462837.0 /* the same of completions */

struct default_node {
    struct fab_node_config config;
    struct fab_node_port ports[DEFAULT_PORTS];
};

static inline void default_node_fill(struct default_node *n) {
    static const uint8_t ids[] = {0, 8, 16, 24, 32, 40, 48};
    static const uint8_t kinds[] = {FAB_PORT_MODULE,    FAB_PORT_MODULE, FAB_PORT_HOST,
                                    FAB_PORT_HOST,      FAB_PORT_FABRIC, FAB_PORT_FABRIC,
                                    FAB_PORT_MANAGEMENT};
    /* shortest way around the ring, ties by the smallest port id */
    static const uint8_t routes[4][4] = {
        {0xFF, 32, 32, 40}, {40, 0xFF, 32, 32}, {32, 40, 0xFF, 32}, {32, 32, 40, 0xFF}};
    memset(n, 0, sizeof *n);
    n->config.switches = DEFAULT_SWITCHES;
    n->config.ports = DEFAULT_PORTS;
    n->config.mps = 256;
    n->config.mrrs = 512;
    strcpy(n->config.name, "default");
    memset(n->config.route, 0xFF, sizeof n->config.route);
    for (unsigned m = 0; m < 8; m++) {
        n->config.modules[m].arbitration = (uint8_t)(m < 3   ? FAB_ARBITRATION_MFVC
                                                     : m < 6 ? FAB_ARBITRATION_SHAPER
                                                             : FAB_ARBITRATION_NONE);
        n->config.modules[m].vfs = 32;
        n->config.modules[m].supply_w = 350;
    }
    for (unsigned k = 0; k < DEFAULT_SWITCHES; k++) {
        n->config.device_id[k] = 0x5200;
        memcpy(n->config.route[k], routes[k], DEFAULT_SWITCHES);
        for (unsigned j = 0; j < 7; j++) {
            struct fab_node_port *p = &n->ports[7 * k + j];
            uint8_t lanes = ids[j] == 48 ? 4 : 16;
            *p = (struct fab_node_port){.sw = (uint8_t)k,
                                        .port = ids[j],
                                        .kind = kinds[j],
                                        .index = (uint8_t)(j < 4 ? 2 * k + j % 2 : 0),
                                        .gen = 5,
                                        .cfg_lanes = lanes,
                                        .lanes = lanes,
                                        .peer_switch = 0xFF,
                                        .peer_port = 0xFF,
                                        .phases = 256,
                                        .capacity = ids[j] == 48 ? 0.0 : DEFAULT_RATE};
            if (ids[j] == 32) {
                p->peer_switch = (uint8_t)((k + 1) % 4);
                p->peer_port = 40;
            } else if (ids[j] == 40) {
                p->peer_switch = (uint8_t)((k + 3) % 4);
                p->peer_port = 32;
            }
        }
    }
}

#endif
