/* The state of the control image, what writes to it do, and its firmware.
 *
 * Everything that an operation may change stands in `struct state`, so that "as it was before" is
 * one comparison. Registers obey masks; what is in force is kept apart from what was written.
 */
#ifndef FAB_CONTROL_FIRMWARE_H
#define FAB_CONTROL_FIRMWARE_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fabcore.h"
#include "raw_bytes.h"
#include "regs.h"

enum {
    PORTS = 3,
    FUNCTIONS = 3, /* module 0: PF with MFVC groups, its VF; module 1: PF with a shaper */
    VCS = 4,
    PHASES = 128,
    AT_PCIE = 0x50,
    AT_AER = 0x100,
    AT_ACS = 0x150,
    AT_VC = 0x400, /* table between channels at +0x40, channel n's at +0x80 + 0x80 n */
    AT_ARI = 0x160,
    AT_MFVC = 0x200, /* one channel, its table at +0x20: 32 phases of 4 bits */
    AT_SHAPER = 0x300,
    STACKS = 2,
    PSX_PORTS = 4
};
static const uint8_t port_ids[PORTS] = {0, 16, 32}; /* downstream, upstream, downstream */

enum fault { NO_FAULT, REFUSE, LOSE, HANG, HANG_DONE };

/* Tables in force: of each port's channels, between them, and MFVC's. */
struct state {
    uint8_t ports[PORTS][PFF_CONFIG_BYTES];
    uint8_t functions[FUNCTIONS][4096];
    uint8_t in_force[PORTS][VCS + 1][PHASES];
    uint8_t groups_in_force[16];
    uint32_t bifurcation[STACKS];
    uint16_t bound[4]; /* function of each logical port of host 16, 0 = none */
    uint8_t psx[PSX_PORTS][4];
    uint8_t off[PORTS]; /* by port control */
};
struct control {
    uint8_t *gas;
    struct state now; /* .ports is filled in by a snapshot: the registers are in gas */
    uint8_t port_masks[PFF_CONFIG_BYTES], function_masks[FUNCTIONS][4096];
    enum fault fault;
    uint64_t countdown; /* writes (HANG: doorbells) until it strikes, 0 = struck */
    bool for_good;      /* it then strikes every time */
    uint64_t writes;
    unsigned retrains, slow_links, slow_vcs, slow_binds, failed_binds;
    bool dead_link;
    fab_bar *bar;
};

static uint8_t *port_config(struct control *c, unsigned pff) {
    return c->gas + GAS_PFF + GAS_PFF_STRIDE * pff;
}

static inline struct state snapshot(struct control *c) {
    struct state s = c->now;
    for (unsigned k = 0; k < PORTS; k++) memcpy(s.ports[k], port_config(c, k), PFF_CONFIG_BYTES);
    return s;
}

/* ---- config writes -------------------------------------------------------------------------- */

static void masked(uint8_t *config, const uint8_t *masks, uint32_t reg, uint32_t value,
                   unsigned n) {
    for (unsigned k = 0; k < n; k++) {
        uint8_t mask = masks[reg + k];
        config[reg + k] = (uint8_t)((config[reg + k] & ~mask) | ((value >> 8 * k) & 0xFF & mask));
    }
}

/* A link comes up at the slower of its two ends' speeds; the other end stops at Gen4. */
static void train(struct control *c, unsigned pff) {
    uint8_t *pcie = port_config(c, pff) + AT_PCIE;
    unsigned target = get(pcie + PCIE_LINK_CONTROL2, 2) & 0xF, gen = target < 4 ? target : 4;
    bool up = !(get(pcie + PCIE_LINK_CONTROL, 2) & LINK_DISABLE) && !c->dead_link;
    uint32_t training = c->slow_links ? LINK_TRAINING : 0;
    put(pcie + PCIE_LINK_STATUS, 2, gen | 8u << 4 | training | (up ? (uint32_t)LINK_ACTIVE : 0));
}

