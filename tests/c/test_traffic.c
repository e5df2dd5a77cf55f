/* The traffic model against shares and counts computed by hand. */
#include "traffic.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define GB 1e9
#define PLENTY 1e12
#define END (-1)

static struct traffic *net(size_t links, size_t flows, size_t modules) {
    struct traffic *t = NULL;
    CHECK_EQ(traffic_create(links, flows, modules, &t), 0);
    for (size_t l = 0; l < links; l++) traffic_link(t, l)->capacity = 100 * GB;
    return t;
}

/* Flow i of a module with `offered` load; then link, ingress pairs and END. */
static struct traffic_flow *put(struct traffic *t, size_t i, int module, double offered, ...) {
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

static void slots(struct traffic *t, size_t link, int a, int na, int b, int nb) {
    struct traffic_link *l = traffic_link(t, link);
    memset(l->slots, 0, sizeof l->slots);
    l->slots[a] = (uint16_t)na;
    l->slots[b] = (uint16_t)nb;
    l->phases = (uint16_t)(na + nb);
}

/* Rates of flows 0.. in one second from empty queues; NAN ends the list. */
static void expect(int line, struct traffic *t, ...) {
    uint64_t before[16];
    double want[16];
    int n = 0;
    va_list rates;
    va_start(rates, t);
    for (double r; !isnan(r = va_arg(rates, double)); n++) {
        want[n] = r;
        traffic_flow(t, n)->backlog = 0;
        before[n] = traffic_flow(t, n)->delivered;
    }
    va_end(rates);
    traffic_step(t, 1, 0);
    for (int i = 0; i < n; i++) {
        double got = (double)(traffic_flow(t, i)->delivered - before[i]);
        if (fabs(got - want[i]) <= 1 + 1e-9 * want[i]) continue;
        check_failures++;
        fprintf(stderr, "line %d: flow %d moved %.0f, expected %.0f\n", line, i, got, want[i]);
    }
}
#define EXPECT(t, ...) expect(__LINE__, t, __VA_ARGS__, NAN)

/* Two modules' links into link 2 of 4 GB/s, ingress 1 and 2. */
static struct traffic *two_into_one(double a, double b) {
    struct traffic *t = net(3, 4, 2);
    traffic_link(t, 2)->capacity = 4 * GB;
    put(t, 0, 0, a, 0, 0, 2, 1, END);
    put(t, 1, 1, b, 1, 0, 2, 2, END);
    return t;
}

static void test_classes_share_by_slots_and_leave_nothing_idle(void) {
    struct traffic *t = two_into_one(PLENTY, PLENTY);
    slots(t, 2, 1, 16, 2, 48);
    EXPECT(t, 1 * GB, 3 * GB);
    traffic_flow(t, 1)->offered = 0;
    EXPECT(t, 4 * GB, 0.0);
    slots(t, 2, 1, 32, 2, 32);
    traffic_flow(t, 1)->offered = 0.5 * GB;
    EXPECT(t, 3.5 * GB, 0.5 * GB);
    traffic_flow(t, 0)->ceiling = 1.25 * GB;
    EXPECT(t, 1.25 * GB, 0.5 * GB);
    traffic_destroy(t);
}

static void test_fixed_arbiter_serves_classes_equally(void) {
    struct traffic *t = two_into_one(PLENTY, PLENTY);
    put(t, 2, 1, PLENTY, 1, 0, 2, 2, END);
    EXPECT(t, 2 * GB, 1 * GB, 1 * GB);
    traffic_destroy(t);
}

static void test_class_without_slots_gets_leftovers(void) {
    struct traffic *t = two_into_one(PLENTY, PLENTY);
    slots(t, 2, 1, 1, 2, 1);
    put(t, 2, 0, PLENTY, 2, 0, END);
    EXPECT(t, 2 * GB, 2 * GB, 0.0); /* a sender's own link has one class: 0, without slots here */
    put(t, 2, 0, PLENTY, 0, 0, 2, 3, END);
    put(t, 3, 0, PLENTY, 1, 0, 2, 4, END);
    EXPECT(t, 2 * GB, 2 * GB, 0.0, 0.0);
    traffic_flow(t, 0)->offered = 0.5 * GB;
    EXPECT(t, 0.5 * GB, 3.5 * GB, 0.0, 0.0);
    traffic_flow(t, 1)->offered = 0.5 * GB;
    EXPECT(t, 0.5 * GB, 0.5 * GB, 1.5 * GB, 1.5 * GB);
    traffic_destroy(t);
}

static void test_bottleneck_downstream_frees_the_link_before_it(void) {
    struct traffic *t = net(4, 2, 2);
    put(t, 0, 0, PLENTY, 0, 0, 2, 1, 3, 4, END);
    put(t, 1, 1, PLENTY, 1, 0, 2, 2, END);
    traffic_link(t, 2)->capacity = 4 * GB;
    traffic_link(t, 3)->capacity = 1 * GB;
    EXPECT(t, 1 * GB, 3 * GB);
    traffic_link(t, 3)->capacity = 3 * GB;
    EXPECT(t, 2 * GB, 2 * GB);
    traffic_link(t, 3)->capacity = 0;
    EXPECT(t, 0.0, 4 * GB);
    traffic_destroy(t);
}

static void test_what_a_bottleneck_frees_is_shared_by_weight_too(void) {
    struct traffic *t = net(5, 3, 3);
    put(t, 0, 0, PLENTY, 0, 0, 3, 1, 4, 5, END);
    put(t, 1, 1, PLENTY, 1, 0, 3, 2, END);
    put(t, 2, 2, PLENTY, 2, 0, 3, 3, END);
    traffic_link(t, 3)->capacity = 4 * GB;
    traffic_link(t, 4)->capacity = 1 * GB;
    EXPECT(t, 1 * GB, 1.5 * GB, 1.5 * GB);
    slots(t, 3, 2, 1, 3, 2);
    traffic_link(t, 3)->slots[1] = 5; /* 5 : 1 : 2 */
    traffic_link(t, 3)->phases = 8;
    EXPECT(t, 1 * GB, 1 * GB, 2 * GB);
    /* A circle: 0 and 1 meet on link 3, 1 and 2 on link 1, 2 and 0 on link 4. */
    put(t, 2, 2, PLENTY, 1, 0, 4, 6, END);
    EXPECT(t, 0.5 * GB, 3.5 * GB, 0.5 * GB);
    traffic_destroy(t);
}

/* Modules 0 and 1 meet on fabric link 2 by 1:3 and then module 2 on link 4, where the fabric port
 * is one class of two. */
static void test_fabric_class_is_shared_as_the_arbiter_upstream_shares(void) {
    struct traffic *t = net(5, 4, 3);
    put(t, 0, 0, PLENTY, 0, 0, 2, 1, 4, 5, END);
    put(t, 1, 1, PLENTY, 1, 0, 2, 2, 4, 5, END);
    put(t, 2, 1, PLENTY, 1, 0, 2, 2, 4, 5, END);
    put(t, 3, 2, PLENTY, 3, 0, 4, 6, END);
    slots(t, 2, 1, 1, 2, 3);
    traffic_link(t, 4)->capacity = 4 * GB;
    EXPECT(t, 0.5 * GB, 0.75 * GB, 0.75 * GB, 2 * GB);
    traffic_flow(t, 1)->offered = 0.25 * GB; /* what it leaves stays with its module */
    EXPECT(t, 0.5 * GB, 0.25 * GB, 1.25 * GB, 2 * GB);
    traffic_flow(t, 2)->offered = 0.25 * GB; /* and then with its fabric link */
    EXPECT(t, 1.5 * GB, 0.25 * GB, 0.25 * GB, 2 * GB);
    traffic_destroy(t);
}

static void test_module_divides_by_groups(void) {
    struct traffic *t = net(2, 3, 1);
    struct traffic_module *m = traffic_module(t, 0);
    for (int i = 0; i < 3; i++) {
        put(t, i, 0, PLENTY, 0, 0, 1, 1, END);
        traffic_flow(t, i)->group = i > 0;
    }
    traffic_link(t, 0)->capacity = 4 * GB;
    EXPECT(t, 4 * GB / 3, 4 * GB / 3, 4 * GB / 3);
    m->phases = 32; /* without a call of traffic_changed */
    m->slots[0] = 8;
    m->slots[1] = 24;
    EXPECT(t, 1 * GB, 1.5 * GB, 1.5 * GB);
    traffic_flow(t, 1)->offered = 0.5 * GB;
    EXPECT(t, 1 * GB, 0.5 * GB, 2.5 * GB);
    m->slots[1] = 0;
    EXPECT(t, 4 * GB, 0.0, 0.0);
    traffic_flow(t, 0)->offered = 3 * GB;
    EXPECT(t, 3 * GB, 0.5 * GB, 0.5 * GB);
    traffic_link(t, 0)->capacity = 100 * GB; /* credits carry the group's slots to a later link */
    traffic_link(t, 1)->capacity = 2 * GB;
    EXPECT(t, 2 * GB, 0.0, 0.0);
    traffic_destroy(t);
}

static void test_host_link_serves_the_functions_of_all_modules_alike(void) {
    struct traffic *t = net(1, 4, 2);
    for (int i = 0; i < 4; i++) put(t, i, i > 0, PLENTY, 0, 0, END)->direction = TRAFFIC_DOWN;
    traffic_flow(t, 3)->group = 1;
    traffic_module(t, 1)->phases = 4;
    traffic_module(t, 1)->slots[0] = 3;
    traffic_module(t, 1)->slots[1] = 1;
    traffic_link(t, 0)->capacity = 8 * GB;
    EXPECT(t, 2 * GB, 2.25 * GB, 2.25 * GB, 1.5 * GB);
    CHECK_EQ(traffic_link(t, 0)->bytes[TRAFFIC_DOWN], 8 * GB);
    CHECK_EQ(traffic_link(t, 0)->bytes[TRAFFIC_UP], 0);
    traffic_destroy(t);
}

static void test_committed_comes_first_and_peak_is_never_passed(void) {
    struct traffic *t = net(3, 3, 2);
    struct traffic_flow *a = put(t, 0, 0, PLENTY, 0, 0, 1, 1, END);
    struct traffic_flow *b = put(t, 1, 0, PLENTY, 0, 0, 1, 1, END);
    traffic_link(t, 0)->capacity = 4 * GB;
    a->committed = 3 * GB;
    EXPECT(t, 3 * GB, 1 * GB);
    a->committed = 1 * GB; /* below its share anyway */
    EXPECT(t, 2 * GB, 2 * GB);
    a->peak = 0.5 * GB;
    EXPECT(t, 0.5 * GB, 3.5 * GB);
    a->peak = INFINITY;
    a->committed = 6 * GB;
    b->committed = 2 * GB;
    EXPECT(t, 3 * GB, 1 * GB); /* too much was promised */
    /* A second link that promised too much as well does not talk the first one down. */
    traffic_link(t, 1)->capacity = 2 * GB;
    EXPECT(t, 1.5 * GB, 0.5 * GB);
    /* The port arbiter knows no functions: another class keeps its half. */
    put(t, 2, 1, PLENTY, 2, 0, 1, 2, END);
    EXPECT(t, 0.75 * GB, 0.25 * GB, 1 * GB);
    traffic_destroy(t);
}

static void test_nothing_happens_in_no_time_or_on_a_path_that_cannot_be(void) {
    struct traffic *t = two_into_one(1 * GB, 1 * GB);
    double none[] = {0, -1, NAN, INFINITY};
    for (int i = 0; i < 4; i++) traffic_step(t, none[i], 1);
    CHECK(traffic_flow(t, 0)->backlog == 0 && traffic_flow(t, 0)->delivered == 0);
    put(t, 2, 0, PLENTY, 0, 0, 2, 1, 0, 0, END); /* a link twice */
    put(t, 3, 0, PLENTY, 0, 0, 9, 1, END);       /* no such link */
    EXPECT(t, 1 * GB, 1 * GB, 0.0, 0.0);
    traffic_flow(t, 0)->offered = NAN;
    traffic_flow(t, 1)->active = 0;
    traffic_changed(t);
    EXPECT(t, 0.0, 0.0, 0.0, 0.0);
    CHECK_EQ(traffic_flow(t, 1)->delivered, 1 * GB); /* an unbound flow keeps its counters */
    traffic_destroy(t);
    CHECK_EQ(traffic_create(0, 1, 1, &t), -EINVAL);
    CHECK_EQ(traffic_create(1, 0, 1, &t), -EINVAL);
    CHECK_EQ(traffic_create(65537, 1, 1, &t), -EINVAL);
}

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

int main(void) {
    test_classes_share_by_slots_and_leave_nothing_idle();
    test_fixed_arbiter_serves_classes_equally();
    test_class_without_slots_gets_leftovers();
    test_bottleneck_downstream_frees_the_link_before_it();
    test_what_a_bottleneck_frees_is_shared_by_weight_too();
    test_fabric_class_is_shared_as_the_arbiter_upstream_shares();
    test_module_divides_by_groups();
    test_host_link_serves_the_functions_of_all_modules_alike();
    test_committed_comes_first_and_peak_is_never_passed();
    test_nothing_happens_in_no_time_or_on_a_path_that_cannot_be();
    test_dropped_delivered_and_waiting_are_what_was_offered();
    test_fractions_of_a_byte_count_exactly();
    return CHECK_RESULT;
}
