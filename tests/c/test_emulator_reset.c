/* Registers of another switch by firmware command, and the reset of the whole chip. Numbers are
 * those of the fact sheet, on purpose not the names that the emulator is written with. */
#include <errno.h>

#include "emulator_identity.h"

enum { CMD = 0x800, STATUS = 0x804, RETURN = 0x808, MRPC_COMP_HEADER = 0x413C };

static fab_bar *bar_of(fab_node *node, size_t sw) {
    return fab_node_bar(node, sw);
}

/* ---- another switch's registers ---- */

static int64_t remote_read(fab_node *node, uint32_t word, uint32_t off, uint32_t len, void *out) {
    uint32_t in[2] = {off, len};
    return command(node, 0, word | 0x29, in, 8, out, len <= 1024 ? len : 0);
}

static int64_t remote_write(fab_node *node, uint32_t word, uint32_t off, const void *data,
                            uint32_t len) {
    uint8_t in[1024] = {0};
    memcpy(in, &off, 4);
    memcpy(in + 4, &len, 4);
    if (len <= 1016) memcpy(in + 8, data, len);
    return command(node, 0, word | 0x34, in, len <= 1016 ? 8 + len : 8, NULL, 0);
}

static void test_gas_is_read_and_written_on_the_switch_that_the_pax_bits_name(void) {
    fab_node *node = make();
    uint8_t out[512] = {0};
    CHECK_EQ(remote_read(node, 0xC0000, 0x2000, 4, out), 0); /* -x 3 */
    CHECK_EQ(word_at(out, 0), 0x5200);
    CHECK_EQ(remote_read(node, 0xC0000, 0x2147, 3, out), 0);
    CHECK_EQ(out[0], ' ');
    CHECK_EQ(remote_read(node, 0xC0000, 0x134000, 512, out), 0);
    CHECK_EQ(word_at(out, 0), 0x520011F8);
    CHECK_EQ(reg(node, 0, 0x600), 0); /* 512 bytes and not one more */
    uint32_t numbers = 0x00050403;
    CHECK_EQ(remote_write(node, 0xC0000, 0x134018, &numbers, 4), 0);
    CHECK_EQ(reg(node, 3, 0x134018), 0x00050403);
    CHECK_EQ(reg(node, 0, 0x134018), 0);
    uint8_t pieces[3] = {7, 8, 9}; /* of any length and alignment */
    CHECK_EQ(remote_write(node, 0xC0000, 0x134019, pieces, 2), 0);
    CHECK_EQ(reg(node, 3, 0x134018), 0x00080703);
    CHECK_EQ(remote_write(node, 0x7C0000, 0x134018, &numbers, 4), 0);
    CHECK_EQ(reg(node, 0, 0x134018), 0x00050403);
    CHECK_EQ(remote_read(node, 9 << 18, 0x2000, 4, out), 0xFFFF0001);
    fab_node_close(node);
}

static void test_remote_gas_refuses_what_lies_outside(void) {
    fab_node *node = make();
    uint8_t out[1024];
    uint32_t doorbell = 0x34;
    CHECK_EQ(remote_read(node, 0x40000, 0x2000, 513, out), 0x64006);
    CHECK_EQ(remote_read(node, 0x40000, 0x400000 - 4, 4, out), 0);
    CHECK_EQ(remote_read(node, 0x40000, 0x400000 - 3, 4, out), 0x64006);
    CHECK_EQ(remote_read(node, 0x40000, 0xFFFFFFFF, 4, out), 0x64006);
    CHECK_EQ(remote_read(node, 0x40000, 0xFFFFFFFF, 0xFFFFFFFF, out), 0x64006);
    CHECK_EQ(remote_read(node, 0x40000, 0x2000, 0, out), 0);
    CHECK_EQ(remote_write(node, 0x40000, 0x3FFFFE, &doorbell, 4), 0x64006);
    CHECK_EQ(remote_write(node, 0x40000, 0x2000, out, 1017), 0x64006);
    CHECK_EQ(remote_write(node, 0x40000, 0x2000, out, 1016), 0); /* read-only: without effect */
    CHECK_EQ(reg(node, 1, 0x2000), 0x5200);
    /* a command that rang the doorbell it came by would never end */
    CHECK_EQ(remote_write(node, 0x7C0000, 0x800, &doorbell, 4), 0x64010);
    CHECK_EQ(remote_write(node, 0x40000, 0xFFC, &doorbell, 4), 0x64010);
    fab_node_close(node);
}

/* ---- the reset ---- */

