/* A BAR through VFIO: device, IOMMU group, container, and the mapping of one region. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bar.h"

enum { BDF_CHARS = 12 }; /* DDDD:BB:DD.F, the way sysfs spells it */

/* Splits BDF[:N]. */
static int parse(const char *name, char bdf[BDF_CHARS + 1], unsigned *n) {
    unsigned domain, bus, slot, function;
    int end = 0;
    if (strlen(name) < BDF_CHARS) return -EINVAL;
    memcpy(bdf, name, BDF_CHARS);
    bdf[BDF_CHARS] = '\0';
    if (strspn(bdf, "0123456789abcdefABCDEF:.") != BDF_CHARS ||
        sscanf(bdf, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &end) != 4 ||
        end != BDF_CHARS)
        return -EINVAL;
    name += BDF_CHARS;
    *n = 0;
    if (!*name) return 0;
    if (name[0] != ':' || name[1] < '0' || name[1] > '5' || name[2]) return -EINVAL;
    *n = (unsigned)(name[1] - '0');
    return 0;
}

/* The group's number, from the device's link in sysfs. */
static int find_group(const char *bdf, unsigned *group) {
    char path[64], link[PATH_MAX];
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s", bdf);
    if (access(path, F_OK) < 0) return -ENODEV;
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/iommu_group", bdf);
    ssize_t n = readlink(path, link, sizeof link - 1);
    if (n < 0) return -ENOSYS;
    link[n] = '\0';
    const char *slash = strrchr(link, '/');
    return slash && sscanf(slash, "/%u", group) == 1 ? 0 : -ENOSYS;
}

/* A group has a file once vfio-pci drives one of its devices, and is viable once no host driver
 * has any of them. */
static int join_group(struct fab_bar *bar, unsigned number) {
    struct vfio_group_status status = {.argsz = sizeof status};
    char path[64];
    snprintf(path, sizeof path, "/dev/vfio/%u", number);
    int group = bar->held[0] = open(path, O_RDWR | O_CLOEXEC);
    if (group < 0) return errno == ENOENT ? -EUNATCH : -errno;
    if (ioctl(group, VFIO_GROUP_GET_STATUS, &status) < 0) return -errno;
    if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE)) return -EPERM;
    int container = bar->held[1] = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
    if (container < 0) return -errno;
    if (ioctl(container, VFIO_GET_API_VERSION) != VFIO_API_VERSION ||
        ioctl(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1)
        return -ENOSYS;
    if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) < 0) return -errno;
    return ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0 ? -errno : 0;
}

static int region(int device, unsigned index, struct vfio_region_info *info) {
    *info = (struct vfio_region_info){.argsz = sizeof *info, .index = index};
    return ioctl(device, VFIO_DEVICE_GET_REGION_INFO, info) < 0 ? -errno : 0;
}

int bar_map_vfio(const char *name, struct fab_bar *bar) {
    char bdf[BDF_CHARS + 1];
    unsigned n, group;
    struct vfio_region_info info;
    char path[64];
    int rc = parse(name, bdf, &n);
    if (!rc) rc = find_group(bdf, &group);
    if (!rc) {
        snprintf(path, sizeof path, "/sys/bus/pci/devices/%s", bdf);
        bar_name_path(bar, path);
    }
    if (!rc) rc = join_group(bar, group);
    if (rc) return rc;
    int device = bar->config_file = ioctl(bar->held[0], VFIO_GROUP_GET_DEVICE_FD, bdf);
    if (device < 0) return errno == ENODEV ? -EUNATCH : -errno;
    rc = region(device, VFIO_PCI_CONFIG_REGION_INDEX, &info);
    if (rc) return rc;
    bar->config_at = info.offset;
    rc = region(device, VFIO_PCI_BAR0_REGION_INDEX + n, &info);
    if (rc) return rc;
    if (!info.size) return -ENOENT;
    if (!(info.flags & VFIO_REGION_INFO_FLAG_MMAP)) return -ENOTSUP;
    rc = bar_config_decode(bar);
    return rc ? rc : bar_map_file(bar, device, info.offset, info.size);
}
