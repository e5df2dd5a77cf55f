/* Sends a firmware image to a switch, and chooses which of two partitions boots next. */
#include <errno.h>
#include <string.h>

#include "firmware_driver.h"

struct download {
    fab_switch *sw;
    uint32_t command;
    bool loader;
    uint8_t status, background;
};

const char *fab_firmware_text(uint32_t status) {
    static const char *const texts[] = {
        [DOWNLOAD_READY] = "no download has begun",
        [DOWNLOAD_IN_PROGRESS] = "the download is not finished",
        [DOWNLOAD_HEADER] = "the image's header is incorrect",
        [DOWNLOAD_OFFSET] = "a block has the wrong offset",
        [DOWNLOAD_CRC] = "the image's CRC is incorrect",
        [DOWNLOAD_LENGTH] = "the image's length is incorrect",
        [DOWNLOAD_HARDWARE] = "the flash failed",
        [DOWNLOAD_COMPLETE] = "complete",
        [DOWNLOAD_FIRMWARE_ACTIVE] = "complete, the firmware is active",
        [DOWNLOAD_DATA_ACTIVE] = "complete, the data is active",
        [DOWNLOAD_SMALL] = "the image is shorter than 32 bytes",
        [DOWNLOAD_SIGNATURE_MEMORY] = "there was no memory for the signature",
        [DOWNLOAD_SEEPROM] = "the SEEPROM could not be written",
        [DOWNLOAD_READ_ONLY] = "the partition is read-only",
        [DOWNLOAD_TIMEOUT] = "the download timed out",
        [DOWNLOAD_SEEPROM_BUS] = "the SEEPROM or its bus is not enabled",
        [DOWNLOAD_RUNNING] = "the partition is running: reset the switch first",
        [DOWNLOAD_NOT_ALLOWED] = "not allowed over this interface",
        [DOWNLOAD_XML] = "not activated: its XML version does not fit",
        [DOWNLOAD_ACTIVATION] = "not activated, for a reason that is not known",
    };
    return status < sizeof texts / sizeof *texts ? texts[status] : "an unknown status";
}

/* ---- what is refused before anything is sent ---- */

/* Its kind, or -errno. The header's length is where the image begins; an image's length counts the
 * header or does not. */
static int check_image(const fab_switch *sw, const uint8_t *image, size_t bytes) {
    if (bytes < METADATA_BYTES || bytes > UINT32_MAX) return -ENOEXEC;
    if (memcmp(image, METADATA_MAGIC, 8) != 0) return -ENOEXEC;
    uint32_t header = bytes_get32(image + METADATA_HEADER_LEN);
    uint32_t length = bytes_get32(image + METADATA_IMAGE_LEN);
    if (header < METADATA_BYTES || header > bytes || length == 0) return -ENOEXEC;
    if (length > bytes - header && length != bytes) return -ENOEXEC;
    /* major versions: 3 to 5 are Gen4's, 6 to 8 Gen5's, 9 to 11 Gen6's */
    if (image[METADATA_VERSION + 3] / 3 + 3 != sw->generation) return -EXDEV;
    int kind = fab_firmware_kind(sw->generation, image);
    return kind < 0 || kind == FAB_FIRMWARE_NVLOG ? -ENOEXEC : kind;
}

static int check_partition(fab_switch *sw, unsigned kind, size_t bytes) {
    struct fab_firmware_partition list[FAB_FIRMWARE_MAX];
    int n = fab_switch_firmware_partitions(sw, list, FAB_FIRMWARE_MAX);
    if (n < 0) return n;
    const struct fab_firmware_partition *p = fab_firmware_find(list, n, kind, false);
    if (!p) return -ENOEXEC;
    if (p->read_only) return -EACCES;
    return bytes > p->size ? -EFBIG : 0;
}

static int ask_status(struct download *d) {
    uint8_t in[4] = {FIRMWARE_STATUS}, out[4];
    int rc = fab_switch_command(d->sw, d->command, in, sizeof in, out, sizeof out);
    if (rc < 0) return rc;
    d->status = out[0];
    d->background = out[1];
    return 0;
}