static void test_a_hard_reset_is_answered_first_and_then_forgets(void) {
    fab_node *node = make();
    uint32_t zero = 0, in = 1;
    uint8_t one = 1, status[4] = {0}, ask = 2;
    CHECK_EQ(bind(node, 0, 16, 0, PDFID(0, 1)), 0);
    CHECK_EQ(command(node, 0, LOCAL(0x82), &one, 1, status, 1), 0);
    fab_bar_write64(bar_of(node, 0), 0x810, 0x1000);
    set(node, 0, 0x80C, 1);
    set(node, 0, MRPC_COMP_HEADER, 8);
    set(node, 0, 0x134D30, 8);
    set(node, 0, 0x134018, 0x00050403);
    fab_node_fault(node, 0, FAB_FAULT_MRPC_STUCK, 0, 0);
    uint32_t peer = reg(node, 1, 0x139D30) >> 5 & 0xFF; /* port 40 of switch 1, to 32 of 0 */
    CHECK_EQ(command(node, 0, LOCAL(0x1B), &zero, 4, NULL, 0), 0);
    fab_node_advance(node, 0.001);
    CHECK_EQ(reg(node, 0, STATUS), 2); /* whoever waits for the answer has time to read it */
    CHECK_EQ(reg(node, 0, 0x134018), 0x00050403);
    fab_node_advance(node, 0.5);
    static const uint32_t forgotten[] = {0x0, 0x400, CMD, STATUS, RETURN, 0x80C, 0x810, 0x814};
    for (unsigned k = 0; k < 8; k++) CHECK_EQ(reg(node, 0, forgotten[k]), 0);
    CHECK_EQ(reg(node, 0, MRPC_COMP_HEADER), 0);
    CHECK_EQ(reg(node, 0, 0x134D30) & 0x1F, 1); /* no enable, and the link has come up */
    CHECK_EQ(reg(node, 0, 0x134018), 0);
    CHECK_EQ(reg(node, 0, 0x1878), 0x21);                    /* SYS_RESET */
    CHECK_EQ(reg(node, 0, 0x1820), 1 << 3 | 1 << 13);        /* and the fabric changed: GFMS */
    CHECK((reg(node, 1, 0x139D30) >> 5 & 0xFF) >= peer + 2); /* down and up */
    CHECK_EQ(command(node, 0, LOCAL(0x82), &ask, 1, status, 4), 0);
    CHECK_EQ(status[0], 1); /* topology not started */
    CHECK_EQ(reg(node, 0, 0x2000), 0x5200);
    CHECK_EQ(reg(node, 0, 0x134000), 0x520011F8);
    CHECK_EQ(command(node, 0, LOCAL(0x41), &in, 4, &in, 4), 0);
    CHECK_EQ(fab_load_acquire(&cell_of(node, 0, 1)->out.bound), 1); /* the fabric remembers */
    in = 1;
    CHECK_EQ(command(node, 0, LOCAL(0x1B), &in, 4, NULL, 0), 0x64004);
    fab_node_advance(node, 0.5);
    CHECK_EQ(reg(node, 0, STATUS), 2); /* and nothing was reset */
    fab_node_close(node);
}

static void test_a_reset_takes_arbitration_tables_and_counters_along(void) {
    fab_node *node = make();
    uint8_t table[256], get[4] = {1, 1, 16, 0}, counters[56];
    memset(table, 8, sizeof table);
    load_table(node, 0, 16, table, VC_ARB_WRR256);
    CHECK_EQ(node->switches[0].by_id[16]->vc.scheme, VC_ARB_WRR256);
    CHECK_EQ(bind(node, 0, 16, 0, PDFID(0, 1)), 0);
    offer(node, 0, 1, 1e9, 1e9);
    fab_node_advance(node, 0.01);
    CHECK_EQ(command(node, 0, LOCAL(7), get, 4, counters, 56), 0);
    CHECK(word_at(counters, 8) > 0);
    offer(node, 0, 1, 0, 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_RESET, 0, 1), 0);
    CHECK_EQ(node->switches[0].by_id[16]->vc.scheme, 0);
    CHECK_EQ(command(node, 0, LOCAL(7), get, 4, counters, 56), 0);
    for (unsigned k = 8; k < 56; k++) CHECK_EQ(counters[k], 0);
    CHECK_EQ(fab_node_fault(node, 9, FAB_FAULT_RESET, 0, 1), -ENOENT);
    fab_node_close(node);
}

int main(void) {
    test_gas_is_read_and_written_on_the_switch_that_the_pax_bits_name();
    test_remote_gas_refuses_what_lies_outside();
    test_a_hard_reset_is_answered_first_and_then_forgets();
    test_a_reset_takes_arbitration_tables_and_counters_along();
    return CHECK_RESULT;
}
