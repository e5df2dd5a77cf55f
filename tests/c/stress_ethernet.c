/* Clients on threads of their own, events and a vanishing switch, while the node steps: every
 * answer is its request's, and nothing is shared without order (ThreadSanitizer). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "default_node.h"
#include "regs.h"

enum { TALKERS = 4, EXCHANGES = 3000, FLAPS = 2000, HEADER = 16 };

#define LINK_STATE_OF_PFF_0 (GAS_PFF + PFF_EVENT_HEADERS + PFF_EVENT_STRIDE * PFF_LINK_STATE)

static fab_ethernet *server;
static int talking;

static int dial(unsigned sw, unsigned service) {
    struct sockaddr_in at = {.sin_family = AF_INET};
    at.sin_port = htons((uint16_t)fab_ethernet_port(server, sw));
    at.sin_addr.s_addr = htonl(0x7F000001 + sw);
    uint8_t open[HEADER] = {'m', 'l', 's', 's', 1, 0, 1, 0xB1, 0, (uint8_t)service};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at)) abort();
    if (send(fd, open, HEADER, MSG_NOSIGNAL) != HEADER) abort();
    if (recv(fd, open, HEADER, MSG_WAITALL) == HEADER && open[6] == 2) return fd;
    close(fd);
    return -1;
}

/* One request of a function; the answer's body behind its result word. False: it was closed. */
static int ask(int fd, unsigned function, const void *body, unsigned n, void *out,
               unsigned wanted) {
    uint8_t packet[HEADER + 64] = {'m', 'l', 's', 's', 1, 0, (uint8_t)function, 0xB2};
    uint8_t answer[HEADER + 4 + 1024];
    packet[11] = (uint8_t)n;
    packet[13] = (uint8_t)wanted;
    memcpy(packet + HEADER, body, n);
    if (send(fd, packet, HEADER + n, MSG_NOSIGNAL) < 0) return 0;
    ssize_t got = recv(fd, answer, HEADER + 4 + wanted, MSG_WAITALL);
    if (got != (ssize_t)(HEADER + 4 + wanted)) return 0;
    memcpy(out, answer + HEADER + 4, wanted);
    return 1;
}

struct talker {
    unsigned k;
    uint64_t wrong, reopened;
    pthread_t thread;
};

static void *talk(void *context) {
    struct talker *t = context;
    int fd = -1;
    for (uint32_t i = 0; i < EXCHANGES;) {
        if (fd < 0 && (fd = dial(t->k % 4, 1)) < 0) {
            usleep(1000); /* it is gone */
            continue;
        }
        uint32_t echo[2] = {MRPC_PAX_LOCAL << MRPC_PAX_SHIFT | MRPC_ECHO, t->k << 16 | i}, out = 0,
                 id = 0;
        uint8_t read[12] = {0x01, 0x10, 0, 0, 0x00, 0x20, 0, 0, 4, 0, 0, 0};
        if (!ask(fd, 1, echo, 8, &out, 4) || !ask(fd, 2, read, 12, &id, 4)) {
            close(fd);
            fd = -1;
            t->reopened++;
            continue;
        }
        t->wrong += out != ~echo[1] || id != 0x5200;
        i++;
    }
    close(fd);
    fab_fetch_add(&talking, -1);
    return NULL;
}

static void *listen_for_events(void *context) {
    uint64_t *seen = context;
    uint8_t push[HEADER];
    int fd = dial(1, 2);
    if (fd < 0) abort();
    fab_fetch_add(seen, 1);
    while (recv(fd, push, HEADER, MSG_WAITALL) == HEADER) {
        if (push[6] != 4 || push[7] != 0xB2) abort();
        fab_fetch_add(seen, 1);
    }
    close(fd);
    return NULL;
}

int main(void) {
    static struct talker talkers[TALKERS];
    struct fab_ethernet_counters counted;
    uint64_t seen = 0;
    size_t failed;
    pthread_t events;
    struct default_node spec;
    fab_node *node = NULL;
    default_node_fill(&spec);
    CHECK_EQ(fab_node_create(&spec.config, spec.ports, NULL, &node), 0);
    CHECK_EQ(fab_ethernet_open(node, "127.0.0.1", 0, 0, &server, &failed), 0);
    CHECK_EQ(fab_bar_write32(fab_node_bar(node, 1), LINK_STATE_OF_PFF_0, 9), 0);
    talking = TALKERS;
    CHECK_EQ(pthread_create(&events, NULL, listen_for_events, &seen), 0);
    for (unsigned k = 0; k < TALKERS; k++) {
        talkers[k].k = k;
        CHECK_EQ(pthread_create(&talkers[k].thread, NULL, talk, &talkers[k]), 0);
    }
    while (!fab_load_acquire(&seen)) usleep(100);
    for (unsigned k = 0; k < FLAPS || fab_load_acquire(&talking); k++) {
        fab_node_fault(node, 1, k % 2 ? FAB_FAULT_LINK_UP : FAB_FAULT_LINK_DOWN, 0, 1);
        fab_node_advance(node, 0.001);
        if (k % 64 == 0 && k < FLAPS) fab_node_fault(node, 2, FAB_FAULT_GONE, 0, 1);
        if (k % 64 == 32) fab_node_fault(node, 2, FAB_FAULT_BACK, 0, 1);
        fab_ethernet_counters(server, &counted);
        usleep(200);
    }
    for (unsigned k = 0; k < TALKERS; k++) {
        pthread_join(talkers[k].thread, NULL);
        CHECK_EQ(talkers[k].wrong, 0);
        CHECK(k == 2 || !talkers[k].reopened);
    }
    fab_ethernet_counters(server, &counted);
    CHECK(counted.commands >= 2u * TALKERS * EXCHANGES);
    fab_ethernet_close(server); /* with a client connected */
    pthread_join(events, NULL);
    CHECK(fab_load_acquire(&seen) > 1);
    fab_node_close(node);
    return CHECK_RESULT;
}
