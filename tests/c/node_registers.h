/* Registers of an emulated node, as a stranger reads and writes them. */
#ifndef FAB_NODE_REGISTERS_H
#define FAB_NODE_REGISTERS_H

#include "check.h"
#include "fabcore.h"

static inline uint32_t word_at(const uint8_t *at, uint32_t off) {
    return at[off] | at[off + 1] << 8 | at[off + 2] << 16 | (uint32_t)at[off + 3] << 24;
}

static inline uint32_t reg(fab_node *node, size_t sw, uint64_t off) {
    uint32_t value = 0;
    CHECK_EQ(fab_bar_read32(fab_node_bar(node, sw), off, &value), 0);
    return value;
}

static inline void set(fab_node *node, size_t sw, uint64_t off, uint32_t value) {
    CHECK_EQ(fab_bar_write32(fab_node_bar(node, sw), off, value), 0);
}

#endif
