/* The BAR: register accesses to a mapping, whatever is behind it.
 *
 * Accesses that go straight to the mapping are inline; everything else (a queue, a trap, a device
 * that may be gone) is in the library. The only volatile of the tree is here and in switch/bar*.c.
 *
 * One thread at a time per bar, except bars of an emulated node in this process. After fork() the
 * child opens its own.
 */
#ifndef FAB_BAR_H
#define FAB_BAR_H

#include <stddef.h>
#include <stdint.h>

#include "fab_inline.h"
#include "fab_layout.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Called for each write to a trapped bar; stores the value itself (or not): 0 or -errno. */
typedef int (*fab_trap_fn)(void *context, uint64_t off, uint64_t value, unsigned width);

/* Private: fields change without notice. Written by the bar's own thread only, except `writes` of a
 * trapped bar. */
typedef struct fab_bar {
    unsigned char *base;
    /* Below these offsets an aligned access may go straight to the mapping. Multiples of 8, so that
     * the start of an access tells for all of it; 0 where every access needs a closer look. */
    uint64_t load_below;
    uint64_t store_below;
    uint64_t writes;
    size_t bytes;              /* of the register space */
    struct fab_bar_page *page; /* behind the image of an emulated node, else NULL */
    fab_trap_fn trap;          /* writes are trapped, when not NULL */
    void *context;
    uint64_t owner;     /* this process, as the queue's lock names it */
    uint64_t posted;    /* the queue's head after this bar's last write */
    uint64_t looked_ns; /* when the owner was last seen alive, CLOCK_MONOTONIC */
    uint64_t pulse;     /* elsewhere: the node's steps when they last moved, and when that was */
    uint64_t pulse_ns;
    int elsewhere;      /* the node's pid means nothing here: a guest, a container */
    uint32_t reads;     /* through a queued bar */
    int queued;         /* writes travel through the page's queue */
    int combining;      /* stores gather in the core until a fence */
    int gone;           /* for good: removed, or the owner's process ended */
    uint64_t config_at; /* of the config space in config_file */
    int config_file;    /* of the device, -1 = it has none */
    int held[2];        /* VFIO's group and container, -1 = none */
    void *mapping;      /* what to unmap at close: NULL = the caller's memory */
    size_t mapped;
    /* The device, by whatever way it was opened: what its owner's file is named after. Empty =
     * memory that only this process knows. */
    char device[96];
    uint64_t mailbox[3]; /* who sends a firmware command, where no file can say; any thread */
} fab_bar;

/* What a target names, always the first of its kind where no number is given:
 *   /sys/bus/pci/devices/BDF   a PCI device's BAR 0; its resourceN file: BAR N
 *   vfio:BDF[:N]               BAR N of a device that vfio-pci drives
 *   uio:N                      the first map of /dev/uioN
 *   shm:NAME[/K]               switch K of an emulated node: the file /dev/shm/NAME/K
 *   any other path             a file that holds a memory image
 * With the page magic behind its image, writes are queued to the node that made it; everything
 * else is plain MMIO. Errors:
 *   -ENODEV      no such device
 *   -EINVAL      malformed
 *   -ENOENT      no such BAR, or it is I/O ports, or the UIO driver exports no memory
 *   -ENXIO       its memory decoding is off (sysfs)
 *   -EACCES      the process may not open it
 *   -ENODATA     empty file
 *   -EPROTO      another layout
 *   -EOWNERDEAD  the node that made it is dead
 *   -ENOSYS      VFIO: no IOMMU
 *   -EUNATCH     VFIO: the device is not bound to vfio-pci
 *   -EPERM       VFIO: the group is not viable, a host driver holds another device of it
 *   -EBUSY       VFIO: the group is open already, here or in another process
 *   -ENOTSUP     VFIO: the BAR cannot be mapped */
FAB_API int fab_bar_open(const char *target, fab_bar **out);
/* The same with stores combined in the core on their way (for streaming, not for registers): they
 * may arrive later, merged and out of order; a read through this bar and fab_bar_flush put a fence
 * behind them. sysfs only, and only a prefetchable BAR: else -ENOTSUP. */
FAB_API int fab_bar_open_wc(const char *target, fab_bar **out);
/* Plain memory owned by the caller, who keeps it alive. With the page magic: as above. */
FAB_API int fab_bar_from_buffer(void *base, size_t bytes, fab_bar **out);
/* A bar whose writes are trapped: in-process nodes and tests. The image is readable at `base`. */
FAB_API int fab_bar_trapped(void *base, size_t bytes, fab_trap_fn trap, void *context,
                            fab_bar **out);
FAB_API void fab_bar_close(fab_bar *bar);

FAB_API size_t fab_bar_bytes(const fab_bar *bar); /* of the register space */
/* The page of an emulated node behind the image, or NULL on hardware and plain buffers. */
FAB_API struct fab_bar_page *fab_bar_page(const fab_bar *bar);
/* Register writes posted through this bar so far (for counting a tick's writes). */
FAB_API uint64_t fab_bar_writes(const fab_bar *bar);
/* 1 when the device was removed or the node is gone, asked of the config space or the page now;
 * 0 also where neither exists. Hardware stays gone: open it anew. */
FAB_API int fab_bar_gone(fab_bar *bar);

