/* Records as Arrow columns: every bit arrives, and a buffer is reused only when nobody holds it. */
#define _GNU_SOURCE
#include "check.h"
#include "fab_arrow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SEQ, TIME, VM, SOURCE, FLAGS, UP, DOWN, UP_BACKLOG, DOWN_BACKLOG, AUX };

static uint64_t mix(uint64_t i, uint64_t k) {
    uint64_t x = (i + 1) * UINT64_C(0x9E3779B97F4A7C15) + k * UINT64_C(0xBF58476D1CE4E5B9);
    x ^= x >> 29;
    return x * UINT64_C(0x94D049BB133111EB) ^ x >> 31;
}

static struct fab_record record_of(uint64_t i, uint32_t vms) {
    struct fab_record r = {
        .seq = i + 1,
        .time_ns = mix(i, 1),
        .vm = vms ? (uint32_t)(i % vms) * 7 : (uint32_t)mix(i, 2),
        .source = (uint16_t)mix(i, 3),
        .flags = (uint16_t)mix(i, 4),
        .up_bytes = mix(i, 5),
        .down_bytes = mix(i, 6),
        .up_backlog = mix(i, 7),
        .down_backlog = mix(i, 8),
        .aux = mix(i, 9),
    };
    return r;
}

static struct fab_record *records_of(uint64_t first, size_t n, uint32_t vms) {
    struct fab_record *records = malloc((n + 1) * sizeof *records);
    for (size_t i = 0; i < n; i++) records[i] = record_of(first + i, vms);
    return records;
}

#define COLUMN(type, array, i) ((const type *)(array)->children[i]->buffers[1])

static int is_named(const struct ArrowArray *vm, int64_t row, const char *name) {
    int32_t index = ((const int32_t *)vm->buffers[1])[row];
    const int32_t *offsets = vm->dictionary->buffers[1];
    size_t bytes = (size_t)(offsets[index + 1] - offsets[index]);
    if (index < 0 || index >= vm->dictionary->length) return 0;
    return bytes == strlen(name) &&
           memcmp((const char *)vm->dictionary->buffers[2] + offsets[index], name, bytes) == 0;
}

static int is_row(const struct ArrowArray *a, int64_t i, const struct fab_record *r) {
    char digits[16];
    snprintf(digits, sizeof digits, "%u", r->vm);
    return COLUMN(uint64_t, a, SEQ)[i] == r->seq && COLUMN(uint64_t, a, TIME)[i] == r->time_ns &&
           COLUMN(uint16_t, a, SOURCE)[i] == r->source &&
           COLUMN(uint16_t, a, FLAGS)[i] == r->flags && COLUMN(uint64_t, a, UP)[i] == r->up_bytes &&
           COLUMN(uint64_t, a, DOWN)[i] == r->down_bytes &&
           COLUMN(uint64_t, a, UP_BACKLOG)[i] == r->up_backlog &&
           COLUMN(uint64_t, a, DOWN_BACKLOG)[i] == r->down_backlog &&
           COLUMN(uint64_t, a, AUX)[i] == r->aux && is_named(a->children[VM], i, digits);
}

static int is_batch(const struct ArrowArray *a, uint64_t first, size_t n, uint32_t vms) {
    int ok = a->length == (int64_t)n && a->n_children == FAB_COLUMNS && a->offset == 0;
    for (size_t i = 0; ok && i < n; i++) {
        struct fab_record r = record_of(first + i, vms);
        ok = is_row(a, (int64_t)i, &r);
    }
    for (int k = 0; ok && k < FAB_COLUMNS; k++)
        ok = a->children[k]->length == (int64_t)n && a->children[k]->null_count == 0 &&
             (uintptr_t)a->children[k]->buffers[1] % 64 == 0;
    return ok;
}

