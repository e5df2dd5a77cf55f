/* What TLPs do on the way: sizes, phases, credits, latency, and bytes that are counted where they
 * passed. */
#include <math.h>

#include "rack_net.h"
#include "tlp.h"

static struct traffic *one_way(double offered, int hops) {
    struct traffic *t = empty_rack(1);
    rack_flow(t, 0, 0, 0, hops - 2, RACK_HOST, 0)->offered = offered;
    traffic_set_mode(t, TRAFFIC_TLP);
    return t;
}

static uint64_t crossed(struct traffic *t, int hop) {
    return traffic_link(t, traffic_flow(t, 0)->hop[hop].link)->bytes[TRAFFIC_UP];
}

static uint64_t tlps(struct traffic *t, int hop) {
    return traffic_link(t, traffic_flow(t, 0)->hop[hop].link)->tlps[TRAFFIC_UP];
}

static void test_the_last_tlp_of_a_transfer_is_shorter(void) {
    struct traffic *t = one_way(0, 3);
    traffic_flow(t, 0)->backlog = 1000.5;
    traffic_step(t, 1e-3, 0);
    CHECK_EQ(traffic_flow(t, 0)->delivered, 1000);
    CHECK(traffic_flow(t, 0)->backlog == 0.5);
    for (int h = 0; h < 3; h++) {
        CHECK_EQ(crossed(t, h), 1000);
        CHECK_EQ(tlps(t, h), 4); /* 256, 256, 256, 232 */
    }
    traffic_destroy(t);
}

/* 1 GB/s of payload in TLPs of 256 and 24 bytes: 256 ns each. */
static void test_an_idle_switch_takes_its_latency_and_the_serialisation(void) {
    struct traffic *t = one_way(1e8, 3);
    traffic_step(t, 1e-3, 0);
    for (int h = 1; h < 3; h++) {
        const struct traffic_hop *hop = &traffic_flow(t, 0)->hop[h];
        const struct traffic_latency *l = traffic_latency(t, hop->link, hop->ingress);
        CHECK_NEAR(l->min, TLP_LATENCY_NS + 256, 0.01);
        CHECK_NEAR(l->max, TLP_LATENCY_NS + 256, 0.01);
    }
    traffic_destroy(t);
}

/* Held back at the last link: both switches have a full window of the flow in front of it. */
static void test_both_modes_tell_the_latency_of_a_full_buffer(void) {
    for (int mode = TRAFFIC_FLUID; mode <= TRAFFIC_TLP; mode++) {
        struct traffic *t = one_way(PLENTY, 3);
        traffic_set_mode(t, mode);
        traffic_link(t, traffic_flow(t, 0)->hop[2].link)->capacity = 0.25 * GB;
        for (int h = 1; h < 3; h++) traffic_time(t, traffic_flow(t, 0)->hop[h].link, 1);
        for (int k = 0; k < 5; k++) traffic_step(t, 1e-3, 0);
        for (int h = 1; h < 3; h++) {
            const struct traffic_hop *hop = &traffic_flow(t, 0)->hop[h];
            CHECK_NEAR(traffic_latency(t, hop->link, hop->ingress)->max / (TLP_WINDOW * 1024.0), 1,
                       0.03);
        }
        traffic_destroy(t);
    }
}

static void test_a_link_that_is_down_holds_the_sender_by_its_credits(void) {
    struct traffic *t = one_way(PLENTY, 3);
    struct traffic_link *last = traffic_link(t, traffic_flow(t, 0)->hop[2].link);
    last->capacity = 0;
    for (int k = 0; k < 3; k++) traffic_step(t, 1e-3, 0);
    CHECK_EQ(crossed(t, 2), 0);
    CHECK_EQ(crossed(t, 1), 256 * TLP_WINDOW);
    CHECK_EQ(crossed(t, 0), 2 * 256 * TLP_WINDOW);
    CHECK(traffic_flow(t, 0)->backlog == 3e-3 * PLENTY); /* nothing is lost */
    last->capacity = 1 * GB;
    for (int k = 0; k < 3; k++) traffic_step(t, 1e-3, 0);
    CHECK_NEAR((double)traffic_flow(t, 0)->delivered, 3e6, 3e4);
    traffic_destroy(t);
}

static void test_phases_are_served_in_the_order_of_the_table(void) {
    struct traffic *t = two_into_one(PLENTY, PLENTY);
    struct traffic_link *l = traffic_link(t, 2);
    traffic_set_mode(t, TRAFFIC_TLP);
    slots(t, 2, 1, 8, 2, 24);
    for (int k = 0; k < 32; k++) l->table[k] = k < 8 ? 1 : 2; /* in two blocks */
    traffic_step(t, 1e-3, 0);
    uint64_t before[2] = {traffic_flow(t, 0)->delivered, traffic_flow(t, 1)->delivered};
    double last = 0;
    int runs[2] = {0, 0}, longest[2] = {0, 0};
    for (int k = 0; k < 640; k++) { /* a TLP of 256 bytes takes 64 ns */
        traffic_step(t, 64e-9, 0);
        for (int i = 0; i < 2; i++) {
            runs[i] = traffic_flow(t, i)->delivered > before[i] ? runs[i] + 1 : 0;
            before[i] = traffic_flow(t, i)->delivered;
            if (runs[i] > longest[i]) longest[i] = runs[i];
        }
        last += 1;
    }
    CHECK_EQ(longest[0], 8);
    CHECK_EQ(longest[1], 24);
    traffic_destroy(t);
}

