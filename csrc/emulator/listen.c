/* The management protocol's life: addresses checked, sockets bound, the thread started and ended.
 */
#define _GNU_SOURCE
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOPBACK_NET 127u
#define LOOPBACK_LAST UINT32_C(0x7FFFFFFE) /* .255 is the broadcast address */
#define MULTICAST_FIRST UINT32_C(0xE0000000)
enum { BACKLOG = 512 };

/* ---- addresses ---- */

static int parse_address(const char *text, unsigned flags, uint32_t switches, uint32_t *first) {
    struct in_addr parsed;
    if (inet_pton(AF_INET, text, &parsed) != 1) return -EINVAL;
    *first = ntohl(parsed.s_addr);
    uint64_t last = (uint64_t)*first + switches - 1;
    if (*first >> 24 == LOOPBACK_NET) return last > LOOPBACK_LAST ? -ERANGE : 0;
    if (!(flags & FAB_ETHERNET_ANYWHERE)) return -EPERM;
    if (*first == INADDR_ANY && switches > 1) return -ERANGE; /* each switch needs its own */
    return last >= MULTICAST_FIRST ? -ERANGE : 0;
}

static int open_door(struct door *door, uint32_t address, uint16_t port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t bytes = sizeof at;
    int yes = 1;
    at.sin_addr.s_addr = htonl(address);
    door->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (door->fd < 0) return -errno;
    /* a node that is started again takes its port at once; clients inherit TCP_NODELAY */
    if (setsockopt(door->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) ||
        setsockopt(door->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) ||
        bind(door->fd, (struct sockaddr *)&at, sizeof at) || listen(door->fd, BACKLOG) ||
        getsockname(door->fd, (struct sockaddr *)&at, &bytes))
        return -errno;
    door->port = ntohs(at.sin_port);
    return 0;
}

/* ---- events ---- */

static void wake_up(struct fab_ethernet *e) {
    uint64_t one = 1;
    ssize_t n = write(e->wake, &one, sizeof one);
    (void)n; /* it fails only when full, and then the thread is awake already */
}

/* With the node's lock held: leaves word and wakes the thread, once until it has looked. */
static void tell(void *context, unsigned vector) {
    struct door *door = context;
    if (vector == VECTOR_EVENT && !fab_exchange(&door->told, 1)) wake_up(door->e);
}

/* ---- life ---- */

static struct fab_ethernet *make(fab_node *node) {
    struct fab_ethernet *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->sessions = calloc(LISTEN_CLIENTS, sizeof *e->sessions);
    if (!e->sessions) {
        free(e);
        return NULL;
    }
    e->node = node;
    e->pid = getpid();
    e->epoll = e->wake = -1;
    for (size_t k = 0; k < LISTEN_CLIENTS; k++)
        e->clients[k] = (struct client){.fd = -1, .session = &e->sessions[k]};
    for (size_t k = 0; k < FAB_MAX_SWITCHES; k++) {
        struct door *door = &e->doors[k];
        door->fd = -1;
        door->e = e;
        door->sw = &node->switches[k];
        door->listener = (struct node_listener){.tell = tell, .context = door};
    }
    return e;
}

static void destroy(struct fab_ethernet *e) {
    for (size_t k = 0; k < LISTEN_CLIENTS; k++)
        if (e->clients[k].fd >= 0) close(e->clients[k].fd);
    for (size_t k = 0; k < FAB_MAX_SWITCHES; k++)
        if (e->doors[k].fd >= 0) close(e->doors[k].fd);
    if (e->wake >= 0) close(e->wake);
    if (e->epoll >= 0) close(e->epoll);
    free(e->sessions);
    free(e);
}

static int prepare(struct fab_ethernet *e, uint32_t address, uint16_t port, size_t *failed) {
    e->epoll = epoll_create1(EPOLL_CLOEXEC);
    e->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (e->epoll < 0 || e->wake < 0) return -errno;
    int rc = listen_watch(e, EPOLL_CTL_ADD, e->wake, EPOLLIN, LISTEN_TAG_WAKE);
    for (uint32_t k = 0; k < e->node->config.switches && !rc; k++) {
        *failed = k;
        rc = open_door(&e->doors[k], address + k, port);
        if (!rc) rc = listen_watch(e, EPOLL_CTL_ADD, e->doors[k].fd, EPOLLIN, LISTEN_TAG_DOOR | k);
    }
    return rc;
}

int fab_ethernet_open(fab_node *node, const char *address, uint16_t port, unsigned flags,
                      fab_ethernet **out, size_t *failed) {
    uint32_t first;
    *failed = 0;
    int rc = parse_address(address, flags, node->config.switches, &first);
    if (rc < 0) return rc;
    struct fab_ethernet *e = make(node);
    if (!e) return -ENOMEM;
    rc = prepare(e, first, port, failed);
    if (!rc) rc = -pthread_create(&e->thread, NULL, listen_serve, e);
    if (rc < 0) {
        destroy(e);
        return rc;
    }
    for (uint32_t k = 0; k < node->config.switches; k++)
        node_listen(node, k, &e->doors[k].listener);
    *out = e;
    return 0;
}

void fab_ethernet_close(fab_ethernet *e) {
    if (!e) return;
    if (e->pid == getpid()) {
        for (uint32_t k = 0; k < e->node->config.switches; k++)
            node_unlisten(e->node, k, &e->doors[k].listener);
        fab_store_release(&e->stop, 1);
        wake_up(e);
        pthread_join(e->thread, NULL);
    }
    destroy(e); /* a child: its copies of the descriptors, not the parent's connections */
}

int fab_ethernet_port(const fab_ethernet *e, size_t sw) {
    return sw < e->node->config.switches ? e->doors[sw].port : -ENOENT;
}

void fab_ethernet_counters(const fab_ethernet *e, struct fab_ethernet_counters *out) {
    out->connections = fab_load_relaxed(&e->counters.connections);
    out->open = fab_load_relaxed(&e->counters.open);
    out->refused = fab_load_relaxed(&e->counters.refused);
    out->malformed = fab_load_relaxed(&e->counters.malformed);
    out->commands = fab_load_relaxed(&e->counters.commands);
    out->events = fab_load_relaxed(&e->counters.events);
}
