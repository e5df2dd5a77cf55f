/* One command at a time in a switch's mailbox, whoever sends it: threads of this process and, by a
 * small file of this host named after the device, other processes.
 *
 * `holder` names the process that is inside a command. It is taken by compare-and-swap, in some
 * 20 ns where nobody has it; whoever dies with it is found out by those who wait. It is a leaf:
 * nothing else is waited for under it but the firmware, for at most the command's timeout.
 * `next` is the handle that waits, before which no other takes its turn, or one that sends command
 * after command would keep all others out by chance; one that does not come is passed over.
 * Who closes the device takes the file away, unless somebody is inside a command, and retires its
 * words first, so that others who still have it mapped look for the file anew. Without a folder for
 * such files, or for memory that only this process knows, the words are the bar's: then other
 * processes are not kept out.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "observe/process.h"
#include "owner_file.h"

#define PAGE_MAGIC UINT64_C(0x31786f624d424146) /* "FABMbox1" */
#define RETIRED UINT64_MAX
enum { HOLDER, NEXT, PASSED };
enum {
    ASKING_LOOKS = 66,   /* of a wait, before it asks whether the holder lives: it sleeps by then */
    COURTEOUS_LOOKS = 74 /* before it passes over one who does not come: some 5 ms */
};

struct mailbox_page {
    uint64_t magic; /* names the layout, too */
    uint64_t words[2];
};

/* Under the file's lock. */
static int map_page(const struct owner_file *file, struct mailbox_page **out) {
    struct stat st;
    if (fstat(file->file, &st) < 0) return -errno;
    if (st.st_size == 0 && ftruncate(file->file, sizeof **out) < 0) return -errno;
    if (st.st_size != 0 && st.st_size < (off_t)sizeof **out) return -EPROTO;
    struct mailbox_page *page =
        mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, file->file, 0);
    if (page == MAP_FAILED) return -errno;
    if (page->magic == 0) fab_store_release(&page->magic, PAGE_MAGIC);
    if (page->magic != PAGE_MAGIC) {
        munmap(page, sizeof *page);
        return -EPROTO;
    }
    uint64_t retired = RETIRED; /* whoever was to take the file away died first: it counts again */
    fab_cas(&page->words[HOLDER], &retired, 0);
    *out = page;
    return 0;
}

static void unmap(fab_switch *sw) {
    if (sw->shared) munmap(sw->shared, sizeof *sw->shared);
    sw->shared = NULL;
    sw->mailbox = sw->bar->mailbox;
}

/* 0, or -ETIMEDOUT: somebody stands still with the file's lock. No file is no error. */
static int find_word(fab_switch *sw) {
    struct owner_file file;
    unmap(sw);
    if (!*sw->bar->device) return 0;
    int rc = owner_file_open(sw, "mailbox", true, &file);
    if (rc < 0) return rc == -ETIMEDOUT ? rc : 0;
    if (map_page(&file, &sw->shared) == 0) sw->mailbox = sw->shared->words;
    sw->shared_inode = file.inode;
    owner_file_close(&file);
    return 0;
}

void fab_mailbox_open(fab_switch *sw) {
    sw->self = fab_process_word();
    (void)find_word(sw); /* the first command looks again if it has to */
}

/* While somebody is inside a command the file stays, for him to take away. */
void fab_mailbox_close(fab_switch *sw) {
    struct owner_file file;
    uint64_t free_word = 0;
    if (!sw->shared) return;
    if (owner_file_open(sw, "mailbox", false, &file) == 0) {
        bool same = file.inode == sw->shared_inode;
        if (same && fab_cas(&sw->mailbox[HOLDER], &free_word, RETIRED)) owner_file_remove(&file);
        owner_file_close(&file);
    }
    unmap(sw);
}

/* Handles, not processes, stand in line: threads of one process are told apart, too. */
static uint64_t ticket(const fab_switch *sw) {
    return sw->self ^ (uint64_t)(uintptr_t)sw;
}

/* One look: 0 = taken, 1 = from a dead holder, -EAGAIN; *seen = who has it. */
static int look(fab_switch *sw, uint32_t looks, uint64_t *seen) {
    uint64_t *word = sw->mailbox, first = fab_load_relaxed(&word[NEXT]), nobody = 0;
    bool turn = !first || first == ticket(sw) || looks >= COURTEOUS_LOOKS;
    *seen = fab_load_acquire(&word[HOLDER]);
    if (*seen == RETIRED) {
        int rc = find_word(sw);
        return rc < 0 ? rc : -EAGAIN;
    }
    bool dead = *seen && looks >= ASKING_LOOKS && !fab_process_word_alive(*seen);
    if (turn && (!*seen || dead) && fab_cas(&word[HOLDER], seen, sw->self)) {
        if (first) fab_store_relaxed(&word[NEXT], 0);
        return dead;
    }
    fab_cas(&word[NEXT], &nobody, ticket(sw));
    return -EAGAIN;
}

int fab_mailbox_take(fab_switch *sw) {
    struct fab_wait wait = {.limit_ns = sw->timeout_ns};
    uint64_t seen, mine = ticket(sw);
    sw->holder = 0;
    for (;;) {
        int rc = look(sw, wait.late ? UINT32_MAX : wait.looks, &seen);
        if (rc >= 0) (void)fab_load_acquire(&sw->bar->mailbox[PASSED]);
        if (rc != -EAGAIN) return rc;
        rc = fab_wait_next(&wait);
        if (rc == 0) continue;
        fab_cas(&sw->mailbox[NEXT], &mine, 0);
        sw->holder = (uint32_t)(seen >> 32);
        return rc;
    }
}

/* PASSED orders nothing that HOLDER does not: it shows the order to a race detector, which cannot
 * know that the mappings of two handles are one memory. */
void fab_mailbox_give(fab_switch *sw) {
    fab_store_release(&sw->bar->mailbox[PASSED], 0);
    fab_store_release(&sw->mailbox[HOLDER], 0);
}
