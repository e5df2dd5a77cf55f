/* vfio-user messages: whether one is well formed, who answers it, and the answer's header. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vfio_user.h"

enum { ID = 0, COMMAND = 2, SIZE = 4, FLAGS = 8, ERROR = 12 }; /* fields of the header */
enum { TYPE_MASK = 0xF, TYPE_COMMAND = 0, TYPE_REPLY = 1, NO_REPLY = 0x10, FAILED = 0x20 };
enum {
    VERSION = 1,
    DMA_MAP = 2,
    DMA_UNMAP = 3,
    DEVICE_INFO = 4,
    REGION_INFO = 5,
    IRQ_INFO = 7,
    SET_IRQS = 8,
    REGION_READ = 9,
    REGION_WRITE = 10,
    DEVICE_RESET = 13
};
enum { MAJOR = 0, MINOR = 1 };

static const char capabilities[] =
    "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":65536,\"max_dma_maps\":128,"
    "\"pgsizes\":4096}}";
_Static_assert(VFIO_USER_FDS == 8 && VFIO_USER_DATA == 65536 && VFIO_USER_MAPS == 128,
               "the capabilities say the same");

/* u16 major, u16 minor, JSON that ends with a NUL: nothing in it changes what the device does. */
static int version(struct fab_vfio_user *vu, struct vfio_user_request *rq, uint8_t *out) {
    if (vu->versioned || bytes_get(rq->body, 2) != MAJOR) return -EINVAL;
    if (rq->bytes > 4 && rq->body[rq->bytes - 1]) return -EINVAL;
    uint64_t minor = bytes_get(rq->body + 2, 2);
    bytes_put(out, 2, MAJOR);
    bytes_put(out + 2, 2, minor < MINOR ? minor : MINOR);
    memcpy(out + 4, capabilities, sizeof capabilities);
    vu->versioned = 1;
    return 4 + (int)sizeof capabilities;
}

typedef int (*handler)(struct fab_vfio_user *, struct vfio_user_request *, uint8_t *);
static const struct {
    handler run;
    uint32_t bytes; /* of the body, at least */
    uint32_t fds;   /* at most */
} commands[] = {
    [VERSION] = {version, 4, 0},
    [DMA_MAP] = {vfio_user_dma_map, 32, 1},
    [DMA_UNMAP] = {vfio_user_dma_unmap, 24, 0},
    [DEVICE_INFO] = {vfio_user_device_info, 16, 0},
    [REGION_INFO] = {vfio_user_region_info, 32, 0},
    [IRQ_INFO] = {vfio_user_irq_info, 16, 0},
    [SET_IRQS] = {vfio_user_irq_set, 20, VFIO_USER_FDS},
    [REGION_READ] = {vfio_user_region_read, 16, 0},
    [REGION_WRITE] = {vfio_user_region_write, 16, 0},
    [DEVICE_RESET] = {vfio_user_device_reset, 0, 0},
};

static int run(struct fab_vfio_user *vu, unsigned command, struct vfio_user_request *rq,
               uint8_t *out) {
    if (command >= sizeof commands / sizeof *commands || !commands[command].run) return -ENOTSUP;
    if (!vu->versioned && command != VERSION) return -EPROTO;
    if (rq->bytes < commands[command].bytes || rq->fd_count > commands[command].fds) return -EINVAL;
    return commands[command].run(vu, rq, out);
}

int64_t vfio_user_message_bytes(const uint8_t *header) {
    uint64_t bytes = bytes_get(header + SIZE, 4);
    return bytes < VFIO_USER_HEADER || bytes > VFIO_USER_MESSAGE ? -EMSGSIZE : (int64_t)bytes;
}

static void close_descriptors(struct fab_vfio_user *vu) {
    for (size_t k = 0; k < vu->fd_count; k++)
        if (vu->fds[k] >= 0) close(vu->fds[k]);
    vu->fd_count = 0;
}

int64_t vfio_user_answer(struct fab_vfio_user *vu) {
    const uint8_t *message = vu->message;
    uint8_t *answer = vu->answer;
    struct vfio_user_request rq = {message + VFIO_USER_HEADER, vu->have - VFIO_USER_HEADER, vu->fds,
                                   vu->fd_count};
    uint32_t flags = (uint32_t)bytes_get(message + FLAGS, 4);
    int rc = -EPROTO; /* the server asks nothing, so a reply answers nothing */
    if ((flags & TYPE_MASK) == TYPE_COMMAND)
        rc = run(vu, (unsigned)bytes_get(message + COMMAND, 2), &rq, answer + VFIO_USER_HEADER);
    close_descriptors(vu);
    if (rc == -EPROTO) return rc;
    if (flags & NO_REPLY) return 0;
    size_t bytes = VFIO_USER_HEADER + (rc > 0 ? (size_t)rc : 0);
    memcpy(answer, message, SIZE); /* id and command */
    bytes_put(answer + SIZE, 4, bytes);
    bytes_put(answer + FLAGS, 4, TYPE_REPLY | (rc < 0 ? FAILED : 0));
    bytes_put(answer + ERROR, 4, rc < 0 ? (uint64_t)-rc : 0);
    return (int64_t)bytes;
}
