/* Time: virtual steps, and the real-time thread that also serves the queues of posted writes. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <math.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "node.h"
#include "now.h"

enum {
    NS_PER_US = 1000,
    PERIOD_NS = 1000 * NS_PER_US,      /* between steps of the real-time thread */
    POLL_NS = 50 * NS_PER_US,          /* queues are polled for so long after a write */
    RECENT_NS = 20 * 1000 * NS_PER_US, /* without futex_waitv: wake often for so long */
    WAITERS = 0xFFFF,
    SERVE_BATCH = 32, /* writes between two acknowledgements */
    MAX_SPLIT = 1000  /* steps that one gap of wall time becomes, at most */
};
#define NS_PER_S 1000000000.0
#define MAX_ADVANCE_S 1e9

/* ---- steps ---- */

static void publish_time(struct fab_node *node, uint64_t time_ns) {
    node->time_ns = time_ns;
    for (uint32_t k = 0; k < node->config.switches; k++)
        fab_store_release(&node->switches[k].page->time_ns, time_ns);
}

static void move(struct fab_node *node, uint64_t ns) {
    wiring_before_step(node);
    traffic_step(node->traffic, (double)ns / NS_PER_S, node->drop);
    wiring_after_step(node);
    heat_step(node, ns);
    node->moved_ns += ns;
}

/* One step, cut where something happens by itself; the caller holds the lock and publishes the
 * time. */
static void step(struct fab_node *node, uint64_t ns) {
    while (ns) {
        uint64_t until = node->due_ns - node->moved_ns; /* what was due has been run */
        uint64_t part = ns < until ? ns : until;
        move(node, part);
        schedule_run(node);
        ns -= part;
    }
    for (uint32_t k = 0; k < node->config.switches; k++) {
        struct fab_bar_page *page = node->switches[k].page;
        fab_store_relaxed(&page->steps, page->steps + 1);
        evcounter_check(&node->switches[k]);
    }
}

int fab_node_advance(fab_node *node, double seconds) {
    if (!(seconds >= 0.0 && seconds <= MAX_ADVANCE_S)) return -EINVAL;
    uint64_t left = (uint64_t)llround(seconds * NS_PER_S);
    int rc = 0;
    do {
        pthread_mutex_lock(&node->lock);
        if (node->running) rc = -EBUSY;
        if (!rc) clock_serve(node);
        uint64_t ns = left < node->step_ns ? left : node->step_ns;
        if (!rc && ns) {
            step(node, ns);
            publish_time(node, node->time_ns + ns);
        }
        node_deliver(node);
        left -= ns;
        pthread_mutex_unlock(&node->lock);
    } while (left && !rc);
    return rc;
}

int fab_node_set_step(fab_node *node, double step_s) {
    if (!(step_s >= 1e-9 && step_s <= MAX_ADVANCE_S)) return -EINVAL;
    pthread_mutex_lock(&node->lock);
    node->step_ns = (uint64_t)llround(step_s * NS_PER_S);
    pthread_mutex_unlock(&node->lock);
    return 0;
}

int fab_node_set_mode(fab_node *node, int mode) {
    if (mode != FAB_TRAFFIC_FLUID && mode != FAB_TRAFFIC_TLP) return -EINVAL;
    pthread_mutex_lock(&node->lock);
    int rc = node->running && mode == FAB_TRAFFIC_TLP ? -EBUSY : 0;
    if (!rc) {
        node->mode = mode;
        traffic_set_mode(node->traffic, mode);
        wiring_after_step(node); /* what was under way may have arrived */
    }
    pthread_mutex_unlock(&node->lock);
    return rc;
}

int fab_node_set_drop(fab_node *node, int drop) {
    pthread_mutex_lock(&node->lock);
    node->drop = drop != 0;
    pthread_mutex_unlock(&node->lock);
    return 0;
}

uint64_t fab_node_time_ns(const fab_node *node) {
    return fab_load_acquire(&node->switches[0].page->time_ns);
}

/* ---- posted writes ---- */

