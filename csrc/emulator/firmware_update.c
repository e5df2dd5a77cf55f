/* Firmware update and toggle: an image comes in blocks, is checked as it comes and lands in the
 * partition of its type that does not run; the running one is never touched.
 *
 * A download's failure is told by its status, as the chip does: the command that carried the block
 * answers 0.
 */
#include <string.h>

#include "node.h"

enum { SMALLEST_PACKAGE = 32 };

static uint32_t fail(struct node_firmware *fw, unsigned status) {
    fw->update.open = 0;
    fw->status = (uint8_t)status;
    fw->background = status == DOWNLOAD_OFFSET ? BACKGROUND_OFFSET : BACKGROUND_ERROR;
    return 0;
}

/* ---- the metadata ---- */

static int is_signed(const uint8_t *metadata) {
    return bytes_get(metadata + METADATA_EXPONENT, 4) != 0;
}

/* Major versions of Gen4 are 3 to 5, of Gen5 6 to 8, of Gen6 9 to 11. */
static int of_generation(const struct node_switch *sw, const uint8_t *metadata) {
    return metadata[METADATA_VERSION + 3] / 3 == sw->generation - 3;
}

/* modelled: where a signature stands and how it is made is not public, so it is not verified; a
 * secured switch refuses what has none, and no switch goes back behind a secure version. */
static int trusted(const struct node_switch *sw, const uint8_t *metadata, unsigned type) {
    int secured = sw->node->config.secure_state == FAB_SECURE_SECURED;
    if (!is_signed(metadata)) return !secured;
    return type >= FLASH_SECURED ||
           bytes_get(metadata + METADATA_SECURE_VERSION, 4) >= sw->firmware.secure[type];
}

/* modelled: an image without a header CRC (0) passes, except where only signed ones do. */
static int header_whole(const struct node_switch *sw, const uint8_t *metadata) {
    uint32_t crc = (uint32_t)bytes_get(metadata + METADATA_HEADER_CRC, 4);
    if (memcmp(metadata, METADATA_MAGIC, 8) != 0 || !of_generation(sw, metadata)) return 0;
    if (crc == 0) return sw->node->config.secure_state != FAB_SECURE_SECURED;
    return crc == firmware_crc(0, metadata, METADATA_HEADER_CRC);
}

/* Where the image's own bytes are. Its length does not count the header; that of some builders
 * does. Returns 0 when they are not all there. */
static int span(struct node_update *u) {
    uint32_t body = (uint32_t)bytes_get(u->metadata + METADATA_HEADER_LEN, 4);
    uint32_t length = (uint32_t)bytes_get(u->metadata + METADATA_IMAGE_LEN, 4);
    if (body > u->total || length == 0) return 0;
    u->body = body;
    u->end = length <= u->total - body ? body + length : u->total;
    return length <= u->total - body || length == u->total;
}

/* The partition to write: the inactive one. When that one runs, an image that came since the last
 * boot and was made active may be replaced by a newer one; one that was chosen by toggle may not.
 * NULL and the status that says why. */
static struct node_partition *target(struct node_firmware *fw, unsigned type, unsigned *why) {
    struct node_partition *active = firmware_find(fw, type, 1);
    struct node_partition *inactive = firmware_find(fw, type, 0);
    *why = DOWNLOAD_HEADER;
    if (!inactive || type >= FAB_FIRMWARE_NVLOG) return NULL; /* no such image is taken */
    *why = DOWNLOAD_READ_ONLY;
    if (inactive->read_only) return NULL;
    if (!inactive->running) return inactive;
    *why = DOWNLOAD_RUNNING;
    return active && active->fresh && !active->running ? active : NULL;
}

/* From here on the partition holds nothing; if it was the next to boot, the running one is. */
static void erase(struct node_firmware *fw, struct node_partition *p) {
    struct node_partition *other = firmware_find(fw, p->type, !p->active);
    if (p->active && other) {
        p->active = 0;
        other->active = 1;
    }
    p->valid = 0;
    memset(p->metadata, 0, sizeof p->metadata);
}

/* The metadata is complete: 0, or the status of the refusal. */
static unsigned begin(struct node_switch *sw) {
    struct node_firmware *fw = &sw->firmware;
    struct node_update *u = &fw->update;
    unsigned why;
    int type = firmware_type_of(sw, u->metadata);
    if (type < 0 || !header_whole(sw, u->metadata) || !trusted(sw, u->metadata, (unsigned)type) ||
        bytes_get(u->metadata + METADATA_HEADER_LEN, 4) < METADATA_BYTES)
        return DOWNLOAD_HEADER;
    if (!span(u)) return DOWNLOAD_LENGTH;
    struct node_partition *p = target(fw, (unsigned)type, &why);
    if (!p) return why;
    if (u->total > p->bytes) return DOWNLOAD_LENGTH;
    u->target = (int8_t)(p - fw->part);
    erase(fw, p);
    firmware_publish(sw);
    return 0;
}

/* ---- the blocks ---- */

/* The bytes at `from`, as flash has them: a block that was lost leaves it erased. */
static unsigned take(struct node_switch *sw, uint32_t from, const uint8_t *data, uint32_t bytes) {
    struct node_update *u = &sw->firmware.update;
    uint32_t to = from + bytes;
    if (from < METADATA_BYTES) {
        uint32_t head = to < METADATA_BYTES ? bytes : METADATA_BYTES - from;
        memcpy(u->metadata + from, data, head);
        unsigned refused = from + head == METADATA_BYTES ? begin(sw) : 0;
        if (refused) return refused;
    }
    if (u->target < 0 || to <= u->body || from >= u->end) return 0;
    uint32_t low = from > u->body ? from : u->body, high = to < u->end ? to : u->end;
    u->crc = firmware_crc(u->crc, data + (low - from), high - low);
    return 0;
}

