/* The thread that serves all clients of a node's management protocol. It never waits for one: who
 * does not take its answers is not read any more until it does. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "listen.h"
#include "now.h"

enum { BATCH = 64, EVENT_SEND_BYTES = 4096 };
#define NS_PER_MS UINT64_C(1000000)

int listen_watch(struct fab_ethernet *e, int op, int fd, uint32_t mask, uint64_t tag) {
    struct epoll_event event = {.events = mask, .data.u64 = tag};
    return epoll_ctl(e->epoll, op, fd, &event) < 0 ? -errno : 0;
}

static void count(uint64_t *counter, uint64_t n) {
    fab_store_relaxed(counter, *counter + n);
}

/* ---- one client ---- */

static void drop(struct fab_ethernet *e, struct client *c) {
    if (c->session->end == ETHERNET_REFUSED) count(&e->counters.refused, 1);
    if (c->session->end == ETHERNET_MALFORMED) count(&e->counters.malformed, 1);
    count(&e->counters.open, UINT64_MAX);
    close(c->fd); /* which ends watching it */
    c->fd = -1;
}

/* Reads once: each client in its turn. False: the connection is lost. */
static int take(struct client *c) {
    uint8_t buffer[ETHERNET_IN];
    size_t room = ethernet_room(c->session);
    ssize_t n = recv(c->fd, buffer, room, 0);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        ethernet_finish(c->session);
    else
        ethernet_feed(c->session, buffer, (size_t)n);
    return 1;
}

/* Before the answer goes: a client that has it finds it counted. */
static void tally(struct fab_ethernet *e, struct ethernet_session *s) {
    count(&e->counters.commands, s->commands);
    count(&e->counters.events, s->events);
    s->commands = s->events = 0;
}

