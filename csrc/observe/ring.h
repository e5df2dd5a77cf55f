/* Between ring.c (one writer, readers), writers.c (many writers) and ring_open.c (handles). */
#ifndef FAB_OBSERVE_RING_H
#define FAB_OBSERVE_RING_H

#include "fab_ring.h"

/* A seq as many writers use it while a slot is owned: the bit, the owner's place in the table, and
 * index + 1. */
#define SEQ_OWNED (UINT64_C(1) << 63)
#define SEQ_OWNER_SHIFT 56
#define SEQ_INDEX FAB_SEQ_MAX

/* A claim: first << CLAIM_SHIFT | how many. */
#define CLAIM_SHIFT 8
#define CLAIM_MOST 64

static inline unsigned seq_owner(uint64_t seq) {
    return (unsigned)(seq >> SEQ_OWNER_SHIFT) & 127;
}

static inline struct fab_ring_writer *ring_table(const struct fab_ring *ring) {
    return (struct fab_ring_writer *)(ring->header + 1);
}

/* Takes a place in the table of writers. 0 or -EUSERS. The file is locked. */
int ring_join(struct fab_ring *ring);
void ring_leave(struct fab_ring *ring);
/* Whether the writer that owns a slot with this seq lives. */
int ring_owner_alive(const struct fab_ring *ring, uint64_t seq);
/* Whether a writer has claimed `index`; with `alive`, whether one that lives has. */
int ring_claimed(const struct fab_ring *ring, uint64_t index, int alive);

#endif
