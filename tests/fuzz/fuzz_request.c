/* Any bytes as a request queue's file: a client that asks in it comes back, with an error or a
 * reply that fits; a server that takes it over takes and answers without a fault.
 * At least 80 executions a second. */
#define _GNU_SOURCE
#include "fuzz_file.h"

enum { SLOTS_AT = sizeof(struct fab_request_header), TIMEOUT_NS = 1000 };

static void ask(size_t bytes, size_t max) {
    fab_request_queue *queue = NULL;
    if (fab_request_open(fuzz_path(), &queue)) return;
    char *request = fuzz_room(bytes), *reply = fuzz_room(max);
    int64_t n = fab_request_call(queue, request, bytes, reply, max, TIMEOUT_NS);
    if (n > (int64_t)fab_reply_bytes(queue)) abort();
    if (bytes > fab_request_bytes(queue) && n != -EMSGSIZE) abort();
    free(request);
    free(reply);
    fab_request_close(queue);
}

static void serve(const struct fab_file_head *head, int64_t bytes, uint64_t nonsense) {
    fab_request_queue *queue = NULL;
    if (fab_request_create(fuzz_path(), head->capacity, head->element_bytes, head->reply_bytes,
                           &queue))
        return;
    char *request = fuzz_room(head->element_bytes), *reply = fuzz_room(head->reply_bytes);
    uint64_t ticket, pid;
    int64_t n;
    ask(1, 1); /* nobody serves it in time: it is given up */
    for (uint64_t k = 0; k <= 2 * head->capacity; k++) {
        fab_request_wait(queue, 0);
        if ((n = fab_request_take(queue, request, &ticket, &pid)) == -EAGAIN) break;
        if (n < 0 || n > (int64_t)head->element_bytes) abort();
        int rc = fab_request_reply(queue, ticket, reply, bytes);
        if (bytes > (int64_t)head->reply_bytes ? rc != -EMSGSIZE : rc != 0) abort();
        if (rc == 0 && fab_request_reply(queue, ticket, reply, bytes) != -EINVAL) abort();
    }
    fab_request_reply(queue, nonsense, reply, 1);
    free(request);
    free(reply);
    fab_request_close(queue);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint32_t longest[4] = {1, 64, 128, 300};
    uint64_t nonsense = 0;
    if (size < FUZZ_SELECTORS) return 0;
    uint8_t how = data[0];
    struct fab_file_head head = {.magic = FAB_REQUEST_MAGIC,
                                 .layout = FAB_LAYOUT,
                                 .element_bytes = longest[data[2] & 3],
                                 .reply_bytes = longest[data[2] >> 2 & 3],
                                 .capacity = UINT64_C(1) << (1 + data[1] % 7)};
    if (how & 1) {
        size_t lines = (head.element_bytes + 127) / 128 + (head.reply_bytes + 127) / 128 + 1;
        int fd = fuzz_file(data + FUZZ_SELECTORS, size - FUZZ_SELECTORS, &head,
                           SLOTS_AT + head.capacity * lines * FAB_LINE);
        if (how & 2) fuzz_store(fd, offsetof(struct fab_request_header, server), 1); /* it lives */
        /* Each slot's state one of those there are, so that the fuzzer need not find all of them.
         */
        for (size_t i = 0; how & 4 && i < head.capacity && i < size; i++)
            fuzz_store(fd,
                       SLOTS_AT + i * lines * FAB_LINE + offsetof(struct fab_request_slot, state),
                       data[i] % 6);
        close(fd);
    } else {
        close(fuzz_file(data + 1, size - 1, NULL, 0));
    }
    memcpy(&nonsense, data + size - FUZZ_SELECTORS, FUZZ_SELECTORS);
    ask(data[3], data[3]);
    serve(&head, (int64_t)data[3] - 16, nonsense << 32 | nonsense >> 24);
    unlink(fuzz_path());
    return 0;
}
