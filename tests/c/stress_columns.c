/* One thread makes batches of a ring, others check and release them, whole or child by child, while
 * it goes on: no buffer is written while a batch points to it, and all memory comes back. */
#define _GNU_SOURCE
#include "check.h"
#include "fab_arrow.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCHES 8000
#define ROWS 300
#define CONSUMERS 3
#define PLACES 8 /* batches on their way */

static struct ArrowArray *place[PLACES]; /* exchanged; NULL = free */
static int done;                         /* stored with release after the last batch */
static uint64_t wrong, consumed;         /* added to by consumers */

static void put(struct ArrowArray *batch) {
    for (;;) {
        for (int i = 0; i < PLACES; i++) {
            struct ArrowArray *none = NULL;
            if (fab_cas(&place[i], &none, batch)) return;
        }
        sched_yield();
    }
}

static struct ArrowArray *get(void) {
    for (int i = 0; i < PLACES; i++) {
        struct ArrowArray *batch = fab_exchange(&place[i], NULL);
        if (batch) return batch;
    }
    return NULL;
}

static int is_whole(const struct ArrowArray *column, uint64_t factor, uint64_t first) {
    const uint64_t *value = column->buffers[1];
    for (int64_t i = 0; i < column->length; i++)
        if (value[i] != (first + (uint64_t)i) * factor) return 0;
    return 1;
}

/* The batch goes first, then its children one by one, each looked at after its siblings went. */
static int release_in_pieces(struct ArrowArray *batch, uint64_t first) {
    static const uint64_t factor[] = {11, 13, 17, 19, 23};
    struct ArrowArray column[5];
    for (int i = 0; i < 5; i++) {
        column[i] = *batch->children[5 + i];
        batch->children[5 + i]->release = NULL;
    }
    batch->release(batch);
    int ok = 1;
    for (int i = 0; i < 5; i++) {
        ok &= is_whole(&column[i], factor[i], first);
        column[i].release(&column[i]);
    }
    return ok;
}

static void consume(struct ArrowArray *batch, unsigned turn) {
    uint64_t first = batch->length ? ((const uint64_t *)batch->children[0]->buffers[1])[0] - 1 : 0;
    int ok = 1;
    if (turn % 2) {
        ok = release_in_pieces(batch, first);
    } else {
        ok = is_whole(batch->children[9], 23, first) && is_whole(batch->children[5], 11, first);
        batch->release(batch);
    }
    free(batch);
    fab_fetch_add(&wrong, (uint64_t)!ok);
    fab_fetch_add(&consumed, 1);
}

static void *consume_all(void *unused) {
    (void)unused;
    for (unsigned turn = 0;;) {
        int last = fab_load_acquire(&done);
        struct ArrowArray *batch = get();
        if (batch) {
            consume(batch, turn++);
        } else if (last) {
            return NULL;
        } else {
            sched_yield();
        }
    }
}

static void publish(fab_ring *ring, uint64_t first, size_t n) {
    struct fab_record block[ROWS];
    for (size_t i = 0; i < n; i++) {
        uint64_t k = first + i;
        block[i] = (struct fab_record){.time_ns = k,
                                       .vm = (uint32_t)(k % 97),
                                       .up_bytes = k * 11,
                                       .down_bytes = k * 13,
                                       .up_backlog = k * 17,
                                       .down_backlog = k * 19,
                                       .aux = k * 23};
    }
    if (fab_ring_publish(ring, block, n) != (int64_t)n) abort();
}

int main(void) {
    char path[] = "/tmp/fab_columns.XXXXXX";
    fab_ring *ring = NULL;
    fab_reader *reader = NULL;
    fab_columns_pool *pool = NULL;
    pthread_t consumer[CONSUMERS];
    close(mkstemp(path));
    unlink(path);
    CHECK_EQ(fab_ring_create(path, 1024, sizeof(struct fab_record), FAB_ONE_WRITER, &ring), 0);
    CHECK_EQ(fab_reader_open(ring, FAB_FROM_OLDEST, &reader), 0);
    CHECK_EQ(fab_columns_pool_open(3, &pool), 0);
    for (int i = 0; i < CONSUMERS; i++) pthread_create(&consumer[i], NULL, consume_all, NULL);
    uint64_t published = 0;
    for (int i = 0; i < BATCHES; i++) {
        struct ArrowArray *batch = malloc(sizeof *batch);
        size_t n = 1 + (size_t)i * 31 % ROWS;
        publish(ring, published, n);
        published += n;
        CHECK_EQ(fab_columns_read(pool, reader, ROWS, NULL, 0, batch), n);
        put(batch);
    }
    fab_columns_pool_close(pool); /* before the last releases */
    fab_store_release(&done, 1);
    for (int i = 0; i < CONSUMERS; i++) pthread_join(consumer[i], NULL);
    CHECK_EQ(consumed, BATCHES);
    CHECK_EQ(wrong, 0);
    CHECK_EQ(fab_reader_position(reader), published);
    fab_reader_close(reader);
    fab_ring_close(ring);
    unlink(path);
    return CHECK_RESULT;
}
