/* What the emulated switch's ports count and measure, walked as the vendor's client walks it, on
 * every chip. Sizes, ids and values are those of the fact sheet, as numbers: not the names that the
 * emulator is written with. */
#include <errno.h>

#include "emulator_identity.h"

static uint64_t u64_at(const uint8_t *at, unsigned offset) {
    return word_at(at, offset) | (uint64_t)word_at(at, offset + 4) << 32;
}

/* info, test, temp */
static void test_every_chip_says_what_it_is_and_how_warm(void) {
    for (const struct chip *chip = chips; chip < chips + CHIPS; chip++) {
        fab_node *node = make_as(chip->id);
        uint32_t in = 0x600D, out[5] = {0, 0, 0, 0, 0xDEAD};
        CHECK_EQ(reg(node, 0, 0x2000), chip->id);
        CHECK_EQ(call(node, chip, 0x100, &in, 4, out, 8), 0);
        CHECK_EQ(out[0] >> 12 & 15, chip->family);
        CHECK_EQ(out[0] & 0xFF, 3);
        CHECK_EQ(out[1], ~0x600Du);
        CHECK_EQ(call(node, chip, 0x41, &in, 4, out, 4), 0);
        CHECK_EQ(out[0], ~0x600Du);
        in = chip->sub;
        CHECK_EQ(call(node, chip, 0x04, &in, 4, out, 4 * chip->temperatures), 0);
        for (unsigned k = 0; k < chip->temperatures; k++)
            CHECK(out[k] > 2000 && out[k] < 12500); /* 0.01 degrees */
        CHECK_EQ(reg(node, 0, 0x400 + 4 * chip->temperatures), 0);
        in = chip->sub ^ 6; /* the other generation's */
        CHECK_EQ(call(node, chip, 0x04, &in, 4, out, 4), 0x64004);
        fab_node_close(node);
    }
}

static void test_status_has_the_records_of_its_generation(void) {
    for (const struct chip *chip = chips; chip < chips + CHIPS; chip++) {
        static const uint8_t ids[] = {0, 8, 16, 24, 32, 40, 48};
        fab_node *node = make_as(chip->id);
        uint64_t none[2] = {0, 0}, some[2] = {UINT64_C(1) << 16 | UINT64_C(1) << 33, 0};
        uint8_t out[720], minor = chip->id == 0x6160 ? 0x11 : 1;
        size_t bytes = 12 * chip->records;
        CHECK_EQ(call(node, chip, 0x1C, none, chip->status_in, out, bytes), 0);
        for (unsigned k = 0; k < 7; k++) {
            const uint8_t *r = out + 12 * k;
            CHECK_EQ(r[0], ids[k]);
            CHECK_EQ(r[1], 0);
            CHECK_EQ(r[3], ids[k] / 8 << 4);
            CHECK_EQ(r[4], ids[k] == 48 ? 4 : 16);
            CHECK_EQ(r[5], r[4]);
            CHECK_EQ(r[6], ids[k] == 16 || ids[k] == 24);
            CHECK_EQ(r[7], 0x85);
            CHECK_EQ(r[8], 3);
            CHECK_EQ(r[9], minor);
            CHECK_EQ(r[10], 0);
            CHECK_EQ(r[11], 0);
        }
        CHECK_EQ(out[2], 1);
        CHECK_EQ(out[12 * 2 + 2], 0);
        CHECK_EQ(out[12 * 6 + 2], 100);
        for (unsigned k = 7; k < chip->records; k++) CHECK(out[12 * k + 3] >> 4 > 10);
        if (bytes < 720) CHECK_EQ(reg(node, 0, 0x400 + bytes), 0);
        CHECK_EQ(call(node, chip, 0x1C, some, chip->status_in, out, bytes), 0);
        CHECK_EQ(out[0], 16); /* bit 33 is no port of ours */
        for (unsigned k = 1; k < chip->records; k++) CHECK(out[12 * k + 3] >> 4 > 10);
        uint64_t above[2] = {0, 1};
        if (chip->status_in == 16) {
            CHECK_EQ(call(node, chip, 0x1C, above, 16, out, bytes), 0);
            CHECK(out[3] >> 4 > 10);
        }
        fab_node_fault(node, 0, FAB_FAULT_LINK_DOWN, 16, 1);
        fab_node_advance(node, 0.2);
        CHECK_EQ(call(node, chip, 0x1C, some, chip->status_in, out, bytes), 0);
        CHECK_EQ(out[7], 0);
        CHECK_EQ(out[5], 0);
        CHECK(out[8] != 3);
        fab_node_close(node);
    }
}

