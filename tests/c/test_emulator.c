/* The emulated node by its registers alone: what it shows, firmware commands, tables, traffic. */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <string.h>

#include "check.h"
#include "default_node.h"
#include "regs.h"

static struct default_node plan;

static fab_node *make(void) {
    fab_node *node = NULL;
    default_node_fill(&plan);
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, NULL, &node), 0);
    return node;
}

static uint32_t reg(fab_node *node, size_t sw, uint64_t off) {
    uint32_t value = 0;
    CHECK_EQ(fab_bar_read32(fab_node_bar(node, sw), off, &value), 0);
    return value;
}

static void set(fab_node *node, size_t sw, uint64_t off, uint32_t value) {
    CHECK_EQ(fab_bar_write32(fab_node_bar(node, sw), off, value), 0);
}

/* One firmware command by the mailbox; the return code, or -1 when it does not complete. */
static int64_t command(fab_node *node, size_t sw, uint32_t word, const void *in, size_t in_bytes,
                       void *out, size_t out_bytes) {
    fab_bar *bar = fab_node_bar(node, sw);
    if (in_bytes) CHECK_EQ(fab_bar_write_block(bar, GAS_MRPC_IN, in, in_bytes), 0);
    CHECK_EQ(fab_bar_write32(bar, GAS_MRPC_CMD, word), 0);
    if (reg(node, sw, GAS_MRPC_STATUS) != MRPC_DONE) return -1;
    uint32_t code = reg(node, sw, GAS_MRPC_RETURN);
    if (!code && out_bytes) CHECK_EQ(fab_bar_read_block(bar, GAS_MRPC_OUT, out, out_bytes), 0);
    return code;
}

#define LOCAL(id) (MRPC_PAX_LOCAL << MRPC_PAX_SHIFT | (id))

static int64_t bind(fab_node *node, unsigned host_sw, unsigned host_port, unsigned logical,
                    unsigned pdfid) {
    uint8_t in[36] = {1,
                      (uint8_t)host_sw,
                      (uint8_t)host_port,
                      (uint8_t)logical,
                      (uint8_t)pdfid,
                      (uint8_t)(pdfid >> 8)};
    return command(node, 0, LOCAL(MRPC_GFMS_BIND), in, sizeof in, NULL, 0);
}

static int64_t unbind(fab_node *node, unsigned host_sw, unsigned host_port, unsigned logical) {
    uint8_t in[8] = {2, (uint8_t)host_sw, (uint8_t)host_port, (uint8_t)logical, 0, 0, 2, 0};
    return command(node, 0, LOCAL(MRPC_GFMS_BIND), in, sizeof in, NULL, 0);
}

