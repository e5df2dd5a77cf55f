/* Makes firmware images of a few kilobytes, from the layout of their metadata written as numbers.
 */
#ifndef FAB_FIRMWARE_IMAGE_H
#define FAB_FIRMWARE_IMAGE_H

#include <stdint.h>
#include <string.h>

enum { IMAGE_HEADER = 1024, IMAGE_BODY = 5000, IMAGE_BYTES = IMAGE_HEADER + IMAGE_BODY };

static inline void image_le(uint8_t *at, unsigned bytes, uint64_t value) {
    for (unsigned k = 0; k < bytes; k++) at[k] = (uint8_t)(value >> (8 * k));
}

/* Bit by bit, so that it shares nothing with the code under test. */
static inline uint32_t image_crc32(const uint8_t *data, size_t bytes) {
    uint32_t crc = 0xFFFFFFFF;
    for (size_t k = 0; k < bytes; k++) {
        crc ^= data[k];
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
    }
    return ~crc;
}

/* Both CRCs, after a change of the header or of the body. */
static inline void image_seal(uint8_t *image) {
    image_le(image + 0x54, 4, image_crc32(image + IMAGE_HEADER, IMAGE_BODY));
    image_le(image + 0x270, 4, image_crc32(image, 0x270));
}

/* type: as a number of that generation's table (main firmware: 5 in Gen5, 4 in Gen4 and Gen6). */
static inline void image_make(uint8_t image[IMAGE_BYTES], unsigned generation, unsigned type,
                              unsigned minor) {
    memset(image, 0, IMAGE_BYTES);
    memcpy(image, "MSCC_MD ", 8);
    image_le(image + 0x08, 4, 1);
    image_le(image + 0x10, 4, IMAGE_HEADER);
    image_le(image + 0x14, 4, 628);
    image_le(image + 0x18, 4, IMAGE_BODY);
    image_le(image + 0x1C, 4, type);
    image[0x20] = generation == 5;
    image_le(image + 0x24, 4, (uint32_t)(3 * generation - 9) << 24 | minor << 16 | 0x123);
    memcpy(image + 0x30, "20260301", 8);
    memcpy(image + 0x38, "08:15:00", 8);
    memcpy(image + 0x40, "TEST", 4);
    for (unsigned k = 0; k < IMAGE_BODY; k++) image[IMAGE_HEADER + k] = (uint8_t)(k * 7 + minor);
    image_seal(image);
}

static inline void image_sign(uint8_t *image, uint32_t secure_version) {
    image_le(image + 0x0C, 4, secure_version);
    memset(image + 0x58, 0xA5, 512);
    image_le(image + 0x258, 4, 0x10001);
    image_seal(image);
}

#endif
