/* Targets of a BAR: what a name means and how it is mapped. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bar.h"

enum { RESOURCE_IO = 0x100, RESOURCE_PREFETCH = 0x2000 }; /* flags of the kernel's resource file */

int bar_map_file(struct fab_bar *bar, int file, uint64_t at, size_t bytes) {
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, (off_t)at);
    if (p == MAP_FAILED) return -errno;
    bar->mapping = p;
    bar->mapped = bytes;
    bar->base = p;
    bar->bytes = bytes;
    return 0;
}

void bar_release(struct fab_bar *bar) {
    if (bar->mapping) munmap(bar->mapping, bar->mapped);
    if (bar->config_file >= 0) close(bar->config_file);
    for (int i = 0; i < 2; i++)
        if (bar->held[i] >= 0) close(bar->held[i]);
}

/* Maps a file from its start: `bytes` registers from `at` on; 0 = as many as the file is long. */
static int map_path(struct fab_bar *bar, const char *path, size_t bytes, size_t at) {
    struct stat st;
    int file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) return errno == ENOTDIR || errno == ENOENT ? -ENODEV : -errno;
    int rc = fstat(file, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? -ENODEV : 0;
    if (!rc && !bytes) bytes = (size_t)st.st_size;
    if (!rc && !bytes) rc = -ENODATA;
    if (!rc) rc = bar_map_file(bar, file, 0, bytes + at);
    close(file);
    if (rc) return rc;
    bar->base += at;
    bar->bytes = bytes;
    return 0;
}

/* NAME or NAME/K: switch K of the node NAME, a file in /dev/shm. */
static int map_shm(struct fab_bar *bar, const char *name) {
    char path[PATH_MAX];
    const char *slash = strchr(name, '/'), *k = slash ? slash + 1 : "0";
    size_t n = slash ? (size_t)(slash - name) : strlen(name);
    if (!n || name[0] == '.' || !*k || strspn(k, "0123456789") != strlen(k)) return -EINVAL;
    if (snprintf(path, sizeof path, "/dev/shm/%.*s/%s", (int)n, name, k) >= (int)sizeof path)
        return -ENAMETOOLONG;
    char node[NAME_MAX + 1];
    snprintf(node, sizeof node, "%.*s", (int)n, name);
    bar_name(bar, "shm", node, strtoul(k, NULL, 10));
    return map_path(bar, path, 0, 0);
}

/* One number of a UIO map's description. */
static int uio_number(const char *n, const char *what, size_t *value) {
    char path[64], text[32] = "";
    snprintf(path, sizeof path, "/sys/class/uio/uio%s/maps/map0/%s", n, what);
    FILE *file = fopen(path, "re");
    if (!file) return -ENOENT;
    size_t got = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    *value = got ? strtoul(text, NULL, 0) : 0;
    return 0;
}

/* N: the first memory of /dev/uioN. */
static int map_uio(struct fab_bar *bar, const char *n) {
    char path[64];
    size_t bytes = 0, at = 0;
    if (!*n || strlen(n) > 8 || strspn(n, "0123456789") != strlen(n)) return -EINVAL;
    snprintf(path, sizeof path, "/sys/class/uio/uio%s", n);
    if (access(path, F_OK) < 0) return -ENODEV;
    int rc = uio_number(n, "size", &bytes);
    if (!rc) rc = uio_number(n, "offset", &at);
    if (!rc && bytes <= at) rc = -ENOENT;
    if (rc) return rc;
    snprintf(path, sizeof path, "/sys/class/uio/uio%s/device", n);
    bar_config_open(bar, path);
    bar_name_path(bar, path);
    snprintf(path, sizeof path, "/dev/uio%s", n);
    return map_path(bar, path, bytes - at, at); /* a map's size counts from its page's start */
}

/* Line n of a PCI device's resource file. A folder without one (an image kept on disk) has plain
 * memory there. */
static void resource_line(const char *folder, unsigned n, uint64_t *start, uint64_t *flags) {
    char path[PATH_MAX], line[80];
    *start = *flags = 0;
    if (snprintf(path, sizeof path, "%s/resource", folder) >= (int)sizeof path) return;
    FILE *file = fopen(path, "re");
    if (!file) return;
    for (unsigned k = 0; k <= n && fgets(line, sizeof line, file); k++)
        if (k == n && sscanf(line, "%lx %*x %lx", start, flags) != 2) *start = *flags = 0;
    fclose(file);
}

/* BAR n of the PCI device that has this folder in sysfs. */
static int map_pci(struct fab_bar *bar, const char *folder, unsigned n, int combining) {
    char path[PATH_MAX];
    uint64_t start, flags;
    resource_line(folder, n, &start, &flags);
    if (flags & RESOURCE_IO) return -ENOENT;
    if (snprintf(path, sizeof path, "%s/resource%u", folder, n) >= (int)sizeof path - 3)
        return -ENAMETOOLONG;
    if (access(folder, F_OK) < 0) return -ENODEV;
    if (access(path, F_OK) < 0) return -ENOENT;
    if (combining && (!(flags & RESOURCE_PREFETCH) || access(strcat(path, "_wc"), F_OK) < 0))
        return -ENOTSUP;
    bar_config_open(bar, folder);
    bar_name_path(bar, folder);
    if (!bar_config_answers(bar)) return -ENODEV;
    if (bar_config_sleeps(bar)) return -ENXIO;
    /* A BAR smaller than a page lies anywhere in it; the kernel maps the page. */
    return map_path(bar, path, 0, start & ((uint64_t)sysconf(_SC_PAGESIZE) - 1));
}

/* .../resourceN or .../resourceN_wc: the BAR's number, else -1. */
static int resource_number(const char *name) {
    unsigned n;
    int end = 0;
    if (sscanf(name, "resource%1u%n", &n, &end) != 1 || n > 5) return -1;
    return !name[end] || !strcmp(name + end, "_wc") ? (int)n : -1;
}

static int map_named(struct fab_bar *bar, const char *target, int combining) {
    char path[PATH_MAX];
    struct stat st;
    const char *slash = strrchr(target, '/'), *name = slash ? slash + 1 : target;
    int n = resource_number(name), there = stat(target, &st) == 0;
    if (there && S_ISDIR(st.st_mode)) return map_pci(bar, target, 0, combining);
    if (n < 0) {
        bar_name_path(bar, target);
        return combining && there ? -ENOTSUP : map_path(bar, target, 0, 0);
    }
    if (strlen(target) >= sizeof path) return -ENAMETOOLONG;
    combining |= strchr(name, '_') != NULL;
    return map_pci(bar, dirname(strcpy(path, target)), (unsigned)n, combining);
}

int bar_map(const char *target, int combining, struct fab_bar *bar) {
    bar->config_file = bar->held[0] = bar->held[1] = -1;
    bar->combining = combining;
    if (!*target) return -ENODEV;
    if (strncmp(target, "shm:", 4) == 0) return combining ? -ENOTSUP : map_shm(bar, target + 4);
    if (strncmp(target, "uio:", 4) == 0) return combining ? -ENOTSUP : map_uio(bar, target + 4);
    if (strncmp(target, "vfio:", 5) == 0)
        return combining ? -ENOTSUP : bar_map_vfio(target + 5, bar);
    return map_named(bar, target, combining);
}
