/* What the driver's files share: the switch handle, bounded waiting, config spaces, tables,
 * shapers.
 *
 * Nothing here touches memory: every access goes through fab_bar_*. Offsets of config space are
 * bytes; `dwords` counts 4-byte registers.
 */
#ifndef FAB_DRIVER_H
#define FAB_DRIVER_H

#include <stdbool.h>

#include "device.h"
#include "fabcore.h"
#include "regs.h"

#define ALL_ONES UINT32_C(0xFFFFFFFF) /* what a read of a device that is not there returns */
#define PORT_IDS 64                   /* physical port ids of one switch */
#define PAX_UNKNOWN (-1)

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
    uint64_t payload; /* bit = a port whose counters were told to count payload */
    uint8_t pff_of_port[PORT_IDS];
    uint8_t port_of_pff[GAS_PFF_MAX];
};

/* ---- waiting: bounded in CLOCK_MONOTONIC; the first looks do not sleep ---------------------- */

struct fab_wait {
    uint64_t limit_ns;
    uint64_t deadline_ns;
    uint32_t looks;
    bool late;
};
/* Call after a look that found nothing: 0 = look again, -ETIMEDOUT = that was the last look. The
 * last look is always one made after the deadline, so a descheduled caller is not told a lie. */
int fab_wait_next(struct fab_wait *wait);
void fab_sleep_ns(uint64_t ns);

/* ---- firmware ------------------------------------------------------------------------------- */

/* fab_switch_mrpc to this switch, without the firmware's return code. */
int fab_switch_command(fab_switch *sw, uint32_t command, const void *in, size_t in_bytes, void *out,
                       size_t out_bytes);
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

/* PFFs and their physical ports; scanned once unless `again`. */
int fab_switch_scan(fab_switch *sw, bool again);

/* ---- arbitration tables --------------------------------------------------------------------- */

#define TABLE_DWORDS 64          /* 256 entries of 8 bits */
#define TABLE_STATUS_GONE 0xFFFF /* reserved bits of a status read as zero on what is there */

/* Where a table is and what the hardware holds. The state is valid while `known`. */
struct fab_table {
    struct fab_space space;
    uint32_t capability;
    uint32_t address;    /* of the table in `space` */
    uint64_t allowed;    /* bit = an entry value that names something */
    uint32_t entry_bits; /* 1, 2, 4, 8 */
    uint32_t offered;    /* weighted schemes, as bits of VC0_CAP */
    uint32_t longest;    /* phases */
    bool known;
    bool pending;     /* registers were written but never loaded */
    uint32_t control; /* VC0_CONTROL without the load bit */
    uint32_t dwords[TABLE_DWORDS];
};
/* What is to become of a table; once applied, its own inverse. */
struct fab_change {
    uint32_t dwords[TABLE_DWORDS];
    uint64_t mask; /* bit = a dword that differs */
    uint32_t control;
    bool scheme; /* the select field changes */
};
int fab_table_find_port(fab_switch *sw, uint8_t port, struct fab_table *out);
int fab_table_find_function(fab_switch *sw, uint16_t pdfid, struct fab_table *out);
/* The geometry at a VC or MFVC capability. */
int fab_table_at(const struct fab_space *space, uint32_t capability, struct fab_table *out);
int fab_table_read(struct fab_table *table);
uint32_t fab_table_select(uint32_t control); /* the select field */
/* The select value for a length; -EINVAL no such length, -EOPNOTSUPP not offered. */
int fab_table_scheme(const struct fab_table *table, size_t phases);
uint32_t fab_table_phases(const struct fab_table *table); /* in force; 0 = fixed */
void fab_table_unpack(const struct fab_table *table, uint8_t *entries, size_t n);
/* Checks the wish and says what differs from what the table holds; writes nothing.
 * -EINVAL an entry names nothing, -EOPNOTSUPP a length that is not offered. */
int fab_table_diff(const struct fab_table *table, const uint8_t *entries, size_t phases,
                   struct fab_change *out);
bool fab_table_differs(const struct fab_table *table, const struct fab_change *change);
/* The handshake. 0, and `change` is the way back; or -errno, and the table is as it was, or no
 * longer `known` when even that failed. */
int fab_table_apply(struct fab_table *table, struct fab_change *change);
/* The way back; 0, or -errno and the table is no longer `known`. */
int fab_table_undo(struct fab_table *table, struct fab_change *change);

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

#endif
