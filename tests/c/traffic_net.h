/* Small networks for the tests of the traffic model. */
#ifndef TEST_TRAFFIC_NET_H
#define TEST_TRAFFIC_NET_H

#include "traffic.h"

#include <stdarg.h>
#include <string.h>

#include "check.h"

#define GB 1e9
#define PLENTY 1e12
#define END (-1)

static inline struct traffic *net(size_t links, size_t flows, size_t modules) {
    struct traffic *t = NULL;
    CHECK_EQ(traffic_create(links, flows, modules, &t), 0);
    for (size_t l = 0; l < links; l++) traffic_link(t, l)->capacity = 100 * GB;
    return t;
}

/* Flow i of a module with `offered` load; then link, ingress pairs and END. */
static inline struct traffic_flow *put(struct traffic *t, size_t i, int module, double offered,
                                       ...) {
    struct traffic_flow *f = traffic_flow(t, i);
    va_list path;
    va_start(path, offered);
    f->hops = 0;
    for (int link; (link = va_arg(path, int)) != END; f->hops++)
        f->hop[f->hops] =
            (struct traffic_hop){.link = (uint16_t)link, .ingress = (uint8_t)va_arg(path, int)};
    va_end(path);
    f->module = (uint8_t)module;
    f->offered = offered;
    f->active = 1;
    traffic_changed(t);
    return f;
}

/* A table of `phases` entries, class i as often as count[i] says, spread as evenly as it goes. */
static inline uint16_t spread(uint8_t *table, const uint16_t *count, size_t classes) {
    uint16_t phases = 0;
    double due[64] = {0};
    for (size_t i = 0; i < classes; i++) phases += count[i];
    for (uint16_t k = 0; k < phases; k++) {
        size_t next = 0;
        for (size_t i = 0; i < classes; i++) due[i] += (double)count[i] / phases;
        for (size_t i = 1; i < classes; i++)
            if (due[i] > due[next]) next = i;
        due[next] -= 1;
        table[k] = (uint8_t)next;
    }
    return phases;
}

static inline void slots(struct traffic *t, size_t link, int a, int na, int b, int nb) {
    struct traffic_link *l = traffic_link(t, link);
    memset(l->slots, 0, sizeof l->slots);
    l->slots[a] = (uint16_t)na;
    l->slots[b] = (uint16_t)nb;
    l->phases = spread(l->table, l->slots, TRAFFIC_CLASSES);
}

/* Two modules' links into link 2 of 4 GB/s, ingress 1 and 2. */
static inline struct traffic *two_into_one(double a, double b) {
    struct traffic *t = net(3, 4, 2);
    traffic_link(t, 2)->capacity = 4 * GB;
    put(t, 0, 0, a, 0, 0, 2, 1, END);
    put(t, 1, 1, b, 1, 0, 2, 2, END);
    return t;
}

#endif
