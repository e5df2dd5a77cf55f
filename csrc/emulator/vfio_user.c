/* The vfio-user server of a switch: its socket, its thread, and one client at a time. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vfio_user.h"

enum {
    WAITING = 8,           /* clients that may wait for the one being served to leave */
    PATIENCE_MS = 5000,    /* with a client that does not take its answer */
    OUT_OF_FILES_NAP = 100 /* ms */
};

/* ---- one client ---- */

/* 1 when `events` of fd are there, 0 when the server shall end or time is up. */
static int await(const struct fab_vfio_user *vu, int fd, short events, int ms) {
    struct pollfd both[2] = {{.fd = fd, .events = events}, {.fd = vu->stop, .events = POLLIN}};
    int rc;
    do {
        rc = poll(both, 2, ms);
    } while (rc < 0 && errno == EINTR);
    return rc > 0 && !both[1].revents;
}

/* Descriptors belong to the message that their byte is part of. Too many: the client goes. */
static int take_descriptors(struct fab_vfio_user *vu, struct msghdr *header) {
    int rc = header->msg_flags & MSG_CTRUNC ? -EPROTO : 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t k = 0; k < n; k++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + k * sizeof fd, sizeof fd);
            if (vu->fd_count < VFIO_USER_FDS) {
                vu->fds[vu->fd_count++] = fd;
            } else {
                close(fd);
                rc = -EPROTO;
            }
        }
    }
    return rc;
}

/* Takes what is there of the message under way and no more, so that descriptors of the next one
 * stay with it. 1: it is whole; 0: not yet; -errno: the client has left or makes no sense. */
static int receive(struct fab_vfio_user *vu, int client) {
    int64_t whole = VFIO_USER_HEADER;
    if (vu->have >= VFIO_USER_HEADER) whole = vfio_user_message_bytes(vu->message);
    if (whole < 0) return (int)whole;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(VFIO_USER_FDS * sizeof(int))];
    } control;
    struct iovec part = {vu->message + vu->have, (size_t)whole - vu->have};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof control};
    ssize_t n = recvmsg(client, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    int rc = take_descriptors(vu, &header);
    if (rc) return rc;
    if (!n) return -EPIPE;
    vu->have += (size_t)n;
    if (vu->have < VFIO_USER_HEADER) return 0;
    whole = vfio_user_message_bytes(vu->message);
    return whole < 0 ? (int)whole : whole == (int64_t)vu->have;
}

static int reply(struct fab_vfio_user *vu, int client, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
        ssize_t n = send(client, vu->answer + done, bytes - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            done += (size_t)n;
        else if (errno != EAGAIN && errno != EINTR)
            return -errno;
        else if (!await(vu, client, POLLOUT, PATIENCE_MS))
            return -ETIMEDOUT;
    }
    return 0;
}

static void serve_client(struct fab_vfio_user *vu, int client) {
    int rc = 0;
    vu->versioned = 0;
    vu->have = vu->fd_count = 0;
    while (rc >= 0 && await(vu, client, POLLIN, -1)) {
        rc = receive(vu, client);
        if (rc != 1) continue;
        int64_t bytes = vfio_user_answer(vu);
        vu->have = 0;
        rc = bytes > 0 ? reply(vu, client, (size_t)bytes) : (int)bytes;
    }
    for (size_t k = 0; k < vu->fd_count; k++) close(vu->fds[k]);
    vu->fd_count = 0;
    vfio_user_device_forget(vu);
}

static void *serve(void *context) {
    struct fab_vfio_user *vu = context;
    while (await(vu, vu->listening, POLLIN, -1)) {
        int client = accept4(vu->listening, NULL, NULL, SOCK_CLOEXEC);
        if (client >= 0) {
            serve_client(vu, client);
            close(client);
        } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            struct pollfd end = {.fd = vu->stop, .events = POLLIN};
            poll(&end, 1, OUT_OF_FILES_NAP);
        }
    }
    return NULL;
}

/* ---- the socket ---- */

/* 0 when nothing is there any more; -EBUSY: a live server's; -EEXIST: no socket at all. */
static int clear_way(const struct sockaddr_un *where) {
    struct stat st;
    if (lstat(where->sun_path, &st) < 0) return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode)) return -EEXIST;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) return -errno;
    int rc = connect(probe, (const struct sockaddr *)where, sizeof *where) == 0 ? 0 : -errno;
    close(probe);
    if (rc != -ECONNREFUSED) return rc == 0 || rc == -EAGAIN ? -EBUSY : rc;
    return unlink(where->sun_path) < 0 ? -errno : 0;
}

