/* An emulated switch as a guest's PCI device. Part of fabcore.h, whose caveats hold. */
#ifndef FAB_VFIO_USER_H
#define FAB_VFIO_USER_H

#include <stddef.h>
#include <stdint.h>

#include "fab_node.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A switch as a PCI device for a guest: serves it over vfio-user at a Unix socket, one client at a
 * time, the next when that one leaves. BAR 0 is the register file, trapped; events interrupt by
 * MSI-X vector 0, and MRPC completes by DMA with vector 1 if the guest asks for it (the client must
 * share the guest's memory as a file). Close it before the node. A forked child closes its copy
 * without harm. -ENOENT no such switch; -EALREADY it is served already; -EBUSY a live server holds
 * the socket (a dead one's is replaced); -EEXIST something else is there. */
struct fab_vfio_user_options {
    uint8_t multifunction; /* the header says so: it is a function of an upstream port's device */
    uint8_t no_dma;        /* MRPC by DMA is not offered */
};
typedef struct fab_vfio_user fab_vfio_user;
FAB_API int fab_vfio_user_open(fab_node *node, size_t sw, const char *path,
                               const struct fab_vfio_user_options *options, fab_vfio_user **out);
FAB_API void fab_vfio_user_close(fab_vfio_user *server);

#ifdef __cplusplus
}
#endif
#endif
