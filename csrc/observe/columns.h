/* The inside of a pool of column sets: sets, the dictionary of handles and its strings. */
#ifndef FAB_COLUMNS_H
#define FAB_COLUMNS_H

#include "fab_arrow.h"

#define COLUMNS_BLOCK 256 /* records: 16 KiB, a third of an L1 cache */

/* The strings of a dictionary. Written before the first batch that shares it is handed out,
 * read-only from then on; the last of its holders frees it. One allocation. */
struct columns_strings {
    uint64_t refs; /* atomic: the pool and each set that is out with it */
    size_t values_room, bytes_room;
    size_t values;
    int plain; /* digits only */
    int32_t *offsets;
    char *bytes;
};

/* Handles in order of first appearance and an open-addressing index over them. The pool's thread
 * only. `slot` has room for the worst case, but only its first `mask` + 1 entries are in use: a
 * small table stays in the L1 cache. */
struct columns_handles {
    uint32_t *slot;                  /* index + 1; 0 = empty */
    uint32_t *value;                 /* the handles */
    const struct fab_vm_name **name; /* of each handle, while strings are written */
    size_t slot_room, value_room;
    size_t mask, count;
    unsigned shift; /* 32 - log2(mask + 1) */
};

/* The buffers of one batch, and the Arrow structs that its children are until moved. One
 * allocation. Between batches it belongs to the pool or to nobody, so only `refs` is shared:
 * each release callback gives one back, whoever gives the last one back owns the set. */
struct columns_set {
    uint64_t refs; /* atomic */
    struct fab_columns_pool *pool;
    struct columns_strings *strings;
    size_t room; /* rows */
    void *column[FAB_COLUMNS];
    struct ArrowArray child[FAB_COLUMNS], dictionary;
    struct ArrowArray *children[FAB_COLUMNS];
    const void *buffers[FAB_COLUMNS][2], *string_buffers[3], *no_buffer[1];
};

/* Sets that wait for reuse stand in `kept`, one a slot, moved in and out by compare-and-swap and
 * exchange: any thread may put, and no slot's content is read but by who took it out. */
struct fab_columns_pool {
    struct columns_handles handles;
    struct columns_strings *strings; /* of the last batch, or NULL */
    struct columns_strings *spare;   /* reserved before records are read */
    size_t keep;
    struct fab_record block[COLUMNS_BLOCK];
    uint8_t pad[FAB_LINE];
    uint64_t refs; /* atomic: the owner and each set that is out */
    struct columns_set *kept[FAB_COLUMNS_KEEP_MAX];
};

/* Room for n handles more; 0 or -ENOMEM with nothing changed. */
int columns_handles_reserve(struct columns_handles *handles, size_t n);
/* vm's index, its own from now on. */
uint32_t columns_handles_add(struct columns_handles *handles, uint32_t vm);
void columns_handles_clear(struct columns_handles *handles);
void columns_handles_free(struct columns_handles *handles);

/* Reserves the strings of the handles known and n more; 0, -ENOMEM or -E2BIG. */
int columns_strings_reserve(struct fab_columns_pool *pool, size_t n,
                            const struct fab_vm_name *names, size_t n_names);
/* The strings of all handles, with a reference for the caller; cannot fail once reserved. */
struct columns_strings *columns_strings_take(struct fab_columns_pool *pool,
                                             const struct fab_vm_name *names, size_t n_names);
void columns_strings_drop(struct columns_strings *strings); /* NULL is allowed */

/* A set of `n` rows that nobody else holds, or NULL: no memory. */
struct columns_set *columns_set_take(struct fab_columns_pool *pool, size_t n);
/* Back to its pool, or freed where the pool has enough. */
void columns_set_put(struct columns_set *set);
/* Hands the set out as a batch of n rows. */
void columns_set_export(struct columns_set *set, size_t n, struct ArrowArray *out);

#endif