static uint64_t sum_of(struct traffic *t, size_t flows, size_t link, unsigned direction) {
    uint64_t sum = 0;
    for (size_t i = 0; i < flows; i++) {
        const struct traffic_flow *f = traffic_flow(t, i);
        for (int h = 0; h < f->hops; h++)
            if (f->hop[h].link == link && f->direction == direction) sum += f->delivered;
    }
    return sum;
}

/* Steps of both modes in turn, some of which drop; then a rest in which everything arrives. */
static void test_every_byte_is_counted_at_every_port_in_both_modes(void) {
    enum { FLOWS = 12 };
    for (unsigned seed = 0; seed < 12; seed++) {
        struct traffic *t = rack(seed, FLOWS);
        double offered[FLOWS] = {0};
        for (size_t i = 0; i < FLOWS; i++) {
            struct traffic_flow *f = traffic_flow(t, i);
            if (f->offered == PLENTY) f->offered = 0.3 * GB;
            for (int k = 0; k < 12; k++) offered[i] += f->offered * 1e-4;
        }
        for (int k = 0; k < 12; k++) {
            traffic_set_mode(t, k / 3 % 2 ? TRAFFIC_TLP : TRAFFIC_FLUID);
            traffic_step(t, 1e-4, k % 5 == 0);
        }
        for (size_t i = 0; i < FLOWS; i++) {
            const struct traffic_flow *f = traffic_flow(t, i);
            double all = (double)f->delivered + (double)f->dropped + f->backlog + f->carry;
            CHECK_NEAR(all, offered[i], 1e-3);
        }
        traffic_set_mode(t, TRAFFIC_FLUID);
        for (size_t l = 0; l < RACK_LINKS; l++)
            for (unsigned d = 0; d < 2; d++) {
                const struct traffic_link *link = traffic_link(t, l);
                CHECK_EQ(link->bytes[d], sum_of(t, FLOWS, l, d));
                CHECK(link->tlp_bytes[d] <= link->bytes[d]);
                CHECK(link->tlps[d] * 256 >= link->tlp_bytes[d]);
            }
        traffic_destroy(t);
    }
}

static void test_a_run_repeats_itself(void) {
    struct traffic *t = rack(7, 12), *again = rack(7, 12);
    traffic_set_mode(t, TRAFFIC_TLP);
    traffic_set_mode(again, TRAFFIC_TLP);
    for (int k = 0; k < 5; k++) {
        traffic_step(t, 3.3e-4, k == 3);
        traffic_step(again, 3.3e-4, k == 3);
    }
    for (size_t i = 0; i < 12; i++) {
        CHECK_EQ(traffic_flow(t, i)->delivered, traffic_flow(again, i)->delivered);
        CHECK(traffic_flow(t, i)->backlog == traffic_flow(again, i)->backlog);
    }
    traffic_destroy(t);
    traffic_destroy(again);
}

static void test_what_was_under_way_on_a_path_that_is_gone_is_sent_again(void) {
    struct traffic *t = one_way(0, 3);
    traffic_flow(t, 0)->backlog = 1e6;
    traffic_link(t, traffic_flow(t, 0)->hop[2].link)->capacity = 0;
    traffic_step(t, 1e-4, 0);
    CHECK(traffic_flow(t, 0)->backlog == 1e6 && traffic_flow(t, 0)->delivered == 0);
    rack_flow(t, 0, 0, 0, 1, RACK_HOST + 1, 0);
    for (int k = 0; k < 20; k++) traffic_step(t, 1e-4, 0);
    CHECK_EQ(traffic_flow(t, 0)->delivered, 1000000);
    traffic_flow(t, 0)->backlog = 1e6;
    traffic_step(t, 1e-4, 0);
    traffic_flow(t, 0)->backlog = 0; /* its owner unbinds it */
    traffic_flow(t, 0)->active = 0;
    traffic_changed(t);
    uint64_t before = traffic_flow(t, 0)->delivered;
    for (int k = 0; k < 3; k++) traffic_step(t, 1e-4, 0);
    CHECK_EQ(traffic_flow(t, 0)->delivered, before);
    traffic_destroy(t);
}

int main(void) {
    test_the_last_tlp_of_a_transfer_is_shorter();
    test_an_idle_switch_takes_its_latency_and_the_serialisation();
    test_both_modes_tell_the_latency_of_a_full_buffer();
    test_a_link_that_is_down_holds_the_sender_by_its_credits();
    test_phases_are_served_in_the_order_of_the_table();
    test_every_byte_is_counted_at_every_port_in_both_modes();
    test_a_run_repeats_itself();
    test_what_was_under_way_on_a_path_that_is_gone_is_sent_again();
    return CHECK_RESULT;
}
