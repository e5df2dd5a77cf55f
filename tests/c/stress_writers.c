/* Writers and readers on one small followed ring, 1, 2 and 4 of each: every record that comes out
 * is whole and some writer's next or a later one, and all are accounted for. */
#define _GNU_SOURCE
#include "check.h"
#include "fabcore.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORDS 40000u /* of each writer */
#define MOST 4

static char path[] = "/tmp/fab_stress_writers.XXXXXX";
static int writing; /* writers that have not ended */

static uint64_t mix(uint64_t i, uint64_t k) {
    return (i + k) * UINT64_C(0x9E3779B97F4A7C15) ^ (i >> 7);
}

/* time_ns: the writer's own count; vm: which writer. */
static struct fab_record record_of(uint64_t i, uint32_t writer) {
    struct fab_record r = {0,         i,         writer,    (uint16_t)i, (uint16_t)mix(i, 2),
                           mix(i, 3), mix(i, 4), mix(i, 5), mix(i, 6),   mix(i, writer)};
    return r;
}

struct job {
    uint64_t capacity, written, returned, lost, position, wrong;
    uint32_t number;
};

static void *write_all(void *context) {
    struct job *job = context;
    fab_ring *ring = NULL;
    struct fab_record block[96];
    unsigned random = 7 + job->number;
    if (fab_ring_create(path, job->capacity, 64, FAB_MANY_WRITERS, &ring)) abort();
    for (uint64_t i = 0; i < RECORDS;) {
        random = random * 1103515245u + 12345u;
        size_t n = 1 + (random >> 16) % 96;
        if (n > RECORDS - i) n = RECORDS - i;
        for (size_t k = 0; k < n; k++) block[k] = record_of(i + k, job->number);
        int64_t rc = fab_ring_publish(ring, block, n);
        if (rc < 0) abort();
        job->written += (uint64_t)rc;
        i += n;
        if (random % 5 == 0) sched_yield();
    }
    fab_ring_close(ring);
    fab_fetch_add(&writing, -1);
    return NULL;
}

static void *read_all(void *context) {
    struct job *job = context;
    fab_ring *ring = NULL;
    fab_reader *reader = NULL;
    struct fab_record out[64];
    uint64_t next[MOST] = {0}, last = 0;
    if (fab_ring_open(path, &ring) || fab_reader_open(ring, FAB_FROM_OLDEST, &reader)) abort();
    for (int over = 0; over < 2;) {
        int ended = fab_load_acquire(&writing) == 0;
        int64_t n = fab_reader_read(reader, out, 1 + 21 * (job->number % 4));
        for (int64_t i = 0; i < n; i++) {
            struct fab_record want = record_of(out[i].time_ns, out[i].vm);
            want.seq = out[i].seq;
            if (out[i].vm >= MOST || memcmp(&want, &out[i], sizeof want)) job->wrong++;
            if (out[i].seq <= last || out[i].time_ns < next[out[i].vm % MOST]) job->wrong++;
            last = out[i].seq;
            next[out[i].vm % MOST] = out[i].time_ns + 1;
        }
        job->returned += (uint64_t)n;
        if (job->returned + fab_reader_lost(reader) != fab_reader_position(reader)) job->wrong++;
        if (n == 0 && ended && fab_reader_position(reader) == fab_ring_published(ring)) over++;
        if (n == 0) sched_yield();
    }
    job->lost = fab_reader_lost(reader);
    job->position = fab_reader_position(reader);
    fab_reader_close(reader);
    fab_ring_close(ring);
    return NULL;
}

static void run(uint64_t capacity, unsigned writers, unsigned readers) {
    struct job jobs[2 * MOST] = {{0}};
    pthread_t threads[2 * MOST];
    fab_ring *ring = NULL;
    unlink(path);
    CHECK_EQ(fab_ring_create(path, capacity, 64, FAB_MANY_WRITERS, &ring), 0);
    fab_store_release(&writing, (int)writers);
    for (unsigned i = 0; i < writers + readers; i++) {
        jobs[i].capacity = capacity;
        jobs[i].number = i < writers ? i : i - writers;
        CHECK_EQ(pthread_create(&threads[i], NULL, i < writers ? write_all : read_all, &jobs[i]),
                 0);
    }
    uint64_t written = 0;
    for (unsigned i = 0; i < writers + readers; i++) {
        pthread_join(threads[i], NULL);
        CHECK_EQ(jobs[i].wrong, 0);
        if (i < writers) written += jobs[i].written;
    }
    CHECK_EQ(fab_ring_published(ring), writers * RECORDS);
    CHECK_EQ(written + fab_ring_dropped(ring), writers * RECORDS);
    for (unsigned i = writers; i < writers + readers; i++) {
        CHECK_EQ(jobs[i].position, writers * RECORDS);
        CHECK_EQ(jobs[i].returned + jobs[i].lost, writers * RECORDS);
        CHECK(jobs[i].lost >= fab_ring_dropped(ring));
        CHECK(jobs[i].returned > 0);
    }
    fab_ring_close(ring);
}

int main(void) {
    int fd = mkstemp(path);
    if (fd < 0) return 2;
    close(fd);
    for (unsigned writers = 1; writers <= MOST; writers *= 2)
        for (unsigned readers = 1; readers <= MOST; readers *= 2) run(64, writers, readers);
    run(2, 4, 2);
    run(4096, 2, 2);
    unlink(path);
    return CHECK_RESULT;
}
