/* The followed ring: one writer that never waits, any number of readers, a sequence word in each
 * record.
 *
 * Who writes what: only the writer stores to the file; readers keep their place to themselves.
 * A record is published by the store of its seq. header->published trails that by at most
 * ring->lag <= capacity / 2 records, so a slot is overwritten only after `published` has passed
 * the record in it. That is what lets a reader tell a record that is still to come from one that
 * is gone, and lets a successor find where a killed writer stopped.
 *
 * Memory order, without fences (a sanitizer sees all of it, and on x86 each of these is a plain
 * move):
 *   writer  seq = 0 (release), words (release each), seq = index + 1 (release),
 *           published (release) at least every `lag` records.
 *   reader  seq (acquire), words (acquire each), seq again (relaxed).
 * - The reader sees seq == index + 1: all words of that record or later ones are visible to it.
 * - It reads a word of a later record: that release store comes after the store of seq = 0 in its
 *   slot, so the second look at seq cannot return index + 1 any more: torn is always noticed.
 *   (The second look cannot move up: the loads of the words are acquires.)
 * - It sees seq = 0 because the slot is being overwritten: that store is a release that comes
 *   after `published` passed the record, so `published` read afterwards says that it is gone.
 * - It sees `published` > index first and seq after: a seq that is not index + 1 is a later one.
 * Data words are 8-byte atomics: none can be torn by itself.
 */
#define _GNU_SOURCE
#include "observe/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct fab_reader {
    struct fab_ring *ring;
    uint64_t position; /* index of the next record */
    uint64_t lost;
    uint64_t tip; /* a value of `published` seen before: records below it are there or gone */
};

static inline struct ring_slot *slot_of(const struct fab_ring *ring, uint64_t index) {
    return &ring->slots[index & ring->mask];
}

/* ---- writer -------------------------------------------------------------------------------- */

/* memcpy: a caller's record is no array of words to the compiler. */
static inline void put_word(struct ring_slot *slot, int i, const struct fab_record *from) {
    uint64_t word;
    memcpy(&word, (const char *)from + 8 * i, sizeof word);
    fab_store_release(&slot->word[i], word);
}

static inline void put_record(struct ring_slot *slot, uint64_t seq, const struct fab_record *from) {
    fab_store_release(&slot->word[0], 0);
    put_word(slot, 1, from);
    put_word(slot, 2, from);
    put_word(slot, 3, from);
    put_word(slot, 4, from);
    put_word(slot, 5, from);
    put_word(slot, 6, from);
    put_word(slot, 7, from);
    fab_store_release(&slot->word[0], seq);
}

int64_t fab_ring_publish(fab_ring *ring, const struct fab_record *records, size_t n) {
    if (!ring->writer_pid) return -EPERM;
    uint64_t index = ring->published;
    for (size_t done = 0; done < n;) {
        size_t end = n - done < ring->lag ? n : done + ring->lag;
        for (; done < end; done++, index++)
            put_record(slot_of(ring, index), index + 1, &records[done]);
        fab_store_release(&ring->header->published, index);
    }
    ring->published = index;
    return (int64_t)n;
}

uint64_t fab_ring_capacity(const fab_ring *ring) {
    return ring->mask + 1;
}

/* The counter, and the records behind it that are complete but not counted yet: all that any
 * reader can have returned. Should the writer lap this look, the counter has moved further. */
uint64_t fab_ring_published(const fab_ring *ring) {
    uint64_t counted = fab_load_acquire(&ring->header->published), index = counted;
    while (index - counted < ring->lag &&
           fab_load_acquire(&slot_of(ring, index)->word[0]) == index + 1)
        index++;
    counted = fab_load_acquire(&ring->header->published);
    return counted > index ? counted : index;
}

/* ---- reader -------------------------------------------------------------------------------- */

int fab_reader_open(fab_ring *ring, int from, fab_reader **out) {
    if (from != FAB_FROM_OLDEST && from != FAB_FROM_NOW) return -EINVAL;
    struct fab_reader *reader = calloc(1, sizeof *reader);
    if (!reader) return -ENOMEM;
    uint64_t published = fab_ring_published(ring), capacity = ring->mask + 1;
    reader->ring = ring;
    reader->position = published;
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

static inline void get_word(const struct ring_slot *slot, int i, struct fab_record *to) {
    uint64_t word = fab_load_acquire(&slot->word[i]);
    memcpy((char *)to + 8 * i, &word, sizeof word);
}

/* 1: copied whole. 0: overwritten meanwhile, what is in `to` means nothing. */
static inline int get_record(const struct ring_slot *slot, uint64_t seq, struct fab_record *to) {
    to->seq = seq;
    get_word(slot, 1, to);
    get_word(slot, 2, to);
    get_word(slot, 3, to);
    get_word(slot, 4, to);
    get_word(slot, 5, to);
    get_word(slot, 6, to);
    get_word(slot, 7, to);
    return fab_load_relaxed(&slot->word[0]) == seq;
}

/* Counts the record at position, which is gone, and those behind it that the writer has lapped.
 * Never beyond tip, so that one call ends however fast the writer is. */
static void skip_lost(struct fab_reader *reader) {
    uint64_t capacity = reader->ring->mask + 1;
    uint64_t published = fab_load_acquire(&reader->ring->header->published);
    uint64_t next = published > capacity ? published - capacity : 0;
    if (next > reader->tip) next = reader->tip;
    if (next <= reader->position) next = reader->position + 1;
    reader->lost += next - reader->position;
    reader->position = next;
}

/* Looks at the records' own words only; `published`, whose line the writer keeps writing, is read
 * where a slot does not answer by itself: once a call, and for each loss. A slot left half-written
 * by a dead writer reads 0 with `published` <= position: nothing new. */
int64_t fab_reader_read(fab_reader *reader, struct fab_record *out, size_t max) {
    const struct fab_ring *ring = reader->ring;
    int fresh = 0; /* tip was read in this call */
    size_t n = 0;
    while (n < max) {
        const struct ring_slot *slot = slot_of(ring, reader->position);
        uint64_t want = reader->position + 1, seq = fab_load_acquire(&slot->word[0]);
        if (seq == want && get_record(slot, want, &out[n])) {
            n++;
            reader->position++;
        } else if (reader->position < reader->tip) {
            skip_lost(reader);
        } else if (fresh || (seq != 0 && seq < want)) {
            break; /* still the record of the lap before: the next one is to come */
        } else {
            reader->tip = fab_load_acquire(&ring->header->published);
            fresh = 1;
            if (reader->tip <= reader->position) break;
        }
    }
    return (int64_t)n;
}
