/* The driver's reader of the GFMS database against a firmware that is not ours: records laid out by
 * hand, pieces of any size, lengths that lie. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "fabcore.h"

enum { DATA_MAX = 4096 };

struct firmware {
    uint8_t *gas;
    fab_bar *bar;
    uint8_t data[DATA_MAX];
    uint32_t bytes;    /* of data */
    uint32_t claimed;  /* dwords that start answers */
    uint32_t piece;    /* dwords of data in an answer */
    uint32_t finished; /* times */
};

static uint32_t get(const uint8_t *p, unsigned bytes) {
    uint32_t value = 0;
    memcpy(&value, p, bytes);
    return value;
}

static void put(uint8_t *p, unsigned bytes, uint32_t value) {
    memcpy(p, &value, bytes);
}

static void dump(struct firmware *f, const uint8_t *in, uint8_t *out) {
    uint32_t step = get(in + 4, 4), at = 4 * get(in + 8, 4), left;
    if (step == 1) put(out, 4, f->claimed);
    if (step == 3) f->finished++;
    if (step != 2) return;
    left = at < f->bytes ? f->bytes - at : 0;
    if (left > 4 * f->piece) left = 4 * f->piece;
    put(out, 4, at / 4);
    put(out + 4, 4, left / 4 + 3);
    memcpy(out + 12, f->data + at, left);
}

static int trap(void *context, uint64_t off, uint64_t value, unsigned width) {
    struct firmware *f = context;
    if (off < 0x400) memcpy(f->gas + off, &value, width);
    if (off != 0x800) return 0;
    const uint8_t *in = f->gas;
    uint8_t *out = f->gas + 0x400;
    memset(out, 0, 0x400);
    if ((value & 0xFFFF) == 0x100) {
        put(out, 4, 0x1003);
        put(out + 4, 4, ~get(in, 4));
    }
    if ((value & 0xFFFF) == 0x83) dump(f, in, out);
    if ((value & 0xFFFF) == 0x89) memcpy(out, f->data, 1024);
    put(f->gas + 0x804, 4, 2);
    return 0;
}

static struct firmware *boot(void) {
    struct firmware *f = calloc(1, sizeof *f);
    f->gas = calloc(1, FAB_GAS_BYTES);
    put(f->gas + 0x2000, 4, 0x5200);
    f->piece = 237;
    CHECK_EQ(fab_bar_trapped(f->gas, FAB_GAS_BYTES, trap, f, &f->bar), 0);
    return f;
}

static void shut(struct firmware *f) {
    fab_bar_close(f->bar);
    free(f->gas);
    free(f);
}

static uint8_t *section(uint8_t *at, unsigned kind, uint32_t bytes) {
    at[0] = (uint8_t)kind;
    put(at + 4, 4, bytes / 4);
    return at + 12;
}

static uint8_t *function(uint8_t *at, unsigned number, unsigned pdfid) {
    put(at, 2, number);
    put(at + 2, 2, pdfid);
    at[4] = 1;
    return at + 36;
}

/* One host with two logical ports; port 3 with an endpoint, port 5 with a switch that has two of
 * them (the second with a word behind its function), port 9 with nothing. */
static void lay_out(struct firmware *f) {
    uint8_t *at = f->data + 80;
    section(f->data, 2, 80);
    at = section(at, 3, 12 + 8 + 2 * 8 * 4);
    at[0] = 6;
    at[1] = 44;
    put(at + 2, 2, 0x1234);
    put(at + 4, 2, 2);
    at[8 + 4 * 3] = 1; /* slot 1 of logical port 1 */
    at[8 + 4 * 3 + 1] = 1;
    put(at + 8 + 4 * 3 + 2, 2, 0xBEEF);
    at += 8 + 64;
    uint32_t endpoint = 8 + 8 + 36, below = 8 + 8 + 2 * 36 + 8 + 36 + 8 + 2 * 36 + 4, none = 8;
    at = section(at, 5, 12 + endpoint + below + none);
    at[1] = 3;
    put(at + 2, 2, 1);
    put(at + 4, 3, endpoint / 4);
    put(at + 8, 2, 1);
    put(at + 12, 3, (8 + 36) / 4);
    at = function(at + 16, 0, 0xBEEF);
    at[0] = 1;
    at[1] = 5;
    put(at + 2, 2, 2);
    put(at + 4, 3, below / 4);
    put(at + 8, 2, 2); /* functions of the switch itself */
    at += 16 + 2 * 36;
    put(at, 2, 1);
    put(at + 4, 3, (8 + 36) / 4);
    at = function(at + 8, 0, 0x7001);
    put(at, 2, 2);
    put(at + 4, 3, (8 + 2 * 36 + 4) / 4);
    at = function(function(at + 8, 0, 0x7002), 1, 0x7003) + 4;
    at[0] = 2;
    at[1] = 9;
    put(at + 4, 3, 2);
    f->bytes = (uint32_t)(at + 8 - f->data);
    f->claimed = f->bytes / 4;
}

