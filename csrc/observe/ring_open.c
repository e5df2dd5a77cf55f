/* Handles of the followed ring: created, taken over from a dead writer, joined, opened. */
#define _GNU_SOURCE
#include "observe/file.h"
#include "observe/ring.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define LAG_MAX 64 /* records; see fab_ring.h, and CLAIM_MOST */
#define RECORD_BYTES_MAX 4096

static size_t slots_at(const struct fab_file_head *head) {
    size_t table =
        head->writers == FAB_MANY_WRITERS ? FAB_RING_WRITERS * sizeof(struct fab_ring_writer) : 0;
    return sizeof(struct fab_ring_header) + table;
}

static size_t ring_bytes(const struct fab_file_head *head) {
    if (!capacity_ok(head->capacity) || head->element_bytes % 8 || head->element_bytes < 16 ||
        head->element_bytes > RECORD_BYTES_MAX || head->writers > FAB_MANY_WRITERS)
        return 0;
    return slots_at(head) + head->capacity * head->element_bytes;
}

static void map_ring(struct fab_ring *ring, struct fab_file_head *head, size_t bytes) {
    ring->header = (struct fab_ring_header *)head;
    ring->slots = (uint64_t *)(void *)((char *)head + slots_at(head));
    ring->mask = head->capacity - 1;
    ring->words = head->element_bytes / 8;
    ring->lag = head->capacity / 2 < LAG_MAX ? head->capacity / 2 : LAG_MAX;
    ring->map_bytes = bytes;
    ring->many = head->writers == FAB_MANY_WRITERS;
}

/* Records and count stay; a slot that a dead writer left half-written is the next to be written,
 * or with many writers is taken from it. */
static int enter(struct fab_file_head *head, size_t bytes, void *self) {
    struct fab_ring *ring = self;
    map_ring(ring, head, bytes);
    if (fab_ring_published(ring) > SEQ_INDEX) return -EBADMSG;
    int rc =
        head->writers == FAB_MANY_WRITERS ? ring_join(ring) : owner_take(&ring->header->writer);
    if (rc < 0) return rc;
    ring->writer_pid = (uint64_t)getpid();
    if (ring->self) return 0;
    ring->published = fab_ring_published(ring);
    fab_store_release(&ring->header->published, ring->published);
    return 0;
}

static const struct file_kind ring_kind = {FAB_RING_MAGIC, ring_bytes, enter};

int fab_ring_create(const char *path, uint64_t capacity, size_t record_bytes, int writers,
                    fab_ring **out) {
    struct fab_file_head want = {.capacity = capacity,
                                 .element_bytes = (uint32_t)record_bytes,
                                 .writers = (uint32_t)writers};
    if (record_bytes > RECORD_BYTES_MAX || !ring_bytes(&want)) return -EINVAL;
    struct fab_ring *ring = calloc(1, sizeof *ring);
    if (!ring) return -ENOMEM;
    int rc = file_create(path, &ring_kind, &want, ring);
    if (rc < 0)
        free(ring);
    else
        *out = ring;
    return rc;
}

int fab_ring_open(const char *path, fab_ring **out) {
    struct fab_file_head *head;
    size_t bytes;
    struct fab_ring *ring = calloc(1, sizeof *ring);
    if (!ring) return -ENOMEM;
    int rc = file_open(path, &ring_kind, &head, &bytes);
    if (rc < 0) {
        free(ring);
        return rc;
    }
    map_ring(ring, head, bytes);
    *out = ring;
    return 0;
}

void fab_ring_close(fab_ring *ring) {
    if (!ring) return;
    if (ring->self)
        ring_leave(ring);
    else if (ring->writer_pid)
        owner_leave(&ring->header->writer, ring->writer_pid);
    munmap(ring->header, ring->map_bytes);
    free(ring);
}
