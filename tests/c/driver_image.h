/* A register image for the driver's tests: mailbox, ports with tables, two modules; faults on
 * demand.
 *
 * Ports 0 (module 0, MFVC), 8 (module 1, shaper), 16 (host 3), 32 and 40 (fabric). What is in force
 * is kept apart from the registers: only a load moves one into the other.
 */
#ifndef FAB_DRIVER_IMAGE_H
#define FAB_DRIVER_IMAGE_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fabcore.h"
#include "regs.h"

enum {
    IMAGE_PORTS = 5,
    IMAGE_FUNCTIONS = 3, /* of each module: PF and two VFs */
    IMAGE_VC = 0x300,
    IMAGE_MFVC = 0x200,
    IMAGE_SHAPER = 0x200,
    IMAGE_ARI = 0x150,
    IMAGE_SRIOV = 0x160,
    IMAGE_LOG = 4096,
    IMAGE_UNIT = 1000000,
    MAILBOX_OK = 0,
    MAILBOX_STUCK,       /* stays in progress */
    MAILBOX_ERROR,       /* status 0xFF */
    MAILBOX_INTERRUPTED, /* status 0x100 */
    MAILBOX_DEAF,        /* the doorbell changes nothing */
    MAILBOX_REFUSES      /* done, with image.refusal */
};
static const uint8_t image_ports[IMAGE_PORTS] = {0, 8, 16, 32, 40};

struct image_vc {
    uint8_t *config; /* the config space it stands in */
    uint32_t at;
    uint8_t loaded[256];
    uint32_t stuck; /* loads that never finish */
};
struct image {
    uint8_t *gas;
    uint8_t functions[2][IMAGE_FUNCTIONS][4096];
    struct image_vc vc[IMAGE_PORTS + 1]; /* the last: module 0's MFVC */
    int mailbox;
    uint32_t refusal, refused_command; /* refused_command 0 = every command */
    uint32_t last_word, commands;
    uint8_t payload_types[64], topology_waits;
    uint64_t writes, lose_at, lose_count; /* the lose_at-th write and its followers are lost */
    uint64_t fail_at;                     /* that write is refused by the bar, 0 = none */
    uint32_t lost_rate;                   /* module 1's PF takes no write there, 0 = none */
    bool gone;
    uint32_t log[IMAGE_LOG];
    fab_bar *bar;
};

static void image_put(uint8_t *at, unsigned bytes, uint64_t value) {
    memcpy(at, &value, bytes);
}
static uint32_t image_get(const uint8_t *at, unsigned bytes) {
    uint32_t value = 0;
    memcpy(&value, at, bytes);
    return value;
}
static uint8_t *image_pff(struct image *m, unsigned pff) {
    return m->gas + GAS_PFF + GAS_PFF_STRIDE * pff;
}
static void image_ext(uint8_t *config, uint32_t at, uint32_t id, uint32_t next) {
    image_put(config + at, 4, id | 1u << 16 | next << 20);
}

/* A capability with a table at +0x20, all schemes up to `phases` offered. */
static void image_vc_build(struct image_vc *vc, uint8_t *config, uint32_t at, uint32_t id,
                           unsigned phases, unsigned entry_code) {
    uint32_t schemes = 1;
    for (unsigned p = 32, bit = VC_ARB_WRR32; p <= phases; p *= 2, bit += bit == 3 ? 2 : 1)
        schemes |= 1u << bit;
    vc->config = config;
    vc->at = at;
    image_ext(config, at, id, 0);
    image_put(config + at + VC_CAP1, 4, entry_code << 10);
    image_put(config + at + VC0_CAP, 4, schemes | 2u << 24);
    image_put(config + at + VC0_CONTROL, 4, 0x800000FF);
}

