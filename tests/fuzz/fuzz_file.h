/* The file that a ring's target attaches to, made of the fuzzer's bytes.
 *
 * The first byte selects. Even: the rest is the file. Odd: a valid header of the target's kind,
 * with constants chosen by the next three bytes, and the rest behind it, as far as the file is
 * long: so the fuzzer gets past magic and layout at once. A file that grows or shrinks while it is
 * mapped is out of scope: that is the kernel's fault to raise, not the rings' to notice. */
#ifndef FUZZ_FILE_H
#define FUZZ_FILE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fabcore.h"

#define FUZZ_SELECTORS 4 /* bytes before the contents when there is a valid header */

static inline const char *fuzz_path(void) {
    static char path[64];
    if (!path[0]) snprintf(path, sizeof path, "/dev/shm/fabcore-fuzz.%d", getpid());
    return path;
}

/* The file's descriptor, for what the target itself writes to it afterwards. */
static inline int fuzz_file(const void *data, size_t size, const struct fab_file_head *head,
                            size_t bytes) {
    int fd = open(fuzz_path(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t at = 0;
    if (fd < 0) abort();
    if (head) {
        if (pwrite(fd, head, sizeof *head, 0) != (ssize_t)sizeof *head) abort();
        if (ftruncate(fd, (off_t)bytes)) abort();
        at = sizeof *head;
        if (size > bytes - at) size = bytes - at;
    }
    if (pwrite(fd, data, size, (off_t)at) != (ssize_t)size) abort();
    return fd;
}

static inline void fuzz_store(int fd, size_t at, uint64_t word) {
    if (pwrite(fd, &word, sizeof word, (off_t)at) != (ssize_t)sizeof word) abort();
}

/* A copy of exactly that many bytes, so that the sanitizer sees one more being touched. */
static inline void *fuzz_room(size_t bytes) {
    void *room = malloc(bytes ? bytes : 1);
    if (!room) abort();
    memset(room, 0x5a, bytes ? bytes : 1);
    return room;
}

#endif
