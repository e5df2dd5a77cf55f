/* Random fabric commands, good and bad: after each, registers, status and database tell one story.
 */
#define _GNU_SOURCE
#include "gfms_client.h"

enum { STEPS = 4000, CHECK_EVERY = 20 };

static uint64_t seed = 1;

static unsigned any(unsigned n) {
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

static unsigned some_port(void) {
    return any(4) ? 8 * any(7) : any(64);
}

static void step(fab_node *node) {
    static const uint8_t ids[] = {0x0B, 0x0B, 0x0C, 0x0C, 0x83, 0x84, 0x84, 0x88, 0x89, 0x8D};
    static const uint32_t codes[] = {0x8, 0x40004, 0x2020004, 0x2020202, 0x11111111, 0xFFFFFFFF};
    uint8_t in[36];
    unsigned id = ids[any(10)], sw = any(4);
    for (unsigned k = 0; k < sizeof in; k++) in[k] = (uint8_t)(any(3) ? any(4) : any(256));
    in[0] = (uint8_t)any(4);
    if (id == 0x0B) {
        uint32_t code = any(8) ? codes[any(6)] : (uint32_t)any(1u << 30);
        in[1] = (uint8_t)any(8);
        memcpy(in + 4, &code, 4);
    } else if (id == 0x0C) {
        in[1] = (uint8_t)any(5);
        in[2] = (uint8_t)(any(8) ? any(8) : any(256));
        in[3] = (uint8_t)(in[0] ? any(4) : some_port());
    } else if (id == 0x84) {
        uint16_t pdfid = (uint16_t)(any(9) << 6 | any(34));
        in[0] = any(8) ? 1 : 2;
        in[6] = !any(4); /* another function follows */
        in[1] = (uint8_t)any(4);
        in[2] = (uint8_t)(any(8) ? 16 + 8 * any(2) : any(64));
        memcpy(in + 4, &pdfid, 2);
    } else {
        if (id == 0x8D && any(3)) in[0] = 1; /* enabled more often than not */
        if (id == 0x88 && any(2)) in[2] = (uint8_t)(2 + in[1] / 16 % 2);
        in[1] = (uint8_t)some_port();
    }
    CHECK(ask(node, sw, id, in, sizeof in, NULL, 0) >= 0);
}

/* PFFs without a gap, as many as the count; each port once; the partitions' lists as the status. */
static void check_registers(fab_node *node, size_t sw) {
    uint8_t status[720], found[64] = {0};
    uint64_t all = 0;
    unsigned n = 0, listed = 0;
    while ((reg(node, sw, 0x134000 + 0x1000 * (uint64_t)n) & 0xFFFF) == 0x11F8) n++;
    CHECK_EQ(reg(node, sw, 0x1008) >> 8 & 0xFF, n);
    CHECK_EQ(ask(node, sw, 0x1C, &all, 8, status, 720), 0);
    for (unsigned k = 0; k < 60; k++) {
        const uint8_t *r = status + 12 * k;
        if (r[3] >> 4 > 8) continue;
        listed++;
        CHECK(r[0] < 64 && !found[r[0]]++);
        CHECK_EQ(r[5] != 0, r[7] >> 7);
        CHECK(r[5] <= r[4]);
        if (r[1] == 0xFF) continue;
        uint64_t part = 0x4000 + 0x400 * (uint64_t)r[1];
        uint32_t at = r[2] == 0 ? 0x10 : r[2] == 100 ? 0x14 : 0x14 + 4 * r[2];
        uint64_t where = window(node, sw, r[0]);
        CHECK_EQ(reg(node, sw, part + at), (where - 0x134000) / 0x1000);
    }
    CHECK_EQ(listed, n);
}

/* Both views of the bindings agree: the functions', on the modules' switches, and the hosts'. */
static void check_database(fab_node *node) {
    static struct fab_gfms_function f[80];
    static struct fab_gfms_binding b[600];
    unsigned from_functions = 0, from_hosts = 0;
    for (size_t k = 0; k < 4; k++) {
        fab_switch *sw = NULL;
        CHECK_EQ(fab_switch_open(fab_node_bar(node, k), &sw), 0);
        int n = fab_switch_gfms_functions(sw, f, 80), m = fab_switch_gfms_bindings(sw, b, 600);
        CHECK(n >= 0 && n <= 66 && m >= 0);
        for (int i = 0; i < n; i++) from_functions += f[i].bound;
        for (int i = 0; i < m; i++) {
            uint8_t in[8] = {0, 0, (uint8_t)b[i].pdfid, (uint8_t)(b[i].pdfid >> 8), 0, 0, 4, 0};
            /* a function behind a dead link stays bound, but is not listed */
            from_hosts += ask(node, k, 0x8E, in, 8, NULL, 0) == 0;
        }
        fab_switch_close(sw);
    }
    CHECK_EQ(from_functions, from_hosts);
}

int main(void) {
    fab_node *node = make();
    for (unsigned k = 0; k < STEPS && !check_failures; k++) {
        step(node);
        if (k % CHECK_EVERY) continue;
        for (size_t sw = 0; sw < 4; sw++) check_registers(node, sw);
        check_database(node);
        CHECK_EQ(fab_node_advance(node, 0.001), 0);
    }
    fab_node_close(node);
    return CHECK_RESULT;
}
