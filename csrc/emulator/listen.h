/* The TCP side of the management protocol, inside: listening sockets, clients, their thread. */
#ifndef FAB_EMULATOR_LISTEN_H
#define FAB_EMULATOR_LISTEN_H

#include "ethernet.h"

enum {
    LISTEN_CLIENTS = 512,   /* connections of a node, at a time */
    LISTEN_HALF_OPEN = 256, /* of them, those that have not opened a channel; the oldest goes */
    LISTEN_LOOK_MS = 100    /* between two looks for switches that have vanished */
};

/* One switch's listening socket. */
struct door {
    int fd;
    uint16_t port;
    uint32_t told; /* an event came; set under the node's lock, taken by the thread */
    struct node_switch *sw;
    struct fab_ethernet *e;
    struct node_listener listener;
};

struct client {
    int fd;        /* -1 = a free seat */
    uint32_t mask; /* what epoll watches */
    uint64_t since;
    struct ethernet_session *session;
};

/* The thread's own, except `stop` and `told` (others write, it reads) and the counters (it writes,
 * others read). */
struct fab_ethernet {
    fab_node *node;
    pthread_t thread;
    int64_t pid; /* whose thread it is: a forked child has none */
    int epoll, wake;
    int stop;
    uint64_t paused; /* no descriptor was left for a new client then; monotonic ns, 0 = no */
    uint64_t arrivals;
    struct fab_ethernet_counters counters;
    struct door doors[FAB_MAX_SWITCHES];
    struct client clients[LISTEN_CLIENTS];
    struct ethernet_session *sessions; /* LISTEN_CLIENTS of them */
};

/* ---- serve.c: the thread ---- */
/* Tags of what epoll watches: a door, a client, or the wake-up. */
#define LISTEN_TAG_DOOR (UINT64_C(1) << 32)
#define LISTEN_TAG_CLIENT (UINT64_C(2) << 32)
#define LISTEN_TAG_WAKE (UINT64_C(3) << 32)
void *listen_serve(void *e);
int listen_watch(struct fab_ethernet *e, int op, int fd, uint32_t mask, uint64_t tag);

#endif
