/* A vfio-user client for the tests: one node whose switch 0 is served, requests and their answers.
 */
#ifndef FAB_VFIO_USER_CLIENT_H
#define FAB_VFIO_USER_CLIENT_H

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "default_node.h"
#include "raw_bytes.h"
#include "regs.h"

enum { VERSION = 1, DMA_MAP, DMA_UNMAP, INFO, REGION_INFO, IRQ_INFO = 7, SET_IRQS, READ, WRITE };
enum { RESET = 13, BAR0 = 0, CONFIG = 7, HEADER = 16, NO_REPLY = 0x10, BIGGEST = 65536 };
enum { EVENTFD_TRIGGER = 0x24, NONE_TRIGGER = 0x21, BOOL_TRIGGER = 0x22, MSIX = 2 };
enum { PAGE = 4096, LINK_STATE_8 = GAS_PFF + GAS_PFF_STRIDE + 0xD30 };

static fab_node *node;
static fab_vfio_user *server;
static char path[64];
static uint8_t answer[2 * BIGGEST];

static inline int dial(void) {
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    strcpy(where.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&where, sizeof where)) abort();
    return fd;
}

static inline ssize_t send_with(int client, const void *data, size_t bytes, const int *fds,
                                size_t n) {
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(16 * sizeof(int))];
    } control;
    struct iovec part = {(void *)(uintptr_t)data, bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (n) {
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(n * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    }
    return sendmsg(client, &message, MSG_NOSIGNAL);
}

static inline void head(uint8_t *message, unsigned command, size_t body, uint32_t flags) {
    put(message, 2, 0x4242);
    put(message + 2, 2, command);
    put(message + 4, 4, HEADER + body);
    put(message + 8, 4, flags);
    put(message + 12, 4, 0);
}

static inline int whole(int client, void *out, size_t bytes) {
    return recv(client, out, bytes, MSG_WAITALL) == (ssize_t)bytes;
}

/* One request: bytes of the answer's body (in `answer`), or -errno as the server said, or -EPIPE
 * when it hung up. */
static inline int64_t request(int client, unsigned command, const void *body, size_t bytes,
                              const int *fds, size_t n) {
    static uint8_t message[HEADER + 2 * BIGGEST];
    uint8_t header[HEADER];
    head(message, command, bytes, 0);
    if (bytes) memcpy(message + HEADER, body, bytes);
    if (send_with(client, message, HEADER + bytes, fds, n) < 0) return -EPIPE;
    if (!whole(client, header, HEADER)) return -EPIPE;
    CHECK_EQ(get(header, 2), 0x4242);
    CHECK_EQ(get(header + 2, 2), command);
    CHECK_EQ(get(header + 8, 4) & 0xF, 1);
    size_t rest = get(header + 4, 4) - HEADER;
    CHECK(rest <= sizeof answer);
    if (rest && !whole(client, answer, rest)) return -EPIPE;
    int failed = (get(header + 8, 4) & 0x20) != 0;
    CHECK_EQ(failed, get(header + 12, 4) != 0);
    return failed ? -(int64_t)get(header + 12, 4) : (int64_t)rest;
}

static inline int64_t greet(int client) {
    static const char hello[] = "\0\0\1\0{\"capabilities\":{\"max_msg_fds\":8}}";
    return request(client, VERSION, hello, sizeof hello, NULL, 0);
}

static inline int session(void) {
    int client = dial();
    CHECK(greet(client) > 4);
    return client;
}

static inline int64_t access_region(int client, unsigned command, unsigned region, uint64_t off,
                                    const void *data, uint32_t bytes) {
    static uint8_t body[16 + 2 * BIGGEST];
    put(body, 8, off);
    put(body + 8, 4, region);
    put(body + 12, 4, bytes);
    if (data) memcpy(body + 16, data, bytes);
    return request(client, command, body, data ? 16 + bytes : 16, NULL, 0);
}

static inline uint64_t peek(int client, unsigned region, uint64_t off, unsigned bytes) {
    CHECK_EQ(access_region(client, READ, region, off, NULL, bytes), 16 + bytes);
    return get(answer + 16, bytes);
}
static inline void poke(int client, unsigned region, uint64_t off, uint64_t value, unsigned bytes) {
    uint8_t data[8];
    put(data, 8, value);
    CHECK_EQ(access_region(client, WRITE, region, off, data, bytes), 16);
}

static inline int64_t set_irqs(int client, uint32_t flags, uint32_t kind, uint32_t start,
                               uint32_t count, const int *fds, size_t n) {
    uint8_t body[24] = {0};
    put(body, 4, 20);
    put(body + 4, 4, flags);
    put(body + 8, 4, kind);
    put(body + 12, 4, start);
    put(body + 16, 4, count);
    body[20] = 0;
    body[21] = 1;
    return request(client, SET_IRQS, body, flags == BOOL_TRIGGER ? 22 : 20, fds, n);
}

static inline int64_t map(int client, uint64_t address, uint64_t bytes, uint64_t off,
                          uint32_t flags, int fd) {
    uint8_t body[32];
    put(body, 4, 32);
    put(body + 4, 4, flags);
    put(body + 8, 8, off);
    put(body + 16, 8, address);
    put(body + 24, 8, bytes);
    return request(client, DMA_MAP, body, 32, &fd, fd >= 0);
}
static inline int64_t unmap(int client, uint64_t address, uint64_t bytes, uint32_t flags) {
    uint8_t body[24];
    put(body, 4, 24);
    put(body + 4, 4, flags);
    put(body + 8, 8, address);
    put(body + 16, 8, bytes);
    return request(client, DMA_UNMAP, body, 24, NULL, 0);
}

static inline uint64_t fired(int event) {
    uint64_t n = 0;
    return read(event, &n, sizeof n) == sizeof n ? n : 0;
}

static inline int hung_up(int client) {
    char byte;
    struct pollfd end = {.fd = client, .events = POLLIN};
    return poll(&end, 1, 10000) == 1 && recv(client, &byte, 1, 0) <= 0;
}

static inline int memory(size_t bytes) {
    int fd = memfd_create("guest", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)bytes)) abort();
    return fd;
}

/* Serves switch 0 of the default node as function of a device with several. */
static inline void serve(void) {
    struct default_node plan;
    struct fab_vfio_user_options options = {.multifunction = 1};
    default_node_fill(&plan);
    snprintf(path, sizeof path, "/tmp/fabcore-vfio-user-%d", getpid());
    if (fab_node_create(&plan.config, plan.ports, NULL, &node)) abort();
    if (fab_vfio_user_open(node, 0, path, &options, &server)) abort();
}

static inline int served(void) {
    fab_vfio_user_close(server);
    fab_node_close(node);
    return CHECK_RESULT;
}

#endif
