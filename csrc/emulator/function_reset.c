/* Resets of module functions: what each kind forgets. */
#include <string.h>

#include "node.h"

static void forget(struct fab_node *node, struct node_module *m, unsigned function,
                   enum reset how) {
    struct space s = function_space(m, function);
    uint32_t kept[FUNCTION_SPACE_WORDS];
    memcpy(kept, s.words, sizeof kept);
    memset(s.words, 0, sizeof kept);
    function_space_build(node, m, function);
    if (how != RESET_COLD) space_restore(&s, kept, FUNCTION_SPACE_WORDS);
}

void function_spaces_reset(struct node_port *port, enum reset how) {
    struct fab_node *node = port->sw->node;
    unsigned module = port->cfg.index;
    struct node_module *m = &node->modules[module];
    for (unsigned f = 0; f <= m->cfg.vfs; f++) forget(node, m, f, how);
    function_space_link(port);
    wiring_module(node, module);
}

/* The link goes on through the reset of a function, so what rules it stays: MaxPayloadSize, the
 * link's control, MFVC, the physical layer (base specification 6.6.2). */
static void level_reset(struct fab_node *node, struct node_module *m, unsigned function) {
    struct space s = function_space(m, function);
    uint32_t payload = space_get(&s, FUNCTION_PCIE + PCIE_DEVCTL, 2) & 0x00E0;
    uint32_t link = space_get(&s, FUNCTION_PCIE + PCIE_LINK_CONTROL, 2);
    uint32_t table[64] = {0}, control = 0;
    struct vc vc = m->vc;
    if (function == 0 && vc.cap) {
        control = space_get(&s, vc.cap + VC0_CONTROL, 4);
        memcpy(table, &s.words[vc.table / 4], vc.phases * vc.entry_bits / 8u);
    }
    forget(node, m, function, RESET_FUNCTION);
    uint32_t rest = space_get(&s, FUNCTION_PCIE + PCIE_DEVCTL, 2) & ~UINT32_C(0x00E0);
    space_put(&s, FUNCTION_PCIE + PCIE_DEVCTL, 2, rest | payload);
    space_put(&s, FUNCTION_PCIE + PCIE_LINK_CONTROL, 2, link);
    if (function != 0) return;
    function_space_link(m->port);
    if (!vc.cap) return;
    m->vc = vc;
    space_put(&s, vc.cap + VC0_CONTROL, 4, control);
    memcpy(&s.words[vc.table / 4], table, vc.phases * vc.entry_bits / 8u);
}

/* One of the PF takes its VFs along. */
void function_level_reset(struct fab_node *node, unsigned module, unsigned function) {
    struct node_module *m = &node->modules[module];
    unsigned last = function ? function : m->cfg.vfs;
    for (unsigned f = function; f <= last; f++) level_reset(node, m, f);
    wiring_module(node, module);
}
