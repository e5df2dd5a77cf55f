/* The memory of the switches: private, or files under /dev/shm that other processes map.
 *
 * A file is built under a temporary name and renamed when its magic is in place, so that nobody
 * ever sees an unfinished one. Creating and removing take the directory's flock for a moment; who
 * holds a name is decided by the owner's pid and start time, which no fork or crash can fake.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bar.h"
#include "node.h"
#include "observe/process.h"

enum { NAME_LONGEST = 200, RETRIES = 16 };

/* ---- what stands in the directory already ---- */

static int is_index(const char *name) {
    size_t n = strspn(name, "0123456789");
    return n && name[n] == 0;
}

/* Files are K, or K.new while one is being built. */
static int is_ours(const char *name) {
    size_t n = strspn(name, "0123456789");
    return n && (name[n] == 0 || strcmp(name + n, ".new") == 0);
}

/* 0: a dead node's of this layout; else what stands in the way. With `retire` its page is told
 * GONE, for clients that still map it. */
static int examine(int dir, const char *name, int retire) {
    struct stat st;
    int fd = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return errno == ELOOP || errno == EISDIR ? -EEXIST : -errno;
    int rc = -EEXIST;
    size_t head = offsetof(struct fab_bar_page, pad0);
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= (off_t)(FAB_GAS_BYTES + head)) {
        struct fab_bar_page *page =
            mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, FAB_GAS_BYTES);
        if (page == MAP_FAILED) {
            rc = -errno;
        } else {
            if (fab_load_acquire(&page->magic) != FAB_PAGE_MAGIC)
                rc = -EEXIST;
            else if (page->layout != FAB_LAYOUT)
                rc = -EPROTO;
            else
                rc = bar_page_alive(page) ? -EBUSY : 0;
            if (rc == 0 && retire) fab_store_release(&page->state, FAB_NODE_GONE);
            munmap(page, 4096);
        }
    }
    close(fd);
    return rc;
}

/* Calls for each entry; all must be a dead node's before any is removed. */
static int sweep(int dir, int removing) {
    int rc = 0, copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    if (!list) {
        rc = -errno;
        if (copy >= 0) close(copy);
        return rc;
    }
    for (struct dirent *e; !rc && (e = readdir(list));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (!is_ours(e->d_name))
            rc = -EEXIST;
        else if (is_index(e->d_name))
            rc = examine(dir, e->d_name, removing);
        if (!rc && removing && unlinkat(dir, e->d_name, 0) < 0) rc = -errno;
    }
    closedir(list);
    return rc;
}

/* ---- creating ---- */

static int check_name(const char *name) {
    size_t n = strnlen(name, NAME_LONGEST + 1);
    return n == 0 || n > NAME_LONGEST || name[0] == '.' || strchr(name, '/') ? -EINVAL : 0;
}

/* The directory, locked; a node that is leaving may remove it under us, hence the retries. */
static int open_directory(const char *path) {
    for (int attempt = 0; attempt < RETRIES; attempt++) {
        struct stat st;
        if (mkdir(path, 0700) < 0 && errno != EEXIST) return -errno;
        int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (dir < 0 && errno == ENOENT) continue;
        if (dir < 0) return errno == ENOTDIR || errno == ELOOP ? -EEXIST : -errno;
        if (flock(dir, LOCK_EX) == 0 && fstat(dir, &st) == 0 && st.st_nlink > 0) {
            if (st.st_uid == geteuid() && fchmod(dir, 0700) == 0) return dir;
            close(dir);
            return -EEXIST; /* another user's */
        }
        close(dir);
    }
    return -EAGAIN;
}

