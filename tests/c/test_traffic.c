/* The traffic model against shares computed by hand. */
#include "traffic_net.h"

#include <errno.h>
#include <math.h>

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

static void test_bottleneck_upstream_frees_the_link_behind_it(void) {
    struct traffic *t = net(5, 4, 3);
    put(t, 0, 0, PLENTY, 0, 0, 3, 1, END);
    put(t, 1, 1, PLENTY, 1, 0, 3, 2, END);
    put(t, 2, 2, PLENTY, 2, 0, 3, 3, END);
    put(t, 3, 0, PLENTY, 0, 0, 4, 1, END);
    traffic_link(t, 3)->capacity = 4 * GB;
    traffic_link(t, 0)->capacity = 1 * GB;
    EXPECT(t, 0.5 * GB, 1.75 * GB, 1.75 * GB, 0.5 * GB);
    traffic_destroy(t);
}

static void test_what_links_offered_before_does_not_stick(void) {
    struct traffic *t = net(4, 3, 2);
    put(t, 0, 0, PLENTY, 0, 0, 1, 1, END);
    put(t, 1, 0, PLENTY, 0, 0, 2, 1, END);
    put(t, 2, 1, 1.5 * GB, 3, 0, 1, 2, END);
    traffic_link(t, 0)->capacity = traffic_link(t, 1)->capacity = 4 * GB;
    EXPECT(t, 2 * GB, 2 * GB, 1.5 * GB); /* link 1 has room ... */
    traffic_flow(t, 1)->offered = 0.1 * GB;
    EXPECT(t, 2.5 * GB, 0.1 * GB, 1.5 * GB); /* ... until link 0 lets flow 0 have more */
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

/* Flow 0 meets three flows on link 0, three on link 1, all told apart below its port, and flow 1 on
 * link 2. What it is promised must not shrink to what link 2 once left it. */
static void test_committed_rate_returns_on_all_links_after_a_bottleneck(void) {
    struct traffic *t = net(7, 8, 3);
    put(t, 0, 0, PLENTY, 0, 0, 1, 1, 2, 1, END)->committed = 1 * GB;
    put(t, 1, 2, PLENTY, 6, 0, 2, 2, END);
    for (int i = 0; i < 3; i++) {
        put(t, 2 + i, 0, PLENTY, 0, 0, END);
        put(t, 5 + i, 1, PLENTY, 3 + i, 0, 1, 1, END);
    }
    traffic_link(t, 0)->capacity = traffic_link(t, 1)->capacity = 1.5 * GB;
    traffic_link(t, 2)->capacity = 1 * GB;
    double a = 1 * GB / 3, b = 0.5 * GB / 3;
    EXPECT(t, 0.5 * GB, 0.5 * GB, a, a, a, a, a, a);
    traffic_flow(t, 1)->offered = 0;
    EXPECT(t, 1 * GB, 0.0, b, b, b, b, b, b);
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

int main(void) {
    test_classes_share_by_slots_and_leave_nothing_idle();
    test_fixed_arbiter_serves_classes_equally();
    test_class_without_slots_gets_leftovers();
    test_bottleneck_downstream_frees_the_link_before_it();
    test_what_a_bottleneck_frees_is_shared_by_weight_too();
    test_bottleneck_upstream_frees_the_link_behind_it();
    test_what_links_offered_before_does_not_stick();
    test_fabric_class_is_shared_as_the_arbiter_upstream_shares();
    test_module_divides_by_groups();
    test_host_link_serves_the_functions_of_all_modules_alike();
    test_committed_comes_first_and_peak_is_never_passed();
    test_committed_rate_returns_on_all_links_after_a_bottleneck();
    test_nothing_happens_in_no_time_or_on_a_path_that_cannot_be();
    return CHECK_RESULT;
}
