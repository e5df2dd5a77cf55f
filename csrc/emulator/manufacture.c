/* Firmware commands about the chip itself: serial number, secure versions, security settings.
 * Serials and key hashes come from the node's seed. */
#include <string.h>

#include "node.h"

enum {
    KEYS = 4, /* modelled: what a chip that was given keys has */
    KEY_INDEX = 1,
    SPI_CLOCK = 7,         /* 25 MHz, of the vendor's ten */
    RECOVERY_SECONDS = 10, /* modelled, as the I2C settings below */
    I2C_ADDRESS = 0x54,
    COMMAND_MAP = 0xFFF,
    EXPONENT = 0x10001,
    UID_BYTES = 64,
    PSID_BYTES = 16,
    PROGRAMMED = 1, /* of 0 unprogrammed, 2 locked, 3 revoked */
    HASH_KEY = 64,  /* what firmware_hash is asked for */
    HASH_UID = 4096
};

static uint32_t serial(struct node_switch *sw) {
    return firmware_hash(sw, HASH_UID);
}

static uint32_t serial_gen4(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    const uint32_t *secure = sw->firmware.secure;
    (void)in;
    bytes_put(out, 4, serial(sw));
    bytes_put(out + 4, 4, secure[FAB_FIRMWARE_KEY]);
    bytes_put(out + 8, 4, secure[FAB_FIRMWARE_BL2]);
    bytes_put(out + 12, 4, secure[FAB_FIRMWARE_IMG]);
    return 0; /* the secure unlock version is 0: nothing was ever unlocked */
}

static uint32_t serial_gen5(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    const uint32_t *secure = sw->firmware.secure;
    if (bytes_get(in, 4) != 0) return MRPC_ERR_SUBCOMMAND;
    bytes_put(out, 4, serial(sw));
    bytes_put(out + 4, 4, secure[FAB_FIRMWARE_KEY]);
    bytes_put(out + 8, 2, secure[FAB_FIRMWARE_RIOT]);
    bytes_put(out + 10, 2, secure[FAB_FIRMWARE_BL2]);
    bytes_put(out + 12, 4, secure[FAB_FIRMWARE_IMG]);
    return 0;
}

/* {u8 uid[64], u8 psid[16], u32 states (bits 1:0 of the psid, 5:4 of the uid), u32, u32 bl2, u32,
 * u32 main, ...}; sub 0 is the first loader's, 1 of all behind it. */
static uint32_t serial_gen6(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    if (bytes_get(in, 4) > 1) return MRPC_ERR_SUBCOMMAND;
    for (unsigned k = 0; k < UID_BYTES; k += 4)
        bytes_put(out + k, 4, firmware_hash(sw, HASH_UID + k));
    bytes_put(out + UID_BYTES, 4, sw->node->config.device_id[sw->index]);
    bytes_put(out + UID_BYTES + PSID_BYTES, 4, PROGRAMMED | PROGRAMMED << 4);
    bytes_put(out + 88, 4, sw->firmware.secure[FAB_FIRMWARE_BL2]);
    bytes_put(out + 96, 4, sw->firmware.secure[FAB_FIRMWARE_IMG]);
    return 0;
}

/* ---- security settings ---- */

static int keyed(const struct node_switch *sw) {
    return sw->node->config.secure_state != FAB_SECURE_UNINITIALIZED;
}

static void key_hash(const struct node_switch *sw, unsigned key, uint8_t *out) {
    for (unsigned k = 0; k < SECURITY_KEY_BYTES; k += 4)
        bytes_put(out + k, 4, firmware_hash(sw, HASH_KEY + SECURITY_KEY_BYTES * key + k));
}

/* Settings from the 64-bit word on, as Gen4 and Gen5 have them alike but for where the I2C address
 * and the command map begin. No JTAG locks, no attestation. */
static void settings(const struct node_switch *sw, unsigned address_bit, uint8_t *out) {
    uint64_t word = (uint64_t)sw->node->config.secure_state << 2 | SPI_CLOCK << 10 |
                    RECOVERY_SECONDS << 14 | (uint64_t)I2C_ADDRESS << address_bit |
                    (uint64_t)COMMAND_MAP << (address_bit + 7);
    bytes_put(out, 8, word);
    if (!keyed(sw)) return;
    bytes_put(out + 8, 4, EXPONENT);
    out[13] = KEYS;
    out[14] = KEY_INDEX;
    for (unsigned k = 0; k < KEYS; k++) key_hash(sw, k, out + 16 + SECURITY_KEY_BYTES * k);
}

/* The valid bits, then pairs of one-time-programmable regions: readable, programmed. */
static uint64_t pairs(unsigned from, unsigned to, unsigned programmed) {
    uint64_t bits = 0;
    for (unsigned k = from; k < to; k++)
        bits |= (programmed >> (k - from) & 1 ? 3ull : 1ull) << 2 * k;
    return bits;
}

static uint32_t security_gen4(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    (void)in;
    /* basic, exponent, number, index, keys; from bit 5: basic, 3 versions, 4 keys */
    bytes_put(out, 4, keyed(sw) ? 0x1F | pairs(0, 8, 0xF1) << 5 : 0x01 | pairs(0, 8, 0) << 5);
    settings(sw, 22, out + 8);
    return 0;
}

static uint32_t security_gen4_ext(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    return in[0] == 0 ? security_gen4(sw, in, out) : MRPC_ERR_SUBCOMMAND;
}

static uint32_t security_gen5(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    if (bytes_get(in, 4) != 0) return MRPC_ERR_SUBCOMMAND;
    /* basic, debug, exponent, number, index, keys, cdi; from bit 8: basic, debug, 5 versions, 10
     * keys, then attestation's, which are not there */
    uint64_t valid = keyed(sw) ? 0x3F | pairs(4, 21, 0x781) : 0x03 | pairs(4, 21, 0);
    bytes_put(out, 8, valid);
    settings(sw, 23, out + 8);
    return 0;
}

/* {u16 recovery bus and address, u16, u16 command map, ..., u8 hash[12][64] at 40} */
static uint32_t security_gen6(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    if (bytes_get(in, 4) != 0) return MRPC_ERR_SUBCOMMAND;
    bytes_put(out, 2, I2C_ADDRESS);
    bytes_put(out + 4, 2, COMMAND_MAP);
    for (unsigned k = 0; k < KEYS && keyed(sw); k++)
        key_hash(sw, k, out + 40 + SECURITY_KEY_BYTES * k);
    return 0;
}

const struct mrpc_entry mrpc_manufacture_commands[] = {
    {MRPC_SERIAL_GEN4, SERIAL_BYTES, FAMILIES_ALL, GEN_BIT(4), serial_gen4},
    {MRPC_SERIAL_GEN5, SERIAL_BYTES, FAMILIES_ALL, GEN_BIT(5), serial_gen5},
    {MRPC_SERIAL_GEN6, SERIAL_BYTES_GEN6, FAMILIES_ALL, GEN_BIT(6), serial_gen6},
    {MRPC_SECURITY_GEN4, SECURITY_BYTES_GEN4, FAMILIES_ALL, GEN_BIT(4), security_gen4},
    {MRPC_SECURITY_GEN4_EXT, SECURITY_BYTES_GEN4, FAMILIES_ALL, GEN_BIT(4), security_gen4_ext},
    {MRPC_SECURITY_GEN5, SECURITY_BYTES_GEN5, FAMILIES_ALL, GEN_BIT(5), security_gen5},
    {MRPC_SECURITY_GEN6, SECURITY_BYTES_GEN6, FAMILIES_ALL, GEN_BIT(6), security_gen6},
    {0},
};
