/* What the driver's files share: the switch handle, bounded waiting, config spaces, tables,
 * shapers.
 *
 * Nothing here touches memory: every access goes through fab_bar_*. Offsets of config space are
 * bytes; `dwords` counts 4-byte registers.
 */
#ifndef FAB_DRIVER_H
#define FAB_DRIVER_H

#include <stdbool.h>

#include "bytes.h"
#include "device.h"
#include "fabcore.h"
#include "regs.h"

#define ALL_ONES UINT32_C(0xFFFFFFFF) /* what a read of a device that is not there returns */
#define PORT_IDS 64                   /* physical port ids of one switch */
#define PAX_UNKNOWN (-1)

struct fab_step;

/* The ways back of what has been written, oldest first. */
struct fab_change {
    struct fab_step *steps;
    size_t n, max;
    int32_t operations;
    int32_t failed; /* number of the operation that failed, -1 = none */
    int error;
    size_t n_switches;
    fab_switch *switches[FAB_MAX_SWITCHES];
};

struct fab_switch {
    fab_bar *bar;
    uint64_t timeout_ns;
    uint32_t device_id;
    uint32_t lanes;
    enum fab_family family;
    int generation;   /* 3..6; 0 = firmware not asked yet */
    int pax;          /* own PAX index; PAX_UNKNOWN until asked */
    unsigned pffs;    /* 0 = not scanned yet */
    uint64_t present; /* bit = a physical port that has a PFF */
    uint32_t failed;  /* the last command that the firmware refused, and what it answered */
    uint32_t refusal;
    uint64_t payload;             /* bit = a port whose counters were told to count payload */
    struct fab_change *change;    /* open on this switch, or NULL */
    struct fab_change journal;    /* of one operation, while none is */
    struct fab_owner_page *owner; /* mapped lock file; NULL = this handle never asked to own it */
    uint64_t owner_inode;         /* of that file */
    uint64_t lease_ns;
    uint64_t token;              /* which owner this handle is: the top of the page's lease word */
    uint64_t self;               /* this process, as the mailbox names its holder */
    uint64_t *mailbox;           /* holder and next, in `shared` or the bar */
    struct mailbox_page *shared; /* mapped, or NULL */
    uint64_t shared_inode;
    uint32_t holder; /* the process that did not let go of the mailbox; 0 = none */
    uint8_t pff_of_port[PORT_IDS];
    uint8_t port_of_pff[GAS_PFF_MAX];
};

/* ---- waiting: bounded in CLOCK_MONOTONIC; the first looks do not sleep ---------------------- */

struct fab_wait {
    uint64_t limit_ns;
    uint64_t deadline_ns;
    uint32_t looks;
    bool late;
    fab_switch *sw; /* when it is not a firmware command that is waited for: fab_switch_refusal */
};
/* Call after a look that found nothing: 0 = look again, -ETIMEDOUT = that was the last look. The
 * last look is always one made after the deadline, so a descheduled caller is not told a lie. */
int fab_wait_next(struct fab_wait *wait);
void fab_sleep_ns(uint64_t ns);

/* ---- firmware ------------------------------------------------------------------------------- */

/* fab_switch_mrpc to this switch, without the firmware's return code. */
int fab_switch_command(fab_switch *sw, uint32_t command, const void *in, size_t in_bytes, void *out,
                       size_t out_bytes);
/* The mailbox is one command's at a time, of whatever thread or process. mailbox.c */
void fab_mailbox_open(fab_switch *sw);
void fab_mailbox_close(fab_switch *sw);
/* Waits for it as long as a command may take: 0, 1 = from one who died inside a command, or
 * -ETIMEDOUT and sw->holder. */
int fab_mailbox_take(fab_switch *sw);
void fab_mailbox_give(fab_switch *sw);
/* Asks generation and PAX index once; 0 or -errno. */
int fab_switch_ready(fab_switch *sw);
/* -ENODEV when the device id reads all ones, else `otherwise`. */
int fab_switch_gone(fab_switch *sw, int otherwise);

/* ---- config spaces -------------------------------------------------------------------------- */

/* A port's (through its PFF window) or a module function's (through firmware command 0x8E). */
struct fab_space {
    fab_switch *sw;
    uint64_t base;  /* of the PFF window */
    int32_t pdfid;  /* -1 = a port */
    uint32_t limit; /* bytes that can be reached */
};
int fab_space_port(fab_switch *sw, uint8_t port, struct fab_space *out); /* -ENOENT */
void fab_space_function(fab_switch *sw, uint16_t pdfid, struct fab_space *out);
int fab_space_read(const struct fab_space *space, uint32_t addr, uint32_t *out, size_t dwords);
int fab_space_write(const struct fab_space *space, uint32_t addr, const uint32_t *data,
                    size_t dwords);
