/* Column sets: where they wait, how they leave as Arrow batches and how they come back. */
#include "observe/columns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MIN 1024
#define ROWS_KEPT (1 << 20) /* larger sets (64 MiB) go back to the system */
#define ALIGN 64
#define SKEW (5 * ALIGN) /* columns of 2^k rows would all start in the same set of the L1 cache */

static const struct {
    const char *name, *format;
    size_t bytes;
} column_kinds[FAB_COLUMNS] = {
    {"seq", "L", 8},        {"time", "tsn:UTC", 8}, {"vm", "i", 4},
    {"source", "S", 2},     {"flags", "S", 2},      {"up_bytes", "L", 8},
    {"down_bytes", "L", 8}, {"up_backlog", "L", 8}, {"down_backlog", "L", 8},
    {"aux", "L", 8},
};

enum { VM_COLUMN = 2 };

/* ---- the pool ------------------------------------------------------------------------------- */

int fab_columns_pool_open(size_t keep, fab_columns_pool **out) {
    if (keep < 1 || keep > FAB_COLUMNS_KEEP_MAX) return -EINVAL;
    struct fab_columns_pool *pool = calloc(1, sizeof *pool);
    if (!pool) return -ENOMEM;
    pool->keep = keep;
    pool->refs = 1;
    *out = pool;
    return 0;
}

static void free_kept(struct fab_columns_pool *pool) {
    for (size_t i = 0; i < pool->keep; i++) free(fab_exchange(&pool->kept[i], NULL));
}

static void drop_pool(struct fab_columns_pool *pool) {
    if (fab_fetch_add(&pool->refs, (uint64_t)-1) != 1) return;
    free_kept(pool); /* sets put back after the owner's close */
    free(pool);
}

void fab_columns_pool_close(fab_columns_pool *pool) {
    if (!pool) return;
    columns_handles_free(&pool->handles);
    columns_strings_drop(pool->strings);
    columns_strings_drop(pool->spare);
    free_kept(pool);
    drop_pool(pool);
}

/* ---- a set's life --------------------------------------------------------------------------- */

static size_t aligned(size_t bytes) {
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static struct columns_set *new_set(struct fab_columns_pool *pool, size_t n) {
    size_t room = ROWS_MIN;
    while (room < n && room < ROWS_KEPT) room *= 2;
    if (room < n) room = n;
    size_t bytes = aligned(sizeof(struct columns_set)), at[FAB_COLUMNS];
    for (int i = 0; i < FAB_COLUMNS; i++) {
        at[i] = bytes;
        bytes += aligned(room * column_kinds[i].bytes) + SKEW;
    }
    struct columns_set *set = aligned_alloc(ALIGN, bytes);
    if (!set) return NULL;
    memset(set, 0, sizeof *set);
    set->pool = pool;
    set->room = room;
    for (int i = 0; i < FAB_COLUMNS; i++) set->column[i] = (char *)set + at[i];
    return set;
}

/* A much larger set would be pinned by a small batch for as long as that is held. */
static int fits(const struct columns_set *set, size_t n) {
    return n <= set->room && (set->room <= ROWS_MIN || set->room / 8 <= n);
}

/* Into a free slot; freed where there is none. */
static void keep_set(struct fab_columns_pool *pool, struct columns_set *set) {
    for (size_t i = 0; i < pool->keep && set->room <= ROWS_KEPT; i++) {
        struct columns_set *none = NULL;
        if (fab_cas(&pool->kept[i], &none, set)) return;
    }
    free(set);
}

/* The first that fits. Where none does and every place is taken, the one kept last makes room for
 * the new size; else a pool full of sets of another size would never be of use again. */
struct columns_set *columns_set_take(struct fab_columns_pool *pool, size_t n) {
    struct columns_set *found = NULL, *misfit = NULL;
    size_t misfits = 0;
    for (size_t i = 0; i < pool->keep && !found; i++) {
        struct columns_set *set = fab_exchange(&pool->kept[i], NULL);
        if (set && fits(set, n)) {
            found = set;
        } else if (set) {
            if (misfit) keep_set(pool, misfit);
            misfit = set;
            misfits++;
        }
    }
    if (misfit && (found || misfits < pool->keep))
        keep_set(pool, misfit);
    else
        free(misfit);
    if (!found) found = new_set(pool, n);
    if (found) fab_fetch_add(&pool->refs, 1);
    return found;
}

void columns_set_put(struct columns_set *set) {
    struct fab_columns_pool *pool = set->pool;
    columns_strings_drop(set->strings);
    set->strings = NULL;
    keep_set(pool, set); /* another thread may have the set from here on */
    drop_pool(pool);
}

/* ---- out as Arrow --------------------------------------------------------------------------- */

static void drop_set(struct columns_set *set) {
    if (fab_fetch_add(&set->refs, (uint64_t)-1) == 1) columns_set_put(set);
}

/* One callback for the batch, its children and the dictionary. What a parent still has goes with
 * it; a child that was moved out is marked as released there and keeps its own reference. */
static void release_array(struct ArrowArray *array) {
    struct columns_set *set = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++)
        if (array->children[i]->release) array->children[i]->release(array->children[i]);
    if (array->dictionary && array->dictionary->release)
        array->dictionary->release(array->dictionary);
    array->release = NULL;
    drop_set(set);
}

