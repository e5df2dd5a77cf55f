/* The followed ring behind its hot path (fab_ring.h): what a reader does when a slot holds nothing
 * for it. */
#define _GNU_SOURCE
#include "observe/ring.h"
#include "now.h"

#include <stdlib.h>
#include <time.h>

/* A writer needs well under a microsecond for a slot; one that takes this long may be dead. */
#define STUCK_NS (2 * 1000 * 1000)

uint64_t fab_ring_capacity(const fab_ring *ring) {
    return ring->mask + 1;
}
size_t fab_ring_record_bytes(const fab_ring *ring) {
    return 8 * ring->words;
}
int fab_ring_writers(const fab_ring *ring) {
    return ring->many ? FAB_MANY_WRITERS : FAB_ONE_WRITER;
}
uint64_t fab_ring_dropped(const fab_ring *ring) {
    return fab_load_acquire(&ring->header->dropped);
}

/* With one writer the counter, and the records behind it that are complete but not counted yet: all
 * that any reader can have returned. Should the writer lap this look, the counter has moved
 * further.
 */
uint64_t fab_ring_published(const fab_ring *ring) {
    uint64_t counted = fab_load_acquire(&ring->header->published), index = counted;
    if (ring->many) return counted;
    while (index - counted < ring->lag && fab_load_acquire(fab_ring_slot(ring, index)) == index + 1)
        index++;
    counted = fab_load_acquire(&ring->header->published);
    return counted > index ? counted : index;
}

int fab_reader_open(fab_ring *ring, int from, fab_reader **out) {
    if (from != FAB_FROM_OLDEST && from != FAB_FROM_NOW) return -EINVAL;
    uint64_t published = fab_ring_published(ring), capacity = ring->mask + 1;
    if (published > SEQ_INDEX) return -EBADMSG;
    size_t bytes = (sizeof(struct fab_reader) + FAB_LINE - 1) / FAB_LINE * FAB_LINE;
    struct fab_reader *reader = aligned_alloc(FAB_LINE, bytes); /* readers share no line */
    if (!reader) return -ENOMEM;
    *reader = (struct fab_reader){.ring = ring, .position = published};
    if (from == FAB_FROM_OLDEST) {
        /* A reader from the oldest on wants all of them: those already gone are lost to it. */
        reader->position = published > capacity ? published - capacity : 0;
        reader->lost = reader->position;
    }
    *out = reader;
    return 0;
}

void fab_reader_close(fab_reader *reader) {
    free(reader);
}
uint64_t fab_reader_lost(const fab_reader *reader) {
    return reader->lost;
}
uint64_t fab_reader_position(const fab_reader *reader) {
    return reader->position;
}

/* Counts the record at position, which is gone, and those behind it that the writers have lapped.
 * Never beyond tip, so that one call ends however fast they are. */
static void skip_lost(struct fab_reader *reader) {
    uint64_t capacity = reader->ring->mask + 1;
    uint64_t published = fab_load_acquire(&reader->ring->header->published);
    uint64_t next = published > capacity ? published - capacity : 0;
    if (next > reader->tip) next = reader->tip;
    if (next <= reader->position) next = reader->position + 1;
    reader->lost += next - reader->position;
    reader->position = next;
    reader->stuck_ns = 0;
}

/* A slot left half-written by a dead writer reads 0 with `published` <= position: nothing new. */
static int settle_one(struct fab_reader *reader) {
    /* Look again: only now is it known that it was published. */
    if (reader->position >= reader->tip) return fab_reader_look(reader);
    skip_lost(reader);
    return 1;
}

/* 1, once in a while: the record has had its time, and it is worth a look at /proc. */
static int has_waited(struct fab_reader *reader) {
    uint64_t now = now_ns(CLOCK_MONOTONIC_COARSE);
    if (!reader->stuck_ns) reader->stuck_ns = now;
    if (now - reader->stuck_ns < STUCK_NS) return 0;
    reader->stuck_ns = now;
    return 1;
}

/* The index is taken (position < tip), so its record is
 *   being written: the slot is owned for it. Lost if the owner is dead, else to come;
 *   gone: the slot is owned for, or holds, a later one;
 *   to come, when the slot still holds an earlier one and a live writer claims the index;
 *   dropped, when none does. The writer clears its claim and signs off after its last store to the
 *   slot, so a record written in the meantime is seen by looking at the slot after them. */
static int settle_many(struct fab_reader *reader, uint64_t seq) {
    const struct fab_ring *ring = reader->ring;
    uint64_t want = reader->position + 1;
    if (!fab_reader_look(reader)) return 0;
    seq = fab_load_acquire(fab_ring_slot(ring, reader->position));
    if (seq == want) return 1;
    uint64_t there = seq & SEQ_INDEX;
    if (seq & SEQ_OWNED && there == want) {
        if (!has_waited(reader) || ring_owner_alive(ring, seq)) return 0;
    } else if (there < want && ring_claimed(ring, reader->position, 0)) {
        if (!has_waited(reader) || ring_claimed(ring, reader->position, 1)) return 0;
    }
    if (there <= want && fab_load_acquire(fab_ring_slot(ring, reader->position)) != seq) return 1;
    skip_lost(reader);
    return 1;
}

int fab_reader_settle(fab_reader *reader, uint64_t seq) {
    return reader->ring->many ? settle_many(reader, seq) : settle_one(reader);
}