static uint32_t function_read(fab_node *node, unsigned pdfid, unsigned addr, unsigned bytes) {
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

static void function_write(fab_node *node, unsigned pdfid, unsigned addr, unsigned bytes,
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
static uint64_t window(fab_node *node, size_t sw, unsigned port) {
    for (unsigned k = 0; k < GAS_PFF_MAX; k++) {
        uint8_t id = 0;
        fab_bar_read8(fab_node_bar(node, sw), GAS_PFF_PORT + k, &id);
        if (id == port) return GAS_PFF + (uint64_t)GAS_PFF_STRIDE * k;
    }
    CHECK(!"no such port");
    return 0;
}

static uint32_t find_cap(const uint8_t *space, uint8_t id) {
    for (uint32_t at = space[0x34], n = 0; at && n < 48; at = space[at + 1], n++)
        if (space[at] == id) return at;
    return 0;
}

static uint32_t word_at(const uint8_t *space, uint32_t at) {
    uint32_t value;
    memcpy(&value, space + at, 4);
    return value;
}

static uint32_t find_ext(const uint8_t *space, uint16_t id) {
    for (uint32_t at = 0x100, n = 0; at && n < 480; at = word_at(space, at) >> 20, n++)
        if ((word_at(space, at) & 0xFFFF) == id) return at;
    return 0;
}

static void load_table(fab_node *node, size_t sw, unsigned port, const uint8_t *entries,
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

/* ---- what it shows ---- */

static void test_identity_and_ports_stand_in_the_registers(void) {
    fab_node *node = make();
    char product[25] = {0};
    uint8_t byte = 0;
    CHECK_EQ(reg(node, 2, GAS_DEVICE_ID), 0x5200);
    fab_bar_read_block(fab_node_bar(node, 2), GAS_GEN4_PRODUCT, product, 24);
    CHECK(strncmp(product, "PAX 100XG5 ", 11) == 0);
    fab_bar_read8(fab_node_bar(node, 0), GAS_PFF_COUNT, &byte);
    CHECK_EQ(byte, 7);
    CHECK_EQ(reg(node, 0, GAS_PFF + 6 * GAS_PFF_STRIDE), 0x520011F8);
    CHECK_EQ(reg(node, 0, GAS_PFF + 7 * GAS_PFF_STRIDE), 0); /* ends the vendor's scan */
    uint64_t part = GAS_PART_CFG;
    CHECK_EQ(reg(node, 0, part + PART_USP_PFF), 2);
    CHECK_EQ(reg(node, 0, part + PART_VEP_PFF), 6);
    CHECK_EQ(reg(node, 0, part + PART_DSP_PFF + 4 * 4), 5);
    CHECK_EQ(reg(node, 0, part + PART_DSP_PFF + 4 * 5), PFF_NONE);
    set(node, 0, GAS_DEVICE_ID, 0x1234);
    set(node, 0, GAS_PFF_PORT & ~3u, 0);
    CHECK_EQ(reg(node, 0, GAS_DEVICE_ID), 0x5200); /* read-only */
    CHECK_EQ(reg(node, 0, 0x300000), 0);
    fab_node_close(node);
}

static void test_firmware_answers_and_refuses(void) {
    fab_node *node = make();
    uint32_t in = 0x12345678, out[4] = {0};
    CHECK_EQ(command(node, 0, LOCAL(MRPC_PING), &in, 4, out, 8), 0);
    CHECK_EQ(out[0] & 0xFFFF, 0x1003);
    CHECK_EQ(out[1], 0xEDCBA987);
    CHECK_EQ(command(node, 0, LOCAL(MRPC_ECHO), &in, 4, out, 4), 0);
    CHECK_EQ(out[0], 0xEDCBA987);
    CHECK_EQ(reg(node, 0, GAS_MRPC_OUT + 4), 0); /* nothing of the longer answer before */
    CHECK_EQ(command(node, 0, LOCAL(0x77), &in, 4, out, 4), MRPC_ERR_COMMAND);
    uint8_t sub = 9;
    CHECK_EQ(command(node, 0, LOCAL(MRPC_TOPOLOGY), &sub, 1, out, 4), MRPC_ERR_SUBCOMMAND);
    /* PAX bits: local, another switch, one that does not exist */
    CHECK_EQ(command(node, 3, LOCAL(MRPC_PAX_ID), NULL, 0, out, 1), 0);
    CHECK_EQ(out[0] & 0xFF, 3);
    CHECK_EQ(command(node, 3, 1u << MRPC_PAX_SHIFT | MRPC_PAX_ID, NULL, 0, out, 1), 0);
    CHECK_EQ(out[0] & 0xFF, 1);
    CHECK(command(node, 3, 9u << MRPC_PAX_SHIFT | MRPC_PAX_ID, NULL, 0, out, 1) > 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_MRPC_STUCK, 0, 1), 0);
    CHECK_EQ(command(node, 0, LOCAL(MRPC_ECHO), &in, 4, out, 4), -1);
    CHECK_EQ(reg(node, 0, GAS_MRPC_STATUS), MRPC_IN_PROGRESS);
    CHECK_EQ(command(node, 0, LOCAL(MRPC_ECHO), &in, 4, out, 4), 0);
    fab_node_close(node);
}

static void test_link_status_topology_and_fabric_ports_agree(void) {
    fab_node *node = make();
    uint8_t status[720], in[4] = {5, 0, 0, 0}, data[1004], port[32], one = 1;
    uint64_t all = 0;
    CHECK_EQ(command(node, 1, LOCAL(MRPC_LINK_STATUS), &all, 8, status, sizeof status), 0);
    CHECK_EQ(status[0], 0);
    CHECK_EQ(status[12 * 6 + 0], 48);
    CHECK_EQ(status[12 * 6 + 3], 0x60);
    CHECK_EQ(status[4], 16);
    CHECK_EQ(status[5], 16);
    CHECK_EQ(status[7], 0x85);
    CHECK_EQ(status[8] | status[9] << 8, LTSSM_L0);
    CHECK_EQ(status[12 * 7 + 3], 0xFF);
    CHECK_EQ(command(node, 1, LOCAL(MRPC_TOPOLOGY), in, 4, data, 4), MRPC_ERR_STATE);
    CHECK_EQ(command(node, 1, LOCAL(MRPC_TOPOLOGY), &one, 1, data, 1), 0);
    CHECK_EQ(command(node, 1, LOCAL(MRPC_TOPOLOGY), in, 4, data, sizeof data), 0);
    CHECK_EQ(data[2] | data[3] << 8, (64 + 7 * 32) / 4);
    CHECK_EQ(data[4], 1);
    CHECK_EQ(data[4 + 36 + 0], 40); /* route to switch 0, itself, 2, 3 */
    CHECK_EQ(data[4 + 36 + 1], 0xFF);
    CHECK_EQ(data[4 + 36 + 3], 32);
    uint8_t ask[2] = {4, 32};
    CHECK_EQ(command(node, 1, LOCAL(MRPC_GFMS_DUMP), ask, 2, port, 32), 0);
    CHECK_EQ(port[16], 40);
    CHECK_EQ(port[17], 2);
    ask[1] = 0;
    CHECK_EQ(command(node, 1, LOCAL(MRPC_GFMS_DUMP), ask, 2, port, 32), MRPC_ERR_PORT);
    fab_node_close(node);
}

static void test_config_spaces_hold_the_capabilities(void) {
    fab_node *node = make();
    uint8_t s[4096];
    CHECK_EQ(fab_node_config_space(node, 3, 8, -1, s), 0);
    CHECK_EQ(word_at(s, 0), 0x520011F8);
    CHECK_EQ(s[0x0E] & 0x7F, 1);
    uint32_t pcie = find_cap(s, CAP_PCIE);
    CHECK_EQ(s[pcie + 2] >> 4, 6);
    CHECK_EQ(word_at(s, pcie + 0x14) >> 19, 8); /* slot = module index 7 + 1 */
    CHECK_EQ(word_at(s, pcie + 0x0C) & 0x3FF, 0x105);
    CHECK_EQ(word_at(s, pcie + 0x10) >> 16 & 0x23FF, 0x2105); /* x16, Gen5, link active */
    static const uint16_t wanted[] = {0x0001, 0x0002, 0x000D, 0x0019, 0x0026, 0x002A, 0x0027};
    for (unsigned k = 0; k < 7; k++) CHECK(find_ext(s, wanted[k]) != 0);
    uint32_t vc = find_ext(s, EXT_CAP_VC);
    CHECK_EQ(word_at(s, vc + VC_CAP1) >> 10 & 3, 3);
    CHECK_EQ(word_at(s, vc + VC0_CAP) & 0xFF, 0x2F); /* fixed, WRR 32, 64, 128, 256 */
    for (unsigned k = 0x800; k < 4096; k++) CHECK_EQ(s[k], 0);
    CHECK_EQ(fab_node_config_space(node, 0, 16, -1, s), 0);
    CHECK_EQ(s[find_cap(s, CAP_PCIE) + 2] >> 4, 5);
    CHECK_EQ(fab_node_config_space(node, 0, 0, 0, s), 0);
    CHECK_EQ(word_at(s, 0), 0xFAB011F8);
    uint32_t sriov = find_ext(s, EXT_CAP_SRIOV);
    CHECK_EQ(word_at(s, sriov + SRIOV_INITIAL_VFS), 0x00200020);
    CHECK(find_ext(s, EXT_CAP_MFVC) != 0 && find_ext(s, EXT_CAP_VSEC) == 0);
    CHECK_EQ(fab_node_config_space(node, 0, 0, 32, s), 0);
    CHECK_EQ(word_at(s, 0), 0xFAB111F8);
    CHECK(find_ext(s, EXT_CAP_ARI) != 0 && find_ext(s, EXT_CAP_MFVC) == 0);
    CHECK_EQ(fab_node_config_space(node, 2, 0, 0, s), 0); /* module 4 */
    CHECK(find_ext(s, EXT_CAP_MFVC) == 0 && find_ext(s, EXT_CAP_VSEC) != 0);
    CHECK_EQ(fab_node_config_space(node, 0, 0, 33, s), -ENOENT);
    CHECK_EQ(fab_node_config_space(node, 0, 16, 0, s), -ENOENT);
    CHECK_EQ(fab_node_config_space(node, 0, 17, -1, s), -ENOENT);
    CHECK_EQ(fab_node_config_space(node, 4, 0, -1, s), -ENOENT);
    fab_node_close(node);
}

static void test_config_writes_keep_what_is_read_only(void) {
    fab_node *node = make();
    uint64_t base = window(node, 0, 0);
    set(node, 0, base, 0xDEADBEEF);
    CHECK_EQ(reg(node, 0, base), 0x520011F8);
    set(node, 0, base + 0x18, 0x00030201);
    CHECK_EQ(reg(node, 0, base + 0x18), 0x00030201);
    CHECK_EQ(function_read(node, PDFID(5, 3), 2, 2), 0xFAB1);
    function_write(node, PDFID(5, 3), 0, 4, 0);
    CHECK_EQ(function_read(node, PDFID(5, 3), 0, 4), 0xFAB111F8);
    uint8_t bad[8] = {0, 0, 0, 0, 3, 0, 2, 0};
    CHECK_EQ(command(node, 0, LOCAL(MRPC_FUNCTION_ACCESS), bad, 8, NULL, 0), MRPC_ERR_PARAMETER);
    /* NumVFs only while the VFs are off; then a function behind it is not there */
    uint8_t s[4096];
    fab_node_config_space(node, 2, 8, 0, s);
    uint32_t sriov = find_ext(s, EXT_CAP_SRIOV);
    function_write(node, PDFID(5, 0), sriov + SRIOV_NUM_VFS, 2, 4);
    CHECK_EQ(function_read(node, PDFID(5, 0), sriov + SRIOV_NUM_VFS, 2), 32);
    function_write(node, PDFID(5, 0), sriov + SRIOV_CONTROL, 2, 0x18);
    function_write(node, PDFID(5, 0), sriov + SRIOV_NUM_VFS, 2, 4);
    function_write(node, PDFID(5, 0), sriov + SRIOV_CONTROL, 2, 0x19);
    CHECK_EQ(fab_node_config_space(node, 2, 8, 4, s), 0);
    CHECK_EQ(fab_node_config_space(node, 2, 8, 5, s), -ENOENT);
    CHECK_EQ(bind(node, 0, 16, 0, PDFID(5, 5)), MRPC_ERR_PARAMETER);
    fab_node_close(node);
}

static void test_table_handshake_with_stuck_and_torn(void) {
    fab_node *node = make();
    uint8_t s[4096];
    fab_node_config_space(node, 0, 16, -1, s);
    uint32_t vc = find_ext(s, EXT_CAP_VC), table = vc + 16u * s[vc + VC0_CAP + 3];
    CHECK(table + 256 <= 0x800);
    uint64_t base = window(node, 0, 16);
    set(node, 0, base + table, 0x08000800);
    CHECK_EQ(reg(node, 0, base + vc + VC0_STATUS - 2) >> 16 & 1, 1);
    uint32_t control = reg(node, 0, base + vc + VC0_CONTROL);
    set(node, 0, base + vc + VC0_CONTROL, control | VC_LOAD_PORT_TABLE);
    CHECK_EQ(reg(node, 0, base + vc + VC0_STATUS - 2) >> 16 & 1, 0);
    CHECK_EQ(reg(node, 0, base + vc + VC0_CONTROL), control);               /* Load reads 0 */
    set(node, 0, base + vc + VC0_CONTROL, control | 4u << VC_SELECT_SHIFT); /* not offered */
    CHECK_EQ(reg(node, 0, base + vc + VC0_CONTROL), control);
    set(node, 0, base + vc + VC0_CONTROL, control | VC_ARB_WRR64 << VC_SELECT_SHIFT);
    CHECK_EQ(reg(node, 0, base + vc + VC0_CONTROL) >> VC_SELECT_SHIFT & 7, VC_ARB_WRR64);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_VC_STUCK, 16, 1), 0);
    set(node, 0, base + vc + VC0_CONTROL, control | VC_LOAD_PORT_TABLE);
    CHECK_EQ(reg(node, 0, base + vc + VC0_STATUS - 2) >> 16 & 1, 1);
    set(node, 0, base + vc + VC0_CONTROL, control | VC_LOAD_PORT_TABLE);
    CHECK_EQ(reg(node, 0, base + vc + VC0_STATUS - 2) >> 16 & 1, 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_TORN_WRITE, 16, 1), 0);
    set(node, 0, base + table, 0x11111111);
    CHECK_EQ(reg(node, 0, base + table), 0x08000800);
    set(node, 0, base + table, 0x11111111);
    CHECK_EQ(reg(node, 0, base + table), 0x11111111);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_VC_STUCK, 17, 1), -ENOENT);
    CHECK_EQ(fab_node_fault(node, 9, FAB_FAULT_GONE, 0, 0), -ENOENT);
    CHECK_EQ(fab_node_fault(node, 0, 99, 0, 0), -EINVAL);
    fab_node_close(node);
}

