/* The BAR: register accesses to a mapping, whatever is behind it. The only volatile of the tree.
 *
 * Three kinds look alike from outside: plain memory or MMIO (accesses go straight), a page-backed
 * image of a node in another process (writes are queued, reads wait for the bar's own), and a
 * trapped image of a node in this process (writes call it). An emulated device that has vanished
 * answers as PCIe does: reads are all ones, writes are lost.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bar.h"
#include "observe/process.h"
#include "regs.h"

enum {
    BATCH = 64,                /* writes of a block that are queued at a time */
    READS_PER_LOOK = 16,       /* reads between two looks at the clock */
    LOOK_NS = 50 * 1000 * 1000 /* between two looks at whether the node's process lives */
};

static struct fab_bar_page *find_page(void *base, size_t bytes) {
    if (bytes < FAB_BAR_BYTES) return NULL;
    struct fab_bar_page *page = (void *)((unsigned char *)base + FAB_GAS_BYTES);
    return fab_load_acquire(&page->magic) == FAB_PAGE_MAGIC ? page : NULL;
}

static fab_bar *make(void *base, size_t bytes) {
    fab_bar *bar = calloc(1, sizeof *bar);
    if (!bar) return NULL;
    bar->base = base;
    bar->page = find_page(base, bytes);
    bar->bytes = bar->page ? FAB_GAS_BYTES : bytes;
    bar->owner = (uint64_t)getpid() << 32 | (uint32_t)fab_process_start((uint64_t)getpid());
    return bar;
}

int fab_bar_from_buffer(void *base, size_t bytes, fab_bar **out) {
    if (!base || !bytes || (uintptr_t)base % 8) return -EINVAL;
    fab_bar *bar = make(base, bytes);
    if (!bar) return -ENOMEM;
    int rc = bar->page ? bar_check_page(bar->page) : 0;
    if (rc) {
        free(bar);
        return rc;
    }
    bar->queued = bar->page != NULL;
    if (bar->queued) bar->posted = fab_load_acquire(&bar->page->acked);
    *out = bar;
    return 0;
}

int fab_bar_trapped(void *base, size_t bytes, fab_trap_fn trap, void *context, fab_bar **out) {
    if (!base || !bytes || (uintptr_t)base % 8 || !trap) return -EINVAL;
    fab_bar *bar = make(base, bytes);
    if (!bar) return -ENOMEM;
    if (bytes >= FAB_BAR_BYTES) bar->bytes = FAB_GAS_BYTES;
    bar->trap = trap;
    bar->context = context;
    *out = bar;
    return 0;
}

int fab_bar_open(const char *target, fab_bar **out) {
    void *base;
    size_t bytes;
    int rc = bar_map(target, &base, &bytes);
    if (rc) return rc;
    rc = fab_bar_from_buffer(base, bytes, out);
    if (rc)
        munmap(base, bytes);
    else
        (*out)->mapped = bytes;
    return rc;
}

void fab_bar_close(fab_bar *bar) {
    if (!bar) return;
    if (bar->mapped) munmap(bar->base, bar->mapped);
    free(bar);
}

size_t fab_bar_bytes(const fab_bar *bar) {
    return bar->bytes;
}
struct fab_bar_page *fab_bar_page(const fab_bar *bar) {
    return bar->page;
}
uint64_t fab_bar_writes(const fab_bar *bar) {
    return fab_load_relaxed(&bar->writes);
}

static int check(const fab_bar *bar, uint64_t off, unsigned width) {
    if (off > bar->bytes - width || bar->bytes < width) return -ERANGE;
    return off & (width - 1) ? -EINVAL : 0;
}

static int gone(const fab_bar *bar) {
    return bar->page && fab_load_acquire(&bar->page->state) == FAB_NODE_GONE;
}

/* A killed node leaves its last numbers in the image and nobody to say that they are old, so a
 * bar that only reads has to look for itself, now and then. 0 or -ENODEV. */
static int look_after_owner(fab_bar *bar) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    uint64_t now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    if (now - bar->looked_ns < LOOK_NS) return 0;
    bar->looked_ns = now;
    const struct fab_bar_page *page = bar->page;
    bar->dead = !fab_process_alive(page->owner_pid, page->owner_start, UINT64_MAX);
    return bar->dead ? -ENODEV : 0;
}

/* 0: read the image; 1: the device is gone, all ones; -errno. */
static int ready(fab_bar *bar) {
    if (gone(bar)) return 1;
    if (!bar->queued) return 0;
    int rc = bar->dead ? -ENODEV : bar_settle(bar);
    if (!rc && ++bar->reads % READS_PER_LOOK == 0) rc = look_after_owner(bar);
    return rc == -ENODEV && gone(bar) ? 1 : rc;
}

