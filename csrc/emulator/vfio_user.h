/* The emulated switch as a PCI device for a guest, inside: one vfio-user server per switch.
 *
 * vfio-user is VFIO spoken over a Unix socket: the client (a virtual machine monitor) passes every
 * access to the device's config space and BAR as a message, and brings event descriptors for the
 * interrupts and its memory as files. Source: the protocol's text, version 0.1, as QEMU 10.1 and
 * newer speak it. A thread of the server's own takes the messages; nothing else of the node waits.
 *
 * What says "guarded" is the node's lock's, because interrupts and DMA come from whichever thread
 * moves the node. Everything else is the server's thread's.
 */
#ifndef FAB_EMULATOR_VFIO_USER_H
#define FAB_EMULATOR_VFIO_USER_H

#include <sys/types.h>
#include <sys/un.h>

#include "node.h"

enum {
    VFIO_USER_VECTORS = 4, /* MSI-X entries: the Linux driver asks for at least as many */
    VFIO_USER_MAPS = 128,  /* pieces of the client's memory */
    VFIO_USER_FDS = 8,     /* descriptors in one message */
    VFIO_USER_HEADER = 16,
    VFIO_USER_DATA = 65536, /* bytes of one access */
    VFIO_USER_MESSAGE = VFIO_USER_HEADER + 16 + VFIO_USER_DATA
};

/* A piece of the client's memory as the device addresses it. Written to through the file, so that
 * a client that cuts the file short harms itself alone and the node gets no signal; only huge
 * pages, whose files take no write(), are mapped. */
struct vfio_user_map {
    uint64_t address, bytes, offset;
    int file;      /* -1: the client keeps it to itself */
    int writable;  /* the device may write to it */
    void *mapping; /* huge pages */
};

struct fab_vfio_user {
    struct node_switch *sw;
    struct fab_vfio_user_options options;
    struct node_listener listener;
    int64_t pid;               /* of the creator: a forked child must not take the socket away */
    struct sockaddr_un socket; /* where it listens */
    dev_t device;              /* of the socket's file */
    ino_t inode;
    int listening, stop; /* the socket; an eventfd that ends the thread */
    int started;
    pthread_t thread;

    /* guarded */
    struct space space;
    uint32_t words[FUNCTION_SPACE_WORDS];
    uint32_t writable[FUNCTION_SPACE_WORDS];
    uint32_t clearable[FUNCTION_SPACE_WORDS];
    uint32_t sticky[FUNCTION_SPACE_WORDS];
    int vectors[VFIO_USER_VECTORS]; /* event descriptors, -1 = nobody listens */
    struct vfio_user_map maps[VFIO_USER_MAPS];
    size_t map_count;
    int shared, kept; /* the client's memory so far: some came as a file, some did not */

    /* the message being received, its descriptors, the answer */
    int versioned; /* the client has said which version it speaks */
    size_t have;
    size_t fd_count;
    int fds[VFIO_USER_FDS];
    uint8_t message[VFIO_USER_MESSAGE];
    uint8_t answer[VFIO_USER_MESSAGE];
};

/* One request without its header; a handler that keeps a descriptor sets it to -1. */
struct vfio_user_request {
    const uint8_t *body;
    size_t bytes;
    int *fds;
    size_t fd_count;
};

/* ---- vfio_user_protocol.c ---- */
/* Answers the message received: bytes of vu->answer to send (0 = none), or -errno when the client
 * cannot go on. Closes the descriptors that nobody kept. */
int64_t vfio_user_answer(struct fab_vfio_user *vu);
/* The length of the message that starts with this header, or -errno. */
int64_t vfio_user_message_bytes(const uint8_t *header);

/* Below: handlers return bytes put into `out`, behind the answer's header, or -errno, after which
 * nothing has changed. */
/* ---- vfio_user_device.c: what the device is, its config space and registers ---- */
void vfio_user_device_build(struct fab_vfio_user *vu);
int vfio_user_device_info(struct fab_vfio_user *vu, struct vfio_user_request *rq, uint8_t *out);
int vfio_user_region_info(struct fab_vfio_user *vu, struct vfio_user_request *rq, uint8_t *out);
int vfio_user_region_read(struct fab_vfio_user *vu, struct vfio_user_request *rq, uint8_t *out);
int vfio_user_region_write(struct fab_vfio_user *vu, struct vfio_user_request *rq, uint8_t *out);
int vfio_user_device_reset(struct fab_vfio_user *vu, struct vfio_user_request *rq, uint8_t *out);
/* The client has left: what was its own is given back, and the next finds a device as new. */
void vfio_user_device_forget(struct fab_vfio_user *vu);

/* ---- vfio_user_irq.c ---- */
void vfio_user_irq_tell(void *context, unsigned vector); /* a node_listener's */
int vfio_user_irq_info(struct fab_vfio_user *vu, struct vfio_user_request *rq, uint8_t *out);
int vfio_user_irq_set(struct fab_vfio_user *vu, struct vfio_user_request *rq, uint8_t *out);
void vfio_user_irq_forget(struct fab_vfio_user *vu); /* with the lock held */

/* ---- vfio_user_dma.c ---- */
int vfio_user_dma_write(void *context, uint64_t address, const void *data, size_t bytes);
int vfio_user_dma_map(struct fab_vfio_user *vu, struct vfio_user_request *rq, uint8_t *out);
int vfio_user_dma_unmap(struct fab_vfio_user *vu, struct vfio_user_request *rq, uint8_t *out);
void vfio_user_dma_forget(struct fab_vfio_user *vu); /* with the lock held */
/* Offers MRPC by DMA in the registers while it can work; with the lock held. */
void vfio_user_dma_offer(struct fab_vfio_user *vu);

#endif