/* ---- bindings and traffic ---- */

static void test_bindings_are_refused_by_reason(void) {
    fab_node *node = make();
    struct fab_function_cell *cell = NULL;
    CHECK_EQ(bind(node, 0, 16, 0, PDFID(0, 1)), 0);
    CHECK_EQ(fab_function_cell(fab_node_bar(node, 0), 0, 1, &cell), 0);
    CHECK_EQ(fab_load_acquire(&cell->out.bound), 1);
    CHECK_EQ(bind(node, 1, 16, 0, PDFID(0, 1)), MRPC_ERR_STATE);      /* bound elsewhere */
    CHECK_EQ(bind(node, 0, 16, 0, PDFID(0, 2)), MRPC_ERR_DENIED);     /* logical taken */
    CHECK_EQ(bind(node, 0, 16, 1, PDFID(0, 40)), MRPC_ERR_PARAMETER); /* no such function */
    CHECK_EQ(bind(node, 0, 16, 1, PDFID(9, 1)), MRPC_ERR_PARAMETER);
    CHECK_EQ(bind(node, 0, 0, 1, PDFID(0, 2)), MRPC_ERR_PORT); /* no host port */
    CHECK_EQ(bind(node, 7, 16, 1, PDFID(0, 2)), MRPC_ERR_PORT);
    uint8_t many[36] = {1, 0, 16, 5, 3, 0, 1, 0, 1, 0, 0, 0}; /* functions 3 and 1: 1 is bound */
    CHECK_EQ(command(node, 0, LOCAL(MRPC_GFMS_BIND), many, 36, NULL, 0), MRPC_ERR_STATE);
    CHECK_EQ(bind(node, 0, 16, 5, PDFID(0, 3)), 0); /* nothing was left of it */
    CHECK_EQ(unbind(node, 0, 16, 7), MRPC_ERR_STATE);
    CHECK_EQ(unbind(node, 0, 16, 0), 0);
    CHECK_EQ(fab_load_acquire(&cell->out.bound), 0);
    CHECK_EQ(bind(node, 1, 16, 0, PDFID(0, 1)), 0);
    fab_node_close(node);
}

