/* Access control: peers meet at the IOMMU instead of reaching each other around it.
 *
 * What Linux wants of a device before it puts it into an IOMMU group of its own. Translation
 * blocking on top: nothing behind these ports may claim an address to be translated already.
 */
#include <errno.h>

#include "driver.h"

enum {
    OF_PORT = FAB_ACS_SOURCE_VALIDATION | FAB_ACS_TRANSLATION_BLOCKING | FAB_ACS_REQUEST_REDIRECT |
        FAB_ACS_COMPLETION_REDIRECT | FAB_ACS_UPSTREAM_FORWARDING,
    /* the others are a port's alone */
    OF_FUNCTION = FAB_ACS_REQUEST_REDIRECT | FAB_ACS_COMPLETION_REDIRECT,
    NEVER = FAB_ACS_EGRESS_CONTROL | FAB_ACS_DIRECT_TRANSLATED
};

static int isolate(fab_switch *sw, uint32_t where) {
    struct fab_space space;
    uint32_t offered;
    int rc = fab_space_at(sw, where, &space);
    if (rc < 0) return rc;
    uint32_t want = space.pdfid < 0 ? OF_PORT : OF_FUNCTION;
    int at = fab_capability_find_ext(&space, EXT_CAP_ACS, 0);
    if (at < 0) return at;
    if (at == 0) return (int)want;
    rc = fab_space_get(&space, (uint32_t)at + ACS_CAP, 2, &offered);
    if (rc == 0 && offered == UINT16_MAX) rc = fab_space_gone(&space, 0);
    if (rc < 0) return rc;
    uint32_t mask = (want | NEVER) & offered;
    rc = fab_space_set(&space, (uint32_t)at + ACS_CTRL, 2, mask, want & offered);
    return rc < 0 ? rc : (int)(want & ~offered);
}

int fab_switch_isolate(fab_switch *sw, uint32_t where) {
    size_t mark;
    int rc = fab_undo_begin(sw, 1, &mark);
    return rc < 0 ? rc : fab_undo_end(sw, mark, isolate(sw, where));
}
