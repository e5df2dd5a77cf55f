/* The BAR: opening, and every access that does not go straight to the mapping.
 *
 * Three kinds look alike from outside: plain memory or MMIO (accesses go straight), a page-backed
 * image of a node in another process (writes are queued, reads wait for the bar's own), and a
 * trapped image of a node in this process (writes call it). A device that was removed answers
 * reads with all ones and loses writes; here both are -ENODEV, so that nobody takes the ones for a
 * value. An emulated node says in its page what hardware says in its config space.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bar.h"
#include "now.h"
#include "regs.h"

enum {
    READS_PER_LOOK = 16,       /* reads between two looks at the clock */
    LOOK_NS = 50 * 1000 * 1000 /* between two looks at whether the node's process lives */
};

/* The exported bodies of the inline accesses. */
extern int fab_bar_read8(fab_bar *bar, uint64_t off, uint8_t *value);
extern int fab_bar_read16(fab_bar *bar, uint64_t off, uint16_t *value);
extern int fab_bar_read32(fab_bar *bar, uint64_t off, uint32_t *value);
extern int fab_bar_read64(fab_bar *bar, uint64_t off, uint64_t *value);
extern int64_t fab_bar_get32(fab_bar *bar, uint64_t off);
extern int fab_bar_write8(fab_bar *bar, uint64_t off, uint8_t value);
extern int fab_bar_write16(fab_bar *bar, uint64_t off, uint16_t value);
extern int fab_bar_write32(fab_bar *bar, uint64_t off, uint32_t value);
extern int fab_bar_write64(fab_bar *bar, uint64_t off, uint64_t value);

/* ---- open and close ------------------------------------------------------------------------ */

static struct fab_bar_page *find_page(void *base, size_t bytes) {
    if (bytes < FAB_BAR_BYTES) return NULL;
    struct fab_bar_page *page = (void *)((unsigned char *)base + FAB_GAS_BYTES);
    return fab_load_acquire(&page->magic) == FAB_PAGE_MAGIC ? page : NULL;
}

static fab_bar *make(void) {
    fab_bar *bar = calloc(1, sizeof *bar);
    if (bar) bar->config_file = bar->held[0] = bar->held[1] = -1;
    return bar;
}

/* Takes a mapping for what it is: a node's image with its queue, or registers. */
static int settle_kind(fab_bar *bar) {
    bar->page = find_page(bar->base, bar->bytes);
    int rc = bar->page ? bar_owner_meet(bar) : 0;
    if (rc) return rc;
    if (bar->page) {
        bar->queued = 1;
        bar->bytes = FAB_GAS_BYTES;
        bar->posted = fab_load_acquire(&bar->page->acked);
        return 0;
    }
    bar->store_below = bar->bytes & ~UINT64_C(7);
    bar->load_below = bar->combining ? 0 : bar->store_below;
    return 0;
}

int fab_bar_from_buffer(void *base, size_t bytes, fab_bar **out) {
    if (!base || !bytes || (uintptr_t)base % 8) return -EINVAL;
    fab_bar *bar = make();
    if (!bar) return -ENOMEM;
    bar->base = base;
    bar->bytes = bytes;
    int rc = settle_kind(bar);
    if (rc)
        free(bar);
    else
        *out = bar;
    return rc;
}

int fab_bar_trapped(void *base, size_t bytes, fab_trap_fn trap, void *context, fab_bar **out) {
    if (!base || !bytes || (uintptr_t)base % 8 || !trap) return -EINVAL;
    fab_bar *bar = make();
    if (!bar) return -ENOMEM;
    bar->base = base;
    bar->page = find_page(base, bytes);
    bar->bytes = bytes >= FAB_BAR_BYTES ? FAB_GAS_BYTES : bytes;
    bar->trap = trap;
    bar->context = context;
    *out = bar;
    return 0;
}

static int open_target(const char *target, int combining, fab_bar **out) {
    fab_bar *bar = make();
    if (!bar) return -ENOMEM;
    int rc = bar_map(target, combining, bar);
    if (!rc) rc = settle_kind(bar);
    if (rc)
        fab_bar_close(bar);
    else
        *out = bar;
    return rc;
}

int fab_bar_open(const char *target, fab_bar **out) {
    return open_target(target, 0, out);
}
int fab_bar_open_wc(const char *target, fab_bar **out) {
    return open_target(target, 1, out);
}

