/* TLP by TLP and fluid, on the same nets: steady rates agree within 1 %. */
#include <math.h>

#include "rack_net.h"

static const double STEP_S = 1e-3;
enum { MEASURED = 12 }; /* steps */

struct twins {
    struct traffic *fluid, *tlp;
    size_t flows;
};

/* Two nets alike, one of them goes TLP by TLP. */
static struct twins twin(struct traffic *fluid, struct traffic *tlp, size_t flows) {
    traffic_set_mode(tlp, TRAFFIC_TLP);
    return (struct twins){fluid, tlp, flows};
}
#define TWINS(make, flows) twin(make, make, flows)

static void part(struct twins t) {
    traffic_destroy(t.fluid);
    traffic_destroy(t.tlp);
}

/* The most that a flow's links would carry of it in the time measured. */
static double most(struct traffic *t, size_t i) {
    const struct traffic_flow *f = traffic_flow(t, i);
    double narrowest = INFINITY;
    for (int h = 0; h < f->hops; h++)
        narrowest = fmin(narrowest, traffic_link(t, f->hop[h].link)->capacity);
    return narrowest * MEASURED * STEP_S;
}

/* Steady rates of all flows agree within 1 %, next to nothing within a thousandth of the link. */
static void agree(int line, struct twins t, int warm, unsigned seed) {
    uint64_t before[2][64];
    struct traffic *net[2] = {t.fluid, t.tlp};
    for (int k = 0; k < warm + MEASURED; k++) {
        for (int n = 0; n < 2; n++) {
            for (size_t i = 0; i < t.flows && k == warm; i++)
                before[n][i] = traffic_flow(net[n], i)->delivered;
            traffic_step(net[n], STEP_S, 0);
        }
    }
    for (size_t i = 0; i < t.flows; i++) {
        double want = (double)(traffic_flow(t.fluid, i)->delivered - before[0][i]);
        double got = (double)(traffic_flow(t.tlp, i)->delivered - before[1][i]);
        if (fabs(got - want) <= fmax(0.01 * want, 0.001 * most(t.fluid, i)) + 256) continue;
        check_failures++;
        fprintf(stderr,
                "line %d, seed %u: flow %zu moved %.0f by TLPs, %.0f as a fluid (%+.2f %%)\n", line,
                seed, i, got, want, 100 * (got - want) / want);
    }
}
#define AGREE(t) agree(__LINE__, t, 8, 0)

static void test_below_capacity_everything_arrives(void) {
    struct twins t = TWINS(two_into_one(0.9 * GB, 2.75 * GB), 2);
    AGREE(t);
    CHECK_NEAR(traffic_flow(t.tlp, 0)->backlog, 0, 1024);
    part(t);
}

static struct traffic *weighted(void) {
    struct traffic *t = two_into_one(PLENTY, PLENTY);
    slots(t, 2, 1, 5, 2, 27);
    return t;
}

static void test_one_full_egress_divides_by_its_table(void) {
    struct twins t = TWINS(weighted(), 2);
    AGREE(t);
    traffic_flow(t.fluid, 1)->offered = traffic_flow(t.tlp, 1)->offered = 0;
    traffic_flow(t.fluid, 1)->backlog = traffic_flow(t.tlp, 1)->backlog = 0;
    AGREE(t); /* the idle class's phases are skipped at once */
    part(t);
}

/* Two modules at either end of a fabric link, and another where it arrives. */
static struct traffic *two_fabric_hops(void) {
    struct traffic *t = empty_rack(4);
    rack_flow(t, 0, 0, 0, 2, RACK_HOST, 0);
    rack_flow(t, 1, 0, 1, 2, RACK_HOST, 0);
    rack_flow(t, 2, 1, 0, 2, RACK_HOST + 1, 0);
    rack_flow(t, 3, 2, 0, 2, RACK_HOST, 0);
    slots(t, (size_t)rack_link(0, RACK_RIGHT, 1), 0, 11, 1, 21);
    slots(t, (size_t)rack_link(1, RACK_RIGHT, 1), 0, 8, RACK_LEFT, 24);
    slots(t, (size_t)rack_link(2, RACK_HOST, 1), 0, 12, RACK_LEFT, 20);
    for (size_t i = 0; i < 4; i++) traffic_flow(t, i)->offered = PLENTY;
    return t;
}

static void test_contention_on_two_fabric_hops(void) {
    struct twins t = TWINS(two_fabric_hops(), 4);
    AGREE(t);
    part(t);
}