static struct fab_function_cell *cell_of(fab_node *node, unsigned module, unsigned function) {
    struct fab_function_cell *cell = NULL;
    fab_bar *bar = fab_node_bar(node, module / 2);
    CHECK_EQ(fab_function_cell(bar, (uint8_t)(8 * (module % 2)), (uint8_t)function, &cell), 0);
    return cell;
}

static void offer(fab_node *node, unsigned module, unsigned function, double up, double down) {
    CHECK_EQ(fab_function_offer(fab_node_bar(node, module / 2), (uint8_t)(8 * (module % 2)),
                                (uint8_t)function, up, down),
             0);
}

static void test_table_divides_two_modules_one_to_three(void) {
    fab_node *node = make();
    uint8_t entries[256];
    for (unsigned k = 0; k < 256; k++) entries[k] = k % 4 ? 8 : 0; /* module 0 : 1 = 1 : 3 */
    CHECK_EQ(bind(node, 0, 16, 0, PDFID(0, 1)), 0);
    CHECK_EQ(bind(node, 0, 16, 1, PDFID(1, 1)), 0);
    load_table(node, 0, 16, entries, VC_ARB_WRR256);
    offer(node, 0, 1, 1e11, 0);
    offer(node, 1, 1, 1e11, 0);
    CHECK_EQ(fab_node_advance(node, 0.1), 0);
    double a = (double)cell_of(node, 0, 1)->out.up_bytes;
    double b = (double)cell_of(node, 1, 1)->out.up_bytes;
    CHECK_NEAR(a / (a + b), 0.25, 0.01);
    CHECK_NEAR((a + b) / (DEFAULT_RATE * 0.1), 1.0, 0.001);
    fab_node_close(node);
}