/* ---- the blocks ---- */

/* Until the firmware has dealt with the block. */
static int wait_block(struct download *d) {
    struct fab_wait wait = {.limit_ns = d->sw->timeout_ns};
    for (;;) {
        int rc = ask_status(d);
        if (rc < 0) return rc;
        if (d->background == BACKGROUND_OFFSET) d->status = DOWNLOAD_OFFSET;
        if (d->background == BACKGROUND_OFFSET || d->background == BACKGROUND_ERROR) {
            bool silent = d->status <= DOWNLOAD_IN_PROGRESS ||
                          (d->status >= DOWNLOAD_COMPLETE && d->status <= DOWNLOAD_DATA_ACTIVE);
            if (silent) d->status = DOWNLOAD_HARDWARE; /* only the background tells of it */
            return -EIO;
        }
        if (d->background != BACKGROUND_BUSY) return 0;
        rc = fab_wait_next(&wait);
        if (rc < 0) return rc;
    }
}

static int send_block(struct download *d, const uint8_t *image, size_t bytes, size_t offset,
                      uint32_t flags) {
    uint8_t in[BLOCK_HEAD + BLOCK_BYTES] = {d->loader ? LOADER_BLOCK : FIRMWARE_BLOCK,
                                            (flags & FAB_FIRMWARE_KEEP) != 0};
    size_t n = bytes - offset < BLOCK_BYTES ? bytes - offset : BLOCK_BYTES;
    bytes_put(in + 4, 4, offset);
    bytes_put(in + 8, 4, bytes);
    bytes_put(in + 12, 4, n);
    memcpy(in + BLOCK_HEAD, image + offset, n);
    int rc = fab_switch_command(d->sw, d->command, in, sizeof in, NULL, 0);
    if (rc == 0) rc = wait_block(d);
    if (rc < 0) return rc;
    bool last = offset + n == bytes;
    bool good = last ? d->status >= DOWNLOAD_COMPLETE && d->status <= DOWNLOAD_DATA_ACTIVE
                     : d->status == DOWNLOAD_IN_PROGRESS;
    return good ? (int)n : fab_switch_gone(d->sw, -EIO);
}

/* The image must be there, and active if it shall be. */
static int read_back(struct download *d, const uint8_t *image, unsigned kind, uint32_t flags) {
    struct fab_firmware_partition list[FAB_FIRMWARE_MAX], sent = {0};
    int n = fab_switch_firmware_partitions(d->sw, list, FAB_FIRMWARE_MAX);
    if (n < 0) return n;
    fab_firmware_metadata(image, &sent);
    for (int k = 0; k < n; k++)
        if (list[k].kind == kind && list[k].valid && !list[k].running && list[k].crc == sent.crc &&
            list[k].version == sent.version && (flags & FAB_FIRMWARE_KEEP || list[k].active))
            return 0;
    d->status = DOWNLOAD_ACTIVATION;
    return -EIO;
}

static int begin(struct download *d, const uint8_t *image, size_t bytes, uint32_t flags) {
    int kind = fab_switch_ready(d->sw);
    if (kind == 0) kind = d->sw->generation < 4 ? -EOPNOTSUPP : check_image(d->sw, image, bytes);
    if (kind < 0) return kind;
    int rc = check_partition(d->sw, (unsigned)kind, bytes);
    if (rc == 0) rc = fab_firmware_command(d->sw, &d->command, &d->loader);
    if (rc == 0) rc = ask_status(d);
    if (rc < 0) return rc;
    if (d->background == BACKGROUND_BUSY) return -EBUSY;
    if (d->status == DOWNLOAD_IN_PROGRESS && !(flags & FAB_FIRMWARE_FORCE)) return -EBUSY;
    return kind;
}

