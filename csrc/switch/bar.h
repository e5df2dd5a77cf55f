/* The BAR's inside: one mapping of registers and how its writes travel. */
#ifndef FAB_BAR_H
#define FAB_BAR_H

#include "fabcore.h"

struct fab_bar {
    unsigned char *base;
    size_t bytes;              /* of the register space */
    struct fab_bar_page *page; /* behind the image of an emulated node, else NULL */
    int queued;                /* writes travel through the page's queue */
    fab_trap_fn trap;          /* or are trapped, when not NULL */
    void *context;
    uint64_t owner;  /* this process, as the queue's lock names it */
    uint64_t posted; /* the queue's head after this bar's last write */
    uint64_t writes;
    uint64_t looked_ns; /* when the owner was last seen alive, CLOCK_MONOTONIC */
    uint32_t reads;     /* through a queued bar */
    int dead;           /* the owner's process ended */
    size_t mapped;      /* bytes to unmap at close; 0 = the caller's memory */
};

/* Opens and maps what a target names; *bytes is the mapping's length. 0 or -errno. bar_open.c */
int bar_map(const char *target, void **base, size_t *bytes);

/* Posts writes in order through the page's queue: 0, or -ENODEV when the node takes none any more.
 * bar_queue.c */
int bar_post(struct fab_bar *bar, const struct fab_posted_write *writes, size_t n);
/* Waits until this bar's own posted writes have taken effect. */
int bar_settle(struct fab_bar *bar);
/* 0, -EPROTO, -EOWNERDEAD: whether the page can be used. */
int bar_check_page(const struct fab_bar_page *page);

#endif
