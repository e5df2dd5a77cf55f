/* Arbitration tables by the handshake: fewest writes, order, and the way back from every failure.
 */
#include <errno.h>

#include "check.h"
#include "driver_image.h"
#include "quick_switch.h"

enum { PFF = 2, PORT = 16 }; /* the port under test */

static const uint32_t bits_of[] = {1, 2, 4, 8};

static void fill(uint8_t *entries, unsigned phases, uint32_t *seed) {
    for (unsigned i = 0; i < phases; i++)
        entries[i] = image_ports[image_random(seed) % IMAGE_PORTS];
}

static bool in_force_is(struct image *m, const uint8_t *entries, unsigned phases) {
    uint8_t got[256];
    return image_in_force(&m->vc[PFF], 8, got) == phases && memcmp(got, entries, phases) == 0;
}

static void only_what_differs_is_written(void) {
    struct image *m = image_create(0x5200, 128, 3);
    fab_switch *sw = open_quick(m->bar);
    uint8_t entries[256] = {0};
    uint32_t vc = GAS_PFF + GAS_PFF_STRIDE * PFF + IMAGE_VC;
    memset(entries, 8, 128);
    CHECK_EQ(fab_switch_load_port_table(sw, PORT, entries, 128), 32 + 2); /* load, select */
    CHECK(in_force_is(m, entries, 128));
    CHECK_EQ(fab_switch_load_port_table(sw, PORT, entries, 128), 0);
    entries[5] = 16;
    entries[100] = 40;
    uint64_t start = m->writes;
    CHECK_EQ(fab_switch_load_port_table(sw, PORT, entries, 128), 2 + 1); /* no scheme change */
    CHECK(in_force_is(m, entries, 128));
    CHECK_EQ(m->log[start], vc + 0x20 + 4); /* dwords in order, the load behind them */
    CHECK_EQ(m->log[start + 1], vc + 0x20 + 100);
    CHECK_EQ(m->log[start + 2], vc + VC0_CONTROL);
    CHECK_EQ(fab_switch_load_port_table(sw, PORT, entries, 32), 2); /* same dwords, shorter */
    CHECK(in_force_is(m, entries, 32));
    uint8_t back[256];
    CHECK_EQ(fab_switch_port_table(sw, PORT, back, 256), 32);
    CHECK_EQ(memcmp(back, entries, 32), 0);
    CHECK_EQ(fab_switch_port_table(sw, PORT, NULL, 0), 32);
    fab_switch_close(sw);
    image_free(m);
}

static void bad_tables_change_nothing(void) {
    struct image *m = image_create(0x5200, 128, 3);
    fab_switch *sw = open_quick(m->bar);
    uint8_t entries[256] = {0};
    entries[9] = 7; /* no such port */
    CHECK_EQ(fab_switch_load_port_table(sw, PORT, entries, 128), -EINVAL);
    entries[9] = 0xFF;
    CHECK_EQ(fab_switch_load_port_table(sw, PORT, entries, 128), -EINVAL);
    entries[9] = 0;
    CHECK_EQ(fab_switch_load_port_table(sw, PORT, entries, 100), -EINVAL);
    CHECK_EQ(fab_switch_load_port_table(sw, PORT, entries, 256), -EOPNOTSUPP);
    CHECK_EQ(fab_switch_load_port_table(sw, 1, entries, 128), -ENOENT);
    CHECK_EQ(fab_switch_load_port_table(sw, 200, entries, 128), -ENOENT);
    CHECK_EQ(m->writes, 0);
    memset(entries, 8, 32);
    CHECK_EQ(fab_switch_load_function_table(sw, PDFID(0, 0), entries, 32), -EINVAL); /* group 8 */
    CHECK_EQ(fab_switch_load_function_table(sw, PDFID(1, 0), entries, 32), -EOPNOTSUPP);
    CHECK_EQ(get(m->functions[0][0] + IMAGE_MFVC + VC0_STATUS, 2), 0);
    fab_switch_close(sw);
    image_free(m);
}

static void random_tables_are_what_was_meant(void) {
    uint32_t seed = 5;
    static const unsigned lengths[] = {32, 64, 128, 256};
    for (unsigned code = 0; code < 4; code++) {
        struct image *m = image_create(0x5200, 256, code);
        fab_switch *sw = open_quick(m->bar);
        uint8_t entries[256], back[256];
        for (int round = 0; round < 50; round++) {
            unsigned phases = lengths[image_random(&seed) % 4];
            fill(entries, phases, &seed);
            for (unsigned i = 0; i < phases; i++)
                if (entries[i] >= 1u << bits_of[code]) entries[i] = code == 2 ? 8 : 0;
            CHECK(fab_switch_load_port_table(sw, PORT, entries, phases) >= 0);
            CHECK_EQ(fab_switch_port_table(sw, PORT, back, 256), phases);
            CHECK_EQ(memcmp(back, entries, phases), 0);
            CHECK_EQ(image_in_force(&m->vc[PFF], bits_of[code], back), phases);
            CHECK_EQ(memcmp(back, entries, phases), 0);
            unsigned bits = bits_of[code] < 4 ? bits_of[code] : 4,
                     groups = bits < 3 ? 1u << bits : 8;
            for (unsigned i = 0; i < 128; i++) entries[i] = (uint8_t)(image_random(&seed) % groups);
            CHECK(fab_switch_load_function_table(sw, PDFID(0, 1), entries, 128) >= 0);
            CHECK_EQ(fab_switch_function_table(sw, PDFID(0, 0), back, 256), 128);
            CHECK_EQ(memcmp(back, entries, 128), 0);
            CHECK_EQ(image_in_force(&m->vc[IMAGE_PORTS], bits, back), 128);
            CHECK_EQ(memcmp(back, entries, 128), 0);
        }
        fab_switch_close(sw);
        image_free(m);
    }
}