static void fill(fab_columns_pool *pool, uint64_t first, size_t n, uint32_t vms,
                 struct ArrowArray *out) {
    struct fab_record *records = records_of(first, n, vms);
    CHECK_EQ(fab_columns_fill(pool, records, n, NULL, 0, out), n);
    memset(records, 0xA5, n * sizeof *records);
    free(records);
}

static void every_bit_arrives(void) {
    static const size_t sizes[] = {0, 1, 2, 3, 31, 32, 33, 255, 256, 257, 1024, 5001};
    static const uint32_t vms[] = {0, 1, 3, 256};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t k = 0; k < sizeof vms / sizeof *vms; k++) {
            fab_columns_pool *pool = NULL;
            struct ArrowArray batch;
            CHECK_EQ(fab_columns_pool_open(1, &pool), 0);
            fill(pool, 77, sizes[i], vms[k], &batch);
            CHECK(is_batch(&batch, 77, sizes[i], vms[k]));
            batch.release(&batch);
            CHECK(batch.release == NULL);
            fab_columns_pool_close(pool);
        }
    }
}

static void records_of_a_ring_come_in_order_and_loss_is_counted(void) {
    char path[] = "/tmp/fab_columns.XXXXXX";
    fab_ring *ring = NULL;
    fab_reader *reader = NULL;
    fab_columns_pool *pool = NULL;
    struct ArrowArray batch;
    close(mkstemp(path));
    unlink(path);
    CHECK_EQ(fab_ring_create(path, 1024, sizeof(struct fab_record), FAB_ONE_WRITER, &ring), 0);
    CHECK_EQ(fab_reader_open(ring, FAB_FROM_OLDEST, &reader), 0);
    CHECK_EQ(fab_columns_pool_open(2, &pool), 0);
    uint64_t published = 0, random = 1;
    for (int round = 0; round < 300; round++, random = mix(random, 11)) {
        size_t n = random % 700, max = 1 + (random >> 20) % 1500;
        struct fab_record *records = records_of(published, n *= round > 0, 5);
        CHECK_EQ(fab_ring_publish(ring, records, n), n);
        free(records);
        published += n;
        int64_t got = fab_columns_read(pool, reader, max, NULL, 0, &batch);
        uint64_t end = fab_reader_position(reader);
        CHECK(got <= (int64_t)max && is_batch(&batch, end - (uint64_t)got, (size_t)got, 5));
        batch.release(&batch);
    }
    CHECK(fab_reader_lost(reader) > 0);
    fab_columns_pool_close(pool);
    fab_reader_close(reader);
    fab_ring_close(ring);
    unlink(path);
}

static void released_buffers_are_reused_and_live_ones_are_not(void) {
    fab_columns_pool *pool = NULL;
    struct ArrowArray live, next, other;
    CHECK_EQ(fab_columns_pool_open(2, &pool), 0);
    fill(pool, 0, 1000, 9, &live);
    const void *first = live.children[UP]->buffers[1];
    for (int round = 0; round < 5; round++) {
        fill(pool, 5000, 1000, 9, &next);
        fill(pool, 9000, 1000, 9, &other);
        CHECK(next.children[UP]->buffers[1] != first && other.children[UP]->buffers[1] != first);
        CHECK(next.children[UP]->buffers[1] != other.children[UP]->buffers[1]);
        CHECK(is_batch(&live, 0, 1000, 9) && is_batch(&next, 5000, 1000, 9));
        next.release(&next);
        other.release(&other);
    }
    live.release(&live);
    fill(pool, 1, 1000, 9, &next);
    fill(pool, 2, 1000, 9, &other);
    fill(pool, 3, 1000, 9, &live);
    next.release(&next);
    fill(pool, 4, 900, 9, &next);
    CHECK(is_batch(&next, 4, 900, 9) && is_batch(&other, 2, 1000, 9));
    const void *again = next.children[UP]->buffers[1];
    next.release(&next);
    fill(pool, 6, 900, 9, &next);
    CHECK(next.children[UP]->buffers[1] == again);
    next.release(&next);
    live.release(&live);
    other.release(&other);
    fab_columns_pool_close(pool);
}

