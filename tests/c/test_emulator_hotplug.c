/* Modules pulled, switched off and put back; ports that contain errors. */
#define _GNU_SOURCE
#include <errno.h>

#include "link_client.h"

static void a_module_that_is_pulled_takes_its_functions_along(void) {
    fab_node *node = make();
    uint8_t s[4096];
    struct fab_module_state state;
    CHECK_EQ(bind(node, 0, 16, 0, PDFID(0, 1)), 0);
    offer(node, 0, 1, 1e9, 0);
    advance_ms(node, 10);
    uint64_t moved = cell_of(node, 0, 1)->out.up_bytes;
    function_write(node, PDFID(0, 0), 0x04, 2, 0x0006);
    function_write(node, PDFID(0, 0), 0x108, 4, 0x00100000); /* AER mask: sticky, but not this */
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_REMOVED, 0, 1), 0);
    expect(node, 0, 0, 0x0000, 0, 0);
    CHECK_EQ(cfg(node, 0, 0, PCIE + 0x1A, 2), 0x0108); /* absent; presence and link changed */
    CHECK(events(node, 0, 0, EV_HOTPLUG) >= 1);
    CHECK_EQ(events(node, 0, 0, EV_LINK), 1);
    CHECK_EQ(cfg(node, 0, 0, 0x104, 4), 1 << 5); /* Surprise Down */
    uint8_t read[8] = {0, 0, 0, 0, 0, 0, 4, 0};
    CHECK(command(node, 0, LOCAL(0x8E), read, 8, s, 4) > 0);
    CHECK_EQ(fab_node_config_space(node, 0, 0, 0, s), 0);
    CHECK_EQ(word_at(s, 0), UINT32_MAX);
    CHECK_EQ(fab_node_module_state(node, 0, &state), 0);
    CHECK(!state.present && !state.powered && !state.link_up && state.draw_w == 0.0);
    advance_ms(node, 10);
    CHECK_EQ(cell_of(node, 0, 1)->out.up_bytes, moved);
    cfg_set(node, 0, 0, PCIE + 0x1A, 0x0108);
    CHECK_EQ(cfg(node, 0, 0, PCIE + 0x1A, 2), 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_INSERTED, 0, 1), 0);
    CHECK_EQ(cfg(node, 0, 0, PCIE + 0x1A, 2), 0x0048);
    advance_ms(node, 38);
    expect(node, 0, 0, 0x0103, 0x85, 16);
    CHECK_EQ(function_read(node, PDFID(0, 0), 0x04, 2), 0); /* in its reset state */
    CHECK_EQ(function_read(node, PDFID(0, 0), 0x108, 4), 0x00400000);
    advance_ms(node, 10); /* still bound: the slot is what was bound */
    CHECK(cell_of(node, 0, 1)->out.up_bytes > moved);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_REMOVED, 16, 1), -ENOENT); /* a host's */
    fab_node_close(node);
}

static void the_slot_switches_its_module_on_and_off(void) {
    fab_node *node = make();
    struct fab_module_state state;
    uint16_t control = (uint16_t)cfg(node, 0, 0, SLTCTL, 2);
    CHECK_EQ(control, 0x01C0); /* power on, its indicator too, attention off */
    CHECK_EQ(cfg(node, 0, 0, PCIE + 0x14, 4) & 0x7F, 0x5B); /* button, controller, indicators */
    cfg_set(node, 0, 0, SLTCTL, control | 1 << 10);
    expect(node, 0, 0, 0x0000, 0, 0);
    CHECK_EQ(cfg(node, 0, 0, PCIE + 0x1A, 2) & 0x48, 0x40); /* it is still there */
    CHECK_EQ(cfg(node, 0, 0, 0x104, 4), 0);                 /* and went as asked */
    CHECK_EQ(fab_node_module_state(node, 0, &state), 0);
    CHECK(state.present && !state.powered);
    cfg_set(node, 0, 0, SLTCTL, control);
    advance_ms(node, 38);
    expect(node, 0, 0, 0x0103, 0x85, 16);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_SUPPLY_LOST, 0, 1), 0);
    CHECK_EQ(cfg(node, 0, 0, PCIE + 0x1A, 2) & 0x4A, 0x42); /* there, power fault */
    CHECK_EQ(status_of(node, 0, 0).rate, 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_SUPPLY_BACK, 0, 1), 0);
    advance_ms(node, 38);
    expect(node, 0, 0, 0x0103, 0x85, 16);
    cfg_set(node, 0, 0, SLTCTL, 0xFFFF & ~(1 << 10));
    CHECK_EQ(cfg(node, 0, 0, SLTCTL, 2), 0x13FB); /* no latch, no interlock; reserved bits are 0 */
    fab_node_close(node);
}