/* Every register write in turn is lost, or refused by the bar: the new table is in force if the
 * driver says so, else exactly the old one, registers included. */
static void the_old_table_survives_a_failure_at_every_step(bool refuse) {
    struct image *m = image_create(0x5200, 128, 3);
    fab_switch *sw = open_quick(m->bar);
    uint8_t old[256], entries[256], registers[128];
    uint32_t seed = 11, failures = 0;
    fill(old, 64, &seed);
    for (uint64_t step = 1; step <= 34; step++) {
        CHECK(fab_switch_load_port_table(sw, PORT, old, 64) >= 0);
        memcpy(registers, m->vc[PFF].config + IMAGE_VC + 0x20, 128);
        for (unsigned i = 0; i < 128; i++) /* every dword differs from what any register holds */
            entries[i] = image_ports[(step + i) % IMAGE_PORTS];
        if (refuse)
            m->fail_at = m->writes + step;
        else {
            m->lose_at = m->writes + step;
            m->lose_count = 1;
        }
        int64_t rc = fab_switch_load_port_table(sw, PORT, entries, 128);
        uint64_t fault = refuse ? m->fail_at : m->lose_at;
        bool hit = m->writes >= fault;
        m->fail_at = m->lose_at = 0;
        CHECK_EQ(rc < 0, hit);
        failures += rc < 0;
        CHECK(in_force_is(m, rc < 0 ? old : entries, rc < 0 ? 64 : 128));
        if (rc < 0) CHECK_EQ(memcmp(registers, m->vc[PFF].config + IMAGE_VC + 0x20, 128), 0);
    }
    CHECK(failures >= 20);
    fab_switch_close(sw);
    image_free(m);
}

static void a_stuck_status_bit_times_out_and_is_undone(void) {
    struct image *m = image_create(0x5200, 128, 3);
    fab_switch *sw = open_quick(m->bar);
    uint8_t old[256], entries[256];
    memset(old, 8, sizeof old);
    memset(entries, 40, sizeof entries);
    CHECK(fab_switch_load_port_table(sw, PORT, old, 128) > 0);
    m->vc[PFF].stuck = 1;
    CHECK_EQ(fab_switch_load_port_table(sw, PORT, entries, 128), -ETIMEDOUT);
    CHECK(in_force_is(m, old, 128));
    m->vc[PFF].stuck = 10; /* the way back does not work either: at least it is said */
    CHECK_EQ(fab_switch_load_port_table(sw, PORT, entries, 128), -ENOTRECOVERABLE);
    CHECK_EQ(fab_switch_port_table(sw, PORT, entries, 128), -EBUSY);
    m->vc[PFF].stuck = 0;
    CHECK(fab_switch_load_port_table(sw, PORT, old, 128) > 0); /* loads although nothing differs */
    CHECK(in_force_is(m, old, 128));
    put(m->vc[PFF].config + IMAGE_VC + VC0_STATUS, 2, 0xFFFF); /* gone in the middle */
    CHECK_EQ(fab_switch_load_port_table(sw, PORT, old, 128), -ENODEV);
    fab_switch_close(sw);
    image_free(m);
}

static void a_module_s_table_is_undone_too(void) {
    struct image *m = image_create(0x5200, 128, 3);
    fab_switch *sw = open_quick(m->bar);
    uint8_t old[256], entries[256], back[256];
    memset(old, 1, sizeof old);
    memset(entries, 6, sizeof entries);
    CHECK(fab_switch_load_function_table(sw, 0, old, 128) > 0);
    m->vc[IMAGE_PORTS].stuck = 1;
    CHECK_EQ(fab_switch_load_function_table(sw, 0, entries, 64), -ETIMEDOUT);
    CHECK_EQ(image_in_force(&m->vc[IMAGE_PORTS], 4, back), 128);
    CHECK_EQ(memcmp(back, old, 128), 0);
    m->mailbox = MAILBOX_STUCK;
    CHECK_EQ(fab_switch_load_function_table(sw, 0, entries, 64), -ETIMEDOUT);
    m->mailbox = MAILBOX_OK;
    CHECK_EQ(fab_switch_function_table(sw, 0, back, 256), 128);
    CHECK_EQ(memcmp(back, old, 128), 0);
    fab_switch_close(sw);
    image_free(m);
}

int main(void) {
    only_what_differs_is_written();
    bad_tables_change_nothing();
    random_tables_are_what_was_meant();
    the_old_table_survives_a_failure_at_every_step(false);
    the_old_table_survives_a_failure_at_every_step(true);
    a_stuck_status_bit_times_out_and_is_undone();
    a_module_s_table_is_undone_too();
    return CHECK_RESULT;
}
