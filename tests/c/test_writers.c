/* Many writers on a followed ring: joining, dropping, slots of the living and of the dead, records
 * of other sizes. Writers that stop in the middle are made by hand, in their own words. */
#define _GNU_SOURCE
#include "check.h"
#include "fabcore.h"
#include "observe/ring.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char dir[] = "/tmp/fab_writers.XXXXXX";
static char path[64];

static fab_ring *join(uint64_t capacity, size_t bytes) {
    fab_ring *ring = NULL;
    CHECK_EQ(fab_ring_create(path, capacity, bytes, FAB_MANY_WRITERS, &ring), 0);
    return ring;
}

static fab_ring *fresh(uint64_t capacity, size_t bytes) {
    unlink(path);
    return join(capacity, bytes);
}

static void put(fab_ring *ring, uint64_t value, int64_t expected) {
    uint64_t record[512];
    for (size_t i = 0; i < ring->words; i++) record[i] = value;
    CHECK_EQ(fab_ring_publish(ring, record, 1), expected);
}

/* Reads one record: its value, or UINT64_MAX when there is none. */
static uint64_t get(fab_reader *reader) {
    uint64_t record[512];
    if (fab_reader_read(reader, record, 1) != 1) return UINT64_MAX;
    for (size_t i = 2; i < reader->ring->words; i++) CHECK_EQ(record[i], record[1]);
    CHECK_EQ(record[0], fab_reader_position(reader));
    return record[1];
}

static void writers_share_one_order(size_t bytes) {
    fab_ring *a = fresh(8, bytes), *b = join(8, bytes), *view = NULL, *other = NULL;
    fab_reader *reader = NULL;
    CHECK_EQ(fab_ring_open(path, &view), 0);
    CHECK_EQ(fab_ring_record_bytes(view), bytes);
    CHECK_EQ(fab_ring_writers(view), FAB_MANY_WRITERS);
    CHECK_EQ(fab_reader_open(view, FAB_FROM_OLDEST, &reader), 0);
    CHECK_EQ(get(reader), UINT64_MAX);
    for (uint64_t i = 0; i < 5; i++) put(i % 2 ? a : b, 100 + i, 1);
    for (uint64_t i = 0; i < 5; i++) CHECK_EQ(get(reader), 100 + i);
    for (uint64_t i = 0; i < 20; i++) put(i % 3 ? a : b, i, 1);
    for (uint64_t i = 12; i < 20; i++) CHECK_EQ(get(reader), i);
    CHECK_EQ(fab_reader_lost(reader), 12);
    CHECK_EQ(fab_ring_published(view), 25);
    CHECK_EQ(fab_ring_dropped(view), 0);
    uint64_t record[512] = {0};
    CHECK_EQ(fab_ring_publish(view, record, 1), -EPERM);
    CHECK_EQ(fab_ring_create(path, 8, bytes, FAB_ONE_WRITER, &other), -EPROTO);
    CHECK_EQ(fab_ring_create(path, 8, bytes == 16 ? 24 : bytes - 8, FAB_MANY_WRITERS, &other),
             -EPROTO);
    fab_reader_close(reader);
    fab_ring_close(a);
    fab_ring_close(b);
    fab_ring_close(view);
}

static void one_writer_rings_take_any_size(size_t bytes) {
    fab_ring *ring = NULL;
    fab_reader *reader = NULL;
    unlink(path);
    CHECK_EQ(fab_ring_create(path, 4, bytes, FAB_ONE_WRITER, &ring), 0);
    CHECK_EQ(fab_reader_open(ring, FAB_FROM_OLDEST, &reader), 0);
    for (uint64_t i = 0; i < 9; i++) {
        put(ring, i, 1);
        CHECK_EQ(get(reader), i);
    }
    fab_reader_close(reader);
    fab_ring_close(ring);
}

