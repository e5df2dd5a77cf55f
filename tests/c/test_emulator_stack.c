/* How a stack's lanes are divided among its ports. */
#define _GNU_SOURCE
#include "gfms_client.h"

static int64_t bifurcate(fab_node *node, size_t sw, unsigned sub, unsigned stack, uint32_t code) {
    uint8_t in[8] = {(uint8_t)sub, (uint8_t)stack, 0, 0};
    memcpy(in + 4, &code, 4);
    memset(reply, 0xEE, 8);
    return ask(node, sw, 0x0B, in, 8, reply, 8);
}

static void test_a_stack_is_divided_and_joined_again(void) {
    fab_node *node = make();
    uint8_t pax[80], sub = 2, show[4] = {1, 4, 0, 0};
    CHECK_EQ(bifurcate(node, 0, 0, 0, 0), 0);
    CHECK_EQ(reply[0], 0);
    CHECK_EQ(word_at(reply, 4), 0x8);
    CHECK_EQ(bifurcate(node, 0, 1, 0, 0x02020004), 0); /* x8 at 0, x4 at 4 and 6 */
    CHECK_EQ(reply[1], 0);
    CHECK_EQ(word_at(reply, 4), 0x02020004);
    CHECK_EQ(bifurcate(node, 0, 0, 0, 0), 0);
    CHECK_EQ(word_at(reply, 4), 0x02020004);
    CHECK_EQ(fab_node_advance(node, TRAINING_S), 0);
    CHECK_EQ(link_of(node, 0, 0), 0x0808);
    CHECK_EQ(link_of(node, 0, 4), 0x0400); /* nothing is wired to it */
    CHECK_EQ(reg(node, 0, window(node, 0, 0) + 0x60) >> 16 & 0x3F0, 0x080); /* link status */
    CHECK_EQ(reg(node, 0, window(node, 0, 0) + 0x5C) & 0x3F0, 0x080);       /* capabilities */
    /* new ports stand behind the others, so that a scan finds all */
    CHECK_EQ(reg(node, 0, 0x1008) >> 8 & 0xFF, 9);
    CHECK_EQ(reg(node, 0, 0x134000 + 0x7000), 0x520011F8);
    CHECK_EQ(reg(node, 0, 0x134000 + 0x8000), 0x520011F8);
    CHECK_EQ(reg(node, 0, 0x134000 + 0x9000), 0);
    CHECK_EQ(window(node, 0, 4), 0x134000 + 0x7000);
    CHECK_EQ(ask(node, 0, 0x83, &sub, 1, pax, 80), 0);
    CHECK_EQ(pax[12], 9);
    CHECK_EQ(word_at(pax, 72), 0x50); /* free: 4 and 6 */
    CHECK_EQ(ask(node, 0, 0x88, show, 4, reply, 4), 0);
    CHECK_EQ(reply[0], 0);
    /* another stack's port comes behind; the first stack's go and it moves up */
    uint8_t events[1024], want[4] = {1, 0, 128, 0}, clear[4] = {0};
    CHECK_EQ(ask(node, 0, 0x89, clear, 4, NULL, 0), 0);
    CHECK_EQ(bifurcate(node, 0, 1, 1, 0x00040004), 0);
    CHECK_EQ(fab_node_advance(node, TRAINING_S), 0);
    CHECK_EQ(ask(node, 0, 0x89, want, 4, events, 1024), 0);
    unsigned then = 4 + 8 + 12; /* the device goes, the database changes, the device comes */
    CHECK_EQ(u16(events), 5);
    CHECK_EQ(events[6], 3);
    CHECK_EQ(events[then + 2], 8);
    CHECK_EQ(events[then + 5], 8); /* port 8's stack */
    CHECK_EQ(events[then + 12 + 2], 2);
    CHECK_EQ(window(node, 0, 12), 0x134000 + 0x9000);
    CHECK_EQ(bifurcate(node, 0, 1, 0, 0x8), 0);
    CHECK_EQ(window(node, 0, 12), 0x134000 + 0x7000);
    CHECK_EQ(reg(node, 0, 0x134000 + 0x7000), 0x520011F8);
    CHECK_EQ(reg(node, 0, 0x134000 + 0x8000), 0);
    CHECK_EQ(reg(node, 0, 0x1008) >> 8 & 0xFF, 8);
    CHECK_EQ(fab_node_advance(node, TRAINING_S), 0);
    CHECK_EQ(link_of(node, 0, 0), 0x1010);
    fab_node_close(node);
}

