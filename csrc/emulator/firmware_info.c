/* Firmware commands about the flash: the list of partitions, the metadata of one. */
#include <string.h>

#include "node.h"

/* Byte offsets in the list's head; 0 = this generation has none. */
struct head {
    uint8_t type, running, redundant;
};
static const struct head heads_gen5[] = {{FAB_FIRMWARE_RIOT, 0xC, 0x15},
                                         {FAB_FIRMWARE_BL2, 0xD, 0x16},
                                         {FAB_FIRMWARE_CFG, 0xE, 0x17},
                                         {FAB_FIRMWARE_IMG, 0xF, 0x18},
                                         {FAB_FIRMWARE_KEY, 0x10, 0x14}};
static const struct head heads_gen46[] = {{FAB_FIRMWARE_BL2, 0xC, 0x15},
                                          {FAB_FIRMWARE_CFG, 0xD, 0x16},
                                          {FAB_FIRMWARE_IMG, 0xE, 0x17},
                                          {FAB_FIRMWARE_KEY, 0xF, 0x14}};

static void record(const struct node_partition *p, uint8_t *out) {
    uint32_t version = (uint32_t)bytes_get(p->metadata + METADATA_VERSION, 4);
    memcpy(out, p->metadata + METADATA_CRC, 4);
    memcpy(out + 4, p->metadata + METADATA_IMAGE_LEN, 4);
    bytes_put(out + 8, 2, version >> 16); /* modelled: major and minor */
    out[10] = p->valid;
    out[11] = p->active;
    bytes_put(out + 12, 4, p->start);
    bytes_put(out + 16, 4, p->start + p->bytes - 1);
    bytes_put(out + 20, 4, p->start); /* modelled: flash begins at address 0 */
    bytes_put(out + 24, 4, p->bytes / 4);
    out[28] = p->read_only;
    out[29] = p->running;
}

static uint32_t list(struct node_switch *sw, uint8_t *out) {
    const struct node_firmware *fw = &sw->firmware;
    int gen5 = sw->generation == 5;
    const struct head *heads = gen5 ? heads_gen5 : heads_gen46;
    unsigned count = gen5 ? sizeof heads_gen5 / sizeof *heads : sizeof heads_gen46 / sizeof *heads;
    bytes_put(out, 4, gas_get(sw, GAS_FW_VERSION));
    bytes_put(out + 4, 4, gas_get(sw, GAS_FLASH_BYTES));
    bytes_put(out + 8, 2, sw->node->config.device_id[sw->index]);
    for (unsigned k = 0; k < fw->parts; k++) {
        record(&fw->part[k], out + PART_INFO_HEAD + PART_INFO_RECORD * k);
        for (unsigned h = 0; h < count; h++) /* no type is kept twice: the redundant flags are 0 */
            if (heads[h].type == fw->part[k].type && fw->part[k].running)
                out[heads[h].running] = fw->part[k].slot;
    }
    return 0;
}

/* What holds an image answers its metadata. There is no SEEPROM (0xFE). */
static uint32_t metadata(struct node_switch *sw, uint8_t part, uint8_t *out) {
    const struct node_firmware *fw = &sw->firmware;
    if (part >= fw->parts) return MRPC_ERR_PARAMETER;
    if (!fw->part[part].valid || fw->part[part].type >= FAB_FIRMWARE_NVLOG)
        return MRPC_ERR_PARAMETER;
    memcpy(out, fw->part[part].metadata, METADATA_BYTES);
    return 0;
}

static uint32_t part_info(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    uint8_t all = (uint8_t)(4 * (sw->generation - 4));
    uint8_t seeprom = sw->generation == 6 ? PART_INFO_SEEPROM_GEN6 : PART_INFO_SEEPROM;
    if (in[0] == all) return list(sw, out);
    if (in[0] == all + 1) return metadata(sw, in[1], out);
    return in[0] == seeprom ? MRPC_ERR_PARAMETER : MRPC_ERR_SUBCOMMAND;
}

/* Only sub-command 0, "are there several?", and the answer is no. */
static uint32_t multi_config(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    (void)sw;
    (void)out;
    return in[0] == 0 ? 0 : MRPC_ERR_SUBCOMMAND;
}

/* The answer's length tells the generation. */
enum {
    LIST_GEN4 = PART_INFO_HEAD + 19 * PART_INFO_RECORD,
    LIST_GEN5 = PART_INFO_HEAD + 21 * PART_INFO_RECORD,
    LIST_GEN6 = PART_INFO_HEAD + 23 * PART_INFO_RECORD
};
const struct mrpc_entry mrpc_flash_commands[] = {
    {MRPC_PART_INFO, LIST_GEN4, FAMILIES_ALL, GEN_BIT(4), part_info},
    {MRPC_PART_INFO, LIST_GEN5, FAMILIES_ALL, GEN_BIT(5), part_info},
    {MRPC_PART_INFO, LIST_GEN6, FAMILIES_ALL, GEN_BIT(6), part_info},
    {MRPC_MULTI_CONFIG, 4, FAMILIES_ALL, GENS_ALL, multi_config},
    {0},
};
