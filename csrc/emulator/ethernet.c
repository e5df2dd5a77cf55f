/* The management protocol: packets checked, requests answered from the register file. */
#include "ethernet.h"

#include <string.h>

/* Header: signature (4, big-endian), version, reserved, function, type, instance, service, body
 * bytes (2, big-endian), answer bytes or return code (2, big-endian), reserved (2). Clients leave
 * reserved bytes, and instance and service of commands, uninitialised: they are not looked at. */
enum {
    SIGNATURE = 0x6D6C7373, /* "mlss" */
    VERSION = 1,
    TYPE_OPEN = 0xB1,
    TYPE_COMMAND = 0xB2
};
enum { OPEN_REQUEST = 1, OPEN_ACCEPT = 2, OPEN_REJECT = 3, OPEN_CLOSE = 4 };
enum { MRPC_REQUEST = 1, GAS_REQUEST = 2, MRPC_REPLY = 3, EVENT_PUSH = 4, GAS_REPLY = 5 };
/* Body of a GAS request: command, offset, count (u16), unused (u16), data; little-endian. */
enum { GAS_READ = 0x1001, GAS_WRITE = 0x1002, GAS_HEAD = 12 };
/* modelled: why an open was rejected; the client looks for 0 only */
enum { REJECT_INSTANCE = 1, REJECT_SERVICE = 2, REJECT_GONE = 3 };

static void big_put(uint8_t *out, unsigned bytes, uint32_t value) {
    for (unsigned k = 0; k < bytes; k++) out[k] = (uint8_t)(value >> (8 * (bytes - 1 - k)));
}

static uint32_t big_get(const uint8_t *in, unsigned bytes) {
    uint32_t value = 0;
    for (unsigned k = 0; k < bytes; k++) value = value << 8 | in[k];
    return value;
}

/* Appends a packet with a body of zeros; there is room. */
static uint8_t *packet_put(struct ethernet_session *s, unsigned type, unsigned function,
                           size_t body) {
    uint8_t *h = s->out + s->out_bytes;
    memset(h, 0, ETHERNET_HEADER + body);
    big_put(h, 4, SIGNATURE);
    h[4] = VERSION;
    h[6] = (uint8_t)function;
    h[7] = (uint8_t)type;
    big_put(h + 10, 2, (uint32_t)body);
    s->out_bytes = (uint16_t)(s->out_bytes + ETHERNET_HEADER + body);
    return h;
}

/* Ends the session. A client that waits for an answer understands the close packet; without it,
 * it would take whatever its buffer holds for one. */
static void end(struct ethernet_session *s, unsigned why) {
    if (s->end) return;
    if (s->channel != CHANNEL_NONE && ETHERNET_OUT - s->out_bytes >= ETHERNET_HEADER)
        packet_put(s, TYPE_OPEN, OPEN_CLOSE, 0);
    s->end = (uint8_t)why;
}

static int vanished(struct node_switch *sw) {
    pthread_mutex_lock(&sw->node->lock);
    int gone = sw->gone;
    pthread_mutex_unlock(&sw->node->lock);
    return gone;
}

/* ---- opening ---- */

static void open_channel(struct ethernet_session *s, const uint8_t *h) {
    unsigned why = 0;
    if (h[6] != OPEN_REQUEST || s->channel != CHANNEL_NONE) {
        end(s, h[6] == OPEN_CLOSE ? ETHERNET_LEFT : ETHERNET_MALFORMED);
        return;
    }
    if (vanished(s->sw)) why = REJECT_GONE;
    if (h[9] != CHANNEL_COMMAND && h[9] != CHANNEL_EVENT) why = REJECT_SERVICE;
    if (h[8] != 0) why = REJECT_INSTANCE;
    uint8_t *answer = packet_put(s, TYPE_OPEN, why ? OPEN_REJECT : OPEN_ACCEPT, 0);
    answer[8] = h[8];
    answer[9] = h[9];
    big_put(answer + 12, 2, why);
    if (why)
        end(s, ETHERNET_REFUSED);
    else
        s->channel = h[9];
}

/* ---- requests; the node is locked ---- */

static void answer_mrpc(struct ethernet_session *s, const uint8_t *body, size_t bytes,
                        size_t wanted) {
    uint32_t in[GAS_MRPC_BYTES / 4] = {0}, out[GAS_MRPC_BYTES / 4] = {0}, answered;
    if (s->sw->stuck) { /* it never completes: the client waits, the connection goes on */
        s->sw->stuck--;
        return;
    }
    memcpy(in, body + 4, bytes - 4);
    uint32_t word = (uint32_t)bytes_get(body, 4), code = MRPC_INTERRUPTED;
    if (s->sw->interrupted) { /* it has not run; modelled: the mailbox's status as return code */
        s->sw->interrupted--;
        answered = 0;
    } else {
        code = mrpc_answer(s->sw, word, (uint8_t *)in, (uint8_t *)out, &answered);
    }
    uint8_t *reply = packet_put(s, TYPE_COMMAND, MRPC_REPLY, 4 + wanted) + ETHERNET_HEADER;
    bytes_put(reply, 4, code);
    /* as many bytes as were asked for, whatever came of the command */
    memcpy(reply + 4, out, answered < wanted ? answered : wanted);
}