static void write_vc(struct control *c, unsigned pff, uint32_t reg, uint32_t value,
                     uint32_t before) {
    uint8_t *vc = port_config(c, pff) + AT_VC;
    unsigned n = (reg - VC0_CONTROL) / VC_STRIDE;
    if (reg >= 0x80 && reg < 0x80 + VCS * PHASES)
        vc[VC0_STATUS + VC_STRIDE * ((reg - 0x80) / PHASES)] |= VC_PORT_TABLE_STATUS;
    if (reg >= 0x40 && reg < 0x80) vc[VC_STATUS] |= 1;
    if (reg == VC_CONTROL && value & VC_LOAD_ARBITRATION_TABLE) {
        memcpy(c->now.in_force[pff][VCS], vc + 0x40, PHASES / 2);
        vc[VC_STATUS] &= 0xFE;
    }
    if (reg < VC0_CONTROL || reg % VC_STRIDE != VC0_CONTROL % VC_STRIDE || n >= VCS) return;
    uint32_t now = get(vc + reg, 4), id = 7u << VC_ID_SHIFT;
    if (before & VC_ENABLE && now & VC_ENABLE) now = (now & ~id) | (before & id);
    if (n == 0) now |= VC_ENABLE | 1;
    put(vc + reg, 4, now);
    uint8_t *status = vc + VC0_STATUS + VC_STRIDE * n;
    *status = (uint8_t)((*status & 1) |
                        (n && now & VC_ENABLE && c->slow_vcs ? VC_NEGOTIATION_PENDING : 0));
    if (!(value & VC_LOAD_PORT_TABLE)) return;
    memcpy(c->now.in_force[pff][n], vc + 0x80 + PHASES * n, PHASES);
    *status &= 0xFE;
}

static void write_port(struct control *c, unsigned pff, uint32_t reg, uint32_t value, unsigned n) {
    uint8_t *config = port_config(c, pff);
    uint32_t before = get(config + (reg & ~3u), 4);
    masked(config, c->port_masks, reg, value, n);
    if (reg == AT_PCIE + PCIE_LINK_CONTROL) {
        if (value & LINK_RETRAIN) c->retrains++;
        if (value & LINK_RETRAIN || (before ^ value) & LINK_DISABLE) train(c, pff);
    }
    if (reg >= AT_VC) write_vc(c, pff, reg - AT_VC, value, before);
}

static void write_function(struct control *c, unsigned f, uint32_t reg, uint32_t value,
                           unsigned n) {
    uint8_t *config = c->now.functions[f];
    masked(config, c->function_masks[f], reg, value, n);
    if (f != 0) return;
    if (reg >= AT_MFVC + 0x20 && reg < AT_MFVC + 0x30) config[AT_MFVC + VC0_STATUS] |= 1;
    if (reg == AT_MFVC + VC0_CONTROL && value & VC_LOAD_PORT_TABLE) {
        memcpy(c->now.groups_in_force, config + AT_MFVC + 0x20, 16);
        config[AT_MFVC + VC0_STATUS] &= 0xFE;
    }
}

/* ---- firmware ------------------------------------------------------------------------------- */

static uint32_t run_function(struct control *c, const uint8_t *in, uint8_t *out) {
    unsigned pdfid = get(in + 2, 2), addr = get(in + 4, 2);
    unsigned f = pdfid == PDFID(0, 0) ? 0 : pdfid == PDFID(0, 1) ? 1 : 2;
    if (f == 2 && pdfid != PDFID(1, 0)) return MRPC_ERR_PARAMETER;
    if (in[0] == 1) write_function(c, f, addr, get(in + 8, 4), in[6]);
    if (in[0] == 0) memcpy(out, c->now.functions[f] + addr, in[6]);
    return 0;
}

static uint32_t run_links(struct control *c, uint8_t *out) {
    memset(out, 0xFF, 720);
    for (unsigned k = 0; k < PORTS; k++) {
        bool off = c->now.off[k] || c->dead_link ||
                   get(port_config(c, k) + AT_PCIE + PCIE_LINK_CONTROL, 2) & LINK_DISABLE;
        uint8_t record[12] = {port_ids[k], 0, 0, 0, 16, 8, 0, 0x84, 3, 1, 0, 0};
        if (off) record[7] = 0, record[8] = 5;
        memcpy(out + 12 * k, record, 12);
    }
    if (c->slow_links && --c->slow_links == 0)
        for (unsigned k = 0; k < PORTS; k++) train(c, k);
    return 0;
}

static uint32_t run_bifurcation(struct control *c, const uint8_t *in, uint8_t *out) {
    if (in[1] >= STACKS) return 0x54003;
    if (in[0] == 1 && in[1] == 1 && get(in + 4, 4) == 0xF) return 0x54043; /* a port is bound */
    if (in[0] == 1) c->now.bifurcation[in[1]] = get(in + 4, 4);
    put(out + 4, 4, c->now.bifurcation[in[1]]);
    return 0;
}

static uint32_t run_gfms(struct control *c, const uint8_t *in) {
    uint16_t *logical = &c->now.bound[in[3] % 4];
    if (in[2] != 16) return MRPC_ERR_PORT;
    if (in[0] == 1 && *logical) return MRPC_ERR_STATE;
    if (in[0] == 2 && !*logical) return MRPC_ERR_PARAMETER;
    *logical = in[0] == 1 ? (uint16_t)get(in + 4, 2) : 0;
    return 0;
}