/* Threads share a trapped bar only. */
static void count_write(fab_bar *bar) {
    if (bar->trap)
        fab_fetch_add(&bar->writes, 1);
    else
        bar->writes++;
}

#define READ(width, type)                                                          \
    int fab_bar_read##width(fab_bar *bar, uint64_t off, type *value) {             \
        int rc = check(bar, off, sizeof(type));                                    \
        if (!rc) rc = ready(bar);                                                  \
        if (rc < 0) return rc;                                                     \
        *value = rc ? (type) ~(type)0 : *(const volatile type *)(bar->base + off); \
        return 0;                                                                  \
    }
READ(8, uint8_t)
READ(16, uint16_t)
READ(32, uint32_t)
READ(64, uint64_t)

static void store(fab_bar *bar, uint64_t off, uint64_t value, unsigned width) {
    unsigned char *p = bar->base + off;
    if (width == 8)
        *(volatile uint64_t *)p = value;
    else if (width == 4)
        *(volatile uint32_t *)p = (uint32_t)value;
    else if (width == 2)
        *(volatile uint16_t *)p = (uint16_t)value;
    else
        *(volatile uint8_t *)p = (uint8_t)value;
}

static int put(fab_bar *bar, uint64_t off, uint64_t value, unsigned width) {
    int rc = check(bar, off, width);
    if (rc) return rc;
    count_write(bar);
    if (gone(bar)) return 0;
    if (bar->dead) return -ENODEV;
    if (bar->trap) return bar->trap(bar->context, off, value, width);
    if (!bar->queued) {
        store(bar, off, value, width);
        return 0;
    }
    struct fab_posted_write w = {value, (uint32_t)off, width};
    return bar_post(bar, &w, 1);
}

int fab_bar_write8(fab_bar *bar, uint64_t off, uint8_t value) {
    return put(bar, off, value, 1);
}
int fab_bar_write16(fab_bar *bar, uint64_t off, uint16_t value) {
    return put(bar, off, value, 2);
}
int fab_bar_write32(fab_bar *bar, uint64_t off, uint32_t value) {
    return put(bar, off, value, 4);
}
int fab_bar_write64(fab_bar *bar, uint64_t off, uint64_t value) {
    return put(bar, off, value, 8);
}

/* The width of the next access of a block: 4, or less toward an unaligned end. */
static unsigned piece(uint64_t off, size_t left) {
    if (!(off & 3) && left >= 4) return 4;
    return !(off & 1) && left >= 2 ? 2 : 1;
}

int fab_bar_read_block(fab_bar *bar, uint64_t off, void *out, size_t bytes) {
    if (off > bar->bytes || bytes > bar->bytes - off) return -ERANGE;
    int rc = ready(bar);
    if (rc < 0) return rc;
    if (rc) {
        memset(out, 0xff, bytes);
        return 0;
    }
    const unsigned char *from = bar->base + off;
    unsigned char *to = out;
    for (size_t at = 0; at < bytes;) {
        unsigned width = piece(off + at, bytes - at);
        if (width == 4) {
            uint32_t v = *(const volatile uint32_t *)(from + at);
            memcpy(to + at, &v, 4);
        } else if (width == 2) {
            uint16_t v = *(const volatile uint16_t *)(from + at);
            memcpy(to + at, &v, 2);
        } else {
            to[at] = *(const volatile uint8_t *)(from + at);
        }
        at += width;
    }
    return 0;
}

int fab_bar_write_block(fab_bar *bar, uint64_t off, const void *data, size_t bytes) {
    if (off > bar->bytes || bytes > bar->bytes - off) return -ERANGE;
    struct fab_posted_write batch[BATCH];
    const unsigned char *from = data;
    size_t n = 0;
    int rc = 0;
    for (size_t at = 0; at < bytes && !rc;) {
        unsigned width = piece(off + at, bytes - at);
        uint64_t value = 0;
        memcpy(&value, from + at, width);
        if (bar->queued && !bar->dead && !gone(bar)) {
            batch[n++] = (struct fab_posted_write){value, (uint32_t)(off + at), width};
            count_write(bar);
            if (n == BATCH || at + width == bytes) rc = bar_post(bar, batch, n), n = 0;
        } else {
            rc = put(bar, off + at, value, width);
        }
        at += width;
    }
    return rc;
}

/* On PCIe a read pushes the writes posted before it; GAS has a register for just that. */
int fab_bar_flush(fab_bar *bar) {
    int rc = ready(bar);
    if (rc) return rc > 0 ? -ENODEV : rc;
    if (!bar->queued && !bar->trap)
        (void)*(const volatile uint8_t *)(bar->base + (bar->bytes > GAS_FLUSH ? GAS_FLUSH : 0));
    return 0;
}