static void image_build_functions(struct image *m, unsigned entry_code) {
    for (unsigned k = 0; k < 2 * IMAGE_FUNCTIONS; k++) {
        uint8_t *config = m->functions[k / IMAGE_FUNCTIONS][k % IMAGE_FUNCTIONS];
        bool pf = k % IMAGE_FUNCTIONS == 0;
        image_put(config, 4, 0xFAB011F8u);
        image_ext(config, 0x100, 0x0001, IMAGE_ARI);
        image_ext(config, IMAGE_ARI, EXT_CAP_ARI, pf ? IMAGE_SRIOV : 0);
        image_put(config + IMAGE_ARI + 4, 2, k < IMAGE_FUNCTIONS);
        if (!pf) continue;
        image_ext(config, IMAGE_SRIOV, EXT_CAP_SRIOV, 0x200);
        image_put(config + IMAGE_SRIOV + SRIOV_TOTAL_VFS, 2, 2);
        image_put(config + IMAGE_SRIOV + SRIOV_NUM_VFS, 2, 2);
    }
    image_vc_build(&m->vc[IMAGE_PORTS], m->functions[0][0], IMAGE_MFVC, EXT_CAP_MFVC, 128,
                   entry_code);
    uint8_t *shaper = m->functions[1][0] + IMAGE_SHAPER;
    image_ext(m->functions[1][0], IMAGE_SHAPER - 0x40, EXT_CAP_VSEC, IMAGE_SHAPER); /* another's */
    image_put(m->functions[1][0] + IMAGE_SRIOV, 4, EXT_CAP_SRIOV | (IMAGE_SHAPER - 0x40u) << 20);
    image_ext(m->functions[1][0], IMAGE_SHAPER, EXT_CAP_VSEC, 0);
    image_put(shaper + VSEC_HEADER, 4, SHAPER_VSEC_ID);
    image_put(shaper + SHAPER_UNIT, 4, IMAGE_UNIT);
    image_put(shaper + SHAPER_ENTRIES, 4, IMAGE_FUNCTIONS);
}

static uint32_t image_function(struct image *m, const uint8_t *in, uint8_t *out) {
    unsigned pdfid = image_get(in + 2, 2), addr = image_get(in + 4, 2), bytes = in[6];
    if (PDFID_MODULE(pdfid) > 1 || PDFID_FUNCTION(pdfid) >= IMAGE_FUNCTIONS) return 0x64006;
    uint8_t *config = m->functions[PDFID_MODULE(pdfid)][PDFID_FUNCTION(pdfid)];
    if (in[0] == 0) {
        memcpy(out, config + addr, bytes);
        return 0;
    }
    struct image_vc *vc = &m->vc[IMAGE_PORTS];
    if (config == vc->config && addr >= vc->at) {
        uint32_t value = image_get(in + 8, bytes);
        if (addr >= vc->at + 0x20u) image_put(vc->config + vc->at + VC0_STATUS, 2, 1);
        if (addr == vc->at + VC0_CONTROL && value & VC_LOAD_PORT_TABLE && !vc->stuck) {
            memcpy(vc->loaded, config + vc->at + 0x20, 64);
            image_put(vc->config + vc->at + VC0_STATUS, 2, 0);
        } else if (addr == vc->at + VC0_CONTROL && value & VC_LOAD_PORT_TABLE) {
            vc->stuck--;
        }
        if (addr == vc->at + VC0_CONTROL) value &= ~(uint32_t)VC_LOAD_PORT_TABLE;
        image_put(config + addr, bytes, value);
        return 0;
    }
    if (config != m->functions[1][0] || addr != m->lost_rate || !m->lost_rate)
        memcpy(config + addr, in + 8, bytes);
    return 0;
}

static uint32_t image_counters(struct image *m, const uint8_t *in, uint8_t *out) {
    for (unsigned k = 0; k < in[1]; k++) {
        uint8_t port = in[2 + 2 * k];
        if (in[0] == 12) m->payload_types[port] = in[3 + 2 * k];
        for (unsigned word = 0; word < 7 && in[0] == 1; word++)
            image_put(out + 56 * k + 8 * word, 8, 1000u * port + word);
    }
    return in[1] > 16 ? 0x64006 : 0;
}

static uint32_t image_topology(struct image *m, const uint8_t *in, uint8_t *out) {
    if (in[0] == 2) out[0] = m->topology_waits ? (m->topology_waits--, 2) : 3;
    if (in[0] == 5)
        for (unsigned k = 0; k < 16; k++) out[4 + 36 + k] = k == 1 ? 32 : k == 3 ? 40 : 0xFF;
    return 0;
}

static uint32_t image_links(uint8_t *out) {
    memset(out, 0xFF, 720);
    for (unsigned k = 0; k < IMAGE_PORTS; k++) {
        uint8_t record[12] = {image_ports[k], 0, 0, 0, 16, 8, 0, 0x85, 0x03, 0x01, 0, 0};
        if (image_ports[k] == 8) record[7] = 0; /* down */
        memcpy(out + 12 * k, record, 12);
    }
    return 0;
}

