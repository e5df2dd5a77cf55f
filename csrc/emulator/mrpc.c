/* Firmware commands: which switch answers one, and the mailbox, whose command has run before the
 * write of its doorbell returns. */
#include <string.h>

#include "node.h"

enum { MRPC_ERR_UNREACHABLE = (int)0xFFFF0001 };
/* The buffer of a command that completes by DMA: status, command, return code, bytes, then data. */
enum { DMA_STATUS = 0, DMA_COMMAND = 4, DMA_RETURN = 8, DMA_BYTES = 12, DMA_DATA = 16 };

static uint32_t ping(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    /* boot phase, revision B, generation counted from the fourth */
    bytes_put(out, 4, sw->firmware.phase | 0u << 8 | (sw->generation - 4u) << 12);
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

static const struct mrpc_entry core_commands[] = {
    {MRPC_PING, 8, FAMILIES_ALL, GENS_ALL, ping},
    {MRPC_ECHO, 4, FAMILIES_ALL, GENS_ALL, echo},
    {MRPC_PAX_ID, 4, FAMILY_BIT(FAMILY_PAX), GENS_ALL, pax_id},
    {0},
};
static const struct mrpc_entry *const domains[] = {
    core_commands,          mrpc_status_commands, mrpc_counter_commands,
    mrpc_fabric_commands,   mrpc_remote_commands, mrpc_reset_commands,
    mrpc_firmware_commands, mrpc_flash_commands,  mrpc_manufacture_commands,
};

/* The switch that a command is meant for: PAX bits count on a PAX only. */
static struct node_switch *target(struct node_switch *sw, uint32_t word) {
    uint32_t pax = word >> MRPC_PAX_SHIFT & MRPC_PAX_MASK;
    if (sw->family != FAMILY_PAX || pax == MRPC_PAX_LOCAL) return sw;
    if (!fabric_reaches(sw, pax)) return NULL;
    struct node_switch *other = &sw->node->switches[pax];
    return other->family == FAMILY_PAX ? other : NULL;
}

static const struct mrpc_entry *find(const struct node_switch *to, uint32_t word) {
    for (size_t d = 0; d < sizeof domains / sizeof *domains; d++)
        for (const struct mrpc_entry *entry = domains[d]; entry->run; entry++)
            if (entry->id == (word & 0xFFFF) && entry->families & FAMILY_BIT(to->family) &&
                entry->generations & GEN_BIT(to->generation))
                return entry;
    return NULL;
}

uint32_t mrpc_answer(struct node_switch *sw, uint32_t word, const uint8_t *in, uint8_t *out,
                     uint32_t *answered) {
    struct node_switch *to = target(sw, word);
    *answered = 0;
    if (!to) return (uint32_t)MRPC_ERR_UNREACHABLE;
    const struct mrpc_entry *entry = find(to, word);
    if (!entry) return MRPC_ERR_COMMAND;
    if (!firmware_answers(to, entry->id)) return MRPC_ERR_STATE;
    memset(out, 0, entry->answer);
    uint32_t code = entry->run(to, in, out);
    *answered = code ? 0 : entry->answer;
    return code;
}

/* Puts the answer where a guest wants it: the data before the status that says it is there. */
static int complete_by_dma(struct node_switch *sw, uint32_t word, uint32_t status, uint32_t code,
                           const void *out) {
    uint8_t buffer[DMA_DATA + GAS_MRPC_BYTES];
    if (!sw->dma.write || !(gas_get(sw, GAS_MRPC_DMA_EN) & 1)) return 0;
    uint64_t at = gas_get(sw, GAS_MRPC_DMA_ADDR);
    at |= (uint64_t)gas_get(sw, GAS_MRPC_DMA_ADDR + 4) << 32;
    bytes_put(buffer + DMA_STATUS, 4, status);
    bytes_put(buffer + DMA_COMMAND, 4, word & 0xFFFF);
    bytes_put(buffer + DMA_RETURN, 4, code);
    bytes_put(buffer + DMA_BYTES, 4, GAS_MRPC_BYTES);
    memcpy(buffer + DMA_DATA, out, GAS_MRPC_BYTES);
    if (sw->dma.write(sw->dma.context, at + DMA_COMMAND, buffer + DMA_COMMAND,
                      sizeof buffer - DMA_COMMAND))
        return 0;
    fab_fence_release();
    return sw->dma.write(sw->dma.context, at, buffer, 4) == 0;
}

/* The end of a command: the status before the event that says so, never while it is 1. */
static void complete(struct node_switch *sw, uint32_t word, uint32_t status, uint32_t code,
                     const void *out) {
    gas_put(sw, GAS_MRPC_RETURN, 4, code);
    fab_fence_release(); /* whoever sees the status sees the answer */
    gas_put(sw, GAS_MRPC_STATUS, 4, status);
    int by_dma = complete_by_dma(sw, word, status, code, out);
    int marked = event_mark_partition(sw, 0, PART_MRPC_COMP);
    if (marked == EVENT_LOST) return;
    if (by_dma)
        event_raise(sw, gas_get(sw, GAS_MRPC_DMA_VECTOR)); /* instead of the event's vector */
    else if (marked == EVENT_TELLS)
        event_raise(sw, VECTOR_EVENT);
}

/* What is answered stands in the output, and nothing of the answer before it. */
static void show(struct node_switch *sw, const uint32_t *out, uint32_t answered) {
    for (uint32_t k = 0; k < answered; k += 4) gas_put(sw, GAS_MRPC_OUT + k, 4, out[k / 4]);
    for (uint32_t k = answered; k < sw->answered; k += 4) gas_put(sw, GAS_MRPC_OUT + k, 4, 0);
    sw->answered = answered;
}

/* modelled: a doorbell that rings while a command is in progress starts the new command, and the
 * old one is never heard of again. */
void mrpc_run(struct node_switch *sw, uint32_t word) {
    uint32_t in[GAS_MRPC_BYTES / 4], out[GAS_MRPC_BYTES / 4] = {0}, answered = 0;
    event_deliver(sw); /* a completion is never told while the status is 1 again */
    gas_put(sw, GAS_MRPC_CMD, 4, word);
    gas_put(sw, GAS_MRPC_STATUS, 4, MRPC_IN_PROGRESS);
    if (sw->stuck) {
        sw->stuck--;
        return;
    }
    if (sw->interrupted) { /* it has not run */
        sw->interrupted--;
        show(sw, out, 0);
        complete(sw, word, MRPC_INTERRUPTED, 0, out);
        return;
    }
    /* a copy: whoever maps the image may write to it while the command is being checked */
    for (uint32_t k = 0; k < GAS_MRPC_BYTES; k += 4) in[k / 4] = gas_get(sw, GAS_MRPC_IN + k);
    if (firmware_for_this(word, (uint8_t *)in)) word |= MRPC_PAX_LOCAL << MRPC_PAX_SHIFT;
    uint32_t code = mrpc_answer(sw, word, (uint8_t *)in, (uint8_t *)out, &answered);
    show(sw, out, answered);
    complete(sw, word, MRPC_DONE, code, out);
}
