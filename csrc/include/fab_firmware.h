/* A switch's firmware partitions and their update, its serial number and security. Part of
 * fabcore.h, whose caveats hold. */
#ifndef FAB_FIRMWARE_H
#define FAB_FIRMWARE_H

#include <stddef.h>
#include <stdint.h>

#include "fab_switch.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { /* kinds of partitions */
       FAB_FIRMWARE_MAP = 0,
       FAB_FIRMWARE_KEY = 1,
       FAB_FIRMWARE_RIOT = 2, /* Gen5 only */
       FAB_FIRMWARE_BL2 = 3,
       FAB_FIRMWARE_CFG = 4,
       FAB_FIRMWARE_IMG = 5,
       FAB_FIRMWARE_NVLOG = 6,
       FAB_FIRMWARE_CERT = 7,  /* Gen6 only */
       FAB_FIRMWARE_DEBUG = 8, /* Gen6 only */
       FAB_FIRMWARE_VENDOR = 9
};
#define FAB_FIRMWARE_MAX 32
struct fab_firmware_partition {
    uint8_t kind, index; /* FAB_FIRMWARE_*; which of that kind */
    uint8_t valid;       /* holds an image; else the fields behind read_only are 0 */
    uint8_t active;      /* runs after the next reset */
    uint8_t running;
    uint8_t read_only;
    uint8_t is_signed;
    uint8_t pad;
    uint32_t version; /* major << 24 | minor << 16 | build */
    uint32_t secure_version;
    uint32_t crc;
    uint32_t length; /* of the image, bytes */
    uint32_t start;  /* address in flash */
    uint32_t size;   /* of the partition, bytes */
    char text[16];   /* the version as the vendor prints it: 6.02 B0B0 */
    char name[17];   /* the image's own */
    char pad2[3];
};
/* Returns how many. -EOPNOTSUPP: Gen3. */
FAB_API int fab_switch_firmware_partitions(fab_switch *sw, struct fab_firmware_partition *out,
                                           size_t max);
/* 1, 2: a boot loader (it stopped before an image that it cannot use), 3: the main firmware. */
FAB_API int fab_switch_boot_phase(fab_switch *sw);

enum {
    FAB_FIRMWARE_KEEP = 1, /* do not make the image active */
    FAB_FIRMWARE_FORCE = 2 /* take over from a download that was never finished */
};
/* Told after each block; not 0 = stop (-ECANCELED; the next update needs FORCE). */
typedef int (*fab_firmware_progress)(void *context, size_t done, size_t total);
/* Sends an image file to the partition of its kind that does not run; it runs after a reset. What
 * runs is never touched. Refused before anything is sent: -ENOEXEC not an image, or not whole;
 * -EXDEV one of another generation; -EFBIG larger than its partition; -EACCES read-only; -EBUSY
 * another download is in progress. -EIO: the switch refused it or failed, *status is its download
 * status (fab_firmware_text); -ETIMEDOUT: it did not take a block within the timeout. */
FAB_API int fab_switch_firmware_update(fab_switch *sw, const void *image, size_t bytes,
                                       uint32_t flags, fab_firmware_progress progress,
                                       void *context, uint32_t *status);
FAB_API const char *fab_firmware_text(uint32_t status);
/* kinds: bits 1 << FAB_FIRMWARE_*, of KEY, RIOT, BL2, CFG, IMG: their other partition boots next.
 * -ENOEXEC: one of those holds no image (nothing changes); -EIO: read back as before. */
FAB_API int fab_switch_firmware_toggle(fab_switch *sw, uint32_t kinds);

enum {
    FAB_SECURE_UNINITIALIZED = 0, /* unsecured, no keys */
    FAB_SECURE_UNSECURED = 1,     /* initialised, unsecured */
    FAB_SECURE_SECURED = 2,       /* initialised: signed images only */
    FAB_SECURE_UNKNOWN = 0xFF     /* the firmware does not say (Gen6) */
};
enum { FAB_ATTESTATION_UNSUPPORTED = 0, FAB_ATTESTATION_NONE = 1, FAB_ATTESTATION_DICE = 2 };
struct fab_security {
    uint8_t serial[64]; /* as the firmware gives it: 4 bytes, Gen6 64 */
    uint32_t serial_bytes;
    uint32_t key_version; /* secure versions: an older image of that kind is not taken */
    uint32_t riot_version, bl2_version, main_version, unlock_version;
    uint8_t secure_state; /* FAB_SECURE_* */
    uint8_t attestation;  /* FAB_ATTESTATION_* */
    uint8_t debug_mode;
    uint8_t keys;             /* how many hashes follow */
    uint8_t key_hash[12][64]; /* of the public keys that an image may be signed with */
};
FAB_API int fab_switch_security(fab_switch *sw, struct fab_security *out);

#ifdef __cplusplus
}
#endif
#endif
