/* The device's interrupts: MSI-X vectors, each an event descriptor that the client brought. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vfio_user.h"

enum { MSIX = 2, IRQ_KINDS = 5 }; /* VFIO's numbers: INTx, MSI, MSI-X, errors, requests */
enum { INFO_EVENTFD = 1, INFO_NO_RESIZE = 8 };
enum {
    DATA_NONE = 1,
    DATA_BOOL = 2,
    DATA_EVENTFD = 4,
    DATA_MASK = 7,
    ACTION_TRIGGER = 0x20,
    ACTION_MASK = 0x38
};

/* An interrupt must not wait for a client that never reads: a full counter means that it has one
 * coming already. */
static void fire(const struct fab_vfio_user *vu, unsigned vector) {
    uint64_t one = 1;
    struct pollfd room = {.fd = vu->vectors[vector], .events = POLLOUT};
    if (room.fd < 0 || poll(&room, 1, 0) != 1 || !(room.revents & POLLOUT)) return;
    ssize_t n = write(room.fd, &one, sizeof one);
    (void)n;
}

void vfio_user_irq_tell(void *context, unsigned vector) {
    if (vector < VFIO_USER_VECTORS) fire(context, vector);
}

int vfio_user_irq_info(struct fab_vfio_user *vu, struct vfio_user_request *rq, uint8_t *out) {
    (void)vu;
    uint64_t kind = bytes_get(rq->body + 8, 4);
    if (bytes_get(rq->body, 4) < 16 || kind >= IRQ_KINDS) return -EINVAL;
    bytes_put(out, 4, 16);
    bytes_put(out + 4, 4, kind == MSIX ? INFO_EVENTFD | INFO_NO_RESIZE : 0);
    bytes_put(out + 8, 4, kind);
    bytes_put(out + 12, 4, kind == MSIX ? VFIO_USER_VECTORS : 0);
    return 16;
}

/* Anything else would be read or written to by nobody, or stop the node when it is full. */
static int is_eventfd(int fd) {
    char path[40], kind[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, kind, sizeof kind);
    static const char name[] = "anon_inode:[eventfd]";
    return n == (ssize_t)sizeof name - 1 && memcmp(kind, name, (size_t)n) == 0;
}

static void set(struct fab_vfio_user *vu, unsigned vector, int fd) {
    if (vu->vectors[vector] >= 0) close(vu->vectors[vector]);
    vu->vectors[vector] = fd;
}

void vfio_user_irq_forget(struct fab_vfio_user *vu) {
    for (unsigned k = 0; k < VFIO_USER_VECTORS; k++) set(vu, k, -1);
}

/* As many descriptors as vectors, or none: those vectors are off. */
static int set_descriptors(struct fab_vfio_user *vu, struct vfio_user_request *rq, unsigned start,
                           unsigned count) {
    if (rq->fd_count && rq->fd_count != count) return -EINVAL;
    for (size_t k = 0; k < rq->fd_count; k++)
        if (!is_eventfd(rq->fds[k])) return -EINVAL;
    pthread_mutex_lock(&vu->sw->node->lock);
    for (unsigned k = 0; k < count; k++) {
        set(vu, start + k, rq->fd_count ? rq->fds[k] : -1);
        if (rq->fd_count) rq->fds[k] = -1; /* kept */
    }
    pthread_mutex_unlock(&vu->sw->node->lock);
    return 0;
}

/* The client tests its own wiring: named vectors fire once. */
static void loop_back(struct fab_vfio_user *vu, const uint8_t *chosen, unsigned start,
                      unsigned count) {
    pthread_mutex_lock(&vu->sw->node->lock);
    for (unsigned k = 0; k < count; k++)
        if (!chosen || chosen[k]) fire(vu, start + k);
    pthread_mutex_unlock(&vu->sw->node->lock);
}

/* u32 size, flags, kind, first vector, vectors; then a byte a vector with DATA_BOOL. */
int vfio_user_irq_set(struct fab_vfio_user *vu, struct vfio_user_request *rq, uint8_t *out) {
    (void)out;
    uint64_t flags = bytes_get(rq->body + 4, 4), kind = bytes_get(rq->body + 8, 4);
    uint64_t start = bytes_get(rq->body + 12, 4), count = bytes_get(rq->body + 16, 4);
    uint64_t vectors = kind == MSIX ? VFIO_USER_VECTORS : 0, data = flags & DATA_MASK;
    if (bytes_get(rq->body, 4) < 20 || kind >= IRQ_KINDS || start + count > vectors) return -EINVAL;
    if ((flags & ACTION_MASK) != ACTION_TRIGGER || flags & ~(uint64_t)(DATA_MASK | ACTION_MASK))
        return -EINVAL;
    if (data != DATA_EVENTFD && rq->fd_count) return -EINVAL;
    if (data == DATA_EVENTFD) return set_descriptors(vu, rq, (unsigned)start, (unsigned)count);
    if (data == DATA_BOOL) {
        if (rq->bytes - 20 < count) return -EINVAL;
        loop_back(vu, rq->body + 20, (unsigned)start, (unsigned)count);
        return 0;
    }
    if (data != DATA_NONE) return -EINVAL;
    if (count || kind != MSIX) {
        loop_back(vu, NULL, (unsigned)start, (unsigned)count);
        return 0;
    }
    pthread_mutex_lock(&vu->sw->node->lock);
    vfio_user_irq_forget(vu); /* none of none: the kind is off */
    pthread_mutex_unlock(&vu->sw->node->lock);
    return 0;
}
