/* The emulated switch's events by their registers alone: what marks them, counts them, clears them,
 * tells of them; the vendor client's own sequences. Numbers are those of the fact sheet, on purpose
 * not the names that the emulator is written with. */
#include "emulator_identity.h"

enum { PFF0 = 0x134000, LINK_STATE = 0xD30, MRPC_COMP = 0x413C };

struct counted {
    unsigned vectors[2];
};

static void count(void *context, unsigned vector) {
    ((struct counted *)context)->vectors[vector]++;
}

static uint64_t reg64(fab_node *node, size_t sw, uint64_t at) {
    uint64_t value = 0;
    fab_bar_read64(fab_node_bar(node, sw), at, &value);
    return value;
}

static void down_and_up(fab_node *node, uint8_t port) {
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_LINK_DOWN, port, 1), 0);
    fab_node_advance(node, 0.2);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_LINK_UP, port, 1), 0);
    fab_node_advance(node, 0.2);
}

static void test_an_event_is_marked_counted_summed_up_and_cleared_by_writing_1(void) {
    fab_node *node = make();
    CHECK_EQ(reg(node, 0, PFF0 + 0xC00), 0);
    CHECK_EQ(reg64(node, 0, 0x1810), 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_LINK_DOWN, 0, 1), 0);
    fab_node_advance(node, 0.2);
    CHECK_EQ(reg(node, 0, PFF0 + LINK_STATE) & 0x1, 1);
    CHECK(reg(node, 0, PFF0 + LINK_STATE) >> 5 & 0xFF);
    CHECK_EQ(reg(node, 0, PFF0 + 0xC00) >> 12 & 1, 1);
    CHECK_EQ(reg64(node, 0, 0x1810), 1);
    for (unsigned k = 1; k <= 5; k++) CHECK_EQ(reg(node, 0, PFF0 + LINK_STATE + 4 * k), 0);
    uint32_t before = reg(node, 0, PFF0 + LINK_STATE);
    set(node, 0, PFF0 + LINK_STATE, 0x1E | 0x7F << 5); /* all enables; occurred and count stay */
    CHECK_EQ(reg(node, 0, PFF0 + LINK_STATE), before | 0x1E);
    set(node, 0, PFF0 + LINK_STATE, before | 0x8); /* as the vendor's client: bit 0 is 1 */
    CHECK_EQ(reg(node, 0, PFF0 + LINK_STATE), 0x8);
    CHECK_EQ(reg(node, 0, PFF0 + 0xC00) >> 12 & 1, 0);
    fab_bar_write8(fab_node_bar(node, 0), PFF0 + LINK_STATE + 1, 0xFF); /* holds nothing to set */
    set(node, 0, PFF0 + LINK_STATE + 4, 0xFFFFFFFF);                    /* nor do data words */
    set(node, 0, PFF0 + 0xC00, 0xFFFFFFFF);
    set(node, 0, 0x1820, 0xFFFFFFFF);
    CHECK_EQ(reg(node, 0, PFF0 + LINK_STATE), 0x8);
    CHECK_EQ(reg(node, 0, PFF0 + LINK_STATE + 4), 0);
    CHECK_EQ(reg(node, 0, PFF0 + 0xC00) >> 12 & 1, 0);
    CHECK_EQ(reg(node, 0, 0x1820), 1 << 13); /* the fabric's manager saw the link change, too */
    fab_node_close(node);
}

static void test_a_count_wraps_so_that_every_event_moves_it(void) {
    fab_node *node = make();
    struct node_port *port = node_find_port(node, 0, 0);
    uint32_t last = reg(node, 0, PFF0 + LINK_STATE) >> 5 & 0xFF;
    for (unsigned k = 0; k < 300; k++) {
        event_port(port, 12);
        uint32_t now = reg(node, 0, PFF0 + LINK_STATE) >> 5 & 0xFF;
        CHECK_EQ(now, (last + 1) & 0xFF);
        CHECK_EQ(reg(node, 0, PFF0 + LINK_STATE) >> 13, 0);
        last = now;
    }
    fab_node_close(node);
}

