/* Many writers on one followed ring: taking indices, owning slots, places of the dead.
 *
 * Order of one batch: claim (release), `published` += n (cas), per record the slot's seq (cas to
 * owned), words (release), seq = index + 1 (release), then claim = 0 (release). The claim stands
 * before anybody can see the index taken, and as long as the writer may still touch a slot of it.
 */
#include "observe/ring.h"
#include "observe/file.h"

/* ---- places in the table ------------------------------------------------------------------- */

/* A place is handed on only when no slot is owned in its name any more: they would look as if the
 * newcomer owned them. Writers and this may race for such a slot; either way it is freed. */
static void free_slots_of(struct fab_ring *ring, unsigned place) {
    for (uint64_t i = 0; i <= ring->mask; i++) {
        uint64_t *slot = fab_ring_slot(ring, i), seq = fab_load_acquire(slot);
        if (seq & SEQ_OWNED && seq_owner(seq) == place) fab_cas(slot, &seq, UINT64_C(0));
    }
}

int ring_join(struct fab_ring *ring) {
    for (unsigned place = 0; place < FAB_RING_WRITERS; place++) {
        struct fab_ring_writer *writer = &ring_table(ring)[place];
        if (owner_alive(&writer->owner)) continue;
        if (fab_load_relaxed(&writer->owner.pid)) free_slots_of(ring, place); /* it left none */
        fab_store_release(&writer->claim, UINT64_C(0));
        owner_take(&writer->owner);
        ring->self = writer;
        ring->mark = SEQ_OWNED | (uint64_t)place << SEQ_OWNER_SHIFT;
        return 0;
    }
    return -EUSERS;
}

void ring_leave(struct fab_ring *ring) {
    owner_leave(&ring->self->owner, ring->writer_pid);
}

int ring_owner_alive(const struct fab_ring *ring, uint64_t seq) {
    unsigned place = seq_owner(seq);
    return place < FAB_RING_WRITERS && owner_alive(&ring_table(ring)[place].owner);
}

int ring_claimed(const struct fab_ring *ring, uint64_t index, int alive) {
    for (unsigned place = 0; place < FAB_RING_WRITERS; place++) {
        const struct fab_ring_writer *writer = &ring_table(ring)[place];
        uint64_t claim = fab_load_acquire(&writer->claim), first = claim >> CLAIM_SHIFT;
        uint64_t n = claim & ((1 << CLAIM_SHIFT) - 1);
        if (index - first < n && (!alive || owner_alive(&writer->owner))) return 1;
        /* Places are taken from the first on: behind one that nobody ever had are no others. */
        if (!claim && !fab_load_relaxed(&writer->owner.start)) return 0;
    }
    return 0;
}

/* ---- publishing ---------------------------------------------------------------------------- */

/* Indices first .. first + n - 1 are this writer's from here on; `first` is returned. */
static uint64_t take_indices(struct fab_ring *ring, uint64_t n) {
    uint64_t *published = &ring->header->published, first = fab_load_relaxed(published);
    do fab_store_release(&ring->self->claim, first << CLAIM_SHIFT | n);
    while (!fab_cas(published, &first, first + n));
    return first;
}

/* 1: the slot is owned for `index`; 0: the record is dropped, for its slot is owned by another that
 * lives or has been used by a later lap while this writer slept. */
static int own_slot(struct fab_ring *ring, uint64_t *slot, uint64_t index) {
    uint64_t seq = fab_load_acquire(slot);
    do {
        if ((seq & SEQ_INDEX) > index + 1) return 0;
        if (seq & SEQ_OWNED && ring_owner_alive(ring, seq)) return 0;
    } while (!fab_cas(slot, &seq, ring->mark | (index + 1)));
    return 1;
}

/* Lines for n records are fetched for writing at once: a compare-and-swap waits for its line, and
 * one after the other that would be a trip to the reader's core for each record. */
static void fetch_slots(const struct fab_ring *ring, uint64_t first, uint64_t n) {
    for (uint64_t i = 0; i < n; i++) fab_fetch_for_writing(fab_ring_slot(ring, first + i));
}

int64_t fab_ring_publish_many(fab_ring *ring, const void *records, size_t n) {
    const char *from = records;
    uint64_t dropped = 0;
    for (size_t done = 0; done < n;) {
        uint64_t batch = n - done < ring->lag ? n - done : ring->lag;
        uint64_t first = take_indices(ring, batch);
        if (batch > 1) fetch_slots(ring, first, batch);
        for (uint64_t i = 0; i < batch; i++, from += 8 * ring->words) {
            uint64_t *slot = fab_ring_slot(ring, first + i);
            if (own_slot(ring, slot, first + i)) {
                fab_slot_fill(slot, from, ring->words);
                fab_store_release(slot, first + i + 1);
            } else {
                dropped++;
            }
        }
        done += batch;
    }
    fab_store_release(&ring->self->claim, UINT64_C(0));
    if (dropped) fab_fetch_add(&ring->header->dropped, dropped);
    return (int64_t)(n - dropped);
}
