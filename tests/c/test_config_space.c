/* Config spaces bit by bit: what may be written, cleared, kept through which reset. Offsets and
 * values are the PCI Express Base Specification's, written as numbers. */
#define _GNU_SOURCE
#include <errno.h>

#include "emulator_client.h"

enum { PCIE = 0x50, AER = 0x100 };

static uint32_t cfg(fab_node *node, unsigned port, unsigned at, unsigned bytes) {
    uint32_t word = reg(node, 0, window(node, 0, port) + (at & ~3u)) >> 8 * (at & 3);
    return bytes == 4 ? word : word & ((1u << 8 * bytes) - 1);
}

static void cfg_set(fab_node *node, unsigned port, unsigned at, uint32_t value) {
    set(node, 0, window(node, 0, port) + at, value);
}

static void walk(const uint8_t *s, unsigned end, const uint16_t *ext, size_t n) {
    unsigned seen = 0;
    for (uint32_t at = 0x100, steps = 0; at; at = word_at(s, at) >> 20, steps++) {
        CHECK(at >= 0x100 && at < end && at % 4 == 0 && steps < 32);
        if (at >= end || steps >= 32) return;
        for (size_t k = 0; k < n; k++) seen += (word_at(s, at) & 0xFFFF) == ext[k];
    }
    CHECK_EQ(seen, n);
}

static void every_capability_is_in_its_list(void) {
    static const uint16_t down[] = {0x01, 0x0D, 0x1D, 0x19, 0x25, 0x26, 0x2A, 0x27, 0x03, 0x02};
    static const uint16_t host[] = {0x01, 0x0D, 0x19, 0x25, 0x26, 0x2A, 0x27, 0x03, 0x02};
    static const uint16_t endpoint[] = {0x01, 0x19, 0x25, 0x26, 0x2A, 0x27, 0x03};
    static const uint16_t pf[] = {0x01, 0x0E, 0x10, 0x0D, 0x03, 0x2E,
                                  0x08, 0x19, 0x25, 0x26, 0x2A, 0x27};
    static const uint16_t vf[] = {0x01, 0x0E, 0x0D};
    fab_node *node = make();
    uint8_t s[4096];
    CHECK_EQ(fab_node_config_space(node, 0, 0, -1, s), 0);
    walk(s, 0x800, down, 10);
    CHECK(find_cap(s, 0x01) && find_cap(s, 0x05) && find_cap(s, 0x0D) && find_cap(s, 0x10));
    CHECK_EQ(fab_node_config_space(node, 0, 16, -1, s), 0);
    walk(s, 0x800, host, 9);
    CHECK_EQ(fab_node_config_space(node, 0, 48, -1, s), 0);
    walk(s, 0x800, endpoint, 7);
    uint32_t msix = find_cap(s, 0x11);
    CHECK_EQ(word_at(s, msix) >> 16, 3); /* four vectors */
    CHECK_EQ(word_at(s, msix + 4), 0x76000);
    CHECK_EQ(word_at(s, msix + 8), 0x77000);
    CHECK_EQ(fab_node_config_space(node, 0, 0, 0, s), 0);
    walk(s, 0x1000, pf, 12);
    CHECK(find_cap(s, 0x11) != 0);
    CHECK_EQ(fab_node_config_space(node, 0, 0, 1, s), 0);
    walk(s, 0x1000, vf, 3);
    fab_node_close(node);
}

