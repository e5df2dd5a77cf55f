/* Whether the node behind a page lives, and this process's name to the queue's other clients.
 *
 * A pid and a start time name a process to those in its place: one running kernel, one pid
 * namespace. A page may be mapped elsewhere: in a guest, whose PCI device it is, or in a container.
 * From there the node is judged by its pulse alone, the steps that its thread counts about a
 * thousand times a second, and a lock's holder only by clients of the holder's own place.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "bar.h"
#include "now.h"
#include "observe/process.h"

enum {
    NS_PER_MS = 1000 * 1000,
    PULSE_MS = 3000, /* without a step for so long a node counts as dead */
    NAP_NS = NS_PER_MS / 2,
    PLACE_SHIFT = 24, /* a lock word from elsewhere: pid << 40, place << 24, start time */
    PID_SHIFT = 40
};
#define FROM_ELSEWHERE (UINT64_C(1) << 63)
#define START_MASK UINT64_C(0xFFFFFF)
#define PLACE_MASK UINT64_C(0xFFFF)
#define PID_MASK UINT64_C(0x3FFFFF)

/* An unknown place (0) is taken for this one. */
static int is_elsewhere(const struct fab_bar_page *page) {
    uint64_t here = fab_process_place();
    return page->owner_place && here && page->owner_place != here;
}

static int has_pulse(const struct fab_bar_page *page) {
    const struct timespec nap = {0, NAP_NS};
    uint64_t steps = fab_load_relaxed(&page->steps);
    uint64_t end = now_ns(CLOCK_MONOTONIC) + UINT64_C(1) * PULSE_MS * NS_PER_MS;
    while (fab_load_relaxed(&page->steps) == steps) {
        if (now_ns(CLOCK_MONOTONIC) > end) return 0;
        nanosleep(&nap, NULL);
    }
    return 1;
}

int bar_page_alive(const struct fab_bar_page *page) {
    if (is_elsewhere(page))
        return fab_load_acquire(&page->state) == FAB_NODE_ALIVE && has_pulse(page);
    return fab_process_alive(page->owner_pid, page->owner_start, UINT64_MAX);
}

int bar_owner_meet(struct fab_bar *bar) {
    struct fab_bar_page *page = bar->page;
    if (page->layout != FAB_LAYOUT) return -EPROTO;
    if (fab_load_acquire(&page->state) != FAB_NODE_ALIVE || !bar_page_alive(page))
        return -EOWNERDEAD;
    bar->elsewhere = is_elsewhere(page);
    bar->owner = fab_process_word();
    if (!bar->elsewhere) return 0;
    uint64_t pid = (uint64_t)getpid(), start = fab_process_start(pid);
    bar->owner = FROM_ELSEWHERE | (pid & PID_MASK) << PID_SHIFT |
                 (fab_process_place() & PLACE_MASK) << PLACE_SHIFT | (start & START_MASK);
    bar->pulse = fab_load_relaxed(&page->steps);
    bar->pulse_ns = now_ns(CLOCK_MONOTONIC);
    return 0;
}

int bar_owner_lives(struct fab_bar *bar) {
    struct fab_bar_page *page = bar->page;
    if (!bar->elsewhere) return fab_process_alive(page->owner_pid, page->owner_start, UINT64_MAX);
    /* A pulse that was last seen long ago may have stopped at any time since: it has to beat now.
     */
    uint64_t steps = fab_load_relaxed(&page->steps), now = now_ns(CLOCK_MONOTONIC);
    int watched = now - bar->pulse_ns < UINT64_C(1) * PULSE_MS * NS_PER_MS;
    if (!watched && !has_pulse(page)) return 0;
    if (!watched || steps != bar->pulse) {
        bar->pulse = steps;
        bar->pulse_ns = now;
    }
    return 1;
}

int bar_holder_lives(const struct fab_bar *bar, uint64_t word) {
    int elsewhere = (word & FROM_ELSEWHERE) != 0;
    if (elsewhere != bar->elsewhere) return -1;
    if (!elsewhere) return fab_process_word_alive(word);
    if ((word ^ bar->owner) >> PLACE_SHIFT & PLACE_MASK) return -1;
    return fab_process_alive(word >> PID_SHIFT & PID_MASK, word & START_MASK, START_MASK);
}
