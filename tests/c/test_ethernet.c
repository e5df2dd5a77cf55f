/* The management protocol where a client cannot look: sessions that are full, commands that were
 * interrupted, a process without descriptors left, a forked child. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "default_node.h"
#include "ethernet.h"

enum { HEADER = ETHERNET_HEADER };

static fab_node *node;
static struct ethernet_session session;

static void make_node(void) {
    struct default_node spec;
    default_node_fill(&spec);
    CHECK_EQ(fab_node_create(&spec.config, spec.ports, NULL, &node), 0);
}

static void open_session(unsigned channel) {
    uint8_t packet[HEADER] = {'m', 'l', 's', 's', 1, 0, 1, 0xB1, 0, (uint8_t)channel};
    ethernet_begin(&session, &node->switches[0]);
    ethernet_feed(&session, packet, sizeof packet);
    CHECK_EQ(session.out_bytes, HEADER);
    CHECK_EQ(session.out[6], 2);
    ethernet_sent(&session, HEADER);
}

static const uint8_t echo[HEADER + 8] = {'m', 'l', 's', 's', 1,    0, 1,    0xB2, 0, 0, 0, 8,
                                         0,   4,   0,   0,   0x41, 0, 0x7C, 0,    1, 2, 3, 4};

static void test_requests_wait_in_the_session_while_their_answers_have_no_room(void) {
    size_t fed = 0, answers = 0;
    open_session(CHANNEL_COMMAND);
    while (ethernet_room(&session) >= sizeof echo) {
        ethernet_feed(&session, echo, sizeof echo);
        fed++;
        CHECK(fed < 10000);
        if (fed == 10000) return;
    }
    CHECK(session.out_bytes <= ETHERNET_OUT);
    CHECK(session.commands < fed);
    while (session.out_bytes) {
        CHECK_EQ(session.out[11], 8);
        ethernet_sent(&session, HEADER + 8);
        answers++;
    }
    CHECK_EQ(answers, fed);
    CHECK_EQ(session.commands, fed);
    CHECK_EQ(ethernet_room(&session), ETHERNET_IN);
}

static void test_an_interrupted_command_answers_so_and_has_not_run(void) {
    open_session(CHANNEL_COMMAND);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_MRPC_INTERRUPTED, 0, 1), 0);
    for (int again = 0; again < 2; again++) {
        ethernet_feed(&session, echo, sizeof echo);
        CHECK_EQ(session.out_bytes, HEADER + 8);
        CHECK_EQ(bytes_get(session.out + HEADER, 4), again ? 0 : MRPC_INTERRUPTED);
        CHECK_EQ(bytes_get(session.out + HEADER + 4, 4), again ? 0xFBFCFDFE : 0);
        ethernet_sent(&session, session.out_bytes);
    }
}

static void test_events_before_a_push_was_sent_are_one(void) {
    open_session(CHANNEL_EVENT);
    for (int k = 0; k < 1000; k++) ethernet_event(&session);
    CHECK_EQ(session.out_bytes, HEADER);
    CHECK_EQ(session.out[6], 4);
    ethernet_sent(&session, 5); /* one more is due behind the rest of this one */
    CHECK_EQ(session.out_bytes, HEADER - 5);
    ethernet_sent(&session, HEADER - 5);
    CHECK_EQ(session.out_bytes, HEADER);
    ethernet_sent(&session, HEADER);
    CHECK_EQ(session.out_bytes, 0);
    CHECK_EQ(session.events, 2);
}

/* ---- sockets ---- */

static int dial(const fab_ethernet *e) {
    struct sockaddr_in at = {.sin_family = AF_INET};
    at.sin_port = htons((uint16_t)fab_ethernet_port(e, 0));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at)) abort();
    return fd;
}

/* Whether the open is accepted within a second. */
static int opens(int fd) {
    uint8_t packet[HEADER] = {'m', 'l', 's', 's', 1, 0, 1, 0xB1, 0, 1};
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    if (send(fd, packet, HEADER, MSG_NOSIGNAL) != HEADER || poll(&wait, 1, 1000) != 1) return 0;
    return recv(fd, packet, HEADER, 0) == HEADER && packet[6] == 2;
}

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A client waits in the backlog while the process has no descriptor left, without a busy thread;
 * it is served as soon as there is one. */
