/* A device's interrupts through VFIO: MSI-X vectors to the caller's event descriptors. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bar.h"

enum { MAX_VECTORS = 64, COMMAND = 4, BUS_MASTER = 4 };

static int vectors_off(int device) {
    struct vfio_irq_set off = {.argsz = sizeof off,
                               .flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
                               .index = VFIO_PCI_MSIX_IRQ_INDEX};
    return ioctl(device, VFIO_DEVICE_SET_IRQS, &off) < 0 ? -errno : 0;
}

/* A message is a write by the device, which VFIO leaves forbidden until somebody asks. */
static int let_write(const struct fab_bar *bar) {
    uint16_t command;
    off_t at = (off_t)(bar->config_at + COMMAND);
    if (pread(bar->config_file, &command, 2, at) != 2) return -EIO;
    command |= BUS_MASTER;
    return pwrite(bar->config_file, &command, 2, at) == 2 ? 0 : -EIO;
}

int fab_bar_interrupts(fab_bar *bar, const int *events, size_t n) {
    struct vfio_irq_info info = {.argsz = sizeof info, .index = VFIO_PCI_MSIX_IRQ_INDEX};
    union {
        struct vfio_irq_set set;
        char bytes[sizeof(struct vfio_irq_set) + MAX_VECTORS * sizeof(int32_t)];
    } all = {.set = {.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
                     .index = VFIO_PCI_MSIX_IRQ_INDEX}};
    int device = bar->config_file;
    if (bar->held[1] < 0) return -ENOTSUP; /* no container: not through VFIO */
    if (bar_lost(bar)) return -ENODEV;
    if (ioctl(device, VFIO_DEVICE_GET_IRQ_INFO, &info) < 0) return -errno;
    if (n > info.count || n > MAX_VECTORS) return -ERANGE;
    int rc = vectors_off(device); /* a kernel before 6.5 cannot add vectors to those in use */
    if (rc == -EINVAL) rc = 0;    /* none were on */
    if (!rc && n) rc = let_write(bar);
    if (rc || !n) return rc;
    all.set.argsz = (uint32_t)(sizeof all.set + n * sizeof(int32_t));
    all.set.count = (uint32_t)n;
    memcpy(all.set.data, events, n * sizeof(int32_t));
    return ioctl(device, VFIO_DEVICE_SET_IRQS, &all.set) < 0 ? -errno : 0;
}