int fab_space_read16(const struct fab_space *space, uint32_t addr, uint16_t *out);
/* Offset of the first capability `id` (extended ones: behind the one at `after`, 0 = from the
 * start), 0 when there is none, or -errno. */
int fab_capability_find(const struct fab_space *space, uint8_t id);
int fab_capability_find_ext(const struct fab_space *space, uint16_t id, uint32_t after);

/* A place as the public functions name it: a port id or FAB_AT_FUNCTION | pdfid. -EINVAL, -ENOENT.
 */
int fab_space_at(fab_switch *sw, uint32_t where, struct fab_space *out);
/* One access to a function, neither checked for the owner nor noted. */
int fab_function_put(fab_switch *sw, uint16_t pdfid, uint16_t addr, uint8_t bytes, uint32_t value);
/* 1, 2 or 4 bytes, aligned. */
int fab_space_get(const struct fab_space *space, uint32_t addr, uint8_t bytes, uint32_t *out);
int fab_space_put(const struct fab_space *space, uint32_t addr, uint8_t bytes, uint32_t value);
/* -ENODEV when the space reads all ones, else `otherwise`. */
int fab_space_gone(const struct fab_space *space, int otherwise);
/* A step: makes the bits of `mask` be `bits` and reads them back; nothing where they are. */
int fab_space_set(const struct fab_space *space, uint32_t addr, uint8_t bytes, uint32_t mask,
                  uint32_t bits);
/* An access as the functions' registers allow it: width, alignment, bounds. */
int fab_space_check(const struct fab_space *space, uint32_t addr, uint8_t bytes);

/* PFFs and their physical ports; scanned once unless `again`. */
int fab_switch_scan(fab_switch *sw, bool again);

/* ---- the way back --------------------------------------------------------------------------- */

#define OPERATION_STEPS 32 /* the longest operation: 8 channels, three registers each */

/* An operation begins: whether it may write at all (owner, an open change that failed, room for
 * its steps); *mark is where its steps start. */
int fab_undo_begin(fab_switch *sw, size_t steps, size_t *mark);
/* It ends: with rc < 0 its steps are taken back and rc returned (-ENOTRECOVERABLE: not all could
 * be, -ENODEV: gone); else they are kept while a change is open. */
int fab_undo_end(fab_switch *sw, size_t mark, int rc);
/* Notes a step, before it is written. fab_undo_begin has made room. */
struct fab_step *fab_undo_note(fab_switch *sw, int (*back)(struct fab_step *step));
void fab_undo_forget(fab_switch *sw); /* the last step: refused, so it did not happen */
/* Runs a firmware command whose way back is another one. Refused = it did not happen. */
struct fab_command {
    uint32_t id;
    const uint8_t *in;
    size_t in_bytes, out_bytes;
};
int fab_undo_run(fab_switch *sw, const struct fab_command *forth, const struct fab_command *back);
/* 0 or -ESTALE; renews the lease. owner.c */
int fab_owner_check(fab_switch *sw);

/* The firmware's record of the link of info->port: cfg_lanes, neg_lanes, up, gen, ltssm. */
int fab_switch_link_record(fab_switch *sw, struct fab_port_info *info);
/* Disables or enables a port by firmware: one step. */
int fab_port_switch(fab_switch *sw, uint8_t port, uint8_t action);
/* One command of the fabric's port control, neither checked for the owner nor noted. */
int fab_port_action(fab_switch *sw, uint8_t port, uint8_t action, uint8_t flag);

/* ---- arbitration tables --------------------------------------------------------------------- */

#define TABLE_DWORDS 64          /* 256 entries of 8 bits */
#define TABLE_STATUS_GONE 0xFFFF /* reserved bits of a status read as zero on what is there */

/* Where a table is and what the hardware holds. The state is valid while `known`. */
struct fab_table {
    struct fab_space space;
    uint32_t capability;
    uint32_t address;    /* of the table in `space` */
    uint32_t control_at; /* register with the load bit and the select field */
    uint32_t status_at;  /* u16, bit 0: written but not loaded */
    uint8_t control_bytes;
    uint8_t select_shift;
    uint32_t load;       /* its bit */
    uint64_t allowed;    /* bit = an entry value that names something */
    uint32_t entry_bits; /* 1, 2, 4, 8 */
    uint32_t offered;    /* weighted schemes, as bits of VC0_CAP */
    uint32_t longest;    /* phases */
    bool known;
    bool pending;     /* registers were written but never loaded */
    uint32_t control; /* the control register without the load bit */
    uint32_t dwords[TABLE_DWORDS];
};
/* What is to become of a table; once applied, its own inverse. */
struct fab_swap {
    uint32_t dwords[TABLE_DWORDS];
    uint64_t mask; /* bit = a dword that differs */
    uint32_t control;
    bool scheme; /* the select field changes */
};
int fab_table_find_port(fab_switch *sw, uint8_t port, struct fab_table *out);
int fab_table_find_function(fab_switch *sw, uint16_t pdfid, struct fab_table *out);
/* The VC capability of a place (MFVC of a function), and there the table of channel number `vc`. */
int fab_vc_find(const struct fab_space *space);
int fab_table_find(fab_switch *sw, uint32_t where, unsigned vc, struct fab_table *out);
/* The geometry of channel `vc`'s table at a VC or MFVC capability. */
int fab_table_at(const struct fab_space *space, uint32_t capability, unsigned vc,
                 struct fab_table *out);
