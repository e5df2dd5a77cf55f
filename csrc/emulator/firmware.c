/* The flash of an emulated switch: how it is divided, what the factory put there, what boots. */
#include <string.h>

#include "node.h"

enum {
    KIB = 1024,
    MIB = 1024 * 1024,
    FLASH_BYTES = 32 * MIB, /* modelled, as the partitions' sizes are */
    FACTORY_HEADER = 1024
};

struct shape {
    uint8_t type, slots, generations;
    uint32_t bytes;
};
/* In the order of the partition list, which differs by what a generation leaves out. */
static const struct shape shapes[] = {
    {FAB_FIRMWARE_MAP, 2, GENS_ALL, 64 * KIB},     {FAB_FIRMWARE_KEY, 2, GENS_ALL, 64 * KIB},
    {FAB_FIRMWARE_RIOT, 2, GEN_BIT(5), 256 * KIB}, {FAB_FIRMWARE_BL2, 2, GENS_ALL, 512 * KIB},
    {FAB_FIRMWARE_CFG, 2, GENS_ALL, 1 * MIB},      {FAB_FIRMWARE_IMG, 2, GENS_ALL, 8 * MIB},
    {FAB_FIRMWARE_NVLOG, 1, GENS_ALL, 1 * MIB},    {FAB_FIRMWARE_CERT, 2, GEN_BIT(6), 64 * KIB},
    {FAB_FIRMWARE_DEBUG, 2, GEN_BIT(6), 64 * KIB}, {FAB_FIRMWARE_VENDOR, 8, GENS_ALL, 64 * KIB},
};

/* CRC-32 as in Ethernet and zip. modelled: what a real image's CRC is taken by is not public; the
 * vendor's library takes this one over its other files. */
