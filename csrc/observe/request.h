/* Between request.c (the file, slots) and its two sides, request_client.c and request_server.c. */
#ifndef FAB_OBSERVE_REQUEST_H
#define FAB_OBSERVE_REQUEST_H

#include <sched.h>
#include <time.h>

#include "fab_atomic.h"
#include "fab_request.h"
#include "now.h"

#define STATE_BITS 8 /* FAB_REQUEST_* below, the count of uses above */
#define STATE(word) ((word) & 255u)
#define WITH_STATE(word, state) (((word) & ~255u) | (state))
#define NEXT_USE(word) (((word) & ~255u) + 256u) /* and IDLE */

struct fab_request_queue {
    struct fab_request_header *header;
    char *slots;
    size_t stride, n, request_max, reply_max, request_room;
    uint64_t self; /* this process (fab_process_word) */
    uint64_t pid;  /* the server's; 0: a client */
    size_t map_bytes;
    /* server */
    uint64_t found[FAB_REQUEST_SLOTS / 64]; /* bits taken from `submitted`, not yet looked at */
    size_t next;                            /* slot to look at first: goes round */
    uint64_t swept_ns;                      /* last look at every slot */
    uint64_t busy_ns;                       /* last request taken */
};

static inline struct fab_request_slot *request_slot(const struct fab_request_queue *q, size_t i) {
    return (struct fab_request_slot *)(void *)(q->slots + i * q->stride);
}
static inline char *request_data(const struct fab_request_queue *q, size_t i) {
    return q->slots + i * q->stride + sizeof(struct fab_request_slot);
}
static inline char *reply_data(const struct fab_request_queue *q, size_t i) {
    return request_data(q, i) + q->request_room;
}

/* Server: a slot that its client has left is free again. It names the server meanwhile: were that
 * killed between the last two stores, the slot would stay a client's that knows nothing of it. */
static inline void request_give_back(const struct fab_request_queue *q,
                                     struct fab_request_slot *slot, uint32_t state) {
    fab_store_release(&slot->client, q->self);
    fab_store_release(&slot->state, NEXT_USE(state));
    fab_store_release(&slot->client, UINT64_C(0));
}

/* Spinning for some microseconds before a sleep: 0 when the time is over. `looks` counts from 0.
 * The other side may want this very core, where the wake-up has put it: every microsecond or so it
 * gets it. A hypervisor takes a tight loop of pauses for a lock that hangs and gives the core away,
 * so between two of them are many looks. */
#define SPIN_NS (50 * 1000)
#define LOOKS_PER_YIELD 512
static inline int request_spin(unsigned looks, uint64_t *start_ns) {
    if (looks % LOOKS_PER_YIELD != LOOKS_PER_YIELD - 1) return 1;
    uint64_t now = now_ns(CLOCK_MONOTONIC);
    if (looks < LOOKS_PER_YIELD) *start_ns = now;
    sched_yield();
    return now - *start_ns < SPIN_NS;
}

/* Sleeps while *word == value, at most until the deadline. */
void request_sleep(uint32_t *word, uint32_t value, uint64_t deadline_ns);
void request_wake(uint32_t *word);

#endif