static uint32_t image_run(struct image *m, uint32_t command, const uint8_t *in, uint8_t *out) {
    switch (command) {
        case MRPC_PING:
            image_put(out, 4, 0x1003);
            image_put(out + 4, 4, ~image_get(in, 4));
            return 0;
        case MRPC_PAX_ID:
            out[0] = 2;
            return 0;
        case MRPC_LINK_STATUS:
            return image_links(out);
        case MRPC_PORT_COUNTERS:
            return image_counters(m, in, out);
        case MRPC_TOPOLOGY:
            return image_topology(m, in, out);
        case MRPC_PORT_CONFIG:
            out[0] = in[1] < 16   ? PORT_CONFIG_EP
                     : in[1] < 32 ? PORT_CONFIG_HOST
                                  : PORT_CONFIG_FABRIC;
            out[3] = in[1] == 16 ? 3 : 0;
            return 0;
        case MRPC_GFMS_DUMP:
            out[16] = in[1] == 32 ? 40 : 0xFF;
            out[17] = 1;
            return 0;
        case MRPC_GFMS_BIND:
            return in[2] == 16 ? 0 : 0x100002;
        case MRPC_PORT_CONTROL:
            return 0;
        case MRPC_FUNCTION_ACCESS:
            return image_function(m, in, out);
        default:
            return MRPC_ERR_COMMAND;
    }
}

static void image_doorbell(struct image *m, uint32_t word) {
    uint8_t out[GAS_MRPC_BYTES] = {0};
    static const uint32_t status[] = {MRPC_DONE, MRPC_IN_PROGRESS, MRPC_ERROR, MRPC_INTERRUPTED};
    m->last_word = word;
    m->commands++;
    bool meant = !m->refused_command || m->refused_command == (word & 0xFFFF);
    if (m->mailbox == MAILBOX_DEAF) return;
    if (m->mailbox != MAILBOX_OK && m->mailbox != MAILBOX_REFUSES) {
        image_put(m->gas + GAS_MRPC_RETURN, 4, m->refusal);
        image_put(m->gas + GAS_MRPC_STATUS, 4, status[m->mailbox]);
        return;
    }
    uint32_t code = m->mailbox == MAILBOX_REFUSES && meant
                        ? m->refusal
                        : image_run(m, word & 0xFFFF, m->gas + GAS_MRPC_IN, out);
    memcpy(m->gas + GAS_MRPC_OUT, out, sizeof out);
    image_put(m->gas + GAS_MRPC_RETURN, 4, code);
    image_put(m->gas + GAS_MRPC_STATUS, 4, MRPC_DONE);
}

static void image_vc_write(struct image_vc *vc, uint32_t reg, uint32_t value) {
    uint8_t *status = vc->config + vc->at + VC0_STATUS;
    if (reg == vc->at + VC0_CONTROL) {
        if (value & VC_LOAD_PORT_TABLE && !vc->stuck) {
            memcpy(vc->loaded, vc->config + vc->at + 0x20, sizeof vc->loaded);
            image_put(status, 2, 0);
        } else if (value & VC_LOAD_PORT_TABLE) {
            vc->stuck--;
        }
        image_put(vc->config + reg, 4, value & ~(uint32_t)VC_LOAD_PORT_TABLE);
    } else if (reg >= vc->at + 0x20 && reg < vc->at + 0x20 + 256) {
        image_put(vc->config + reg, 4, value);
        image_put(status, 2, 1);
    }
}