void fab_bar_close(fab_bar *bar) {
    if (!bar) return;
    bar_release(bar);
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

/* ---- whether it is there ------------------------------------------------------------------- */

static int page_gone(const fab_bar *bar) {
    return bar->page && fab_load_acquire(&bar->page->state) == FAB_NODE_GONE;
}

int bar_lost(const fab_bar *bar) {
    return bar->gone || page_gone(bar);
}

/* From here on every access takes the long way, and is refused there. */
static int lose(fab_bar *bar) {
    bar->gone = 1;
    bar->load_below = bar->store_below = 0;
    return -ENODEV;
}

int fab_bar_confirm(fab_bar *bar) {
    return bar->page || bar_config_answers(bar) ? 0 : lose(bar);
}

int fab_bar_gone(fab_bar *bar) {
    if (bar_lost(bar)) return 1;
    if (bar->queued) return bar_owner_lives(bar) ? 0 : lose(bar) != 0;
    return fab_bar_confirm(bar) != 0;
}

/* A killed node leaves its last numbers in the image and nobody to say that they are old, so a
 * bar that only reads has to look for itself, now and then. 0 or -ENODEV. */
static int look_after_owner(fab_bar *bar) {
    uint64_t now = now_ns(CLOCK_MONOTONIC_COARSE);
    if (now - bar->looked_ns < LOOK_NS) return 0;
    bar->looked_ns = now;
    return bar_owner_lives(bar) ? 0 : lose(bar);
}

int bar_ready(fab_bar *bar) {
    if (bar_lost(bar)) return -ENODEV;
    if (bar->combining) fab_fence_stores();
    if (!bar->queued) return 0;
    int rc = bar_settle(bar);
    return !rc && ++bar->reads % READS_PER_LOOK == 0 ? look_after_owner(bar) : rc;
}

/* ---- accesses ------------------------------------------------------------------------------ */

static int check(const fab_bar *bar, uint64_t off, unsigned width) {
    if (bar->bytes < width || off > bar->bytes - width) return -ERANGE;
    return off & (width - 1) ? -EINVAL : 0;
}

static uint64_t load(const fab_bar *bar, uint64_t off, unsigned width) {
    const unsigned char *p = bar->base + off;
    if (width == 8) return *(const volatile uint64_t *)p;
    if (width == 4) return *(const volatile uint32_t *)p;
    return width == 2 ? *(const volatile uint16_t *)p : *(const volatile uint8_t *)p;
}

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

int fab_bar_read_other(fab_bar *bar, uint64_t off, uint64_t *value, unsigned width) {
    int rc = check(bar, off, width);
    if (!rc) rc = bar_ready(bar);
    if (rc) return rc;
    *value = load(bar, off, width);
    return *value != UINT64_MAX >> (64 - 8 * width) ? 0 : fab_bar_confirm(bar);
}

int64_t fab_bar_get32_other(fab_bar *bar, uint64_t off) {
    uint64_t value = 0;
    int rc = fab_bar_read_other(bar, off, &value, 4);
    return rc < 0 ? rc : (int64_t)value;
}

int fab_bar_write_other(fab_bar *bar, uint64_t off, uint64_t value, unsigned width) {
    int rc = check(bar, off, width);
    if (rc) return rc;
    if (bar_lost(bar)) return -ENODEV;
    if (bar->trap) {
        fab_fetch_add(&bar->writes, 1); /* threads share a trapped bar only */
        return bar->trap(bar->context, off, value, width);
    }
    bar->writes++;
    if (!bar->queued) {
        store(bar, off, value, width);
        return 0;
    }
    struct fab_posted_write w = {value, (uint32_t)off, width};
    return bar_post(bar, &w, 1);
}

/* On PCIe a read pushes the writes posted before it; GAS has a register for just that. */
int fab_bar_flush(fab_bar *bar) {
    uint64_t value;
    int rc = bar_ready(bar);
    if (rc || bar->queued || bar->trap) return rc;
    uint64_t off = bar->bytes >= GAS_FLUSH + 4 ? GAS_FLUSH : 0;
    return fab_bar_read_other(bar, off, &value, bar->bytes < 4 ? 1 : 4);
}
