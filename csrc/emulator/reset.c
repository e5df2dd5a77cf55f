/* A reset of the whole chip: it answers first, and then forgets everything that was written to it.
 *
 * modelled: mailbox with DMA address and enable, event headers with their enables, counters, config
 * spaces with arbitration tables, a topology or database dump under way, the log of fabric events,
 * ports bound to other partitions than at start; every link goes down and trains again.
 * That is what a reset does to hardware, so a driver that is not told has to be bound anew. What
 * stays is not this chip's: bindings are the fabric manager's, which knows them from its database.
 */
#include "node.h"

/* modelled: from the answer to the reset; whoever polls or is interrupted has read it by then */
#define GRACE_NS UINT64_C(20000000)

static void forget_mailbox(struct node_switch *sw) {
    for (uint32_t at = GAS_MRPC_IN; at < GAS_MRPC_DMA_VECTOR; at += 4) gas_put(sw, at, 4, 0);
    sw->answered = sw->stuck = sw->interrupted = 0;
}

/* Held until all have forgotten: a link has two ends. */
static void hold(struct node_port *port) {
    if (port->ones_until_ns) fault_ones_end(port);
    port->link.held = 1;
    link_refresh(port);
}

void switch_reset(struct node_switch *sw) {
    sw->reset_at_ns = 0;
    for (uint32_t k = 0; k < sw->port_count; k++) hold(sw->by_pff[k]);
    forget_mailbox(sw);
    counters_reset(sw);
    event_build(sw);
    sw->topology_ready = 0;
    fabric_reset(sw);
    firmware_boot(sw);
    for (uint32_t k = 0; k < sw->port_count; k++) port_space_reset(sw->by_pff[k], RESET_COLD);
    event_global(sw, GLOBAL_SYS_RESET);
}

/* {u32 0} */
static uint32_t hard_reset(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    (void)out;
    if (bytes_get(in, 4)) return MRPC_ERR_SUBCOMMAND;
    if (!sw->reset_at_ns) {
        sw->reset_at_ns = sw->node->moved_ns + GRACE_NS;
        schedule_at(sw->node, sw->reset_at_ns);
    }
    return 0;
}

const struct mrpc_entry mrpc_reset_commands[] = {
    {MRPC_RESET, 0, FAMILIES_ALL, GENS_ALL, hard_reset},
    {0},
};
