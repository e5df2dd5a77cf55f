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
#define FAB_ALIGNOF alignof
#else
#define FAB_STATIC_ASSERT _Static_assert
#define FAB_ALIGNOF _Alignof
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

/* ---- the three rings' files --------------------------------------------------------------- */

/* Magics of the three kinds: "FABRNG2", "FABIDX2", "FABREQ2". */
#define FAB_RING_MAGIC UINT64_C(0x32474e52424146)
#define FAB_INDEX_MAGIC UINT64_C(0x32584449424146)
#define FAB_REQUEST_MAGIC UINT64_C(0x32514552424146)

/* The first line of each file: constants, written before `magic` (release) makes the file valid. */
struct fab_file_head {
    uint64_t magic;
    uint32_t layout;
    uint32_t element_bytes; /* a multiple of 8 */
    uint64_t capacity;      /* elements, a power of two */
    uint64_t created_ns;
    uint32_t writers;     /* followed ring: FAB_ONE_WRITER or FAB_MANY_WRITERS */
    uint32_t reply_bytes; /* request queue */
    uint8_t pad[FAB_LINE - 40];
};
FAB_STATIC_ASSERT(sizeof(struct fab_file_head) == FAB_LINE, "constants have a region of their own");

/* A process that holds a role in a file. pid is stored last (release), 0 = nobody. */
struct fab_owner {
    uint64_t pid;
    uint64_t start; /* the pid's start time in clock ticks: tells a reused pid apart */
};

enum { FAB_ONE_WRITER = 0, FAB_MANY_WRITERS = 1 };
#define FAB_RING_WRITERS 64 /* that one ring can have at a time */

/* One of many writers; only that writer stores to it. `claim` says which indices it is about to
 * write: first << 8 | how many, 0 = none. It is stored (release) before the indices are taken from
 * `published`, and cleared (release) after the last of them is written or given up, so whoever sees
 * an index taken and no claim over it by a live writer knows that nobody will write it any more. */
struct fab_ring_writer {
    struct fab_owner owner;
    uint64_t claim;
    uint8_t pad[FAB_LINE - 24];
};

/* The followed ring's file: this header, with many writers their table, then the records.
 * Word 0 of a record is its seq: index + 1 once it is whole, stored with release after the other
 * words; 0 while its one writer rewrites it. With many writers the slot is owned meanwhile: bit 63,
 * the writer's place in the table in bits 56-62, index + 1 below. */
struct fab_ring_header {
    struct fab_file_head head;
    /* One writer: records published so far (release), trailing their seq by a few. Many writers:
     * indices taken so far, by compare-and-swap. */
    uint64_t published;
    uint64_t dropped; /* many writers: records given up because their slot was still owned */
    struct fab_owner writer;
    uint8_t pad[FAB_LINE - 32];
};
FAB_STATIC_ASSERT(sizeof(struct fab_ring_header) == 2 * FAB_LINE, "two regions");

/* The index ring's file: five regions, then the elements. Indices run freely and are masked on
 * access. Each side publishes its index with release and reads the other's with acquire, and keeps
 * its own copies of both in its own region, so the other's line is fetched only when the copy says
 * full or empty. */
struct fab_index_side { /* private to the side that holds it */
    uint64_t own;       /* what it has published (released) */
    uint64_t other;     /* what it last saw of the other side */
    struct fab_owner owner;
    uint8_t pad[FAB_LINE - 32];
};
struct fab_index_header {
    struct fab_file_head head;
    uint64_t published; /* the producer's: elements published so far */
    uint8_t pad1[FAB_LINE - 8];
    uint64_t released; /* the consumer's: elements released so far */
    uint8_t pad2[FAB_LINE - 8];
    struct fab_index_side producer, consumer;
};
FAB_STATIC_ASSERT(sizeof(struct fab_index_header) == 5 * FAB_LINE, "five regions");

/* A request's slot. `client` names its holder: pid << 32 | low half of its start time, 0 = free.
 * `state` is a futex word: what in its low byte, above it a count that goes on with each use of the
 * slot, so that nobody takes one use for another.
 *   client  client 0 -> itself (cas), request, IDLE -> SUBMITTED (release), its bit in `submitted`
 *   server  SUBMITTED -> SERVING (cas), reply, SERVING -> DONE (cas)
 *   client  reads the reply (acquire of DONE), DONE -> IDLE, client = 0 (release)
 * Giving up: SUBMITTED -> IDLE, or SERVING -> LEFT (cas), which the server turns into IDLE and
 * client = 0. A dead client's slot, IDLE or DONE, is taken by the next client that needs one. */
