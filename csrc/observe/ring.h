/* The followed ring's inside: one mapping and what its side keeps of it. */
#ifndef FAB_RING_H
#define FAB_RING_H

#include "fabcore.h"

#define RING_WORDS (sizeof(struct fab_record) / sizeof(uint64_t))
#define RING_LAG_MAX 64 /* records; see fab_ring_header.published in ring.c */

/* A slot as the words that are accessed; word 0 is the record's seq. */
struct ring_slot {
    uint64_t word[RING_WORDS];
};

/* Private to the process that opened it. */
struct fab_ring {
    struct fab_ring_header *header;
    struct ring_slot *slots;
    uint64_t mask;      /* capacity - 1 */
    uint64_t lag;       /* most records that `published` may trail the records' seq by */
    uint64_t published; /* writer only: its own copy */
    size_t map_bytes;
    uint64_t writer_pid; /* 0: opened for reading */
};

/* Maps the ring behind `fd` after checking it; 0 or -errno as fab_ring_open. ring_file.c */
int ring_map(int fd, int writable, struct fab_ring *ring);

#endif
