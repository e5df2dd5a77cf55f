/* Nets as a chassis has them, for the tests of the traffic model: switches in a row, modules and
 * hosts at each, flows both ways. */
#ifndef TEST_RACK_NET_H
#define TEST_RACK_NET_H

#include "traffic_net.h"

enum { RACK_MOST = 3, RACK_ENDS = 2 }; /* switches; modules, and hosts, at each */
/* Classes of a switch: modules 0.., hosts 2.., fabric to the left 4, to the right 5. */
enum { RACK_HOST = RACK_ENDS, RACK_LEFT = 2 * RACK_ENDS, RACK_RIGHT, RACK_CLASSES };

/* The link that leaves (1) or enters (0) switch s at class c. */
static inline int rack_link(int s, int c, int leaves) {
    if (c == RACK_LEFT && !leaves) return rack_link(s - 1, RACK_RIGHT, 1);
    if (c == RACK_RIGHT && !leaves) return rack_link(s + 1, RACK_LEFT, 1);
    return (s * RACK_CLASSES + c) * 2 + leaves;
}
enum { RACK_LINKS = RACK_MOST * RACK_CLASSES * 2 };

/* One flow from class a of switch `from` to class b of switch `to`. */
static inline struct traffic_flow *rack_flow(struct traffic *t, size_t i, int from, int a, int to,
                                             int b, uint8_t vc) {
    struct traffic_flow *f = traffic_flow(t, i);
    int in = a;
    f->active = 1;
    f->direction = a < RACK_HOST ? TRAFFIC_UP : TRAFFIC_DOWN;
    f->module = (uint8_t)(a < RACK_HOST ? from * RACK_ENDS + a : to * RACK_ENDS + b);
    f->hop[0] = (struct traffic_hop){.link = (uint16_t)rack_link(from, a, 0)};
    f->hops = 1;
    for (int s = from;; s += to > from ? 1 : -1) {
        int out = s == to ? b : to > s ? RACK_RIGHT : RACK_LEFT;
        f->hop[f->hops++] = (struct traffic_hop){
            .link = (uint16_t)rack_link(s, out, 1), .ingress = (uint8_t)in, .vc = vc};
        if (s == to) break;
        in = to > s ? RACK_LEFT : RACK_RIGHT;
    }
    traffic_changed(t);
    return f;
}

/* Links of 1 GB/s, TLPs as on a link of generation 1 to 5. */
static inline struct traffic *empty_rack(size_t flows) {
    struct traffic *t = net(RACK_LINKS, flows, RACK_MOST * RACK_ENDS);
    for (size_t l = 0; l < RACK_LINKS; l++) {
        traffic_link(t, l)->capacity = 1 * GB;
        traffic_link(t, l)->overhead[TRAFFIC_UP] = 24;
        traffic_link(t, l)->overhead[TRAFFIC_DOWN] = 20;
    }
    return t;
}

static inline uint32_t draw(uint32_t *seed, uint32_t below) {
    *seed = *seed * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)*seed * below >> 32);
}

static inline void rack_table(uint32_t *seed, uint16_t phases, uint16_t *count, uint8_t *table,
                              uint32_t classes) {
    for (uint16_t k = 0; k < phases; k++) count[draw(seed, classes)]++;
    spread(table, count, classes);
}

/* A chassis of 1 to 3 switches with links of 0.25 to 1 GB/s, random tables, and `flows` flows. */
static inline struct traffic *rack(uint32_t seed, size_t flows) {
    struct traffic *t = empty_rack(flows);
    uint32_t switches = 1 + draw(&seed, RACK_MOST), channels = draw(&seed, 2) ? 1 : 3;
    for (int l = 0; l < RACK_LINKS; l++) {
        struct traffic_link *link = traffic_link(t, (size_t)l);
        link->capacity = (1 + draw(&seed, 4)) * 0.25 * GB;
        link->phases = draw(&seed, 2) ? 32 : 0;
        link->vc_phases = draw(&seed, 2) ? 32 : 0;
        rack_table(&seed, link->phases, link->slots, link->table, RACK_CLASSES);
        rack_table(&seed, link->vc_phases, link->vc_slots, link->vc_table, channels);
    }
    for (int m = 0; m < RACK_MOST * RACK_ENDS; m++) {
        struct traffic_module *module = traffic_module(t, (size_t)m);
        module->phases = draw(&seed, 2) ? 32 : 0;
        rack_table(&seed, module->phases, module->slots, module->table, 3);
    }
    for (size_t i = 0; i < flows; i++) {
        int from = (int)draw(&seed, switches), to = (int)draw(&seed, switches);
        int module = (int)draw(&seed, RACK_ENDS), host = RACK_HOST + (int)draw(&seed, RACK_ENDS);
        int up = (int)draw(&seed, 2);
        struct traffic_flow *f = rack_flow(t, i, from, up ? module : host, to, up ? host : module,
                                           (uint8_t)draw(&seed, channels));
        f->group = (uint8_t)draw(&seed, 3);
        f->offered = draw(&seed, 3) ? PLENTY : draw(&seed, 40) * 0.01 * GB;
        f->peak = draw(&seed, 4) ? INFINITY : (1 + draw(&seed, 40)) * 0.01 * GB;
        f->committed = draw(&seed, 4) ? 0 : draw(&seed, 10) * 0.01 * GB;
    }
    return t;
}

#endif
