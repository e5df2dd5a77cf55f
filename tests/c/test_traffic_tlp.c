/* TLP by TLP and fluid, on the same nets: steady rates agree, every byte is counted, senders wait.
 */
#include "traffic_net.h"

#include <math.h>
#include <stdlib.h>

#include "rack_net.h"

enum { WARM = 80, MEASURED = 12 }; /* steps of a millisecond */
static const double STEP_S = 1e-3;

struct twins {
    struct traffic *fluid, *tlp;
    size_t flows;
};

/* Both nets get what `make` builds, one of them goes TLP by TLP. */
static struct twins twin(struct traffic *fluid, struct traffic *tlp, size_t flows) {
    traffic_set_mode(tlp, TRAFFIC_TLP);
    return (struct twins){fluid, tlp, flows};
}

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
static void agree(int line, struct twins t, unsigned seed) {
    uint64_t before[2][64];
    struct traffic *net[2] = {t.fluid, t.tlp};
    for (int k = 0; k < WARM + MEASURED; k++) {
        for (int n = 0; n < 2; n++) {
            for (size_t i = 0; i < t.flows && k == WARM; i++)
                before[n][i] = traffic_flow(net[n], i)->delivered;
            traffic_step(net[n], STEP_S, 0);
        }
    }
    for (size_t i = 0; i < t.flows; i++) {
        double want = (double)(traffic_flow(t.fluid, i)->delivered - before[0][i]);
        double got = (double)(traffic_flow(t.tlp, i)->delivered - before[1][i]);
        if (fabs(got - want) <= fmax(0.01 * want, 0.001 * most(t.fluid, i)) + 256) continue;
        check_failures++;
        fprintf(stderr, "line %d, seed %u: flow %zu moved %.0f by TLPs, %.0f as a fluid (%+.2f %%)\n",
                line, seed, i, got, want, 100 * (got - want) / want);
    }
}
#define AGREE(t) agree(__LINE__, t, 0)
#define TWINS(make, flows) twin(make, make, flows)

static void test_one_full_egress_by_weights(void) {
    struct twins t = TWINS(two_into_one(PLENTY, PLENTY), 2);
    slots(t.fluid, 2, 1, 5, 2, 27);
    slots(t.tlp, 2, 1, 5, 2, 27);
    AGREE(t);
    part(t);
}

static void test_random_chassis(unsigned first, unsigned last) {
    for (unsigned seed = first; seed < last; seed++) {
        struct twins t = TWINS(rack(seed, 30), 30);
        agree(__LINE__, t, seed);
        part(t);
    }
}

int main(int argc, char **argv) {
    test_one_full_egress_by_weights();
    if (argc > 2) test_random_chassis(atoi(argv[1]), atoi(argv[2]));
    return CHECK_RESULT;
}
