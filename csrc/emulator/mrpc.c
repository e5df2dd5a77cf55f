/* The firmware's mailbox: a written command runs before the write returns. */
#include <string.h>

#include "node.h"

enum { MRPC_ERR_UNREACHABLE = (int)0xFFFF0001, MRPC_STACK_BIF = 0x0B };

void bytes_put(uint8_t *out, unsigned bytes, uint64_t value) {
    for (unsigned k = 0; k < bytes; k++) out[k] = (uint8_t)(value >> (8 * k));
}

uint64_t bytes_get(const uint8_t *in, unsigned bytes) {
    uint64_t value = 0;
    for (unsigned k = 0; k < bytes; k++) value |= (uint64_t)in[k] << (8 * k);
    return value;
}

static uint32_t ping(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    /* main firmware, revision B, generation counted from the fourth */
    bytes_put(out, 4, 3 | 0u << 8 | (sw->generation - 4u) << 12);
    bytes_put(out + 4, 4, ~bytes_get(in, 4));
    return 0;
}

static uint32_t echo(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    (void)sw;
    bytes_put(out, 4, ~bytes_get(in, 4));
    return 0;
}

static uint32_t pax_id(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    (void)in;
    out[0] = (uint8_t)sw->index;
    return 0;
}

/* Four sensors in 0.01 degrees: a warm idle chip, and each active lane adds its share. */
static uint32_t temperature(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    if (in[0] != (sw->generation == 4 ? 2 : 4)) return MRPC_ERR_SUBCOMMAND;
    uint32_t lanes = 0;
    for (uint32_t k = 0; k < sw->port_count; k++)
        if (sw->by_pff[k]->up) lanes += sw->by_pff[k]->cfg.lanes;
    for (unsigned k = 0; k < 4; k++) bytes_put(out + 4 * k, 4, 4000 + 20 * lanes + 25 * k);
    return 0;
}

struct mrpc_entry {
    uint16_t id;
    uint16_t answer; /* bytes that it may fill, a multiple of 4 */
    uint8_t fabric;  /* answered by a PAX only */
    mrpc_handler run;
};
static const struct mrpc_entry commands[] = {
    {MRPC_FUNCTION_ACCESS, 4, 1, mrpc_function_access},
    {MRPC_PING, 8, 0, ping},
    {MRPC_ECHO, 4, 0, echo},
    {MRPC_PAX_ID, 4, 1, pax_id},
    {MRPC_TEMPERATURE, 16, 0, temperature},
    {MRPC_LINK_STATUS, 720, 0, mrpc_link_status},
    {MRPC_PORT_COUNTERS, 896, 0, mrpc_counters},
    {MRPC_STACK_BIF, 8, 0, mrpc_bifurcation},
    {MRPC_TOPOLOGY, 1004, 1, mrpc_topology},
    {MRPC_GFMS_DUMP, 88, 1, mrpc_gfms_dump},
    {MRPC_GFMS_BIND, 4, 1, mrpc_gfms_bind},
    {MRPC_PORT_CONFIG, 4, 1, mrpc_port_config},
    {MRPC_PORT_CONTROL, 0, 1, mrpc_port_control},
};

/* The switch that a command is meant for: PAX bits count on a PAX only. */
static struct node_switch *target(struct node_switch *sw, uint32_t word) {
    uint32_t pax = word >> MRPC_PAX_SHIFT & MRPC_PAX_MASK;
    if (!sw->pax || pax == MRPC_PAX_LOCAL) return sw;
    if (pax >= sw->node->config.switches) return NULL;
    struct node_switch *other = &sw->node->switches[pax];
    return other->gone || !other->pax ? NULL : other;
}

static const struct mrpc_entry *find(const struct node_switch *to, uint32_t word) {
    for (size_t k = 0; k < sizeof commands / sizeof *commands; k++)
        if (commands[k].id == (word & 0xFFFF))
            return to->pax || !commands[k].fabric ? &commands[k] : NULL;
    return NULL;
}

/* Runs the command; *answered = bytes of `out` that count, the rest of which is not written. */
static uint32_t run(struct node_switch *sw, uint32_t word, uint8_t *out, uint32_t *answered) {
    struct node_switch *to = target(sw, word);
    *answered = 0;
    if (!to) return (uint32_t)MRPC_ERR_UNREACHABLE;
    const struct mrpc_entry *entry = find(to, word);
    if (!entry) return MRPC_ERR_COMMAND;
    memset(out, 0, entry->answer);
    uint32_t code = entry->run(to, sw->image + GAS_MRPC_IN, out);
    *answered = code ? 0 : entry->answer;
    return code;
}

void mrpc_run(struct node_switch *sw, uint32_t word) {
    uint32_t out[GAS_MRPC_BYTES / 4], answered;
    gas_put(sw, GAS_MRPC_CMD, 4, word);
    gas_put(sw, GAS_MRPC_STATUS, 4, MRPC_IN_PROGRESS);
    if (sw->stuck) {
        sw->stuck--;
        return;
    }
    uint32_t code = run(sw, word, (uint8_t *)out, &answered);
    for (uint32_t k = 0; k < answered; k += 4) gas_put(sw, GAS_MRPC_OUT + k, 4, out[k / 4]);
    for (uint32_t k = answered; k < sw->answered; k += 4) /* nothing of the last answer stays */
        gas_put(sw, GAS_MRPC_OUT + k, 4, 0);
    sw->answered = answered;
    gas_put(sw, GAS_MRPC_RETURN, 4, code);
    fab_fence_release(); /* whoever sees the status sees the answer */
    gas_put(sw, GAS_MRPC_STATUS, 4, MRPC_DONE);
    event_partition(sw, EVENT_MRPC_DONE);
}
