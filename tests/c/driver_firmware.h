/* The state of the driver tests' register image, and its firmware: what each command answers. */
#ifndef FAB_DRIVER_FIRMWARE_H
#define FAB_DRIVER_FIRMWARE_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fabcore.h"
#include "raw_bytes.h"
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

static uint8_t *image_pff(struct image *m, unsigned pff) {
    return m->gas + GAS_PFF + GAS_PFF_STRIDE * pff;
}

static uint32_t image_function(struct image *m, const uint8_t *in, uint8_t *out) {
    unsigned pdfid = get(in + 2, 2), addr = get(in + 4, 2), bytes = in[6];
    if (PDFID_MODULE(pdfid) > 1 || PDFID_FUNCTION(pdfid) >= IMAGE_FUNCTIONS) return 0x64006;
    uint8_t *config = m->functions[PDFID_MODULE(pdfid)][PDFID_FUNCTION(pdfid)];
    if (in[0] == 0) {
        memcpy(out, config + addr, bytes);
        return 0;
    }
    struct image_vc *vc = &m->vc[IMAGE_PORTS];
    if (config == vc->config && addr >= vc->at) {
        uint32_t value = get(in + 8, bytes);
        if (addr >= vc->at + 0x20u) put(vc->config + vc->at + VC0_STATUS, 2, 1);
        if (addr == vc->at + VC0_CONTROL && value & VC_LOAD_PORT_TABLE && !vc->stuck) {
            memcpy(vc->loaded, config + vc->at + 0x20, 64);
            put(vc->config + vc->at + VC0_STATUS, 2, 0);
        } else if (addr == vc->at + VC0_CONTROL && value & VC_LOAD_PORT_TABLE) {
            vc->stuck--;
        }
        if (addr == vc->at + VC0_CONTROL) value &= ~(uint32_t)VC_LOAD_PORT_TABLE;
        put(config + addr, bytes, value);
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
            put(out + 56 * k + 8 * word, 8, 1000u * port + word);
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
            put(out, 4, 0x1003);
            put(out + 4, 4, ~get(in, 4));
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
        put(m->gas + GAS_MRPC_RETURN, 4, m->refusal);
        put(m->gas + GAS_MRPC_STATUS, 4, status[m->mailbox]);
        return;
    }
    uint32_t code = m->mailbox == MAILBOX_REFUSES && meant
                        ? m->refusal
                        : image_run(m, word & 0xFFFF, m->gas + GAS_MRPC_IN, out);
    memcpy(m->gas + GAS_MRPC_OUT, out, sizeof out);
    put(m->gas + GAS_MRPC_RETURN, 4, code);
    put(m->gas + GAS_MRPC_STATUS, 4, MRPC_DONE);
}

#endif
