/* A process killed at any instruction of a ring's hot path: the child is stepped one instruction
 * further each time, then killed, and what it leaves is looked at and taken over. No moment is left
 * to luck, as a kill -9 from outside leaves it (crash_ring.c). */
#define _GNU_SOURCE
#include "check.h"
#include "fabcore.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CAPACITY 4

static char path[] = "/tmp/fab_step.XXXXXX";

/* What is stepped through: `prepare` runs at full speed, `act` one instruction at a time. */
struct act {
    const char *name;
    void (*prepare)(void);
    void (*act)(void);
};

static fab_ring *ring;
static fab_index *side;
static fab_request_queue *queue;

/* 1: killed before its `steps`-th instruction; 0: it came to its end sooner. */
static int killed_after(const struct act *a, long steps) {
    pid_t child = fork();
    if (child == 0) {
        a->prepare();
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        a->act();
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    for (long k = 0; k < steps && WIFSTOPPED(status); k++) {
        ptrace(PTRACE_SINGLESTEP, child, NULL, NULL);
        waitpid(child, &status, 0);
    }
    int killed = WIFSTOPPED(status);
    CHECK(killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    if (!killed) return 0;
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return 1;
}

static int can_trace(void) {
    pid_t child = fork();
    if (child == 0) _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 1);
    int status = 1;
    waitpid(child, &status, 0);
    return status == 0;
}

static struct fab_record record_of(uint64_t value) {
    struct fab_record r = {0,      value,     (uint32_t)value, 1,         2,
                           ~value, value * 3, value * 5,       value * 7, value};
    return r;
}

static int is_whole(const struct fab_record *got) {
    struct fab_record want = record_of(got->time_ns);
    want.seq = got->seq;
    return memcmp(got, &want, sizeof want) == 0;
}

/* ---- the followed ring --------------------------------------------------------------------- */

static int writers;

static void open_writer(void) {
    if (fab_ring_create(path, CAPACITY, 64, writers, &ring)) _exit(9);
}

static void publish_three(void) {
    struct fab_record r[3] = {record_of(901), record_of(902), record_of(903)};
    if (fab_ring_publish(ring, r, 3) != 3) _exit(8);
}

/* A reader that stands before what the dead wrote; it must come out behind it, or the ring be
 * usable all the same. Patience: a dead owner's slot is looked after only after a while. */
static void read_on(fab_reader *reader, uint64_t *sum) {
    struct fab_record out[8];
    for (int look = 0; look < 60; look++) {
        int64_t n = fab_reader_read(reader, out, 8);
        for (int64_t i = 0; i < n; i++) CHECK(is_whole(&out[i]));
        *sum += (uint64_t)n;
        CHECK_EQ(*sum + fab_reader_lost(reader), fab_reader_position(reader));
        if (fab_reader_position(reader) == fab_ring_published(reader->ring)) return;
        if (n == 0) nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    CHECK(!"the reader came to the end");
}

static long follow_killed_everywhere(int many) {
    static const struct act act = {"publish", open_writer, publish_three};
    fab_ring *view = NULL, *next = NULL;
    fab_reader *reader = NULL;
    uint64_t sum = 0;
    long steps = 0;
    writers = many;
    unlink(path);
    CHECK_EQ(fab_ring_create(path, CAPACITY, 64, writers, &next), 0);
    if (!many) fab_ring_close(next); /* many: this one lives on beside the dying */
    CHECK_EQ(fab_ring_open(path, &view), 0);
    CHECK_EQ(fab_reader_open(view, FAB_FROM_OLDEST, &reader), 0);
    while (killed_after(&act, steps)) {
        read_on(reader, &sum);
        if (!many) CHECK_EQ(fab_ring_create(path, CAPACITY, 64, writers, &next), 0);
        struct fab_record two[2] = {record_of(1000 + (uint64_t)steps), record_of(7)};
        CHECK_EQ(fab_ring_publish(next, two, 2), 2);
        struct fab_record out[8];
        int64_t n = fab_reader_read(reader, out, 8);
        CHECK_EQ(n, 2);
        if (n == 2) CHECK(is_whole(&out[0]) && out[0].time_ns == two[0].time_ns);
        sum += n > 0 ? (uint64_t)n : 0;
        if (!many) fab_ring_close(next);
        steps++;
        if (check_failures) break;
    }
    CHECK_EQ(fab_ring_dropped(view), 0);
    fab_reader_close(reader);
    if (many) fab_ring_close(next);
    fab_ring_close(view);
    return steps;
}

/* ---- the index ring ------------------------------------------------------------------------ */

static uint64_t base; /* the next element's value */

static void open_producer(void) {
    if (fab_index_open(path, FAB_PRODUCER, &side)) _exit(9);
}
static void push_three(void) {
    uint64_t e[3] = {base, base + 1, base + 2};
    if (fab_index_push(side, e, 3) != 3) _exit(8);
}
static void open_consumer(void) {
    if (fab_index_open(path, FAB_CONSUMER, &side)) _exit(9);
}
static void peek_and_release(void) {
    void *run;
    int64_t n = fab_index_peek(side, 3, &run);
    if (n < 1) _exit(8);
    fab_index_release(side, (size_t)n);
}

/* Of three elements pushed by the dying none or all are there. */
static long producer_killed_everywhere(void) {
    static const struct act act = {"push", open_producer, push_three};
    fab_index *consumer = NULL;
    long steps = 0;
    unlink(path);
    CHECK_EQ(fab_index_create(path, CAPACITY, 8, FAB_CONSUMER, &consumer), 0);
    for (base = 0; killed_after(&act, steps); steps++) {
        uint64_t out[4] = {0};
        int64_t n = fab_index_pop(consumer, out, 4);
        CHECK(n == 0 || (n == 3 && out[0] == base && out[2] == base + 2));
        base += n > 0 ? (uint64_t)n : 0;
        if (check_failures) break;
    }
    fab_index_close(consumer);
    return steps;
}

/* What the dying had not released is seen again, in order. */
static long consumer_killed_everywhere(void) {
    static const struct act act = {"peek", open_consumer, peek_and_release};
    fab_index *producer = NULL, *consumer = NULL;
    uint64_t in = 0, out = 0;
    long steps = 0;
    unlink(path);
    CHECK_EQ(fab_index_create(path, CAPACITY, 8, FAB_PRODUCER, &producer), 0);
    for (;; steps++) {
        while (fab_index_push(producer, &in, 1) == 1) in++;
        if (!killed_after(&act, steps)) break;
        out = fab_index_released(producer);
        CHECK_EQ(fab_index_open(path, FAB_CONSUMER, &consumer), 0);
        uint64_t value = UINT64_MAX;
        CHECK_EQ(fab_index_pop(consumer, &value, 1), 1);
        CHECK_EQ(value, out);
        fab_index_close(consumer);
        if (check_failures) break;
    }
    fab_index_close(producer);
    return steps;
}

/* ---- the request queue --------------------------------------------------------------------- */

static void open_client(void) {
    if (fab_request_open(path, &queue)) _exit(9);
}
static void ask(void) {
    uint64_t request = 5, reply;
    fab_request_call(queue, &request, 8, &reply, 8, 1000000); /* nobody answers: it gives up */
}

/* Two slots: a leaked one would soon leave none for the living. */
static long client_killed_everywhere(void) {
    static const struct act act = {"ask", open_client, ask};
    fab_request_queue *server = NULL;
    long steps = 0;
    unlink(path);
    CHECK_EQ(fab_request_create(path, 2, 8, 8, &server), 0);
    for (long at = 0; at < 3000 && killed_after(&act, at); at += at < 600 ? 3 : 97, steps++) {
        uint64_t request = 0, ticket, pid;
        int64_t n;
        while ((n = fab_request_take(server, &request, &ticket, &pid)) >= 0) {
            CHECK_EQ(n, 8);
            CHECK_EQ(request, 5);
            CHECK_EQ(fab_request_reply(server, ticket, &request, 8), 0);
        }
        if (check_failures) break;
    }
    fab_request_close(server);
    return steps;
}

static fab_request_queue *successor; /* the parent's, between the dying servers */

static void open_server(void) {
    if (fab_request_create(path, 4, 8, 8, &queue)) _exit(9);
}
static void serve_one(void) {
    uint64_t request, ticket, pid;
    if (fab_request_take(queue, &request, &ticket, &pid) == 8)
        fab_request_reply(queue, ticket, &request, 8);
}

/* A client in a process of its own, which asks for ever and reports what it was told. */
static void ask_for_ever(int report) {
    fab_request_queue *q = NULL;
    if (fab_request_open(path, &q)) _exit(9);
    for (uint64_t i = 0;; i++) {
        uint64_t reply = 0;
        int64_t rc = fab_request_call(q, &i, 8, &reply, 8, UINT64_C(60000000000));
        int good = rc == 8 ? reply == i : rc == -EOWNERDEAD || rc == -ECONNRESET;
        if (!good && write(report, &rc, sizeof rc) != sizeof rc) _exit(8);
        if (rc < 0) nanosleep(&(struct timespec){0, 200000}, NULL);
    }
}

static long server_killed_everywhere(void) {
    static const struct act act = {"serve", open_server, serve_one};
    int report[2];
    long steps = 0, answered = 0;
    unlink(path);
    CHECK_EQ(pipe(report), 0);
    CHECK_EQ(fab_request_create(path, 4, 8, 8, &successor), 0);
    pid_t client = fork();
    if (client == 0) ask_for_ever(report[1]);
    close(report[1]);
    for (;; steps += 2) {
        uint64_t request, ticket, pid;
        int64_t n = -EAGAIN;
        while (n < 0) { /* a request is there, and then the successor dies, too: it is put back */
            fab_request_wait(successor, 20000000);
            n = fab_request_take(successor, &request, &ticket, &pid);
        }
        CHECK_EQ(fab_request_reply(successor, ticket, &request, 8), 0);
        answered++;
        fab_request_close(successor);
        int killed = killed_after(&act, steps);
        CHECK_EQ(fab_request_create(path, 4, 8, 8, &successor), 0);
        if (!killed || check_failures) break;
    }
    kill(client, SIGKILL);
    waitpid(client, NULL, 0);
    int64_t wrong = 0;
    CHECK_EQ(read(report[0], &wrong, sizeof wrong), 0);
    CHECK_EQ(wrong, 0);
    CHECK(answered > 1);
    close(report[0]);
    fab_request_close(successor);
    return steps;
}

int main(void) {
    if (!can_trace()) {
        fprintf(stderr, "skipped: this process may not trace its children\n");
        return 77;
    }
    int fd = mkstemp(path);
    if (fd < 0) return 2;
    close(fd);
    long one = follow_killed_everywhere(FAB_ONE_WRITER);
    long many = follow_killed_everywhere(FAB_MANY_WRITERS);
    long in = producer_killed_everywhere(), out = consumer_killed_everywhere();
    long client = client_killed_everywhere(), server = server_killed_everywhere();
    printf(
        "killed at every one of %ld instructions of a writer, %ld of one of many, %ld of a "
        "producer, %ld of a consumer; at %ld moments of a client, %ld of a server\n",
        one, many, in, out, client, server);
    CHECK(one > 30 && many > 60 && in > 15 && out > 8 && client > 100 && server > 30);
    unlink(path);
    return CHECK_RESULT;
}
