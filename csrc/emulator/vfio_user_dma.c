/* The client's memory: pieces that it shares, and the writes of MRPC by DMA into them.
 *
 * A piece that comes without a file could only be reached by asking the client in a message of the
 * server's own, which the protocol's text and QEMU lay out differently (the width of its count);
 * writes to one are refused, and MRPC by DMA is not offered to a client that shares none.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "vfio_user.h"

enum { MAP_READABLE = 1, MAP_WRITABLE = 2, UNMAP_ALL = 2, PAGE = 4096 };

void vfio_user_dma_offer(struct fab_vfio_user *vu) {
    int can = !vu->options.no_dma && (vu->shared || !vu->kept);
    gas_put(vu->sw, GAS_MRPC_DMA_VER, 4, can);
}

static struct vfio_user_map *find(struct fab_vfio_user *vu, uint64_t address, size_t bytes) {
    for (size_t k = 0; k < vu->map_count; k++) {
        struct vfio_user_map *map = &vu->maps[k];
        if (address >= map->address && address - map->address <= map->bytes &&
            bytes <= map->bytes - (address - map->address))
            return map;
    }
    return NULL;
}

int vfio_user_dma_write(void *context, uint64_t address, const void *data, size_t bytes) {
    struct vfio_user_map *map = find(context, address, bytes);
    if (!map || !map->writable) return -EFAULT;
    if (map->file < 0) return -ENOTSUP;
    uint64_t off = address - map->address;
    if (map->mapping) {
        memcpy((uint8_t *)map->mapping + off, data, bytes);
        return 0;
    }
    ssize_t n = pwrite(map->file, data, bytes, (off_t)(map->offset + off));
    return n == (ssize_t)bytes ? 0 : n < 0 ? -errno : -EFAULT;
}

/* ---- what is mapped ---- */

static uint64_t last_of(const struct vfio_user_map *map) {
    return map->address + (map->bytes - 1);
}

/* Ranges end with their last address: what ends with the address space has no end behind it. */
static int overlaps(const struct vfio_user_map *map, uint64_t first, uint64_t last) {
    return first <= last_of(map) && map->address <= last;
}

/* Takes the file if all of the piece is in it. */
static int take_file(struct vfio_user_map *map, int file) {
    struct stat st;
    struct statfs fs;
    if (fstat(file, &st) < 0 || fstatfs(file, &fs) < 0) return -errno;
    if (!S_ISREG(st.st_mode) || map->offset > INT64_MAX - map->bytes ||
        (uint64_t)st.st_size < map->offset + map->bytes)
        return -EINVAL;
    if (fs.f_type == HUGETLBFS_MAGIC) {
        int may = PROT_READ | (map->writable ? PROT_WRITE : 0);
        void *p = mmap(NULL, map->bytes, may, MAP_SHARED, file, (off_t)map->offset);
        if (p == MAP_FAILED) return -errno;
        map->mapping = p;
    }
    map->file = file;
    return 0;
}

/* u32 size, u32 flags, u64 offset in the file, u64 address, u64 bytes. */
int vfio_user_dma_map(struct fab_vfio_user *vu, struct vfio_user_request *rq, uint8_t *out) {
    (void)out;
    uint64_t flags = bytes_get(rq->body + 4, 4);
    struct vfio_user_map map = {.offset = bytes_get(rq->body + 8, 8),
                                .address = bytes_get(rq->body + 16, 8),
                                .bytes = bytes_get(rq->body + 24, 8),
                                .file = -1,
                                .writable = (flags & MAP_WRITABLE) != 0};
    if (bytes_get(rq->body, 4) < 32 || flags & ~(uint64_t)(MAP_READABLE | MAP_WRITABLE))
        return -EINVAL;
    if (!map.bytes || (map.bytes | map.address | map.offset) % PAGE ||
        map.bytes - 1 > UINT64_MAX - map.address)
        return -EINVAL;
    if (vu->map_count == VFIO_USER_MAPS) return -ENOSPC;
    for (size_t k = 0; k < vu->map_count; k++)
        if (overlaps(&vu->maps[k], map.address, last_of(&map))) return -EEXIST;
    int rc = rq->fd_count ? take_file(&map, rq->fds[0]) : 0;
    if (rc) return rc;
    pthread_mutex_lock(&vu->sw->node->lock);
    if (rq->fd_count) rq->fds[0] = -1; /* kept */
    vu->maps[vu->map_count++] = map;
    if (map.writable) *(map.file < 0 ? &vu->kept : &vu->shared) = 1;
    vfio_user_dma_offer(vu);
    pthread_mutex_unlock(&vu->sw->node->lock);
    return 0;
}

static void drop(struct fab_vfio_user *vu, size_t k) {
    struct vfio_user_map *map = &vu->maps[k];
    if (map->mapping) munmap(map->mapping, map->bytes);
    if (map->file >= 0) close(map->file);
    *map = vu->maps[--vu->map_count];
}

/* u32 size, u32 flags, u64 address, u64 bytes: whole pieces only. None in the range is no error. */
int vfio_user_dma_unmap(struct fab_vfio_user *vu, struct vfio_user_request *rq, uint8_t *out) {
    uint64_t flags = bytes_get(rq->body + 4, 4);
    uint64_t first = bytes_get(rq->body + 8, 8), bytes = bytes_get(rq->body + 16, 8);
    int all = (flags & UNMAP_ALL) != 0;
    if (bytes_get(rq->body, 4) < 24 || flags & ~(uint64_t)UNMAP_ALL) return -EINVAL;
    if (all ? first || bytes : !bytes || bytes - 1 > UINT64_MAX - first) return -EINVAL;
    uint64_t last = all ? UINT64_MAX : first + (bytes - 1);
    for (size_t k = 0; k < vu->map_count; k++) {
        const struct vfio_user_map *map = &vu->maps[k];
        if (overlaps(map, first, last) && (map->address < first || last_of(map) > last))
            return -EINVAL;
    }
    pthread_mutex_lock(&vu->sw->node->lock); /* a write under way ends before the answer */
    for (size_t k = vu->map_count; k-- > 0;)
        if (overlaps(&vu->maps[k], first, last)) drop(vu, k);
    pthread_mutex_unlock(&vu->sw->node->lock);
    memcpy(out, rq->body, 24);
    return 24;
}

void vfio_user_dma_forget(struct fab_vfio_user *vu) {
    while (vu->map_count) drop(vu, vu->map_count - 1);
    vu->shared = vu->kept = 0;
    vfio_user_dma_offer(vu);
}
