/* Every struct that is shared between processes or with hardware, with a layout number.
 *
 * Two builds that disagree on any of these sizes or offsets refuse to share: the layout number is
 * folded from them (LMDB's idea), stands in each header, and is compared at open.
 * All integers are little-endian; all times are nanoseconds; all rates are B/s of TLP payload.
 */
#ifndef FAB_LAYOUT_H
#define FAB_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define FAB_STATIC_ASSERT static_assert
#else
#define FAB_STATIC_ASSERT _Static_assert
#endif

/* Two cache lines: adjacent-line prefetch pairs them, so different writers stay 128 bytes apart. */
#define FAB_LINE 128

/* ---- telemetry ---------------------------------------------------------------------------- */

/* One telemetry record. Written by one ring writer; `seq` is the ring's own word: index + 1 of the
 * record, stored with release after the other words, 0 while the slot is being rewritten. */
struct fab_record {
    uint64_t seq;
    uint64_t time_ns; /* UTC */
    uint32_t vm;      /* handle: slot in bits 0-19, generation above */
    uint16_t source;  /* FAB_SOURCE_* */
    uint16_t flags;
    uint64_t up_bytes;   /* cumulative: bytes that left the function's queue */
    uint64_t down_bytes; /* cumulative */
    uint64_t up_backlog; /* bytes waiting now */
    uint64_t down_backlog;
    uint64_t aux; /* FAB_SOURCE_NODE: bytes dropped so far, both directions */
};
FAB_STATIC_ASSERT(sizeof(struct fab_record) == 64, "a record is one cache line");

/* Who published a record. For FAB_SOURCE_PORT, vm = 0xFFF00000 | switch << 8 | physical port
 * (a generation that no VM has), and the byte counters are the port's egress (up_bytes) and ingress
 * (down_bytes). */
enum { FAB_SOURCE_NODE = 1, FAB_SOURCE_LIVE = 2, FAB_SOURCE_TRACE = 3, FAB_SOURCE_PORT = 4 };

#define FAB_RING_MAGIC UINT64_C(0x314752424146) /* "FABRG1" */

/* The followed ring's file: this header, then `capacity` records. */
struct fab_ring_header {
    /* constants: written once by create before `magic` (release) makes the file valid */
    uint64_t magic;
    uint32_t layout;
    uint32_t record_bytes;
    uint64_t capacity; /* records, a power of two */
    uint64_t created_ns;
    uint8_t pad0[FAB_LINE - 32];
    /* written by the writer only: records published so far (release), after each record's seq */
    uint64_t published;
    uint64_t writer_pid;   /* 0 = no writer */
    uint64_t writer_start; /* the pid's start time in clock ticks: tells a reused pid apart */
    uint8_t pad1[FAB_LINE - 24];
};
FAB_STATIC_ASSERT(sizeof(struct fab_ring_header) == 2 * FAB_LINE, "two regions");

/* ---- a memory-backed BAR ------------------------------------------------------------------ */

#define FAB_GAS_BYTES 0x400000 /* the register image (GAS) */
#define FAB_PAGE_BYTES 0x10000 /* the page behind it */
#define FAB_BAR_BYTES (FAB_GAS_BYTES + FAB_PAGE_BYTES)
#define FAB_PAGE_MAGIC UINT64_C(0x3152414242414600) /* "\0FABBAR1" */
#define FAB_QUEUE_SLOTS 1024
#define FAB_MAX_FUNCTIONS 33 /* PF and 32 VFs */
#define FAB_SWITCH_MODULES 8 /* module ports on one switch, at most */

enum { FAB_NODE_ABSENT = 0, FAB_NODE_ALIVE = 1, FAB_NODE_GONE = 2 };

/* One posted register write on its way to the node. */
struct fab_posted_write {
    uint64_t value;
    uint32_t offset;
    uint32_t width; /* 1, 2, 4, 8 */
};

/* What a function's workload asks for, and what the node did with it. The emulated module's
 * driver-side counters: `in` is written by whoever plays the workload, `out` by the node only. */