static void test_down_traffic_meets_the_tables_of_the_reverse_path(void) {
    fab_node *node = make();
    uint8_t entries[256];
    for (unsigned k = 0; k < 256; k++) entries[k] = k % 4 ? 24 : 16; /* host 0 : 1 = 1 : 3 */
    CHECK_EQ(bind(node, 0, 16, 0, PDFID(2, 1)), 0);
    CHECK_EQ(bind(node, 0, 24, 0, PDFID(3, 1)), 0);
    load_table(node, 0, 32, entries, VC_ARB_WRR256); /* the fabric link toward switch 1 */
    offer(node, 2, 1, 0, 1e11);
    offer(node, 3, 1, 0, 1e11);
    CHECK_EQ(fab_node_advance(node, 0.1), 0);
    double a = (double)cell_of(node, 2, 1)->out.down_bytes;
    double b = (double)cell_of(node, 3, 1)->out.down_bytes;
    CHECK_NEAR(a / (a + b), 0.25, 0.01);
    CHECK_NEAR((a + b) / (DEFAULT_RATE * 0.1), 1.0, 0.001);
    fab_node_close(node);
}

/* Egress and ingress posted and completion bytes of a port. */
static void counters(fab_node *node, size_t sw, uint8_t port, uint64_t out[7]) {
    uint8_t in[4] = {1, 1, port, 0};
    CHECK_EQ(command(node, sw, LOCAL(MRPC_PORT_COUNTERS), in, 4, out, 56), 0);
}

static void test_counters_agree_with_cells_to_the_byte(void) {
    fab_node *node = make();
    uint64_t c[7], up = 0, down = 0;
    for (unsigned m = 0; m < 8; m++) {
        CHECK_EQ(bind(node, 0, 16, m, PDFID(m, 1)), 0);
        offer(node, m, 1, 1.234567e9 * (m + 1), 7.7e9 + 3 * m);
    }
    CHECK_EQ(fab_node_advance(node, 0.0533), 0);
    for (unsigned m = 0; m < 8; m++) {
        struct fab_function_cell *cell = cell_of(node, m, 1);
        counters(node, m / 2, (uint8_t)(8 * (m % 2)), c);
        CHECK_EQ(c[4], cell->out.up_bytes);   /* ingress posted of the module port */
        CHECK_EQ(c[2], cell->out.down_bytes); /* egress completions */
        CHECK_EQ(c[1] + c[3] + c[5] + c[6], 0);
        up += cell->out.up_bytes;
        down += cell->out.down_bytes;
    }
    counters(node, 0, 16, c);
    CHECK_EQ(c[0], 53300);
    CHECK_EQ(c[1], up);
    CHECK_EQ(c[5], down);
    CHECK(up > 0 && down > 0);
    uint64_t there[7], here[7]; /* a fabric link's two ends see the same bytes */
    counters(node, 0, 40, here);
    counters(node, 3, 32, there);
    CHECK_EQ(here[4], there[1]);
    CHECK_EQ(here[2], there[5]);
    CHECK(here[4] > 0 && here[2] > 0);
    fab_node_close(node);
}