static void answer_gas(struct ethernet_session *s, const uint8_t *body, size_t bytes) {
    uint32_t id = (uint32_t)bytes_get(body, 4), off = (uint32_t)bytes_get(body + 4, 4);
    size_t n = (size_t)bytes_get(body + 8, 2);
    if (id == GAS_WRITE && bytes == GAS_HEAD + n) {
        int rc = gas_write_block(s->sw, off, body + GAS_HEAD, n);
        uint8_t *reply = packet_put(s, TYPE_COMMAND, GAS_REPLY, 4) + ETHERNET_HEADER;
        bytes_put(reply, 4, rc ? MRPC_ERR_PARAMETER : 0);
    } else if (id == GAS_READ && bytes == GAS_HEAD && n <= GAS_MRPC_BYTES) {
        uint8_t *reply = packet_put(s, TYPE_COMMAND, GAS_REPLY, 4 + n) + ETHERNET_HEADER;
        if (gas_read(s->sw, off, reply + 4, n)) { /* nobody answers there: all ones */
            bytes_put(reply, 4, MRPC_ERR_PARAMETER);
            memset(reply + 4, 0xFF, n);
        }
    } else {
        end(s, ETHERNET_MALFORMED);
    }
}

static void answer(struct ethernet_session *s, const uint8_t *h, size_t bytes) {
    struct node_switch *sw = s->sw;
    const uint8_t *body = h + ETHERNET_HEADER;
    pthread_mutex_lock(&sw->node->lock);
    if (sw->gone) {
        end(s, ETHERNET_LEFT);
    } else {
        if (h[6] == MRPC_REQUEST)
            answer_mrpc(s, body, bytes, big_get(h + 12, 2));
        else
            answer_gas(s, body, bytes);
        s->commands += !s->end;
        node_deliver(sw->node);
    }
    pthread_mutex_unlock(&sw->node->lock);
}

/* ---- bytes ---- */

/* Longer ones are refused before their body has come: a reply of more than 1024 bytes would not
 * fit the client's buffer, a request of more not the mailbox. */
static int acceptable(const uint8_t *h) {
    uint32_t bytes = big_get(h + 10, 2);
    switch (h[6]) {
        case MRPC_REQUEST:
            return bytes >= 4 && bytes <= 4 + GAS_MRPC_BYTES &&
                   big_get(h + 12, 2) <= GAS_MRPC_BYTES;
        case GAS_REQUEST:
            return bytes >= GAS_HEAD && bytes <= GAS_HEAD + GAS_MRPC_BYTES;
        default:
            return 0;
    }
}

/* Takes the packet at `h` if all of it is there; returns its bytes, else 0. */
static size_t packet_take(struct ethernet_session *s, const uint8_t *h, size_t have) {
    if (have < ETHERNET_HEADER) return 0;
    int ours = big_get(h, 4) == SIGNATURE && h[4] == VERSION;
    if (ours && h[7] == TYPE_OPEN) {
        open_channel(s, h); /* never a body: its length is garbage */
        return ETHERNET_HEADER;
    }
    if (!ours || h[7] != TYPE_COMMAND || s->channel != CHANNEL_COMMAND || !acceptable(h)) {
        end(s, ETHERNET_MALFORMED);
        return 0;
    }
    size_t body = big_get(h + 10, 2);
    if (have < ETHERNET_HEADER + body) return 0;
    answer(s, h, body);
    return ETHERNET_HEADER + body;
}

static void serve(struct ethernet_session *s) {
    size_t at = 0;
    while (!s->end && ETHERNET_OUT - s->out_bytes >= ETHERNET_ANSWER) {
        size_t taken = packet_take(s, s->in + at, s->in_bytes - at);
        if (!taken) break;
        at += taken;
    }
    s->in_bytes = s->end ? 0 : (uint16_t)(s->in_bytes - at);
    memmove(s->in, s->in + at, s->in_bytes);
}

void ethernet_begin(struct ethernet_session *s, struct node_switch *sw) {
    memset(s, 0, offsetof(struct ethernet_session, in));
    s->sw = sw;
}

size_t ethernet_room(const struct ethernet_session *s) {
    return s->end ? 0 : (size_t)ETHERNET_IN - s->in_bytes;
}

void ethernet_feed(struct ethernet_session *s, const void *data, size_t bytes) {
    memcpy(s->in + s->in_bytes, data, bytes);
    s->in_bytes = (uint16_t)(s->in_bytes + bytes);
    serve(s);
}

void ethernet_finish(struct ethernet_session *s) {
    if (!s->end) s->end = s->in_bytes ? ETHERNET_MALFORMED : ETHERNET_LEFT;
}

static void push_event(struct ethernet_session *s) {
    if (!s->event_due || s->out_bytes || s->end) return;
    packet_put(s, TYPE_COMMAND, EVENT_PUSH, 0);
    s->event_due = 0;
    s->events++;
}

void ethernet_sent(struct ethernet_session *s, size_t bytes) {
    s->out_bytes = (uint16_t)(s->out_bytes - bytes);
    memmove(s->out, s->out + bytes, s->out_bytes);
    serve(s);
    push_event(s);
}

void ethernet_event(struct ethernet_session *s) {
    if (s->channel != CHANNEL_EVENT) return;
    s->event_due = 1;
    push_event(s);
}

void ethernet_gone(struct ethernet_session *s) {
    if (s->channel != CHANNEL_NONE) end(s, ETHERNET_LEFT); /* else its request is rejected */
}
