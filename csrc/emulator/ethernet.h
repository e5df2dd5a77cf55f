/* The vendor's management protocol over TCP as a session: bytes in, answers out, no sockets.
 *
 * Every packet is a header of 16 bytes and a body; what each field holds stands at the enums of
 * ethernet.c. A session is one connection: its first packet opens it as command channel (requests
 * and their answers, in order) or as event channel (the switch's interrupts, nothing else). What
 * the protocol does not allow ends the session, never the node.
 *
 * One thread at a time per session. Calls lock the node; the caller must not hold its lock.
 */
#ifndef FAB_EMULATOR_ETHERNET_H
#define FAB_EMULATOR_ETHERNET_H

#include "node.h"

enum {
    ETHERNET_HEADER = 16,
    ETHERNET_ANSWER = ETHERNET_HEADER + 4 + GAS_MRPC_BYTES, /* the longest */
    ETHERNET_IN = 2048,                                     /* holds the longest request: 1052 */
    ETHERNET_OUT = 2 * ETHERNET_ANSWER
};
enum { CHANNEL_NONE = 0, CHANNEL_COMMAND = 1, CHANNEL_EVENT = 2 }; /* as service_type says */
enum { ETHERNET_ALIVE = 0, ETHERNET_LEFT, ETHERNET_REFUSED, ETHERNET_MALFORMED };

struct ethernet_session {
    struct node_switch *sw;
    uint8_t channel;    /* CHANNEL_* */
    uint8_t end;        /* why nothing more is taken; what is in `out` may still be sent */
    uint8_t event_due;  /* however many events there were: the client looks at the registers */
    uint16_t in_bytes;  /* the start of a packet, or packets whose answers have no room yet */
    uint16_t out_bytes; /* to be sent, from the front of `out` */
    uint64_t commands, events; /* taken; headers put into `out` */
    uint8_t in[ETHERNET_IN], out[ETHERNET_OUT];
};

void ethernet_begin(struct ethernet_session *s, struct node_switch *sw);
/* How many bytes ethernet_feed takes now; 0 = only after something was sent. */
size_t ethernet_room(const struct ethernet_session *s);
void ethernet_feed(struct ethernet_session *s, const void *data, size_t bytes);
/* The client will send no more; a packet that it left unfinished was malformed. */
void ethernet_finish(struct ethernet_session *s);
/* The first `bytes` of `out` have gone. */
void ethernet_sent(struct ethernet_session *s, size_t bytes);
/* The switch has interrupted: tells an event channel, once for all that was not sent yet. */
void ethernet_event(struct ethernet_session *s);
/* The switch has vanished: the session ends. */
void ethernet_gone(struct ethernet_session *s);

#endif
