/* The followed ring: a sequence word in each record, writers that never wait, any number of
 * readers. One 128-byte region moves from writer to reader for each record and nothing else, which
 * is what makes it the ring with the lowest latency; the index ring (fab_index.h) carries more.
 *
 * One writer. A record is published by the store of its seq; header->published trails that by at
 * most ring->lag <= capacity / 2 records, so a slot is overwritten only after `published` has
 * passed the record in it. That is what lets a reader tell a record that is still to come from one
 * that is gone, and lets a successor find where a killed writer stopped.
 *
 * Many writers. An index is taken from header->published by compare-and-swap, under a claim that
 * readers can see; the slot is then owned by compare-and-swap of its seq. A writer that finds its
 * slot still owned by another that lives, or already used by a later lap, drops its record and
 * counts it. A slot whose owner is dead is taken from it.
 *
 * Memory order, without fences (a sanitizer sees all of it, and on x86 each of these but the
 * compare-and-swap is a plain move):
 *   writer  seq = 0 (release) or seq = owned (cas), words (release each), seq = index + 1 (release)
 *   reader  seq (acquire), words (acquire each), seq again (relaxed)
 * - The reader sees seq == index + 1: all words of that record or later ones are visible to it.
 * - It reads a word of a later record: that release store comes after the store of 0 or of the
 *   owner in its slot, so the second look at seq cannot return index + 1 any more: torn is always
 *   noticed. (The second look cannot move up: the loads of the words are acquires.)
 * - It sees 0 because the one writer is overwriting the slot: that store is a release that comes
 *   after `published` passed the record, so `published` read afterwards says that it is gone.
 * - It sees `published` > index first and seq after: with one writer, a seq that is not index + 1
 *   is a later one; with many, see fab_reader_settle.
 * Data words are 8-byte atomics: none can be torn by itself.
 */
#ifndef FAB_RING_H
#define FAB_RING_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "fab_atomic.h"
#include "fab_inline.h"
#include "fab_layout.h"

