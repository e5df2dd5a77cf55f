/* Who owns a switch: one controller at a time, by a lease that it renews while it works.
 *
 * The lease word holds the owner's number and the end of its time, so that one compare-and-swap
 * both renews and notices that somebody else has taken over: numbers only grow. Who wants to take
 * over holds the file's lock; the owner renews without it, and whichever comes first wins.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "now.h"
#include "observe/process.h"
#include "owner_file.h"

#define NS_PER_MS UINT64_C(1000000)
#define DEFAULT_LEASE_NS (10000 * NS_PER_MS)
#define LONGEST_LEASE_NS (UINT64_C(86400000) * NS_PER_MS)
enum { END_BITS = 40 };
#define END_MASK ((UINT64_C(1) << END_BITS) - 1)

/* The coarse clock: a few ns, and its steps of some ms are nothing to a lease. */
static uint64_t now_ms(void) {
    return now_ns(CLOCK_MONOTONIC_COARSE) / NS_PER_MS;
}

static uint64_t word(uint64_t number, uint64_t end) {
    return number << END_BITS | (end & END_MASK);
}

int fab_owner_check(fab_switch *sw) {
    struct fab_owner_page *page = sw->owner;
    if (!page) return 0;
    uint64_t lease = sw->lease_ns / NS_PER_MS, now = now_ms();
    uint64_t seen = fab_load_acquire(&page->lease);
    while (seen >> END_BITS == sw->token) {
        if ((seen & END_MASK) > now + lease / 2) return 0;
        if (fab_cas(&page->lease, &seen, word(sw->token, now + lease))) return 0;
    }
    return -ESTALE;
}

int fab_switch_renew(fab_switch *sw) {
    return fab_owner_check(sw);
}

static bool held(const struct fab_owner_page *page, uint64_t lease) {
    uint64_t end = lease & END_MASK;
    return end > now_ms() && fab_process_alive(page->pid, page->start, UINT64_MAX);
}

static void sign(struct fab_owner_page *page, const char *name, bool taken_over) {
    memset(page->before, 0, sizeof page->before);
    page->before_pid = taken_over ? page->pid : 0;
    if (taken_over) memcpy(page->before, page->name, sizeof page->before);
    memset(page->name, 0, sizeof page->name);
    memcpy(page->name, name, strlen(name));
    page->pid = (uint64_t)getpid();
    page->start = fab_process_start(page->pid);
    page->since_ns = now_ns(CLOCK_REALTIME);
}

/* Under the file's lock. 0, 1 = taken over, -EBUSY. */
static int take(fab_switch *sw, struct fab_owner_page *page, const char *name, uint64_t lease_ns) {
    uint64_t seen = fab_load_acquire(&page->lease), number;
    do {
        if (held(page, seen)) return -EBUSY;
        number = ((seen >> END_BITS) + 1) & (UINT64_MAX >> END_BITS);
    } while (!fab_cas(&page->lease, &seen, word(number, now_ms() + lease_ns / NS_PER_MS)));
    bool taken_over = (seen & END_MASK) != 0;
    sign(page, name, taken_over);
    sw->owner = page;
    sw->lease_ns = lease_ns;
    sw->token = number;
    return taken_over;
}

static void let_go(fab_switch *sw) {
    if (sw->owner) munmap(sw->owner, sizeof *sw->owner);
    sw->owner = NULL;
}

int fab_switch_own(fab_switch *sw, const char *name, uint64_t lease_ns) {
    struct owner_file file;
    struct fab_owner_page *page;
    if (!name || !*name || strlen(name) >= FAB_OWNER_NAME || lease_ns > LONGEST_LEASE_NS)
        return -EINVAL;
    if (lease_ns == 0) lease_ns = DEFAULT_LEASE_NS;
    if (lease_ns < 100 * NS_PER_MS) return -EINVAL; /* shorter than a busy host may stop one */
    if (!*sw->bar->device) return 0;
    if (sw->owner && fab_owner_check(sw) == 0) {
        sw->lease_ns = lease_ns;
        return 0;
    }
    let_go(sw);
    int rc = owner_file_open(sw, "owner", true, &file);
    if (rc < 0) return rc;
    rc = owner_file_map(&file, &page);
    if (rc == 0) {
        rc = take(sw, page, name, lease_ns);
        sw->owner_inode = file.inode;
        if (rc < 0) munmap(page, sizeof *page);
    }
    owner_file_close(&file);
    return rc;
}

/* A forked child has the mapping too, but it is not the owner; and a file of the same name may be
 * another one, if somebody has taken ours away. */
static bool is_mine(const fab_switch *sw, const struct owner_file *file) {
    return sw->owner && sw->owner_inode == file->inode &&
           fab_load_acquire(&sw->owner->lease) >> END_BITS == sw->token &&
           sw->owner->pid == (uint64_t)getpid();
}

int fab_switch_disown(fab_switch *sw) {
    struct owner_file file;
    if (!sw->owner) return 0;
    if (owner_file_open(sw, "owner", false, &file) == 0) {
        uint64_t seen = fab_load_acquire(&sw->owner->lease);
        while (is_mine(sw, &file)) {
            if (!fab_cas(&sw->owner->lease, &seen, word(sw->token, 0))) continue;
            owner_file_remove(&file);
            break;
        }
        owner_file_close(&file);
    }
    let_go(sw);
    return 0;
}

int fab_switch_owner(fab_switch *sw, struct fab_switch_owner *out) {
    struct owner_file file;
    struct fab_owner_page *page;
    memset(out, 0, sizeof *out);
    if (!*sw->bar->device) return 0;
    int rc = owner_file_open(sw, "owner", false, &file);
    if (rc < 0) return rc == -ENOENT ? 0 : rc;
    rc = owner_file_map(&file, &page);
    if (rc == 0) {
        uint64_t end = fab_load_acquire(&page->lease) & END_MASK;
        out->pid = page->pid;
        out->since_ns = page->since_ns;
        out->left_ns = ((int64_t)end - (int64_t)now_ms()) * (int64_t)NS_PER_MS;
        out->alive = (uint32_t)fab_process_alive(page->pid, page->start, UINT64_MAX);
        out->mine = is_mine(sw, &file);
        out->before_pid = page->before_pid;
        memcpy(out->name, page->name, sizeof out->name - 1);
        memcpy(out->before, page->before, sizeof out->before - 1);
        rc = end != 0;
        munmap(page, sizeof *page);
    }
    owner_file_close(&file);
    return rc;
}
