/* One writer and three readers on a small ring, so that readers are lapped all the time: every
 * record that comes out is whole and in order, and returned + lost = position at every step. */
#define _GNU_SOURCE
#include "check.h"
#include "fabcore.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RECORDS 300000u
#define READERS 3

static char path[] = "/tmp/fab_stress.XXXXXX";
static int done; /* stored with release after the last publish */

static uint64_t mix(uint64_t i, uint64_t k) {
    return (i + k) * UINT64_C(0x9E3779B97F4A7C15) ^ (i >> 7);
}

static struct fab_record record_of(uint64_t i) {
    struct fab_record r = {
        0,         i,         (uint32_t)mix(i, 1), (uint16_t)i, (uint16_t)mix(i, 2),
        mix(i, 3), mix(i, 4), mix(i, 5),           mix(i, 6),   mix(i, 7)};
    return r;
}

static void *write_all(void *ring) {
    struct fab_record block[96];
    unsigned random = 7;
    for (uint64_t i = 0; i < RECORDS;) {
        random = random * 1103515245u + 12345u;
        size_t n = 1 + (random >> 16) % 96;
        if (n > RECORDS - i) n = RECORDS - i;
        for (size_t k = 0; k < n; k++) block[k] = record_of(i + k);
        if (fab_ring_publish(ring, block, n) != (int64_t)n) abort();
        i += n;
        if (random % 5 == 0) nanosleep(&(struct timespec){0, 20000}, NULL);
    }
    fab_store_release(&done, 1);
    return NULL;
}

struct tally {
    fab_ring *ring;
    size_t batch;
    uint64_t returned, lost, wrong;
};

static void read_some(struct tally *t, fab_reader *reader, uint64_t *next) {
    struct fab_record out[64];
    int64_t n = fab_reader_read(reader, out, t->batch);
    for (int64_t i = 0; i < n; i++) {
        struct fab_record want = record_of(out[i].seq - 1);
        want.seq = out[i].seq;
        if (memcmp(&out[i], &want, sizeof want) != 0 || out[i].seq <= *next) t->wrong++;
        *next = out[i].seq;
    }
    t->returned += (uint64_t)n;
    t->lost = fab_reader_lost(reader);
    if (t->returned + t->lost != fab_reader_position(reader)) t->wrong++;
    if (fab_reader_position(reader) > fab_ring_published(t->ring)) t->wrong++;
}

static void *read_all(void *context) {
    struct tally *t = context;
    fab_reader *reader = NULL;
    uint64_t next = 0;
    if (fab_reader_open(t->ring, FAB_FROM_OLDEST, &reader) != 0) abort();
    t->returned = 0;
    uint64_t skipped = fab_reader_position(reader); /* 0 or what was gone when we came */
    if (skipped != fab_reader_lost(reader)) t->wrong++;
    while (!fab_load_acquire(&done)) read_some(t, reader, &next);
    while (fab_reader_position(reader) < RECORDS) read_some(t, reader, &next);
    fab_reader_close(reader);
    return NULL;
}

static void run(uint64_t capacity) {
    fab_ring *writer = NULL;
    struct tally tally[READERS] = {{.batch = 1}, {.batch = 16}, {.batch = 64}};
    pthread_t threads[READERS + 1];
    unlink(path);
    CHECK_EQ(fab_ring_create(path, capacity, sizeof(struct fab_record), FAB_ONE_WRITER, &writer),
             0);
    fab_store_release(&done, 0);
    for (int i = 0; i < READERS; i++) {
        CHECK_EQ(fab_ring_open(path, &tally[i].ring), 0);
        CHECK_EQ(pthread_create(&threads[i], NULL, read_all, &tally[i]), 0);
    }
    CHECK_EQ(pthread_create(&threads[READERS], NULL, write_all, writer), 0);
    for (int i = 0; i <= READERS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < READERS; i++) {
        CHECK_EQ(tally[i].wrong, 0);
        CHECK_EQ(tally[i].returned + tally[i].lost, RECORDS);
        CHECK(tally[i].returned > 0);
        fab_ring_close(tally[i].ring);
    }
    CHECK_EQ(fab_ring_published(writer), RECORDS);
    fab_ring_close(writer);
}

int main(void) {
    int fd = mkstemp(path);
    if (fd < 0) return 2;
    close(fd);
    run(2);
    run(64);
    run(1024);
    unlink(path);
    return CHECK_RESULT;
}
