/* The emulated node by its registers alone: identity, firmware, config spaces, tables, bindings. */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>

#include "emulator_client.h"

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
    test_impossible_configurations_are_refused();
    return CHECK_RESULT;
}
