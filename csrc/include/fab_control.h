/* The driver's control of ports and functions: capabilities, config space, virtual channels, links,
 * isolation, bifurcation, port bindings; changes that are all or nothing; who owns a switch.
 *
 * Part of fabcore.h, whose caveats hold. An operation that fails has put back what it had changed
 * and returns the reason; -ENOTRECOVERABLE: putting back failed too, so look at the device before
 * going on. Where an operation names a place, that is a physical port id, or FAB_AT_FUNCTION |
 * pdfid. A port's config space is reached below 0x800 only, a function's by a firmware command per
 * access.
 */
#ifndef FAB_CONTROL_H
#define FAB_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "fab_switch.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FAB_AT_FUNCTION = 0x10000 };

/* ---- config space and capabilities ---------------------------------------------------------- */

/* 1, 2 or 4 bytes. -EINVAL another width or unaligned, -ERANGE beyond the space (a port's ends at
 * 0x800), -ENOENT no such port, -EREMOTEIO no such function. */
FAB_API int fab_switch_config_read(fab_switch *sw, uint32_t where, uint16_t addr, uint8_t bytes,
                                   uint32_t *value);
FAB_API int fab_switch_config_write(fab_switch *sw, uint32_t where, uint16_t addr, uint8_t bytes,
                                    uint32_t value);

struct fab_capability {
    uint16_t id;
    uint16_t offset;
    uint8_t version; /* 0 where the capability has none */
    uint8_t extended;
};
/* Every capability, in the order of the lists, standard ones first; returns how many there are (at
 * most max are stored). -EPROTO: a list bites its own tail, or points at nothing. A port's extended
 * list ends where it leaves the window. */
FAB_API int fab_switch_capabilities(fab_switch *sw, uint32_t where, struct fab_capability *out,
                                    size_t max);
/* "Access Control Services", ...; NULL for an id without a name here. */
FAB_API const char *fab_capability_name(uint16_t id, int extended);

/* ---- virtual channels ------------------------------------------------------------------------ */

#define FAB_MAX_VCS 8

/* A virtual channel of a port's VC capability or of a function's MFVC capability. */
struct fab_vc {
    uint8_t id;          /* VC id, 0..7 */
    uint8_t enabled;     /* VC0 always is */
    uint8_t tcs;         /* bit = a traffic class that it carries */
    uint8_t negotiating; /* read only: the two ends of the link do not agree yet */
    uint16_t phases;     /* read only: its longest weighted port arbitration table, 0 = fixed */
};
/* Returns how many there are; -EOPNOTSUPP: no VC capability. */
FAB_API int fab_switch_vcs(fab_switch *sw, uint32_t where, struct fab_vc *out, size_t max);
/* Makes all n channels (as many as there are) carry what `wish` says: id, enabled, tcs. What loses
 * classes is written before what gains them; a new channel is enabled last. -EINVAL: a class in two
 * channels, VC0 without class 0, an id used twice, an enabled channel without classes. Both ends of
 * a link have to be set before either stops negotiating. */
FAB_API int fab_switch_vc_map(fab_switch *sw, uint32_t where, const struct fab_vc *wish, size_t n);
/* Waits until no enabled channel negotiates any more; -ETIMEDOUT. */
FAB_API int fab_switch_vc_wait(fab_switch *sw, uint32_t where, uint64_t timeout_ns);
/* Arbitration between channels by the handshake of the port tables; entries[i] = VC id. */
FAB_API int64_t fab_switch_load_vc_table(fab_switch *sw, uint32_t where, const uint8_t *entries,
                                         size_t phases);
FAB_API int fab_switch_vc_table(fab_switch *sw, uint32_t where, uint8_t *entries, size_t max);
/* Arbitration between ports (function groups) within channel number `vc` (0.., not its id). */
FAB_API int64_t fab_switch_load_vc_port_table(fab_switch *sw, uint32_t where, uint8_t vc,
                                              const uint8_t *entries, size_t phases);
FAB_API int fab_switch_vc_port_table(fab_switch *sw, uint32_t where, uint8_t vc, uint8_t *entries,
                                     size_t max);

/* ---- links ----------------------------------------------------------------------------------- */

struct fab_link {
    uint8_t max_lanes, max_gen; /* link capability */
    uint8_t target_gen;         /* link control 2 */
    uint8_t lanes, gen;         /* negotiated (link status); lanes 0 = down */
    uint8_t up;                 /* as the firmware says */
    uint8_t training;
    uint8_t active; /* data link layer active; where the port does not tell, as `up` */
    uint8_t disabled;
    uint8_t cfg_lanes;
    uint16_t ltssm; /* major in the low byte, minor in the high byte */
};
FAB_API int fab_switch_link(fab_switch *sw, uint8_t port, struct fab_link *out);
/* Waits until the link is up and not training; -ETIMEDOUT. */
FAB_API int fab_switch_link_wait(fab_switch *sw, uint8_t port, uint64_t timeout_ns);
/* Sets the target speed, retrains and waits for the link. -ERANGE: not a speed of this port. The
 * link may come up slower where its other end cannot: fab_switch_link tells. */
FAB_API int fab_switch_link_speed(fab_switch *sw, uint8_t port, uint8_t gen, uint64_t timeout_ns);
/* Link Disable of a downstream port; of others by firmware. Enabling does not wait. */
FAB_API int fab_switch_link_disable(fab_switch *sw, uint8_t port, int disable);

/* ---- isolation ------------------------------------------------------------------------------- */