static void export_dictionary(struct columns_set *set) {
    set->string_buffers[1] = set->strings->offsets;
    set->string_buffers[2] = set->strings->bytes;
    set->dictionary = (struct ArrowArray){
        .length = (int64_t)set->strings->values,
        .n_buffers = 3,
        .buffers = set->string_buffers,
        .release = release_array,
        .private_data = set,
    };
}

void columns_set_export(struct columns_set *set, size_t n, struct ArrowArray *out) {
    for (int i = 0; i < FAB_COLUMNS; i++) {
        set->buffers[i][1] = set->column[i];
        set->children[i] = &set->child[i];
        set->child[i] = (struct ArrowArray){
            .length = (int64_t)n,
            .n_buffers = 2,
            .buffers = set->buffers[i],
            .dictionary = i == VM_COLUMN ? &set->dictionary : NULL,
            .release = release_array,
            .private_data = set,
        };
    }
    export_dictionary(set);
    fab_store_relaxed(&set->refs, FAB_COLUMNS + 2); /* children, dictionary, batch */
    *out = (struct ArrowArray){
        .length = (int64_t)n,
        .n_buffers = 1,
        .n_children = FAB_COLUMNS,
        .buffers = set->no_buffer,
        .children = set->children,
        .release = release_array,
        .private_data = set,
    };
}

/* ---- the schema ----------------------------------------------------------------------------- */

struct schema_block {
    uint64_t refs; /* atomic: one for each schema struct that points here */
    struct ArrowSchema child[FAB_COLUMNS], dictionary;
    struct ArrowSchema *children[FAB_COLUMNS];
};

static void release_schema(struct ArrowSchema *schema) {
    struct schema_block *block = schema->private_data;
    for (int64_t i = 0; i < schema->n_children; i++)
        if (schema->children[i]->release) schema->children[i]->release(schema->children[i]);
    if (schema->dictionary && schema->dictionary->release)
        schema->dictionary->release(schema->dictionary);
    schema->release = NULL;
    if (fab_fetch_add(&block->refs, (uint64_t)-1) == 1) free(block);
}

static struct ArrowSchema schema_of(struct schema_block *block, const char *name,
                                    const char *format) {
    return (struct ArrowSchema){.format = format,
                                .name = name,
                                .flags = ARROW_FLAG_NULLABLE,
                                .release = release_schema,
                                .private_data = block};
}

int fab_columns_schema(struct ArrowSchema *out) {
    struct schema_block *block = calloc(1, sizeof *block);
    if (!block) return -ENOMEM;
    block->refs = FAB_COLUMNS + 2;
    for (int i = 0; i < FAB_COLUMNS; i++) {
        block->child[i] = schema_of(block, column_kinds[i].name, column_kinds[i].format);
        block->children[i] = &block->child[i];
    }
    block->dictionary = schema_of(block, "", "u");
    block->child[VM_COLUMN].dictionary = &block->dictionary;
    *out = schema_of(block, "", "+s");
    out->flags = 0;
    out->n_children = FAB_COLUMNS;
    out->children = block->children;
    return 0;
}
