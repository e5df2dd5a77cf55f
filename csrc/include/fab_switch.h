/* The driver of one switch: identity, firmware commands, ports, byte counters, GFMS bindings,
 * module functions and their arbitration. Part of fabcore.h, whose caveats hold; the driver goes on
 * in fab_control.h, fab_events.h, fab_firmware.h, fab_gfms.h and fab_plan.h.
 */
#ifndef FAB_SWITCH_H
#define FAB_SWITCH_H

#include <stddef.h>
#include <stdint.h>

#include "fab_bar.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fab_switch fab_switch;

/* Takes the bar (does not own it). -ENODEV: gone, or its id reads all ones; -EPROTO: no Switchtec
 * device id. */
FAB_API int fab_switch_open(fab_bar *bar, fab_switch **out);
FAB_API void fab_switch_close(fab_switch *sw);
FAB_API fab_bar *fab_switch_bar(fab_switch *sw);

struct fab_switch_info {
    uint32_t device_id;
    uint32_t device_version;
    uint32_t fw_version;
    uint32_t generation; /* 4, 5, 6: from the ping, not the device id */
    uint32_t pax_id;
    uint32_t lanes;
    char product[25];
};
FAB_API int fab_switch_identify(fab_switch *sw, struct fab_switch_info *out);

/* One firmware command. command: 16-bit id; pax: -1 = this switch, else the PAX index it is sent
 * to. 0 done; -EREMOTEIO: *code is the firmware's return code; -ETIMEDOUT: still in progress after
 * timeout_ns (fab_switch_set_timeout, default 1 s); -EINTR interrupted; *code is then the mailbox's
 * status (1 in progress, 0 never taken up; 0x100); -ENODEV gone. One command at a time, of whatever
 * thread or process of this host: it waits for its turn as long as a command may take, then
 * -ETIMEDOUT and fab_switch_mailbox_holder says who did not let go (fab_switch_own: how they find
 * each other, and when they cannot). */
FAB_API int fab_switch_mrpc(fab_switch *sw, uint32_t command, int pax, const void *in,
                            size_t in_bytes, void *out, size_t out_bytes, uint32_t *code);
/* After any call on this switch that returned -EREMOTEIO: the firmware's return code; *command is
 * the id of the command that it refused. After -ETIMEDOUT or -EINTR: the mailbox's status, as
 * above; *command 0 = it was no firmware command that failed so. */
FAB_API uint32_t fab_switch_refusal(const fab_switch *sw, uint32_t *command);
/* The pid of the process that the last command waited for in vain; 0 = none: it was sent. */
FAB_API uint32_t fab_switch_mailbox_holder(const fab_switch *sw);
FAB_API void fab_switch_set_timeout(fab_switch *sw, uint64_t timeout_ns);

enum {
    FAB_PORT_UNUSED = 0,
    FAB_PORT_FABRIC = 1,
    FAB_PORT_MODULE = 2,
    FAB_PORT_HOST = 3,
    FAB_PORT_MANAGEMENT = 4
};

struct fab_port_info {
    uint8_t port;  /* physical id */
    uint8_t kind;  /* FAB_PORT_* */
    uint8_t index; /* module or host index; 0xFF = none */
    uint8_t pff;
    uint8_t cfg_lanes;
    uint8_t neg_lanes;
    uint8_t gen; /* negotiated rate */
    uint8_t up;
    uint8_t peer_switch; /* fabric ports: where the link ends; 0xFF = nowhere */
    uint8_t peer_port;
    uint16_t ltssm;     /* major in the low byte, minor in the high byte */
    uint16_t phases;    /* of the longest weighted round robin offered: 32 to 256; 0 = fixed */
    uint16_t vc_offset; /* of the Virtual Channel capability in config space, 0 = none */
};
/* Walks ports by register and firmware command; returns how many. */
FAB_API int fab_switch_ports(fab_switch *sw, struct fab_port_info *out, size_t max);
/* Fabric port toward each switch of the chassis (0xFF = itself or unreachable); returns how many.
 */
