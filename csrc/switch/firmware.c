/* The partitions of a switch's flash, as its firmware lists them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "firmware_driver.h"

/* The list's records: how many of which kind, in their order. */
struct run {
    uint8_t kind, count;
};
static const struct run order_gen4[] = {
    {FAB_FIRMWARE_MAP, 2}, {FAB_FIRMWARE_KEY, 2},   {FAB_FIRMWARE_BL2, 2},    {FAB_FIRMWARE_CFG, 2},
    {FAB_FIRMWARE_IMG, 2}, {FAB_FIRMWARE_NVLOG, 1}, {FAB_FIRMWARE_VENDOR, 8}, {0, 0}};
static const struct run order_gen5[] = {
    {FAB_FIRMWARE_MAP, 2},   {FAB_FIRMWARE_KEY, 2},    {FAB_FIRMWARE_RIOT, 2},
    {FAB_FIRMWARE_BL2, 2},   {FAB_FIRMWARE_CFG, 2},    {FAB_FIRMWARE_IMG, 2},
    {FAB_FIRMWARE_NVLOG, 1}, {FAB_FIRMWARE_VENDOR, 8}, {0, 0}};
static const struct run order_gen6[] = {{FAB_FIRMWARE_MAP, 2},    {FAB_FIRMWARE_KEY, 2},
                                        {FAB_FIRMWARE_BL2, 2},    {FAB_FIRMWARE_CFG, 2},
                                        {FAB_FIRMWARE_IMG, 2},    {FAB_FIRMWARE_NVLOG, 1},
                                        {FAB_FIRMWARE_CERT, 2},   {FAB_FIRMWARE_DEBUG, 2},
                                        {FAB_FIRMWARE_VENDOR, 8}, {0, 0}};
enum { RECORDS_MAX = 23, LIST_MAX = PART_INFO_HEAD + RECORDS_MAX * PART_INFO_RECORD };

int fab_firmware_kind(int generation, const uint8_t *metadata) {
    uint32_t number = bytes_get32(metadata + METADATA_TYPE);
    /* Gen5's images count RIOT, which the others do not have; its older ones have no id */
    bool riot = generation == 5 && metadata[METADATA_ID] != 0;
    if (!riot && number >= FAB_FIRMWARE_RIOT) number++;
    if (number <= FAB_FIRMWARE_NVLOG) return (int)number;
    return generation == 6 && number <= FAB_FIRMWARE_DEBUG ? (int)number : -1;
}

void fab_firmware_metadata(const uint8_t *metadata, struct fab_firmware_partition *out) {
    out->version = bytes_get32(metadata + METADATA_VERSION);
    out->secure_version = bytes_get32(metadata + METADATA_SECURE_VERSION);
    out->is_signed = bytes_get32(metadata + METADATA_EXPONENT) != 0;
    out->crc = bytes_get32(metadata + METADATA_CRC);
    out->length = bytes_get32(metadata + METADATA_IMAGE_LEN);
    memcpy(out->name, metadata + METADATA_NAME, 16); /* the 17th stays 0 */
    snprintf(out->text, sizeof out->text, "%x.%02x B%03X", out->version >> 24,
             out->version >> 16 & 0xFF, out->version & 0xFFFF);
}

static int read_metadata(fab_switch *sw, uint8_t part, struct fab_firmware_partition *out) {
    uint8_t in[2] = {(uint8_t)(4 * (sw->generation - 4) + 1), part}, metadata[METADATA_BYTES];
    int rc = fab_switch_command(sw, MRPC_PART_INFO, in, sizeof in, metadata, sizeof metadata);
    if (rc < 0) return rc;
    if (memcmp(metadata, METADATA_MAGIC, 8) != 0) return fab_switch_gone(sw, -EPROTO);
    fab_firmware_metadata(metadata, out);
    return 0;
}

static void read_record(const uint8_t *record, struct fab_firmware_partition *out) {
    out->valid = record[10] != 0;
    out->active = record[11] != 0;
    out->start = bytes_get32(record + 12);
    out->size = 4 * bytes_get32(record + 24);
    out->read_only = record[28] != 0;
    out->running = record[29] != 0;
}

/* NVLOG holds no image although it is valid. */
static bool has_metadata(const struct fab_firmware_partition *p) {
    return p->valid && p->kind != FAB_FIRMWARE_NVLOG && p->kind != FAB_FIRMWARE_VENDOR;
}

int fab_switch_firmware_partitions(fab_switch *sw, struct fab_firmware_partition *out, size_t max) {
    uint8_t list[LIST_MAX];
    int rc = fab_switch_ready(sw);
    if (rc < 0) return rc;
    if (sw->generation < 4) return -EOPNOTSUPP;
    const struct run *order = sw->generation == 4   ? order_gen4
                              : sw->generation == 5 ? order_gen5
                                                    : order_gen6;
    uint8_t all = (uint8_t)(4 * (sw->generation - 4));
    unsigned records = 0, n = 0;
    for (const struct run *r = order; r->count; r++) records += r->count;
    rc = fab_switch_command(sw, MRPC_PART_INFO, &all, 1, list,
                            PART_INFO_HEAD + records * PART_INFO_RECORD);
    if (rc < 0) return rc;
    for (const struct run *r = order; r->count; r++) {
        for (uint8_t k = 0; k < r->count && n < max; k++, n++) {
            memset(&out[n], 0, sizeof out[n]);
            out[n].kind = r->kind;
            out[n].index = k;
            read_record(list + PART_INFO_HEAD + n * PART_INFO_RECORD, &out[n]);
            rc = has_metadata(&out[n]) ? read_metadata(sw, (uint8_t)n, &out[n]) : 0;
            if (rc < 0) return rc;
        }
    }
    rc = fab_switch_gone(sw, 0);
    return rc < 0 ? rc : (int)n;
}

const struct fab_firmware_partition *fab_firmware_find(const struct fab_firmware_partition *list,
                                                       int n, unsigned kind, bool active) {
    for (int k = 0; k < n; k++)
        if (list[k].kind == kind && list[k].active == active) return &list[k];
    return NULL;
}

int fab_switch_boot_phase(fab_switch *sw) {
    uint32_t in = 0x0B007ED0, out[2]; /* any pattern: the firmware answers its complement */
    int rc = fab_switch_command(sw, MRPC_PING, &in, sizeof in, out, sizeof out);
    if (rc < 0) return rc;
    if (out[1] != ~in) return fab_switch_gone(sw, -EPROTO);
    uint32_t phase = out[0] & 0xFF;
    return phase >= BOOT_BL1 && phase <= BOOT_MAIN ? (int)phase : -EPROTO;
}

int fab_firmware_command(fab_switch *sw, uint32_t *command, bool *loader) {
    static const uint16_t loaders[] = {MRPC_LOADER_GEN4, MRPC_LOADER_GEN5, MRPC_LOADER_GEN6};
    int phase = fab_switch_boot_phase(sw);
    if (phase < 0) return phase;
    *loader = phase != BOOT_MAIN;
    *command = *loader ? loaders[sw->generation - 4] : MRPC_FIRMWARE;
    return 0;
}
