/* Any bytes from a client of the management protocol, in any pieces, its answers taken in any
 * pieces: the session stays in its buffers, answers whole packets and never more than requests.
 * At least 50 executions a second. */
#include <stdlib.h>
#include <string.h>

#include "../c/default_node.h"
#include "ethernet.h"

enum { INPUTS_PER_NODE = 128 }; /* making one takes far longer than an input */
enum { RAW = 1, EVENTS = 2, SLOW = 4, OTHER_CHIP = 8, GONE = 16, STUCK = 32 };

static fab_node *node;
static unsigned inputs;

static void make_node(void) {
    static const uint32_t others[] = {0x5100, 0x5000, 0x4200, 0x6160};
    struct default_node spec;
    default_node_fill(&spec);
    for (unsigned k = 1; k < DEFAULT_SWITCHES; k++)
        spec.config.device_id[k] = others[(inputs / INPUTS_PER_NODE + k) % 4];
    if (node) fab_node_close(node);
    if (fab_node_create(&spec.config, spec.ports, NULL, &node)) abort();
}

/* What the client has received so far, cut into packets. */
struct received {
    size_t bytes, packets;
    uint8_t data[ETHERNET_ANSWER];
};

static void receive(struct received *r, const uint8_t *data, size_t n) {
    for (; n; n--) {
        r->data[r->bytes++] = *data++;
        if (r->bytes < ETHERNET_HEADER) continue;
        const uint8_t *h = r->data;
        size_t body = h[7] == 0xB2 ? (size_t)h[10] << 8 | h[11] : 0;
        if (memcmp(h, "mlss\1", 5) || (h[7] != 0xB1 && h[7] != 0xB2)) abort();
        if (body > ETHERNET_ANSWER - ETHERNET_HEADER) abort(); /* it would not fit the client */
        if (r->bytes < ETHERNET_HEADER + body) continue;
        r->bytes = 0;
        r->packets++;
    }
}

static void take(struct ethernet_session *s, struct received *r, size_t most) {
    size_t n = s->out_bytes < most ? s->out_bytes : most;
    if (s->out_bytes > ETHERNET_OUT || s->in_bytes > ETHERNET_IN) abort();
    receive(r, s->out, n);
    ethernet_sent(s, n);
}

static void drive(struct ethernet_session *s, const uint8_t *data, size_t size, unsigned flags,
                  size_t piece) {
    struct received r = {0};
    size_t most = flags & SLOW ? 7 : ETHERNET_OUT;
    while (size && !s->end) {
        size_t room = ethernet_room(s), n = piece < size ? piece : size;
        if (n > room) n = room;
        if (n) ethernet_feed(s, data, n);
        data += n;
        size -= n;
        if (flags & EVENTS) ethernet_event(s);
        take(s, &r, most);
        if (!n && !s->out_bytes && !s->end && !ethernet_room(s)) abort(); /* it would hang */
    }
    ethernet_finish(s);
    while (s->out_bytes) take(s, &r, ETHERNET_OUT);
    if (r.bytes) abort();                                 /* half a packet */
    if (r.packets > s->commands + s->events + 2) abort(); /* and the open's, and a close */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct ethernet_session s;
    if (size < 2) return 0;
    if (inputs++ % INPUTS_PER_NODE == 0) make_node();
    unsigned flags = data[0];
    struct node_switch *sw = &node->switches[flags & OTHER_CHIP ? 1 + data[1] % 3 : 0];
    if (flags & GONE) fab_node_fault(node, sw->index, FAB_FAULT_GONE, 0, 0);
    if (flags & STUCK) fab_node_fault(node, sw->index, FAB_FAULT_MRPC_STUCK, 0, 1);
    ethernet_begin(&s, sw);
    if (!(flags & RAW)) {
        uint8_t open[ETHERNET_HEADER] = {'m', 'l', 's', 's', 1, 0, 1, 0xB1, 0, 1};
        open[9] = flags & EVENTS ? CHANNEL_EVENT : CHANNEL_COMMAND;
        ethernet_feed(&s, open, sizeof open);
    }
    drive(&s, data + 2, size - 2, flags, 1 + data[1]);
    if (flags & GONE) fab_node_fault(node, sw->index, FAB_FAULT_BACK, 0, 0);
    if (flags & STUCK) fab_node_fault(node, sw->index, FAB_FAULT_MRPC_STUCK, 0, 0);
    if (inputs % 16 == 0) fab_node_advance(node, 0.002);
    return 0;
}
