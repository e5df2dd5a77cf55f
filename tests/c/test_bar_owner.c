/* A node whose pid means nothing here (a guest's host, a container): it is judged by its pulse, and
 * its other clients' lock is respected. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "fabcore.h"
#include "observe/process.h"

static struct fab_bar_page *page;
static unsigned char *base;
static int beating, serving, stop;

static void nap_us(long us) {
    struct timespec t = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&t, NULL);
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What the node's thread does, as far as clients see: steps, and applies queued writes. */
static void *play_node(void *context) {
    for (uint64_t applied = 0; !fab_load_acquire(&stop); nap_us(500)) {
        if (fab_load_acquire(&beating)) fab_store_relaxed(&page->steps, page->steps + 1);
        uint64_t head = fab_load_acquire(&page->head);
        for (; fab_load_acquire(&serving) && applied != head; applied++) {
            struct fab_posted_write w = page->queue[applied % FAB_QUEUE_SLOTS];
            memcpy(base + w.offset, &w.value, w.width);
            fab_store_release(&page->acked, applied + 1);
        }
    }
    return context;
}

static void plant_page(void) {
    base = mmap(NULL, FAB_FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    page = (struct fab_bar_page *)(void *)(base + FAB_GAS_BYTES);
    page->layout = FAB_LAYOUT;
    page->owner_pid = 1; /* somebody here, and nobody that matters */
    page->owner_start = 1;
    page->owner_place = fab_process_place() ^ 1;
    page->state = FAB_NODE_ALIVE;
    page->magic = FAB_PAGE_MAGIC;
}

static void test_a_node_without_a_pulse_is_dead(void) {
    fab_bar *bar = NULL;
    CHECK_EQ(fab_bar_from_buffer(base, FAB_FILE_BYTES, &bar), -EOWNERDEAD);
    page->owner_place = fab_process_place(); /* here, the start time of pid 1 is not 1 */
    CHECK_EQ(fab_bar_from_buffer(base, FAB_FILE_BYTES, &bar), -EOWNERDEAD);
    page->owner_place ^= 1;
}

static void test_a_node_with_a_pulse_takes_writes(void) {
    fab_bar *bar = NULL;
    uint32_t value = 0;
    fab_store_release(&beating, 1);
    CHECK_EQ(fab_bar_from_buffer(base, FAB_FILE_BYTES, &bar), 0);
    if (!bar) return;
    for (uint32_t k = 0; k < 3000; k++) CHECK_EQ(fab_bar_write32(bar, 4 * (k % 64), k), 0);
    CHECK_EQ(fab_bar_read32(bar, 4 * (2999 % 64), &value), 0);
    CHECK_EQ(value, 2999);
    CHECK_EQ(fab_bar_gone(bar), 0);
    fab_bar_close(bar);
}

static void *unlock_later(void *context) {
    nap_us(300000);
    fab_store_release(&page->lock, 0);
    return context;
}

/* Neither a pid of the node's place nor one of a third place says anything here. */
static void test_a_lock_held_elsewhere_is_waited_for(void) {
    static const uint64_t words[] = {
        UINT64_C(4194303) << 32 | 7, /* a pid that nobody has here */
        UINT64_C(1) << 63 | UINT64_C(4194303) << 40 | 0x1234u << 24, /* nor in another guest */
    };
    fab_bar *bar = NULL;
    CHECK_EQ(fab_bar_from_buffer(base, FAB_FILE_BYTES, &bar), 0);
    for (int k = 0; k < 2 && bar; k++) {
        pthread_t unlocker;
        fab_store_release(&page->lock, words[k]);
        CHECK_EQ(pthread_create(&unlocker, NULL, unlock_later, NULL), 0);
        double start = seconds();
        CHECK_EQ(fab_bar_write32(bar, 0, 1), 0);
        CHECK(seconds() - start > 0.25);
        pthread_join(unlocker, NULL);
    }
    fab_bar_close(bar);
}

static void test_a_pulse_that_stops_is_a_removal(void) {
    fab_bar *reads = NULL, *writes = NULL;
    uint32_t value;
    CHECK_EQ(fab_bar_from_buffer(base, FAB_FILE_BYTES, &reads), 0);
    CHECK_EQ(fab_bar_from_buffer(base, FAB_FILE_BYTES, &writes), 0);
    if (!reads || !writes) return;
    fab_store_release(&serving, 0);
    fab_store_release(&beating, 0);
    CHECK_EQ(fab_bar_write32(writes, 0, 1), 0); /* posted */
    CHECK_EQ(fab_bar_read32(writes, 0, &value), -ENODEV);
    CHECK_EQ(fab_bar_gone(reads), 1);
    CHECK_EQ(fab_bar_read32(reads, 0, &value), -ENODEV);
    fab_bar_close(reads);
    fab_bar_close(writes);
}

int main(void) {
    pthread_t node;
    plant_page();
    if (!fab_process_place()) return 77; /* no /proc: every place is this one */
    serving = 1;
    CHECK_EQ(pthread_create(&node, NULL, play_node, NULL), 0);
    test_a_node_without_a_pulse_is_dead();
    test_a_node_with_a_pulse_takes_writes();
    test_a_lock_held_elsewhere_is_waited_for();
    test_a_pulse_that_stops_is_a_removal();
    fab_store_release(&stop, 1);
    pthread_join(node, NULL);
    munmap(base, FAB_FILE_BYTES);
    return CHECK_RESULT;
}