static int listen_at(struct fab_vfio_user *vu) {
    struct stat st;
    int fd = vu->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    int rc = clear_way(&vu->socket);
    if (rc) return rc;
    if (fchmod(fd, 0600) < 0) return -errno; /* bind gives the file these rights from the start */
    if (bind(fd, (const struct sockaddr *)&vu->socket, sizeof vu->socket) < 0) return -errno;
    if (lstat(vu->socket.sun_path, &st) < 0) return -errno;
    vu->device = st.st_dev;
    vu->inode = st.st_ino;
    return listen(fd, WAITING) < 0 ? -errno : 0;
}

/* Under the folder's lock: two servers that start at once must not take each other's socket for
 * a dead one's. */
static int open_socket(struct fab_vfio_user *vu, const char *path) {
    char folder[sizeof vu->socket.sun_path];
    if (!*path) return -EINVAL;
    if (strlen(path) >= sizeof vu->socket.sun_path) return -ENAMETOOLONG;
    vu->socket.sun_family = AF_UNIX;
    strcpy(vu->socket.sun_path, path);
    int dir = open(dirname(strcpy(folder, path)), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) return -errno;
    int rc = flock(dir, LOCK_EX) < 0 ? -errno : listen_at(vu);
    close(dir);
    return rc;
}

/* ---- life ---- */

static int claim(struct fab_vfio_user *vu) {
    struct node_switch *sw = vu->sw;
    pthread_mutex_lock(&sw->node->lock);
    int rc = sw->dma.write ? -EALREADY : 0;
    if (!rc) {
        sw->dma = (struct node_dma){vfio_user_dma_write, vu};
        vfio_user_device_build(vu);
        vfio_user_dma_offer(vu);
    }
    pthread_mutex_unlock(&sw->node->lock);
    return rc;
}

static void release(struct fab_vfio_user *vu) {
    struct node_switch *sw = vu->sw;
    node_unlisten(sw->node, sw->index, &vu->listener);
    pthread_mutex_lock(&sw->node->lock);
    sw->dma = (struct node_dma){0};
    gas_put(sw, GAS_MRPC_DMA_VER, 4, 0);
    pthread_mutex_unlock(&sw->node->lock);
}

int fab_vfio_user_open(fab_node *node, size_t sw, const char *path,
                       const struct fab_vfio_user_options *options, fab_vfio_user **out) {
    if (sw >= node->config.switches) return -ENOENT;
    struct fab_vfio_user *vu = calloc(1, sizeof *vu);
    if (!vu) return -ENOMEM;
    vu->sw = &node->switches[sw];
    vu->pid = getpid();
    vu->listening = vu->stop = -1;
    if (options) vu->options = *options;
    for (unsigned k = 0; k < VFIO_USER_VECTORS; k++) vu->vectors[k] = -1;
    vu->listener = (struct node_listener){.tell = vfio_user_irq_tell, .context = vu};
    int rc = claim(vu);
    if (rc) {
        free(vu);
        return rc;
    }
    node_listen(node, sw, &vu->listener);
    vu->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rc = vu->stop < 0 ? -errno : open_socket(vu, path);
    if (!rc) rc = -pthread_create(&vu->thread, NULL, serve, vu);
    vu->started = rc == 0;
    if (rc)
        fab_vfio_user_close(vu);
    else
        *out = vu;
    return rc;
}

/* Never another server's, should somebody have removed this one's file. */
static void remove_socket(const struct fab_vfio_user *vu) {
    struct stat st;
    if (vu->inode && lstat(vu->socket.sun_path, &st) == 0 && st.st_ino == vu->inode &&
        st.st_dev == vu->device)
        unlink(vu->socket.sun_path);
}

void fab_vfio_user_close(fab_vfio_user *vu) {
    if (!vu) return;
    if (vu->pid == getpid()) {
        if (vu->started) {
            uint64_t one = 1;
            while (write(vu->stop, &one, sizeof one) < 0 && errno == EINTR) continue;
            pthread_join(vu->thread, NULL);
        }
        remove_socket(vu);
        release(vu);
    }
    if (vu->listening >= 0) close(vu->listening);
    if (vu->stop >= 0) close(vu->stop);
    free(vu);
}
