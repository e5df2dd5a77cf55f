/* The BAR's inside: what its files ask of each other. */
#ifndef FAB_SWITCH_BAR_H
#define FAB_SWITCH_BAR_H

#include "fabcore.h"

/* Opens and maps what a target names into an empty bar: base, bytes, the mapping and whatever else
 * it holds. 0 or -errno; either way bar_release frees it. bar_open.c */
int bar_map(const char *target, int combining, struct fab_bar *bar);
/* BDF[:N]. bar_vfio.c */
int bar_map_vfio(const char *name, struct fab_bar *bar);
/* Maps bytes of an open file from `at` on. */
int bar_map_file(struct fab_bar *bar, int file, uint64_t at, size_t bytes);
/* Says which device it is; a name too long keeps its end, where names differ. */
void bar_name(struct fab_bar *bar, const char *kind, const char *name, unsigned long number);
/* By a directory of sysfs, or any other file. */
void bar_name_path(struct fab_bar *bar, const char *path);
/* Unmaps and closes what the bar holds, the mapping first and the IOMMU's container last. */
void bar_release(struct fab_bar *bar);

/* Opens the config space of the device whose sysfs directory this is; a device without one is no
 * error. bar_config.c */
void bar_config_open(struct fab_bar *bar, const char *folder);
/* 1 when a config access reaches the device, or there is no config space to ask. */
int bar_config_answers(const struct fab_bar *bar);
/* The device ignores its BARs: memory decoding is off. */
int bar_config_sleeps(const struct fab_bar *bar);
int bar_config_decode(struct fab_bar *bar); /* turns it on: 0 or -errno */

/* Posts writes in order through the page's queue: 0, or -ENODEV when the node takes none any more.
 * bar_queue.c */
int bar_post(struct fab_bar *bar, const struct fab_posted_write *writes, size_t n);
/* Waits until this bar's own posted writes have taken effect. */
int bar_settle(struct fab_bar *bar);

/* Whether the node behind a page lives; from another pid namespace this may take seconds to deny.
 * bar_owner.c */
int bar_page_alive(const struct fab_bar_page *page);
/* Names this process to the page of the bar: 0, -EPROTO, -EOWNERDEAD. */
int bar_owner_meet(struct fab_bar *bar);
int bar_owner_lives(struct fab_bar *bar);
/* Whether the holder of the queue's lock lives; -1: it is elsewhere, nobody here can tell. */
int bar_holder_lives(const struct fab_bar *bar, uint64_t word);

/* What is known without asking anybody: removed, or the node has left. bar.c */
int bar_lost(const struct fab_bar *bar);
/* 0 when the registers can be read, -errno: gone, or posted writes that did not settle. */
int bar_ready(struct fab_bar *bar);

#endif