/* As the specification has it: the consumer copies the struct and marks the original released. */
static struct ArrowArray moved(struct ArrowArray *child) {
    struct ArrowArray mine = *child;
    child->release = NULL;
    return mine;
}

static void a_child_moved_out_keeps_its_column_and_no_more(void) {
    fab_columns_pool *pool = NULL;
    struct ArrowArray batch, next;
    CHECK_EQ(fab_columns_pool_open(4, &pool), 0);
    fill(pool, 10, 600, 3, &batch);
    struct ArrowArray aux = moved(batch.children[AUX]), vm = moved(batch.children[VM]);
    struct ArrowArray names = moved(vm.dictionary);
    const void *column = aux.buffers[1];
    batch.release(&batch);
    vm.release(&vm);
    for (int round = 0; round < 3; round++) {
        fill(pool, 50, 600, 4, &next);
        CHECK(next.children[AUX]->buffers[1] != column);
        next.release(&next);
    }
    fab_columns_pool_close(pool); /* what is out stays */
    for (size_t i = 0; i < 600; i++)
        CHECK_EQ(((const uint64_t *)aux.buffers[1])[i], record_of(10 + i, 3).aux);
    aux.release(&aux);
    CHECK_EQ(((const int32_t *)names.buffers[1])[names.length], 4); /* "7" "14" "0" */
    CHECK_EQ(names.length, 3);
    names.release(&names);
}

static void large_sets_are_not_pinned_by_small_batches(void) {
    fab_columns_pool *pool = NULL;
    struct ArrowArray large, small, again;
    CHECK_EQ(fab_columns_pool_open(1, &pool), 0);
    fill(pool, 0, 20000, 9, &large);
    const void *column = large.children[SEQ]->buffers[1];
    large.release(&large);
    fill(pool, 0, 15000, 9, &large);
    CHECK(large.children[SEQ]->buffers[1] == column);
    large.release(&large);
    fill(pool, 0, 10, 9, &small); /* the only place is made free for its size */
    const void *little = small.children[SEQ]->buffers[1];
    small.release(&small);
    fill(pool, 0, 1000, 9, &again);
    CHECK(again.children[SEQ]->buffers[1] == little);
    again.release(&again);
    fab_columns_pool_close(pool);
}

static void names_stand_in_the_dictionary_and_digits_where_there_is_none(void) {
    fab_columns_pool *pool = NULL;
    struct ArrowArray a, b, c, d;
    struct fab_vm_name names[] = {
        {7, 4, "seven"}, {99, 5, "other"}, {14, 0, NULL}, {7, 5, "SEVEN"}};
    struct fab_record *records = records_of(0, 300, 4);
    CHECK_EQ(fab_columns_pool_open(4, &pool), 0);
    CHECK_EQ(fab_columns_fill(pool, records, 300, names, 4, &a), 300);
    CHECK(is_named(a.children[VM], 0, "0") && is_named(a.children[VM], 1, "SEVEN"));
    CHECK(is_named(a.children[VM], 2, "") && is_named(a.children[VM], 3, "21"));
    CHECK_EQ(fab_columns_fill(pool, records, 2, names, 4, &b), 2);
    CHECK(b.children[VM]->dictionary->buffers[2] == a.children[VM]->dictionary->buffers[2]);
    names[3].name = "Seven";
    CHECK_EQ(fab_columns_fill(pool, records, 300, names, 4, &c), 300);
    CHECK(is_named(c.children[VM], 1, "Seven") && is_named(a.children[VM], 1, "SEVEN"));
    CHECK_EQ(fab_columns_fill(pool, records, 300, NULL, 0, &d), 300);
    CHECK(is_named(d.children[VM], 1, "7") && is_named(c.children[VM], 1, "Seven"));
    d.release(&d);
    fab_columns_forget(pool);
    CHECK_EQ(fab_columns_fill(pool, records, 1, NULL, 0, &d), 1);
    CHECK_EQ(d.children[VM]->dictionary->length, 1);
    a.release(&a);
    b.release(&b);
    c.release(&c);
    d.release(&d);
    free(records);
    fab_columns_pool_close(pool);
}