static void finish(struct node_switch *sw) {
    struct node_firmware *fw = &sw->firmware;
    struct node_update *u = &fw->update;
    struct node_partition *p = &fw->part[u->target];
    uint32_t crc = (uint32_t)bytes_get(u->metadata + METADATA_CRC, 4);
    int named = crc != 0 || sw->node->config.secure_state == FAB_SECURE_SECURED;
    if (u->torn || (named && crc != u->crc)) {
        fail(fw, DOWNLOAD_CRC);
        return;
    }
    memcpy(p->metadata, u->metadata, sizeof p->metadata);
    p->valid = p->fresh = 1;
    u->open = 0;
    fw->status = DOWNLOAD_COMPLETE;
    if (!u->keep) {
        struct node_partition *other = firmware_find(fw, p->type, 1);
        if (other) other->active = 0;
        p->active = 1;
        fw->status = p->type == FAB_FIRMWARE_CFG ? DOWNLOAD_DATA_ACTIVE : DOWNLOAD_FIRMWARE_ACTIVE;
    }
    firmware_publish(sw);
}

/* Offset 0 starts over, whatever came before. */
static unsigned start(struct node_firmware *fw, const uint8_t *in) {
    struct node_update *u = &fw->update;
    memset(u, 0, sizeof *u);
    u->target = -1;
    u->keep = in[1] != 0;
    u->total = (uint32_t)bytes_get(in + 8, 4);
    if (u->total < SMALLEST_PACKAGE) return DOWNLOAD_SMALL;
    u->open = 1;
    return 0;
}

static uint32_t block(struct node_switch *sw, const uint8_t *in) {
    struct node_firmware *fw = &sw->firmware;
    struct node_update *u = &fw->update;
    uint32_t offset = (uint32_t)bytes_get(in + 4, 4), bytes = (uint32_t)bytes_get(in + 12, 4);
    uint8_t erased[BLOCK_BYTES];
    const uint8_t *data = in + BLOCK_HEAD;
    unsigned refused = offset == 0 ? start(fw, in) : 0;
    if (refused) return fail(fw, refused);
    if (!u->open || offset != u->received) return fail(fw, DOWNLOAD_OFFSET);
    if (bytes == 0 || bytes > BLOCK_BYTES || bytes > u->total - offset ||
        bytes_get(in + 8, 4) != u->total)
        return fail(fw, DOWNLOAD_LENGTH);
    if (fw->torn) {
        fw->torn--;
        u->torn = 1;
        memset(erased, 0xFF, sizeof erased);
        data = erased;
    }
    refused = take(sw, offset, data, bytes);
    if (refused) return fail(fw, refused);
    u->received += bytes;
    fw->status = DOWNLOAD_IN_PROGRESS;
    fw->background = BACKGROUND_DONE;
    if (u->received < u->total) return 0;
    if (u->target < 0) return fail(fw, DOWNLOAD_HEADER); /* shorter than its metadata */
    finish(sw);
    return 0;
}

static uint32_t status(const struct node_switch *sw, uint8_t *out) {
    out[0] = sw->firmware.status;
    out[1] = sw->firmware.background;
    return 0;
}

/* The other partition of each type that is named boots next; modelled: even an invalid one, which
 * the boot loader then stops at. */
static uint32_t toggle(struct node_switch *sw, const uint8_t *in) {
    static const uint8_t order[] = {FAB_FIRMWARE_IMG, FAB_FIRMWARE_CFG, FAB_FIRMWARE_BL2,
                                    FAB_FIRMWARE_KEY, FAB_FIRMWARE_RIOT};
    struct node_firmware *fw = &sw->firmware;
    /* only Gen5 has RIOT: the others' byte is not meant */
    unsigned types = sw->generation == 5 ? sizeof order : sizeof order - 1;
    if (fw->update.open) return MRPC_ERR_STATE; /* it would be written under its feet */
    for (unsigned k = 0; k < types; k++) {
        if (!in[1 + k]) continue;
        struct node_partition *was = firmware_find(fw, order[k], 1);
        struct node_partition *next = firmware_find(fw, order[k], 0);
        if (!was || !next) continue;
        was->active = 0;
        next->active = 1;
    }
    firmware_publish(sw);
    return 0;
}

static uint32_t firmware(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    switch (in[0]) {
        case FIRMWARE_STATUS:
            return status(sw, out);
        case FIRMWARE_BLOCK:
            return block(sw, in);
        case FIRMWARE_TOGGLE:
            return toggle(sw, in);
        default:
            return MRPC_ERR_SUBCOMMAND;
    }
}

static uint32_t loader(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    switch (in[0]) {
        case FIRMWARE_STATUS:
            return status(sw, out);
        case LOADER_BLOCK:
            return block(sw, in);
        case LOADER_TOGGLE:
            return toggle(sw, in);
        default:
            return MRPC_ERR_SUBCOMMAND;
    }
}

int firmware_for_this(uint32_t word, const uint8_t *in) {
    return word == MRPC_FIRMWARE && in[0] <= FIRMWARE_BLOCK;
}

const struct mrpc_entry mrpc_firmware_commands[] = {
    {MRPC_FIRMWARE, 4, FAMILIES_ALL, GENS_ALL, firmware},
    {MRPC_LOADER_GEN4, 4, FAMILIES_ALL, GEN_BIT(4), loader},
    {MRPC_LOADER_GEN5, 4, FAMILIES_ALL, GEN_BIT(5), loader},
    {MRPC_LOADER_GEN6, 4, FAMILIES_ALL, GEN_BIT(6), loader},
    {0},
};