static void acknowledge(struct node_switch *sw) {
    fab_store_release(&sw->page->acked, sw->applied);
    fab_fence_full(); /* acked before ack_wait; a waiting client does the two the other way */
    if (!(fab_load_relaxed(&sw->page->ack_wait) & WAITERS)) return;
    /* the low half counts waiting clients; moving the high half keeps one that is just about to
     * sleep from missing this wake */
    fab_fetch_add(&sw->page->ack_wait, WAITERS + 1u);
    syscall(SYS_futex, &sw->page->ack_wait, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static void serve(struct node_switch *sw) {
    struct fab_bar_page *page = sw->page;
    uint64_t head = fab_load_acquire(&page->head);
    /* a head that ran away is a client's fault: what was overwritten cannot be applied */
    if (head - sw->applied > FAB_QUEUE_SLOTS) sw->applied = head - FAB_QUEUE_SLOTS;
    while (sw->applied != head) {
        for (unsigned n = 0; n < SERVE_BATCH && sw->applied != head; n++, sw->applied++) {
            struct fab_posted_write w = page->queue[sw->applied % FAB_QUEUE_SLOTS];
            gas_write(sw, w.offset, w.value, w.width); /* a refused write is lost, as posted */
        }
        acknowledge(sw);
    }
}

void clock_serve(struct fab_node *node) {
    for (uint32_t k = 0; k < node->config.switches; k++) serve(&node->switches[k]);
}

/* Only the thread that serves may ask: `applied` is its own. */
int clock_pending(const struct fab_node *node) {
    for (uint32_t k = 0; k < node->config.switches; k++)
        if (fab_load_acquire(&node->switches[k].page->head) != node->switches[k].applied) return 1;
    return 0;
}

/* ---- the thread ---- */

/* The wall clock's elapsed time, in pieces of the step; one overlong gap in MAX_SPLIT of them. */
static void catch_up(struct fab_node *node, uint64_t elapsed) {
    uint64_t piece = node->step_ns;
    if (elapsed / MAX_SPLIT > piece) piece = elapsed / MAX_SPLIT + 1;
    while (elapsed) {
        uint64_t ns = elapsed < piece ? elapsed : piece;
        step(node, ns);
        elapsed -= ns;
    }
    publish_time(node, now_ns(CLOCK_REALTIME));
}

static void set_sleeping(struct fab_node *node, uint32_t value) {
    for (uint32_t k = 0; k < node->config.switches; k++)
        fab_store_relaxed(&node->switches[k].page->sleeping, value);
}

/* Waits until a client wakes one of the pages or `until` (monotonic) has come. */
static void wait_for_writes(struct fab_node *node, uint64_t until, uint64_t now, uint64_t last) {
    struct futex_waitv words[FAB_MAX_SWITCHES] = {0};
    struct timespec t = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};
    for (uint32_t k = 0; k < node->config.switches; k++) {
        words[k].val = 1;
        words[k].uaddr = (uintptr_t)&node->switches[k].page->sleeping;
        words[k].flags = FUTEX_32;
    }
    long rc = syscall(SYS_futex_waitv, words, node->config.switches, 0, &t, CLOCK_MONOTONIC);
    if (rc >= 0 || errno != ENOSYS) return;
    /* an older kernel: short naps while writes are recent */
    uint64_t nap = now - last < RECENT_NS ? POLL_NS : PERIOD_NS;
    if (now + nap > until) nap = until - now;
    t = (struct timespec){0, (long)nap};
    nanosleep(&t, NULL);
}

static void sleep_until(struct fab_node *node, uint64_t until, uint64_t now, uint64_t last) {
    set_sleeping(node, 1);
    fab_fence_full(); /* sleeping before head; a client stores head before it looks at sleeping */
    if (!clock_pending(node) && !fab_load_acquire(&node->stop))
        wait_for_writes(node, until, now, last);
    set_sleeping(node, 0);
}

static void *run(void *context) {
    struct fab_node *node = context;
    uint64_t moved = now_ns(CLOCK_MONOTONIC), last_write = 0;
    for (unsigned spins = 0; !fab_load_acquire(&node->stop); spins++) {
        uint64_t now = now_ns(CLOCK_MONOTONIC);
        int pending = clock_pending(node), due = now - moved >= PERIOD_NS;
        if (pending || due) {
            pthread_mutex_lock(&node->lock);
            clock_serve(node);
            if (due) catch_up(node, now - moved);
            node_deliver(node);
            pthread_mutex_unlock(&node->lock);
            if (due) moved = now;
            if (pending) last_write = now;
        } else if (now - last_write < POLL_NS) {
            if (spins % 16 == 0) sched_yield(); /* the writer may want this very core */
        } else {
            sleep_until(node, moved + PERIOD_NS, now, last_write);
        }
    }
    return NULL;
}

int fab_node_start(fab_node *node) {
    pthread_mutex_lock(&node->lock);
    int rc = node->running || node->mode == FAB_TRAFFIC_TLP ? -EBUSY : 0;
    if (!rc) {
        fab_store_release(&node->stop, 0);
        publish_time(node, now_ns(CLOCK_REALTIME));
        rc = -pthread_create(&node->thread, NULL, run, node);
        node->running = rc == 0;
    }
    for (uint32_t k = 0; k < node->config.switches; k++)
        fab_store_release(&node->switches[k].page->realtime, (uint32_t)node->running);
    pthread_mutex_unlock(&node->lock);
    return rc;
}

int fab_node_stop(fab_node *node) {
    pthread_mutex_lock(&node->lock);
    int running = node->running;
    pthread_mutex_unlock(&node->lock);
    if (!running) return -EALREADY;
    fab_store_release(&node->stop, 1);
    for (uint32_t k = 0; k < node->config.switches; k++) {
        uint32_t *word = &node->switches[k].page->sleeping;
        fab_store_release(word, 0);
        syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
        fab_store_release(&node->switches[k].page->realtime, 0);
    }
    pthread_join(node->thread, NULL);
    pthread_mutex_lock(&node->lock);
    node->running = 0;
    pthread_mutex_unlock(&node->lock);
    return 0;
}
