/* fabcore's public C API: rings, BARs, the switch driver, the emulated Resource Node.
 *
 * Caveats first.
 *  - A handle belongs to the process that opened it: after fork() the child must open its own.
 *  - Handles are not locked: one thread at a time per handle, unless a function says otherwise.
 *    (Bars of an emulated node may be used from several threads: the node locks itself.)
 *  - Each role in a ring is one process's: a second one-writer fab_ring_create, or a second
 * producer, on the same path fails with -EBUSY while the first lives. A writer of many and a client
 * of a request queue have a handle of their own. Readers never disturb a writer and can be lapped.
 *  - Owners are told by pid and start time: all users of a file see the same processes (one pid
 *    namespace; an emulated node's memory alone may also be opened from elsewhere), and a file on a
 *    network file system is not shared memory.
 *  - Register writes are posted. A read through the same bar pushes them, as PCIe does.
 *  - Files are created with mode 0600: whoever can write the BAR programs the switch.
 *
 * Functions return a count or 0, or -errno. Nothing here prints, aborts or allocates after open.
 */
#ifndef FABCORE_H
#define FABCORE_H

#include <stdint.h>

#include "fab_atomic.h"
#include "fab_bar.h"
#include "fab_control.h"
#include "fab_ethernet.h"
#include "fab_events.h"
#include "fab_firmware.h"
#include "fab_gfms.h"
#include "fab_index.h"
#include "fab_inline.h"
#include "fab_layout.h"
#include "fab_node.h"
#include "fab_plan.h"
#include "fab_request.h"
#include "fab_ring.h"
#include "fab_switch.h"
#include "fab_vfio_user.h"

#ifdef __cplusplus
extern "C" {
#endif

FAB_API uint32_t fab_layout(void); /* FAB_LAYOUT of the library */
FAB_API const char *fab_version(void);

#ifdef __cplusplus
}
#endif
#endif