/* A node with one bound function that writes and is written to. */
static fab_node *moving(void) {
    fab_node *node = make();
    CHECK_EQ(bind(node, 0, 16, 0, PDFID(0, 1)), 0);
    offer(node, 0, 1, 2e9, 1e9);
    return node;
}

/* bw: status, type, then counters before and after */
static void test_bytes_are_counted_by_kind_and_direction(void) {
    fab_node *node = moving();
    const struct chip *pax = &chips[0];
    uint8_t type[2 + 2 * 7] = {12, 7}, get[2 + 2 * 7] = {1, 7}, before[392], after[392];
    static const uint8_t ids[] = {0, 8, 16, 24, 32, 40, 48};
    for (unsigned k = 0; k < 7; k++) {
        type[2 + 2 * k] = get[2 + 2 * k] = ids[k];
        type[3 + 2 * k] = 1;
    }
    CHECK_EQ(call(node, pax, 7, type, sizeof type, NULL, 0), 0);
    CHECK_EQ(call(node, pax, 7, get, sizeof get, before, sizeof before), 0);
    fab_node_advance(node, 0.1);
    CHECK_EQ(call(node, pax, 7, get, sizeof get, after, sizeof after), 0);
    CHECK_EQ(u64_at(after, 0) - u64_at(before, 0), 100000); /* us */
    const struct fab_function_out *moved = &cell_of(node, 0, 1)->out;
    CHECK(moved->up_bytes > 0);
    CHECK_EQ(u64_at(after, 56 * 2 + 8), moved->up_bytes);    /* host: egress posted */
    CHECK_EQ(u64_at(after, 56 * 0 + 32), moved->up_bytes);   /* module: ingress posted */
    CHECK_EQ(u64_at(after, 56 * 0 + 16), moved->down_bytes); /* module: egress completions */
    CHECK_EQ(u64_at(after, 56 * 2 + 40), moved->down_bytes); /* host: ingress completions */
    for (unsigned k = 8; k < 56; k++) CHECK_EQ(after[56 * 3 + k], 0);
    get[1] = 1; /* a clear counts from its own reading on */
    get[2] = 16;
    get[3] = 1;
    CHECK_EQ(call(node, pax, 7, get, 4, after, 56), 0);
    CHECK_EQ(u64_at(after, 8), moved->up_bytes);
    CHECK_EQ(call(node, pax, 7, get, 4, after, 56), 0);
    CHECK_EQ(u64_at(after, 8), 0);
    type[1] = 1; /* raw: more than the payload, and read requests show */
    type[2] = 0;
    type[3] = 0;
    get[2] = get[3] = 0;
    CHECK_EQ(call(node, pax, 7, type, 4, NULL, 0), 0);
    CHECK_EQ(call(node, pax, 7, get, 4, after, 56), 0);
    for (unsigned k = 8; k < 56; k++) CHECK_EQ(after[k], 0); /* another type starts at 0 */
    uint64_t up = moved->up_bytes;
    fab_node_advance(node, 0.1);
    CHECK_EQ(call(node, pax, 7, type, 4, NULL, 0), 0); /* the same one again goes on */
    CHECK_EQ(call(node, pax, 7, get, 4, after, 56), 0);
    CHECK(u64_at(after, 32) > moved->up_bytes - up);
    CHECK(u64_at(after, 48) > 0); /* read requests of the module */
    fab_node_close(node);
}

static void test_requests_that_make_no_sense_change_nothing(void) {
    fab_node *node = moving();
    const struct chip *pax = &chips[0];
    uint8_t in[160] = {1, 17}, out[56];
    CHECK_EQ(call(node, pax, 7, in, 36, NULL, 0), 0x64006); /* 17 do not fit */
    in[1] = 16;                                             /* all of them port 0 */
    CHECK_EQ(call(node, pax, 7, in, 34, NULL, 0), 0);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){12, 61}, 2, NULL, 0), 0x64006);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){1, 1, 17, 0}, 4, NULL, 0), 0x100002);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){1, 1, 200, 0}, 4, NULL, 0), 0x100002);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){12, 1, 16, 2}, 4, NULL, 0), 0x64006);
    fab_node_advance(node, 0.01);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){1, 2, 16, 1, 17, 1}, 6, NULL, 0), 0x100002);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){1, 1, 16, 0}, 4, out, 56), 0);
    CHECK(u64_at(out, 8) > 0); /* port 16 was not cleared */
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){4, 1, 17, 63}, 4, NULL, 0), 0x100002);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){4, 1, 16, 17}, 4, NULL, 0), 0x100002);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){4, 61}, 2, NULL, 0), 0x64006);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){6, 61, 0}, 3, NULL, 0), 0x64006);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){6, 1, 0, 17}, 4, NULL, 0), 0x100002);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){5, 1, 16, 0}, 4, NULL, 0), 0x64004);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){2, 8, 0, 64, 0}, 5, NULL, 0), 0x100001);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){2, 0, 1, 64, 0}, 5, NULL, 0), 0x64006);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){3, 0, 64, 1, 0}, 5, NULL, 0), 0x64006);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){0, 8, 0, 1}, 4, NULL, 0), 0x100001);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){0, 0, 64, 1}, 4, NULL, 0), 0x64006);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){0, 0, 0, 64}, 4, NULL, 0), 0x64006);
    in[0] = in[1] = in[2] = 0;
    in[3] = 1;
    in[7] = 0x80; /* type 23 */
    CHECK_EQ(call(node, pax, 7, in, 13, NULL, 0), 0x64006);
    fab_node_close(node);
}

