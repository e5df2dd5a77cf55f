/* The followed ring: order, loss, files that are no ring, take-over of a dead writer's ring. */
#define _GNU_SOURCE
#include "check.h"
#include "fabcore.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/fab_ring.XXXXXX";
static char path[64];

static struct fab_record record_of(uint64_t i) {
    struct fab_record r = {
        .time_ns = i,
        .vm = (uint32_t)(i * 7),
        .source = FAB_SOURCE_NODE,
        .flags = (uint16_t)(i * 3),
        .up_bytes = i * 11,
        .down_bytes = i * 13,
        .up_backlog = ~i,
        .down_backlog = i << 32 | i,
        .aux = i * 17,
    };
    return r;
}

static int is_record(const struct fab_record *got, uint64_t i) {
    struct fab_record r = record_of(i);
    r.seq = i + 1;
    return memcmp(got, &r, sizeof r) == 0;
}

static void publish(fab_ring *ring, uint64_t first, size_t n) {
    struct fab_record *records = calloc(n, sizeof *records);
    for (size_t i = 0; i < n; i++) records[i] = record_of(first + i);
    CHECK_EQ(fab_ring_publish(ring, records, n), n);
    free(records);
}

/* Reads until nothing is left; how many, all whole and in order of position. */
static uint64_t drain(fab_reader *reader, size_t batch) {
    struct fab_record out[256];
    uint64_t total = 0;
    for (;;) {
        int64_t n = fab_reader_read(reader, out, batch);
        if (n <= 0) break;
        uint64_t end = fab_reader_position(reader);
        for (int64_t i = 0; i < n; i++) CHECK(is_record(&out[i], end - (uint64_t)n + (uint64_t)i));
        total += (uint64_t)n;
    }
    return total;
}

static fab_ring *create(uint64_t capacity) {
    fab_ring *ring = NULL;
    unlink(path);
    CHECK_EQ(fab_ring_create(path, capacity, sizeof(struct fab_record), FAB_ONE_WRITER, &ring), 0);
    return ring;
}

static void records_come_out_in_order(void) {
    fab_ring *ring = create(64), *other = NULL;
    fab_reader *reader = NULL, *now = NULL;
    CHECK_EQ(fab_ring_capacity(ring), 64);
    CHECK_EQ(fab_ring_open(path, &other), 0);
    CHECK_EQ(fab_reader_open(other, FAB_FROM_OLDEST, &reader), 0);
    CHECK_EQ(fab_reader_open(other, 7, &now), -EINVAL);
    struct fab_record out[8];
    CHECK_EQ(fab_reader_read(reader, out, 8), 0);
    publish(ring, 0, 50);
    CHECK_EQ(fab_ring_publish(ring, NULL, 0), 0);
    CHECK_EQ(fab_reader_open(other, FAB_FROM_NOW, &now), 0);
    CHECK_EQ(fab_reader_position(now), 50);
    CHECK_EQ(fab_reader_read(reader, out, 0), 0);
    CHECK_EQ(drain(reader, 7), 50);
    publish(ring, 50, 30);
    CHECK_EQ(drain(reader, 256), 30);
    CHECK_EQ(drain(now, 3), 30);
    CHECK_EQ(fab_reader_lost(reader) + fab_reader_lost(now), 0);
    CHECK_EQ(fab_ring_published(other), 80);
    struct fab_record r = record_of(0);
    CHECK_EQ(fab_ring_publish(other, &r, 1), -EPERM);
    fab_reader_close(reader);
    fab_reader_close(now);
    fab_ring_close(other);
    fab_ring_close(ring);
}

static void reader_that_is_lapped_counts_what_it_lost(uint64_t capacity) {
    fab_ring *ring = create(capacity);
    fab_reader *reader = NULL, *late = NULL;
    CHECK_EQ(fab_reader_open(ring, FAB_FROM_OLDEST, &reader), 0);
    uint64_t published = 0, returned = 0;
    unsigned random = 1;
    for (int round = 0; round < 400; round++) {
        size_t n = (random = random * 1103515245u + 12345u) >> 16;
        n %= 3 * capacity + 1;
        publish(ring, published, n);
        published += n;
        uint64_t lost = fab_reader_lost(reader);
        uint64_t behind = published - fab_reader_position(reader);
        uint64_t got = drain(reader, 1 + random % 200);
        returned += got;
        CHECK_EQ(got, behind < capacity ? behind : capacity);
        CHECK_EQ(fab_reader_lost(reader) - lost, behind < capacity ? 0 : behind - capacity);
        CHECK_EQ(returned + fab_reader_lost(reader), published);
        CHECK_EQ(fab_reader_position(reader), published);
    }
    CHECK_EQ(fab_reader_open(ring, FAB_FROM_OLDEST, &late), 0);
    CHECK_EQ(drain(late, 100), capacity);
    CHECK_EQ(fab_reader_lost(late), published - capacity);
    fab_reader_close(late);
    fab_reader_close(reader);
    fab_ring_close(ring);
}