#ifdef __cplusplus
extern "C" {
#endif

/* No index gets there: 22 years at 1e8 records a second. A count beyond it is nonsense. */
#define FAB_SEQ_MAX UINT64_C(0xffffffffffffff)

/* One handle; private to the process that opened it, its fields to this header and csrc/observe. */
typedef struct fab_ring {
    struct fab_ring_header *header;
    uint64_t *slots;
    uint64_t mask;                /* capacity - 1 */
    size_t words;                 /* of a record, its seq included */
    uint64_t lag;                 /* most records that `published` may trail the records' seq by */
    uint64_t published;           /* one writer only: its own copy */
    uint64_t writer_pid;          /* 0: opened for reading */
    struct fab_ring_writer *self; /* many writers: this one's place in the table, NULL = none */
    uint64_t mark; /* many writers: the owned bit and this place, as they stand in a seq */
    size_t map_bytes;
    int many; /* FAB_MANY_WRITERS */
} fab_ring;

typedef struct fab_reader {
    fab_ring *ring;
    uint64_t position; /* index of the next record */
    uint64_t lost;
    uint64_t tip;      /* a value of `published` seen before: records below it are there or gone */
    uint64_t stuck_ns; /* since when position is owned and not written; 0 = it is not */
    int fresh;         /* tip was read in this call */
} fab_reader;

/* Makes the ring at `path`, or takes it over from a dead writer (records and count are kept), or
 * with FAB_MANY_WRITERS joins the writers it has. record_bytes: a multiple of 8 from 16 to 4096,
 * the seq (a uint64_t, first in the record) included.
 * -EINVAL capacity no power of two in 2..2^30, or record_bytes; -EBUSY a live writer holds it;
 * -EUSERS it has FAB_RING_WRITERS live writers; -EPROTO another layout, capacity, record size or
 * kind of writers; -EEXIST a file that is no ring; -EBADMSG its count makes no sense. */
FAB_API int fab_ring_create(const char *path, uint64_t capacity, size_t record_bytes, int writers,
                            fab_ring **out);
/* Opens for reading. -EPROTO another layout, -EINVAL no ring, -ENODATA truncated. */
FAB_API int fab_ring_open(const char *path, fab_ring **out);
FAB_API void fab_ring_close(fab_ring *ring);
FAB_API uint64_t fab_ring_capacity(const fab_ring *ring);
FAB_API size_t fab_ring_record_bytes(const fab_ring *ring);
FAB_API int fab_ring_writers(const fab_ring *ring);        /* FAB_ONE_WRITER or FAB_MANY_WRITERS */
FAB_API uint64_t fab_ring_published(const fab_ring *ring); /* those dropped included */
FAB_API uint64_t fab_ring_dropped(const fab_ring *ring);   /* given up by its writers so far */

enum { FAB_FROM_OLDEST = 0, FAB_FROM_NOW = 1 };
/* -EBADMSG the ring's count makes no sense. */
FAB_API int fab_reader_open(fab_ring *ring, int from, fab_reader **out);
FAB_API void fab_reader_close(fab_reader *reader); /* before fab_ring_close */
FAB_API uint64_t fab_reader_lost(const fab_reader *reader);
FAB_API uint64_t fab_reader_position(const fab_reader *reader); /* index of the next record */

/* What stands in for the hot path where a slot does not answer by itself. ring.c, many.c */
FAB_API int64_t fab_ring_publish_many(fab_ring *ring, const void *records, size_t n);
/* A slot with `seq` holds no record for the reader. 1: it has skipped what is lost, look again;
 * 0: nothing new. */
FAB_API int fab_reader_settle(fab_reader *reader, uint64_t seq);

/* ---- hot path ------------------------------------------------------------------------------ */

FAB_INLINE uint64_t *fab_ring_slot(const fab_ring *ring, uint64_t index) {
    return ring->slots + (index & ring->mask) * ring->words;
}

/* Word i, 1.., of a record. memcpy: a caller's record is no array of words to the compiler. */
#define FAB_PUT_WORD(slot, i, from)                                           \
    do {                                                                      \
        uint64_t word_;                                                       \
        memcpy(&word_, (const char *)(from) + 8 * (size_t)(i), sizeof word_); \
        fab_store_release((slot) + (i), word_);                               \
    } while (0)
#define FAB_GET_WORD(slot, i, to)                                     \
    do {                                                              \
        uint64_t word_ = fab_load_acquire((slot) + (i));              \
        memcpy((char *)(to) + 8 * (size_t)(i), &word_, sizeof word_); \
    } while (0)

FAB_ONE_SIZE_BEGIN
/* The words behind the seq. A record of one cache line is unrolled. */
FAB_INLINE void fab_slot_fill(uint64_t *slot, const void *from, size_t words) {
    if (words == 8) {
        FAB_PUT_WORD(slot, 1, from);
        FAB_PUT_WORD(slot, 2, from);
        FAB_PUT_WORD(slot, 3, from);
        FAB_PUT_WORD(slot, 4, from);
        FAB_PUT_WORD(slot, 5, from);
        FAB_PUT_WORD(slot, 6, from);
        FAB_PUT_WORD(slot, 7, from);
        return;
    }
    for (size_t i = 1; i < words; i++) FAB_PUT_WORD(slot, i, from);
}

/* 1: copied whole. 0: overwritten meanwhile, what is in `to` means nothing. */
FAB_INLINE int fab_slot_copy(const uint64_t *slot, uint64_t seq, void *to, size_t words) {
    memcpy(to, &seq, sizeof seq);
    if (words == 8) {
        FAB_GET_WORD(slot, 1, to);
        FAB_GET_WORD(slot, 2, to);
        FAB_GET_WORD(slot, 3, to);
        FAB_GET_WORD(slot, 4, to);
        FAB_GET_WORD(slot, 5, to);
        FAB_GET_WORD(slot, 6, to);
        FAB_GET_WORD(slot, 7, to);
    } else {
        for (size_t i = 1; i < words; i++) FAB_GET_WORD(slot, i, to);
    }
    return fab_load_relaxed(slot) == seq;
}
FAB_ONE_SIZE_END

/* Publishes n records of the ring's size (their first word, the seq, is set here) and returns how
 * many were written; never waits. With one writer that is all of them; with many, those dropped are
 * missing and counted. -EPERM: opened for reading. */
FAB_INLINE int64_t fab_ring_publish(fab_ring *ring, const void *records, size_t n) {
    const char *from = (const char *)records;
    if (ring->self) return fab_ring_publish_many(ring, records, n);
    if (FAB_UNLIKELY(!ring->writer_pid)) return -EPERM;
    uint64_t index = ring->published;
    for (size_t done = 0; done < n;) {
        size_t end = n - done < ring->lag ? n : done + (size_t)ring->lag;
        for (; done < end; done++, index++, from += 8 * ring->words) {
            uint64_t *slot = fab_ring_slot(ring, index);
            fab_store_release(slot, UINT64_C(0));
            fab_slot_fill(slot, from, ring->words);
            fab_store_release(slot, index + 1);
        }
        fab_store_release(&ring->header->published, index);
    }
    ring->published = index;
    return (int64_t)n;
}

/* `published`, read once a call: 1 if the record at position is below it. */
FAB_INLINE int fab_reader_look(fab_reader *reader) {
    if (reader->position < reader->tip) return 1;
    if (reader->fresh) return 0;
    reader->fresh = 1;
    reader->tip = fab_load_acquire(&reader->ring->header->published);
    if (FAB_UNLIKELY(reader->tip > FAB_SEQ_MAX)) reader->tip = reader->position; /* nonsense */
    return reader->position < reader->tip;
}

/* Records that a reader of blocks asks for before it needs them, as far as they are known to be
 * there: a core that checks each record has too few of them under way by itself (43 against 8 ns).
 */
#define FAB_READ_AHEAD 16

/* Whether a reader of blocks should look at the slot at its position. With one writer it keeps to
 * the records that are counted: a look at a slot that is being written takes its line from the
 * writer, and behind a writer of blocks that would happen for every record. What a dead writer left
 * uncounted is found by looking at the slot all the same, first and then now and then. */
FAB_INLINE int fab_reader_ahead(fab_reader *reader, size_t n) {
    return fab_reader_look(reader) || reader->ring->many || n == 0;
}

/* Copies up to max records; 0 when there is nothing new. A record that was overwritten before or
 * while it was copied is counted in `lost`, never returned torn. Asked for one record it looks at
 * that record's own words only (which is the quickest way to learn of it): `published`, whose line
 * writers keep writing, is read where a slot does not answer by itself, once a call and for each
 * loss. Asked for more it reads `published` once a call. */
FAB_INLINE int64_t fab_reader_read(fab_reader *reader, void *out, size_t max) {
    const fab_ring *ring = reader->ring;
    char *to = (char *)out;
    size_t n = 0;
    reader->fresh = 0;
    while (n < max) {
        if (max > 1) {
            if (!fab_reader_ahead(reader, n)) break;
            uint64_t soon = reader->position + FAB_READ_AHEAD;
            if (soon < reader->tip) __builtin_prefetch(fab_ring_slot(ring, soon));
        }
        const uint64_t *slot = fab_ring_slot(ring, reader->position);
        uint64_t want = reader->position + 1, seq = fab_load_acquire(slot);
        if (seq == want && fab_slot_copy(slot, want, to, ring->words)) {
            n++;
            to += 8 * ring->words;
            reader->position = want;
        } else if (seq - 1 < reader->position && reader->position >= reader->tip && !ring->many) {
            break; /* the lap before: the next one is to come */
        } else if (!fab_reader_settle(reader, seq)) {
            break;
        }
    }
    if (n) reader->stuck_ns = 0;
    return (int64_t)n;
}

#ifdef __cplusplus
}
#endif
#endif
