/* Power and heat of the modules, and of the switches' dies.
 *
 * modelled, all of it: a module draws a fifth of its supply idle, the rest in proportion to the
 * payload that it moves; its temperature follows its power with one time constant, through a
 * resistance that its fan lowers; over its limit it takes less from its link until it is cool.
 */
#include <errno.h>
#include <math.h>

#include "node.h"

#define NS_PER_S 1e9
#define IDLE_SHARE 0.2 /* of the supply */
#define AMBIENT_C 30.0
#define RISE_SLOW_C 90.0 /* above ambient at full supply, fan at its slowest */
#define RISE_FAST_C 45.0 /* and at its fastest */
#define FAN_SLOW_RPM 1500.0
#define FAN_FAST_RPM 6000.0
#define FAN_FROM_C 45.0 /* its speed rises from here ... */
#define FAN_TO_C 75.0   /* ... to here */
#define TIME_CONSTANT_S 10.0
#define LIMIT_C 85.0 /* over it the module throttles ... */
#define COOL_C 78.0  /* ... until it is down here */
#define THROTTLE 0.5 /* share of the link that it then takes */

static double fan_at(double temperature_c) {
    double share = (temperature_c - FAN_FROM_C) / (FAN_TO_C - FAN_FROM_C);
    return FAN_SLOW_RPM + fmin(fmax(share, 0.0), 1.0) * (FAN_FAST_RPM - FAN_SLOW_RPM);
}

/* Where the temperature tends to: cooling is sized for the supply. */
static double tends_to(const struct node_module *m) {
    double fast = (m->heat.fan_rpm - FAN_SLOW_RPM) / (FAN_FAST_RPM - FAN_SLOW_RPM);
    double rise = RISE_SLOW_C + fast * (RISE_FAST_C - RISE_SLOW_C);
    double supply = m->cfg.supply_w ? m->cfg.supply_w : 1.0;
    return AMBIENT_C + rise * (m->heat.draw_w + m->heat.extra_w) / supply;
}

static uint64_t payload(const struct node_port *port) {
    uint64_t bytes[2][3], sum = 0;
    wiring_counters(port, bytes);
    for (unsigned k = 0; k < 6; k++) sum += bytes[k / 3][k % 3];
    return sum;
}

void heat_start(struct fab_node *node) {
    for (unsigned k = 0; k < NODE_MODULES; k++) {
        struct node_module *m = &node->modules[k];
        struct heat *h = &m->heat;
        *h = (struct heat){.throttle = 1.0, .temperature_c = AMBIENT_C, .fan_rpm = FAN_SLOW_RPM};
        if (!m->port) continue;
        h->draw_w = IDLE_SHARE * m->cfg.supply_w;
        h->temperature_c = tends_to(m); /* warm from idling */
        h->fan_rpm = fan_at(h->temperature_c);
    }
}

static void draw(struct node_module *m, double seconds) {
    struct heat *h = &m->heat;
    uint64_t now = payload(m->port);
    double most = 2.0 * m->port->cfg.capacity * seconds; /* both directions */
    double load = most > 0 ? fmin((double)(now - h->moved) / most, 1.0) : 0.0;
    h->moved = now;
    int powered = hotplug_ready(m->port);
    h->draw_w = powered ? m->cfg.supply_w * (IDLE_SHARE + (1.0 - IDLE_SHARE) * load) : 0.0;
}

static void throttle(struct node_module *m) {
    struct heat *h = &m->heat;
    double now = h->throttle;
    if (h->temperature_c > LIMIT_C) now = THROTTLE;
    if (h->temperature_c < COOL_C) now = 1.0;
    if (now == h->throttle) return;
    h->throttle = now;
    link_throttle(m->port);
    event_port(m->port, PFF_TLP_THROTTLING);
}

void heat_step(struct fab_node *node, uint64_t ns) {
    double seconds = (double)ns / NS_PER_S, follows = -expm1(-seconds / TIME_CONSTANT_S);
    for (unsigned k = 0; k < NODE_MODULES; k++) {
        struct node_module *m = &node->modules[k];
        if (!m->port) continue;
        draw(m, seconds);
        m->heat.temperature_c += (tends_to(m) - m->heat.temperature_c) * follows;
        m->heat.fan_rpm = fan_at(m->heat.temperature_c);
        if (!hotplug_ready(m->port)) m->heat.fan_rpm = FAN_SLOW_RPM; /* the chassis's air */
        throttle(m);
    }
}

/* A die is warm when idle; each lane that is up adds, and the sensors differ a little. */
uint32_t heat_switch(const struct node_switch *sw, unsigned sensor) {
    uint32_t lanes = 0;
    for (uint32_t k = 0; k < sw->port_count; k++) lanes += sw->by_pff[k]->neg_lanes;
    return 4000 + 20 * lanes + 25 * sensor;
}

int fab_node_module_state(fab_node *node, unsigned module, struct fab_module_state *out) {
    if (module >= NODE_MODULES) return -ENOENT;
    pthread_mutex_lock(&node->lock);
    const struct node_module *m = &node->modules[module];
    int rc = m->port ? 0 : -ENOENT;
    if (!rc)
        *out = (struct fab_module_state){.present = !m->port->link.absent,
                                         .powered = (uint8_t)hotplug_ready(m->port),
                                         .link_up = m->port->up,
                                         .neg_lanes = m->port->neg_lanes,
                                         .neg_gen = m->port->neg_gen,
                                         .draw_w = m->heat.draw_w,
                                         .fan_rpm = m->heat.fan_rpm,
                                         .temperature_c = m->heat.temperature_c,
                                         .throttle = m->heat.throttle};
    pthread_mutex_unlock(&node->lock);
    return rc;
}