static void test_a_process_out_of_descriptors_serves_again_when_it_has_some(fab_ethernet *e) {
    struct rlimit before, small;
    int first = dial(e), waiting = dial(e), fillers[64], n = 0;
    CHECK(opens(first));
    CHECK(opens(waiting));
    close(waiting);
    waiting = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    getrlimit(RLIMIT_NOFILE, &before);
    small = before;
    small.rlim_cur = (rlim_t)waiting + 8;
    usleep(200000); /* the closed one's descriptor is free by then */
    setrlimit(RLIMIT_NOFILE, &small);
    while (n < 64 && (fillers[n] = open("/dev/null", O_RDONLY)) >= 0) n++;
    CHECK(n > 0 && n < 64);
    struct sockaddr_in at = {.sin_family = AF_INET};
    at.sin_port = htons((uint16_t)fab_ethernet_port(e, 0));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(connect(waiting, (struct sockaddr *)&at, sizeof at), 0);
    double busy = cpu_seconds();
    CHECK(!opens(waiting));
    CHECK(cpu_seconds() - busy < 0.5);
    while (n) close(fillers[--n]);
    setrlimit(RLIMIT_NOFILE, &before);
    uint8_t packet[HEADER];
    struct pollfd wait = {.fd = waiting, .events = POLLIN};
    CHECK_EQ(poll(&wait, 1, 5000), 1);
    CHECK_EQ(recv(waiting, packet, HEADER, 0), HEADER);
    close(waiting);
    close(first);
}

static void test_a_forked_child_closes_its_copy_without_harm(fab_ethernet *e) {
    int status = 0, fd = dial(e);
    CHECK(opens(fd));
    pid_t child = fork();
    if (child == 0) {
        fab_ethernet_close(e);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(send(fd, echo, sizeof echo, 0), sizeof echo);
    uint8_t answer[HEADER + 8];
    CHECK_EQ(recv(fd, answer, sizeof answer, MSG_WAITALL), sizeof answer);
    close(fd);
}

static void test_addresses_are_checked_before_anything_listens(void) {
    static const struct {
        const char *address;
        unsigned flags;
        int rc;
    } cases[] = {{"localhost", 0, -EINVAL},
                 {"", 0, -EINVAL},
                 {"127.0.0.1 ", 0, -EINVAL},
                 {"::1", 0, -EINVAL},
                 {"127.1", 0, -EINVAL},
                 {"0.0.0.0", 0, -EPERM},
                 {"10.0.0.1", 0, -EPERM},
                 {"126.255.255.255", 0, -EPERM},
                 {"127.255.255.252", 0, -ERANGE},
                 {"0.0.0.0", FAB_ETHERNET_ANYWHERE, -ERANGE},
                 {"255.255.255.255", 1, -ERANGE},
                 {"223.255.255.253", 1, -ERANGE},
                 {"192.0.2.77", 1, -EADDRNOTAVAIL}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        fab_ethernet *e = NULL;
        size_t failed = 99;
        int rc = fab_ethernet_open(node, cases[k].address, 0, cases[k].flags, &e, &failed);
        CHECK_EQ(rc, cases[k].rc);
        CHECK_EQ(failed, 0);
        CHECK(!e);
    }
}

int main(void) {
    fab_ethernet *e = NULL;
    size_t failed;
    make_node();
    test_requests_wait_in_the_session_while_their_answers_have_no_room();
    test_an_interrupted_command_answers_so_and_has_not_run();
    test_events_before_a_push_was_sent_are_one();
    test_addresses_are_checked_before_anything_listens();
    CHECK_EQ(fab_ethernet_open(node, "127.0.0.1", 0, 0, &e, &failed), 0);
    CHECK_EQ(fab_ethernet_port(e, DEFAULT_SWITCHES), -ENOENT);
    test_a_forked_child_closes_its_copy_without_harm(e);
    test_a_process_out_of_descriptors_serves_again_when_it_has_some(e);
    fab_ethernet_close(e);
    fab_ethernet_close(NULL);
    fab_node_close(node);
    return CHECK_RESULT;
}
