/* The request queue: asking and answering, giving up, sizes, the dead on either side. */
#define _GNU_SOURCE
#include "check.h"
#include "fabcore.h"
#include "observe/process.h"
#include "observe/request.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)

static char dir[] = "/tmp/fab_request.XXXXXX";
static char path[64];

static fab_request_queue *serve(uint64_t slots, size_t request, size_t reply) {
    fab_request_queue *q = NULL;
    unlink(path);
    CHECK_EQ(fab_request_create(path, slots, request, reply, &q), 0);
    return q;
}

static fab_request_queue *client(void) {
    fab_request_queue *q = NULL;
    CHECK_EQ(fab_request_open(path, &q), 0);
    return q;
}

struct call {
    fab_request_queue *queue;
    char request[64], reply[64];
    size_t bytes, max;
    uint64_t timeout_ns;
    int64_t rc;
    pthread_t thread;
};

static void *ask(void *context) {
    struct call *c = context;
    c->rc = fab_request_call(c->queue, c->request, c->bytes, c->reply, c->max, c->timeout_ns);
    return NULL;
}

static void start(struct call *c, fab_request_queue *q, const char *text, uint64_t timeout_ns) {
    *c = (struct call){.queue = q, .bytes = strlen(text), .max = 64, .timeout_ns = timeout_ns};
    memcpy(c->request, text, c->bytes);
    CHECK_EQ(pthread_create(&c->thread, NULL, ask, c), 0);
}

static int64_t end(struct call *c) {
    pthread_join(c->thread, NULL);
    return c->rc;
}

/* Waits for a request and takes it. */
static int64_t take(fab_request_queue *q, char *text, uint64_t *ticket) {
    uint64_t pid = 0;
    for (int look = 0; look < 200; look++) {
        int64_t n = fab_request_take(q, text, ticket, &pid);
        if (n != -EAGAIN) {
            CHECK_EQ(pid, getpid());
            return n;
        }
        fab_request_wait(q, SECOND / 10);
    }
    return -EAGAIN;
}

static void request_is_answered(void) {
    fab_request_queue *server = serve(4, 64, 64), *q = client();
    char text[64];
    uint64_t ticket;
    struct call c;
    CHECK_EQ(fab_request_take(server, text, &ticket, &(uint64_t){0}), -EAGAIN);
    for (int i = 0; i < 20; i++) {
        start(&c, q, "hello", 10 * SECOND);
        CHECK_EQ(take(server, text, &ticket), 5);
        CHECK(memcmp(text, "hello", 5) == 0);
        if (i % 2) usleep(3000); /* the client sleeps by now */
        CHECK_EQ(fab_request_reply(server, ticket, "good day", 8), 0);
        CHECK_EQ(end(&c), 8);
        CHECK(memcmp(c.reply, "good day", 8) == 0);
        CHECK_EQ(fab_request_reply(server, ticket, "again", 5), -EINVAL);
    }
    start(&c, q, "", 10 * SECOND);
    CHECK_EQ(take(server, text, &ticket), 0);
    CHECK_EQ(fab_request_reply(server, ticket, NULL, -ENOSPC), 0);
    CHECK_EQ(end(&c), -ENOSPC);
    CHECK_EQ(fab_request_take(q, text, &ticket, &(uint64_t){0}), -EPERM);
    CHECK_EQ(fab_request_wait(q, 0), -EPERM);
    fab_request_close(q);
    fab_request_close(server);
}

static void sizes_are_kept_to(void) {
    fab_request_queue *server = serve(2, 8, 16), *q = client(), *other = NULL;
    char text[64] = {0};
    uint64_t ticket;
    struct call c;
    CHECK_EQ(fab_request_bytes(q), 8);
    CHECK_EQ(fab_reply_bytes(q), 16);
    CHECK_EQ(fab_request_call(q, text, 9, text, 64, SECOND), -EMSGSIZE);
    start(&c, q, "12345678", 10 * SECOND);
    CHECK_EQ(take(server, text, &ticket), 8);
    CHECK_EQ(fab_request_reply(server, ticket, text, 17), -EMSGSIZE);
    CHECK_EQ(fab_request_reply(server, ticket, "0123456789abcdef", 16), 0);
    CHECK_EQ(end(&c), 16);
    CHECK_EQ(fab_request_create(path, 2, 8, 16, &other), -EBUSY);
    CHECK_EQ(fab_request_create(path, 4, 8, 16, &other), -EPROTO);
    CHECK_EQ(fab_request_create(path, 3, 8, 16, &other), -EINVAL);
    CHECK_EQ(fab_request_create(path, 2048, 8, 16, &other), -EINVAL);
    CHECK_EQ(fab_request_create(path, 2, 0, 16, &other), -EINVAL);
    CHECK_EQ(fab_request_create(path, 2, 8, 65537, &other), -EINVAL);
    fab_request_close(q);
    fab_request_close(server);
    CHECK_EQ(truncate(path, 300), 0);
    CHECK_EQ(fab_request_open(path, &other), -ENODATA);
    unlink(path);
    CHECK_EQ(fab_request_open(path, &other), -ENOENT);
    CHECK(other == NULL);
}