static void test_every_event_has_its_header_and_its_summary_bit(void) {
    fab_node *node = make();
    struct node_switch *sw = &node->switches[0];
    for (unsigned k = 0; k < 14; k++) {
        event_global(sw, k);
        CHECK_EQ(reg(node, 0, 0x1830 + 0x18 * k), 0x21);
        CHECK_EQ(reg(node, 0, 0x1820), 1u << k);
        set(node, 0, 0x1830 + 0x18 * k, 0x21);
        CHECK_EQ(reg(node, 0, 0x1820), 0);
    }
    for (unsigned k = 0; k < 5; k++) {
        event_partition(sw, 0, k);
        CHECK_EQ(reg(node, 0, 0x4124 + 0x18 * k), 0x21);
        CHECK_EQ(reg(node, 0, 0x4114), 1u << k);
        CHECK_EQ(reg64(node, 0, 0x1810), 1);
        set(node, 0, 0x4124 + 0x18 * k, 0x21);
        CHECK_EQ(reg64(node, 0, 0x1810), 0);
    }
    for (unsigned k = 0; k < 13; k++) {
        event_port(node_find_port(node, 0, 48), k);
        CHECK_EQ(reg(node, 0, PFF0 + 0x6C10 + 0x18 * k), 0x21);
        CHECK_EQ(reg(node, 0, PFF0 + 0x6C00), 1u << k);
        set(node, 0, PFF0 + 0x6C10 + 0x18 * k, 0x21);
        CHECK_EQ(reg(node, 0, PFF0 + 0x6C00), 0);
    }
    fab_node_close(node);
}

static void test_a_vector_is_raised_once_a_batch_and_only_where_it_is_enabled(void) {
    fab_node *node = make();
    struct counted got = {{0}};
    struct node_listener listener = {.tell = count, .context = &got};
    CHECK_EQ(node_listen(node, 0, &listener), 0);
    CHECK_EQ(node_listen(node, 99, &listener), -2 /* ENOENT */);
    down_and_up(node, 0);
    CHECK_EQ(got.vectors[0], 0);
    set(node, 0, PFF0 + LINK_STATE, 0x9);
    CHECK_EQ(got.vectors[0], 0); /* a client's own write tells nobody */
    pthread_mutex_lock(&node->lock);
    for (unsigned k = 0; k < 3; k++) event_port(node_find_port(node, 0, 0), 12);
    node_deliver(node);
    node_deliver(node);
    pthread_mutex_unlock(&node->lock);
    CHECK_EQ(got.vectors[0], 1);
    set(node, 0, PFF0 + LINK_STATE, 0x1); /* cleared and masked */
    down_and_up(node, 0);
    CHECK_EQ(got.vectors[0], 1);
    CHECK_EQ(got.vectors[1], 0);
    node_unlisten(node, 0, &listener);
    set(node, 0, PFF0 + LINK_STATE, 0x9);
    down_and_up(node, 0);
    CHECK_EQ(got.vectors[0], 1);
    fab_node_close(node);
}