static void test_function_groups_and_shapers_take_effect(void) {
    fab_node *node = make();
    uint8_t s[4096];
    fab_node_config_space(node, 0, 0, 0, s);
    uint32_t mfvc = find_ext(s, EXT_CAP_MFVC), ari = find_ext(s, EXT_CAP_ARI);
    uint32_t table = mfvc + 16u * s[mfvc + VC0_CAP + 3];
    for (unsigned f = 1; f <= 2; f++) { /* groups 2 and 3 share 1 : 3 */
        CHECK_EQ(bind(node, 0, 16, f, PDFID(0, f)), 0);
        function_write(node, PDFID(0, f), ari + ARI_CONTROL, 2, (f + 1) << ARI_CTL_GROUP_SHIFT);
        offer(node, 0, f, 1e11, 1e11);
    }
    function_write(node, PDFID(0, 0), ari + ARI_CONTROL, 2, ARI_CTL_MFVC_GROUPS);
    for (unsigned k = 0; k < 64; k += 4)
        function_write(node, PDFID(0, 0), table + k, 4, 0x33323332);
    uint32_t control = function_read(node, PDFID(0, 0), mfvc + VC0_CONTROL, 4);
    function_write(node, PDFID(0, 0), mfvc + VC0_CONTROL, 4, control | VC_LOAD_PORT_TABLE);
    function_write(node, PDFID(0, 0), mfvc + VC0_CONTROL, 4,
                   control | VC_ARB_WRR128 << VC_SELECT_SHIFT);
    fab_node_config_space(node, 1, 8, 0, s); /* module 3: a shaper */
    uint32_t vsec = find_ext(s, EXT_CAP_VSEC);
    CHECK_EQ(word_at(s, vsec + SHAPER_UNIT), 1000000);
    CHECK_EQ(bind(node, 1, 24, 0, PDFID(3, 7)), 0);
    offer(node, 3, 7, 1e11, 1e11);
    function_write(node, PDFID(3, 0), vsec + SHAPER_TABLE + 7 * SHAPER_STRIDE + 8, 4, 2500);
    CHECK_EQ(fab_node_advance(node, 0.1), 0);
    double one = (double)cell_of(node, 0, 1)->out.up_bytes;
    double two = (double)cell_of(node, 0, 2)->out.up_bytes;
    CHECK_NEAR(one / (one + two), 0.25, 0.01);
    CHECK_NEAR((double)cell_of(node, 3, 7)->out.up_bytes, 2.5e8, 2.5e6);
    CHECK_NEAR((double)cell_of(node, 3, 7)->out.down_bytes, DEFAULT_RATE * 0.1, 1e7);
    uint8_t reset[4] = {3, 0, 0, 0}; /* a hot reset forgets groups and table, not the binding */
    CHECK_EQ(command(node, 0, LOCAL(MRPC_PORT_CONTROL), reset, 4, NULL, 0), 0);
    CHECK_EQ(function_read(node, PDFID(0, 1), ari + ARI_CONTROL, 2), 0);
    CHECK_EQ(fab_load_acquire(&cell_of(node, 0, 1)->out.bound), 1);
    fab_node_close(node);
}

static void test_cells_refuse_nonsense_and_ceilings_start_open(void) {
    fab_node *node = make();
    CHECK(isinf(cell_of(node, 0, 1)->in.ceiling_up));
    CHECK_EQ(bind(node, 0, 16, 0, PDFID(0, 1)), 0);
    cell_of(node, 0, 1)->in.offered_up = NAN;
    cell_of(node, 0, 1)->in.offered_down = -1e9;
    CHECK_EQ(fab_node_advance(node, 0.01), 0);
    CHECK_EQ(cell_of(node, 0, 1)->out.up_bytes + cell_of(node, 0, 1)->out.down_bytes, 0);
    offer(node, 0, 1, 1e9, 1e9);
    CHECK_EQ(fab_function_ceiling(fab_node_bar(node, 0), 0, 1, 1e8, INFINITY), 0);
    CHECK_EQ(fab_node_advance(node, 0.1), 0);
    CHECK_NEAR((double)cell_of(node, 0, 1)->out.up_bytes, 1e7, 2);
    CHECK_NEAR((double)cell_of(node, 0, 1)->out.down_bytes, 1e8, 2);
    CHECK_NEAR((double)cell_of(node, 0, 1)->out.up_backlog, 9e7, 2);
    fab_node_set_drop(node, 1);
    CHECK_EQ(fab_node_advance(node, 0.01), 0);
    CHECK_EQ(cell_of(node, 0, 1)->out.up_backlog, 0);
    CHECK(cell_of(node, 0, 1)->out.up_dropped >= 90000000);
    CHECK_EQ(unbind(node, 0, 16, 0), 0);
    uint64_t before = cell_of(node, 0, 1)->out.up_bytes;
    CHECK_EQ(fab_node_advance(node, 0.01), 0);
    CHECK_EQ(cell_of(node, 0, 1)->out.up_bytes, before);
    /* bound again elsewhere while time goes on: another path, from an empty queue */
    CHECK_EQ(bind(node, 2, 24, 0, PDFID(0, 1)), 0);
    CHECK_EQ(fab_node_advance(node, 0.01), 0);
    CHECK_NEAR((double)(cell_of(node, 0, 1)->out.up_bytes - before), 1e6, 2);
    fab_node_close(node);
}

