/* The laws of the traffic model on random networks: capacity, work conservation, every byte,
 * repeat. */
#include "traffic_net.h"

#include <math.h>

static void test_dropped_delivered_and_waiting_are_what_was_offered(void) {
    struct traffic *t = two_into_one(3.3e9 + 0.7, 1e15);
    struct traffic_flow *f = traffic_flow(t, 0), *g = traffic_flow(t, 1);
    traffic_link(t, 2)->capacity = 4 * GB / 3;
    double offered_f = 0;
    for (int i = 0; i < 20000; i++) {
        traffic_step(t, 1e-3, i % 3 == 0 && i < 15000);
        offered_f += f->offered * 1e-3;
    }
    CHECK(f->dropped > 0 && f->backlog > 1 * GB);
    CHECK_NEAR((double)f->delivered + (double)f->dropped + f->backlog, offered_f, 1 + 1e-3);
    CHECK_NEAR((double)f->delivered, 20.0 * 2 * GB / 3, 1);
    /* 2e16 bytes do not fit a double's integers: compare whole bytes. */
    uint64_t waiting = 20000000000000000u - g->delivered - g->dropped;
    CHECK_NEAR(g->backlog, (double)waiting, 4);
    CHECK_EQ(traffic_link(t, 2)->bytes[0], f->delivered + g->delivered);
    traffic_destroy(t);
}

static void test_fractions_of_a_byte_count_exactly(void) {
    struct traffic *t = two_into_one(0.1, 1 / 3.0);
    for (int i = 0; i < 99999; i++) traffic_step(t, 1, 1);
    CHECK_EQ(traffic_flow(t, 0)->delivered, 9999);
    CHECK_EQ(traffic_flow(t, 1)->delivered, 33333);
    traffic_step(t, 1, 1);
    CHECK_EQ(traffic_flow(t, 0)->delivered, 10000);
    CHECK_EQ(traffic_link(t, 2)->bytes[0], 43333);
    CHECK_EQ(traffic_flow(t, 0)->dropped, 0);
    traffic_destroy(t);
}

/* A seeded network; every fourth flow takes a path that no switch would have. */
enum { LINKS = 24, FLOWS = 40, MODULES = 4 };
static uint32_t draw(uint32_t *seed, uint32_t below) {
    *seed = *seed * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)*seed * below >> 32);
}

static void random_tables(struct traffic *t, uint32_t *seed) {
    for (int l = 0; l < LINKS; l++) {
        struct traffic_link *link = traffic_link(t, l);
        link->capacity = draw(seed, 12) ? (1 + draw(seed, 64)) * 0.5 * GB : 0;
        link->phases = draw(seed, 2) ? 32 : 0;
        memset(link->slots, 0, sizeof link->slots);
        for (int i = 0; i < link->phases; i++) link->slots[draw(seed, 5)]++;
    }
    for (int m = 0; m < MODULES; m++) {
        struct traffic_module *module = traffic_module(t, m);
        module->phases = draw(seed, 2) ? 32 : 0;
        memset(module->slots, 0, sizeof module->slots);
        for (int i = 0; i < module->phases; i++) module->slots[draw(seed, 4)]++;
    }
    for (int i = 0; i < FLOWS; i++) {
        struct traffic_flow *f = traffic_flow(t, i);
        f->offered = draw(seed, 3) ? draw(seed, 1000) * 0.01 * GB : 0;
        f->committed = draw(seed, 3) ? 0 : draw(seed, 100) * 0.02 * GB;
        f->peak = draw(seed, 3) ? INFINITY : draw(seed, 100) * 0.05 * GB;
    }
}

static struct traffic *random_net(uint32_t *seed) {
    struct traffic *t = net(LINKS, FLOWS, MODULES);
    for (int i = 0; i < FLOWS; i++) {
        struct traffic_flow *f = traffic_flow(t, i);
        f->active = 1;
        f->module = (uint8_t)draw(seed, MODULES);
        f->group = (uint8_t)draw(seed, 4);
        f->direction = (uint8_t)draw(seed, 2);
        f->hops = (uint16_t)(1 + draw(seed, 5));
        f->hop[0].link = f->module;
        for (int h = 1; h < f->hops; h++) { /* links of stage h, or any later one */
            f->hop[h].link = (uint16_t)(4 * h + draw(seed, 4));
            f->hop[h].ingress = i % 4 ? f->hop[h - 1].link % 4 : (uint8_t)draw(seed, 6);
        }
        if (i % 4 == 0 && f->hops > 2) f->hop[1].link = 23;
    }
    random_tables(t, seed);
    return t;
}

/* One step; capacity kept, nothing idle that somebody waits for, every byte accounted. */
static void step_by_the_laws(struct traffic *t, double seconds, int drop) {
    double moved[FLOWS], load[LINKS] = {0};
    uint64_t bytes[LINKS][2] = {{0}};
    for (int i = 0; i < FLOWS; i++) {
        struct traffic_flow *f = traffic_flow(t, i);
        moved[i] = (double)f->delivered + f->carry;
    }
    traffic_step(t, seconds, drop);
    for (int i = 0; i < FLOWS; i++) {
        struct traffic_flow *f = traffic_flow(t, i);
        moved[i] = (double)f->delivered + f->carry - moved[i];
        CHECK(moved[i] >= 0 && f->backlog >= 0);
        CHECK(moved[i] <= f->peak * seconds * (1 + 1e-9) + 1e-3);
        for (int h = 0; h < f->hops; h++) {
            load[f->hop[h].link] += moved[i];
            bytes[f->hop[h].link][f->direction] += f->delivered;
        }
    }
    for (int l = 0; l < LINKS; l++) {
        CHECK(load[l] <= traffic_link(t, l)->capacity * seconds * (1 + 1e-9) + 1e-3);
        CHECK_EQ(traffic_link(t, l)->bytes[0], bytes[l][0]);
        CHECK_EQ(traffic_link(t, l)->bytes[1], bytes[l][1]);
    }
    for (int i = 0; i < FLOWS && !drop; i++) {
        struct traffic_flow *f = traffic_flow(t, i);
        int held = f->backlog < 1 || moved[i] >= f->peak * seconds * (1 - 1e-6);
        for (int h = 0; h < f->hops; h++)
            held |= load[f->hop[h].link] >=
                    traffic_link(t, f->hop[h].link)->capacity * seconds * (1 - 1e-6);
        CHECK(held);
    }
}

static void test_random_networks_keep_the_laws_and_repeat(void) {
    for (uint32_t n = 0; n < 300; n++) {
        uint32_t seed = n, again = n;
        struct traffic *t = random_net(&seed), *twin = random_net(&again);
        for (int step = 0; step < 4; step++) {
            step_by_the_laws(t, 1e-3, step == 2);
            traffic_step(twin, 1e-3, step == 2);
            if (step == 1) random_tables(t, &seed), random_tables(twin, &again);
        }
        for (int i = 0; i < FLOWS; i++) {
            struct traffic_flow *f = traffic_flow(t, i), *g = traffic_flow(twin, i);
            CHECK(f->delivered == g->delivered && f->dropped == g->dropped);
            CHECK(f->backlog == g->backlog && f->carry == g->carry);
        }
        traffic_destroy(t);
        traffic_destroy(twin);
    }
}

int main(void) {
    test_dropped_delivered_and_waiting_are_what_was_offered();
    test_fractions_of_a_byte_count_exactly();
    test_random_networks_keep_the_laws_and_repeat();
    return CHECK_RESULT;
}
