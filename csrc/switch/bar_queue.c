/* Posted writes to a node in another process: the client's side of the page's queue.
 *
 * Who pairs with whom: a client fills slots, then stores `head` with release; the node loads it
 * with acquire, applies the writes to the image, then stores `acked` with release; a client that
 * loads acked with acquire sees the image with every side effect of its writes. `lock` only orders
 * clients among themselves: its holder alone moves `head`, and one that died has not moved it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bar.h"
#include "now.h"

enum {
    SPINS = 4000,                 /* of a wait before it sleeps: some 50 us */
    SPINS_PER_YIELD = 64,         /* the node may want this very core */
    PATIENCE_NS = 50 * 1000000L,  /* between looks at whether the other side lives */
    NAP_NS = 250 * 1000L,         /* the same from elsewhere */
    LOOKS = 200,                  /* after which a node that lives but serves nothing is given up */
    LOCK_SPINS_PER_CHECK = 100000 /* a lock is held for well under a microsecond */
};

#define LOCK_PATIENCE_NS UINT64_C(10000000000)

static void relax(unsigned spin) {
    if (spin % SPINS_PER_YIELD == SPINS_PER_YIELD - 1)
        sched_yield();
    else
        fab_pause();
}

/* A futex reaches nobody in another kernel: from elsewhere a wait is naps. */
static void sleep_for_ack(const struct fab_bar *bar, uint32_t waiting) {
    static const struct timespec patience = {0, PATIENCE_NS}, nap = {0, NAP_NS};
    if (bar->elsewhere)
        nanosleep(&nap, NULL);
    else
        syscall(SYS_futex, &bar->page->ack_wait, FUTEX_WAIT, waiting, &patience, NULL, 0);
}

/* Waits until the node has acknowledged `target` writes. */
static int wait_acked(struct fab_bar *bar, uint64_t target) {
    struct fab_bar_page *page = bar->page;
    for (unsigned spin = 0; spin < SPINS; spin++) {
        if ((int64_t)(fab_load_acquire(&page->acked) - target) >= 0) return 0;
        relax(spin);
    }
    int rc = 0, looks = bar->elsewhere ? LOOKS * (PATIENCE_NS / NAP_NS) : LOOKS;
    uint32_t waiting = fab_fetch_add(&page->ack_wait, 1) + 1;
    for (int look = 0;; look++) {
        fab_fence_full(); /* ack_wait before acked; the node does the two the other way */
        if ((int64_t)(fab_load_acquire(&page->acked) - target) >= 0) break;
        if (fab_load_acquire(&page->state) != FAB_NODE_ALIVE || !bar_owner_lives(bar)) rc = -ENODEV;
        if (look == looks) rc = -ETIMEDOUT;
        if (rc) break;
        sleep_for_ack(bar, waiting);
        waiting = fab_load_relaxed(&page->ack_wait);
    }
    fab_fetch_add(&page->ack_wait, (uint32_t)-1);
    return rc;
}

/* 0; -ETIMEDOUT: somebody elsewhere has it and may be dead, or the machine around them stands
 * still, which nobody here can tell. */
static int lock(struct fab_bar *bar) {
    uint64_t *word = &bar->page->lock, seen = 0, since = 0;
    for (unsigned spin = 0; !fab_cas(word, &seen, bar->owner); spin++) {
        uint64_t holder = seen;
        seen = 0;
        relax(spin);
        if (!holder || spin % LOCK_SPINS_PER_CHECK != LOCK_SPINS_PER_CHECK - 1) continue;
        uint64_t now = now_ns(CLOCK_MONOTONIC);
        if (!since) since = now;
        /* Only some of the start time is in the word. A dead holder's write never happened. */
        int lives = bar_holder_lives(bar, holder);
        if (!lives) seen = holder;
        if (lives < 0 && now - since > LOCK_PATIENCE_NS) return -ETIMEDOUT;
    }
    return 0;
}

int bar_post(struct fab_bar *bar, const struct fab_posted_write *writes, size_t n) {
    struct fab_bar_page *page = bar->page;
    int rc = lock(bar);
    if (rc) return rc;
    for (size_t done = 0; done < n && !rc;) {
        uint64_t head = fab_load_relaxed(&page->head);
        uint64_t room = FAB_QUEUE_SLOTS - (head - fab_load_acquire(&page->acked));
        if (!room) {
            rc = wait_acked(bar, head - FAB_QUEUE_SLOTS / 2);
            continue;
        }
        for (; room && done < n; room--, done++, head++)
            page->queue[head % FAB_QUEUE_SLOTS] = writes[done];
        fab_store_release(&page->head, head);
        bar->posted = head;
        fab_fence_full(); /* head before sleeping; the node does the two the other way */
        if (fab_load_relaxed(&page->sleeping)) {
            fab_store_relaxed(&page->sleeping, 0);
            syscall(SYS_futex, &page->sleeping, FUTEX_WAKE, 1, NULL, NULL, 0);
        }
    }
    fab_store_release(&page->lock, 0);
    return rc;
}

int bar_settle(struct fab_bar *bar) {
    return wait_acked(bar, bar->posted);
}