static int map_file(struct node_switch *sw, int dir) {
    char name[16];
    struct stat st;
    snprintf(name, sizeof name, "%u.new", sw->index);
    int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return -errno;
    /* the memory is taken now: a full /dev/shm shall fail here, not kill whoever touches it */
    int rc = fchmod(fd, 0600) < 0 || fstat(fd, &st) < 0 ? -errno
                                                        : -posix_fallocate(fd, 0, FAB_BAR_BYTES);
    /* the rest is a hole: a PCI BAR, which the file may become for a guest, is a power of two */
    if (!rc && ftruncate(fd, FAB_FILE_BYTES) < 0) rc = -errno;
    if (!rc) {
        void *p = mmap(NULL, FAB_BAR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
            rc = -errno;
        else
            sw->image = p;
        sw->file = st.st_ino;
    }
    close(fd);
    return rc;
}

int shm_map_private(struct fab_node *node) {
    node->dir = -1;
    for (uint32_t k = 0; k < node->config.switches; k++) {
        void *p =
            mmap(NULL, FAB_BAR_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) return -errno;
        node->switches[k].image = p;
    }
    return 0;
}

int shm_map_files(struct fab_node *node, const char *name) {
    int rc = check_name(name);
    if (rc < 0) return rc;
    snprintf(node->path, sizeof node->path, "/dev/shm/%s", name);
    int dir = open_directory(node->path);
    if (dir < 0) return dir;
    rc = sweep(dir, 0);
    if (!rc) rc = sweep(dir, 1);
    if (rc) {
        close(dir);
        return rc;
    }
    node->dir = dir;
    for (uint32_t k = 0; k < node->config.switches && !rc; k++)
        rc = map_file(&node->switches[k], dir);
    return rc;
}

static void init_page(struct node_switch *sw) {
    struct fab_bar_page *page = sw->page;
    struct fab_node *node = sw->node;
    unsigned blocks = 0;
    page->layout = FAB_LAYOUT;
    page->page_bytes = FAB_PAGE_BYTES;
    page->switch_index = sw->index;
    page->switch_count = node->config.switches;
    page->owner_pid = (uint64_t)node->pid;
    page->owner_start = fab_process_start((uint64_t)node->pid);
    page->owner_place = fab_process_place();
    page->state = FAB_NODE_ALIVE;
    memset(page->module_ports, 0xFF, sizeof page->module_ports);
    for (uint32_t k = 0; k < sw->port_count; k++)
        if (sw->by_pff[k]->cfg.kind == FAB_PORT_MODULE)
            page->module_ports[blocks++] = sw->by_pff[k]->cfg.port;
    for (unsigned b = 0; b < FAB_SWITCH_MODULES; b++)
        for (unsigned f = 0; f < FAB_MAX_FUNCTIONS; f++) /* a fresh cell is held by no ceiling */
            page->cells[b][f].in.ceiling_up = page->cells[b][f].in.ceiling_down = INFINITY;
}

void shm_publish(struct fab_node *node) {
    for (uint32_t k = 0; k < node->config.switches; k++) {
        init_page(&node->switches[k]);
        fab_store_release(&node->switches[k].page->magic, FAB_PAGE_MAGIC);
    }
}

int shm_reveal(struct fab_node *node) {
    for (uint32_t k = 0; k < node->config.switches && node->dir >= 0; k++) {
        char from[16], to[16];
        snprintf(from, sizeof from, "%u.new", k);
        snprintf(to, sizeof to, "%u", k);
        if (renameat(node->dir, from, node->dir, to) < 0) return -errno;
    }
    if (node->dir >= 0) flock(node->dir, LOCK_UN);
    return 0;
}

/* ---- leaving ---- */

static void remove_files(struct fab_node *node) {
    flock(node->dir, LOCK_EX);
    for (uint32_t k = 0; k < node->config.switches; k++) {
        for (int finished = 0; finished < 2; finished++) {
            char name[16];
            struct stat st;
            snprintf(name, sizeof name, finished ? "%u" : "%u.new", k);
            if (fstatat(node->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && node->switches[k].file &&
                st.st_ino == node->switches[k].file) /* never another node's */
                unlinkat(node->dir, name, 0);
        }
    }
    rmdir(node->path); /* stays if somebody put something else there */
}

void shm_unmap(struct fab_node *node) {
    int ours = node->pid == getpid(); /* a forked child leaves its parent's files alone */
    for (uint32_t k = 0; k < node->config.switches; k++)
        if (ours && node->switches[k].page)
            fab_store_release(&node->switches[k].page->state, FAB_NODE_GONE);
    if (node->dir >= 0) {
        if (ours) remove_files(node);
        close(node->dir);
    }
    for (uint32_t k = 0; k < node->config.switches; k++)
        if (node->switches[k].image) munmap(node->switches[k].image, FAB_BAR_BYTES);
}