struct fab_function_in {
    double offered_up; /* B/s */
    double offered_down;
    double ceiling_up; /* B/s, host-side shaper (token bucket without burst); inf = none */
    double ceiling_down;
    uint8_t pad[32];
};
struct fab_function_out {
    uint64_t up_bytes; /* delivered, cumulative */
    uint64_t down_bytes;
    uint64_t up_backlog; /* waiting now */
    uint64_t down_backlog;
    uint64_t up_dropped; /* cumulative; only when the node drops what a step could not carry */
    uint64_t down_dropped;
    uint64_t bound; /* 1 while the function is bound to a host port */
    uint64_t pad;
};
struct fab_function_cell {
    struct fab_function_in in;
    struct fab_function_out out;
};
FAB_STATIC_ASSERT(sizeof(struct fab_function_cell) == 128, "one writer per cache line");

/* The page behind the image. Queue protocol: a client takes `lock` (CAS from 0 to its owner word,
 * stolen when that owner is dead), writes slot[head % SLOTS], stores head+1 with release, unlocks.
 * The node loads head with acquire, applies the writes to the image in order, then stores `acked`
 * with release; a client that sees acked (acquire) sees the image with its writes and all their
 * side effects. A client that dies with the lock has not moved head: its write never happened. */
struct fab_bar_page {
    /* constants, written by the node before `magic` (release) */
    uint64_t magic;
    uint32_t layout;
    uint32_t page_bytes;
    uint32_t switch_index;
    uint32_t switch_count;
    uint64_t owner_pid;
    uint64_t owner_start;
    uint32_t state; /* FAB_NODE_*; the node stores GONE (release) when it leaves */
    uint32_t realtime;
    uint8_t module_ports[FAB_SWITCH_MODULES]; /* physical port of each cell block; 0xFF = none */
    uint8_t pad0[FAB_LINE - 56];
    /* clients */
    uint64_t lock; /* 0, or pid << 32 | low 32 bits of the owner's start time */
    uint64_t head; /* writes posted so far */
    uint8_t pad1[FAB_LINE - 16];
    /* node */
    uint64_t acked;    /* writes applied so far */
    uint32_t sleeping; /* futex word: 1 while the node waits for writes */
    uint32_t ack_wait; /* futex word: clients waiting for acked */
    uint64_t time_ns;  /* node time: virtual from 0, or UTC when real */
    uint64_t steps;
    uint8_t pad2[FAB_LINE - 32];
    uint8_t pad3[0x1000 - 3 * FAB_LINE];
    struct fab_posted_write queue[FAB_QUEUE_SLOTS];
    struct fab_function_cell cells[FAB_SWITCH_MODULES][FAB_MAX_FUNCTIONS];
};
FAB_STATIC_ASSERT(offsetof(struct fab_bar_page, lock) == FAB_LINE, "clients' line");
FAB_STATIC_ASSERT(offsetof(struct fab_bar_page, acked) == 2 * FAB_LINE, "node's line");
FAB_STATIC_ASSERT(offsetof(struct fab_bar_page, queue) == 0x1000, "queue on a page of its own");
FAB_STATIC_ASSERT(sizeof(struct fab_bar_page) <= FAB_PAGE_BYTES, "fits the page");

/* Folds sizes and offsets into the layout number. Change a struct and it changes by itself. */
#define FAB_FOLD(h, x) ((((h) << 5) ^ ((h) >> 27) ^ (uint32_t)(x)) & 0xffffffffu)
#define FAB_LAYOUT                                                                                 \
    FAB_FOLD(FAB_FOLD(FAB_FOLD(FAB_FOLD(FAB_FOLD(FAB_FOLD(UINT32_C(1), sizeof(struct fab_record)), \
                                                 sizeof(struct fab_ring_header)),                  \
                                        offsetof(struct fab_ring_header, published)),              \
                               sizeof(struct fab_bar_page)),                                       \
                      offsetof(struct fab_bar_page, cells)),                                       \
             sizeof(struct fab_function_cell))

#endif
