/* Targets of a BAR: what a name means and how it is mapped. */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bar.h"

static int map_path(const char *path, size_t size, void **base, size_t *bytes) {
    struct stat st;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return errno == ENOENT || errno == ENOTDIR ? -ENODEV : -errno;
    int rc = fstat(fd, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? -ENODEV : 0;
    if (!rc && !size) size = (size_t)st.st_size;
    if (!rc && !size) rc = -ENODATA;
    if (!rc) {
        void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
            rc = -errno;
        else
            *base = p, *bytes = size;
    }
    close(fd);
    return rc;
}

/* NAME or NAME/K: switch K of the node NAME, a file in /dev/shm. */
static int map_shm(const char *name, void **base, size_t *bytes) {
    char path[PATH_MAX];
    const char *slash = strchr(name, '/'), *k = slash ? slash + 1 : "0";
    size_t n = slash ? (size_t)(slash - name) : strlen(name);
    if (!n || name[0] == '.' || !*k || strspn(k, "0123456789") != strlen(k)) return -EINVAL;
    if (snprintf(path, sizeof path, "/dev/shm/%.*s/%s", (int)n, name, k) >= (int)sizeof path)
        return -ENAMETOOLONG;
    return map_path(path, 0, base, bytes);
}

/* N: the first memory of /dev/uioN. */
static int map_uio(const char *n, void **base, size_t *bytes) {
    char path[64], text[32] = "";
    if (!*n || strlen(n) > 8 || strspn(n, "0123456789") != strlen(n)) return -EINVAL;
    snprintf(path, sizeof path, "/sys/class/uio/uio%s/maps/map0/size", n);
    FILE *file = fopen(path, "re");
    if (!file) return -ENODEV;
    size_t got = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    unsigned long size = got ? strtoul(text, NULL, 0) : 0;
    if (!size) return -ENODEV;
    snprintf(path, sizeof path, "/dev/uio%s", n);
    return map_path(path, size, base, bytes);
}

int bar_map(const char *target, void **base, size_t *bytes) {
    char path[PATH_MAX];
    struct stat st;
    if (!*target) return -ENODEV;
    if (strncmp(target, "shm:", 4) == 0) return map_shm(target + 4, base, bytes);
    if (strncmp(target, "uio:", 4) == 0) return map_uio(target + 4, base, bytes);
    if (strncmp(target, "vfio:", 5) == 0) return -ENOTSUP;
    if (stat(target, &st) < 0) return errno == ENOENT || errno == ENOTDIR ? -ENODEV : -errno;
    if (!S_ISDIR(st.st_mode)) return map_path(target, 0, base, bytes);
    if (snprintf(path, sizeof path, "%s/resource0", target) >= (int)sizeof path)
        return -ENAMETOOLONG;
    return map_path(path, 0, base, bytes);
}
