/* The file behind each ring: made whole or not at all, entered by those who take a role in it. */
#ifndef FAB_FILE_H
#define FAB_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "fab_layout.h"

/* One of the three kinds of ring. */
struct file_kind {
    uint64_t magic;
    /* Length of a file whose constants are `head`, 0 if no file of this kind has such. */
    size_t (*bytes)(const struct fab_file_head *head);
    /* Takes the role that `self`, the handle, wants in the mapped file; called with the file locked
     * against others who enter. 0 or -errno, after which nothing has changed. */
    int (*enter)(struct fab_file_head *map, size_t bytes, void *self);
};

/* Makes the file with the constants of `want`, or enters the one that is there; the mapping is left
 * to `enter`'s handle. -EPROTO another layout or other constants, -EEXIST no file of this kind. */
int file_create(const char *path, const struct file_kind *kind, const struct fab_file_head *want,
                void *self);
/* Enters a file that is there, whatever its constants. */
int file_enter(const char *path, const struct file_kind *kind, void *self);
/* Maps the file for reading only. */
int file_open(const char *path, const struct file_kind *kind, struct fab_file_head **map,
              size_t *bytes);

/* Marks this process as the owner. -EBUSY: another that lives is. */
int owner_take(struct fab_owner *owner);
int owner_alive(const struct fab_owner *owner);
/* Signs this process off, unless it is a child that inherited the handle of `pid`. */
void owner_leave(struct fab_owner *owner, uint64_t pid);

static inline int capacity_ok(uint64_t capacity) {
    return capacity >= 2 && capacity <= UINT64_C(1) << 30 && !(capacity & (capacity - 1));
}

#endif
