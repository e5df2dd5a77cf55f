/* A producer and a consumer at full speed on small index rings, copying and in place: every element
 * arrives once, whole and in order. */
#define _GNU_SOURCE
#include "check.h"
#include "fabcore.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define ELEMENTS 200000u
#define WORDS_MAX 9

static char path[] = "/tmp/fab_stress_index.XXXXXX";

struct job {
    fab_index *ring;
    size_t words, batch;
    int in_place;
    uint64_t wrong;
};

static void fill(uint64_t *to, size_t words, uint64_t i) {
    for (size_t k = 0; k < words; k++) to[k] = i * 31 + k;
}

static int same(const uint64_t *from, size_t words, uint64_t i) {
    for (size_t k = 0; k < words; k++)
        if (from[k] != i * 31 + k) return 0;
    return 1;
}

static void *produce(void *context) {
    struct job *job = context;
    uint64_t block[32 * WORDS_MAX];
    for (uint64_t i = 0; i < ELEMENTS;) {
        size_t n = 1 + i % job->batch;
        if (n > ELEMENTS - i) n = ELEMENTS - i;
        void *run = block;
        int64_t got = job->in_place ? fab_index_claim(job->ring, n, &run) : (int64_t)n;
        for (int64_t k = 0; k < got; k++)
            fill((uint64_t *)run + (size_t)k * job->words, job->words, i + (uint64_t)k);
        got = job->in_place ? fab_index_publish(job->ring, (size_t)got)
                            : fab_index_push(job->ring, block, n);
        i += (uint64_t)got;
        if (!got) sched_yield();
    }
    return NULL;
}

static void *consume(void *context) {
    struct job *job = context;
    uint64_t block[32 * WORDS_MAX];
    for (uint64_t i = 0; i < ELEMENTS;) {
        void *run = block;
        int64_t got = job->in_place ? fab_index_peek(job->ring, job->batch, &run)
                                    : fab_index_pop(job->ring, block, job->batch);
        for (int64_t k = 0; k < got; k++)
            if (!same((uint64_t *)run + (size_t)k * job->words, job->words, i + (uint64_t)k))
                job->wrong++;
        if (job->in_place) fab_index_release(job->ring, (size_t)got);
        i += (uint64_t)got;
        if (!got) sched_yield();
    }
    return NULL;
}

static void run(uint64_t capacity, size_t words, size_t batch, int in_place) {
    struct job in = {NULL, words, batch, in_place, 0}, out = in;
    pthread_t threads[2];
    unlink(path);
    CHECK_EQ(fab_index_create(path, capacity, 8 * words, FAB_PRODUCER, &in.ring), 0);
    CHECK_EQ(fab_index_open(path, FAB_CONSUMER, &out.ring), 0);
    CHECK_EQ(pthread_create(&threads[0], NULL, produce, &in), 0);
    CHECK_EQ(pthread_create(&threads[1], NULL, consume, &out), 0);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    CHECK_EQ(out.wrong, 0);
    CHECK_EQ(fab_index_released(in.ring), ELEMENTS);
    fab_index_close(in.ring);
    fab_index_close(out.ring);
}

int main(void) {
    int fd = mkstemp(path);
    if (fd < 0) return 2;
    close(fd);
    for (int in_place = 0; in_place < 2; in_place++) {
        run(2, 8, 3, in_place);
        run(8, 1, 8, in_place);
        run(64, 8, 32, in_place);
        run(64, WORDS_MAX, 7, in_place);
    }
    unlink(path);
    return CHECK_RESULT;
}
