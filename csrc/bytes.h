/* Little-endian numbers inside payloads, registers and images. */
#ifndef FAB_BYTES_H
#define FAB_BYTES_H

#include <stdint.h>

static inline void bytes_put(uint8_t *out, unsigned bytes, uint64_t value) {
    for (unsigned k = 0; k < bytes; k++) out[k] = (uint8_t)(value >> (8 * k));
}

static inline uint64_t bytes_get(const uint8_t *in, unsigned bytes) {
    uint64_t value = 0;
    for (unsigned k = 0; k < bytes; k++) value |= (uint64_t)in[k] << (8 * k);
    return value;
}

static inline uint16_t bytes_get16(const uint8_t *in) {
    return (uint16_t)bytes_get(in, 2);
}

static inline uint32_t bytes_get32(const uint8_t *in) {
    return (uint32_t)bytes_get(in, 4);
}

#endif