static uint64_t moved(fab_node *node) {
    struct fab_function_cell *cell = cell_of(node, 0, 1);
    offer(node, 0, 1, 200e9, 0);
    CHECK_EQ(fab_node_advance(node, 0.01), 0);
    uint64_t before = cell->out.up_bytes;
    CHECK_EQ(fab_node_advance(node, 0.1), 0);
    return cell->out.up_bytes - before;
}

static void test_a_divided_link_carries_less(void) {
    fab_node *node = make();
    CHECK_EQ(bind(node, 0, 16, 0, 1), 0);
    CHECK_NEAR(moved(node), DEFAULT_RATE / 10, 1e6);
    CHECK_EQ(bifurcate(node, 0, 1, 0, 0x4), 0x54043); /* in use */
    CHECK_EQ(bifurcate(node, 0, 1, 2, 0x4), 0x54043); /* its host */
    CHECK_EQ(unbind(node, 0, 16, 0), 0);
    CHECK_EQ(bifurcate(node, 0, 1, 0, 0x2), 0); /* x4 */
    CHECK_EQ(fab_node_advance(node, TRAINING_S), 0);
    CHECK_EQ(bind(node, 0, 16, 0, 1), 0);
    CHECK_NEAR(moved(node), DEFAULT_RATE / 40, 1e6);
    CHECK_EQ(unbind(node, 0, 16, 0), 0);
    /* a fabric link narrows at both ends */
    CHECK_EQ(bifurcate(node, 0, 1, 0, 0x8), 0);
    CHECK_EQ(bifurcate(node, 1, 1, 5, 0x4), 0);
    CHECK_EQ(fab_node_advance(node, TRAINING_S), 0);
    CHECK_EQ(link_of(node, 0, 32), 0x1008);
    CHECK_EQ(link_of(node, 1, 40), 0x0808);
    CHECK_EQ(bind(node, 1, 16, 0, 1), 0);
    CHECK_NEAR(moved(node), DEFAULT_RATE / 20, 1e6);
    fab_node_close(node);
}

static void test_a_port_without_lanes_is_off(void) {
    fab_node *node = make();
    CHECK_EQ(bifurcate(node, 0, 1, 1, 0x00040000), 0); /* port 8 off, port 12 x8 */
    CHECK_EQ(word_at(reply, 4), 0x00040000);
    CHECK_EQ(link_of(node, 0, 8), 0);
    CHECK_EQ(bind(node, 0, 16, 0, 0x41), 0x64006);
    CHECK_EQ(reg(node, 0, 0x134000 + 0x1000), 0x520011F8); /* its window stays */
    CHECK_EQ(port_bind(node, 0, 0, 3, 1, 12), 0);
    CHECK_EQ(bifurcate(node, 0, 1, 1, 0x8), 0x54043); /* the new port is bound */
    CHECK_EQ(port_bind(node, 0, 1, 3, 1, 2), 0);
    CHECK_EQ(bifurcate(node, 0, 1, 1, 0x8), 0);
    CHECK_EQ(fab_node_advance(node, TRAINING_S), 0);
    CHECK_EQ(link_of(node, 0, 8), 0x1010);
    CHECK_EQ(bind(node, 0, 16, 0, 0x41), 0);
    fab_node_close(node);
}

static void test_impossible_divisions_are_refused(void) {
    fab_node *node = make();
    CHECK_EQ(bifurcate(node, 0, 0, 7, 0), 0x54003);
    CHECK_EQ(bifurcate(node, 0, 1, 9, 0x8), 0x54003);
    CHECK_EQ(bifurcate(node, 0, 2, 0, 0x8), 0x54040);
    static const uint32_t codes[] = {0x3,        0x88,       0x18, 0x40,
                                     0x00400004, 0x10000008, 0x80, 0x00080004};
    for (unsigned k = 0; k < 8; k++) CHECK_EQ(bifurcate(node, 0, 1, 0, codes[k]), 0x54042);
    CHECK_EQ(bifurcate(node, 0, 1, 6, 0x1), 0x54043);   /* the manager's own port */
    CHECK_EQ(bifurcate(node, 0, 1, 6, 0x202), 0x54042); /* more lanes than the chip has left */
    CHECK_EQ(bifurcate(node, 0, 1, 0, 0xFFFFFFFF), 0);  /* eight times x1 */
    CHECK_EQ(word_at(reply, 4), 0xFFFFFFFF);
    CHECK_EQ(fab_node_advance(node, TRAINING_S), 0);
    CHECK_EQ(link_of(node, 0, 0), 0x0101);
    CHECK_EQ(link_of(node, 0, 7), 0x0100);
    CHECK_EQ(bifurcate(node, 0, 1, 0, 0x11111111), 0); /* or x2 */
    CHECK_EQ(link_of(node, 0, 7), 0x0200);
    CHECK_EQ(bifurcate(node, 0, 1, 1, 0x8), 0); /* what holds already */
    fab_node_close(node);
    node = make_as(0x6160);
    CHECK_EQ(bifurcate(node, 0, 0, 0, 0), 0x64005); /* fixed on this one */
    fab_node_close(node);
}