/* ---- faults ---- */

static void test_link_down_is_seen_at_both_ends_and_stops_traffic(void) {
    fab_node *node = make();
    uint64_t here = window(node, 0, 32) + PFF_EVENT_HEADERS + 12 * PFF_EVENT_STRIDE;
    uint64_t there = window(node, 1, 40) + PFF_EVENT_HEADERS + 12 * PFF_EVENT_STRIDE;
    CHECK_EQ(bind(node, 1, 16, 0, PDFID(0, 1)), 0);
    offer(node, 0, 1, 1e9, 0);
    CHECK_EQ(fab_node_advance(node, 0.01), 0);
    uint64_t moved = cell_of(node, 0, 1)->out.up_bytes;
    CHECK_NEAR((double)moved, 1e7, 2);
    CHECK_EQ(reg(node, 0, here) & EVENT_OCCURRED, 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_LINK_DOWN, 32, 0), 0);
    CHECK_EQ(reg(node, 0, here), 1 << 5 | EVENT_OCCURRED);
    CHECK_EQ(reg(node, 1, there), 1 << 5 | EVENT_OCCURRED);
    CHECK_EQ(reg(node, 0, window(node, 0, 32) + PFF_EVENT_SUMMARY), 1 << 12);
    uint8_t status[720];
    uint64_t which = UINT64_C(1) << 40;
    CHECK_EQ(command(node, 1, LOCAL(MRPC_LINK_STATUS), &which, 8, status, 720), 0);
    CHECK_EQ(status[7] & 0x80, 0);
    CHECK_EQ(status[8] | status[9] << 8, LTSSM_DETECT);
    CHECK_EQ(fab_node_advance(node, 0.01), 0);
    CHECK_EQ(cell_of(node, 0, 1)->out.up_bytes, moved);
    set(node, 0, here, 0x61); /* as the vendor's tool clears: count and enables ignored or taken */
    CHECK_EQ(reg(node, 0, here), 0);
    CHECK_EQ(reg(node, 0, window(node, 0, 32) + PFF_EVENT_SUMMARY), 0);
    set(node, 1, there, EVENT_EN_IRQ); /* without bit 0 nothing is cleared */
    CHECK_EQ(reg(node, 1, there), 1 << 5 | EVENT_OCCURRED | EVENT_EN_IRQ);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_LINK_UP, 32, 0), 0);
    CHECK_EQ(reg(node, 0, here), 1 << 5 | EVENT_OCCURRED);
    CHECK_EQ(fab_node_advance(node, 0.01), 0);
    CHECK_NEAR((double)cell_of(node, 0, 1)->out.up_bytes, 3e7, 4); /* nothing was lost */
    fab_node_close(node);
}

static void test_port_control_and_link_disable_are_one_switch(void) {
    fab_node *node = make();
    uint8_t off[4] = {0, 8, 0, 0}, on[4] = {1, 8, 0, 0}, management[4] = {0, 48, 0, 0}, s[4096];
    uint64_t base = window(node, 0, 8);
    fab_node_config_space(node, 0, 8, -1, s);
    uint32_t link = find_cap(s, CAP_PCIE) + 0x10;
    CHECK_EQ(command(node, 0, LOCAL(MRPC_PORT_CONTROL), off, 4, NULL, 0), 0);
    CHECK_EQ(reg(node, 0, base + link) >> 29 & 1, 0);
    CHECK_EQ(reg(node, 0, base + link) & 0x10, 0x10);
    uint8_t read[8] = {0, 0, (uint8_t)PDFID(1, 0), 0, 0, 0, 4, 0};
    CHECK_EQ(command(node, 0, LOCAL(MRPC_FUNCTION_ACCESS), read, 8, s, 4), MRPC_ERR_STATE);
    CHECK_EQ(fab_node_config_space(node, 0, 8, 0, s), 0);
    CHECK_EQ(word_at(s, 0), UINT32_MAX); /* nobody answers */
    set(node, 0, base + link, 0);
    CHECK_EQ(reg(node, 0, base + link) >> 29 & 1, 1);
    CHECK_EQ(command(node, 0, LOCAL(MRPC_PORT_CONTROL), on, 4, NULL, 0), 0);
    CHECK_EQ(command(node, 0, LOCAL(MRPC_PORT_CONTROL), management, 4, NULL, 0), MRPC_ERR_DENIED);
    fab_node_close(node);
}

