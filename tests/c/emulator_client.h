/* What the emulator's tests do to a node as a stranger would: registers, mailbox, capabilities. */
#ifndef FAB_EMULATOR_CLIENT_H
#define FAB_EMULATOR_CLIENT_H

#include <string.h>

#include "check.h"
#include "default_node.h"
#include "node_registers.h"
#include "regs.h"

static struct default_node plan;

#define TRAINING_S 0.04 /* by then a link is up again, after a hot reset (2 ms) too */

static inline fab_node *make(void) {
    fab_node *node = NULL;
    default_node_fill(&plan);
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, NULL, &node), 0);
    return node;
}

/* One firmware command by the mailbox; the return code, or -1 when it does not complete. */
static inline int64_t command(fab_node *node, size_t sw, uint32_t word, const void *in,
                              size_t in_bytes, void *out, size_t out_bytes) {
    fab_bar *bar = fab_node_bar(node, sw);
    if (in_bytes) CHECK_EQ(fab_bar_write_block(bar, GAS_MRPC_IN, in, in_bytes), 0);
    CHECK_EQ(fab_bar_write32(bar, GAS_MRPC_CMD, word), 0);
    if (reg(node, sw, GAS_MRPC_STATUS) != MRPC_DONE) return -1;
    uint32_t code = reg(node, sw, GAS_MRPC_RETURN);
    if (!code && out_bytes) CHECK_EQ(fab_bar_read_block(bar, GAS_MRPC_OUT, out, out_bytes), 0);
    return code;
}

#define LOCAL(id) (MRPC_PAX_LOCAL << MRPC_PAX_SHIFT | (id))

static inline int64_t bind(fab_node *node, unsigned host_sw, unsigned host_port, unsigned logical,
                           unsigned pdfid) {
    uint8_t in[36] = {1,
                      (uint8_t)host_sw,
                      (uint8_t)host_port,
                      (uint8_t)logical,
                      (uint8_t)pdfid,
                      (uint8_t)(pdfid >> 8)};
    return command(node, 0, LOCAL(MRPC_GFMS_BIND), in, sizeof in, NULL, 0);
}

static inline int64_t unbind(fab_node *node, unsigned host_sw, unsigned host_port,
                             unsigned logical) {
    uint8_t in[8] = {2, (uint8_t)host_sw, (uint8_t)host_port, (uint8_t)logical, 0, 0, 2, 0};
    return command(node, 0, LOCAL(MRPC_GFMS_BIND), in, sizeof in, NULL, 0);
}

static inline uint32_t function_read(fab_node *node, unsigned pdfid, unsigned addr,
                                     unsigned bytes) {
    uint8_t in[8] = {0,
                     0,
                     (uint8_t)pdfid,
                     (uint8_t)(pdfid >> 8),
                     (uint8_t)addr,
                     (uint8_t)(addr >> 8),
                     (uint8_t)bytes,
                     0};
    uint32_t out = 0;
    CHECK_EQ(command(node, 0, LOCAL(MRPC_FUNCTION_ACCESS), in, sizeof in, &out, 4), 0);
    return out;
}

static inline void function_write(fab_node *node, unsigned pdfid, unsigned addr, unsigned bytes,
                                  uint32_t value) {
    uint8_t in[12] = {1,
                      0,
                      (uint8_t)pdfid,
                      (uint8_t)(pdfid >> 8),
                      (uint8_t)addr,
                      (uint8_t)(addr >> 8),
                      (uint8_t)bytes,
                      0};
    memcpy(in + 8, &value, 4);
    CHECK_EQ(command(node, 0, LOCAL(MRPC_FUNCTION_ACCESS), in, sizeof in, NULL, 0), 0);
}

/* Window of the PFF of a physical port. */
static inline uint64_t window(fab_node *node, size_t sw, unsigned port) {
    for (unsigned k = 0; k < GAS_PFF_MAX; k++) {
        uint8_t id = 0;
        fab_bar_read8(fab_node_bar(node, sw), GAS_PFF_PORT + k, &id);
        if (id == port) return GAS_PFF + (uint64_t)GAS_PFF_STRIDE * k;
    }
    CHECK(!"no such port");
    return 0;
}

static inline uint32_t find_cap(const uint8_t *space, uint8_t id) {
    for (uint32_t at = space[0x34], n = 0; at && n < 48; at = space[at + 1], n++)
        if (space[at] == id) return at;
    return 0;
}

static inline uint32_t find_ext(const uint8_t *space, uint16_t id) {
    for (uint32_t at = 0x100, n = 0; at && n < 480; at = word_at(space, at) >> 20, n++)
        if ((word_at(space, at) & 0xFFFF) == id) return at;
    return 0;
}

static inline void load_table(fab_node *node, size_t sw, unsigned port, const uint8_t *entries,
                              unsigned select) {
    uint8_t space[4096];
    CHECK_EQ(fab_node_config_space(node, sw, (uint8_t)port, -1, space), 0);
    uint32_t vc = find_ext(space, EXT_CAP_VC), table = vc + 16 * (space[vc + VC0_CAP + 3]);
    uint64_t base = window(node, sw, port);
    for (unsigned k = 0; k < 64; k++) set(node, sw, base + table + 4 * k, word_at(entries, 4 * k));
    uint32_t control = reg(node, sw, base + vc + VC0_CONTROL);
    set(node, sw, base + vc + VC0_CONTROL, control | VC_LOAD_PORT_TABLE);
    control &= ~(7u << VC_SELECT_SHIFT);
    set(node, sw, base + vc + VC0_CONTROL, control | select << VC_SELECT_SHIFT);
}

static inline struct fab_function_cell *cell_of(fab_node *node, unsigned module,
                                                unsigned function) {
    struct fab_function_cell *cell = NULL;
    fab_bar *bar = fab_node_bar(node, module / 2);
    CHECK_EQ(fab_function_cell(bar, (uint8_t)(8 * (module % 2)), (uint8_t)function, &cell), 0);
    return cell;
}

static inline void offer(fab_node *node, unsigned module, unsigned function, double up,
                         double down) {
    CHECK_EQ(fab_function_offer(fab_node_bar(node, module / 2), (uint8_t)(8 * (module % 2)),
                                (uint8_t)function, up, down),
             0);
}

#endif
