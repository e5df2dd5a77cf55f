/* The driver's events, counters, latency, temperature, remote registers and reset: what it leaves
 * in the mailbox and in the headers is what the fact sheet says, as numbers, and it understands
 * what a switch answers. */
#include <errno.h>
#include <stdlib.h>

#include "emulator_identity.h"

struct rig {
    fab_node *node;
    fab_switch *sw;
    fab_bar *bar;
};

static struct rig open_as(uint32_t device_id) {
    struct rig rig = {.node = make_as(device_id)};
    rig.bar = fab_node_bar(rig.node, 0);
    CHECK_EQ(fab_switch_open(rig.bar, &rig.sw), 0);
    fab_switch_set_timeout(rig.sw, 1000000);
    return rig;
}

static void close_rig(struct rig *rig) {
    fab_switch_close(rig->sw);
    fab_node_close(rig->node);
}

static void input_is(struct rig *rig, uint32_t word, const uint8_t *in, size_t bytes) {
    uint8_t there[1024];
    CHECK_EQ(reg(rig->node, 0, 0x800), word);
    CHECK_EQ(fab_bar_read_block(rig->bar, 0, there, bytes), 0);
    for (size_t k = 0; k < bytes; k++) CHECK_EQ(there[k], in[k]);
}

static void test_every_event_is_named_found_and_cleared(void) {
    struct rig rig = open_as(0x5200);
    struct fab_event found[64];
    CHECK_EQ(fab_switch_event_clear(rig.sw, FAB_EVENT_ALL, FAB_EVENT_ALL) >= 0, 1);
    CHECK_EQ(fab_switch_events(rig.sw, found, 64), 0);
    pthread_mutex_lock(&rig.node->lock);
    struct node_switch *sw = &rig.node->switches[0];
    for (unsigned k = 0; k < 14; k++) event_global(sw, k);
    for (unsigned k = 0; k < 5; k++) event_partition(sw, 0, k);
    for (unsigned k = 0; k < 13; k++) event_port(sw->by_id[24], k);
    event_port(sw->by_id[24], 12);
    pthread_mutex_unlock(&rig.node->lock);
    CHECK_EQ(fab_switch_events(rig.sw, found, 64), 32);
    for (unsigned k = 0; k < 32; k++) {
        CHECK_EQ(found[k].event, k);
        CHECK_EQ(found[k].index, k < 19 ? 0 : 24);
        CHECK_EQ(found[k].pff, k < 19 ? 0xFF : 3);
        CHECK_EQ(found[k].count, k == 31 ? 2 : 1);
        CHECK_EQ(found[k].enabled, 0);
        CHECK(fab_event_name(k) && *fab_event_name(k));
    }
    CHECK_EQ(strcmp(fab_event_name(FAB_EVENT_LINK_STATE), "link-state"), 0);
    CHECK(fab_event_name(32) == NULL);
    CHECK_EQ(fab_switch_events(rig.sw, found, 3), 3);
    CHECK_EQ(fab_switch_event_clear(rig.sw, FAB_EVENT_DPC, FAB_EVENT_ALL), 1);
    CHECK_EQ(reg(rig.node, 0, 0x137C40), 0);
    CHECK_EQ(fab_switch_event_clear(rig.sw, FAB_EVENT_ALL, 24), 12);
    CHECK_EQ(reg(rig.node, 0, 0x137C00), 0);
    CHECK_EQ(fab_switch_event_clear(rig.sw, FAB_EVENT_ALL, FAB_EVENT_ALL), 19);
    CHECK_EQ(reg(rig.node, 0, 0x1820), 0);
    CHECK_EQ(reg(rig.node, 0, 0x1810), 0);
    CHECK_EQ(fab_switch_event_clear(rig.sw, 32, 0), -EINVAL);
    CHECK_EQ(fab_switch_event_clear(rig.sw, FAB_EVENT_DPC, 25), -ENOENT);
    CHECK_EQ(fab_switch_event_clear(rig.sw, FAB_EVENT_PART_RESET, 4), -ENOENT);
    close_rig(&rig);
}

