/* The fabric's database (GFMS) and its log of events, on a PAX. Part of fabcore.h, whose caveats
 * hold.
 *
 * Calls that fill an array return how many there are, of which at most max are stored. -EOPNOTSUPP:
 * not a PAX; -EPROTO: the answer does not fit together. */
#ifndef FAB_GFMS_H
#define FAB_GFMS_H

#include <stddef.h>
#include <stdint.h>

#include "fab_switch.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FAB_GFMS_VF = 0, FAB_GFMS_PF = 1, FAB_GFMS_SRIOV_PF = 3 };
struct fab_gfms_function { /* behind a port of this switch */
    uint16_t pdfid;
    uint16_t function;
    uint8_t port; /* physical id of the port it is behind */
    uint8_t kind; /* FAB_GFMS_* */
    uint8_t vfs;
    uint8_t bound;
    uint8_t host_switch, host_port, logical; /* while bound */
    uint8_t bars;
    uint16_t vendor, device, subsystem_vendor, subsystem_device;
    uint32_t class_code;
    uint8_t bar_type[6]; /* the low bits of the BAR: 4 = 64 bits, 8 = prefetchable */
    uint8_t bar_log2[6]; /* of its bytes; 0 = none */
};
FAB_API int fab_switch_gfms_functions(fab_switch *sw, struct fab_gfms_function *out, size_t max);
struct fab_gfms_host {
    uint8_t hvd;
    uint8_t port;
    uint16_t hfid;
    uint16_t logical_ports;
    uint16_t bound; /* functions */
};
FAB_API int fab_switch_gfms_hosts(fab_switch *sw, struct fab_gfms_host *out, size_t max);
struct fab_gfms_binding {
    uint8_t hvd;
    uint8_t port;    /* the host's */
    uint8_t logical; /* what unbinds it */
    uint8_t slot;    /* its place among the functions of the logical port */
    uint16_t pdfid;
};
FAB_API int fab_switch_gfms_bindings(fab_switch *sw, struct fab_gfms_binding *out, size_t max);
struct fab_gfms_pax {
    uint8_t pax, ports, hosts, pad;
    uint16_t swfid, devices, functions;
    uint16_t fid[2], hfid[2], vdfid[2], pdfid[2];                /* first, last; 0xFFFF = none */
    uint64_t host_ports, module_ports, fabric_ports, free_ports; /* bit = physical id */
};
FAB_API int fab_switch_gfms_pax(fab_switch *sw, struct fab_gfms_pax *out);

enum {
    FAB_GFMS_HOST_UP = 0, /* u16 port */
    FAB_GFMS_HOST_DOWN = 1,
    FAB_GFMS_DEVICE_ADDED = 2, /* u16 port, u16 functions */
    FAB_GFMS_DEVICE_REMOVED = 3,
    FAB_GFMS_FABRIC_UP = 4,
    FAB_GFMS_FABRIC_DOWN = 5,
    FAB_GFMS_BOUND = 6, /* host: u8 switch, u8 port, u8 logical; u8 0, u16 pdfid, u16 0 */
    FAB_GFMS_UNBOUND = 7,
    FAB_GFMS_DATABASE_CHANGED = 8,
    FAB_GFMS_HVD_ENABLED = 9, /* u8 hvd, u8 port, u8 clock */
    FAB_GFMS_HVD_DISABLED = 10,
    FAB_GFMS_PORT_REMOVED = 11, /* u8 port */
    FAB_GFMS_PORT_ADDED = 12,
    FAB_GFMS_AER = 13 /* u16 port, u8 flags, u8 0, u32 status, u64 time (high first), u32[4] TLP */
};
struct fab_gfms_event {
    uint8_t code; /* FAB_GFMS_* */
    uint8_t sw;   /* where it happened */
    uint16_t bytes;
    uint8_t data[32];
};
/* The oldest events that the switch still has; reading takes none away. *left: how many follow;
 * *lost: older ones fell out (both may be NULL). */
FAB_API int fab_switch_gfms_events(fab_switch *sw, struct fab_gfms_event *out, size_t max,
                                   uint32_t *left, int *lost);
FAB_API int fab_switch_gfms_clear(fab_switch *sw);

#ifdef __cplusplus
}
#endif
#endif