static void test_any_layout_in_any_pieces_is_read(void) {
    struct firmware *f = boot();
    fab_switch *sw = NULL;
    static const uint16_t wanted[] = {0xBEEF, 0x7001, 0x7002, 0x7003};
    static const uint8_t ports[] = {3, 5, 5, 5};
    struct fab_gfms_function found[8];
    struct fab_gfms_host host;
    struct fab_gfms_binding binding;
    lay_out(f);
    CHECK_EQ(fab_switch_open(f->bar, &sw), 0);
    for (f->piece = 1; f->piece <= 240; f->piece += 7) {
        CHECK_EQ(fab_switch_gfms_functions(sw, found, 8), 4);
        for (unsigned k = 0; k < 4; k++) {
            CHECK_EQ(found[k].pdfid, wanted[k]);
            CHECK_EQ(found[k].port, ports[k]);
        }
    }
    f->piece = 237;
    CHECK_EQ(fab_switch_gfms_hosts(sw, &host, 1), 1);
    CHECK_EQ(host.hvd, 6);
    CHECK_EQ(host.hfid, 0x1234);
    CHECK_EQ(host.logical_ports, 2);
    CHECK_EQ(fab_switch_gfms_bindings(sw, &binding, 1), 1);
    CHECK_EQ(binding.slot, 1);
    CHECK_EQ(binding.logical, 1);
    CHECK_EQ(binding.pdfid, 0xBEEF);
    CHECK_EQ(f->finished, 37);
    fab_switch_close(sw);
    shut(f);
}

static void test_lengths_that_lie_are_refused(void) {
    struct firmware *f = boot();
    fab_switch *sw = NULL;
    struct fab_gfms_function found[4];
    lay_out(f);
    CHECK_EQ(fab_switch_open(f->bar, &sw), 0);
    f->claimed = f->bytes / 4 - 1;
    CHECK_EQ(fab_switch_gfms_functions(sw, found, 4), -EPROTO);
    f->claimed = f->bytes / 4 + 1;
    CHECK_EQ(fab_switch_gfms_functions(sw, found, 4), -EPROTO);
    f->claimed = 0x40000000;
    CHECK_EQ(fab_switch_gfms_functions(sw, found, 4), -EPROTO);
    f->claimed = f->bytes / 4;
    f->piece = 0;
    CHECK_EQ(fab_switch_gfms_functions(sw, found, 4), -EPROTO);
    CHECK_EQ(f->finished, 4); /* a start is always finished */
    f->piece = 237;
    unsigned refused = 0;
    for (uint32_t k = 80; k < f->bytes; k++)
        for (unsigned bit = 0; bit < 8; bit++) {
            f->data[k] ^= (uint8_t)(1u << bit);
            int rc = fab_switch_gfms_functions(sw, found, 4);
            CHECK(rc == -EPROTO || rc >= 0);
            refused += rc < 0;
            f->data[k] ^= (uint8_t)(1u << bit);
        }
    CHECK(refused > 100);
    CHECK_EQ(fab_switch_gfms_functions(sw, found, 4), 4);
    fab_switch_close(sw);
    shut(f);
}

static void test_events_that_leave_the_answer_are_refused(void) {
    struct firmware *f = boot();
    fab_switch *sw = NULL;
    static struct fab_gfms_event e[400];
    CHECK_EQ(fab_switch_open(f->bar, &sw), 0);
    put(f->data, 2, 1);
    put(f->data + 4, 2, 36);
    f->data[6] = 13;
    f->data[8 + 31] = 0x77;
    CHECK_EQ(fab_switch_gfms_events(sw, e, 400, NULL, NULL), 1);
    CHECK_EQ(e[0].data[31], 0x77);
    CHECK_EQ(fab_switch_gfms_events(sw, e, 0, NULL, NULL), -EPROTO); /* more than were wanted */
    put(f->data + 4, 2, 40);
    CHECK_EQ(fab_switch_gfms_events(sw, e, 400, NULL, NULL), -EPROTO);
    put(f->data + 4, 2, 3);
    CHECK_EQ(fab_switch_gfms_events(sw, e, 400, NULL, NULL), -EPROTO);
    put(f->data, 2, 300); /* 255 entries of 4 fill the answer */
    for (unsigned k = 0; k < 255; k++) put(f->data + 4 + 4 * k, 4, 4);
    CHECK_EQ(fab_switch_gfms_events(sw, e, 400, NULL, NULL), -EPROTO);
    put(f->data, 2, 255);
    CHECK_EQ(fab_switch_gfms_events(sw, e, 400, NULL, NULL), 255);
    fab_switch_close(sw);
    shut(f);
}

int main(void) {
    test_any_layout_in_any_pieces_is_read();
    test_lengths_that_lie_are_refused();
    test_events_that_leave_the_answer_are_refused();
    return CHECK_RESULT;
}
