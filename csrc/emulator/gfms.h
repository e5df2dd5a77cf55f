/* The fabric management's database: dumps of it, its log, bindings of functions. */
#ifndef FAB_EMULATOR_GFMS_H
#define FAB_EMULATOR_GFMS_H

#include <stdint.h>

#include "fabcore.h"
#include "regs.h"

struct node_port;
struct node_switch;

/* The fabric management's log on one switch, as firmware command 0x89 answers it: whole entries,
 * the oldest first; they fit into one answer, and the oldest fall out when it is full. */
enum { GFMS_LOG_BYTES = GAS_MRPC_BYTES - 4 };
struct gfms_log {
    uint8_t entries[GFMS_LOG_BYTES];
    uint16_t used;  /* bytes */
    uint16_t count; /* entries */
    uint8_t lost;   /* some fell out since the last clear */
};

/* A part of the GFMS database, taken when a client starts to read it: what it reads in pieces does
 * not change meanwhile. */
enum {
    HVD_MAX = 16,     /* hosts of a switch, in the vendor's library */
    HVD_LOGICAL = 32, /* logical ports of a host, there */
    HVD_SLOTS = 8,    /* functions of a logical port, there */
    GFMS_DUMP_BYTES = 28 * 1024
};
struct gfms_dump {
    uint8_t kind; /* GFMS_* of 0x83; 0 = not started */
    uint8_t which;
    uint32_t bytes;
    uint8_t data[GFMS_DUMP_BYTES];
};
uint32_t mrpc_gfms_dump(struct node_switch *sw, const uint8_t *in, uint8_t *out);

/* ---- gfms_sections.c, gfms_endpoints.c: the database from the node's state; bytes written ---- */
void gfms_section(struct node_switch *sw, uint8_t *out, unsigned kind, uint32_t bytes);
int gfms_present(const struct node_port *port); /* a module's device is in the database */
uint32_t gfms_pax(struct node_switch *sw, uint8_t *out);
/* NULL: every host's */
uint32_t gfms_hvd(struct node_switch *sw, const struct node_port *host, uint8_t *out);
uint32_t gfms_hvd_detail(struct node_switch *sw, const struct node_port *host, uint8_t *out);
/* NULL: every module port's */
uint32_t gfms_endpoints(struct node_switch *sw, struct node_port *port, uint8_t *out);

/* ---- gfms_events.c: what happened in the fabric, told to every PAX of the node ---- */
enum { GFMS_AER_LOGGED = 1, GFMS_AER_DPC = 2, GFMS_AER_CORRECTABLE = 4 };
/* code: FAB_GFMS_*; at most 32 bytes of data, as it demands; it happened at `sw`. */
void gfms_event(struct node_switch *sw, unsigned code, const void *data, unsigned bytes);
void gfms_link(struct node_port *port); /* its `up` has just changed: host, device or fabric link */
void gfms_port(struct node_port *port, int enabled); /* HVD or EP port enabled, disabled */
void gfms_bound(struct node_port *host, uint8_t logical, uint16_t pdfid, int bound);
/* flags: GFMS_AER_*; status: the AER status register's new bits; header: NULL or the logged TLP. */
void gfms_aer(struct node_port *port, unsigned flags, uint32_t status, const uint32_t *header);
uint32_t gfms_events(struct node_switch *sw, const uint8_t *in, uint8_t *out); /* 0x89 */

/* ---- bind.c: functions on the logical ports of hosts ---- */
/* 0 when n functions fit at a host's logical port, else the firmware's return code. */
uint32_t bind_slots(const struct fab_node *node, const struct node_port *host, uint8_t logical,
                    size_t n);
int bind_in_use(const struct node_port *port); /* functions are bound at it: a module's, a host's */
uint32_t mrpc_gfms_bind(struct node_switch *sw, const uint8_t *in, uint8_t *out); /* 0x84 */

/* ---- mrpc_fabric.c ---- */
/* Whether every link of the route to a switch is up; a switch reaches itself. */
int fabric_reaches(const struct node_switch *sw, uint32_t to);
/* Dumps, events and partitions as after power-on; the division of stacks stays (modelled). */
void fabric_reset(struct node_switch *sw);

#endif
