/* The request queue's file and what both sides need. See fab_request.h and, for the states of a
 * slot, fab_layout.h. */
#define _GNU_SOURCE
#include "observe/request.h"
#include "observe/file.h"
#include "observe/process.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DATA_BYTES_MAX 65536

static size_t lines(size_t bytes) {
    return (bytes + FAB_LINE - 1) / FAB_LINE * FAB_LINE;
}

/* element_bytes is the longest request, reply_bytes the longest reply. */
static size_t stride_of(const struct fab_file_head *head) {
    return sizeof(struct fab_request_slot) + lines(head->element_bytes) + lines(head->reply_bytes);
}

static size_t request_file_bytes(const struct fab_file_head *head) {
    if (!capacity_ok(head->capacity) || head->capacity > FAB_REQUEST_SLOTS ||
        !head->element_bytes || head->element_bytes > DATA_BYTES_MAX || !head->reply_bytes ||
        head->reply_bytes > DATA_BYTES_MAX)
        return 0;
    return sizeof(struct fab_request_header) + head->capacity * stride_of(head);
}

/* What the dead server had begun is answered: nobody knows whether it was done. */
static void answer_begun(struct fab_request_queue *q) {
    for (size_t i = 0; i < q->n; i++) {
        struct fab_request_slot *slot = request_slot(q, i);
        uint32_t state = fab_load_acquire(&slot->state);
        if (STATE(state) == FAB_REQUEST_SERVING) {
            slot->status = -ECONNRESET;
            if (fab_cas(&slot->state, &state, WITH_STATE(state, FAB_REQUEST_DONE))) {
                request_wake(&slot->state);
                continue;
            }
        }
        if (STATE(state) == FAB_REQUEST_LEFT) {
            request_give_back(q, slot, state);
        }
    }
}

static int enter(struct fab_file_head *head, size_t bytes, void *self) {
    struct fab_request_queue *q = self;
    q->header = (struct fab_request_header *)head;
    q->slots = (char *)(q->header + 1);
    q->n = head->capacity;
    q->request_max = head->element_bytes;
    q->reply_max = head->reply_bytes;
    q->request_room = lines(head->element_bytes);
    q->stride = stride_of(head);
    q->map_bytes = bytes;
    q->self = fab_process_word();
    if (!q->pid) return 0; /* a client takes no role but a slot for each call */
    int rc = owner_take(&q->header->server);
    if (rc < 0) return rc;
    answer_begun(q);
    return 0;
}

static const struct file_kind request_kind = {FAB_REQUEST_MAGIC, request_file_bytes, enter};

int fab_request_create(const char *path, uint64_t slots, size_t request_bytes, size_t reply_bytes,
                       fab_request_queue **out) {
    struct fab_file_head want = {.capacity = slots,
                                 .element_bytes = (uint32_t)request_bytes,
                                 .reply_bytes = (uint32_t)reply_bytes};
    if (request_bytes > DATA_BYTES_MAX || reply_bytes > DATA_BYTES_MAX ||
        !request_file_bytes(&want))
        return -EINVAL;
    struct fab_request_queue *q = calloc(1, sizeof *q);
    if (!q) return -ENOMEM;
    q->pid = (uint64_t)getpid();
    int rc = file_create(path, &request_kind, &want, q);
    if (rc < 0)
        free(q);
    else
        *out = q;
    return rc;
}

int fab_request_open(const char *path, fab_request_queue **out) {
    struct fab_request_queue *q = calloc(1, sizeof *q);
    if (!q) return -ENOMEM;
    int rc = file_enter(path, &request_kind, q);
    if (rc < 0)
        free(q);
    else
        *out = q;
    return rc;
}

void fab_request_close(fab_request_queue *q) {
    if (!q) return;
    if (q->pid) owner_leave(&q->header->server, q->pid);
    munmap(q->header, q->map_bytes);
    free(q);
}

size_t fab_request_bytes(const fab_request_queue *q) {
    return q->request_max;
}
size_t fab_reply_bytes(const fab_request_queue *q) {
    return q->reply_max;
}

void request_sleep(uint32_t *word, uint32_t value, uint64_t deadline_ns) {
    uint64_t now = now_ns(CLOCK_MONOTONIC);
    if (now >= deadline_ns) return;
    uint64_t left = deadline_ns - now;
    struct timespec t = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
    syscall(SYS_futex, word, FUTEX_WAIT, value, &t, NULL, 0);
}

void request_wake(uint32_t *word) {
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}
