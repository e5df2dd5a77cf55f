/* The BAR of a node in another process: order, exactly once, side effects before reads, and what a
 * client or the node leaves behind when it is killed. The node here is the least that keeps the
 * protocol of fab_layout.h, and a checker of it. */
#define _GNU_SOURCE
#include "check.h"
#include "fabcore.h"
#include "observe/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS 2
#define WRITES 4000u   /* a client, each to its own register: several times round the queue */
#define DOORBELL 0x800 /* the node answers with value + 1 at DOORBELL + 4 */

struct shared {
    int deaf; /* the node takes no writes */
    int stop;
    uint64_t applied[CLIENTS], wrong;
};
static struct shared *shared;
static char target[64], folder[80], file[96];

/* ---- the node ------------------------------------------------------------------------------ */

static void apply(uint8_t *base, const struct fab_posted_write *w) {
    memcpy(base + w->offset, &w->value, w->width);
    if (w->offset < 4 * CLIENTS) {
        uint64_t *count = &shared->applied[w->offset / 4];
        if (w->value != ++*count || w->width != 4) shared->wrong++;
    }
    if (w->offset == DOORBELL) {
        uint32_t answer = (uint32_t)w->value + 1;
        memcpy(base + DOORBELL + 4, &answer, 4);
    }
}

static void nap(uint32_t *word, struct fab_bar_page *page, uint64_t applied) {
    fab_exchange(word, 1); /* before the look at head; a client does the two the other way */
    if (fab_load_acquire(&page->head) == applied && !fab_load_acquire(&shared->stop))
        syscall(SYS_futex, word, FUTEX_WAIT, 1, &(struct timespec){0, 20000000}, NULL, 0);
    fab_store_release(word, 0);
}