/* Routes the device's MSI-X vectors 0..n-1 to event descriptors, in place of those of the last
 * call; n = 0 turns them off. The descriptors stay the caller's. Only through vfio: elsewhere
 * -ENOTSUP; -ERANGE: the device has fewer vectors, which changes nothing. */
FAB_API int fab_bar_interrupts(fab_bar *bar, const int *events, size_t n);

/* Off the straight path; the functions below call these. */
FAB_API int fab_bar_read_other(fab_bar *bar, uint64_t off, uint64_t *value, unsigned width);
FAB_API int64_t fab_bar_get32_other(fab_bar *bar, uint64_t off);
FAB_API int fab_bar_write_other(fab_bar *bar, uint64_t off, uint64_t value, unsigned width);
/* After a read of all ones: 0 when the device says it is there, so the value is real; -ENODEV. */
FAB_API int fab_bar_confirm(fab_bar *bar);

/* Register accesses: -ERANGE out of bounds, -EINVAL unaligned, -ENODEV the device was removed or
 * the node behind it is gone or takes no writes any more, -ETIMEDOUT it lives but has taken none
 * for 10 s. A read waits for this bar's own posted writes. All ones are returned only where the
 * config space confirms that the device is there, or where there is none. */
FAB_INLINE int fab_bar_read8(fab_bar *bar, uint64_t off, uint8_t *value) {
    uint64_t wide = 0;
    if (off < bar->load_below) {
        *value = *(const volatile uint8_t *)(bar->base + off);
        return *value != UINT8_MAX ? 0 : fab_bar_confirm(bar);
    }
    int rc = fab_bar_read_other(bar, off, &wide, 1);
    if (rc < 0) return rc;
    *value = (uint8_t)wide;
    return 0;
}

FAB_INLINE int fab_bar_read16(fab_bar *bar, uint64_t off, uint16_t *value) {
    uint64_t wide = 0;
    if (off < bar->load_below && !(off & 1)) {
        *value = *(const volatile uint16_t *)(bar->base + off);
        return *value != UINT16_MAX ? 0 : fab_bar_confirm(bar);
    }
    int rc = fab_bar_read_other(bar, off, &wide, 2);
    if (rc < 0) return rc;
    *value = (uint16_t)wide;
    return 0;
}

FAB_INLINE int fab_bar_read32(fab_bar *bar, uint64_t off, uint32_t *value) {
    uint64_t wide = 0;
    if (off < bar->load_below && !(off & 3)) {
        *value = *(const volatile uint32_t *)(bar->base + off);
        return *value != UINT32_MAX ? 0 : fab_bar_confirm(bar);
    }
    int rc = fab_bar_read_other(bar, off, &wide, 4);
    if (rc < 0) return rc;
    *value = (uint32_t)wide;
    return 0;
}

FAB_INLINE int fab_bar_read64(fab_bar *bar, uint64_t off, uint64_t *value) {
    if (off < bar->load_below && !(off & 7)) {
        *value = *(const volatile uint64_t *)(bar->base + off);
        return *value != UINT64_MAX ? 0 : fab_bar_confirm(bar);
    }
    return fab_bar_read_other(bar, off, value, 8);
}

/* fab_bar_read32 for callers without out-parameters: the value, or -errno. */
FAB_INLINE int64_t fab_bar_get32(fab_bar *bar, uint64_t off) {
    if (off >= bar->load_below || off & 3) return fab_bar_get32_other(bar, off);
    uint32_t value = *(const volatile uint32_t *)(bar->base + off);
    if (value != UINT32_MAX) return value;
    int rc = fab_bar_confirm(bar);
    return rc < 0 ? rc : (int64_t)value;
}

FAB_INLINE int fab_bar_write8(fab_bar *bar, uint64_t off, uint8_t value) {
    if (off >= bar->store_below) return fab_bar_write_other(bar, off, value, 1);
    bar->writes++;
    *(volatile uint8_t *)(bar->base + off) = value;
    return 0;
}

FAB_INLINE int fab_bar_write16(fab_bar *bar, uint64_t off, uint16_t value) {
    if (off >= bar->store_below || off & 1) return fab_bar_write_other(bar, off, value, 2);
    bar->writes++;
    *(volatile uint16_t *)(bar->base + off) = value;
    return 0;
}

FAB_INLINE int fab_bar_write32(fab_bar *bar, uint64_t off, uint32_t value) {
    if (off >= bar->store_below || off & 3) return fab_bar_write_other(bar, off, value, 4);
    bar->writes++;
    *(volatile uint32_t *)(bar->base + off) = value;
    return 0;
}

FAB_INLINE int fab_bar_write64(fab_bar *bar, uint64_t off, uint64_t value) {
    if (off >= bar->store_below || off & 7) return fab_bar_write_other(bar, off, value, 8);
    bar->writes++;
    *(volatile uint64_t *)(bar->base + off) = value;
    return 0;
}

/* Blocks move in 4-byte accesses, with 1- and 2-byte ones at unaligned ends. */
FAB_API int fab_bar_read_block(fab_bar *bar, uint64_t off, void *out, size_t bytes);
FAB_API int fab_bar_write_block(fab_bar *bar, uint64_t off, const void *data, size_t bytes);
FAB_API int fab_bar_flush(fab_bar *bar); /* all posted writes have taken effect */

#ifdef __cplusplus
}
#endif
#endif
