/* Any vfio-user messages with any descriptors: each is answered within the answer's room or ends
 * the session, no descriptor is left over, and the device is there afterwards.
 * At least 200 executions a second. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../c/default_node.h"
#include "vfio_user.h"

enum { KINDS = 4 }; /* of descriptors */

static fab_node *node;
static fab_vfio_user *server;
static int kinds[KINDS];

static void start(void) {
    struct default_node spec;
    char path[64];
    default_node_fill(&spec);
    snprintf(path, sizeof path, "/tmp/fabcore-fuzz-%d", getpid());
    if (fab_node_create(&spec.config, spec.ports, NULL, &node)) abort();
    if (fab_vfio_user_open(node, 0, path, NULL, &server)) abort();
    unlink(path); /* nobody shall connect: the fuzzer is the client */
    kinds[0] = memfd_create("guest", MFD_CLOEXEC);
    kinds[1] = eventfd(0, EFD_NONBLOCK);
    kinds[2] = open("/dev/null", O_RDWR);
    kinds[3] = open("/proc/self/stat", O_RDONLY);
    if (ftruncate(kinds[0], 1 << 16)) abort();
}

/* Puts one message together: command, flags, descriptors, length, then the body. */
static size_t message(const uint8_t *data, size_t size) {
    size_t body = data[3] | (size_t)data[4] << 8, room = size - 5;
    if (body > room) body = room;
    memset(server->message, 0, VFIO_USER_HEADER);
    bytes_put(server->message + 2, 2, data[0]);
    bytes_put(server->message + 4, 4, VFIO_USER_HEADER + body);
    bytes_put(server->message + 8, 4, data[1]);
    memcpy(server->message + VFIO_USER_HEADER, data + 5, body);
    server->have = VFIO_USER_HEADER + body;
    server->fd_count = data[2] >> 4 & (VFIO_USER_FDS - 1);
    for (size_t k = 0; k < server->fd_count; k++)
        server->fds[k] =
            fcntl(kinds[(data[2] + k * (data[2] >> 2 & 1)) % KINDS], F_DUPFD_CLOEXEC, 0);
    return 5 + body;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!node) start();
    server->versioned = size & 1; /* half of them need not say hello */
    for (int64_t bytes = 0; size >= 5 && bytes >= 0;) {
        size_t taken = message(data, size);
        if (vfio_user_message_bytes(server->message) != (int64_t)server->have) abort();
        bytes = vfio_user_answer(server);
        if (bytes > (int64_t)sizeof server->answer || server->fd_count) abort();
        data += taken;
        size -= taken;
    }
    vfio_user_device_forget(server);
    if (server->map_count) abort();
    return 0;
}
