/* The vendor client's commands as it sends them, from the opening on, on every chip: those that
 * count, measure, tell events, move registers and reset. Sizes and offsets are the fact sheet's. */
#include <stdlib.h>

#include "emulator_identity.h"

static int is_pax(const struct chip *chip) {
    return chip->id >> 8 == 0x52 || chip->id >> 8 == 0x42;
}

/* What every command of the client begins with. */
static void opening(fab_node *node, const struct chip *chip) {
    fab_bar *bar = fab_node_bar(node, 0);
    uint8_t partition = 9, partitions = 9, pax = 9;
    uint32_t ping = 77, out[2];
    fab_bar_read8(bar, 0x1008, &partition);
    fab_bar_read8(bar, 0x1007, &partitions);
    CHECK_EQ(partition, 0);
    CHECK_EQ(partitions, 4);
    CHECK_EQ(reg(node, 0, 0x2000), chip->id);
    CHECK_EQ(command(node, 0, 0x7C0100, &ping, 4, out, 8), 0); /* it does not know the chip yet */
    CHECK_EQ(out[1], ~77u);
    CHECK_EQ(out[0] >> 12 & 15, chip->family);
    int64_t code = command(node, 0, 0x7C0081, NULL, 0, &pax, 1);
    CHECK_EQ(code, is_pax(chip) ? 0 : 0x64005);
    if (is_pax(chip)) CHECK_EQ(pax, 0);
}

static size_t ports_of(fab_node *node, const struct chip *chip, uint8_t *ids) {
    uint64_t all[2] = {0, 0};
    uint8_t out[720];
    size_t n = 0;
    CHECK_EQ(call(node, chip, 0x1C, all, chip->status_in, out, 12 * chip->records), 0);
    for (unsigned k = 0; k < chip->records; k++)
        if (out[12 * k + 3] >> 4 <= 10) ids[n++] = out[12 * k];
    return n;
}

static void bw(fab_node *node, const struct chip *chip) {
    uint8_t ids[60], type[122] = {12}, get[34] = {1}, out[896];
    size_t n = ports_of(node, chip, ids);
    CHECK_EQ(n, 7);
    type[1] = get[1] = (uint8_t)n;
    for (size_t k = 0; k < n; k++) type[2 + 2 * k] = get[2 + 2 * k] = ids[k];
    CHECK_EQ(call(node, chip, 7, type, 2 + 2 * n, NULL, 0), 0);
    for (int again = 0; again < 2; again++) {
        fab_node_advance(node, 0.01);
        CHECK_EQ(ports_of(node, chip, ids), n);
        CHECK_EQ(call(node, chip, 7, get, 2 + 2 * n, out, 56 * n), 0);
        for (size_t k = 0; k < n; k++) CHECK(word_at(out, 56 * k) > 0); /* time */
        CHECK_EQ(reg(node, 0, 0x400 + 56 * n), 0);
    }
}

static void latency(fab_node *node, const struct chip *chip) {
    uint16_t ns[2] = {9, 9};
    CHECK_EQ(call(node, chip, 7, (uint8_t[]){4, 1, 16, 63}, 4, NULL, 0), 0);
    CHECK_EQ(call(node, chip, 7, (uint8_t[]){6, 1, 1, 16}, 4, NULL, 0), 0);
    CHECK_EQ(call(node, chip, 7, (uint8_t[]){6, 1, 0, 16}, 4, ns, 4), 0);
    CHECK(ns[0] <= ns[1]);
}

static void event_counters(fab_node *node, const struct chip *chip) {
    uint8_t in[571] = {0, 2, 5, 1}, setups[576], values[512];
    uint32_t mask = 1u << 28 | 0xFF, threshold = 1000;
    memcpy(in + 4, &mask, 4);
    in[8] = 0x80;
    memcpy(in + 9, &threshold, 4);
    CHECK_EQ(call(node, chip, 7, in, 571, NULL, 0), 0);
    for (uint8_t stack = 0; stack < 8; stack++) {
        CHECK_EQ(call(node, chip, 7, (uint8_t[]){3, stack, 0, 64, 0}, 5, setups, 576), 0);
        CHECK_EQ(call(node, chip, 7, (uint8_t[]){2, stack, 0, 64, 1}, 5, values, 512), 0);
        for (unsigned k = 0; k < 64; k++) {
            int set = stack == 2 && k == 5;
            CHECK_EQ(word_at(setups, 9 * k), set ? mask : 0);
            CHECK_EQ(setups[9 * k + 4], set ? 0x80 : 0);
            CHECK_EQ(word_at(setups, 9 * k + 5), set ? threshold : 0);
            CHECK_EQ(word_at(values, 8 * k + 4), set ? threshold : 0);
        }
    }
    memset(in + 4, 0, sizeof in - 4);
    CHECK_EQ(call(node, chip, 7, in, 571, NULL, 0), 0); /* evcntr-del */
}

/* gas dump: 8192 x 512 bytes of which every undefined one is 0; gas write and read back */
static void gas(fab_node *node, const struct chip *chip) {
    static uint8_t direct[0x400000], remote[512];
    fab_bar *bar = fab_node_bar(node, 1);
    for (uint32_t at = 0; at < 0x400000; at += 512)
        CHECK_EQ(fab_bar_read_block(bar, at, direct + at, 512), 0);
    for (uint32_t at = 0x233000; at < 0x400000; at += 4) CHECK_EQ(word_at(direct, at), 0);
    uint32_t write[3] = {0x134018, 4, 0x00090807};
    if (!is_pax(chip)) return;
    for (uint32_t at = 0x1000; at < 0x13C000; at += 512) { /* -x 1, where there is something */
        uint32_t in[2] = {at, 512};
        CHECK_EQ(command(node, 0, 0x40029, in, 8, remote, 512), 0);
        CHECK_EQ(memcmp(remote, direct + at, 512), 0);
    }
    CHECK_EQ(command(node, 0, 0x40034, write, 12, NULL, 0), 0);
    CHECK_EQ(command(node, 0, 0x40029, write, 8, remote, 4), 0);
    CHECK_EQ(word_at(remote, 0), 0x00090807);
}

/* events -a -r behind a link that fell, then hard-reset */
static void events_and_reset(fab_node *node, const struct chip *chip) {
    uint32_t zero = 0;
    fab_node_fault(node, 0, FAB_FAULT_LINK_DOWN, 24, 1);
    fab_node_advance(node, 0.2);
    CHECK_EQ(reg(node, 0, 0x137C00) >> 12 & 1, 1);
    set(node, 0, 0x137D30, reg(node, 0, 0x137D30));
    CHECK_EQ(reg(node, 0, 0x137C00) >> 12 & 1, 0);
    CHECK_EQ(call(node, chip, 0x1B, &zero, 4, NULL, 0), 0);
    fab_node_advance(node, 0.5);
    CHECK_EQ(reg(node, 0, 0x1878) & 1, 1);
    opening(node, chip);
}

int main(void) {
    for (const struct chip *chip = chips; chip < chips + CHIPS; chip++) {
        fab_node *node = make_as(chip->id);
        opening(node, chip);
        bw(node, chip);
        latency(node, chip);
        event_counters(node, chip);
        gas(node, chip);
        events_and_reset(node, chip);
        fab_node_close(node);
    }
    return CHECK_RESULT;
}