static void given_up_request_is_never_begun(void) {
    fab_request_queue *server = serve(2, 64, 64), *q = client();
    char text[64];
    uint64_t ticket;
    struct call c;
    CHECK_EQ(fab_request_call(q, "x", 1, text, 64, SECOND / 100), -ETIMEDOUT);
    CHECK_EQ(fab_request_take(server, text, &ticket, &(uint64_t){0}), -EAGAIN);
    /* begun, then left: the reply goes nowhere and the slot comes back */
    start(&c, q, "slow", SECOND / 20);
    CHECK_EQ(take(server, text, &ticket), 4);
    CHECK_EQ(end(&c), -ETIMEDOUT);
    CHECK_EQ(fab_request_reply(server, ticket, "late", 4), -EPIPE);
    CHECK_EQ(fab_request_reply(server, ticket, "late", 4), -EINVAL);
    for (int i = 0; i < 2; i++) CHECK_EQ(request_slot(q, (size_t)i)->client, 0);
    fab_request_close(q);
    fab_request_close(server);
}

/* Two slots, three clients: the third waits for a slot, or gives up. */
static void queue_is_bounded(void) {
    fab_request_queue *server = serve(2, 64, 64), *q = client();
    char text[64];
    uint64_t ticket[2];
    struct call c[3];
    start(&c[0], q, "a", 10 * SECOND);
    start(&c[1], q, "b", 10 * SECOND);
    for (int i = 0; i < 2; i++) CHECK_EQ(take(server, text, &ticket[i]), 1);
    CHECK_EQ(fab_request_call(q, "c", 1, text, 64, SECOND / 100), -ETIMEDOUT);
    start(&c[2], q, "c", 10 * SECOND);
    for (int i = 0; i < 2; i++) CHECK_EQ(fab_request_reply(server, ticket[i], "1", 1), 0);
    CHECK_EQ(take(server, text, &ticket[0]), 1);
    CHECK_EQ(text[0], 'c');
    CHECK_EQ(fab_request_reply(server, ticket[0], "1", 1), 0);
    for (int i = 0; i < 3; i++) CHECK_EQ(end(&c[i]), 1);
    fab_request_close(q);
    fab_request_close(server);
}

/* In a child: asks once and is killed by the parent, or does what it can before that. */
static pid_t child_asks(void) {
    pid_t child = fork();
    if (child) return child;
    fab_request_queue *q = NULL;
    char text[64];
    if (fab_request_open(path, &q)) _exit(1);
    fab_request_call(q, "child", 5, text, 64, 60 * SECOND);
    for (;;) pause();
}

static void kill_and_reap(pid_t child) {
    int status = 0;
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
}

static void slots_of_dead_clients_come_back(void) {
    fab_request_queue *server = serve(2, 64, 64), *q = client();
    char text[64];
    uint64_t ticket, pid;
    for (int round = 0; round < 6; round++) {
        pid_t child = child_asks();
        while (fab_request_take(server, text, &ticket, &pid) < 0)
            fab_request_wait(server, SECOND / 10);
        CHECK_EQ(pid, child);
        if (round % 2) CHECK_EQ(fab_request_reply(server, ticket, "x", 1), 0);
        kill_and_reap(child);
        if (!(round % 2)) CHECK_EQ(fab_request_reply(server, ticket, "x", 1), 0);
    }
    struct call c[2];
    start(&c[0], q, "a", 10 * SECOND);
    start(&c[1], q, "b", 10 * SECOND);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(take(server, text, &ticket), 1);
        CHECK_EQ(fab_request_reply(server, ticket, "1", 1), 0);
    }
    for (int i = 0; i < 2; i++) CHECK_EQ(end(&c[i]), 1);
    fab_request_close(q);
    fab_request_close(server);
}