static struct traffic *grouped(void) {
    struct traffic *t = net(2, 4, 1);
    struct traffic_module *m = traffic_module(t, 0);
    for (size_t i = 0; i < 4; i++)
        put(t, i, 0, i == 3 ? 0.2 * GB : PLENTY, 0, 0, 1, 1, END)->group = (uint8_t)(i / 2);
    traffic_link(t, 0)->capacity = 2 * GB;
    m->slots[0] = 9;
    m->slots[1] = 23;
    m->phases = spread(m->table, m->slots, TRAFFIC_GROUPS);
    return t;
}

static void test_function_groups_divide_their_module(void) {
    struct twins t = TWINS(grouped(), 4);
    AGREE(t);
    part(t);
}

static struct traffic *shaped(void) {
    struct traffic *t = net(2, 4, 1);
    for (size_t i = 0; i < 4; i++) put(t, i, 0, PLENTY, 0, 0, 1, 1, END);
    traffic_link(t, 0)->capacity = 2 * GB;
    traffic_flow(t, 0)->peak = 0.3 * GB;
    traffic_flow(t, 1)->committed = 0.9 * GB;
    traffic_flow(t, 2)->ceiling = 0.1 * GB;
    return t;
}

static void test_shapers_cap_and_promise(void) {
    struct twins t = TWINS(shaped(), 4);
    AGREE(t);
    for (size_t i = 0; i < 4; i++) /* more than there is */
        traffic_flow(t.fluid, i)->committed = traffic_flow(t.tlp, i)->committed = (1 + i) * GB;
    AGREE(t);
    part(t);
}

static struct traffic *channels(void) {
    struct traffic *t = empty_rack(4);
    struct traffic_link *l = traffic_link(t, (size_t)rack_link(0, RACK_RIGHT, 1));
    for (int i = 0; i < 4; i++)
        rack_flow(t, (size_t)i, 0, i % 2, 1, RACK_HOST + i % 2, (uint8_t)(i / 2))->offered = PLENTY;
    l->vc_slots[0] = 10;
    l->vc_slots[1] = 22;
    l->vc_phases = spread(l->vc_table, l->vc_slots, TRAFFIC_VCS);
    slots(t, (size_t)rack_link(0, RACK_RIGHT, 1), 0, 24, 1, 8); /* inside channel 0 only */
    return t;
}

static void test_channels_divide_a_link_before_ports_do(void) {
    struct twins t = TWINS(channels(), 4);
    AGREE(t);
    double rate[4], sum = 0;
    for (size_t i = 0; i < 4; i++) sum += rate[i] = (double)traffic_flow(t.tlp, i)->delivered;
    CHECK_NEAR((rate[2] + rate[3]) / sum, 22 / 32.0, 0.01);
    CHECK_NEAR(rate[0] / (rate[0] + rate[1]), 24 / 32.0, 0.01);
    CHECK_NEAR(rate[2] / (rate[2] + rate[3]), 0.5, 0.01);
    part(t);
}

/* Writes of one module and completions for another, against each other and side by side. */
static struct traffic *both_ways(uint32_t posted, uint32_t completion) {
    struct traffic *t = empty_rack(4);
    traffic_sizes(t, posted, completion);
    rack_flow(t, 0, 0, 0, 1, RACK_HOST, 0);
    rack_flow(t, 1, 1, RACK_HOST, 0, 0, 0);
    rack_flow(t, 2, 0, RACK_HOST, 1, 1, 0);
    rack_flow(t, 3, 0, RACK_HOST + 1, 1, 1, 0);
    slots(t, (size_t)rack_link(0, RACK_RIGHT, 1), 0, 12, RACK_HOST, 20);
    for (size_t i = 0; i < 4; i++) traffic_flow(t, i)->offered = PLENTY;
    return t;
}

static void test_completions_share_links_with_writes_by_what_they_cost(void) {
    struct twins t = TWINS(both_ways(256, 256), 4);
    AGREE(t);
    part(t);
    t = TWINS(both_ways(512, 128), 4);
    AGREE(t);
    part(t);
}

static void test_random_chassis(void) {
    for (unsigned seed = 0; seed < 10; seed++) {
        struct twins t = TWINS(rack(seed, 10), 10);
        agree(__LINE__, t, 40, seed); /* where shares are nearly alike, buffers fill slowly */
        part(t);
    }
}

int main(void) {
    test_below_capacity_everything_arrives();
    test_one_full_egress_divides_by_its_table();
    test_contention_on_two_fabric_hops();
    test_function_groups_divide_their_module();
    test_shapers_cap_and_promise();
    test_channels_divide_a_link_before_ports_do();
    test_completions_share_links_with_writes_by_what_they_cost();
    test_random_chassis();
    return CHECK_RESULT;
}