static void test_a_lost_event_is_neither_marked_nor_told(void) {
    fab_node *node = make();
    struct counted got = {{0}};
    struct node_listener listener = {.tell = count, .context = &got};
    uint32_t in = 7, out = 0;
    node_listen(node, 0, &listener);
    set(node, 0, MRPC_COMP, 0x9);
    set(node, 0, PFF0 + LINK_STATE, 0x9);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_EVENT_LOST, 0, 2), 0);
    CHECK_EQ(command(node, 0, LOCAL(0x41), &in, 4, &out, 4), 0); /* the command itself ends */
    CHECK_EQ(out, ~7u);
    CHECK_EQ(reg(node, 0, MRPC_COMP), 0x8);
    pthread_mutex_lock(&node->lock);
    event_port(node_find_port(node, 0, 0), 12);
    node_deliver(node);
    pthread_mutex_unlock(&node->lock);
    CHECK_EQ(reg(node, 0, PFF0 + LINK_STATE), 0x8);
    CHECK_EQ(got.vectors[0], 0);
    CHECK_EQ(command(node, 0, LOCAL(0x41), &in, 4, &out, 4), 0);
    CHECK_EQ(reg(node, 0, MRPC_COMP), 0x29);
    CHECK_EQ(got.vectors[0], 1);
    node_unlisten(node, 0, &listener);
    fab_node_close(node);
}

static void test_only_a_pax_has_events_of_the_fabric(void) {
    static const uint32_t ids[] = {0x5200, 0x5100, 0x5000, 0x4200, 0x6160};
    for (unsigned k = 0; k < 5; k++) {
        fab_node *node = make_as(ids[k]);
        uint32_t none = ids[k] >> 8 == 0x52 || ids[k] >> 8 == 0x42 ? 0 : 0x80000000u;
        CHECK_EQ(reg(node, 0, 0x1968), none);
        event_global(&node->switches[0], 13);
        CHECK_EQ(reg(node, 0, 0x1968), none ? none : 0x21);
        CHECK_EQ(reg(node, 0, 0x1820), none ? 0 : 1u << 13);
        set(node, 0, 0x1968, 0x9);
        CHECK_EQ(reg(node, 0, 0x1968), none ? none : 0x8);
        fab_node_close(node);
    }
}

/* `events`: ids, summaries, then the header of each bit that is set; -r writes it back. */
static void test_the_clients_walk_shows_and_clears_what_happened(void) {
    fab_node *node = make();
    uint8_t partition = 9, pffs = 0;
    uint32_t seen = 0;
    down_and_up(node, 8);
    fab_bar_read8(fab_node_bar(node, 0), 0x1008, &partition);
    fab_bar_read8(fab_node_bar(node, 0), 0x1009, &pffs);
    CHECK_EQ(partition, 0);
    CHECK_EQ(pffs, 7);
    for (unsigned pff = 0; (reg(node, 0, PFF0 + 0x1000 * pff) & 0xFFFF) == 0x11F8; pff++) {
        uint32_t summary = reg(node, 0, PFF0 + 0x1000 * pff + 0xC00);
        for (unsigned k = 0; k < 13; k++) {
            uint64_t at = PFF0 + 0x1000 * pff + 0xC10 + 0x18 * k;
            if (!(summary >> k & 1)) continue;
            seen |= pff == 1 && k == 12;
            set(node, 0, at, reg(node, 0, at));
        }
    }
    CHECK_EQ(seen, 1);
    for (unsigned pff = 0; pff < pffs; pff++)
        CHECK_EQ(reg(node, 0, PFF0 + 0x1000 * pff + 0xC00), 0);
    fab_node_close(node);
}

/* `event-wait -e LINK_STATE`: bits cleared and EN_IRQ set at every PFF, then the event channel. */
static void test_the_clients_wait_is_woken_by_the_event_it_asked_for(void) {
    fab_node *node = make();
    struct counted got = {{0}};
    struct node_listener listener = {.tell = count, .context = &got};
    uint8_t pffs = 0;
    node_listen(node, 0, &listener);
    fab_bar_read8(fab_node_bar(node, 0), 0x1009, &pffs);
    for (unsigned pff = 0; pff < pffs; pff++) {
        uint64_t at = PFF0 + 0x1000 * pff + LINK_STATE;
        set(node, 0, at, reg(node, 0, at) | 0x9);
    }
    CHECK_EQ(got.vectors[0], 0);
    down_and_up(node, 16);
    CHECK(got.vectors[0] >= 2);
    CHECK_EQ(reg(node, 0, PFF0 + 0x2000 + 0xC00) >> 12 & 1, 1);
    node_unlisten(node, 0, &listener);
    fab_node_close(node);
}