static void bad_sizes_are_refused(void) {
    fab_ring *ring = NULL;
    size_t bad[] = {0, 8, 12, 20, 4104, SIZE_MAX};
    unlink(path);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_EQ(fab_ring_create(path, 8, bad[i], FAB_MANY_WRITERS, &ring), -EINVAL);
    CHECK_EQ(fab_ring_create(path, 8, 64, 2, &ring), -EINVAL);
    CHECK_EQ(access(path, F_OK), -1);
}

/* A writer stopped between owning its slot and publishing, as another sees it. */
static void slot_of_a_living_owner_is_not_taken(void) {
    fab_ring *a = fresh(4, 64), *b = join(4, 64);
    fab_reader *reader = NULL;
    CHECK_EQ(fab_reader_open(a, FAB_FROM_OLDEST, &reader), 0);
    put(a, 0, 1);
    /* a takes index 1 and owns its slot */
    fab_store_release(&a->self->claim, UINT64_C(1) << CLAIM_SHIFT | 1);
    fab_store_release(&a->header->published, UINT64_C(2));
    fab_store_release(fab_ring_slot(a, 1), a->mark | 2);
    for (uint64_t i = 2; i < 5; i++) put(b, i, 1);
    put(b, 5, 0); /* index 5 lies on the slot that a owns */
    put(b, 6, 1);
    CHECK_EQ(fab_ring_dropped(b), 1);
    CHECK_EQ(fab_ring_published(b), 7);
    /* 0..2 are lapped (7 - 4); 1 is still being written; 5 was dropped */
    CHECK_EQ(get(reader), 3);
    CHECK_EQ(get(reader), 4);
    CHECK_EQ(get(reader), 6);
    CHECK_EQ(get(reader), UINT64_MAX);
    CHECK_EQ(fab_reader_lost(reader), 4);
    fab_slot_fill(fab_ring_slot(a, 1), (uint64_t[8]){0}, 8); /* a wakes up and finishes */
    fab_store_release(fab_ring_slot(a, 1), UINT64_C(2));
    fab_store_release(&a->self->claim, UINT64_C(0));
    for (uint64_t i = 7; i < 11; i++) put(a, i, 1);
    for (uint64_t i = 7; i < 11; i++) CHECK_EQ(get(reader), i);
    CHECK_EQ(fab_reader_lost(reader), 4);
    fab_reader_close(reader);
    fab_ring_close(a);
    fab_ring_close(b);
}

static void record_in_the_making_holds_its_readers_up_until_it_is_there(void) {
    fab_ring *a = fresh(4, 64), *b = join(4, 64);
    fab_reader *reader = NULL;
    CHECK_EQ(fab_reader_open(a, FAB_FROM_OLDEST, &reader), 0);
    fab_store_release(&a->self->claim, UINT64_C(0) << CLAIM_SHIFT | 1);
    fab_store_release(&a->header->published, UINT64_C(1));
    put(b, 1, 1);
    CHECK_EQ(get(reader), UINT64_MAX); /* claimed, not owned yet */
    fab_store_release(fab_ring_slot(a, 0), a->mark | 1);
    CHECK_EQ(get(reader), UINT64_MAX); /* owned, not whole yet */
    fab_slot_fill(fab_ring_slot(a, 0), (uint64_t[8]){0}, 8);
    fab_store_release(fab_ring_slot(a, 0), UINT64_C(1));
    fab_store_release(&a->self->claim, UINT64_C(0));
    CHECK_EQ(get(reader), 0);
    CHECK_EQ(get(reader), 1);
    CHECK_EQ(fab_reader_lost(reader), 0);
    fab_reader_close(reader);
    fab_ring_close(a);
    fab_ring_close(b);
}

