/* Any firmware commands with any payloads, through the mailbox and as TCP hands them over, on any
 * chip: each is answered, within its buffers, and leaves a switch that still answers.
 * At least 10 executions a second. */
#include <stdlib.h>
#include <string.h>

#include "../c/default_node.h"
#include "fabcore.h"
#include "node.h"

enum { SWITCHES = 2, PORTS = 14, MAILBOX = 1, STEP = 2 };

/* Two switches of the default node: each other's neighbour is all that a command can reach. */
static fab_node *make(uint8_t chip) {
    static const uint32_t ids[] = {0x5200, 0x5100, 0x5000, 0x4200, 0x6160};
    struct default_node spec;
    fab_node *node = NULL;
    default_node_fill(&spec);
    spec.config.switches = SWITCHES;
    spec.config.ports = PORTS;
    for (unsigned k = 0; k < PORTS; k++)
        if (spec.ports[k].peer_switch >= SWITCHES)
            spec.ports[k].peer_switch = spec.ports[k].peer_port = 0xFF;
    for (unsigned k = 0; k < SWITCHES; k++) spec.config.device_id[k] = ids[chip % 5];
    if (fab_node_create(&spec.config, spec.ports, NULL, &node)) abort();
    return node;
}

static uint32_t read32(fab_bar *bar, uint32_t off) {
    uint32_t value;
    if (fab_bar_read32(bar, off, &value)) abort();
    return value;
}

static void by_mailbox(fab_node *node, uint32_t word, const uint8_t *payload, size_t bytes) {
    fab_bar *bar = fab_node_bar(node, 0);
    if (bytes && fab_bar_write_block(bar, 0, payload, bytes)) abort();
    if (fab_bar_write32(bar, GAS_MRPC_CMD, word)) abort();
    if (read32(bar, GAS_MRPC_STATUS) != MRPC_DONE) abort();
}

/* Buffers of their own, so that the address sanitizer knows where they end. */
static void by_packet(fab_node *node, uint32_t word, const uint8_t *payload, size_t bytes) {
    uint8_t *in = calloc(1, GAS_MRPC_BYTES), *out = malloc(GAS_MRPC_BYTES);
    uint32_t answered = UINT32_MAX;
    if (!in || !out) abort();
    memcpy(in, payload, bytes);
    pthread_mutex_lock(&node->lock);
    uint32_t code = mrpc_answer(&node->switches[0], word, in, out, &answered);
    node_deliver(node);
    pthread_mutex_unlock(&node->lock);
    if (answered > GAS_MRPC_BYTES || (code && answered)) abort();
    free(in);
    free(out);
}

static void still_answers(fab_node *node) {
    uint32_t in = 0x5AFE1234, pax = MRPC_PAX_LOCAL << MRPC_PAX_SHIFT;
    fab_bar *bar = fab_node_bar(node, 0);
    by_mailbox(node, pax | MRPC_PING, (const uint8_t *)&in, 4);
    if (read32(bar, GAS_MRPC_RETURN) || read32(bar, GAS_MRPC_OUT + 4) != ~in) abort();
}

/* chip, then {flags, u32 word, u16 bytes, payload}... */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    fab_node *node = make(data[0]);
    data++, size--;
    while (size >= 7) {
        uint8_t flags = data[0];
        uint32_t word = (uint32_t)bytes_get(data + 1, 4);
        size_t bytes = bytes_get(data + 5, 2);
        data += 7, size -= 7;
        if (bytes > size) bytes = size;
        if (bytes > GAS_MRPC_BYTES) bytes = GAS_MRPC_BYTES;
        if (flags & MAILBOX)
            by_mailbox(node, word, data, bytes);
        else
            by_packet(node, word, data, bytes);
        data += bytes, size -= bytes;
        if (flags & STEP && fab_node_advance(node, 0.03)) abort();
    }
    still_answers(node);
    fab_node_close(node);
    return 0;
}