static void reserved_bits_stay_zero_whatever_is_written(void) {
    fab_node *node = make();
    /* where, and what ones leave there: command, bus numbers, bridge control, device control, AER
     * masks, severities and control, ACS, DPC (its software trigger reads 0) */
    static const struct {
        unsigned at;
        uint32_t left;
    } port[] = {{0x00, 0x520011F8},        {0x04, 0x00100547},
                {0x18, 0x00FFFFFF},        {0x08, 0x06040000},
                {PCIE + 4, 0x00008021},    {PCIE + 8, 0x000001EF},
                {PCIE + 0x2C, 0x0000003E}, {AER + 8, 0x047FF030},
                {AER + 12, 0x047FF030},    {AER + 20, 0x0000F1C1},
                {AER + 24, 0x000001E0},    {0x150, 0x1601000D},
                {0x154, 0x005F005F},       {0x700, 0}};
    for (size_t k = 0; k < sizeof port / sizeof *port; k++) {
        cfg_set(node, 32, port[k].at, UINT32_MAX);
        CHECK_EQ(cfg(node, 32, port[k].at, 4), port[k].left);
    }
    uint8_t s[4096];
    CHECK_EQ(fab_node_config_space(node, 0, 0, 1, s), 0);
    CHECK_EQ(word_at(s, PCIE + 8), 0); /* a VF's sizes and reporting are the PF's */
    function_write(node, PDFID(0, 1), PCIE + 8, 2, 0x7FFF);
    CHECK_EQ(function_read(node, PDFID(0, 1), PCIE + 8, 4), 0);
    function_write(node, PDFID(0, 1), 0x04, 2, 0xFFFF);
    CHECK_EQ(function_read(node, PDFID(0, 1), 0x04, 2), 0x0004);
    function_write(node, PDFID(0, 1), 0x10, 4, UINT32_MAX);
    CHECK_EQ(function_read(node, PDFID(0, 1), 0x10, 4), 0); /* no BARs of its own */
    fab_node_close(node);
}

static void bars_tell_their_sizes(void) {
    fab_node *node = make();
    cfg_set(node, 48, 0x10, UINT32_MAX);
    CHECK_EQ(cfg(node, 48, 0x10, 4), 0xFFC00000); /* 4 MiB */
    function_write(node, PDFID(0, 0), 0x10, 4, UINT32_MAX);
    function_write(node, PDFID(0, 0), 0x14, 4, UINT32_MAX);
    CHECK_EQ(function_read(node, PDFID(0, 0), 0x10, 4), 0xFF00000C); /* 16 MiB, 64 bits */
    CHECK_EQ(function_read(node, PDFID(0, 0), 0x14, 4), UINT32_MAX);
    function_write(node, PDFID(0, 0), 0x160 + 0x24, 4, UINT32_MAX);
    CHECK_EQ(function_read(node, PDFID(0, 0), 0x160 + 0x24, 4), 0xFF00000C);
    function_write(node, PDFID(0, 0), 0x10, 4, 0xA1000000);
    CHECK_EQ(function_read(node, PDFID(0, 0), 0x10, 4), 0xA100000C);
    fab_node_close(node);
}

static void virtual_functions_come_and_go_with_their_enable(void) {
    fab_node *node = make();
    uint8_t s[4096], read[8] = {0, 0, 3, 0, 0, 0, 4, 0};
    CHECK_EQ(function_read(node, PDFID(0, 3), 0, 4), 0xFAB111F8);
    function_write(node, PDFID(0, 0), 0x168, 2, 0x18);
    CHECK_EQ(fab_node_config_space(node, 0, 0, 3, s), -ENOENT);
    CHECK(command(node, 0, LOCAL(0x8E), read, 8, s, 4) > 0);
    function_write(node, PDFID(0, 0), 0x170, 2, 3);
    function_write(node, PDFID(0, 0), 0x170, 2, 33); /* more than it has */
    CHECK_EQ(function_read(node, PDFID(0, 0), 0x170, 2), 3);
    function_write(node, PDFID(0, 0), 0x168, 2, 0x19);
    CHECK_EQ(function_read(node, PDFID(0, 3), 0, 4), 0xFAB111F8);
    CHECK_EQ(fab_node_config_space(node, 0, 0, 4, s), -ENOENT);
    fab_node_close(node);
}