static uint32_t run_psx(struct control *c, const uint8_t *in, uint8_t *out) {
    uint8_t (*ports)[4] = c->now.psx;
    if (in[0] == 2) {
        for (unsigned k = 0; k < PSX_PORTS; k++) {
            if (in[1] != 0xFF && in[1] != ports[k][0]) continue;
            memcpy(out + 4 + 4 * out[0], ports[k], 4);
            if (c->slow_binds) out[4 + 4 * out[0] + 3] |= 2;
            out[0]++;
        }
        if (c->slow_binds) c->slow_binds--;
        return 0;
    }
    uint8_t *named = NULL, *holder = NULL;
    for (unsigned k = 0; k < PSX_PORTS; k++) {
        if (ports[k][0] == in[3]) named = ports[k];
        if (ports[k][3] == 0x10 && ports[k][1] == in[1] && ports[k][2] == in[2]) holder = ports[k];
    }
    if (in[0] == 1 && !holder) return 0xB;
    if (in[0] == 1) memcpy(holder + 1, (const uint8_t[3]){0xFF, 0xFF, 0}, 3);
    if (in[0] == 1) return 0;
    if (!named || named[3] == 0x10) return named ? 1 : 4;
    if (holder) return 2;
    memcpy(named + 1, (const uint8_t[3]){in[1], in[2], 0x10}, 3);
    if (c->failed_binds) memcpy(named + 1, (const uint8_t[3]){0xFF, 0xFF, 1}, 3);
    return 0;
}

static uint32_t run(struct control *c, uint32_t id, const uint8_t *in, uint8_t *out) {
    switch (id) {
        case MRPC_PING:
            put(out, 4, 0x1003);
            put(out + 4, 4, ~get(in, 4));
            return 0;
        case MRPC_PAX_ID:
            return 0;
        case MRPC_LINK_STATUS:
            return run_links(c, out);
        case MRPC_FUNCTION_ACCESS:
            return run_function(c, in, out);
        case MRPC_STACK_BIF:
            return run_bifurcation(c, in, out);
        case MRPC_GFMS_BIND:
            return run_gfms(c, in);
        case MRPC_PORT_BIND:
            return run_psx(c, in, out);
        case MRPC_PORT_CONTROL:
            for (unsigned k = 0; k < PORTS; k++)
                if (port_ids[k] == in[1] && in[0] < FAB_PORT_RETRAIN) c->now.off[k] = !in[0];
            return 0;
        default:
            return MRPC_ERR_COMMAND;
    }
}

static void doorbell(struct control *c, uint32_t word, enum fault fault) {
    uint8_t out[GAS_MRPC_BYTES] = {0};
    if (fault == HANG) {
        put(c->gas + GAS_MRPC_STATUS, 4, MRPC_IN_PROGRESS);
        return;
    }
    uint32_t code = run(c, word & 0xFFFF, c->gas + GAS_MRPC_IN, out);
    memcpy(c->gas + GAS_MRPC_OUT, out, sizeof out);
    put(c->gas + GAS_MRPC_RETURN, 4, code);
    put(c->gas + GAS_MRPC_STATUS, 4, fault == HANG_DONE ? MRPC_IN_PROGRESS : MRPC_DONE);
}

/* ---- the bar -------------------------------------------------------------------------------- */

/* Lost writes are those to config space: a mailbox whose input is lost runs another command. */
static bool strikes(struct control *c, uint64_t off) {
    bool counts = c->fault == REFUSE || (c->fault == LOSE && off >= GAS_PFF) ||
                  (c->fault >= HANG && off == GAS_MRPC_CMD);
    if (!c->countdown || !counts) return false;
    if (c->countdown == 1 && c->for_good) return true;
    return --c->countdown == 0;
}

static int control_trap(void *context, uint64_t off, uint64_t value, unsigned width) {
    struct control *c = context;
    enum fault fault = strikes(c, off) ? c->fault : NO_FAULT;
    c->writes++;
    if (fault == REFUSE) return -EIO;
    if (fault == LOSE) return 0;
    if (off == GAS_MRPC_CMD)
        doorbell(c, (uint32_t)value, fault);
    else if (off < GAS_MRPC_BYTES)
        put(c->gas + off, width, value);
    else if (off >= GAS_PFF && (off - GAS_PFF) % GAS_PFF_STRIDE < PFF_CONFIG_BYTES)
        write_port(c, (unsigned)(off - GAS_PFF) / GAS_PFF_STRIDE,
                   (uint32_t)(off - GAS_PFF) % GAS_PFF_STRIDE, (uint32_t)value, width);
    return 0;
}

#endif