/* A child serves: takes `taken` requests, says so through *told, and waits to be killed. */
static pid_t child_serves(int taken, int *told) {
    int tell[2];
    char byte;
    CHECK_EQ(pipe(tell), 0);
    pid_t child = fork();
    if (child == 0) {
        fab_request_queue *q = NULL;
        char text[64];
        uint64_t ticket, pid;
        if (fab_request_create(path, 4, 64, 64, &q)) _exit(1);
        if (write(tell[1], "x", 1) != 1) _exit(2);
        while (taken)
            if (fab_request_take(q, text, &ticket, &pid) >= 0)
                taken--;
            else
                fab_request_wait(q, SECOND);
        if (write(tell[1], "x", 1) != 1) _exit(2);
        pause();
    }
    CHECK_EQ(read(tell[0], &byte, 1), 1);
    close(tell[1]);
    *told = tell[0];
    return child;
}

static void clients_of_a_dead_server_are_told(void) {
    unlink(path);
    int told;
    pid_t child = child_serves(1, &told);
    char byte;
    fab_request_queue *q = client(), *server = NULL;
    struct call begun, waiting;
    start(&begun, q, "begun", 60 * SECOND);
    CHECK_EQ(read(told, &byte, 1), 1);
    start(&waiting, q, "waiting", 60 * SECOND);
    usleep(20000);
    kill_and_reap(child);
    CHECK_EQ(end(&begun), -EOWNERDEAD);
    CHECK_EQ(end(&waiting), -EOWNERDEAD);
    CHECK_EQ(fab_request_call(q, "none", 4, begun.reply, 64, SECOND), -EOWNERDEAD);
    CHECK_EQ(fab_request_create(path, 4, 64, 64, &server), 0);
    char text[64];
    uint64_t ticket;
    CHECK_EQ(fab_request_take(server, text, &ticket, &(uint64_t){0}), -EAGAIN);
    start(&begun, q, "next", 10 * SECOND);
    CHECK_EQ(take(server, text, &ticket), 4);
    CHECK_EQ(fab_request_reply(server, ticket, "ok", 2), 0);
    CHECK_EQ(end(&begun), 2);
    close(told);
    fab_request_close(server);
    fab_request_close(q);
}

/* What stands in the slots when a server starts over a dead one's file, made by hand. */
static void successor_answers_what_was_begun_and_serves_the_rest(void) {
    fab_request_queue *server = serve(4, 64, 64), *q = client();
    uint32_t states[4] = {FAB_REQUEST_SERVING, FAB_REQUEST_LEFT, FAB_REQUEST_SUBMITTED,
                          FAB_REQUEST_IDLE};
    fab_request_close(server);
    for (size_t i = 0; i < 4; i++) {
        fab_store_relaxed(&request_slot(q, i)->client, i < 3 ? fab_process_word() : 0);
        fab_store_release(&request_slot(q, i)->state, 256u | states[i]);
    }
    CHECK_EQ(fab_request_create(path, 4, 64, 64, &server), 0);
    CHECK_EQ(STATE(request_slot(q, 0)->state), FAB_REQUEST_DONE);
    CHECK_EQ(request_slot(q, 0)->status, -ECONNRESET);
    CHECK_EQ(STATE(request_slot(q, 1)->state), FAB_REQUEST_IDLE);
    CHECK_EQ(request_slot(q, 1)->client, 0);
    char text[64];
    uint64_t ticket;
    CHECK_EQ(take(server, text, &ticket), 0); /* its bit was never set: found by looking */
    CHECK_EQ(ticket & 0xffffffffu, 2);
    CHECK_EQ(fab_request_reply(server, ticket, "x", 1), 0);
    fab_request_close(q);
    fab_request_close(server);
}

int main(void) {
    if (!mkdtemp(dir)) return 2;
    snprintf(path, sizeof path, "%s/queue", dir);
    request_is_answered();
    sizes_are_kept_to();
    given_up_request_is_never_begun();
    queue_is_bounded();
    slots_of_dead_clients_come_back();
    clients_of_a_dead_server_are_told();
    successor_answers_what_was_begun_and_serves_the_rest();
    unlink(path);
    rmdir(dir);
    return CHECK_RESULT;
}