/* AER: status is cleared by writing 1; all of it outlives hot and function level resets. */
static void what_is_sticky_outlives_all_but_a_cold_reset(void) {
    fab_node *node = make();
    unsigned pf = PDFID(0, 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_NONFATAL, 0, 20), 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_CORRECTABLE, 0, 14), 0);
    CHECK_EQ(function_read(node, pf, AER + 4, 4), 1u << 20);
    CHECK_EQ(function_read(node, pf, AER + 0x18, 4) & 31, 20);
    uint32_t header = function_read(node, pf, AER + 0x1C, 4);
    CHECK_EQ(header, 0x60000040); /* a memory write of 64 dwords, 64-bit address */
    function_write(node, pf, AER + 8, 4, 0x00000010);
    function_write(node, pf, PCIE + 0x30, 2, 4);
    function_write(node, pf, 0x04, 2, 0x0006);
    function_write(node, pf, PCIE + 8, 2, 0x5000 | 0x000F);
    for (int hot = 0; hot < 2; hot++) {
        uint8_t reset[4] = {3, 0, 0, 0};
        if (hot) {
            CHECK_EQ(command(node, 0, LOCAL(0x8D), reset, 4, NULL, 0), 0);
            CHECK_EQ(fab_node_advance(node, TRAINING_S), 0);
        } else {
            function_write(node, pf, PCIE + 8, 2, 0x8000 | 0x5000 | 0x000F);
        }
        CHECK_EQ(function_read(node, pf, 0x04, 2), 0);
        CHECK_EQ(function_read(node, pf, AER + 4, 4), 1u << 20);
        CHECK_EQ(function_read(node, pf, AER + 8, 4), 0x00000010);
        CHECK_EQ(function_read(node, pf, AER + 0x10, 4), 1u << 14);
        CHECK_EQ(function_read(node, pf, AER + 0x18, 4) & 31, 20);
        CHECK_EQ(function_read(node, pf, AER + 0x1C, 4), header);
        CHECK_EQ(function_read(node, pf, PCIE + 0x30, 2), 4);
        /* device status is not sticky; a function's reset keeps MaxPayloadSize (128) */
        CHECK_EQ(function_read(node, pf, PCIE + 8, 4), hot ? 0x2120 : 0x2100);
        function_write(node, pf, 0x04, 2, 0x0006);
    }
    function_write(node, pf, AER + 4, 4, 1u << 20);
    function_write(node, pf, AER + 0x10, 4, UINT32_MAX);
    CHECK_EQ(function_read(node, pf, AER + 4, 4), 0);
    CHECK_EQ(function_read(node, pf, AER + 0x10, 4), 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_SUPPLY_LOST, 0, 1), 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_SUPPLY_BACK, 0, 1), 0);
    CHECK_EQ(fab_node_advance(node, TRAINING_S), 0);
    CHECK_EQ(function_read(node, pf, AER + 8, 4), 0x00400000);
    CHECK_EQ(function_read(node, pf, AER + 0x18, 4), 0xA0);
    CHECK_EQ(function_read(node, pf, PCIE + 0x30, 2), 5);
    fab_node_close(node);
}

static void a_function_level_reset_spares_others_and_the_link_s_arbitration(void) {
    fab_node *node = make();
    uint8_t s[4096];
    CHECK_EQ(fab_node_config_space(node, 0, 0, 0, s), 0);
    uint32_t mfvc = find_ext(s, 0x08);
    CHECK_EQ(word_at(s, PCIE + 4) >> 28 & 1, 1); /* capable of it */
    function_write(node, PDFID(0, 0), mfvc + 0x20, 4, 0x12345670);
    function_write(node, PDFID(0, 0), mfvc + 0x14, 4, 0x80010000 | 0xFF | 3 << 17);
    function_write(node, PDFID(0, 1), 0x04, 2, 4);
    function_write(node, PDFID(0, 2), 0x04, 2, 4);
    function_write(node, PDFID(0, 1), PCIE + 8, 2, 0x8000);
    CHECK_EQ(function_read(node, PDFID(0, 1), 0x04, 2), 0);
    CHECK_EQ(function_read(node, PDFID(0, 2), 0x04, 2), 4);
    function_write(node, PDFID(0, 0), PCIE + 8, 2, 0x8000 | 0x20);
    CHECK_EQ(function_read(node, PDFID(0, 2), 0x04, 2), 0); /* the PF takes its VFs along */
    CHECK_EQ(function_read(node, PDFID(0, 0), mfvc + 0x20, 4), 0x12345670);
    CHECK_EQ(function_read(node, PDFID(0, 0), mfvc + 0x14, 4), 0x800000FF | 3 << 17);
    CHECK_EQ(function_read(node, PDFID(0, 0), PCIE + 0x12, 2), 0x1105); /* the link is there */
    fab_node_close(node);
}

