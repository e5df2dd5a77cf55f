/* The config space beside a BAR: whether the device is still there, and listens at all. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "bar.h"

enum { COMMAND = 4, CLASS = 8, MEMORY_DECODE = 2 };

void bar_config_open(struct fab_bar *bar, const char *folder) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/config", folder) >= (int)sizeof path) return;
    bar->config_file = open(path, O_RDONLY | O_CLOEXEC);
}

static int read_at(const struct fab_bar *bar, unsigned at, void *out, size_t bytes) {
    return pread(bar->config_file, out, bytes, (off_t)(bar->config_at + at)) == (ssize_t)bytes;
}

/* The class tells, not the ids alone: a virtual function's ids read all ones while it lives, and
 * VFIO answers them from its own copy after the device is gone. No class code is all ones. */
int bar_config_answers(const struct fab_bar *bar) {
    uint32_t class_code;
    if (bar->config_file < 0) return 1;
    return read_at(bar, CLASS, &class_code, sizeof class_code) && class_code != UINT32_MAX;
}

/* A virtual function has no such bit of its own; the physical function's SR-IOV capability does. */
int bar_config_sleeps(const struct fab_bar *bar) {
    uint16_t vendor, command;
    if (bar->config_file < 0 || !read_at(bar, 0, &vendor, 2) || vendor == UINT16_MAX) return 0;
    return read_at(bar, COMMAND, &command, 2) && !(command & MEMORY_DECODE);
}

int bar_config_decode(struct fab_bar *bar) {
    uint16_t command;
    if (!read_at(bar, COMMAND, &command, 2)) return -EIO;
    if (command & MEMORY_DECODE) return 0;
    command |= MEMORY_DECODE;
    ssize_t n = pwrite(bar->config_file, &command, 2, (off_t)(bar->config_at + COMMAND));
    return n == 2 ? 0 : -EIO;
}