/* latency -e 16 [-i 0] */
static void test_latency_grows_with_the_queue_and_is_one_ingress_ports_own(void) {
    fab_node *node = make();
    const struct chip *pax = &chips[0];
    uint16_t idle[2], busy[2], other[2];
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){6, 1, 0, 16}, 4, idle, 4), 0);
    CHECK_EQ(idle[0] | idle[1], 0); /* not set up */
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){4, 1, 16, 63}, 4, NULL, 0), 0);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){6, 1, 1, 16}, 4, NULL, 0), 0);
    for (unsigned m = 0; m < 2; m++) CHECK_EQ(bind(node, 0, 16, m, PDFID(m, 1)), 0);
    offer(node, 0, 1, 1e9, 0);
    fab_node_advance(node, 0.01);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){6, 1, 1, 16}, 4, idle, 4), 0);
    CHECK(idle[0] > 50 && idle[0] <= idle[1]);
    for (unsigned m = 0; m < 2; m++) offer(node, m, 1, 4e10, 0); /* more than leaves by port 16 */
    fab_node_advance(node, 0.01);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){6, 1, 0, 16}, 4, busy, 4), 0);
    CHECK(busy[0] <= busy[1] && busy[1] > idle[1]);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){4, 1, 16, 32}, 4, NULL, 0), 0);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){6, 1, 1, 16}, 4, NULL, 0), 0);
    fab_node_advance(node, 0.01);
    CHECK_EQ(call(node, pax, 7, (uint8_t[]){6, 1, 0, 16}, 4, other, 4), 0);
    CHECK(other[1] < busy[1]); /* nothing comes from port 32 */
    fab_node_close(node);
}

/* evcntr: 64 setups and 64 counts of stacks 0 to 7, all off at first */
static void test_event_counters_are_all_off_at_first_on_every_stack(void) {
    for (const struct chip *chip = chips; chip < chips + CHIPS; chip++) {
        fab_node *node = make_as(chip->id);
        uint8_t setups[576], values[512], stacks = chip->id == 0x6160 ? 10 : 8;
        for (uint8_t stack = 0; stack < stacks; stack++) {
            CHECK_EQ(call(node, chip, 7, (uint8_t[]){3, stack, 0, 64, 0}, 5, setups, 576), 0);
            CHECK_EQ(call(node, chip, 7, (uint8_t[]){2, stack, 0, 64, 0}, 5, values, 512), 0);
            for (unsigned k = 0; k < 576; k++) CHECK_EQ(setups[k], 0);
            for (unsigned k = 0; k < 512; k++) CHECK_EQ(values[k], 0);
        }
        CHECK_EQ(call(node, chip, 7, (uint8_t[]){2, stacks, 0, 64, 0}, 5, NULL, 0), 0x100001);
        fab_node_close(node);
    }
}

/* evcntr-setup: 571 bytes of which the first entry counts */
static int64_t setup(fab_node *node, uint8_t stack, uint8_t counter, uint32_t mask, uint8_t ieg,
                     uint32_t threshold) {
    uint8_t in[571];
    memset(in, 0xA5, sizeof in); /* the client does not clear the entries that do not count */
    memcpy(in, (uint8_t[]){0, stack, counter, 1}, 4);
    memcpy(in + 4, &mask, 4);
    in[8] = ieg;
    memcpy(in + 9, &threshold, 4);
    return call(node, &chips[0], 7, in, sizeof in, NULL, 0);
}

static uint32_t value_of(fab_node *node, uint8_t stack, uint8_t counter, uint8_t clear) {
    uint32_t out[2] = {0};
    CHECK_EQ(call(node, &chips[0], 7, (uint8_t[]){2, stack, counter, 1, clear}, 5, out, 8), 0);
    return out[0];
}

static uint64_t tlps_of(fab_node *node, unsigned port, int way, int kind) {
    uint64_t tlps[2][3];
    wiring_tlps(node_find_port(node, 0, port), tlps);
    return tlps[way][kind];
}

