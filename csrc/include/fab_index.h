/* The index ring: one producer, one consumer, elements of any size that is a multiple of 8.
 * The one for throughput: whole runs are claimed and published, peeked and released in place.
 *
 * Indices run freely and are masked on access, so full and empty need no flag. Each side publishes
 * its own index with release and reads the other's with acquire:
 *   producer  elements, then `published` (release)    pairs with the consumer's acquire of it:
 *             a consumer that sees the index sees the elements
 *   consumer  has read the elements, then `released` (release)   pairs with the producer's acquire:
 *             a producer that sees the index overwrites only what has been read
 * The other side's index is fetched only when the last one seen says full (empty). Sides that run
 * in lockstep fetch it for every few elements, and each fetch holds the other up; so one that
 * takes them one by one and keeps finding a few pauses before it looks again, and a distance grows
 * (`lean`). One that finds nothing
 * looks again at once: who waits for a single element gets it without delay.
 *
 * Crash behaviour. A side that is killed has published what it stored to its index and nothing
 * else: a run that was claimed but not published never happened, one that was peeked but not
 * released is seen again by the successor. A successor takes the dead side's role by pid and start
 * time; the other side need not notice.
 */
#ifndef FAB_INDEX_H
#define FAB_INDEX_H

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

enum { FAB_PRODUCER = 0, FAB_CONSUMER = 1 };
enum { FAB_INDEX_FEW = 32, FAB_INDEX_BATCH = 4, FAB_INDEX_PAUSES = 4 }; /* see `lean` */

/* One side's handle; private to the process that opened it. Aligned so that two handles in one
 * process share no line. */
typedef struct fab_index {
    struct fab_index_header *header;
    char *elements;
    uint64_t mask; /* capacity - 1 */
    size_t element_bytes;
    struct fab_index_side *side; /* this side's own region */
    uint64_t *mine;              /* this side's published index */
    const uint64_t *theirs;
    size_t held;   /* elements claimed (peeked) and not yet published (released) */
    int role;      /* FAB_PRODUCER, FAB_CONSUMER */
    unsigned lean; /* pauses before the next look at the other side */
    uint64_t pid;
    size_t map_bytes;
    uint8_t pad[FAB_LINE - 88];
} fab_index;
FAB_STATIC_ASSERT(sizeof(fab_index) == FAB_LINE, "handles share no line");

/* Makes the ring at `path` if there is none and takes one side of it; a dead process's side is
 * taken over. element_bytes: a multiple of 8 from 8 to 65536.
 * -EINVAL capacity no power of two in 2..2^30, element_bytes or role; -EBUSY a live process holds
 * that side; -EPROTO another layout, capacity or element size; -EEXIST a file that is no index
 * ring; -ENODATA truncated. */
FAB_API int fab_index_create(const char *path, uint64_t capacity, size_t element_bytes, int role,
                             fab_index **out);
/* Takes one side of a ring that is there. -ENOENT there is none. */
FAB_API int fab_index_open(const char *path, int role, fab_index **out);
FAB_API void fab_index_close(fab_index *ring);
FAB_API uint64_t fab_index_capacity(const fab_index *ring);
FAB_API size_t fab_index_element_bytes(const fab_index *ring);
FAB_API uint64_t fab_index_published(const fab_index *ring); /* elements so far */
FAB_API uint64_t fab_index_released(const fab_index *ring);
/* 1 while the process on the other side lives, 0 when nobody holds it or its holder is dead. */
FAB_API int fab_index_other_alive(const fab_index *ring);

/* ---- hot path ------------------------------------------------------------------------------ */

/* Elements that this side may take now: free ones for the producer, unread ones for the consumer;
 * looks at the other side only when fewer than `want` are known of. */
FAB_INLINE size_t fab_index_ready(fab_index *ring, size_t want) {
    struct fab_index_side *side = ring->side;
    uint64_t lap = ring->role == FAB_PRODUCER ? ring->mask + 1 : 0;
    uint64_t ready = side->other + lap - side->own;
    if (ready < want) {
        for (unsigned k = 0; k < ring->lean; k++) fab_pause();
        uint64_t other = fab_load_acquire(ring->theirs), gained = other - side->other;
        ready = other + lap - side->own;
        if (FAB_UNLIKELY(ready > ring->mask + 1)) return 0; /* nonsense: not to be remembered */
        side->other = other;
        if (gained == 0 || gained >= FAB_INDEX_FEW || want >= FAB_INDEX_BATCH)
            ring->lean = 0;
        else if (ring->lean < FAB_INDEX_PAUSES)
            ring->lean++;
    }
    return (size_t)ready;
}

