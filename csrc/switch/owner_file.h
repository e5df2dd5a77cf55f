/* The files of this host that controllers of one switch share: where they are, and their lock. */
#ifndef FAB_OWNER_FILE_H
#define FAB_OWNER_FILE_H

#include "driver.h"

struct owner_file {
    int file; /* flocked while open */
    uint64_t inode;
    char path[512];
};
/* Opens and locks the device's file of that kind; `create` makes it where there is none. 0,
 * -ENOENT, -EACCES another user's. */
int owner_file_open(fab_switch *sw, const char *kind, bool create, struct owner_file *out);
void owner_file_close(struct owner_file *f);
/* Maps the page, made whole if the file is new. -EPROTO: not such a page. */
int owner_file_map(const struct owner_file *f, struct fab_owner_page **out);
/* Takes the name away; whoever has the page mapped still reads it. */
void owner_file_remove(const struct owner_file *f);

#endif
