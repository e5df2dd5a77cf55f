/* What the tests of links look at: status records, link registers, events of a port. Register
 * offsets and bits are written as numbers: PCI Express Base Specification, the vendor's LTSSM words
 * (minor
 * << 8 | major). */
#ifndef FAB_LINK_CLIENT_H
#define FAB_LINK_CLIENT_H

#include "emulator_client.h"

enum { PCIE = 0x50, LNKCTL = PCIE + 0x10, LNKSTA = PCIE + 0x12, SLTCTL = PCIE + 0x18 };
enum { EV_DPC = 2, EV_HOTPLUG = 5, EV_FORCE_SPEED = 10, EV_LINK = 12 };

static inline uint32_t cfg(fab_node *node, size_t sw, unsigned port, unsigned at, unsigned bytes) {
    uint32_t word = reg(node, sw, window(node, sw, port) + (at & ~3u)) >> 8 * (at & 3);
    return bytes == 4 ? word : word & ((1u << 8 * bytes) - 1);
}

static inline void cfg_set(fab_node *node, size_t sw, unsigned port, unsigned at, uint16_t value) {
    CHECK_EQ(fab_bar_write16(fab_node_bar(node, sw), window(node, sw, port) + at, value), 0);
}

struct status {
    unsigned width, rate, ltssm;
};

static inline struct status status_of(fab_node *node, size_t sw, unsigned port) {
    uint8_t out[720];
    uint64_t which = UINT64_C(1) << port;
    CHECK_EQ(command(node, sw, LOCAL(0x1C), &which, 8, out, 720), 0);
    CHECK_EQ(out[0], port);
    return (struct status){out[5], out[7], out[8] | (unsigned)out[9] << 8};
}

static inline void expect(fab_node *node, size_t sw, unsigned port, unsigned ltssm, unsigned rate,
                          unsigned width) {
    struct status s = status_of(node, sw, port);
    CHECK_EQ(s.ltssm, ltssm);
    CHECK_EQ(s.rate, rate);
    CHECK_EQ(s.width, width);
    int up = rate >> 7;
    unsigned sta = cfg(node, sw, port, LNKSTA, 2);
    CHECK_EQ(sta >> 13 & 1, up);                                 /* data link active */
    CHECK_EQ(sta >> 11 & 1, ltssm == 0x0902 || ltssm == 0x0104); /* link training */
    if (up) CHECK_EQ(sta & 0x3FF, (rate & 0x7F) | width << 4);
}

/* How often an event has happened since it was last asked. */
static inline unsigned events(fab_node *node, size_t sw, unsigned port, unsigned k) {
    uint64_t at = window(node, sw, port) + 0xC10 + 0x18 * k;
    uint32_t header = reg(node, sw, at);
    set(node, sw, at, 1);
    return header >> 5 & 0xFF;
}

static inline void advance_ms(fab_node *node, double ms) {
    CHECK_EQ(fab_node_advance(node, ms * 1e-3), 0);
}

#endif
