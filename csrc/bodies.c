/* The exported bodies of the inline functions, for those who call by symbol (fab_inline.h). */
#include "fab_index.h"
#include "fab_ring.h"

extern inline uint64_t *fab_ring_slot(const fab_ring *ring, uint64_t index);
extern inline void fab_slot_fill(uint64_t *slot, const void *from, size_t words);
extern inline int fab_slot_copy(const uint64_t *slot, uint64_t seq, void *to, size_t words);
extern inline int64_t fab_ring_publish(fab_ring *ring, const void *records, size_t n);
extern inline int fab_reader_look(fab_reader *reader);
extern inline int fab_reader_ahead(fab_reader *reader, size_t n);
extern inline int64_t fab_reader_read(fab_reader *reader, void *out, size_t max);

extern inline size_t fab_index_ready(fab_index *ring, size_t want);
extern inline size_t fab_index_run(fab_index *ring, size_t n, void **run);
extern inline int64_t fab_index_advance(fab_index *ring, size_t n);
extern inline int64_t fab_index_give(fab_index *ring, size_t n);
extern inline int64_t fab_index_claim(fab_index *ring, size_t n, void **run);
extern inline int64_t fab_index_publish(fab_index *ring, size_t n);
extern inline int64_t fab_index_peek(fab_index *ring, size_t n, void **run);
extern inline int64_t fab_index_release(fab_index *ring, size_t n);
extern inline void fab_index_copy(void *to, const void *from, size_t bytes);
extern inline int64_t fab_index_push(fab_index *ring, const void *elements, size_t n);
extern inline int64_t fab_index_pop(fab_index *ring, void *elements, size_t n);