static void test_enabling_keeps_what_occurred_and_what_else_is_enabled(void) {
    struct rig rig = open_as(0x5100);
    struct fab_event found[8];
    const uint64_t header = 0x134D30;
    pthread_mutex_lock(&rig.node->lock);
    event_port(rig.node->switches[0].by_id[0], 12);
    pthread_mutex_unlock(&rig.node->lock);
    uint32_t before = reg(rig.node, 0, header);
    CHECK_EQ(fab_switch_event_enable(rig.sw, FAB_EVENT_LINK_STATE, FAB_EVENT_ALL, 8, 1), 7);
    CHECK_EQ(reg(rig.node, 0, header), before | 8);
    CHECK_EQ(reg(rig.node, 0, 0x13AD30) & 8, 8);
    CHECK_EQ(fab_switch_event_enable(rig.sw, FAB_EVENT_LINK_STATE, 0, 2 | 16, 1), 1);
    CHECK_EQ(reg(rig.node, 0, header), before | 8 | 2 | 16);
    CHECK_EQ(fab_switch_event_enable(rig.sw, FAB_EVENT_LINK_STATE, 0, 8, 0), 1);
    CHECK_EQ(reg(rig.node, 0, header), before | 2 | 16);
    CHECK_EQ(fab_switch_events(rig.sw, found, 8) >= 1, 1);
    CHECK_EQ(fab_switch_event_clear(rig.sw, FAB_EVENT_LINK_STATE, 0), 1);
    CHECK_EQ(reg(rig.node, 0, header), 2 | 16);
    CHECK_EQ(fab_switch_event_enable(rig.sw, FAB_EVENT_LINK_STATE, 0, 1, 1), -EINVAL);
    CHECK_EQ(fab_switch_event_enable(rig.sw, FAB_EVENT_GFMS, 0, 8, 1), -EOPNOTSUPP);
    CHECK_EQ(fab_node_fault(rig.node, 0, FAB_FAULT_GONE, 0, 1), 0);
    CHECK_EQ(fab_switch_events(rig.sw, found, 8), -ENODEV);
    CHECK_EQ(fab_switch_event_clear(rig.sw, FAB_EVENT_ALL, FAB_EVENT_ALL), -ENODEV);
    close_rig(&rig);
}

static void test_event_counters_go_out_and_come_back_as_the_firmware_packs_them(void) {
    static const uint8_t sent[13] = {0,    2,    5,    1,    0x81, 0x00, 0x20,
                                     0x10, 0x80, 0x78, 0x56, 0x34, 0x12};
    struct rig rig = open_as(0x5200);
    struct fab_event_counter setup = {.ports = 0x81,
                                      .egress = 1,
                                      .types = FAB_COUNT_POSTED | FAB_COUNT_BAD_TLP,
                                      .threshold = 0x12345678};
    struct fab_event_counter back[64];
    struct fab_switch_info info;
    CHECK_EQ(fab_switch_identify(rig.sw, &info), 0); /* from now on it names itself: PAX 0 */
    CHECK_EQ(fab_switch_event_counter_setup(rig.sw, 2, 5, &setup), 0);
    input_is(&rig, 0x0007, sent, sizeof sent);
    CHECK_EQ(rig.node->switches[0].counters[2][5].mask, 0x10200081);
    pthread_mutex_lock(&rig.node->lock);
    rig.node->switches[0].by_id[16]->errors[13] = 9;
    pthread_mutex_unlock(&rig.node->lock);
    CHECK_EQ(fab_switch_event_counters(rig.sw, 2, 0, 64, 1, back), 64);
    input_is(&rig, 0x0007, (uint8_t[]){2, 2, 0, 64, 1}, 5);
    CHECK_EQ(back[5].ports, 0x81);
    CHECK_EQ(back[5].egress, 1);
    CHECK_EQ(back[5].types, 1 << 20 | 1 << 13);
    CHECK_EQ(back[5].threshold, 0x12345678);
    CHECK_EQ(back[5].value, 9);
    CHECK_EQ(back[4].types, 0);
    CHECK_EQ(fab_switch_event_counters(rig.sw, 2, 5, 1, 0, back), 1);
    CHECK_EQ(back[0].value, 0);
    uint32_t rung = reg(rig.node, 0, 0x800);
    CHECK_EQ(fab_switch_event_counters(rig.sw, 2, 60, 5, 0, back), -EINVAL);
    CHECK_EQ(fab_switch_event_counter_setup(rig.sw, 2, 64, &setup), -EINVAL);
    setup.types = 1 << 23;
    CHECK_EQ(fab_switch_event_counter_setup(rig.sw, 2, 5, &setup), -EINVAL);
    CHECK_EQ(reg(rig.node, 0, 0x800), rung); /* nothing was sent */
    setup.types = 1;
    CHECK_EQ(fab_switch_event_counter_setup(rig.sw, 8, 5, &setup), -EREMOTEIO);
    CHECK_EQ(fab_switch_refusal(rig.sw, NULL), 0x100001);
    close_rig(&rig);
}

