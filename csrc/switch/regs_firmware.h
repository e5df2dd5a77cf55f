/* The map of firmware, for both sides: flash registers, partition and update commands, image
 * metadata, manufacturing data. Sources: the vendor's public user library (Microsemi/switchtec-user
 * 4.5, MIT); the Linux kernel's driver for the registers. Bytes are little-endian.
 */
#ifndef FAB_REGS_FIRMWARE_H
#define FAB_REGS_FIRMWARE_H

#include <stdint.h>

enum {
    GAS_RUNNING_BL2 = 0x204C,  /* u16: 4 or 5, which of the two partitions runs */
    GAS_RUNNING_CFG = 0x204E,  /* 6, 7 */
    GAS_RUNNING_IMG = 0x2050,  /* 8, 9 */
    GAS_RUNNING_KEY = 0x2052,  /* 2, 3 */
    GAS_FLASH_BYTES = 0x2204,  /* u32 */
    GAS_FLASH_ACTIVE = 0x2208, /* u8 each of bl2, cfg, img, key: 0 or 1 */
    GAS_FLASH_PARTS = 0x2218   /* + 8 * k: u32 address, u32 bytes */
};

/* What boots: the ping's boot phase. The loaders take images by a command of their own. */
enum { BOOT_BL1 = 1, BOOT_BL2 = 2, BOOT_MAIN = 3 };
enum {
    MRPC_FIRMWARE = 0x05,
    MRPC_LOADER_GEN4 = 0x107,
    MRPC_LOADER_GEN5 = 0x117,
    MRPC_LOADER_GEN6 = 0x122,
    FIRMWARE_STATUS = 0, /* of both: -> {u8 status, u8 background, u16} */
    FIRMWARE_BLOCK = 1,  /* {1, keep, u16, u32 offset, total, bytes, data} */
    FIRMWARE_TOGGLE = 2, /* {2, img, cfg, bl2, key, riot, u16} */
    LOADER_BLOCK = 3,    /* the loaders' numbers for the same */
    LOADER_TOGGLE = 4,
    BLOCK_HEAD = 16,
    BLOCK_BYTES = 1008
};
enum { /* a download's status */
       DOWNLOAD_READY = 0,
       DOWNLOAD_IN_PROGRESS = 1,
       DOWNLOAD_HEADER = 2,
       DOWNLOAD_OFFSET = 3,
       DOWNLOAD_CRC = 4,
       DOWNLOAD_LENGTH = 5,
       DOWNLOAD_HARDWARE = 6,
       DOWNLOAD_COMPLETE = 7,
       DOWNLOAD_FIRMWARE_ACTIVE = 8,
       DOWNLOAD_DATA_ACTIVE = 9,
       DOWNLOAD_SMALL = 0xA, /* a package of less than 32 bytes */
       DOWNLOAD_SIGNATURE_MEMORY = 0xB,
       DOWNLOAD_SEEPROM = 0xC,
       DOWNLOAD_READ_ONLY = 0xD,
       DOWNLOAD_TIMEOUT = 0xE,
       DOWNLOAD_SEEPROM_BUS = 0xF,
       DOWNLOAD_RUNNING = 0x10,
       DOWNLOAD_NOT_ALLOWED = 0x11,
       DOWNLOAD_XML = 0x12,
       DOWNLOAD_ACTIVATION = 0x13
};
enum { /* its background status */
       BACKGROUND_IDLE = 0,
       BACKGROUND_BUSY = 1,
       BACKGROUND_DONE = 2,
       BACKGROUND_OFFSET = 3,
       BACKGROUND_ERROR = 0xFF
};

enum {
    MRPC_MULTI_CONFIG = 0x1D, /* sub 0: does it hold several configurations? */
    MRPC_PART_INFO = 0x2B,    /* sub 4 * (generation - 4): the list; + 1: one's metadata */
    PART_INFO_HEAD = 64,
    PART_INFO_RECORD = 32,
    PART_INFO_SEEPROM = 2, /* sub of Gen4 and Gen5 */
    PART_INFO_SEEPROM_GEN6 = 10
};

/* The metadata in front of an image, which its partition answers. */
enum {
    METADATA_BYTES = 628,
    METADATA_SECURE_VERSION = 0x0C,
    METADATA_HEADER_LEN = 0x10, /* where the image begins */
    METADATA_LEN = 0x14,
    METADATA_IMAGE_LEN = 0x18,
    METADATA_TYPE = 0x1C,
    METADATA_ID = 0x20, /* u8: not 0 = the type is one of Gen5's */
    METADATA_VERSION = 0x24,
    METADATA_DATE = 0x30,
    METADATA_TIME = 0x38,
    METADATA_NAME = 0x40, /* char[16] */
    METADATA_CRC = 0x54,
    METADATA_MODULUS = 0x58,   /* RSA, 512 bytes */
    METADATA_EXPONENT = 0x258, /* 4 bytes; not 0 = signed */
    METADATA_HEADER_CRC = 0x270
};
#define METADATA_MAGIC "MSCC_MD " /* 8 characters, no terminator */

/* Manufacturing: serial number and secure versions; security settings. */
enum {
    MRPC_SERIAL_GEN4 = 0x109,
    MRPC_SERIAL_GEN5 = 0x119,
    MRPC_SERIAL_GEN6 = 0x124,
    MRPC_SECURITY_GEN4 = 0x101,
    MRPC_SECURITY_GEN4_EXT = 0x3C,
    MRPC_SECURITY_GEN5 = 0x111,
    MRPC_SECURITY_GEN6 = 0x126,
    SERIAL_BYTES = 20,
    SERIAL_BYTES_GEN6 = 116,
    SECURITY_BYTES_GEN4 = 312,
    SECURITY_BYTES_GEN5 = 704,
    SECURITY_BYTES_GEN6 = 808,
    SECURITY_KEY_BYTES = 64
};

#endif
