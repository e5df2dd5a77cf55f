/* The index ring behind its hot path (fab_index.h): the file and the two roles in it. */
#define _GNU_SOURCE
#include "fab_index.h"
#include "observe/file.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define ELEMENT_BYTES_MAX 65536

static size_t index_bytes(const struct fab_file_head *head) {
    if (!capacity_ok(head->capacity) || head->element_bytes % 8 || !head->element_bytes ||
        head->element_bytes > ELEMENT_BYTES_MAX)
        return 0;
    return sizeof(struct fab_index_header) + head->capacity * head->element_bytes;
}

/* The successor starts from what was published, whatever the private copies of the dead say. */
static int enter(struct fab_file_head *head, size_t bytes, void *self) {
    struct fab_index *ring = self;
    struct fab_index_header *header = (struct fab_index_header *)head;
    int producer = ring->role == FAB_PRODUCER;
    uint64_t published = fab_load_acquire(&header->published);
    uint64_t released = fab_load_acquire(&header->released);
    if (published - released > head->capacity) return -EBADMSG;
    ring->header = header;
    ring->elements = (char *)(header + 1);
    ring->mask = head->capacity - 1;
    ring->element_bytes = head->element_bytes;
    ring->map_bytes = bytes;
    ring->side = producer ? &header->producer : &header->consumer;
    ring->mine = producer ? &header->published : &header->released;
    ring->theirs = producer ? &header->released : &header->published;
    int rc = owner_take(&ring->side->owner);
    if (rc < 0) return rc;
    ring->pid = (uint64_t)getpid();
    ring->side->own = producer ? published : released;
    ring->side->other = producer ? released : published;
    return 0;
}

static const struct file_kind index_kind = {FAB_INDEX_MAGIC, index_bytes, enter};

/* want NULL: the file must be there. */
static int take_side(const char *path, const struct fab_file_head *want, int role,
                     fab_index **out) {
    if (role != FAB_PRODUCER && role != FAB_CONSUMER) return -EINVAL;
    struct fab_index *ring = aligned_alloc(FAB_LINE, sizeof *ring);
    if (!ring) return -ENOMEM;
    *ring = (struct fab_index){.role = role};
    int rc =
        want ? file_create(path, &index_kind, want, ring) : file_enter(path, &index_kind, ring);
    if (rc < 0)
        free(ring);
    else
        *out = ring;
    return rc;
}

int fab_index_create(const char *path, uint64_t capacity, size_t element_bytes, int role,
                     fab_index **out) {
    struct fab_file_head want = {.capacity = capacity, .element_bytes = (uint32_t)element_bytes};
    if (element_bytes > ELEMENT_BYTES_MAX || !index_bytes(&want)) return -EINVAL;
    return take_side(path, &want, role, out);
}

int fab_index_open(const char *path, int role, fab_index **out) {
    return take_side(path, NULL, role, out);
}

void fab_index_close(fab_index *ring) {
    if (!ring) return;
    owner_leave(&ring->side->owner, ring->pid);
    munmap(ring->header, ring->map_bytes);
    free(ring);
}

uint64_t fab_index_capacity(const fab_index *ring) {
    return ring->mask + 1;
}
size_t fab_index_element_bytes(const fab_index *ring) {
    return ring->element_bytes;
}
uint64_t fab_index_published(const fab_index *ring) {
    return fab_load_acquire(&ring->header->published);
}
uint64_t fab_index_released(const fab_index *ring) {
    return fab_load_acquire(&ring->header->released);
}
int fab_index_other_alive(const fab_index *ring) {
    return owner_alive(ring->role == FAB_PRODUCER ? &ring->header->consumer.owner
                                                  : &ring->header->producer.owner);
}