/* Part of the ring unread, the reader's next record overwritten, a short read in between. */
static void loss_in_the_middle_of_a_read(void) {
    fab_ring *ring = create(8);
    fab_reader *reader = NULL;
    struct fab_record out[8];
    CHECK_EQ(fab_reader_open(ring, FAB_FROM_OLDEST, &reader), 0);
    publish(ring, 0, 6);
    CHECK_EQ(fab_reader_read(reader, out, 2), 2);
    publish(ring, 6, 5); /* 3..10 are left, 2 is gone */
    CHECK_EQ(fab_reader_read(reader, out, 3), 3);
    CHECK(is_record(&out[0], 3) && is_record(&out[2], 5));
    CHECK_EQ(fab_reader_lost(reader), 1);
    CHECK_EQ(drain(reader, 8), 5);
    fab_reader_close(reader);
    fab_ring_close(ring);
}

static void write_file(const char *name, const void *data, size_t bytes) {
    unlink(name);
    int fd = open(name, O_CREAT | O_WRONLY, 0600);
    CHECK_EQ(write(fd, data, bytes), bytes);
    close(fd);
}

static void refuses(int create_rc, int open_rc) {
    fab_ring *ring = NULL;
    struct stat before, after;
    CHECK_EQ(lstat(path, &before), 0);
    CHECK_EQ(fab_ring_create(path, 16, sizeof(struct fab_record), FAB_ONE_WRITER, &ring),
             create_rc);
    CHECK_EQ(fab_ring_open(path, &ring), open_rc);
    CHECK(ring == NULL);
    CHECK_EQ(lstat(path, &after), 0);
    CHECK(before.st_ino == after.st_ino && before.st_size == after.st_size);
}

static void patch(off_t at, uint64_t value, size_t bytes) {
    int fd = open(path, O_WRONLY);
    CHECK_EQ(pwrite(fd, &value, bytes, at), bytes);
    close(fd);
}

