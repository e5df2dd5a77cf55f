/* Records into columns: one pass over the rows, in blocks that stay in the L1 cache. */
#include "observe/columns.h"

#include <errno.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define HANDLES_MAX 4096 /* handles of VMs long gone that a dictionary drags along at most */

enum { SEQ, TIME, VM, SOURCE, FLAGS, UP_BYTES, DOWN_BYTES, UP_BACKLOG, DOWN_BACKLOG, AUX };

/* memcpy: a caller's records are no array of words to the compiler. */
static inline uint64_t word_of(const struct fab_record *record, int i) {
    uint64_t word;
    memcpy(&word, (const char *)record + 8 * i, sizeof word);
    return word;
}

struct words {
    uint64_t *seq, *time, *up_bytes, *down_bytes, *up_backlog, *down_backlog, *aux;
};

static inline void put_words(const struct words *to, size_t i, const struct fab_record *from) {
    to->seq[i] = word_of(from, 0);
    to->time[i] = word_of(from, 1);
    to->up_bytes[i] = word_of(from, 3);
    to->down_bytes[i] = word_of(from, 4);
    to->up_backlog[i] = word_of(from, 5);
    to->down_backlog[i] = word_of(from, 6);
    to->aux[i] = word_of(from, 7);
}

#if defined(__SSE2__)
/* Two rows at a time: half the loads and stores of single words. */
static inline __m128i half(const struct fab_record *record, int i) {
    return _mm_loadu_si128((const __m128i *)((const char *)record + 16 * i));
}

static inline void put_pair(uint64_t *low, uint64_t *high, __m128i a, __m128i b) {
    if (low) _mm_storeu_si128((__m128i *)low, _mm_unpacklo_epi64(a, b));
    _mm_storeu_si128((__m128i *)high, _mm_unpackhi_epi64(a, b));
}

static size_t put_pairs(const struct words *to, size_t at, const struct fab_record *from,
                        size_t n) {
    size_t i = 0;
    for (; i + 2 <= n; i += 2) {
        const struct fab_record *a = &from[i], *b = &from[i + 1];
        put_pair(&to->seq[at + i], &to->time[at + i], half(a, 0), half(b, 0));
        put_pair(NULL, &to->up_bytes[at + i], half(a, 1), half(b, 1));
        put_pair(&to->down_bytes[at + i], &to->up_backlog[at + i], half(a, 2), half(b, 2));
        put_pair(&to->down_backlog[at + i], &to->aux[at + i], half(a, 3), half(b, 3));
    }
    return i;
}
#else
static size_t put_pairs(const struct words *to, size_t at, const struct fab_record *from,
                        size_t n) {
    (void)to, (void)at, (void)from, (void)n;
    return 0;
}
#endif

/* Records come in sweeps over the VMs, so the handle after the last one is guessed first. */
static void put_handles(struct columns_handles *handles, struct columns_set *set, size_t at,
                        const struct fab_record *from, size_t n) {
    int32_t *vm = (int32_t *)set->column[VM] + at;
    uint16_t *source = (uint16_t *)set->column[SOURCE] + at;
    uint16_t *flags = (uint16_t *)set->column[FLAGS] + at;
    uint32_t guess = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t word = word_of(&from[i], 2);
        uint32_t handle = (uint32_t)word;
        if (guess >= handles->count) guess = 0;
        if (!handles->count || handles->value[guess] != handle)
            guess = columns_handles_add(handles, handle);
        vm[i] = (int32_t)guess++;
        source[i] = (uint16_t)(word >> 32);
        flags[i] = (uint16_t)(word >> 48);
    }
}

/* At most COLUMNS_BLOCK rows: the second pass finds them in the cache. It reads no memory, so the
 * rows that come next (0 = none) are asked for before it. */
static void put_rows(struct columns_handles *handles, struct columns_set *set, size_t at,
                     const struct fab_record *from, size_t n, size_t next) {
    const struct words to = {set->column[SEQ],        set->column[TIME],
                             set->column[UP_BYTES],   set->column[DOWN_BYTES],
                             set->column[UP_BACKLOG], set->column[DOWN_BACKLOG],
                             set->column[AUX]};
    for (size_t i = put_pairs(&to, at, from, n); i < n; i++) put_words(&to, at + i, &from[i]);
    for (size_t i = 0; i < next; i++) __builtin_prefetch(&from[n + i]);
    put_handles(handles, set, at, from, n);
}

static inline size_t block_of(size_t rows) {
    return rows < COLUMNS_BLOCK ? rows : COLUMNS_BLOCK;
}

/* Whatever can fail, before any record is taken. */
static int prepare(fab_columns_pool *pool, size_t n, const struct fab_vm_name *names,
                   size_t n_names, struct columns_set **set) {
    if (n > FAB_COLUMNS_ROWS_MAX) return -EINVAL;
    if (pool->handles.count > HANDLES_MAX) fab_columns_forget(pool);
    int rc = columns_handles_reserve(&pool->handles, n);
    if (rc == 0) rc = columns_strings_reserve(pool, n, names, n_names);
    if (rc < 0) return rc;
    *set = columns_set_take(pool, n);
    return *set ? 0 : -ENOMEM;
}

static int64_t finish(fab_columns_pool *pool, struct columns_set *set, size_t n,
                      const struct fab_vm_name *names, size_t n_names, struct ArrowArray *out) {
    set->strings = columns_strings_take(pool, names, n_names);
    columns_set_export(set, n, out);
    return (int64_t)n;
}

int64_t fab_columns_read(fab_columns_pool *pool, fab_reader *reader, size_t max,
                         const struct fab_vm_name *names, size_t n_names, struct ArrowArray *out) {
    struct columns_set *set = NULL;
    int rc = prepare(pool, max, names, n_names, &set);
    if (rc < 0) return rc;
    if (fab_ring_record_bytes(reader->ring) != sizeof(struct fab_record)) {
        columns_set_put(set);
        return -EPROTO;
    }
    size_t n = 0;
    while (n < max) {
        int64_t got = fab_reader_read(reader, pool->block, block_of(max - n));
        if (got < 0 && n == 0) {
            columns_set_put(set);
            return got;
        }
        if (got <= 0) break; /* an error after some rows comes back with the next call */
        put_rows(&pool->handles, set, n, pool->block, (size_t)got, 0);
        n += (size_t)got;
    }
    return finish(pool, set, n, names, n_names, out);
}

int64_t fab_columns_fill(fab_columns_pool *pool, const struct fab_record *records, size_t n,
                         const struct fab_vm_name *names, size_t n_names, struct ArrowArray *out) {
    struct columns_set *set = NULL;
    int rc = prepare(pool, n, names, n_names, &set);
    if (rc < 0) return rc;
    for (size_t at = 0; at < n; at += COLUMNS_BLOCK) {
        size_t rows = block_of(n - at);
        put_rows(&pool->handles, set, at, &records[at], rows, block_of(n - at - rows));
    }
    return finish(pool, set, n, names, n_names, out);
}

void fab_columns_forget(fab_columns_pool *pool) {
    columns_handles_clear(&pool->handles);
    columns_strings_drop(pool->strings);
    pool->strings = NULL;
}