/* `events -a` gives up at an event whose port is in no partition's list: none may be left there. */
static void test_a_port_without_a_partition_leaves_no_event_for_the_client_to_trip_over(void) {
    const uint8_t leave[4] = {1, 0, 2, 2}, enter[4] = {0, 1, 1, 8}; /* port 8, PFF 1 */
    uint32_t out = 0;
    fab_node *node = make();
    set(node, 0, PFF0 + 0x1000 + LINK_STATE, 0x8); /* what is enabled stays */
    down_and_up(node, 8);
    CHECK_EQ(reg(node, 0, PFF0 + 0x1000 + 0xC00) >> 12 & 1, 1);
    CHECK_EQ(command(node, 0, LOCAL(0x0C), leave, 4, &out, 4), 0);
    set(node, 0, 0x416C, 1); /* DYN_PART_BIND_COMP, the last of partition 0's events */
    set(node, 0, MRPC_COMP, 1);
    CHECK_EQ(reg64(node, 0, 0x1810), 0);
    down_and_up(node, 8);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_CORRECTABLE, 8, 0), 0);
    CHECK_EQ(reg(node, 0, PFF0 + 0x1000 + 0xC00), 0);
    for (unsigned k = 0; k < 13; k++)
        CHECK_EQ(reg(node, 0, PFF0 + 0x1000 + 0xC10 + 0x18 * k), k == 12 ? 0x8 : 0);
    CHECK_EQ(command(node, 0, LOCAL(0x0C), enter, 4, &out, 4), 0);
    down_and_up(node, 8);
    CHECK_EQ(reg(node, 0, PFF0 + 0x1000 + 0xC00) >> 12 & 1, 1);
    CHECK_EQ(reg64(node, 0, 0x1810) >> 1 & 1, 1);
    fab_node_close(node);
}

/* An unbound port's window of ones hides neither old nor new events for later. */
static void test_events_behind_a_window_of_ones_leave_with_the_port(void) {
    const uint8_t leave[4] = {1, 0, 2, 2};
    uint32_t out = 0;
    fab_node *node = make();
    down_and_up(node, 8);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_ALL_ONES, 8, 1000), 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_CORRECTABLE, 8, 0), 0);
    CHECK_EQ(reg(node, 0, PFF0 + 0x1000 + 0xC00), 0xFFFFFFFF);
    CHECK_EQ(command(node, 0, LOCAL(0x0C), leave, 4, &out, 4), 0);
    CHECK_EQ(reg(node, 0, PFF0 + 0x1000 + 0xC00), 0xFFFFFFFF);
    fab_node_advance(node, 0.1);
    CHECK_EQ(reg(node, 0, PFF0 + 0x1000) & 0xFFFF, 0x11F8);
    CHECK_EQ(reg(node, 0, PFF0 + 0x1000 + 0xC00), 0);
    CHECK_EQ(reg(node, 0, PFF0 + 0x1000 + LINK_STATE), 0);
    fab_node_close(node);
}

int main(void) {
    test_an_event_is_marked_counted_summed_up_and_cleared_by_writing_1();
    test_a_count_wraps_so_that_every_event_moves_it();
    test_every_event_has_its_header_and_its_summary_bit();
    test_a_vector_is_raised_once_a_batch_and_only_where_it_is_enabled();
    test_a_lost_event_is_neither_marked_nor_told();
    test_only_a_pax_has_events_of_the_fabric();
    test_the_clients_walk_shows_and_clears_what_happened();
    test_the_clients_wait_is_woken_by_the_event_it_asked_for();
    test_a_port_without_a_partition_leaves_no_event_for_the_client_to_trip_over();
    test_events_behind_a_window_of_ones_leave_with_the_port();
    return CHECK_RESULT;
}
