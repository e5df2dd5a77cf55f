/* Where the owner of a switch stands: a small file of this host, named after the device. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bar.h"
#include "owner_file.h"

#define LOCK_NS UINT64_C(2000000000)
enum { OPENS = 16 /* before giving up on a name that others keep taking away */ };

/* A directory that this process may write, made if it can be. In one that anybody may write, only
 * one's own counts: else a stranger could place the files. */
static bool usable(const char *path) {
    struct stat st;
    if (mkdir(path, 0700) < 0 && errno != EEXIST) return false;
    if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode)) return false;
    if (st.st_uid != geteuid() && st.st_uid != 0) return false;
    return access(path, W_OK | X_OK) == 0;
}

static int find_folder(char *out, size_t room) {
    const char *named = secure_getenv("FABCORE_RUN"), *session = secure_getenv("XDG_RUNTIME_DIR");
    if (named && *named) {
        if (snprintf(out, room, "%s", named) >= (int)room) return -ENAMETOOLONG;
        return usable(out) ? 0 : -EACCES;
    }
    snprintf(out, room, "/run/fabcore");
    if (usable(out)) return 0;
    if (session && *session && snprintf(out, room, "%s/fabcore", session) < (int)room &&
        usable(out))
        return 0;
    snprintf(out, room, "/dev/shm/fabcore-%u", (unsigned)geteuid());
    return usable(out) ? 0 : -EACCES;
}

/* Held for microseconds; whoever is stopped right there keeps others waiting, but not for ever. */
static int lock(int file) {
    struct fab_wait wait = {.limit_ns = LOCK_NS};
    while (flock(file, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) return -errno;
        int rc = fab_wait_next(&wait);
        if (rc < 0) return rc;
    }
    return 0;
}

/* The lock counts only while the file still has its name: its owner takes both away together. */
static int open_named(struct owner_file *f, bool create) {
    struct stat open_one, named;
    f->file = open(f->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0), 0600);
    if (f->file < 0) return errno == EPERM ? -EACCES : -errno;
    int rc = lock(f->file);
    if (rc == 0 && fstat(f->file, &open_one) < 0) rc = -errno;
    if (rc == 0 && (stat(f->path, &named) < 0 || named.st_ino != open_one.st_ino ||
                    named.st_dev != open_one.st_dev))
        rc = -EAGAIN;
    if (rc == 0) f->inode = open_one.st_ino;
    if (rc < 0) owner_file_close(f);
    return rc;
}

int owner_file_open(fab_switch *sw, const char *kind, bool create, struct owner_file *out) {
    char folder[sizeof out->path - sizeof sw->bar->device - 16];
    out->file = -1;
    int rc = find_folder(folder, sizeof folder);
    if (rc < 0) return rc;
    snprintf(out->path, sizeof out->path, "%s/%s.%.10s", folder, sw->bar->device, kind);
    rc = -EAGAIN;
    for (int i = 0; i < OPENS && rc == -EAGAIN; i++) rc = open_named(out, create);
    return rc;
}

/* Unlocked by hand: a mapping keeps the open file, and its lock with it, beyond close. */
void owner_file_close(struct owner_file *f) {
    if (f->file < 0) return;
    flock(f->file, LOCK_UN);
    close(f->file);
    f->file = -1;
}

int owner_file_map(const struct owner_file *f, struct fab_owner_page **out) {
    struct stat st;
    if (fstat(f->file, &st) < 0) return -errno;
    bool fresh = st.st_size == 0;
    if (fresh && ftruncate(f->file, sizeof **out) < 0) return -errno;
    if (!fresh && st.st_size < (off_t)sizeof **out) return -EPROTO;
    struct fab_owner_page *page =
        mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, f->file, 0);
    if (page == MAP_FAILED) return -errno;
    if (fresh || page->magic == 0) { /* 0: its maker died before it was done */
        page->layout = FAB_OWNER_LAYOUT;
        fab_store_release(&page->magic, FAB_OWNER_MAGIC);
    }
    if (page->magic != FAB_OWNER_MAGIC || page->layout != FAB_OWNER_LAYOUT) {
        munmap(page, sizeof *page);
        return -EPROTO;
    }
    *out = page;
    return 0;
}

void owner_file_remove(const struct owner_file *f) {
    unlink(f->path);
}