/* Every possible port: more than one chunk, and all of the client's room. */
static void test_topology_of_a_chip_divided_as_far_as_it_goes(void) {
    fab_node *node = make();
    uint8_t sub[4] = {1, 0, 0, 0}, out[1004];
    uint32_t bytes = 0, total;
    for (unsigned stack = 0; stack < 6; stack++)
        CHECK_EQ(bifurcate(node, 0, 1, stack, 0x11111111), 0);
    CHECK_EQ(ask(node, 0, 0x82, sub, 1, out, 1), 0);
    sub[0] = 2;
    CHECK_EQ(ask(node, 0, 0x82, sub, 1, out, 4), 0);
    total = 4u * u16(out + 2);
    CHECK_EQ(total, 64 + 49 * 32);
    sub[0] = 5;
    while (bytes < total) {
        memcpy(sub + 2, &bytes, 2);
        uint32_t room = 4 + (total - bytes < 1000 ? total - bytes : 1000);
        CHECK_EQ(ask(node, 0, 0x82, sub, 4, out, room), 0);
        CHECK_EQ(4u * u16(out + 2), room - 4);
        bytes += room - 4;
    }
    CHECK_EQ(bytes, total);
    fab_node_close(node);
}

/* `status` shows 20 ports of a Gen6: no division makes more. */
static void test_a_division_makes_no_port_that_status_could_not_show(void) {
    fab_node *node = NULL;
    uint8_t none[16] = {0}, status[240];
    default_node_fill(&plan);
    for (unsigned k = 0; k < DEFAULT_SWITCHES; k++) plan.config.device_id[k] = 0x6164;
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, NULL, &node), 0);
    CHECK_EQ(bifurcate(node, 0, 1, 0, 0xFFFFFFFF), 0);       /* 7 and 7 more */
    CHECK_EQ(bifurcate(node, 0, 1, 1, 0xFFFFFFFF), 0x54042); /* 21 */
    CHECK_EQ(bifurcate(node, 0, 1, 1, 0x0FFFFFFF), 0);       /* 20 */
    CHECK_EQ(ask(node, 0, 0x1C, none, 16, status, 240), 0);
    for (unsigned k = 0; k < 20; k++) CHECK(status[12 * k + 3] >> 4 <= 10);
    fab_node_close(node);
}

/* What a client has enabled at a port, and what happened there, outlives other ports' coming. */
static void test_a_port_that_keeps_its_place_keeps_its_events(void) {
    fab_node *node = make();
    const uint64_t aer = 0x134000 + 0x7000 + 0xC10;
    CHECK_EQ(bifurcate(node, 0, 1, 0, 0x00040004), 0); /* port 4 is PFF 7 */
    CHECK_EQ(port_bind(node, 0, 0, 1, 1, 4), 0);
    fab_bar_write32(fab_node_bar(node, 0), aer, 0x8);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_CORRECTABLE, 4, 0), 0);
    fab_bar_write32(fab_node_bar(node, 0), 0x456C, 1); /* the binding's own event */
    CHECK_EQ(reg(node, 0, 0x1810), 3);
    CHECK_EQ(bifurcate(node, 0, 1, 1, 0x00040004), 0);
    CHECK_EQ(window(node, 0, 12), 0x134000 + 0x8000);
    CHECK_EQ(reg(node, 0, aer), 0x29);
    CHECK_EQ(reg(node, 0, 0x134000 + 0x7C00), 1);
    CHECK_EQ(reg(node, 0, 0x1810), 3);
    fab_node_close(node);
}

int main(void) {
    test_a_stack_is_divided_and_joined_again();
    test_a_divided_link_carries_less();
    test_a_port_without_lanes_is_off();
    test_impossible_divisions_are_refused();
    test_topology_of_a_chip_divided_as_far_as_it_goes();
    test_a_division_makes_no_port_that_status_could_not_show();
    test_a_port_that_keeps_its_place_keeps_its_events();
    return CHECK_RESULT;
}