/* *run: the next up to n elements, in place, as far as they lie in one piece (a run ends where the
 * ring wraps around). Returns how many; calling again before giving them on returns the same. */
FAB_INLINE size_t fab_index_run(fab_index *ring, size_t n, void **run) {
    size_t ready = fab_index_ready(ring, n), at = (size_t)(ring->side->own & ring->mask);
    size_t piece = (size_t)ring->mask + 1 - at;
    if (n > ready) n = ready;
    if (n > piece) n = piece;
    *run = ring->elements + at * ring->element_bytes;
    ring->held = n;
    return n;
}

FAB_INLINE int64_t fab_index_advance(fab_index *ring, size_t n) {
    uint64_t index = ring->side->own + n;
    ring->side->own = index;
    fab_store_release(ring->mine, index);
    return (int64_t)n;
}

/* Gives on the first n elements of the run that is held. */
FAB_INLINE int64_t fab_index_give(fab_index *ring, size_t n) {
    if (FAB_UNLIKELY(n > ring->held)) return -EINVAL;
    ring->held -= n;
    return fab_index_advance(ring, n);
}

/* Producer. Claims a run of up to n free elements; 0 = full. -EPERM on the consumer's side. */
FAB_INLINE int64_t fab_index_claim(fab_index *ring, size_t n, void **run) {
    if (FAB_UNLIKELY(ring->role != FAB_PRODUCER)) return -EPERM;
    return (int64_t)fab_index_run(ring, n, run);
}
/* Publishes the first n claimed elements. -EINVAL: more than were claimed. */
FAB_INLINE int64_t fab_index_publish(fab_index *ring, size_t n) {
    if (FAB_UNLIKELY(ring->role != FAB_PRODUCER)) return -EPERM;
    return fab_index_give(ring, n);
}
/* Consumer. A run of up to n unread elements; 0 = empty. -EPERM on the producer's side. */
FAB_INLINE int64_t fab_index_peek(fab_index *ring, size_t n, void **run) {
    if (FAB_UNLIKELY(ring->role != FAB_CONSUMER)) return -EPERM;
    return (int64_t)fab_index_run(ring, n, run);
}
/* Gives the first n peeked elements back to the producer. -EINVAL: more than were peeked. */
FAB_INLINE int64_t fab_index_release(fab_index *ring, size_t n) {
    if (FAB_UNLIKELY(ring->role != FAB_CONSUMER)) return -EPERM;
    return fab_index_give(ring, n);
}

/* A single record of one cache line is copied as a struct: a call of memcpy on a record whose
 * first word was just stored would stall on store forwarding (14.5 against 6.1 ns). */
FAB_ONE_SIZE_BEGIN
FAB_INLINE void fab_index_copy(void *to, const void *from, size_t bytes) {
    if (bytes == 64)
        memcpy(to, from, 64);
    else
        memcpy(to, from, bytes);
}
FAB_ONE_SIZE_END

/* Copies up to n elements in; how many fitted. -EPERM on the consumer's side. */
FAB_INLINE int64_t fab_index_push(fab_index *ring, const void *elements, size_t n) {
    if (FAB_UNLIKELY(ring->role != FAB_PRODUCER)) return -EPERM;
    size_t ready = fab_index_ready(ring, n), at = (size_t)(ring->side->own & ring->mask);
    if (n > ready) n = ready;
    if (!n) return 0; /* and store nothing: the other side watches that line */
    size_t piece = (size_t)ring->mask + 1 - at, size = ring->element_bytes;
    if (n < piece) piece = n;
    fab_index_copy(ring->elements + at * size, elements, piece * size);
    if (piece < n)
        memcpy(ring->elements, (const char *)elements + piece * size, (n - piece) * size);
    ring->held = 0;
    return fab_index_advance(ring, n);
}

/* Copies up to n elements out; how many there were. -EPERM on the producer's side. */
FAB_INLINE int64_t fab_index_pop(fab_index *ring, void *elements, size_t n) {
    if (FAB_UNLIKELY(ring->role != FAB_CONSUMER)) return -EPERM;
    size_t ready = fab_index_ready(ring, n), at = (size_t)(ring->side->own & ring->mask);
    if (n > ready) n = ready;
    if (!n) return 0; /* and store nothing: the other side watches that line */
    size_t piece = (size_t)ring->mask + 1 - at, size = ring->element_bytes;
    if (n < piece) piece = n;
    fab_index_copy(elements, ring->elements + at * size, piece * size);
    if (piece < n) memcpy((char *)elements + piece * size, ring->elements, (n - piece) * size);
    ring->held = 0;
    return fab_index_advance(ring, n);
}

#ifdef __cplusplus
}
#endif
#endif
