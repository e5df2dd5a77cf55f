/* The dictionary of a batch: handles to indices, indices to names. */
#include "observe/columns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS 10    /* of the largest handle */
#define SLOTS_MIN 64 /* a power of two */

/* ---- handles -> indices --------------------------------------------------------------------- */

static inline size_t slot_of(const struct columns_handles *h, uint32_t vm) {
    return (size_t)((vm * UINT32_C(0x9E3779B1)) >> h->shift);
}

/* The slot that holds vm's index, or the empty one where it belongs. */
static size_t find(const struct columns_handles *h, uint32_t vm) {
    size_t at = slot_of(h, vm);
    while (h->slot[at] && h->value[h->slot[at] - 1] != vm) at = (at + 1) & h->mask;
    return at;
}

/* Uses the first `slots` entries, a power of two, and enters all handles anew. */
static void spread(struct columns_handles *h, size_t slots) {
    h->mask = slots - 1;
    h->shift = 32;
    while (slots >>= 1) h->shift--;
    memset(h->slot, 0, (h->mask + 1) * sizeof *h->slot);
    for (size_t i = 0; i < h->count; i++) h->slot[find(h, h->value[i])] = (uint32_t)i + 1;
}

static int reserve_values(struct columns_handles *h, size_t values) {
    if (values <= h->value_room) return 0;
    uint32_t *value = realloc(h->value, values * sizeof *value);
    if (!value) return -ENOMEM;
    h->value = value;
    const struct fab_vm_name **name = realloc(h->name, values * sizeof *name);
    if (!name) return -ENOMEM;
    h->name = name;
    h->value_room = values;
    return 0;
}

/* Less than half of the slots are taken, so that probes stay short and `find` ends. */
int columns_handles_reserve(struct columns_handles *h, size_t n) {
    size_t values = h->count + n, slots = SLOTS_MIN;
    while (slots <= 2 * values) slots *= 2;
    if (reserve_values(h, values + 1) < 0) return -ENOMEM;
    if (slots <= h->slot_room) return 0;
    uint32_t *slot = malloc(slots * sizeof *slot);
    if (!slot) return -ENOMEM;
    free(h->slot);
    h->slot = slot;
    h->slot_room = slots;
    spread(h, h->mask ? h->mask + 1 : SLOTS_MIN);
    return 0;
}

uint32_t columns_handles_add(struct columns_handles *h, uint32_t vm) {
    size_t at = find(h, vm);
    if (h->slot[at]) return h->slot[at] - 1;
    h->value[h->count] = vm;
    h->slot[at] = (uint32_t)++h->count;
    if (2 * h->count > h->mask) spread(h, 2 * (h->mask + 1));
    return (uint32_t)h->count - 1;
}

void columns_handles_clear(struct columns_handles *h) {
    h->count = 0;
    if (h->slot) spread(h, SLOTS_MIN);
}

void columns_handles_free(struct columns_handles *h) {
    free(h->slot);
    free(h->value);
    free(h->name);
}

/* ---- indices -> names ----------------------------------------------------------------------- */

int columns_strings_reserve(struct fab_columns_pool *pool, size_t n,
                            const struct fab_vm_name *names, size_t n_names) {
    size_t values = pool->handles.count + n, bytes = DIGITS * values;
    for (size_t i = 0; i < n_names; i++) bytes += names[i].bytes;
    if (bytes > INT32_MAX) return -E2BIG;
    struct columns_strings *spare = pool->spare;
    if (spare && spare->values_room >= values && spare->bytes_room >= bytes) return 0;
    spare = malloc(sizeof *spare + (values + 1) * sizeof(int32_t) + bytes);
    if (!spare) return -ENOMEM;
    *spare = (struct columns_strings){.values_room = values, .bytes_room = bytes};
    spare->offsets = (int32_t *)(spare + 1);
    spare->bytes = (char *)(spare->offsets + values + 1);
    columns_strings_drop(pool->spare);
    pool->spare = spare;
    spare->refs = 1;
    return 0;
}

static size_t put_digits(char *to, uint32_t value) {
    char text[DIGITS];
    size_t n = 0;
    do text[n++] = (char)('0' + value % 10);
    while (value /= 10);
    for (size_t i = 0; i < n; i++) to[i] = text[n - 1 - i];
    return n;
}

/* Names of handles that have not been seen are left out; the last of two for one handle counts. */
static void match_names(struct columns_handles *h, const struct fab_vm_name *names, size_t n) {
    memset(h->name, 0, h->count * sizeof *h->name);
    for (size_t i = 0; i < n && h->count; i++) {
        uint32_t index = h->slot[find(h, names[i].vm)];
        if (index) h->name[index - 1] = &names[i];
    }
}

static void write_strings(struct columns_strings *to, const struct columns_handles *h) {
    size_t end = 0;
    to->plain = 1;
    to->values = h->count;
    to->offsets[0] = 0;
    for (size_t i = 0; i < h->count; i++) {
        const struct fab_vm_name *name = h->name[i];
        if (!name) {
            end += put_digits(to->bytes + end, h->value[i]);
        } else {
            if (name->bytes) memcpy(to->bytes + end, name->name, name->bytes);
            end += name->bytes;
            to->plain = 0;
        }
        to->offsets[i + 1] = (int32_t)end;
    }
}

static int same(const struct columns_strings *a, const struct columns_strings *b) {
    return a && a->values == b->values &&
           memcmp(a->offsets, b->offsets, (a->values + 1) * sizeof *a->offsets) == 0 &&
           memcmp(a->bytes, b->bytes, (size_t)a->offsets[a->values]) == 0;
}

static struct columns_strings *shared(struct columns_strings *strings) {
    fab_fetch_add(&strings->refs, 1);
    return strings;
}

struct columns_strings *columns_strings_take(struct fab_columns_pool *pool,
                                             const struct fab_vm_name *names, size_t n_names) {
    struct columns_strings *last = pool->strings, *next = pool->spare;
    if (last && last->plain && !n_names && last->values == pool->handles.count) return shared(last);
    match_names(&pool->handles, names, n_names);
    write_strings(next, &pool->handles);
    if (same(last, next)) return shared(last);
    columns_strings_drop(last);
    pool->strings = next;
    pool->spare = NULL;
    return shared(next);
}

void columns_strings_drop(struct columns_strings *strings) {
    if (strings && fab_fetch_add(&strings->refs, (uint64_t)-1) == 1) free(strings);
}