static void serve(uint8_t *base) {
    struct fab_bar_page *page = (void *)(base + FAB_GAS_BYTES);
    uint64_t applied = 0;
    while (!fab_load_acquire(&shared->stop)) {
        uint64_t head = fab_load_acquire(&page->head);
        if (head - applied > FAB_QUEUE_SLOTS) shared->wrong++;
        if (fab_load_acquire(&shared->deaf) || head == applied) {
            nap(&page->sleeping, page, head);
            continue;
        }
        for (int n = 0; n < 100 && applied != head; n++, applied++)
            apply(base, &page->queue[applied % FAB_QUEUE_SLOTS]);
        fab_store_release(&page->acked, applied);
        if (fab_fetch_add(&page->ack_wait, 0))
            syscall(SYS_futex, &page->ack_wait, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    }
}

static uint8_t *map_file(void) {
    int fd = open(file, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, FAB_BAR_BYTES) != 0) abort();
    void *base = mmap(NULL, FAB_BAR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (base == MAP_FAILED) abort();
    return base;
}

/* Forks the node and waits until its page is there. */
static pid_t start_node(uint32_t layout) {
    unlink(file);
    memset(shared, 0, sizeof *shared);
    uint8_t *base = map_file();
    struct fab_bar_page *page = (void *)(base + FAB_GAS_BYTES);
    pid_t pid = fork();
    if (pid == 0) {
        page->layout = layout;
        page->owner_pid = (uint64_t)getpid();
        page->owner_start = fab_process_start(page->owner_pid);
        page->state = FAB_NODE_ALIVE;
        fab_store_release(&page->magic, FAB_PAGE_MAGIC);
        serve(base);
        _exit(0);
    }
    while (!fab_load_acquire(&page->magic)) usleep(200);
    munmap(base, FAB_BAR_BYTES);
    return pid;
}

static void end_process(pid_t pid, int signal) {
    int status = 0;
    if (signal) kill(pid, signal);
    waitpid(pid, &status, 0);
    CHECK(signal ? WIFSIGNALED(status) : status == 0);
}

static void stop_node(pid_t pid) {
    fab_store_release(&shared->stop, 1);
    end_process(pid, 0);
}

static fab_bar *open_bar(void) {
    fab_bar *bar = NULL;
    CHECK_EQ(fab_bar_open(target, &bar), 0);
    if (!bar) abort();
    return bar;
}

/* ---- what holds ---------------------------------------------------------------------------- */

static void client(unsigned which) {
    fab_bar *bar = open_bar();
    uint32_t block[200], back[200], value;
    for (uint32_t i = 1; i <= WRITES; i++) {
        if (fab_bar_write32(bar, 4 * which, i) != 0) _exit(1);
        if (i % 97 == 0 && (fab_bar_read32(bar, 4 * which, &value) != 0 || value != i)) _exit(2);
        if (i % 500) continue;
        for (uint32_t k = 0; k < 200; k++) block[k] = i * 1000 + k;
        if (fab_bar_write_block(bar, 0x10000 * (which + 1), block, sizeof block) != 0) _exit(3);
        if (fab_bar_read_block(bar, 0x10000 * (which + 1), back, sizeof back) != 0) _exit(4);
        if (memcmp(block, back, sizeof block) != 0) _exit(5);
    }
    if (fab_bar_flush(bar) != 0 || fab_bar_writes(bar) != WRITES + WRITES / 500 * 200) _exit(6);
    fab_bar_close(bar);
    _exit(check_failures ? 7 : 0);
}

static void writes_of_two_processes_are_applied_once_and_in_order(void) {
    pid_t node = start_node(FAB_LAYOUT), clients[CLIENTS];
    for (unsigned k = 0; k < CLIENTS; k++) {
        clients[k] = fork();
        if (clients[k] == 0) client(k);
    }
    for (unsigned k = 0; k < CLIENTS; k++) end_process(clients[k], 0);
    for (unsigned k = 0; k < CLIENTS; k++) CHECK_EQ(shared->applied[k], WRITES);
    CHECK_EQ(shared->wrong, 0);
    stop_node(node);
}

static void read_sees_the_side_effects_of_the_writes_before_it(void) {
    pid_t node = start_node(FAB_LAYOUT);
    fab_bar *bar = open_bar();
    CHECK_EQ(fab_bar_bytes(bar), FAB_GAS_BYTES);
    CHECK(fab_bar_page(bar) != NULL);
    for (uint32_t i = 0; i < 300; i++) {
        uint32_t value = 0;
        CHECK_EQ(fab_bar_write32(bar, DOORBELL, i), 0);
        CHECK_EQ(fab_bar_read32(bar, DOORBELL + 4, &value), 0);
        CHECK_EQ(value, i + 1);
        if (i % 100 == 0) usleep(30000); /* the node is asleep by now */
    }
    fab_bar_close(bar);
    stop_node(node);
}

static void client_killed_with_the_lock_blocks_nobody(void) {
    pid_t node = start_node(FAB_LAYOUT);
    fab_bar *bar = open_bar();
    struct fab_bar_page *page = fab_bar_page(bar);
    uint32_t value = 0;
    CHECK_EQ(fab_bar_write32(bar, 0x900, 1), 0);
    CHECK_EQ(fab_bar_flush(bar), 0);
    pid_t thief = fork();
    if (thief == 0) { /* a client that is killed after its slot and before head */
        uint64_t free = 0, me = (uint64_t)getpid();
        if (!fab_cas(&page->lock, &free, me << 32 | (uint32_t)fab_process_start(me))) _exit(1);
        page->queue[page->head % FAB_QUEUE_SLOTS] = (struct fab_posted_write){666, 0x900, 4};
        raise(SIGKILL);
    }
    end_process(thief, SIGCONT);
    CHECK(fab_load_acquire(&page->lock) != 0);
    CHECK_EQ(fab_bar_write32(bar, 0x904, 2), 0);
    CHECK_EQ(fab_bar_read32(bar, 0x900, &value), 0);
    CHECK_EQ(value, 1);
    CHECK_EQ(fab_load_acquire(&page->lock), 0);
    /* the pid lives, but as another process than the one that took the lock */
    fab_store_release(&page->lock, (uint64_t)getpid() << 32 | 1);
    CHECK_EQ(fab_bar_write32(bar, 0x904, 3), 0);
    CHECK_EQ(fab_bar_read32(bar, 0x904, &value), 0);
    CHECK_EQ(value, 3);
    fab_bar_close(bar);
    stop_node(node);
}

static void killed_node_is_an_error_and_no_hang(void) {
    pid_t node = start_node(FAB_LAYOUT);
    fab_bar *bar = open_bar(), *idle = open_bar(), *other = NULL;
    uint32_t value = 0;
    CHECK_EQ(fab_bar_read32(idle, 0x900, &value), 0);
    fab_store_release(&shared->deaf, 1);
    for (uint32_t i = 0; i < FAB_QUEUE_SLOTS; i++) CHECK_EQ(fab_bar_write32(bar, 0x900, i), 0);
    end_process(node, SIGKILL);
    CHECK_EQ(fab_bar_write32(bar, 0x900, 1), -ENODEV); /* the queue is full */
    CHECK_EQ(fab_bar_write_block(bar, 0x900, file, 40), -ENODEV);
    CHECK_EQ(fab_bar_read32(bar, 0x900, &value), -ENODEV);
    CHECK_EQ(fab_bar_flush(bar), -ENODEV);
    /* a bar that only reads notices too, and then refuses writes */
    int rc = 0, reads = 0;
    for (; rc == 0 && reads < 2000; reads++) {
        rc = fab_bar_read32(idle, 0x900, &value);
        usleep(100);
    }
    CHECK_EQ(rc, -ENODEV);
    CHECK_EQ(fab_bar_write32(idle, 0x900, 1), -ENODEV);
    CHECK_EQ(fab_bar_write_block(idle, 0x900, file, 40), -ENODEV);
    CHECK_EQ(fab_bar_open(target, &other), -EOWNERDEAD);
    fab_bar_close(idle);
    fab_bar_close(bar);
}

static void node_that_is_gone_is_an_error(void) {
    pid_t node = start_node(FAB_LAYOUT);
    fab_bar *bar = open_bar();
    uint16_t value = 0;
    uint8_t block[5] = {0};
    CHECK_EQ(fab_bar_gone(bar), 0);
    fab_store_release(&fab_bar_page(bar)->state, FAB_NODE_GONE);
    CHECK_EQ(fab_bar_gone(bar), 1);
    CHECK_EQ(fab_bar_read16(bar, 0x900, &value), -ENODEV);
    CHECK_EQ(fab_bar_read_block(bar, 0x901, block, 5), -ENODEV);
    CHECK_EQ(fab_bar_write32(bar, 0, 1), -ENODEV);
    CHECK_EQ(fab_bar_write_block(bar, 0, block, 5), -ENODEV);
    CHECK_EQ(fab_bar_read16(bar, FAB_GAS_BYTES, &value), -ERANGE);
    CHECK_EQ(fab_load_acquire(&fab_bar_page(bar)->head), 0);
    CHECK_EQ(fab_bar_writes(bar), 0);
    CHECK_EQ(fab_bar_flush(bar), -ENODEV);
    fab_store_release(&fab_bar_page(bar)->state, FAB_NODE_ALIVE);
    CHECK_EQ(fab_bar_gone(bar), 0);
    CHECK_EQ(fab_bar_write32(bar, 0x900, 0xFFFFFFFF), 0); /* a value like any other */
    CHECK_EQ(fab_bar_get32(bar, 0x900), UINT32_MAX);
    fab_bar_close(bar);
    stop_node(node);
}

static void node_of_another_layout_is_refused(void) {
    pid_t node = start_node(FAB_LAYOUT + 1);
    fab_bar *bar = NULL;
    CHECK_EQ(fab_bar_open(target, &bar), -EPROTO);
    CHECK_EQ(fab_bar_open(file, &bar), -EPROTO);
    CHECK(bar == NULL);
    stop_node(node);
}

int main(void) {
    snprintf(target, sizeof target, "shm:fab_test_bar.%d", getpid());
    snprintf(folder, sizeof folder, "/dev/shm/%s", target + 4);
    snprintf(file, sizeof file, "%s/0", folder);
    if (mkdir(folder, 0700) != 0) return 77;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    alarm(30); /* a hang is a failure */
    writes_of_two_processes_are_applied_once_and_in_order();
    read_sees_the_side_effects_of_the_writes_before_it();
    client_killed_with_the_lock_blocks_nobody();
    killed_node_is_an_error_and_no_hang();
    node_that_is_gone_is_an_error();
    node_of_another_layout_is_refused();
    unlink(file);
    rmdir(folder);
    return CHECK_RESULT;
}