static void test_a_switch_that_vanishes_reads_all_ones(void) {
    fab_node *node = make();
    uint64_t there = window(node, 2, 40) + PFF_EVENT_HEADERS + 12 * PFF_EVENT_STRIDE;
    CHECK_EQ(bind(node, 1, 16, 0, PDFID(2, 1)), 0);
    offer(node, 2, 1, 1e9, 0);
    CHECK_EQ(fab_node_fault(node, 1, FAB_FAULT_GONE, 0, 0), 0);
    CHECK_EQ(reg(node, 1, GAS_DEVICE_ID), UINT32_MAX);
    CHECK_EQ(reg(node, 2, there) & EVENT_OCCURRED, EVENT_OCCURRED); /* the neighbour notices */
    CHECK_EQ(fab_node_advance(node, 0.01), 0);
    uint32_t in = 1, out;
    CHECK(command(node, 0, 1u << MRPC_PAX_SHIFT | MRPC_ECHO, &in, 4, &out, 4) > 0);
    CHECK_EQ(fab_node_fault(node, 1, FAB_FAULT_BACK, 0, 0), 0);
    CHECK_EQ(reg(node, 1, GAS_DEVICE_ID), 0x5200);
    CHECK_EQ(cell_of(node, 2, 1)->out.up_bytes, 0);
    CHECK_EQ(fab_node_advance(node, 0.01), 0);
    CHECK_NEAR((double)cell_of(node, 2, 1)->out.up_bytes, 2e7, 2);
    fab_node_close(node);
}

/* ---- time ---- */

static void test_virtual_time_is_exact_and_the_run_deterministic(void) {
    uint64_t bytes[2] = {0, 0};
    for (int run = 0; run < 2; run++) {
        fab_node *node = make();
        CHECK_EQ(bind(node, 3, 16, 0, PDFID(0, 1)), 0);
        offer(node, 0, 1, 3.3333333e9, 0);
        for (int k = 0; k < 1000; k++) CHECK_EQ(fab_node_advance(node, 0.0001), 0);
        CHECK_EQ(fab_node_time_ns(node), 100000000);
        CHECK_EQ(fab_node_advance(node, 0.0123456789), 0);
        CHECK_EQ(fab_node_time_ns(node), 112345679);
        bytes[run] = cell_of(node, 0, 1)->out.up_bytes;
        CHECK_EQ(fab_bar_page(fab_node_bar(node, 1))->steps, 1013);
        CHECK_EQ(fab_node_advance(node, -1), -EINVAL);
        CHECK_EQ(fab_node_advance(node, NAN), -EINVAL);
        CHECK_EQ(fab_node_set_step(node, 0), -EINVAL);
        CHECK_EQ(fab_node_set_step(node, 0.01), 0);
        CHECK_EQ(fab_node_advance(node, 0.1), 0);
        CHECK_EQ(fab_bar_page(fab_node_bar(node, 1))->steps, 1023);
        fab_node_close(node);
    }
    CHECK_EQ(bytes[0], bytes[1]);
    CHECK_NEAR((double)bytes[0], 3.3333333e9 * 0.112345679, 2);
}

static void test_impossible_configurations_are_refused(void) {
    fab_node *node = NULL;
    default_node_fill(&plan);
    plan.ports[0].phases = 48;
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, NULL, &node), -EINVAL);
    default_node_fill(&plan);
    plan.ports[4].peer_port = 24;
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, NULL, &node), -EINVAL);
    default_node_fill(&plan);
    plan.ports[1].port = 0;
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, NULL, &node), -EINVAL);
    default_node_fill(&plan);
    plan.ports[1].capacity = NAN;
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, NULL, &node), -EINVAL);
    default_node_fill(&plan);
    plan.config.route[0][1] = 16;
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, NULL, &node), -EINVAL);
    default_node_fill(&plan);
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, "a/b", &node), -EINVAL);
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, "", &node), -EINVAL);
    CHECK(node == NULL);
}

int main(void) {
    test_identity_and_ports_stand_in_the_registers();
    test_firmware_answers_and_refuses();
    test_link_status_topology_and_fabric_ports_agree();
    test_config_spaces_hold_the_capabilities();
    test_config_writes_keep_what_is_read_only();
    test_table_handshake_with_stuck_and_torn();
    test_bindings_are_refused_by_reason();
    test_table_divides_two_modules_one_to_three();
    test_down_traffic_meets_the_tables_of_the_reverse_path();
    test_counters_agree_with_cells_to_the_byte();
    test_function_groups_and_shapers_take_effect();
    test_cells_refuse_nonsense_and_ceilings_start_open();
    test_link_down_is_seen_at_both_ends_and_stops_traffic();
    test_port_control_and_link_disable_are_one_switch();
    test_a_switch_that_vanishes_reads_all_ones();
    test_virtual_time_is_exact_and_the_run_deterministic();
    test_impossible_configurations_are_refused();
    return CHECK_RESULT;
}