static void test_event_counters_count_tlps_that_really_passed(void) {
    fab_node *node = moving();
    uint8_t record[18];
    fab_node_advance(node, 0.01);                             /* before: not counted */
    CHECK_EQ(setup(node, 2, 5, 1u << 28 | 1, 0x80, 0), 0);    /* posted, egress */
    CHECK_EQ(setup(node, 2, 6, 1u << 29 | 1, 0x00, 1000), 0); /* completions, ingress */
    CHECK_EQ(setup(node, 0, 0, 7u << 28 | 0xFF, 0x00, 0), 0); /* all TLPs into stack 0 */
    CHECK_EQ(call(node, &chips[0], 7, (uint8_t[]){3, 2, 5, 2, 0}, 5, record, 18), 0);
    CHECK_EQ(word_at(record, 0), 1u << 28 | 1);
    CHECK_EQ(record[4], 0x80);
    CHECK_EQ(word_at(record, 5), 0);
    CHECK_EQ(word_at(record, 9), 1u << 29 | 1);
    CHECK_EQ(word_at(record, 14), 1000);
    uint64_t posted = tlps_of(node, 16, 0, 0), completion = tlps_of(node, 16, 1, 1), in = 0;
    for (int kind = 0; kind < 3; kind++) in -= tlps_of(node, 0, 1, kind);
    CHECK_EQ(value_of(node, 2, 5, 0), 0);
    fab_node_advance(node, 0.1);
    posted = tlps_of(node, 16, 0, 0) - posted;
    completion = tlps_of(node, 16, 1, 1) - completion;
    for (int kind = 0; kind < 3; kind++) in += tlps_of(node, 0, 1, kind);
    CHECK(posted >= 2e9 * 0.09 / 256 && completion >= 1e9 * 0.09 / 256); /* MaxPayloadSize 256 */
    CHECK_EQ(value_of(node, 2, 5, 0), posted);
    CHECK_EQ(value_of(node, 2, 6, 0), completion);
    CHECK_EQ(value_of(node, 0, 0, 0), in);
    CHECK_EQ(value_of(node, 2, 5, 1), posted); /* cleared behind the reading */
    CHECK_EQ(value_of(node, 2, 5, 0), 0);
    CHECK_EQ(setup(node, 2, 6, 0, 0, 0), 0); /* evcntr-del */
    CHECK_EQ(value_of(node, 2, 6, 0), 0);
    fab_node_close(node);
}

static void test_event_counters_count_errors_and_raise_their_threshold_once(void) {
    fab_node *node = make();
    struct node_port *port = node_find_port(node, 0, 16);
    const uint64_t thresh = 0x134000 + 0x2000 + 0xCB8;
    CHECK_EQ(setup(node, 2, 0, 1u << (8 + 13) | 1, 0, 3), 0); /* BAD_TLP */
    CHECK_EQ(setup(node, 2, 1, 1u << (8 + 12) | 1, 0, 0), 0); /* BAD_DLLP */
    pthread_mutex_lock(&node->lock);
    port->errors[13] += 2;
    pthread_mutex_unlock(&node->lock);
    fab_node_advance(node, 0.001);
    CHECK_EQ(value_of(node, 2, 0, 0), 2);
    CHECK_EQ(value_of(node, 2, 1, 0), 0);
    CHECK_EQ(reg(node, 0, thresh), 0);
    pthread_mutex_lock(&node->lock);
    port->errors[13] += 1;
    pthread_mutex_unlock(&node->lock);
    fab_node_advance(node, 0.005);
    CHECK_EQ(reg(node, 0, thresh), 0x21); /* once, however often it is looked at */
    CHECK_EQ(reg(node, 0, 0x134000 + 0x2000 + 0xC00) >> 7 & 1, 1);
    CHECK_EQ(value_of(node, 2, 0, 1), 3);
    pthread_mutex_lock(&node->lock);
    port->errors[13] += 3;
    pthread_mutex_unlock(&node->lock);
    fab_node_advance(node, 0.001);
    CHECK_EQ(reg(node, 0, thresh), 0x41); /* and again after a clear */
    fab_node_close(node);
}

int main(void) {
    test_every_chip_says_what_it_is_and_how_warm();
    test_status_has_the_records_of_its_generation();
    test_bytes_are_counted_by_kind_and_direction();
    test_requests_that_make_no_sense_change_nothing();
    test_latency_grows_with_the_queue_and_is_one_ingress_ports_own();
    test_event_counters_are_all_off_at_first_on_every_stack();
    test_event_counters_count_tlps_that_really_passed();
    test_event_counters_count_errors_and_raise_their_threshold_once();
    return CHECK_RESULT;
}