/* VMs come and go for ever: the dictionary must not grow for ever. */
static void dictionary_of_a_long_run_stays_bounded(void) {
    fab_columns_pool *pool = NULL;
    struct ArrowArray batch;
    CHECK_EQ(fab_columns_pool_open(1, &pool), 0);
    for (uint64_t round = 0; round < 100; round++) {
        fill(pool, round * 300, 300, 0, &batch); /* 300 handles never seen before */
        CHECK(is_batch(&batch, round * 300, 300, 0));
        CHECK(batch.children[VM]->dictionary->length <= 4096 + 300);
        batch.release(&batch);
    }
    fab_columns_pool_close(pool);
}

static void what_cannot_be_done_is_refused_before_anything_is_read(void) {
    fab_columns_pool *pool = NULL;
    struct ArrowArray batch = {.length = 42};
    struct fab_record record = record_of(0, 1);
    struct fab_vm_name huge[2] = {{1, INT32_MAX, ""}, {2, INT32_MAX, ""}};
    CHECK_EQ(fab_columns_pool_open(0, &pool), -EINVAL);
    CHECK_EQ(fab_columns_pool_open(FAB_COLUMNS_KEEP_MAX + 1, &pool), -EINVAL);
    CHECK_EQ(fab_columns_pool_open(1, &pool), 0);
    CHECK_EQ(fab_columns_read(pool, NULL, FAB_COLUMNS_ROWS_MAX + 1, NULL, 0, &batch), -EINVAL);
    CHECK_EQ(fab_columns_fill(pool, &record, SIZE_MAX, NULL, 0, &batch), -EINVAL);
    CHECK_EQ(fab_columns_fill(pool, &record, 1, huge, 2, &batch), -E2BIG);
    CHECK_EQ(batch.length, 42);
    fab_columns_pool_close(pool);
    fab_columns_pool_close(NULL);
}

static void schema_says_what_the_columns_are(void) {
    static const char *const formats[FAB_COLUMNS] = {"L", "tsn:UTC", "i", "S", "S",
                                                     "L", "L",       "L", "L", "L"};
    struct ArrowSchema schema;
    CHECK_EQ(fab_columns_schema(&schema), 0);
    CHECK(strcmp(schema.format, "+s") == 0 && schema.n_children == FAB_COLUMNS);
    for (int i = 0; i < FAB_COLUMNS; i++)
        CHECK(strcmp(schema.children[i]->format, formats[i]) == 0);
    CHECK(strcmp(schema.children[VM]->dictionary->format, "u") == 0);
    CHECK(strcmp(schema.children[TIME]->name, "time") == 0);
    struct ArrowSchema mine = *schema.children[VM];
    schema.children[VM]->release = NULL;
    schema.release(&schema);
    CHECK(strcmp(mine.name, "vm") == 0 && strcmp(mine.dictionary->format, "u") == 0);
    mine.release(&mine);
}

int main(void) {
    every_bit_arrives();
    records_of_a_ring_come_in_order_and_loss_is_counted();
    released_buffers_are_reused_and_live_ones_are_not();
    a_child_moved_out_keeps_its_column_and_no_more();
    large_sets_are_not_pinned_by_small_batches();
    names_stand_in_the_dictionary_and_digits_where_there_is_none();
    dictionary_of_a_long_run_stays_bounded();
    what_cannot_be_done_is_refused_before_anything_is_read();
    schema_says_what_the_columns_are();
    return CHECK_RESULT;
}