enum {
    FAB_ACS_SOURCE_VALIDATION = 1,
    FAB_ACS_TRANSLATION_BLOCKING = 2,
    FAB_ACS_REQUEST_REDIRECT = 4,
    FAB_ACS_COMPLETION_REDIRECT = 8,
    FAB_ACS_UPSTREAM_FORWARDING = 16,
    FAB_ACS_EGRESS_CONTROL = 32,
    FAB_ACS_DIRECT_TRANSLATED = 64
};
/* Access control so that peers meet at the IOMMU, not around it: of a downstream port validation,
 * blocking, redirects and upstream forwarding on; of a function the redirects; direct translated
 * and egress control off. Returns the protections that it does not offer (0 = none is missing). */
FAB_API int fab_switch_isolate(fab_switch *sw, uint32_t where);

/* ---- stacks and partitions ------------------------------------------------------------------- */

#define FAB_STACK_PORTS 8

/* Lanes of each of a stack's 8 ports, 0 = off; returns how many are on. */
FAB_API int fab_switch_bifurcation(fab_switch *sw, uint8_t stack, uint8_t widths[FAB_STACK_PORTS]);
/* A port of w lanes takes the max(w / 2, 1) places from its own on, aligned to as many. -EINVAL:
 * not a width, not aligned, or a place taken twice; nothing is sent then. */
FAB_API int fab_switch_bifurcation_set(fab_switch *sw, uint8_t stack,
                                       const uint8_t widths[FAB_STACK_PORTS]);

struct fab_port_binding {
    uint8_t phys;
    uint8_t partition;
    uint8_t logical;
    uint8_t bound;
    uint8_t state; /* 0 settled, 1 failed, 2 in progress */
};
/* Of every physical port; returns how many. */
FAB_API int fab_switch_port_bindings(fab_switch *sw, struct fab_port_binding *out, size_t max);
/* Gives a physical port to a partition as its logical port, and waits for the end of it. */
FAB_API int fab_switch_port_bind(fab_switch *sw, uint8_t partition, uint8_t logical, uint8_t phys);
FAB_API int fab_switch_port_unbind(fab_switch *sw, uint8_t partition, uint8_t logical);

/* ---- changes: all of several operations, or none --------------------------------------------- */

/* While a change is open on a switch, every operation of the driver on it (config writes, tables,
 * shapers, groups, isolation, channels, links, bifurcation, bindings) notes its way back before it
 * writes. Retraining needs none; a hot reset has none and is refused with -EOPNOTSUPP, a plan with
 * -EBUSY. After an operation that failed the others are refused with -ECANCELED.
 * fab_switch_mrpc is neither noted nor refused: what it sends nobody here knows how to take back.
 */
typedef struct fab_change fab_change;
struct fab_change_report {
    uint32_t steps;      /* noted */
    int32_t failed;      /* which operation failed, counted from 0; -1 = none */
    int32_t error;       /* its -errno */
    int32_t rolled_back; /* steps taken back; -1: a way back failed */
};
/* Room for `steps` steps: a config register or a table is one, a binding too. */
FAB_API int fab_change_open(size_t steps, fab_change **out);
FAB_API void fab_change_close(fab_change *change); /* rolls back what is still open */
/* -EBUSY: one of the switches has an open change. The switches must outlive it. */
FAB_API int fab_change_begin(fab_change *change, fab_switch *const *switches, size_t n);
/* Ends it: 0, or everything is taken back, newest first, and the first error is returned. */
FAB_API int fab_change_commit(fab_change *change, struct fab_change_report *report);
/* Takes everything back; 0, or -errno of the first way back that failed (the others are tried). */
FAB_API int fab_change_roll_back(fab_change *change, struct fab_change_report *report);

/* ---- owners -----------------------------------------------------------------------------------
 */

/* One controller at a time programs a switch. The owner stands in a file of this host (the
 * directory $FABCORE_RUN, else /run/fabcore, else, where that cannot be written,
 * $XDG_RUNTIME_DIR/fabcore or /dev/shm/fabcore-UID), named after the device, however it was opened.
 * Advisory: it binds those who ask. Two hosts that manage one switch are not protected from each
 * other, nor are two users without a common directory. Memory of this process only (a buffer, an
 * emulated node that is not shared) has no file: everybody owns it. Reading needs no owner;
 * firmware commands, of those that only ask too, take turns by a second file there (NAME.mailbox).
 * Where no such directory can be had they do not: then no other process may use the switch. */
struct fab_switch_owner {
    uint64_t pid;
    uint64_t since_ns;   /* UTC */
    int64_t left_ns;     /* of the lease; negative = expired */
    uint32_t alive;      /* its process runs */
    uint32_t mine;       /* it is this handle */
    uint64_t before_pid; /* whom it was taken over from, 0 = nobody */
    char name[FAB_OWNER_NAME];
    char before[FAB_OWNER_NAME];
};
/* Becomes the owner for lease_ns (0 = 10 s; renewed by every write operation and by
 * fab_switch_renew). 0; 1 = taken over from one that is dead or whose lease ran out; -EBUSY another
 * one holds it (fab_switch_owner says who); -EACCES the file belongs to another user. */
FAB_API int fab_switch_own(fab_switch *sw, const char *name, uint64_t lease_ns);
FAB_API int fab_switch_disown(fab_switch *sw); /* also done by close */
/* -ESTALE: the lease ran out and another one has taken over; so does every write operation from
 * then on. A lease that ran out and was taken by nobody is simply renewed. Costs a clock read and a
 * load while more than half of it is left. */
FAB_API int fab_switch_renew(fab_switch *sw);
/* 1 and who owns it, 0 = nobody. */
FAB_API int fab_switch_owner(fab_switch *sw, struct fab_switch_owner *out);

#ifdef __cplusplus
}
#endif
#endif
