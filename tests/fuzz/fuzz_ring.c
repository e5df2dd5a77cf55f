/* Any bytes as a followed ring's file, with one writer or many: refused, or read without a fault
 * and with a count that adds up; joined and written to without a fault.
 * At least 300 executions a second. */
#define _GNU_SOURCE
#include "fuzz_file.h"

enum { READS = 16, AT_ONCE = 24 };

static void follow(int from) {
    fab_ring *ring = NULL;
    fab_reader *reader = NULL;
    if (fab_ring_open(fuzz_path(), &ring)) return;
    if (fab_reader_open(ring, from, &reader)) {
        fab_ring_close(ring);
        return;
    }
    uint64_t got = fab_reader_position(reader) - fab_reader_lost(reader), last = 0;
    char *out = fuzz_room(AT_ONCE * fab_ring_record_bytes(ring));
    for (int k = 0; k < READS; k++) {
        int64_t n = fab_reader_read(reader, out, AT_ONCE);
        if (n < 0 || n > AT_ONCE) abort();
        for (int64_t i = 0; i < n; i++) { /* seq is index + 1: it goes up, and to the position */
            uint64_t seq;
            memcpy(&seq, out + (size_t)i * fab_ring_record_bytes(ring), sizeof seq);
            if (seq <= last || seq > fab_reader_position(reader)) abort();
            last = seq;
        }
        got += (uint64_t)n;
    }
    if (got + fab_reader_lost(reader) != fab_reader_position(reader)) abort();
    free(out);
    fab_reader_close(reader);
    fab_ring_close(ring);
}

/* Takes the ring over, or joins its writers, and publishes across a lap. */
static void write_to(const struct fab_file_head *head) {
    fab_ring *ring = NULL;
    if (fab_ring_create(fuzz_path(), head->capacity, head->element_bytes, (int)head->writers,
                        &ring))
        return;
    size_t n = head->capacity < 100 ? (size_t)head->capacity + 1 : 100;
    char *records = fuzz_room(n * head->element_bytes);
    int64_t written = fab_ring_publish(ring, records, n);
    if (written < 0 || written > (int64_t)n) abort();
    if (head->writers == FAB_ONE_WRITER && written != (int64_t)n) abort();
    free(records);
    fab_ring_close(ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint32_t words[4] = {8, 2, 3, 16};
    if (size < FUZZ_SELECTORS) return 0;
    uint8_t how = data[0];
    struct fab_file_head head = {.magic = FAB_RING_MAGIC,
                                 .layout = FAB_LAYOUT,
                                 .element_bytes = 8 * words[data[2] & 3],
                                 .capacity = UINT64_C(1) << (1 + data[1] % 6),
                                 .writers = data[3] & 1};
    if (how & 1) {
        size_t table = head.writers ? FAB_RING_WRITERS * sizeof(struct fab_ring_writer) : 0;
        size_t bytes = sizeof(struct fab_ring_header) + table + head.capacity * head.element_bytes;
        int fd = fuzz_file(data + FUZZ_SELECTORS, size - FUZZ_SELECTORS, &head, bytes);
        /* The places named by a mask are held by a process that lives, whatever its start. */
        for (size_t place = 0; head.writers && place < 8; place++)
            if (how >> 4 && data[3] >> 1 & 1 << place)
                fuzz_store(
                    fd, sizeof(struct fab_ring_header) + place * sizeof(struct fab_ring_writer), 1);
        close(fd);
    } else {
        close(fuzz_file(data + 1, size - 1, NULL, 0));
    }
    follow(how & 2 ? FAB_FROM_NOW : FAB_FROM_OLDEST);
    if (how & 4) {
        write_to(&head);
        follow(FAB_FROM_OLDEST);
    }
    unlink(fuzz_path());
    return 0;
}