/* Sends what there is, an answer's header and body in one piece. False: the connection is lost. */
static int give(struct fab_ethernet *e, struct client *c) {
    struct ethernet_session *s = c->session;
    tally(e, s);
    while (s->out_bytes) {
        ssize_t n = send(c->fd, s->out, s->out_bytes, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno == EAGAIN;
        ethernet_sent(s, (size_t)n);
        tally(e, s);
    }
    return 1;
}

static void settle(struct fab_ethernet *e, struct client *c, int alive) {
    struct ethernet_session *s = c->session;
    if (!alive || s->end) {
        drop(e, c);
        return;
    }
    uint32_t mask = (ethernet_room(s) ? EPOLLIN : 0u) | (s->out_bytes ? EPOLLOUT : 0u);
    if (mask == c->mask) return;
    c->mask = mask;
    uint64_t tag = LISTEN_TAG_CLIENT | (uint64_t)(c - e->clients);
    if (listen_watch(e, EPOLL_CTL_MOD, c->fd, mask, tag)) drop(e, c);
}

static void serve_client(struct fab_ethernet *e, struct client *c, uint32_t events) {
    if (c->fd < 0) return; /* dropped earlier in this batch */
    int alive = 1, before = c->session->channel;
    if (events & EPOLLIN && ethernet_room(c->session))
        alive = take(c);
    else if (events & (EPOLLHUP | EPOLLERR))
        alive = 0;
    if (c->session->channel != before && c->session->channel == CHANNEL_EVENT) {
        /* events that nobody reads are few in the kernel as well */
        int bytes = EVENT_SEND_BYTES;
        setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    }
    settle(e, c, alive && give(e, c));
}

/* ---- new clients ---- */

/* A free seat, or that of the oldest client that never opened a channel when those are too many or
 * all seats are taken; NULL: nobody can go. */
static struct client *find_seat(struct fab_ethernet *e, int must_free) {
    struct client *vacant = NULL, *oldest = NULL;
    unsigned half = 0;
    for (size_t k = 0; k < LISTEN_CLIENTS; k++) {
        struct client *c = &e->clients[k];
        if (c->fd < 0) {
            if (!vacant) vacant = c;
        } else if (c->session->channel == CHANNEL_NONE) {
            half++;
            if (!oldest || c->since < oldest->since) oldest = c;
        }
    }
    if (vacant && half < LISTEN_HALF_OPEN && !must_free) return vacant;
    if (!oldest) return must_free ? NULL : vacant;
    oldest->session->end = ETHERNET_REFUSED;
    drop(e, oldest);
    return oldest;
}

static void watch_doors(struct fab_ethernet *e, uint32_t mask) {
    for (uint32_t k = 0; k < e->node->config.switches; k++)
        listen_watch(e, EPOLL_CTL_MOD, e->doors[k].fd, mask, LISTEN_TAG_DOOR | k);
}

static void accept_client(struct fab_ethernet *e, struct door *door) {
    int fd = accept4(door->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        int full = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
        if (!full || find_seat(e, 1)) return; /* next turn */
        e->paused = now_ns(CLOCK_MONOTONIC);
        watch_doors(e, 0);
        return;
    }
    struct client *c = find_seat(e, 0);
    uint64_t tag = c ? LISTEN_TAG_CLIENT | (uint64_t)(c - e->clients) : 0;
    if (!c || listen_watch(e, EPOLL_CTL_ADD, fd, EPOLLIN, tag)) {
        count(&e->counters.refused, 1);
        close(fd);
        return;
    }
    c->fd = fd;
    c->mask = EPOLLIN;
    c->since = e->arrivals++;
    ethernet_begin(c->session, door->sw);
    count(&e->counters.connections, 1);
    count(&e->counters.open, 1);
}

/* ---- the thread ---- */

static void push_events(struct fab_ethernet *e, const struct door *door) {
    for (size_t k = 0; k < LISTEN_CLIENTS; k++) {
        struct client *c = &e->clients[k];
        if (c->fd < 0 || c->session->sw != door->sw || c->session->channel != CHANNEL_EVENT)
            continue;
        ethernet_event(c->session);
        settle(e, c, give(e, c));
    }
}

static void leave_vanished(struct fab_ethernet *e, const struct door *door) {
    for (size_t k = 0; k < LISTEN_CLIENTS; k++) {
        struct client *c = &e->clients[k];
        if (c->fd < 0 || c->session->sw != door->sw || c->session->channel == CHANNEL_NONE)
            continue;
        ethernet_gone(c->session);
        settle(e, c, give(e, c));
    }
}

/* What no descriptor tells: events, switches that have vanished, room after a shortage. */
static void look_around(struct fab_ethernet *e) {
    for (uint32_t k = 0; k < e->node->config.switches; k++) {
        struct door *door = &e->doors[k];
        if (fab_exchange(&door->told, 0)) push_events(e, door);
        if (fab_load_acquire(&door->sw->page->state) == FAB_NODE_GONE) leave_vanished(e, door);
    }
    if (e->paused && now_ns(CLOCK_MONOTONIC) - e->paused >= LISTEN_LOOK_MS * NS_PER_MS) {
        e->paused = 0;
        watch_doors(e, EPOLLIN);
    }
}

void *listen_serve(void *context) {
    struct fab_ethernet *e = context;
    struct epoll_event events[BATCH];
    while (!fab_load_acquire(&e->stop)) {
        int idle = !e->counters.open && !e->paused;
        int n = epoll_wait(e->epoll, events, BATCH, idle ? -1 : LISTEN_LOOK_MS);
        for (int k = 0; k < n; k++) {
            uint64_t tag = events[k].data.u64, about = tag & UINT32_MAX, woken;
            if (tag & LISTEN_TAG_DOOR && tag & LISTEN_TAG_CLIENT) {
                while (read(e->wake, &woken, sizeof woken) > 0) {
                }
            } else if (tag & LISTEN_TAG_DOOR) {
                accept_client(e, &e->doors[about]);
            } else {
                serve_client(e, &e->clients[about], events[k].events);
            }
        }
        look_around(e);
    }
    return NULL;
}