static void files_that_are_no_ring_are_refused(void) {
    fab_ring *ring = NULL;
    uint64_t bad[] = {0, 1, 3, 24, UINT64_C(1) << 31, UINT64_MAX};
    unlink(path);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_EQ(fab_ring_create(path, bad[i], sizeof(struct fab_record), FAB_ONE_WRITER, &ring),
                 -EINVAL);
    CHECK_EQ(fab_ring_open(path, &ring), -ENOENT);
    CHECK_EQ(access(path, F_OK), -1);

    write_file(path, "", 0);
    refuses(-EEXIST, -EINVAL);
    write_file(path, "hello, I am somebody's notes", 28);
    refuses(-EEXIST, -EINVAL);
    unlink(path);
    CHECK_EQ(mkfifo(path, 0600), 0);
    refuses(-EEXIST, -EINVAL);
    unlink(path);
    CHECK_EQ(mkdir(path, 0700), 0);
    refuses(-EEXIST, -EINVAL);
    rmdir(path);
    CHECK_EQ(symlink("/nowhere", path), 0);
    refuses(-ELOOP, -ELOOP);
    unlink(path);

    fab_ring_close(create(16));
    struct stat st;
    CHECK_EQ(stat(path, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    CHECK_EQ(truncate(path, st.st_size - 1), 0);
    refuses(-ENODATA, -ENODATA);
    CHECK_EQ(truncate(path, 100), 0);
    refuses(-ENODATA, -ENODATA);
    fab_ring_close(create(16));
    patch(offsetof(struct fab_file_head, layout), FAB_LAYOUT + 1, 4);
    refuses(-EPROTO, -EPROTO);
    fab_ring_close(create(16));
    CHECK_EQ(fab_ring_create(path, 32, sizeof(struct fab_record), FAB_ONE_WRITER, &ring), -EPROTO);
}

static void second_writer_waits_for_the_first_to_go(void) {
    fab_ring *ring = create(16), *second = NULL;
    fab_reader *reader = NULL;
    publish(ring, 0, 20);
    CHECK_EQ(fab_ring_create(path, 16, sizeof(struct fab_record), FAB_ONE_WRITER, &second), -EBUSY);
    pid_t child = fork();
    if (child == 0) {
        int rc = fab_ring_create(path, 16, sizeof(struct fab_record), FAB_ONE_WRITER, &second);
        fab_ring_close(ring); /* inherited: the parent stays the writer */
        _exit(rc == -EBUSY && fab_ring_create(path, 16, sizeof(struct fab_record), FAB_ONE_WRITER,
                                              &second) == -EBUSY
                  ? 0
                  : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK_EQ(status, 0);
    CHECK_EQ(fab_ring_open(path, &second), 0);
    CHECK_EQ(fab_reader_open(second, FAB_FROM_NOW, &reader), 0);
    fab_ring_close(ring);
    CHECK_EQ(fab_ring_create(path, 16, sizeof(struct fab_record), FAB_ONE_WRITER, &ring), 0);
    CHECK_EQ(fab_ring_published(ring), 20);
    publish(ring, 20, 4);
    CHECK_EQ(drain(reader, 16), 4);
    fab_reader_close(reader);
    fab_ring_close(second);
    /* a pid that lives but started at another time is another process */
    patch(offsetof(struct fab_ring_header, writer.start), 12345, 8);
    CHECK_EQ(fab_ring_create(path, 16, sizeof(struct fab_record), FAB_ONE_WRITER, &second), 0);
    CHECK_EQ(fab_ring_published(second), 24);
    fab_ring_close(second);
    fab_ring_close(ring);
}

/* What a writer killed at each of its stores leaves behind, made by hand. */
static void half_written_slot_is_not_published(void) {
    fab_ring *ring = create(8), *view = NULL;
    fab_reader *reader = NULL, *late = NULL;
    publish(ring, 0, 8);
    CHECK_EQ(fab_ring_open(path, &view), 0);
    CHECK_EQ(fab_reader_open(view, FAB_FROM_NOW, &reader), 0);
    off_t slot0 = sizeof(struct fab_ring_header);
    patch(slot0, 0, 8);
    CHECK_EQ(drain(reader, 8), 0);
    CHECK_EQ(fab_reader_lost(reader), 0);
    CHECK_EQ(fab_ring_published(view), 8);
    CHECK_EQ(fab_reader_open(view, FAB_FROM_OLDEST, &late), 0);
    CHECK_EQ(drain(late, 8), 7);
    CHECK_EQ(fab_reader_lost(late), 1);
    /* complete but not counted yet: published */
    struct fab_record r = record_of(8);
    r.seq = 9;
    int fd = open(path, O_WRONLY);
    CHECK_EQ(pwrite(fd, &r, sizeof r, slot0), sizeof r);
    close(fd);
    CHECK_EQ(drain(reader, 8), 1);
    CHECK_EQ(fab_ring_published(view), 9);
    fab_ring_close(ring);
    CHECK_EQ(fab_ring_create(path, 8, sizeof(struct fab_record), FAB_ONE_WRITER, &ring), 0);
    CHECK_EQ(fab_ring_published(ring), 9);
    publish(ring, 9, 3);
    CHECK_EQ(drain(reader, 8), 3);
    CHECK_EQ(drain(late, 8), 4);
    CHECK_EQ(fab_reader_lost(late), 1);
    fab_reader_close(reader);
    fab_reader_close(late);
    fab_ring_close(view);
    fab_ring_close(ring);
}

int main(void) {
    if (!mkdtemp(dir)) return 2;
    snprintf(path, sizeof path, "%s/ring", dir);
    CHECK_EQ(fab_layout(), FAB_LAYOUT);
    CHECK(strcmp(fab_version(), "0.1.0") == 0);
    records_come_out_in_order();
    for (uint64_t capacity = 2; capacity <= 256; capacity *= 4)
        reader_that_is_lapped_counts_what_it_lost(capacity);
    loss_in_the_middle_of_a_read();
    files_that_are_no_ring_are_refused();
    second_writer_waits_for_the_first_to_go();
    half_written_slot_is_not_published();
    unlink(path);
    CHECK_EQ(rmdir(dir), 0); /* no temporary file was left */
    return CHECK_RESULT;
}