int fab_switch_firmware_update(fab_switch *sw, const void *image, size_t bytes, uint32_t flags,
                               fab_firmware_progress progress, void *context, uint32_t *status) {
    struct download d = {.sw = sw};
    if (!image || flags & ~(uint32_t)(FAB_FIRMWARE_KEEP | FAB_FIRMWARE_FORCE)) return -EINVAL;
    int kind = begin(&d, image, bytes, flags), rc = kind;
    for (size_t offset = 0; rc >= 0 && offset < bytes;) {
        rc = send_block(&d, image, bytes, offset, flags);
        if (rc < 0) break;
        offset += (size_t)rc;
        if (progress && progress(context, offset, bytes) != 0) rc = -ECANCELED;
    }
    if (rc >= 0) rc = read_back(&d, image, (unsigned)kind, flags);
    if (status) *status = d.status;
    return rc < 0 ? rc : 0;
}

/* ---- toggle ---- */

/* The kinds in the command's order. */
static const uint8_t toggled[] = {FAB_FIRMWARE_IMG, FAB_FIRMWARE_CFG, FAB_FIRMWARE_BL2,
                                  FAB_FIRMWARE_KEY, FAB_FIRMWARE_RIOT};

static int check_toggle(const fab_switch *sw, const struct fab_firmware_partition *list, int n,
                        uint32_t kinds) {
    uint32_t known = 0;
    for (unsigned k = 0; k < sizeof toggled; k++) known |= UINT32_C(1) << toggled[k];
    if (!kinds || kinds & ~known) return -EINVAL;
    if (kinds & UINT32_C(1) << FAB_FIRMWARE_RIOT && sw->generation != 5) return -EOPNOTSUPP;
    for (unsigned kind = 0; kind < FAB_FIRMWARE_NVLOG; kind++) {
        if (!(kinds >> kind & 1)) continue;
        const struct fab_firmware_partition *next = fab_firmware_find(list, n, kind, false);
        if (!next || !next->valid) return -ENOEXEC; /* the switch would not boot */
    }
    return 0;
}

static int send_toggle(const struct download *d, uint32_t kinds) {
    uint8_t in[8] = {d->loader ? LOADER_TOGGLE : FIRMWARE_TOGGLE};
    for (unsigned k = 0; k < sizeof toggled; k++) in[1 + k] = kinds >> toggled[k] & 1;
    return fab_switch_command(d->sw, d->command, in, sizeof in, NULL, 0);
}

/* The loader of Gen6 takes one kind a command: all loaders are told so. What was toggled before a
 * failure is toggled back. */
static int toggle_each(const struct download *d, uint32_t kinds) {
    uint32_t done = 0;
    for (unsigned kind = 0; kind < FAB_FIRMWARE_NVLOG; kind++) {
        if (!(kinds >> kind & 1)) continue;
        int rc = send_toggle(d, UINT32_C(1) << kind);
        if (rc == 0) {
            done |= UINT32_C(1) << kind;
            continue;
        }
        for (unsigned k = 0; k < kind; k++)
            if (done >> k & 1) send_toggle(d, UINT32_C(1) << k);
        return rc;
    }
    return 0;
}

int fab_switch_firmware_toggle(fab_switch *sw, uint32_t kinds) {
    struct fab_firmware_partition before[FAB_FIRMWARE_MAX], after[FAB_FIRMWARE_MAX];
    struct download d = {.sw = sw};
    int n = fab_switch_firmware_partitions(sw, before, FAB_FIRMWARE_MAX);
    if (n < 0) return n;
    int rc = check_toggle(sw, before, n, kinds);
    if (rc == 0) rc = fab_firmware_command(sw, &d.command, &d.loader);
    if (rc == 0) rc = d.loader ? toggle_each(&d, kinds) : send_toggle(&d, kinds);
    if (rc < 0) return rc;
    rc = fab_switch_firmware_partitions(sw, after, FAB_FIRMWARE_MAX);
    for (int k = 0; k < rc && k < n; k++)
        if (kinds >> before[k].kind & 1 && before[k].active == after[k].active) return -EIO;
    return rc < 0 ? rc : 0;
}
