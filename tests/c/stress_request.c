/* Four client threads and a server on a queue of two slots, some calls with no patience: every call
 * that is answered gets its own answer, and each request is served once at most. */
#define _GNU_SOURCE
#include "check.h"
#include "fabcore.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define CLIENTS 4
#define CALLS 1500u

static char path[] = "/tmp/fab_stress_request.XXXXXX";
static fab_request_queue *server;
static int asking; /* clients that have not ended */
static unsigned char served[CLIENTS * CALLS];
static uint64_t served_twice;

static void *serve(void *context) {
    (void)context;
    uint64_t request, ticket, pid;
    while (fab_load_acquire(&asking)) {
        if (fab_request_wait(server, 2000000) == 0) continue;
        int64_t n;
        while ((n = fab_request_take(server, &request, &ticket, &pid)) >= 0) {
            if (n != 8 || request >= CLIENTS * CALLS || served[request]++) served_twice++;
            uint64_t reply[2] = {request * 3 + 1, ~request};
            fab_request_reply(server, ticket, reply, 16);
        }
    }
    return NULL;
}

struct tally {
    uint64_t first, answered, wrong;
    pthread_t thread;
};

static void *ask(void *context) {
    struct tally *t = context;
    fab_request_queue *q = NULL;
    if (fab_request_open(path, &q)) abort();
    for (uint64_t i = t->first; i < t->first + CALLS; i++) {
        uint64_t reply[2] = {0};
        uint64_t patience = i % 7 ? UINT64_C(20000000000) : i % 5 * 1000;
        int64_t rc = fab_request_call(q, &i, 8, reply, 16, patience);
        if (rc == 16 && reply[0] == i * 3 + 1 && reply[1] == ~i)
            t->answered++;
        else if (rc != -ETIMEDOUT || i % 7)
            t->wrong++;
    }
    fab_request_close(q);
    fab_fetch_add(&asking, -1);
    return NULL;
}

int main(void) {
    int fd = mkstemp(path);
    if (fd < 0) return 2;
    close(fd);
    unlink(path);
    struct tally tally[CLIENTS] = {{0}};
    pthread_t thread;
    asking = CLIENTS;
    CHECK_EQ(fab_request_create(path, 2, 8, 16, &server), 0);
    CHECK_EQ(pthread_create(&thread, NULL, serve, NULL), 0);
    for (uint64_t i = 0; i < CLIENTS; i++) {
        tally[i].first = i * CALLS;
        CHECK_EQ(pthread_create(&tally[i].thread, NULL, ask, &tally[i]), 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(tally[i].thread, NULL);
        CHECK_EQ(tally[i].wrong, 0);
        CHECK(tally[i].answered >= CALLS - CALLS / 7 - 1);
    }
    pthread_join(thread, NULL);
    CHECK_EQ(served_twice, 0);
    fab_request_close(server);
    unlink(path);
    return CHECK_RESULT;
}