static void test_latency_and_temperature_are_asked_as_each_generation_wants(void) {
    static const uint32_t ids[] = {0x5200, 0x5100, 0x5000, 0x4200, 0x6160};
    for (unsigned k = 0; k < 5; k++) {
        struct rig rig = open_as(ids[k]);
        struct fab_latency latency[2];
        double celsius[4] = {0};
        CHECK_EQ(fab_switch_temperature(rig.sw, celsius, 4), ids[k] == 0x4200 ? 1 : 4);
        CHECK(celsius[0] > 20 && celsius[0] < 125);
        uint32_t word = ids[k] >> 8 == 0x52 || ids[k] >> 8 == 0x42 ? 0
                        : ids[k] == 0x6160                         ? 0
                                                                   : 0xFFFC0000;
        input_is(&rig, word | 4, (uint8_t[]){ids[k] == 0x4200 ? 2 : 4, 0, 0, 0}, 4);
        CHECK_EQ(fab_switch_latency_setup(rig.sw, (uint8_t[]){16, 24},
                                          (uint8_t[]){FAB_LATENCY_ALL, 8}, 2),
                 0);
        input_is(&rig, word | 7, (uint8_t[]){4, 2, 16, 63, 24, 8}, 6);
        CHECK_EQ(fab_switch_latency(rig.sw, (uint8_t[]){16, 24}, 2, 1, latency), 2);
        input_is(&rig, word | 7, (uint8_t[]){6, 2, 1, 16, 24}, 5);
        CHECK(latency[0].min_ns <= latency[0].max_ns);
        CHECK_EQ(fab_switch_latency(rig.sw, (uint8_t[]){17}, 1, 0, latency), -EREMOTEIO);
        CHECK_EQ(fab_switch_refusal(rig.sw, NULL), 0x100002);
        close_rig(&rig);
    }
}

static void test_registers_of_another_switch_are_moved_in_as_many_commands_as_they_need(void) {
    struct rig rig = open_as(0x5200);
    uint8_t direct[4000], through[4000];
    uint32_t numbers = 0x00030201, back = 0;
    CHECK_EQ(fab_bar_read_block(fab_node_bar(rig.node, 2), 0x134000, direct, sizeof direct), 0);
    CHECK_EQ(fab_switch_gas_read(rig.sw, 2, 0x134000, through, sizeof through), 0);
    CHECK_EQ(memcmp(direct, through, sizeof direct), 0);
    input_is(&rig, 2 << 18 | 0x29, (uint8_t[]){0x00, 0x4E, 0x13, 0, 0xA0, 1, 0, 0}, 8);
    CHECK_EQ(fab_switch_gas_write(rig.sw, 2, 0x134018, &numbers, 4), 0);
    input_is(&rig, 2 << 18 | 0x34, (uint8_t[]){0x18, 0x40, 0x13, 0, 4, 0, 0, 0, 1, 2, 3, 0}, 12);
    CHECK_EQ(reg(rig.node, 2, 0x134018), numbers);
    CHECK_EQ(fab_switch_gas_read(rig.sw, -1, 0x2000, &back, 4), 0);
    CHECK_EQ(back, 0x5200);
    memset(through, 0, sizeof through);
    CHECK_EQ(fab_switch_gas_write(rig.sw, 2, 0x2000, through, 1100), 0); /* read-only: ignored */
    CHECK_EQ(reg(rig.node, 2, 0x2000), 0x5200);
    CHECK_EQ(fab_switch_gas_read(rig.sw, 2, 0x3FFFFF, &back, 2), -ERANGE);
    CHECK_EQ(fab_switch_gas_read(rig.sw, 9, 0x2000, &back, 4), -EREMOTEIO);
    CHECK_EQ(fab_switch_gas_write(rig.sw, 2, 0x800, &numbers, 4), -EREMOTEIO);
    close_rig(&rig);
    rig = open_as(0x5100);
    CHECK_EQ(fab_switch_gas_read(rig.sw, 2, 0x2000, &back, 4), -EOPNOTSUPP);
    close_rig(&rig);
}

static void test_after_a_reset_the_driver_asks_anew(void) {
    struct rig rig = open_as(0x5200);
    struct fab_event found[64];
    struct fab_switch_info info;
    struct fab_port_counters counters;
    int resets = 0;
    CHECK_EQ(fab_switch_counters(rig.sw, (uint8_t[]){16}, 1, &counters), 1);
    CHECK_EQ(fab_switch_hard_reset(rig.sw), 0);
    fab_node_advance(rig.node, 0.5);
    CHECK_EQ(fab_switch_identify(rig.sw, &info), 0);
    CHECK_EQ(info.pax_id, 0);
    int n = fab_switch_events(rig.sw, found, 64);
    CHECK(n >= 8); /* SYS_RESET and seven links */
    for (int k = 0; k < n; k++) resets += found[k].event == FAB_EVENT_SYS_RESET;
    CHECK_EQ(resets, 1);
    CHECK_EQ(fab_switch_counters(rig.sw, (uint8_t[]){16}, 1, &counters), 1);
    CHECK_EQ(counters.egress_posted, 0);
    close_rig(&rig);
}

int main(void) {
    test_every_event_is_named_found_and_cleared();
    test_enabling_keeps_what_occurred_and_what_else_is_enabled();
    test_event_counters_go_out_and_come_back_as_the_firmware_packs_them();
    test_latency_and_temperature_are_asked_as_each_generation_wants();
    test_registers_of_another_switch_are_moved_in_as_many_commands_as_they_need();
    test_after_a_reset_the_driver_asks_anew();
    return CHECK_RESULT;
}
