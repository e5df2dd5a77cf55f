/* The server's side of the request queue: waiting, taking, answering. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>

#include "observe/file.h"
#include "observe/request.h"

enum {
    LATELY_NS = 1000 * 1000,    /* since a request: the server spins before it sleeps */
    SWEEP_NS = 50 * 1000 * 1000 /* between looks at every slot: a client may die between its
                                   submission and its bit */
};

static int any_submitted(const struct fab_request_queue *q) {
    for (size_t k = 0; k < (q->n + 63) / 64; k++)
        if (q->found[k] | fab_load_acquire(&q->header->submitted[k])) return 1;
    return 0;
}

int fab_request_wait(fab_request_queue *q, uint64_t timeout_ns) {
    if (!q->pid) return -EPERM;
    if (any_submitted(q)) return 1;
    uint64_t now = now_ns(CLOCK_MONOTONIC);
    uint64_t deadline = timeout_ns > UINT64_MAX - now ? UINT64_MAX : now + timeout_ns;
    uint64_t start = 0;
    for (unsigned looks = 0; now - q->busy_ns < LATELY_NS && request_spin(looks, &start); looks++)
        if (any_submitted(q)) return 1;
    while (now < deadline) {
        fab_store_relaxed(&q->header->sleeping, 1u);
        fab_fence_full(); /* sleeping before the bits; clients do the two the other way */
        if (any_submitted(q)) break;
        uint64_t sweep = now + SWEEP_NS;
        request_sleep(&q->header->sleeping, 1u, deadline < sweep ? deadline : sweep);
        now = now_ns(CLOCK_MONOTONIC);
        if (now - q->swept_ns >= SWEEP_NS) break; /* take() looks at every slot */
    }
    fab_store_relaxed(&q->header->sleeping, 0u);
    return any_submitted(q) || now_ns(CLOCK_MONOTONIC) - q->swept_ns >= SWEEP_NS;
}

/* Slots that are submitted, whether their bits say so or not. */
static void sweep(struct fab_request_queue *q) {
    uint64_t now = now_ns(CLOCK_MONOTONIC);
    if (now - q->swept_ns < SWEEP_NS) return;
    q->swept_ns = now;
    for (size_t i = 0; i < q->n; i++)
        if (STATE(fab_load_acquire(&request_slot(q, i)->state)) == FAB_REQUEST_SUBMITTED)
            q->found[i / 64] |= UINT64_C(1) << i % 64;
}

/* The next slot that may be submitted, round after round, or -EAGAIN. */
static int64_t next_slot(struct fab_request_queue *q) {
    size_t words = (q->n + 63) / 64;
    uint64_t slots = q->n < 64 ? (UINT64_C(1) << q->n) - 1 : ~UINT64_C(0); /* whose bits count */
    for (size_t k = 0; k < words; k++)
        if (fab_load_relaxed(&q->header->submitted[k]))
            q->found[k] |= fab_exchange(&q->header->submitted[k], UINT64_C(0)) & slots;
    for (size_t k = 0; k <= words; k++) {
        size_t w = (q->next / 64 + k) % words;
        uint64_t bits = q->found[w];
        if (k == 0) bits &= ~UINT64_C(0) << q->next % 64;
        if (!bits) continue;
        size_t i = w * 64 + (size_t)__builtin_ctzll(bits);
        q->found[w] &= ~(UINT64_C(1) << i % 64);
        q->next = (i + 1) % q->n;
        return (int64_t)i;
    }
    return -EAGAIN;
}

int64_t fab_request_take(fab_request_queue *q, void *request, uint64_t *ticket, uint64_t *pid) {
    if (!q->pid) return -EPERM;
    for (int swept = 0;;) {
        int64_t i = next_slot(q);
        if (i < 0) {
            if (swept++) return -EAGAIN;
            sweep(q);
            continue;
        }
        struct fab_request_slot *slot = request_slot(q, (size_t)i);
        uint32_t state = fab_load_acquire(&slot->state);
        if (STATE(state) != FAB_REQUEST_SUBMITTED) continue; /* given up meanwhile */
        if (!fab_cas(&slot->state, &state, WITH_STATE(state, FAB_REQUEST_SERVING))) continue;
        uint64_t bytes = slot->request_bytes;
        if (bytes > q->request_max) bytes = q->request_max;
        memcpy(request, request_data(q, (size_t)i), bytes);
        *ticket = (uint64_t)WITH_STATE(state, FAB_REQUEST_SERVING) << 32 | (uint64_t)i;
        *pid = fab_load_relaxed(&slot->client) >> 32;
        q->busy_ns = now_ns(CLOCK_MONOTONIC);
        return (int64_t)bytes;
    }
}

int fab_request_reply(fab_request_queue *q, uint64_t ticket, const void *reply, int64_t bytes) {
    size_t i = (size_t)(ticket & 0xffffffffu);
    uint32_t serving = (uint32_t)(ticket >> 32), state = serving;
    if (!q->pid) return -EPERM;
    if (bytes > (int64_t)q->reply_max) return -EMSGSIZE;
    if (i >= q->n || STATE(serving) != FAB_REQUEST_SERVING) return -EINVAL;
    struct fab_request_slot *slot = request_slot(q, i);
    state = fab_load_acquire(&slot->state);
    if (state == serving) {
        if (bytes > 0) memcpy(reply_data(q, i), reply, (size_t)bytes);
        slot->status = bytes;
        if (fab_cas(&slot->state, &state, WITH_STATE(serving, FAB_REQUEST_DONE))) {
            fab_fence_full(); /* DONE before waiting; the client does the two the other way */
            if (fab_load_relaxed(&slot->waiting)) request_wake(&slot->state);
            return 0;
        }
    }
    if (state != WITH_STATE(serving, FAB_REQUEST_LEFT)) return -EINVAL;
    request_give_back(q, slot, state);
    return -EPIPE;
}
