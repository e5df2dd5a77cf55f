/* The client's side of the request queue: a slot, a request, a wait. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>

#include "observe/file.h"
#include "observe/process.h"
#include "observe/request.h"

enum {
    PATIENCE_NS = 50 * 1000000, /* between looks at whether the server lives */
    FULL_NS = 200 * 1000        /* between looks for a free slot */
};

static uint64_t sooner(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* 1: this process holds the slot now. `seen` holds it, or nobody does (0). */
static int hold(const struct fab_request_queue *q, struct fab_request_slot *slot, uint64_t seen) {
    return fab_cas(&slot->client, &seen, q->self);
}

/* A free slot, or one whose client died before it submitted or before it read its reply. What a
 * dead client has submitted is the server's until it is answered. -EAGAIN: none. */
static int64_t find_slot(const struct fab_request_queue *q) {
    size_t start = (size_t)(q->self >> 32) % q->n; /* clients begin in different places */
    for (size_t k = 0; k < q->n; k++) {
        size_t i = (start + k) % q->n;
        struct fab_request_slot *slot = request_slot(q, i);
        if (fab_load_relaxed(&slot->client) == 0 && hold(q, slot, 0)) return (int64_t)i;
    }
    for (size_t i = 0; i < q->n; i++) {
        struct fab_request_slot *slot = request_slot(q, i);
        uint64_t client = fab_load_acquire(&slot->client);
        if (!client || fab_process_word_alive(client)) continue;
        /* The state after the death: before it, the client may have submitted yet. */
        uint32_t state = STATE(fab_load_acquire(&slot->state));
        if (state != FAB_REQUEST_IDLE && state != FAB_REQUEST_DONE) continue;
        if (hold(q, slot, client)) return (int64_t)i;
    }
    return -EAGAIN;
}

static int64_t get_slot(const struct fab_request_queue *q, uint64_t deadline) {
    for (;;) {
        int64_t i = find_slot(q);
        if (i >= 0) return i;
        uint64_t now = now_ns(CLOCK_MONOTONIC);
        if (now >= deadline) return -ETIMEDOUT;
        if (!owner_alive(&q->header->server)) return -EOWNERDEAD;
        struct timespec t = {0, FULL_NS};
        nanosleep(&t, NULL);
    }
}

static void let_go(struct fab_request_slot *slot, uint32_t state) {
    fab_store_release(&slot->state, NEXT_USE(state));
    fab_store_release(&slot->client, UINT64_C(0));
}

/* Returns the slot's state word as submitted. */
static uint32_t submit(struct fab_request_queue *q, size_t i, const void *request, size_t bytes) {
    struct fab_request_slot *slot = request_slot(q, i);
    uint32_t state = WITH_STATE(NEXT_USE(fab_load_acquire(&slot->state)), FAB_REQUEST_SUBMITTED);
    memcpy(request_data(q, i), request, bytes);
    slot->request_bytes = bytes;
    fab_store_relaxed(&slot->waiting, 0u);
    fab_store_release(&slot->state, state);
    fab_fetch_or(&q->header->submitted[i / 64], UINT64_C(1) << i % 64);
    fab_fence_full(); /* the bit before sleeping; the server does the two the other way */
    if (fab_load_relaxed(&q->header->sleeping)) {
        fab_store_relaxed(&q->header->sleeping, 0u);
        request_wake(&q->header->sleeping);
    }
    return state;
}

/* Gives the request up. 0, or 1 if the reply has come after all. */
static int give_up(struct fab_request_slot *slot, uint32_t submitted) {
    uint32_t state = submitted;
    if (fab_cas(&slot->state, &state, NEXT_USE(state))) { /* not begun: it never will be */
        fab_store_release(&slot->client, UINT64_C(0));
        return 0;
    }
    if (STATE(state) == FAB_REQUEST_SERVING &&
        fab_cas(&slot->state, &state, WITH_STATE(state, FAB_REQUEST_LEFT)))
        return 0; /* the server gives the slot back */
    return 1;
}

static int done(const struct fab_request_slot *slot) {
    return STATE(fab_load_acquire(&slot->state)) == FAB_REQUEST_DONE;
}

/* 0: the reply is there; else -errno, and the request is given up. */
static int wait_done(struct fab_request_queue *q, struct fab_request_slot *slot, uint32_t submitted,
                     uint64_t deadline) {
    uint64_t start = 0;
    for (unsigned looks = 0; request_spin(looks, &start); looks++)
        if (done(slot)) return 0;
    int rc = 0;
    while (!rc) {
        fab_store_relaxed(&slot->waiting, 1u);
        fab_fence_full(); /* waiting before state; the server does the two the other way */
        uint32_t state = fab_load_acquire(&slot->state);
        if (STATE(state) == FAB_REQUEST_DONE) return 0;
        uint64_t now = now_ns(CLOCK_MONOTONIC);
        if (now >= deadline)
            rc = -ETIMEDOUT;
        else if (!owner_alive(&q->header->server))
            rc = -EOWNERDEAD;
        else
            request_sleep(&slot->state, state, sooner(deadline, now + PATIENCE_NS));
        if (done(slot)) return 0;
    }
    return give_up(slot, submitted) ? 0 : rc;
}

int64_t fab_request_call(fab_request_queue *q, const void *request, size_t bytes, void *reply,
                         size_t max, uint64_t timeout_ns) {
    if (bytes > q->request_max) return -EMSGSIZE;
    /* Whether a server that has signed on still lives is asked only when it does not answer. */
    if (!fab_load_acquire(&q->header->server.pid)) return -EOWNERDEAD;
    uint64_t now = now_ns(CLOCK_MONOTONIC),
             deadline = timeout_ns > UINT64_MAX - now ? UINT64_MAX : now + timeout_ns;
    int64_t i = get_slot(q, deadline);
    if (i < 0) return i;
    struct fab_request_slot *slot = request_slot(q, (size_t)i);
    uint32_t submitted = submit(q, (size_t)i, request, bytes);
    int rc = wait_done(q, slot, submitted, deadline);
    if (rc < 0) return rc;
    int64_t status = slot->status;
    if (status > (int64_t)q->reply_max) status = -EBADMSG; /* the server's build is not ours */
    if (status > 0)
        memcpy(reply, reply_data(q, (size_t)i), (size_t)status < max ? (size_t)status : max);
    let_go(slot, fab_load_relaxed(&slot->state));
    return status;
}
