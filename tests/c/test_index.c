/* The index ring: order, runs in place, wrapping, roles, sizes, files that are none, take-over. */
#define _GNU_SOURCE
#include "check.h"
#include "fabcore.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/fab_index.XXXXXX";
static char path[64];

struct pair {
    fab_index *producer, *consumer;
};

static struct pair make(uint64_t capacity, size_t bytes) {
    struct pair p = {0};
    unlink(path);
    CHECK_EQ(fab_index_create(path, capacity, bytes, FAB_PRODUCER, &p.producer), 0);
    CHECK_EQ(fab_index_open(path, FAB_CONSUMER, &p.consumer), 0);
    CHECK_EQ(fab_index_capacity(p.consumer), capacity);
    CHECK_EQ(fab_index_element_bytes(p.consumer), bytes);
    return p;
}

static void drop(struct pair p) {
    fab_index_close(p.producer);
    fab_index_close(p.consumer);
}

/* Element i of any size: its words are i, i + 1, ... */
static void fill(uint64_t *element, size_t words, uint64_t i) {
    for (size_t k = 0; k < words; k++) element[k] = i * 1000003u + k;
}

static int is(const uint64_t *element, size_t words, uint64_t i) {
    for (size_t k = 0; k < words; k++)
        if (element[k] != i * 1000003u + k) return 0;
    return 1;
}

static void copies_come_out_in_order(uint64_t capacity, size_t words) {
    struct pair p = make(capacity, words * 8);
    uint64_t *block = calloc(capacity + 3, words * 8), in = 0, out = 0;
    unsigned random = 1;
    for (int round = 0; round < 500; round++) {
        random = random * 1103515245u + 12345u;
        size_t n = (random >> 16) % (capacity + 3), room = capacity - (in - out);
        for (size_t i = 0; i < n; i++) fill(block + i * words, words, in + i);
        int64_t pushed = fab_index_push(p.producer, block, n);
        CHECK_EQ(pushed, n < room ? n : room);
        in += (uint64_t)pushed;
        n = (random >> 8) % (capacity + 3);
        int64_t popped = fab_index_pop(p.consumer, block, n);
        CHECK_EQ(popped, n < in - out ? n : in - out);
        for (int64_t i = 0; i < popped; i++)
            CHECK(is(block + (size_t)i * words, words, out + (uint64_t)i));
        out += (uint64_t)popped;
    }
    CHECK_EQ(fab_index_published(p.consumer), in);
    CHECK_EQ(fab_index_released(p.producer), out);
    free(block);
    drop(p);
}

static void runs_are_given_on_in_parts(void) {
    struct pair p = make(8, 16);
    void *run, *again;
    CHECK_EQ(fab_index_peek(p.consumer, 8, &run), 0);
    CHECK_EQ(fab_index_claim(p.producer, 5, &run), 5);
    CHECK_EQ(fab_index_claim(p.producer, 5, &again), 5);
    CHECK(run == again);
    for (size_t i = 0; i < 5; i++) fill((uint64_t *)run + 2 * i, 2, i);
    CHECK_EQ(fab_index_publish(p.producer, 6), -EINVAL);
    CHECK_EQ(fab_index_publish(p.producer, 3), 3);
    CHECK_EQ(fab_index_peek(p.consumer, 8, &run), 3);
    CHECK(is((uint64_t *)run + 4, 2, 2));
    CHECK_EQ(fab_index_publish(p.producer, 2), 2);
    CHECK_EQ(fab_index_publish(p.producer, 1), -EINVAL);
    CHECK_EQ(fab_index_release(p.consumer, 4), -EINVAL);
    CHECK_EQ(fab_index_release(p.consumer, 1), 1);
    CHECK_EQ(fab_index_peek(p.consumer, 8, &run), 4);
    CHECK(is(run, 2, 1));
    CHECK_EQ(fab_index_release(p.consumer, 4), 4);
    /* three elements to the end of the ring, then the rest */
    CHECK_EQ(fab_index_claim(p.producer, 8, &run), 3);
    CHECK_EQ(fab_index_publish(p.producer, 3), 3);
    CHECK_EQ(fab_index_claim(p.producer, 8, &run), 5);
    CHECK_EQ(fab_index_publish(p.producer, 5), 5);
    CHECK_EQ(fab_index_claim(p.producer, 1, &run), 0);
    CHECK_EQ(fab_index_push(p.producer, run, 1), 0);
    drop(p);
}

static void each_side_keeps_to_its_role(void) {
    struct pair p = make(8, 8);
    void *run;
    uint64_t one = 1;
    CHECK_EQ(fab_index_claim(p.consumer, 1, &run), -EPERM);
    CHECK_EQ(fab_index_publish(p.consumer, 0), -EPERM);
    CHECK_EQ(fab_index_push(p.consumer, &one, 1), -EPERM);
    CHECK_EQ(fab_index_peek(p.producer, 1, &run), -EPERM);
    CHECK_EQ(fab_index_release(p.producer, 0), -EPERM);
    CHECK_EQ(fab_index_pop(p.producer, &one, 1), -EPERM);
    fab_index *second = NULL;
    CHECK_EQ(fab_index_open(path, FAB_CONSUMER, &second), -EBUSY);
    CHECK_EQ(fab_index_create(path, 8, 8, FAB_PRODUCER, &second), -EBUSY);
    CHECK_EQ(fab_index_open(path, 2, &second), -EINVAL);
    CHECK_EQ(fab_index_other_alive(p.producer), 1);
    fab_index_close(p.consumer);
    CHECK_EQ(fab_index_other_alive(p.producer), 0);
    CHECK_EQ(fab_index_open(path, FAB_CONSUMER, &p.consumer), 0);
    drop(p);
}