/* ---- DOE ---- */

static uint32_t doe_status(fab_node *node, uint32_t doe) {
    return function_read(node, PDFID(0, 0), doe + 0x0C, 4);
}

static void doe_send(fab_node *node, uint32_t doe, const uint32_t *words, unsigned n) {
    for (unsigned k = 0; k < n; k++) function_write(node, PDFID(0, 0), doe + 0x10, 4, words[k]);
    function_write(node, PDFID(0, 0), doe + 0x08, 4, 0x80000000); /* GO */
}

static void doe_discovery_lists_its_protocols(void) {
    fab_node *node = make();
    uint8_t s[4096];
    CHECK_EQ(fab_node_config_space(node, 0, 0, 0, s), 0);
    uint32_t doe = find_ext(s, 0x2E), ask[3] = {0x00000001, 3, 0}, got[3];
    doe_send(node, doe, ask, 3);
    CHECK_EQ(doe_status(node, doe), 0x80000000); /* data object ready */
    for (unsigned k = 0; k < 3; k++) {
        got[k] = function_read(node, PDFID(0, 0), doe + 0x14, 4);
        function_write(node, PDFID(0, 0), doe + 0x14, 4, 0); /* taken */
    }
    CHECK_EQ(got[0], 0x00000001);
    CHECK_EQ(got[1], 3);
    CHECK_EQ(got[2], 0x00000001); /* PCI-SIG, discovery, no next index */
    CHECK_EQ(doe_status(node, doe), 0);
    ask[2] = 7; /* an index that it has not */
    doe_send(node, doe, ask, 3);
    function_write(node, PDFID(0, 0), doe + 0x14, 4, 0);
    function_write(node, PDFID(0, 0), doe + 0x14, 4, 0);
    CHECK_EQ(function_read(node, PDFID(0, 0), doe + 0x14, 4) & 0xFFFF, 0xFFFF);
    function_write(node, PDFID(0, 0), doe + 0x08, 4, 1); /* abort */
    CHECK_EQ(doe_status(node, doe), 0);
    ask[0] = 0x000211F8; /* a protocol that it has not: an error until aborted */
    doe_send(node, doe, ask, 3);
    CHECK_EQ(doe_status(node, doe), 4);
    ask[0] = 1;
    doe_send(node, doe, ask, 3);
    CHECK_EQ(doe_status(node, doe), 4);
    function_write(node, PDFID(0, 0), doe + 0x08, 4, 1);
    for (unsigned k = 0; k < 300; k++) function_write(node, PDFID(0, 0), doe + 0x10, 4, k);
    CHECK_EQ(doe_status(node, doe), 4); /* longer than any object */
    function_write(node, PDFID(0, 0), doe + 0x08, 4, 1);
    ask[2] = 0;
    function_write(node, PDFID(0, 0), doe + 0x08, 4, 2); /* interrupt enable */
    doe_send(node, doe, ask, 3);
    CHECK_EQ(doe_status(node, doe) & 0x80000000, 0x80000000);
    fab_node_close(node);
}

int main(void) {
    every_capability_is_in_its_list();
    reserved_bits_stay_zero_whatever_is_written();
    bars_tell_their_sizes();
    virtual_functions_come_and_go_with_their_enable();
    what_is_sticky_outlives_all_but_a_cold_reset();
    a_function_level_reset_spares_others_and_the_link_s_arbitration();
    doe_discovery_lists_its_protocols();
    return CHECK_RESULT;
}