/* In another process, which ends there: takes the next index, and with `own` its slot too. */
static void die_with_an_index(int own) {
    pid_t child = fork();
    if (child == 0) {
        fab_ring *ring = NULL;
        if (fab_ring_create(path, 4, 64, FAB_MANY_WRITERS, &ring)) _exit(1);
        uint64_t index = fab_ring_published(ring);
        fab_store_release(&ring->self->claim, index << CLAIM_SHIFT | 1);
        fab_store_release(&ring->header->published, index + 1);
        if (own) fab_store_release(fab_ring_slot(ring, index), ring->mark | (index + 1));
        _exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK_EQ(status, 0);
}

static void what_the_dead_took_is_lost_and_no_more(int own) {
    fab_ring *a = fresh(4, 64);
    fab_reader *reader = NULL, *late = NULL;
    CHECK_EQ(fab_reader_open(a, FAB_FROM_OLDEST, &reader), 0);
    CHECK_EQ(fab_reader_open(a, FAB_FROM_OLDEST, &late), 0);
    put(a, 0, 1);
    die_with_an_index(own); /* index 1 */
    put(a, 2, 1);
    CHECK_EQ(get(reader), 0);
    uint64_t value = UINT64_MAX;
    for (int i = 0; i < 100 && value == UINT64_MAX; i++) {
        value = get(reader); /* an owner gets its time before it is looked after */
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    CHECK_EQ(value, 2);
    CHECK_EQ(fab_reader_lost(reader), 1);
    put(a, 3, 1);
    put(a, 4, 1);
    put(a, 5, 1); /* its slot is taken from the dead */
    CHECK_EQ(fab_ring_dropped(a), 0);
    for (uint64_t i = 3; i < 6; i++) CHECK_EQ(get(reader), i);
    CHECK_EQ(fab_reader_lost(reader), 1);
    for (uint64_t i = 2; i < 6; i++) CHECK_EQ(get(late), i);
    CHECK_EQ(fab_reader_lost(late), 2);
    fab_reader_close(reader);
    fab_reader_close(late);
    fab_ring_close(a);
}

/* The dead one's place goes to a newcomer, in whose name no old slot must look owned. */
static void place_of_the_dead_is_handed_on_clean(void) {
    fab_ring *a = fresh(4, 64);
    put(a, 0, 1);
    die_with_an_index(1);
    fab_ring *b = join(4, 64);
    CHECK_EQ(b->self - ring_table(b), 1); /* the dead one's */
    for (uint64_t i = 2; i < 10; i++) put(i % 2 ? a : b, i, 1);
    CHECK_EQ(fab_ring_dropped(a), 0);
    fab_ring_close(a);
    fab_ring_close(b);
}

static void table_of_writers_is_bounded(void) {
    fab_ring *all[FAB_RING_WRITERS], *more = NULL;
    all[0] = fresh(8, 64);
    for (int i = 1; i < FAB_RING_WRITERS; i++) all[i] = join(8, 64);
    CHECK_EQ(fab_ring_create(path, 8, 64, FAB_MANY_WRITERS, &more), -EUSERS);
    fab_ring_close(all[7]);
    CHECK_EQ(fab_ring_create(path, 8, 64, FAB_MANY_WRITERS, &all[7]), 0);
    for (int i = 0; i < FAB_RING_WRITERS; i++) put(all[i], (uint64_t)i, 1);
    for (int i = 0; i < FAB_RING_WRITERS; i++) fab_ring_close(all[i]);
}

int main(void) {
    if (!mkdtemp(dir)) return 2;
    snprintf(path, sizeof path, "%s/ring", dir);
    size_t sizes[] = {16, 24, 64, 72, 4096};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        writers_share_one_order(sizes[i]);
        one_writer_rings_take_any_size(sizes[i]);
    }
    bad_sizes_are_refused();
    slot_of_a_living_owner_is_not_taken();
    record_in_the_making_holds_its_readers_up_until_it_is_there();
    what_the_dead_took_is_lost_and_no_more(0);
    what_the_dead_took_is_lost_and_no_more(1);
    place_of_the_dead_is_handed_on_clean();
    table_of_writers_is_bounded();
    unlink(path);
    rmdir(dir);
    return CHECK_RESULT;
}
