/* What a BAR's device is called, the same by whatever way it was opened. */
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bar.h"

void bar_name(struct fab_bar *bar, const char *kind, const char *name, unsigned long number) {
    size_t room = sizeof bar->device - 32, length = strlen(name);
    snprintf(bar->device, sizeof bar->device, "%s-%s-%lu", kind,
             length > room ? name + length - room : name, number);
    for (char *c = bar->device; *c; c++)
        if (*c == '/' || *c <= ' ') *c = '_';
}

/* A PCI device's directory ends in its address, whatever link led there. */
void bar_name_path(struct fab_bar *bar, const char *path) {
    char real[PATH_MAX], file[64];
    struct stat st;
    if (!realpath(path, real) || stat(real, &st) < 0) return;
    if (strncmp(real, "/sys/", 5) == 0) {
        bar_name(bar, "pci", strrchr(real, '/') + 1, 0);
        return;
    }
    snprintf(file, sizeof file, "%lx", (unsigned long)st.st_dev);
    bar_name(bar, "file", file, (unsigned long)st.st_ino);
}