/* The geometry of the table between channels; what it may name is the caller's to say. */
int fab_table_between(const struct fab_space *space, uint32_t capability, struct fab_table *out);
int fab_table_read(struct fab_table *table);
int fab_table_get_control(const struct fab_table *table, uint32_t *control);
int fab_table_put_control(const struct fab_table *table, uint32_t control);
uint32_t fab_table_select(const struct fab_table *table, uint32_t control); /* the select field */
/* The select value for a length; -EINVAL no such length, -EOPNOTSUPP not offered. */
int fab_table_scheme(const struct fab_table *table, size_t phases);
uint32_t fab_table_phases(const struct fab_table *table); /* in force; 0 = fixed */
void fab_table_unpack(const struct fab_table *table, uint8_t *entries, size_t n);
/* Checks the wish and says what differs from what the table holds; writes nothing.
 * -EINVAL an entry names nothing, -EOPNOTSUPP a length that is not offered. */
int fab_table_diff(const struct fab_table *table, const uint8_t *entries, size_t phases,
                   struct fab_swap *out);
bool fab_table_differs(const struct fab_table *table, const struct fab_swap *change);
/* The handshake. 0, and `change` is the way back; or -errno, and the table is as it was, or no
 * longer `known` when even that failed. */
int fab_table_apply(struct fab_table *table, struct fab_swap *change);
/* One table as one operation, `found` being what finding it returned: the number of register
 * writes, or -errno. */
int64_t fab_table_load(fab_switch *sw, struct fab_table *table, int found, const uint8_t *entries,
                       size_t phases);
/* What is in force: its phases, at most max entries stored. */
int fab_table_contents(struct fab_table *table, uint8_t *entries, size_t max);
/* The way back; 0, or -errno and the table is no longer `known`. */
int fab_table_undo(struct fab_table *table, struct fab_swap *change);

/* ---- shapers -------------------------------------------------------------------------------- */

enum { UP_MIN, DOWN_MIN, UP_MAX, DOWN_MAX, SHAPER_RATES };

/* One function's row in its PF's shaper; rates in units, a maximum of 0 = no ceiling. */
struct fab_shaper {
    struct fab_space space; /* the PF's */
    uint32_t address;       /* of the row */
    uint32_t unit;          /* B/s */
    uint32_t entries;       /* functions that the shaper knows */
    bool known;
    uint32_t rates[SHAPER_RATES];
};
int fab_shaper_find(fab_switch *sw, uint16_t pdfid, struct fab_shaper *out);
/* The row of another function of the same module. */
int fab_shaper_row(const struct fab_shaper *any, uint16_t pdfid, struct fab_shaper *out);
int fab_shaper_read(struct fab_shaper *shaper);
/* B/s to units, rounded up. -EINVAL not a rate or a minimum above its maximum, -ERANGE. */
int fab_shaper_units(const struct fab_shaper *shaper, const struct fab_shape *shape,
                     uint32_t rates[SHAPER_RATES]);
/* Writes what differs and reads it back; on failure as fab_table_apply. */
int fab_shaper_apply(struct fab_shaper *shaper, const uint32_t rates[SHAPER_RATES]);
int fab_shaper_undo(struct fab_shaper *shaper, const uint32_t rates[SHAPER_RATES]);

/* ---- one way back --------------------------------------------------------------------------- */

enum { STEP_COMMAND_BYTES = 36 };

struct fab_step {
    fab_switch *sw;
    int (*back)(struct fab_step *step); /* 0 or -errno; tried again once */
    union {
        struct {
            struct fab_space space;
            uint32_t addr, mask, value; /* the bits of `mask` were those of `value` */
            uint8_t bytes;
        } config;
        struct {
            struct fab_table table;
            struct fab_swap swap;
        } table;
        struct {
            struct fab_shaper shaper;
            uint32_t rates[SHAPER_RATES];
        } shaper;
        struct {
            uint32_t id;
            bool maybe; /* whether it happened is not known: a refusal of the way back is none */
            uint8_t in_bytes, out_bytes;
            uint8_t in[STEP_COMMAND_BYTES];
        } command;
        struct {
            uint8_t port;
        } retrain;
        struct {
            uint8_t partition, logical, phys;
            bool bound; /* what it was */
        } port;
        struct {
            uint8_t stack;
            uint32_t code;
        } bifurcation;
    };
};

#endif