FAB_API int fab_switch_routes(fab_switch *sw, uint8_t *out, size_t max);

struct fab_port_counters {
    uint64_t time_us;
    uint64_t egress_posted, egress_completion, egress_nonposted; /* payload bytes, cumulative */
    uint64_t ingress_posted, ingress_completion, ingress_nonposted;
};
FAB_API int fab_switch_counters(fab_switch *sw, const uint8_t *ports, size_t n,
                                struct fab_port_counters *out);

/* Physical ports whose link state has changed since the last call (the LINK_STATE event of each
 * port's PFF, cleared here); a handful of register reads. Returns how many (at most max), or -errno
 * (-ENODEV: the switch has vanished). */
FAB_API int fab_switch_link_events(fab_switch *sw, uint8_t *ports, size_t max);

/* GFMS binding of one function to a host port's logical port. */
FAB_API int fab_switch_bind(fab_switch *sw, uint8_t host_switch, uint8_t host_port, uint8_t logical,
                            uint16_t pdfid);
FAB_API int fab_switch_unbind(fab_switch *sw, uint8_t host_switch, uint8_t host_port,
                              uint8_t logical, uint16_t pdfid);
enum { FAB_PORT_DISABLE = 0, FAB_PORT_ENABLE = 1, FAB_PORT_RETRAIN = 2, FAB_PORT_HOT_RESET = 3 };
FAB_API int fab_switch_port_control(fab_switch *sw, uint8_t port, uint8_t action);

/* Config space of a module function by firmware command 0x8E (at most 4 bytes an access). */
FAB_API int fab_switch_function_read(fab_switch *sw, uint16_t pdfid, uint16_t addr, uint8_t bytes,
                                     uint32_t *value);
FAB_API int fab_switch_function_write(fab_switch *sw, uint16_t pdfid, uint16_t addr, uint8_t bytes,
                                      uint32_t value);

enum { FAB_ARBITRATION_NONE = 0, FAB_ARBITRATION_MFVC = 1, FAB_ARBITRATION_SHAPER = 2 };
struct fab_function_info {
    uint16_t vendor, device;
    uint16_t total_vfs, num_vfs;
    uint16_t arbitration;        /* FAB_ARBITRATION_*: what this PF really offers */
    uint16_t arbitration_offset; /* of the MFVC capability or of the shaper's VSEC */
    uint16_t ari_offset;
    uint16_t groups; /* MFVC function groups */
    uint16_t phases; /* MFVC: longest table offered */
};
FAB_API int fab_switch_function_probe(fab_switch *sw, uint16_t pdfid,
                                      struct fab_function_info *out);
/* MFVC: puts a function (VF) into a function group, 0..7. */
FAB_API int fab_switch_function_group(fab_switch *sw, uint16_t pdfid, uint8_t group);
/* Per-VF shaper: committed and peak rate, B/s; rounded up to the device's unit; peak inf = none. */
FAB_API int fab_switch_function_shape(fab_switch *sw, uint16_t pdfid, double up_min,
                                      double down_min, double up_max, double down_max);

/* Arbitration tables by the specification's handshake: write what differs, set Load, wait for the
 * status bit, select the scheme if it changes, read back. On failure the old table is back in force
 * and the error is returned (-EIO read back differs, -ETIMEDOUT status bit never cleared).
 * Returns the number of register writes. entries[i] = ingress port id (port) or group (MFVC). */
FAB_API int64_t fab_switch_load_port_table(fab_switch *sw, uint8_t port, const uint8_t *entries,
                                           size_t phases);
/* Returns the phases in force, 0 = fixed. */
FAB_API int fab_switch_port_table(fab_switch *sw, uint8_t port, uint8_t *entries, size_t max);
FAB_API int64_t fab_switch_load_function_table(fab_switch *sw, uint16_t pdfid,
                                               const uint8_t *entries, size_t phases);
FAB_API int fab_switch_function_table(fab_switch *sw, uint16_t pdfid, uint8_t *entries, size_t max);

#ifdef __cplusplus
}
#endif
#endif
