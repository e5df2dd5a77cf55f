/* The vendor's client, as far as firmware goes: the commands and accesses that it makes, in its
 * order, with its sizes, each written as a number. */
#ifndef FAB_FIRMWARE_CLIENT_H
#define FAB_FIRMWARE_CLIENT_H

#include "check.h"
#include "default_node.h"
#include "firmware_image.h"
#include "node.h"
#include "node_registers.h"

static struct default_node plan;

enum { IDENTITIES = 5 };
struct identity {
    uint32_t device_id, word; /* word: what is or-ed to a command's id */
    unsigned generation, named, list, bytes;
    unsigned img, cfg; /* their numbers in an image */
};
static const struct identity identities[IDENTITIES] = {{0x5200, 0x007C0000, 5, 13, 4, 736, 5, 4},
                                                       {0x5100, 0xFFFC0000, 5, 13, 4, 736, 5, 4},
                                                       {0x5000, 0xFFFC0000, 5, 13, 4, 736, 5, 4},
                                                       {0x4200, 0x007C0000, 4, 11, 0, 672, 4, 3},
                                                       {0x6160, 0, 6, 15, 8, 800, 4, 3}};

static inline fab_node *make_as(uint32_t device_id, uint32_t secure_state) {
    fab_node *node = NULL;
    default_node_fill(&plan);
    for (unsigned k = 0; k < DEFAULT_SWITCHES; k++) plan.config.device_id[k] = device_id;
    plan.config.secure_state = secure_state;
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, NULL, &node), 0);
    return node;
}

/* A command as TCP carries it: the answer's length counts. Returns the code. */
static inline uint32_t ask(fab_node *node, size_t sw, uint32_t word, const void *in, size_t bytes,
                           uint8_t *out, uint32_t answer) {
    uint8_t input[1024] = {0};
    uint32_t answered;
    memcpy(input, in, bytes);
    memset(out, 0xEE, 1024);
    uint32_t code = mrpc_answer(&node->switches[sw], word, input, out, &answered);
    CHECK_EQ(answered, code ? 0 : (answer + 3) / 4 * 4);
    return code;
}

/* {status, background << 8} by the mailbox, as between blocks. */
static inline unsigned mailbox_status(fab_node *node, size_t sw, uint32_t id) {
    set(node, sw, 0x0, 0);
    set(node, sw, 0x800, id);
    CHECK_EQ(reg(node, sw, 0x804), 2);
    CHECK_EQ(reg(node, sw, 0x808), 0);
    return reg(node, sw, 0x400) & 0xFFFF;
}

/* One block; returns the status after it. */
static inline unsigned send_block(fab_node *node, size_t sw, uint32_t id, unsigned sub, int keep,
                                  const uint8_t *image, uint32_t total, uint32_t offset,
                                  uint32_t bytes) {
    uint8_t block[1024] = {(uint8_t)sub, (uint8_t)keep};
    image_le(block + 4, 4, offset);
    image_le(block + 8, 4, total);
    image_le(block + 12, 4, bytes);
    memcpy(block + 16, image + offset, bytes < 1008 ? bytes : 1008);
    CHECK_EQ(fab_bar_write_block(fab_node_bar(node, sw), 0x0, block, 1024), 0);
    set(node, sw, 0x800, id);
    CHECK_EQ(reg(node, sw, 0x804), 2);
    CHECK_EQ(reg(node, sw, 0x808), 0);
    return mailbox_status(node, sw, id);
}

/* Blocks of 1008 bytes until the first that fails; the last status. id 5 without PAX bits. */
static inline unsigned send_image(fab_node *node, size_t sw, int keep, const uint8_t *image,
                                  uint32_t total) {
    unsigned status = 0;
    for (uint32_t at = 0; at < total; at += 1008) {
        uint32_t n = total - at < 1008 ? total - at : 1008;
        status = send_block(node, sw, 5, 1, keep, image, total, at, n);
        if (at + n < total && status != 0x0201) break; /* in progress, done with the block */
    }
    return status;
}

struct listed {
    uint32_t crc, length, start, end, dwords, version;
    uint8_t valid, active, read_only, running;
};
/* The whole of fw-info: the list, each valid image's metadata, the SEEPROM, the configurations. */
static inline unsigned fw_info(fab_node *node, size_t sw, const struct identity *as,
                               struct listed *out) {
    uint8_t list[1024], metadata[1024], in[4] = {(uint8_t)as->list};
    CHECK_EQ(ask(node, sw, as->word | 0x2B, in, 1, list, as->bytes), 0);
    unsigned records = (as->bytes - 0x40) / 32;
    for (unsigned k = 0; k < records; k++) {
        const uint8_t *r = list + 0x40 + 32 * k;
        out[k] = (struct listed){
            word_at(r, 0), word_at(r, 4), word_at(r, 12), word_at(r, 16), word_at(r, 24), 0,
            r[10],         r[11],         r[28],          r[29]};
        /* it asks for what is valid, but never for NVLOG */
        if (k >= as->named || k == (as->generation == 5 ? 12 : 10) || !r[10]) continue;
        uint8_t one[2] = {(uint8_t)(as->list + 1), (uint8_t)k};
        CHECK_EQ(ask(node, sw, as->word | 0x2B, one, 2, metadata, as->bytes), 0); /* 628 count */
        CHECK_EQ(memcmp(metadata, "MSCC_MD ", 8), 0);
        CHECK_EQ(word_at(metadata, 0x54), out[k].crc);
        CHECK_EQ(word_at(metadata, 0x18), out[k].length);
        CHECK_EQ(word_at(metadata, 0x270), image_crc32(metadata, 0x270));
        out[k].version = word_at(metadata, 0x24);
    }
    uint8_t seeprom[2] = {as->generation == 6 ? 10 : 2, 0xFE}, several[4] = {0};
    CHECK_EQ(ask(node, sw, as->word | 0x2B, seeprom, 2, metadata, 0), 0x64006); /* none fitted */
    CHECK_EQ(ask(node, sw, as->word | 0x1D, several, 4, metadata, 4), 0);
    CHECK_EQ(word_at(metadata, 0), 0);
    return word_at(list, 0);
}

/* Which record is the main firmware's first, the configuration's first. */
static inline unsigned at_img(const struct identity *as) {
    return as->generation == 5 ? 10 : 8;
}
static inline unsigned at_cfg(const struct identity *as) {
    return as->generation == 5 ? 8 : 6;
}

static inline void boot(fab_node *node, size_t sw) {
    pthread_mutex_lock(&node->lock);
    firmware_boot(&node->switches[sw]);
    pthread_mutex_unlock(&node->lock);
}

#endif
