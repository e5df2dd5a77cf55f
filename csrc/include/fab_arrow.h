/* Telemetry records as Arrow columns, handed over through the Arrow C Data Interface.
 *
 * Rows are read once, in blocks that stay in the L1 cache, and written once, into the buffers that
 * the ArrowArray points to. Columns, in this order, none with nulls: seq uint64, time
 * timestamp[ns, UTC], vm dictionary<int32, utf8>, source uint16, flags uint16, up_bytes,
 * down_bytes, up_backlog, down_backlog, aux uint64.
 *
 * Who owns a buffer: whoever holds an ArrowArray that points to it. A pool takes a column set back
 * only when the release callbacks of the batch and of every child moved out of it have run; until
 * then further batches get another set, a fresh one if need be. A release may run on any thread
 * and after fab_columns_pool_close.
 */
#ifndef FAB_ARROW_H
#define FAB_ARROW_H

#include "fabcore.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The structs of the public specification; its guard lets several libraries declare them. */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE
#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4
struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};
struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};
#endif

#define FAB_COLUMNS 10
#define FAB_COLUMNS_KEEP_MAX 16
#define FAB_COLUMNS_ROWS_MAX (UINT64_C(1) << 27) /* rows of a batch: digits fit int32 offsets */

typedef struct fab_columns_pool fab_columns_pool;

/* How a handle is called in the dictionary: `bytes` of UTF-8, not terminated. */
struct fab_vm_name {
    uint32_t vm;
    uint32_t bytes;
    const char *name;
};

/* keep: column sets (of up to 2^20 rows) that wait for reuse at most, 1..FAB_COLUMNS_KEEP_MAX. One
 * thread at a time per pool, releases excepted. -EINVAL, -ENOMEM. */
FAB_API int fab_columns_pool_open(size_t keep, fab_columns_pool **out);
/* Batches that are out stay valid; the last release frees what is left. NULL is allowed. */
FAB_API void fab_columns_pool_close(fab_columns_pool *pool);

/* Up to `max` new records of the ring as a batch; the number of rows, 0 for an empty batch, which
 * is to be released like any other. Memory for `max` rows is reserved, so ask for what can be
 * there. The dictionary holds every handle that the pool has seen, so that consecutive batches
 * share it; a handle without a name stands as decimal digits. -ENOMEM, -EINVAL (max), -E2BIG (the
 * names exceed 2 GiB), -EPROTO (a ring of other records than fab_record), or what fab_reader_read
 * says: then nothing was read and *out is untouched.
 */
FAB_API int64_t fab_columns_read(fab_columns_pool *pool, fab_reader *reader, size_t max,
                                 const struct fab_vm_name *names, size_t n_names,
                                 struct ArrowArray *out);
/* The same from n records at rest. */
FAB_API int64_t fab_columns_fill(fab_columns_pool *pool, const struct fab_record *records, size_t n,
                                 const struct fab_vm_name *names, size_t n_names,
                                 struct ArrowArray *out);
/* The next batch starts a dictionary of its own, with its handles only. */
FAB_API void fab_columns_forget(fab_columns_pool *pool);
/* What every batch looks like. -ENOMEM. */
FAB_API int fab_columns_schema(struct ArrowSchema *out);

#ifdef __cplusplus
}
#endif

#endif