enum {
    FAB_REQUEST_IDLE = 0,
    FAB_REQUEST_SUBMITTED = 1,
    FAB_REQUEST_SERVING = 2,
    FAB_REQUEST_DONE = 3,
    FAB_REQUEST_LEFT = 4
};
struct fab_request_slot {
    uint64_t client;
    uint32_t state;
    uint32_t waiting;       /* 1 while the client sleeps on `state` */
    uint64_t request_bytes; /* as submitted */
    int64_t status;         /* bytes of reply, or -errno */
    uint8_t pad[FAB_LINE - 32];
    /* then request and reply, each rounded up to FAB_LINE */
};
FAB_STATIC_ASSERT(sizeof(struct fab_request_slot) == FAB_LINE, "one region");

#define FAB_REQUEST_SLOTS 1024 /* at most */

struct fab_request_header {
    struct fab_file_head head;
    struct fab_owner server;
    uint32_t sleeping; /* futex word: 1 while the server sleeps */
    uint8_t pad[FAB_LINE - 20];
    uint64_t submitted[FAB_REQUEST_SLOTS / 64]; /* a bit a slot: hints that it was submitted */
};

/* ---- a memory-backed BAR ------------------------------------------------------------------ */

#define FAB_GAS_BYTES 0x400000 /* the register image (GAS) */
#define FAB_PAGE_BYTES 0x10000 /* the page behind it */
#define FAB_BAR_BYTES (FAB_GAS_BYTES + FAB_PAGE_BYTES)
#define FAB_FILE_BYTES (2 * FAB_GAS_BYTES)          /* of the file that other processes map */
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
    uint32_t traffic_class; /* 0..7, picks the virtual channel; anything else counts as 0 */
    uint8_t pad[28];
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
 * stolen when that owner is known to be dead), writes slot[head % SLOTS], stores head+1 with
 * release, unlocks. The node loads head with acquire, applies the writes to the image in order,
 * then stores `acked` with release; a client that sees acked (acquire) sees the image with its
 * writes and all their side effects. A client that dies with the lock has not moved head: its write
 * never happened. */
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
    uint64_t owner_place; /* kernel and pid namespace in which owner_pid counts; 0 = unknown */
    uint8_t pad0[FAB_LINE - 64];
    /* clients */
    uint64_t lock; /* 0, or its holder's word, which says where the holder's pid counts */
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

/* Folds sizes, offsets and alignments into the layout number. Change a struct and it changes by
 * itself. */
#define FAB_FOLD(h, x) ((((h) << 5) ^ ((h) >> 27) ^ (uint32_t)(x)) & 0xffffffffu)
#define FAB_FOLD_STRUCT(h, type) FAB_FOLD(FAB_FOLD(h, sizeof(type)), FAB_ALIGNOF(type))
#define FAB_LAYOUT_RINGS                                                                          \
    FAB_FOLD_STRUCT(                                                                              \
        FAB_FOLD_STRUCT(FAB_FOLD_STRUCT(FAB_FOLD(FAB_FOLD_STRUCT(UINT32_C(2), struct fab_record), \
                                                 offsetof(struct fab_ring_header, published)),    \
                                        struct fab_file_head),                                    \
                        struct fab_ring_writer),                                                  \
        struct fab_index_header)
#define FAB_LAYOUT_REQUEST                                                        \
    FAB_FOLD_STRUCT(FAB_FOLD_STRUCT(FAB_LAYOUT_RINGS, struct fab_request_header), \
                    struct fab_request_slot)
#define FAB_LAYOUT                                                                     \
    FAB_FOLD_STRUCT(FAB_FOLD(FAB_FOLD_STRUCT(FAB_LAYOUT_REQUEST, struct fab_bar_page), \
                             offsetof(struct fab_bar_page, cells)),                    \
                    struct fab_function_cell)

/* ---- who owns a switch --------------------------------------------------------------------- */

/* A file of the host's, mapped by whoever owns the switch or wants to. All but `lease` is written
 * under the file's flock; `lease` is moved by compare-and-swap, by its owner without the lock. It
 * has a layout number of its own: controllers of two builds must see each other. */
#define FAB_OWNER_MAGIC UINT64_C(0x31524e574f424146) /* "FABOWNR1" */
#define FAB_OWNER_NAME 48
struct fab_owner_page {
    uint64_t magic;
    uint32_t layout;
    uint32_t pad;
    uint64_t lease; /* the owner's number << 40 | its end in ms of CLOCK_MONOTONIC, 0 = free */
    uint64_t pid, start;
    uint64_t since_ns;   /* UTC */
    uint64_t before_pid; /* from whom it was taken over, 0 = nobody */
    char name[FAB_OWNER_NAME];
    char before[FAB_OWNER_NAME];
};
#define FAB_OWNER_LAYOUT FAB_FOLD_STRUCT(UINT32_C(1), struct fab_owner_page)

#endif