/* A consumer may make the ring, and the producer come later. */
static void either_side_may_make_it(void) {
    fab_index *producer = NULL, *consumer = NULL;
    uint64_t in[4] = {1, 2, 3, 4}, out[4];
    unlink(path);
    CHECK_EQ(fab_index_open(path, FAB_CONSUMER, &consumer), -ENOENT);
    CHECK_EQ(fab_index_create(path, 4, 8, FAB_CONSUMER, &consumer), 0);
    CHECK_EQ(fab_index_create(path, 4, 8, FAB_PRODUCER, &producer), 0);
    CHECK_EQ(fab_index_push(producer, in, 4), 4);
    CHECK_EQ(fab_index_pop(consumer, out, 4), 4);
    CHECK_EQ(out[3], 4);
    drop((struct pair){producer, consumer});
}

static void patch(off_t at, uint64_t value, size_t bytes) {
    int fd = open(path, O_WRONLY);
    CHECK_EQ(pwrite(fd, &value, bytes, at), bytes);
    close(fd);
}

static void files_that_are_none_are_refused(void) {
    fab_index *ring = NULL;
    fab_ring *other = NULL;
    uint64_t capacities[] = {0, 1, 3, UINT64_C(1) << 31, UINT64_MAX};
    size_t sizes[] = {0, 4, 12, 65544, SIZE_MAX - 7};
    unlink(path);
    for (size_t i = 0; i < 5; i++) {
        CHECK_EQ(fab_index_create(path, capacities[i], 64, FAB_PRODUCER, &ring), -EINVAL);
        CHECK_EQ(fab_index_create(path, 16, sizes[i], FAB_PRODUCER, &ring), -EINVAL);
    }
    CHECK_EQ(access(path, F_OK), -1);
    drop(make(16, 64));
    CHECK_EQ(fab_index_create(path, 32, 64, FAB_PRODUCER, &ring), -EPROTO);
    CHECK_EQ(fab_index_create(path, 16, 72, FAB_PRODUCER, &ring), -EPROTO);
    CHECK_EQ(fab_ring_open(path, &other), -EINVAL);
    patch(offsetof(struct fab_index_header, published), 17, 8);
    CHECK_EQ(fab_index_open(path, FAB_CONSUMER, &ring), -EBADMSG);
    patch(offsetof(struct fab_index_header, published), 0, 8);
    patch(offsetof(struct fab_file_head, layout), FAB_LAYOUT ^ 1, 4);
    CHECK_EQ(fab_index_open(path, FAB_CONSUMER, &ring), -EPROTO);
    drop(make(16, 64));
    CHECK_EQ(truncate(path, 16 * 64), 0);
    CHECK_EQ(fab_index_open(path, FAB_CONSUMER, &ring), -ENODATA);
    CHECK(ring == NULL && other == NULL);
}

/* What the other side wrote to its index is not believed when it makes no sense. */
static void nonsense_from_the_other_side_is_full_or_empty(void) {
    struct pair p = make(8, 8);
    uint64_t value = 7;
    patch(offsetof(struct fab_index_header, published), 1 << 20, 8);
    CHECK_EQ(fab_index_pop(p.consumer, &value, 1), 0);
    patch(offsetof(struct fab_index_header, released), 99, 8);
    for (int i = 0; i < 8; i++) CHECK_EQ(fab_index_push(p.producer, &value, 1), 1);
    CHECK_EQ(fab_index_push(p.producer, &value, 1), 0);
    drop(p);
}

/* Dead processes' roles: claimed is forgotten, peeked is seen again. */
static void successor_goes_on_from_what_was_given_on(void) {
    struct pair p = make(8, 8);
    drop(p);
    for (int role = FAB_PRODUCER; role <= FAB_CONSUMER; role++) {
        pid_t child = fork();
        if (child == 0) {
            fab_index *ring = NULL;
            void *run;
            if (fab_index_open(path, role, &ring)) _exit(1);
            if (role == FAB_PRODUCER) {
                if (fab_index_claim(ring, 5, &run) != 5) _exit(2);
                for (uint64_t i = 0; i < 5; i++) ((uint64_t *)run)[i] = i;
                fab_index_publish(ring, 3);
            } else {
                if (fab_index_peek(ring, 8, &run) != 4) _exit(2);
                fab_index_release(ring, 2);
            }
            _exit(0); /* without close: as if killed */
        }
        int status = -1;
        waitpid(child, &status, 0);
        CHECK_EQ(status, 0);
        fab_index *next = NULL;
        CHECK_EQ(fab_index_open(path, role, &next), 0);
        if (role == FAB_PRODUCER) {
            uint64_t value = 3;
            CHECK_EQ(fab_index_push(next, &value, 1), 1);
        } else {
            uint64_t out[4] = {0};
            CHECK_EQ(fab_index_pop(next, out, 4), 2);
            CHECK(out[0] == 2 && out[1] == 3);
        }
        fab_index_close(next);
    }
}

int main(void) {
    if (!mkdtemp(dir)) return 2;
    snprintf(path, sizeof path, "%s/ring", dir);
    for (uint64_t capacity = 2; capacity <= 128; capacity *= 4)
        for (size_t words = 1; words <= 16; words *= 2) copies_come_out_in_order(capacity, words);
    copies_come_out_in_order(16, 11);
    runs_are_given_on_in_parts();
    each_side_keeps_to_its_role();
    either_side_may_make_it();
    files_that_are_none_are_refused();
    nonsense_from_the_other_side_is_full_or_empty();
    successor_goes_on_from_what_was_given_on();
    unlink(path);
    rmdir(dir);
    return CHECK_RESULT;
}
