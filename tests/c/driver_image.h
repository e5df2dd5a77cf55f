/* A register image for the driver's tests: mailbox, ports with tables, two modules; faults on
 * demand.
 *
 * Ports 0 (module 0, MFVC), 8 (module 1, shaper), 16 (host 3), 32 and 40 (fabric). What is in force
 * is kept apart from the registers: only a load moves one into the other.
 */
#ifndef FAB_DRIVER_IMAGE_H
#define FAB_DRIVER_IMAGE_H

#include <stdlib.h>

#include "driver_firmware.h"

/* A capability with a table at +0x20, all schemes up to `phases` offered. */
static void image_vc_build(struct image_vc *vc, uint8_t *config, uint32_t at, uint32_t id,
                           unsigned phases, unsigned entry_code) {
    uint32_t schemes = 1;
    for (unsigned p = 32, bit = VC_ARB_WRR32; p <= phases; p *= 2, bit += bit == 3 ? 2 : 1)
        schemes |= 1u << bit;
    vc->config = config;
    vc->at = at;
    extended(config, at, id, 0);
    put(config + at + VC_CAP1, 4, entry_code << 10);
    put(config + at + VC0_CAP, 4, schemes | 2u << 24);
    put(config + at + VC0_CONTROL, 4, 0x800000FF);
}

static void image_build_functions(struct image *m, unsigned entry_code) {
    for (unsigned k = 0; k < 2 * IMAGE_FUNCTIONS; k++) {
        uint8_t *config = m->functions[k / IMAGE_FUNCTIONS][k % IMAGE_FUNCTIONS];
        bool pf = k % IMAGE_FUNCTIONS == 0;
        put(config, 4, 0xFAB011F8u);
        extended(config, 0x100, 0x0001, IMAGE_ARI);
        extended(config, IMAGE_ARI, EXT_CAP_ARI, pf ? IMAGE_SRIOV : 0);
        put(config + IMAGE_ARI + 4, 2, k < IMAGE_FUNCTIONS);
        if (!pf) continue;
        extended(config, IMAGE_SRIOV, EXT_CAP_SRIOV, 0x200);
        put(config + IMAGE_SRIOV + SRIOV_TOTAL_VFS, 2, 2);
        put(config + IMAGE_SRIOV + SRIOV_NUM_VFS, 2, 2);
    }
    image_vc_build(&m->vc[IMAGE_PORTS], m->functions[0][0], IMAGE_MFVC, EXT_CAP_MFVC, 128,
                   entry_code);
    uint8_t *shaper = m->functions[1][0] + IMAGE_SHAPER;
    extended(m->functions[1][0], IMAGE_SHAPER - 0x40, EXT_CAP_VSEC, IMAGE_SHAPER); /* another's */
    put(m->functions[1][0] + IMAGE_SRIOV, 4, EXT_CAP_SRIOV | (IMAGE_SHAPER - 0x40u) << 20);
    extended(m->functions[1][0], IMAGE_SHAPER, EXT_CAP_VSEC, 0);
    put(shaper + VSEC_HEADER, 4, SHAPER_VSEC_ID);
    put(shaper + SHAPER_UNIT, 4, IMAGE_UNIT);
    put(shaper + SHAPER_ENTRIES, 4, IMAGE_FUNCTIONS);
}

static void image_vc_write(struct image_vc *vc, uint32_t reg, uint32_t value) {
    uint8_t *status = vc->config + vc->at + VC0_STATUS;
    if (reg == vc->at + VC0_CONTROL) {
        if (value & VC_LOAD_PORT_TABLE && !vc->stuck) {
            memcpy(vc->loaded, vc->config + vc->at + 0x20, sizeof vc->loaded);
            put(status, 2, 0);
        } else if (value & VC_LOAD_PORT_TABLE) {
            vc->stuck--;
        }
        put(vc->config + reg, 4, value & ~(uint32_t)VC_LOAD_PORT_TABLE);
    } else if (reg >= vc->at + 0x20 && reg < vc->at + 0x20 + 256) {
        put(vc->config + reg, 4, value);
        put(status, 2, 1);
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
            if (reg >= IMAGE_VC + 0x20) put(config + IMAGE_VC + VC0_STATUS, 2, 1);
        }
        return 0;
    }
    if (off == GAS_MRPC_CMD) {
        image_doorbell(m, (uint32_t)value);
    } else if (off < GAS_MRPC_BYTES) {
        put(m->gas + off, width, value);
    } else if (off >= GAS_PFF) {
        unsigned pff = (unsigned)(off - GAS_PFF) / GAS_PFF_STRIDE;
        uint32_t reg = (uint32_t)(off - GAS_PFF) % GAS_PFF_STRIDE;
        uint32_t header = PFF_EVENT_HEADERS + PFF_EVENT_STRIDE * PFF_LINK_STATE;
        if (reg < PFF_CONFIG_BYTES) image_vc_write(&m->vc[pff], reg, (uint32_t)value);
        if (reg == header) {
            put(m->gas + off, 4, value & ~(uint64_t)(value & 1 ? 0x1FE1 : 0));
            if (value & 1) put(image_pff(m, pff) + PFF_EVENT_SUMMARY, 4, 0);
        }
    }
    return 0;
}

static void image_build_port(struct image *m, unsigned pff, unsigned phases, unsigned entry_code) {
    uint8_t *config = image_pff(m, pff);
    put(m->gas + GAS_PFF_PORT + pff, 1, image_ports[pff]);
    put(config, 4, PFF_VENDOR | 0x5200u << 16);
    put(config + 6, 2, 0x10);
    config[0x34] = 0x40;
    put(config + 0x40, 2, 0x5001); /* power management, then PCI Express */
    config[0x50] = CAP_PCIE;
    if (image_ports[pff] < 16) put(config + 0x50 + 0x14, 4, (1u + image_ports[pff] / 8) << 19);
    extended(config, 0x100, 0x0001, IMAGE_VC);
    image_vc_build(&m->vc[pff], config, IMAGE_VC, EXT_CAP_VC, phases, entry_code);
}

/* entry_code: 0..3 = entries of 1, 2, 4, 8 bits. */
static struct image *image_create(uint32_t device_id, unsigned phases, unsigned entry_code) {
    struct image *m = calloc(1, sizeof *m);
    m->gas = calloc(1, FAB_GAS_BYTES);
    put(m->gas + GAS_DEVICE_ID, 4, device_id);
    put(m->gas + GAS_DEVICE_VERSION, 4, 0x10000);
    put(m->gas + GAS_FW_VERSION, 4, 0x060200B0);
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
    unsigned n = phases[get(vc->config + vc->at + VC0_CONTROL, 4) >> VC_SELECT_SHIFT & 7];
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
