/* Little-endian numbers in the images that stand for a switch's registers and config spaces. */
#ifndef FAB_RAW_BYTES_H
#define FAB_RAW_BYTES_H

#include <stdint.h>
#include <string.h>

static inline void put(uint8_t *at, unsigned bytes, uint64_t value) {
    memcpy(at, &value, bytes);
}

static inline uint32_t get(const uint8_t *at, unsigned bytes) {
    uint32_t value = 0;
    memcpy(&value, at, bytes);
    return value;
}

/* The header of an extended capability, version 1. */
static inline void extended(uint8_t *config, uint32_t at, uint32_t id, uint32_t next) {
    put(config + at, 4, id | 1u << 16 | next << 20);
}

#endif
