/* A writer killed with SIGKILL at random moments, again and again: the reader in another process
 * sees only whole records and accounts for all of them, and each successor goes on where the dead
 * one stopped. */
#define _GNU_SOURCE
#include "check.h"
#include "fabcore.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CAPACITY 32

static char path[] = "/tmp/fab_crash.XXXXXX";

static struct fab_record record_of(uint64_t i, uint64_t writer) {
    struct fab_record r = {0, i, (uint32_t)writer, 2, 0, ~i, i ^ writer, i * 3, i * 5, i * 7};
    return r;
}

/* Runs until it is killed. Exit codes say what went wrong. */
static void writer_process(uint64_t writer) {
    fab_ring *ring = NULL;
    if (fab_ring_create(path, CAPACITY, sizeof(struct fab_record), FAB_ONE_WRITER, &ring) != 0)
        _exit(1);
    struct fab_record block[40];
    size_t n = 1 + writer % 40;
    for (uint64_t i = fab_ring_published(ring);; i += n) {
        for (size_t k = 0; k < n; k++) block[k] = record_of(i + k, writer);
        if (fab_ring_publish(ring, block, n) != (int64_t)n) _exit(2);
    }
}

struct tally {
    fab_reader *reader;
    uint64_t returned, last, writer, wrong;
};

static int64_t read_some(struct tally *t) {
    struct fab_record out[50];
    int64_t n = fab_reader_read(t->reader, out, 50);
    for (int64_t i = 0; i < n; i++) {
        struct fab_record want = record_of(out[i].seq - 1, out[i].vm);
        want.seq = out[i].seq;
        if (memcmp(&out[i], &want, sizeof want) != 0) t->wrong++;
        if (out[i].seq <= t->last || out[i].vm < t->writer) t->wrong++;
        t->last = out[i].seq;
        t->writer = out[i].vm;
    }
    t->returned += (uint64_t)n;
    if (t->returned + fab_reader_lost(t->reader) != fab_reader_position(t->reader)) t->wrong++;
    return n;
}

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void one_round(fab_ring *ring, struct tally *t, uint64_t writer, unsigned delay_us) {
    uint64_t before = fab_ring_published(ring);
    pid_t child = fork();
    if (child == 0) writer_process(writer);
    uint64_t start = now_us(), limit = start + 2000000;
    while (fab_ring_published(ring) == before && now_us() < limit) continue;
    start = now_us();
    while (now_us() < start + delay_us) read_some(t);
    fab_ring *second = NULL;
    CHECK_EQ(fab_ring_create(path, CAPACITY, sizeof(struct fab_record), FAB_ONE_WRITER, &second),
             -EBUSY);
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    uint64_t published = fab_ring_published(ring);
    CHECK(published > before);
    while (read_some(t) > 0) continue;
    CHECK_EQ(fab_reader_position(t->reader), published);
    CHECK_EQ(fab_reader_read(t->reader, &(struct fab_record){0}, 1), 0); /* and does not hang */
}

int main(void) {
    int fd = mkstemp(path);
    if (fd < 0) return 2;
    close(fd);
    unlink(path);
    fab_ring *ring = NULL;
    struct tally t = {0};
    CHECK_EQ(fab_ring_create(path, CAPACITY, sizeof(struct fab_record), FAB_ONE_WRITER, &ring), 0);
    fab_ring_close(ring);
    CHECK_EQ(fab_ring_open(path, &ring), 0);
    CHECK_EQ(fab_reader_open(ring, FAB_FROM_OLDEST, &t.reader), 0);
    unsigned random = 3;
    uint64_t end = now_us() + 5000000;
    uint64_t round = 0;
    for (; round < 3000 && now_us() < end; round++) {
        random = random * 1103515245u + 12345u;
        one_round(ring, &t, round, (random >> 16) % 700);
    }
    printf("%llu writers killed\n", (unsigned long long)round);
    CHECK(round >= 10);
    CHECK_EQ(t.wrong, 0);
    CHECK(t.returned > round);
    fab_reader_close(t.reader);
    fab_ring_close(ring);
    unlink(path);
    return CHECK_RESULT;
}
