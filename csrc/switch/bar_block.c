/* Blocks of registers: 4-byte accesses, with 1- and 2-byte ones at unaligned ends. */
#include <errno.h>
#include <string.h>

#include "bar.h"

enum { BATCH = 64 }; /* writes of a block that are queued at a time */

/* The width of the next access of a block: 4, or less toward an unaligned end. */
static unsigned piece(uint64_t off, size_t left) {
    if (!(off & 3) && left >= 4) return 4;
    return !(off & 1) && left >= 2 ? 2 : 1;
}

/* Moves one piece; 1 when it is all ones. */
static int fetch(const unsigned char *from, unsigned char *to, unsigned width) {
    if (width == 4) {
        uint32_t v = *(const volatile uint32_t *)from;
        memcpy(to, &v, 4);
        return v == UINT32_MAX;
    }
    if (width == 2) {
        uint16_t v = *(const volatile uint16_t *)from;
        memcpy(to, &v, 2);
        return v == UINT16_MAX;
    }
    *to = *(const volatile uint8_t *)from;
    return *to == UINT8_MAX;
}

/* A device that goes in the middle stays away, so the last piece tells for all of them. */
int fab_bar_read_block(fab_bar *bar, uint64_t off, void *out, size_t bytes) {
    if (off > bar->bytes || bytes > bar->bytes - off) return -ERANGE;
    int rc = bar_ready(bar), ones = 0;
    if (rc) return rc;
    unsigned width;
    for (size_t at = 0; at < bytes; at += width) {
        width = piece(off + at, bytes - at);
        ones = fetch(bar->base + off + at, (unsigned char *)out + at, width);
    }
    return ones ? fab_bar_confirm(bar) : 0;
}

static int write_pieces(fab_bar *bar, uint64_t off, const unsigned char *from, size_t bytes) {
    int rc = 0;
    unsigned width;
    for (size_t at = 0; at < bytes && !rc; at += width) {
        uint64_t value = 0;
        width = piece(off + at, bytes - at);
        memcpy(&value, from + at, width);
        rc = fab_bar_write_other(bar, off + at, value, width);
    }
    return rc;
}

/* As many writes as one taking of the queue's lock posts. */
static int queue_pieces(fab_bar *bar, uint64_t off, const unsigned char *from, size_t bytes) {
    struct fab_posted_write batch[BATCH];
    int rc = 0;
    for (size_t at = 0; at < bytes && !rc;) {
        size_t n = 0;
        for (; n < BATCH && at < bytes; n++) {
            unsigned width = piece(off + at, bytes - at);
            batch[n] = (struct fab_posted_write){.offset = (uint32_t)(off + at), .width = width};
            memcpy(&batch[n].value, from + at, width);
            at += width;
        }
        if (bar_lost(bar)) return -ENODEV;
        bar->writes += n;
        rc = bar_post(bar, batch, n);
    }
    return rc;
}

int fab_bar_write_block(fab_bar *bar, uint64_t off, const void *data, size_t bytes) {
    if (off > bar->bytes || bytes > bar->bytes - off) return -ERANGE;
    return bar->queued ? queue_pieces(bar, off, data, bytes) : write_pieces(bar, off, data, bytes);
}
