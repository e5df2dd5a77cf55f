/* The followed ring's file: made whole or not at all, taken over from a dead writer, opened.
 *
 * A new ring is built under another name and linked to its own when it is complete, so no reader
 * ever finds half a header. Whoever wants to write holds flock() while it looks at writer_pid and
 * puts its own there; the lock is not the writer's mark, because a forked child would keep it.
 */
#define _GNU_SOURCE
#include "observe/ring.h"
#include "observe/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CAPACITY_MIN 2
#define CAPACITY_MAX (UINT64_C(1) << 30)

static int capacity_ok(uint64_t capacity) {
    return capacity >= CAPACITY_MIN && capacity <= CAPACITY_MAX && !(capacity & (capacity - 1));
}

static size_t ring_bytes(uint64_t capacity) {
    return sizeof(struct fab_ring_header) + capacity * sizeof(struct fab_record);
}

static int ring_mmap(int fd, int writable, uint64_t capacity, struct fab_ring *ring) {
    size_t bytes = ring_bytes(capacity);
    void *map = mmap(NULL, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ,
                     MAP_SHARED | MAP_POPULATE, fd, 0);
    if (map == MAP_FAILED) return -errno;
    ring->header = map;
    ring->slots = (struct ring_slot *)((char *)map + sizeof(struct fab_ring_header));
    ring->mask = capacity - 1;
    ring->lag = capacity / 2 < RING_LAG_MAX ? capacity / 2 : RING_LAG_MAX;
    ring->map_bytes = bytes;
    return 0;
}

int ring_map(int fd, int writable, struct fab_ring *ring) {
    struct fab_ring_header header = {0};
    struct stat st;
    if (fstat(fd, &st) != 0) return -errno;
    if (!S_ISREG(st.st_mode)) return -EINVAL;
    ssize_t n = pread(fd, &header, sizeof header, 0);
    if (n < 0) return -errno;
    if ((size_t)n < sizeof header.magic || header.magic != FAB_RING_MAGIC) return -EINVAL;
    if ((size_t)n < sizeof header) return -ENODATA;
    if (header.layout != FAB_LAYOUT || header.record_bytes != sizeof(struct fab_record))
        return -EPROTO;
    if (!capacity_ok(header.capacity)) return -EINVAL;
    if ((uint64_t)st.st_size < ring_bytes(header.capacity)) return -ENODATA;
    return ring_mmap(fd, writable, header.capacity, ring);
}

/* O_NONBLOCK: a FIFO of that name must not hold us up. Symbolic links are refused: -ELOOP. */
static int open_file(const char *path, int flags) {
    int fd = open(path, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/* The writer's mark: pid last (release), so whoever sees the pid sees its start time. */
static void mark_writer(struct fab_ring *ring) {
    ring->writer_pid = (uint64_t)getpid();
    fab_store_relaxed(&ring->header->writer_start, fab_process_start(ring->writer_pid));
    fab_store_release(&ring->header->writer_pid, ring->writer_pid);
}

/* Room is reserved, so that a full file system is an error now and no SIGBUS while publishing. */
static int make_file(int fd, uint64_t capacity, struct fab_ring *ring) {
    int rc = posix_fallocate(fd, 0, (off_t)ring_bytes(capacity));
    if (rc == EOPNOTSUPP || rc == EINVAL)
        rc = ftruncate(fd, (off_t)ring_bytes(capacity)) == 0 ? 0 : errno;
    if (rc != 0) return -rc;
    rc = ring_mmap(fd, 1, capacity, ring);
    if (rc < 0) return rc;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct fab_ring_header *header = ring->header;
    header->layout = FAB_LAYOUT;
    header->record_bytes = sizeof(struct fab_record);
    header->capacity = capacity;
    header->created_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    mark_writer(ring);
    fab_store_release(&header->magic, FAB_RING_MAGIC);
    return 0;
}

/* -EAGAIN: somebody else's file stands at `path` meanwhile. */
static int create_new(const char *path, uint64_t capacity, struct fab_ring *ring) {
    char name[PATH_MAX];
    if ((size_t)snprintf(name, sizeof name, "%s.XXXXXX", path) >= sizeof name) return -ENAMETOOLONG;
    int fd = mkostemp(name, O_CLOEXEC); /* O_EXCL, mode 0600 */
    if (fd < 0) return -errno;
    int rc = make_file(fd, capacity, ring);
    /* link() and not rename(): it never replaces what another creator has put there. */
    if (rc == 0 && link(name, path) != 0) rc = errno == EEXIST ? -EAGAIN : -errno;
    unlink(name);
    close(fd);
    if (rc < 0 && ring->header) munmap(ring->header, ring->map_bytes);
    if (rc < 0) ring->header = NULL;
    return rc;
}

/* Records and count stay; a slot that the dead writer left half-written is the next to be written.
 */
static int take_over_locked(int fd, uint64_t capacity, struct fab_ring *ring) {
    int rc = ring_map(fd, 1, ring);
    if (rc < 0) return rc == -EINVAL ? -EEXIST : rc;
    uint64_t pid = fab_load_acquire(&ring->header->writer_pid);
    uint64_t start = fab_load_relaxed(&ring->header->writer_start);
    if (fab_process_alive(pid, start, UINT64_MAX))
        rc = -EBUSY;
    else if (ring->mask + 1 != capacity)
        rc = -EPROTO;
    if (rc < 0) {
        munmap(ring->header, ring->map_bytes);
        return rc;
    }
    ring->published = fab_ring_published(ring);
    fab_store_release(&ring->header->published, ring->published);
    mark_writer(ring);
    return 0;
}

static int take_over(int fd, uint64_t capacity, struct fab_ring *ring) {
    /* Only another creator holds the lock, and it is about to be the live writer. */
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) return errno == EWOULDBLOCK ? -EBUSY : -errno;
    int rc = take_over_locked(fd, capacity, ring);
    flock(fd, LOCK_UN); /* close() would not: the mapping keeps the open file */
    return rc;
}

int fab_ring_create(const char *path, uint64_t capacity, fab_ring **out) {
    if (!capacity_ok(capacity)) return -EINVAL;
    struct fab_ring *ring = calloc(1, sizeof *ring);
    if (!ring) return -ENOMEM;
    int rc = -EAGAIN;
    for (int attempt = 0; attempt < 3 && rc == -EAGAIN; attempt++) {
        int fd = open_file(path, O_RDWR);
        if (fd == -ENOENT) {
            rc = create_new(path, capacity, ring);
        } else if (fd < 0) {
            rc = fd == -EISDIR || fd == -ENXIO ? -EEXIST : fd;
        } else {
            rc = take_over(fd, capacity, ring);
            close(fd);
        }
    }
    if (rc < 0)
        free(ring);
    else
        *out = ring;
    return rc;
}

int fab_ring_open(const char *path, fab_ring **out) {
    int fd = open_file(path, O_RDONLY);
    if (fd < 0) return fd;
    struct fab_ring *ring = calloc(1, sizeof *ring);
    int rc = ring ? ring_map(fd, 0, ring) : -ENOMEM;
    close(fd);
    if (rc < 0)
        free(ring);
    else
        *out = ring;
    return rc;
}

/* A child that inherited the handle must not sign its parent off. */
void fab_ring_close(fab_ring *ring) {
    if (!ring) return;
    if (ring->writer_pid && ring->writer_pid == (uint64_t)getpid())
        fab_store_release(&ring->header->writer_pid, 0);
    munmap(ring->header, ring->map_bytes);
    free(ring);
}
