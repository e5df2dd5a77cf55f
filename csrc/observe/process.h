/* Tells whether a process that left its name in shared memory still lives. */
#ifndef FAB_PROCESS_H
#define FAB_PROCESS_H

#include <stdint.h>

/* Start time of a running process in clock ticks since boot (field 22 of /proc/PID/stat), which
 * tells a reused pid apart. 0: no such process, or a zombie, which runs no more.
 * UINT64_MAX: it exists, but /proc does not show it. */
uint64_t fab_process_start(uint64_t pid);

/* 1 while the process `pid` that started at `start` runs. Only the bits of `mask` are compared;
 * where either start time is unknown (start 0, or hidden by /proc) the pid alone decides. */
int fab_process_alive(uint64_t pid, uint64_t start, uint64_t mask);

/* Where pids and start times mean what they mean here: this running kernel and pid namespace. 0:
 * /proc does not say. */
uint64_t fab_process_place(void);

/* This process in one word, as locks name their holder: pid << 32 | low half of its start time. */
uint64_t fab_process_word(void);
int fab_process_word_alive(uint64_t word);

#endif
