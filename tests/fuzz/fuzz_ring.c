/* Any bytes as a ring's file: refused, or read without a fault and with a count that adds up. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fabcore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char path[64];
    struct fab_record out[64];
    fab_ring *ring = NULL;
    fab_reader *reader = NULL;
    if (!path[0]) snprintf(path, sizeof path, "/dev/shm/fabcore-fuzz.%d", getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    close(fd);
    if (fab_ring_open(path, &ring) == 0) {
        if (fab_reader_open(ring, FAB_FROM_OLDEST, &reader) == 0) {
            uint64_t got = 0;
            for (int k = 0; k < 64; k++) {
                int64_t n = fab_reader_read(reader, out, 64);
                if (n < 0 || n > 64) abort();
                got += (uint64_t)n;
            }
            if (got + fab_reader_lost(reader) != fab_reader_position(reader)) abort();
            fab_reader_close(reader);
        }
        fab_ring_close(ring);
    }
    unlink(path);
    return 0;
}
