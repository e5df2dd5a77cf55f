/* Files of the rings: creation, entering, checking. See file.h.
 *
 * A new file is built under another name and linked to its own when it is complete, so nobody ever
 * finds half of one. Whoever wants a role holds flock() while it looks at the owner's mark and puts
 * its own there; the lock is not the mark, because a forked child would keep it.
 */
#define _GNU_SOURCE
#include "observe/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fab_atomic.h"
#include "now.h"
#include "observe/process.h"

/* O_NONBLOCK: a FIFO of that name must not hold us up. Symbolic links are refused: -ELOOP. */
static int open_fd(const char *path, int flags) {
    int fd = open(path, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static int map_fd(int fd, int writable, size_t bytes, struct fab_file_head **map) {
    void *p = mmap(NULL, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ,
                   MAP_SHARED | MAP_POPULATE, fd, 0);
    if (p == MAP_FAILED) return -errno;
    *map = p;
    return 0;
}

/* 0 and its length if `fd` is a whole file of this kind and layout. */
static int check(int fd, const struct file_kind *kind, struct fab_file_head *head, size_t *bytes) {
    struct stat st;
    if (fstat(fd, &st) != 0) return -errno;
    if (!S_ISREG(st.st_mode)) return -EINVAL;
    ssize_t n = pread(fd, head, sizeof *head, 0);
    if (n < 0) return -errno;
    if ((size_t)n < sizeof head->magic || head->magic != kind->magic) return -EINVAL;
    if ((size_t)n < sizeof *head) return -ENODATA;
    if (head->layout != FAB_LAYOUT) return -EPROTO;
    *bytes = kind->bytes(head);
    if (!*bytes) return -EINVAL;
    return (uint64_t)st.st_size < *bytes ? -ENODATA : 0;
}

/* Room is reserved, so that a full file system is an error now and no SIGBUS later. */
static int make(int fd, const struct file_kind *kind, const struct fab_file_head *want,
                struct fab_file_head **map, size_t bytes, void *self) {
    int rc = posix_fallocate(fd, 0, (off_t)bytes);
    if (rc == EOPNOTSUPP || rc == EINVAL) rc = ftruncate(fd, (off_t)bytes) == 0 ? 0 : errno;
    if (rc != 0) return -rc;
    rc = map_fd(fd, 1, bytes, map);
    if (rc < 0) return rc;
    struct fab_file_head *head = *map;
    *head = *want;
    head->magic = 0;
    head->layout = FAB_LAYOUT;
    head->created_ns = now_ns(CLOCK_REALTIME);
    rc = kind->enter(head, bytes, self);
    if (rc == 0) fab_store_release(&head->magic, kind->magic);
    return rc;
}

/* -EAGAIN: somebody else's file stands at `path` meanwhile. */
static int create_new(const char *path, const struct file_kind *kind,
                      const struct fab_file_head *want, void *self) {
    char name[PATH_MAX];
    struct fab_file_head *map = NULL;
    size_t bytes = kind->bytes(want);
    if ((size_t)snprintf(name, sizeof name, "%s.XXXXXX", path) >= sizeof name) return -ENAMETOOLONG;
    int fd = mkostemp(name, O_CLOEXEC); /* O_EXCL, mode 0600 */
    if (fd < 0) return -errno;
    int rc = make(fd, kind, want, &map, bytes, self);
    /* link() and not rename(): it never replaces what another creator has put there. */
    if (rc == 0 && link(name, path) != 0) rc = errno == EEXIST ? -EAGAIN : -errno;
    unlink(name);
    close(fd);
    if (rc < 0 && map) munmap(map, bytes);
    return rc;
}

static int same(const struct fab_file_head *a, const struct fab_file_head *b) {
    return a->element_bytes == b->element_bytes && a->capacity == b->capacity &&
           a->writers == b->writers && a->reply_bytes == b->reply_bytes;
}

/* want NULL: any constants will do. */
static int enter_fd(int fd, const struct file_kind *kind, const struct fab_file_head *want,
                    void *self) {
    struct fab_file_head head = {0}, *map = NULL;
    size_t bytes;
    int rc = check(fd, kind, &head, &bytes);
    if (rc == 0 && want && !same(&head, want)) rc = -EPROTO;
    if (rc == 0) rc = map_fd(fd, 1, bytes, &map);
    if (rc < 0) return rc;
    rc = kind->enter(map, bytes, self);
    if (rc < 0) munmap(map, bytes);
    return rc;
}

/* Holders of the lock only look and mark: it is waited for. */
static int enter_locked(int fd, const struct file_kind *kind, const struct fab_file_head *want,
                        void *self) {
    while (flock(fd, LOCK_EX) != 0)
        if (errno != EINTR) return -errno;
    int rc = enter_fd(fd, kind, want, self);
    flock(fd, LOCK_UN); /* close() would not: the mapping keeps the open file */
    return rc;
}

int file_create(const char *path, const struct file_kind *kind, const struct fab_file_head *want,
                void *self) {
    int rc = -EAGAIN;
    for (int attempt = 0; attempt < 3 && rc == -EAGAIN; attempt++) {
        int fd = open_fd(path, O_RDWR);
        if (fd == -ENOENT) {
            rc = create_new(path, kind, want, self);
        } else if (fd < 0) {
            rc = fd == -EISDIR || fd == -ENXIO ? -EEXIST : fd;
        } else {
            rc = enter_locked(fd, kind, want, self);
            if (rc == -EINVAL) rc = -EEXIST;
            close(fd);
        }
    }
    return rc;
}

int file_enter(const char *path, const struct file_kind *kind, void *self) {
    int fd = open_fd(path, O_RDWR);
    if (fd < 0) return fd;
    int rc = enter_locked(fd, kind, NULL, self);
    close(fd);
    return rc;
}

int file_open(const char *path, const struct file_kind *kind, struct fab_file_head **map,
              size_t *bytes) {
    struct fab_file_head head = {0};
    int fd = open_fd(path, O_RDONLY);
    if (fd < 0) return fd;
    int rc = check(fd, kind, &head, bytes);
    if (rc == 0) rc = map_fd(fd, 0, *bytes, map);
    close(fd);
    return rc;
}

int owner_alive(const struct fab_owner *owner) {
    uint64_t pid = fab_load_acquire(&owner->pid);
    return fab_process_alive(pid, fab_load_relaxed(&owner->start), UINT64_MAX);
}

/* pid last (release), so whoever sees the pid sees its start time. */
int owner_take(struct fab_owner *owner) {
    if (owner_alive(owner)) return -EBUSY;
    uint64_t pid = (uint64_t)getpid();
    fab_store_release(&owner->pid, UINT64_C(0));
    fab_store_release(&owner->start, fab_process_start(pid));
    fab_store_release(&owner->pid, pid);
    return 0;
}

void owner_leave(struct fab_owner *owner, uint64_t pid) {
    if (pid == (uint64_t)getpid()) fab_store_release(&owner->pid, UINT64_C(0));
}
