/* Arbitration tables and their handshake (vc.c): of a switch port, or a module's MFVC. */
#ifndef FAB_EMULATOR_VC_H
#define FAB_EMULATOR_VC_H

#include <stddef.h>
#include <stdint.h>

#include "space.h"

/* Virtual Channel registers and their arbitration tables: a switch port's or a module's MFVC. */
struct vc {
    uint16_t cap;        /* offset of the capability, 0 = none; constant */
    uint16_t table;      /* offset of the table, 0 = fixed arbitration only; constant */
    uint16_t phases;     /* longest scheme offered; constant */
    uint8_t entry_bits;  /* 8 (ports) or 4 (function groups); constant */
    uint8_t scheme;      /* VC_ARB_* in force */
    uint8_t loaded[256]; /* the table in force, as its bytes were written */
    uint8_t channels;    /* a port has several, each with its resource; constant */
    uint8_t vc_scheme;   /* VC_ARB_* among channels in force */
    uint8_t remapped;    /* channels or their classes changed; whoever routes by them clears it */
    uint8_t vc_loaded[32];
    uint32_t stuck; /* loads that will never finish */
    uint32_t torn;  /* table writes that will be lost */
};

void vc_build(struct vc *vc, struct space *s, uint32_t at, uint16_t id, unsigned phases,
              unsigned entry_bits);
enum { VC_OTHER = 0, VC_TAKEN = 1, VC_IN_FORCE = 2 };
/* VC_OTHER: not one of its registers; VC_IN_FORCE: what arbitrates has changed. */
int vc_write(struct vc *vc, struct space *s, uint32_t at, uint32_t value, unsigned bytes);
/* The port (or function group) table in force, and its entries per class; returns its phases, 0 =
 * fixed. The same of the channels. */
unsigned vc_slots(const struct vc *vc, uint16_t *slots, uint8_t *table, size_t classes);
unsigned vc_channel_slots(const struct vc *vc, uint16_t *slots, uint8_t *table, size_t channels);
/* An enabled channel is pending until the link is up and its far end has enabled the same id (peer
 * NULL: modelled as always); returns whether a pending bit changed. */
int vc_negotiate(struct vc *vc, struct space *s, int up, const struct vc *peer,
                 const struct space *peer_space);
/* Id of the channel that carries a traffic class: 0 unless another enabled one, not pending, maps
 * it. */
uint8_t vc_of_class(const struct vc *vc, const struct space *s, unsigned class);

#endif