static int image_trap(void *context, uint64_t off, uint64_t value, unsigned width) {
    struct image *m = context;
    uint64_t n = ++m->writes;
    if (n <= IMAGE_LOG) m->log[n - 1] = (uint32_t)off;
    if (m->gone) return 0;
    if (m->fail_at && n == m->fail_at) return -5; /* EIO */
    if (m->lose_at && n >= m->lose_at && n < m->lose_at + m->lose_count) {
        if (off >= GAS_PFF) { /* the register is lost, the hardware still notices a write */
            uint32_t reg = (uint32_t)(off - GAS_PFF) % GAS_PFF_STRIDE;
            uint8_t *config = image_pff(m, (unsigned)(off - GAS_PFF) / GAS_PFF_STRIDE);
            if (reg >= IMAGE_VC + 0x20) image_put(config + IMAGE_VC + VC0_STATUS, 2, 1);
        }
        return 0;
    }
    if (off == GAS_MRPC_CMD) {
        image_doorbell(m, (uint32_t)value);
    } else if (off < GAS_MRPC_BYTES) {
        image_put(m->gas + off, width, value);
    } else if (off >= GAS_PFF) {
        unsigned pff = (unsigned)(off - GAS_PFF) / GAS_PFF_STRIDE;
        uint32_t reg = (uint32_t)(off - GAS_PFF) % GAS_PFF_STRIDE;
        uint32_t header = PFF_EVENT_HEADERS + PFF_EVENT_STRIDE * PFF_EVENT_LINK_STATE;
        if (reg < PFF_CONFIG_BYTES) image_vc_write(&m->vc[pff], reg, (uint32_t)value);
        if (reg == header) {
            image_put(m->gas + off, 4, value & ~(uint64_t)(value & 1 ? 0x1FE1 : 0));
            if (value & 1) image_put(image_pff(m, pff) + PFF_EVENT_SUMMARY, 4, 0);
        }
    }
    return 0;
}

static void image_build_port(struct image *m, unsigned pff, unsigned phases, unsigned entry_code) {
    uint8_t *config = image_pff(m, pff);
    image_put(m->gas + GAS_PFF_PORT + pff, 1, image_ports[pff]);
    image_put(config, 4, PFF_VENDOR | 0x5200u << 16);
    image_put(config + 6, 2, 0x10);
    config[0x34] = 0x40;
    image_put(config + 0x40, 2, 0x5001); /* power management, then PCI Express */
    config[0x50] = CAP_PCIE;
    if (image_ports[pff] < 16)
        image_put(config + 0x50 + 0x14, 4, (1u + image_ports[pff] / 8) << 19);
    image_ext(config, 0x100, 0x0001, IMAGE_VC);
    image_vc_build(&m->vc[pff], config, IMAGE_VC, EXT_CAP_VC, phases, entry_code);
}

/* entry_code: 0..3 = entries of 1, 2, 4, 8 bits. */
static struct image *image_create(uint32_t device_id, unsigned phases, unsigned entry_code) {
    struct image *m = calloc(1, sizeof *m);
    m->gas = calloc(1, FAB_GAS_BYTES);
    image_put(m->gas + GAS_DEVICE_ID, 4, device_id);
    image_put(m->gas + GAS_DEVICE_VERSION, 4, 0x10000);
    image_put(m->gas + GAS_FW_VERSION, 4, 0x060200B0);
    memcpy(m->gas + GAS_GEN4_PRODUCT, "PAX 100XG5              ", 24);
    memset(m->gas + GAS_PFF_PORT, 0xFF, GAS_PFF_MAX);
    for (unsigned k = 0; k < IMAGE_PORTS; k++) image_build_port(m, k, phases, entry_code);
    image_build_functions(m, entry_code < 3 ? entry_code : 2); /* 8 groups need no 8 bits */
    fab_bar_trapped(m->gas, FAB_GAS_BYTES, image_trap, m, &m->bar);
    return m;
}

static void image_free(struct image *m) {
    fab_bar_close(m->bar);
    free(m->gas);
    free(m);
}

/* The switch vanishes: every read is all ones from here on. */
static inline void image_vanish(struct image *m) {
    memset(m->gas, 0xFF, FAB_GAS_BYTES);
    m->gone = true;
}

/* What the arbiter really uses: phases (0 = fixed), and its entries. */
static inline unsigned image_in_force(const struct image_vc *vc, unsigned entry_bits,
                                      uint8_t *out) {
    static const uint16_t phases[] = {0, 32, 64, 128, 128, 256, 0, 0};
    unsigned n = phases[image_get(vc->config + vc->at + VC0_CONTROL, 4) >> VC_SELECT_SHIFT & 7];
    for (unsigned i = 0; i < n; i++)
        out[i] = (uint8_t)(vc->loaded[i * entry_bits / 8] >> (i * entry_bits % 8) &
                           ((1u << entry_bits) - 1));
    return n;
}

static inline uint32_t image_random(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

#endif
