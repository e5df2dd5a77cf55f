/* Any bytes as an index ring's file, and another side that stores any index at any time: no fault,
 * no element outside of the ring, never more than it holds.
 * At least 300 executions a second. */
#define _GNU_SOURCE
#include "fuzz_file.h"

enum { OPS_MOST = 64 };

static fab_index *side[2];

static void copy_through(fab_index *ring, size_t n) {
    char *elements = fuzz_room(n * fab_index_element_bytes(ring));
    int64_t moved = ring->role == FAB_PRODUCER ? fab_index_push(ring, elements, n)
                                               : fab_index_pop(ring, elements, n);
    if (moved < 0 || moved > (int64_t)n || (uint64_t)moved > fab_index_capacity(ring)) abort();
    free(elements);
}

static void in_place(fab_index *ring, size_t n, size_t give) {
    void *run = NULL;
    int producer = ring->role == FAB_PRODUCER;
    int64_t held = producer ? fab_index_claim(ring, n, &run) : fab_index_peek(ring, n, &run);
    if (held < 0 || held > (int64_t)n || (uint64_t)held > fab_index_capacity(ring)) abort();
    size_t bytes = (size_t)held * fab_index_element_bytes(ring);
    if (producer) {
        memset(run, 0xa5, bytes);
    } else {
        char *read = fuzz_room(bytes);
        memcpy(read, run, bytes);
        free(read);
    }
    int64_t rc = producer ? fab_index_publish(ring, give) : fab_index_release(ring, give);
    if (rc != (give > (size_t)held ? -EINVAL : (int64_t)give)) abort();
}

/* Two bytes an operation. */
static void operate(int fd, const uint8_t *ops, size_t n) {
    for (size_t k = 0; k + 1 < n && k < 2 * OPS_MOST; k += 2) {
        fab_index *ring = side[ops[k] & 1];
        if (ops[k] & 2) { /* the other side publishes (releases) anything */
            uint64_t word =
                ops[k] & 4 ? ~(uint64_t)ops[k + 1] : (uint64_t)ops[k + 1] << (ops[k] >> 3);
            fuzz_store(fd,
                       ops[k] & 1 ? offsetof(struct fab_index_header, released)
                                  : offsetof(struct fab_index_header, published),
                       word);
        } else if (ring) {
            if (ops[k] & 4)
                in_place(ring, ops[k + 1], ops[k] >> 3);
            else
                copy_through(ring, ops[k + 1]);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint32_t element_bytes[4] = {8, 64, 24, 136};
    if (size < FUZZ_SELECTORS) return 0;
    struct fab_file_head head = {.magic = FAB_INDEX_MAGIC,
                                 .layout = FAB_LAYOUT,
                                 .element_bytes = element_bytes[data[2] & 3],
                                 .capacity = UINT64_C(1) << (1 + data[1] % 6)};
    size_t bytes = sizeof(struct fab_index_header) + head.capacity * head.element_bytes;
    size_t n_ops = size < 2 * OPS_MOST + 64 ? size / 2 : 2 * OPS_MOST;
    int fd;
    if (data[0] & 1) {
        fd = fuzz_file(data + FUZZ_SELECTORS, size - FUZZ_SELECTORS, &head, bytes);
        if (data[0] & 2) { /* indices that are taken; else whatever stands there */
            fuzz_store(fd, offsetof(struct fab_index_header, published), (uint64_t)data[3] - 3);
            fuzz_store(fd, offsetof(struct fab_index_header, released),
                       (uint64_t)data[3] - 3 - data[3] % (head.capacity + 1));
        }
    } else {
        fd = fuzz_file(data + 1, size - 1, NULL, 0);
    }
    struct fab_file_head before = {0}, after = {0};
    for (int role = 0; role < 2; role++)
        if (fab_index_open(fuzz_path(), role, &side[role])) side[role] = NULL;
    if (pread(fd, &before, sizeof before, 0) < 0) abort();
    operate(fd, data + size - n_ops, n_ops);
    if (pread(fd, &after, sizeof after, 0) < 0 || memcmp(&before, &after, sizeof before)) abort();
    for (int role = 0; role < 2; role++) {
        fab_index_close(side[role]);
        side[role] = NULL;
    }
    close(fd);
    unlink(fuzz_path());
    return 0;
}
