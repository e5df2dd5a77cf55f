/* A reset of the whole chip: it answers first, and then forgets everything that was written to it.
 *
 * modelled: mailbox with DMA address and enable, event headers with their enables, counters, config
 * spaces with arbitration tables, a topology dump under way; every link goes down and trains again.
 * That is what a reset does to hardware, so a driver that is not told has to be bound anew. What
 * stays is not this chip's: bindings are the fabric manager's, which knows them from its database.
 */
#include <string.h>

#include "node.h"

/* modelled: from the answer to the reset; whoever polls or is interrupted has read it by then */
#define GRACE_NS UINT64_C(20000000)

static void forget_mailbox(struct node_switch *sw) {
    for (uint32_t at = GAS_MRPC_IN; at < GAS_MRPC_DMA_VECTOR; at += 4) gas_put(sw, at, 4, 0);
    sw->answered = sw->stuck = sw->interrupted = 0;
}

static void forget_port(struct node_port *port) {
    uint32_t window = GAS_PFF + GAS_PFF_STRIDE * (uint32_t)port->pff;
    struct vc faults = {.stuck = port->vc.stuck, .torn = port->vc.torn};
    for (uint32_t at = 0; at < PFF_CONFIG_BYTES; at += 4) gas_put(port->sw, window + at, 4, 0);
    memset(port->writable, 0, sizeof port->writable);
    memset(port->clearable, 0, sizeof port->clearable);
    port->vc = faults;
    port->space = (struct space){0};
    port_space_build(port);
    port->disabled = 0;
    link_train(port); /* presence; the port is still held */
    wiring_port_table(port);
    if (port->cfg.kind == FAB_PORT_MODULE) function_spaces_reset(port);
}

void switch_reset(struct node_switch *sw) {
    sw->reset_in_ns = 0;
    for (uint32_t k = 0; k < sw->port_count; k++) {
        sw->by_pff[k]->held = 1;
        link_refresh(sw->by_pff[k]);
    }
    forget_mailbox(sw);
    counters_reset(sw);
    event_build(sw);
    sw->topology_ready = 0;
    firmware_boot(sw);
    for (uint32_t k = 0; k < sw->port_count; k++) forget_port(sw->by_pff[k]);
    for (uint32_t k = 0; k < sw->port_count; k++) {
        sw->by_pff[k]->held = 0;
        link_refresh(sw->by_pff[k]);
    }
    event_global(sw, GLOBAL_SYS_RESET);
}

void reset_step(struct node_switch *sw, uint64_t ns) {
    if (!sw->reset_in_ns) return;
    if (sw->reset_in_ns <= ns)
        switch_reset(sw);
    else
        sw->reset_in_ns -= ns;
}

/* {u32 0} */
static uint32_t hard_reset(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    (void)out;
    if (bytes_get(in, 4)) return MRPC_ERR_SUBCOMMAND;
    if (!sw->reset_in_ns) sw->reset_in_ns = GRACE_NS;
    return 0;
}

const struct mrpc_entry mrpc_reset_commands[] = {
    {MRPC_RESET, 0, FAMILIES_ALL, GENS_ALL, hard_reset},
    {0},
};