uint32_t firmware_crc(uint32_t crc, const uint8_t *data, uint32_t bytes) {
    static uint32_t const nibbles[16] = {0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC,
                                         0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
                                         0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
                                         0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
    crc = ~crc;
    for (uint32_t k = 0; k < bytes; k++) {
        crc ^= data[k];
        crc = crc >> 4 ^ nibbles[crc & 15];
        crc = crc >> 4 ^ nibbles[crc & 15];
    }
    return ~crc;
}

uint32_t firmware_hash(const struct node_switch *sw, uint32_t what) {
    uint64_t x = sw->node->config.seed + UINT64_C(0x9E3779B97F4A7C15) * (sw->index + 1u) +
                 UINT64_C(0xD1B54A32D192ED03) * (what + 1u);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return (uint32_t)(x ^ x >> 31);
}

uint32_t firmware_type_number(unsigned generation, unsigned type) {
    return generation != 5 && type > FAB_FIRMWARE_RIOT ? type - 1 : type; /* only Gen5 has RIOT */
}

int firmware_type_of(const struct node_switch *sw, const uint8_t *metadata) {
    uint32_t number = (uint32_t)bytes_get(metadata + METADATA_TYPE, 4);
    unsigned generation = sw->generation == 5 && metadata[METADATA_ID] == 0 ? 4 : sw->generation;
    for (unsigned k = 0; k < sizeof shapes / sizeof *shapes; k++)
        if (shapes[k].generations & GEN_BIT(generation) &&
            firmware_type_number(generation, shapes[k].type) == number)
            return shapes[k].type;
    return -1;
}

struct node_partition *firmware_find(struct node_firmware *fw, unsigned type, int active) {
    for (unsigned k = 0; k < fw->parts; k++)
        if (fw->part[k].type == type && fw->part[k].active == active) return &fw->part[k];
    return NULL;
}

/* ---- what the factory put there ---- */

/* The factory's own image is not kept: its CRC stands for it. */
static void factory_metadata(struct node_switch *sw, struct node_partition *p) {
    static const char *const names[] = {"MAP", "KEYMAN", "RIOT", "BL2", "CFG", "IMG"};
    uint32_t major = 3u * (sw->generation - 3u), minor = p->slot ? 1 : 2; /* slot 1: older */
    uint32_t key = firmware_hash(sw, p->type) | 1;
    uint8_t *m = p->metadata;
    memcpy(m, METADATA_MAGIC, 8);
    bytes_put(m + 8, 4, 1);
    bytes_put(m + METADATA_HEADER_LEN, 4, FACTORY_HEADER);
    bytes_put(m + METADATA_LEN, 4, METADATA_BYTES);
    bytes_put(m + METADATA_IMAGE_LEN, 4, p->bytes / 2 - FACTORY_HEADER);
    bytes_put(m + METADATA_TYPE, 4, firmware_type_number(sw->generation, p->type));
    m[METADATA_ID] = sw->generation == 5;
    bytes_put(m + METADATA_VERSION, 4, major << 24 | minor << 16 | (p->slot ? 0xA7 : 0xB0));
    memcpy(m + METADATA_DATE, "20260115", 8);
    memcpy(m + METADATA_TIME, "12:00:00", 8);
    memcpy(m + METADATA_NAME, names[p->type], strlen(names[p->type]));
    bytes_put(m + METADATA_CRC, 4, firmware_hash(sw, 32u + 2u * p->type + p->slot));
    if (sw->node->config.secure_state == FAB_SECURE_SECURED) { /* it runs signed images only */
        for (unsigned k = 0; k < 512; k += 4) bytes_put(m + METADATA_MODULUS + k, 4, key * (k + 1));
        bytes_put(m + METADATA_EXPONENT, 4, 0x10001);
    }
    bytes_put(m + METADATA_HEADER_CRC, 4, firmware_crc(0, m, METADATA_HEADER_CRC));
}

static void partition(struct node_switch *sw, const struct shape *shape, unsigned slot,
                      uint32_t *start) {
    struct node_partition *p = &sw->firmware.part[sw->firmware.parts++];
    *p = (struct node_partition){.type = shape->type,
                                 .slot = (uint8_t)slot,
                                 .start = *start,
                                 .bytes = shape->bytes,
                                 /* modelled: the map describes this flash and stays */
                                 .read_only = shape->type == FAB_FIRMWARE_MAP};
    *start += shape->bytes;
    if (shape->type > FAB_FIRMWARE_NVLOG) return; /* empty */
    p->valid = 1;
    p->active = slot == 0;
    if (shape->type < FAB_FIRMWARE_NVLOG) factory_metadata(sw, p);
}

void firmware_build(struct node_switch *sw) {
    uint32_t start = 0;
    memset(&sw->firmware, 0, sizeof sw->firmware);
    for (unsigned k = 0; k < sizeof shapes / sizeof *shapes; k++)
        for (unsigned slot = 0; slot < shapes[k].slots; slot++)
            if (shapes[k].generations & GEN_BIT(sw->generation))
                partition(sw, &shapes[k], slot, &start);
    gas_put(sw, GAS_FLASH_BYTES, 4, FLASH_BYTES);
    firmware_boot(sw);
}

/* ---- booting, and what shows it ---- */

void firmware_publish(struct node_switch *sw) {
    /* the registers know RIOT and Gen6's own partitions not */
    static const uint8_t pairs[] = {FAB_FIRMWARE_BL2, FAB_FIRMWARE_CFG, FAB_FIRMWARE_IMG,
                                    FAB_FIRMWARE_KEY};
    static const uint8_t numbers[] = {4, 6, 8, 2};
    struct node_firmware *fw = &sw->firmware;
    uint32_t at = GAS_FLASH_PARTS, version = 0;
    for (unsigned j = 0; j < sizeof pairs; j++) gas_put(sw, GAS_RUNNING_BL2 + 2 * j, 2, 0);
    for (unsigned k = 0; k < fw->parts; k++) {
        const struct node_partition *p = &fw->part[k];
        if (p->type == FAB_FIRMWARE_IMG && p->running)
            version = (uint32_t)bytes_get(p->metadata + METADATA_VERSION, 4);
        for (unsigned j = 0; j < sizeof pairs; j++) {
            if (p->type != pairs[j]) continue;
            if (p->active) gas_put(sw, GAS_FLASH_ACTIVE + j, 1, p->slot);
            if (p->running) gas_put(sw, GAS_RUNNING_BL2 + 2 * j, 2, numbers[j] + p->slot);
        }
        if (p->type == FAB_FIRMWARE_RIOT || p->type == FAB_FIRMWARE_CERT ||
            p->type == FAB_FIRMWARE_DEBUG)
            continue;
        gas_put(sw, at, 4, p->start);
        gas_put(sw, at + 4, 4, p->bytes);
        at += 8;
    }
    gas_put(sw, GAS_FW_VERSION, 4, version);
}

/* The loader that stops when an image of this type cannot be used. */
static uint8_t stopped_by(unsigned type) {
    return type == FAB_FIRMWARE_CFG || type == FAB_FIRMWARE_IMG ? BOOT_BL2 : BOOT_BL1;
}

void firmware_boot(struct node_switch *sw) {
    struct node_firmware *fw = &sw->firmware;
    fw->phase = BOOT_MAIN;
    for (unsigned k = 0; k < fw->parts; k++) {
        const struct node_partition *p = &fw->part[k];
        if (p->type < FAB_FIRMWARE_NVLOG && p->active && !p->valid &&
            stopped_by(p->type) < fw->phase)
            fw->phase = stopped_by(p->type);
    }
    for (unsigned k = 0; k < fw->parts; k++) {
        struct node_partition *p = &fw->part[k];
        int reached = p->type >= FAB_FIRMWARE_NVLOG || stopped_by(p->type) < fw->phase;
        p->running = p->active && p->valid && reached;
        p->fresh = 0;
        if (!p->running || p->type >= FLASH_SECURED) continue;
        uint32_t secure = (uint32_t)bytes_get(p->metadata + METADATA_SECURE_VERSION, 4);
        if (bytes_get(p->metadata + METADATA_EXPONENT, 4) && secure > fw->secure[p->type])
            fw->secure[p->type] = secure;
    }
    fw->update.open = 0; /* a reset ends a download */
    fw->status = DOWNLOAD_READY;
    fw->background = BACKGROUND_IDLE;
    firmware_publish(sw);
}

int firmware_answers(const struct node_switch *sw, uint32_t id) {
    static const uint16_t loader[] = {MRPC_PING,
                                      MRPC_ECHO,
                                      MRPC_PAX_ID,
                                      MRPC_PART_INFO,
                                      MRPC_LOADER_GEN4,
                                      MRPC_LOADER_GEN5,
                                      MRPC_LOADER_GEN6,
                                      MRPC_SERIAL_GEN4,
                                      MRPC_SERIAL_GEN5,
                                      MRPC_SERIAL_GEN6,
                                      0x1B /* reset */};
    int is_loader = id == MRPC_LOADER_GEN4 || id == MRPC_LOADER_GEN5 || id == MRPC_LOADER_GEN6;
    if (sw->firmware.phase == BOOT_MAIN) return !is_loader;
    for (unsigned k = 0; k < sizeof loader / sizeof *loader; k++)
        if (loader[k] == id) return 1;
    return 0;
}