/* ---- containment ---- */

static void dpc_contains_a_fatal_error_until_its_status_is_cleared(void) {
    fab_node *node = make();
    unsigned dpc = 0x160;
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_FATAL, 0, 4), 0);
    expect(node, 0, 0, 0x0103, 0x85, 16); /* not enabled */
    cfg_set(node, 0, 0, dpc + 6, 1);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_NONFATAL, 0, 21), 0);
    expect(node, 0, 0, 0x0103, 0x85, 16); /* not fatal */
    CHECK_EQ(events(node, 0, 0, EV_DPC), 0);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_FATAL, 0, 4), 0);
    expect(node, 0, 0, 0x0105, 0, 0);
    CHECK_EQ(cfg(node, 0, 0, dpc + 8, 2), 0x0009); /* triggered, reason 0, interrupt */
    CHECK_EQ(events(node, 0, 0, EV_DPC), 1);
    advance_ms(node, 100);
    expect(node, 0, 0, 0x0105, 0, 0);
    cfg_set(node, 0, 0, dpc + 8, 0x0009);
    CHECK_EQ(cfg(node, 0, 0, dpc + 8, 2), 0);
    advance_ms(node, 38);
    expect(node, 0, 0, 0x0103, 0x85, 16);
    cfg_set(node, 0, 0, dpc + 6, 0x42); /* on any error, and by software now */
    CHECK_EQ(cfg(node, 0, 0, dpc + 6, 2), 0x0002);
    CHECK_EQ(cfg(node, 0, 0, dpc + 8, 2), 0x002F); /* reason 3, extension 1 */
    cfg_set(node, 0, 0, dpc + 8, 0x0009);
    advance_ms(node, 38);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_NONFATAL, 0, 21), 0);
    expect(node, 0, 0, 0x0105, 0, 0);
    fab_node_close(node);
}

static void dpc_names_the_function_whose_message_triggered_it(void) {
    fab_node *node = make();
    cfg_set(node, 2, 8, 0x18, 0x2201); /* primary 1, secondary 0x22 */
    cfg_set(node, 2, 8, 0x166, 2);
    CHECK_EQ(fab_node_fault(node, 2, FAB_FAULT_NONFATAL, 8, 20), 0);
    expect(node, 2, 8, 0x0103, 0x85, 16);                   /* the module may not report it */
    function_write(node, PDFID(5, 0), PCIE + 8, 2, 0x2932); /* non-fatal reporting on */
    CHECK_EQ(fab_node_fault(node, 2, FAB_FAULT_NONFATAL, 8, 20), 0);
    expect(node, 2, 8, 0x0105, 0, 0);
    CHECK_EQ(cfg(node, 2, 8, 0x168, 4), 0x2200000Bu); /* reason 1: message; source 22:00.0 */
    CHECK_EQ(cfg(node, 2, 8, 0x1E, 2) >> 14 & 1, 1);  /* received system error */
    CHECK_EQ(fab_node_fault(node, 2, FAB_FAULT_NONFATAL, 8, 20), -ENOLINK);
    fab_node_close(node);
}

int main(void) {
    a_module_that_is_pulled_takes_its_functions_along();
    the_slot_switches_its_module_on_and_off();
    dpc_contains_a_fatal_error_until_its_status_is_cleared();
    dpc_names_the_function_whose_message_triggered_it();
    return CHECK_RESULT;
}
