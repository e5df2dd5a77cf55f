/* What a switch says of itself as a chip: serial number, secure versions and state, keys. */
#include <errno.h>
#include <string.h>

#include "firmware_driver.h"

enum { KEYS_GEN4 = 4, KEYS_GEN5 = 10, KEYS_GEN6 = 12, KEYS_AT_GEN6 = 40, UID_BYTES = 64 };

static void versions(const uint8_t *in, bool riot, struct fab_security *out) {
    memcpy(out->serial, in, 4);
    out->serial_bytes = 4;
    out->key_version = bytes_get32(in + 4);
    out->riot_version = riot ? bytes_get16(in + 8) : 0;
    out->bl2_version = riot ? bytes_get16(in + 10) : bytes_get32(in + 8);
    out->main_version = bytes_get32(in + 12);
    out->unlock_version = bytes_get32(in + 16);
}

static int read_serial(fab_switch *sw, struct fab_security *out) {
    uint8_t in[4] = {sw->generation == 6}, answer[SERIAL_BYTES_GEN6]; /* Gen6: 1 = behind BL1 */
    static const uint16_t commands[] = {MRPC_SERIAL_GEN4, MRPC_SERIAL_GEN5, MRPC_SERIAL_GEN6};
    size_t bytes = sw->generation == 6 ? SERIAL_BYTES_GEN6 : SERIAL_BYTES;
    int rc = fab_switch_command(sw, commands[sw->generation - 4], in, sw->generation == 4 ? 0 : 4,
                                answer, bytes);
    if (rc < 0) return rc;
    if (sw->generation < 6) {
        versions(answer, sw->generation == 5, out);
        return 0;
    }
    memcpy(out->serial, answer, UID_BYTES);
    out->serial_bytes = UID_BYTES;
    out->bl2_version = bytes_get32(answer + 88);
    out->main_version = bytes_get32(answer + 96);
    out->unlock_version = bytes_get32(answer + 108);
    out->key_version = bytes_get32(answer + 112);
    return 0;
}

/* The settings' low word: debug mode, secure state, attestation, two bits each. */
static int settings(const uint8_t *in, unsigned most, struct fab_security *out) {
    uint32_t word = bytes_get32(in + 8), state = word >> 2 & 3;
    out->debug_mode = word & 3;
    out->secure_state = (uint8_t)(state > FAB_SECURE_SECURED ? FAB_SECURE_UNKNOWN : state);
    out->attestation = most == KEYS_GEN4      ? FAB_ATTESTATION_UNSUPPORTED
                       : (word >> 4 & 3) == 1 ? FAB_ATTESTATION_DICE
                                              : FAB_ATTESTATION_NONE;
    if (in[21] > most) return -EPROTO;
    out->keys = in[21];
    memcpy(out->key_hash, in + 24, (size_t)SECURITY_KEY_BYTES * out->keys);
    return 0;
}

/* Gen6 says neither how many keys there are nor its state: a hash of zeros is no key. */
static void settings_gen6(const uint8_t *in, struct fab_security *out) {
    static const uint8_t none[SECURITY_KEY_BYTES];
    out->secure_state = FAB_SECURE_UNKNOWN;
    out->attestation = FAB_ATTESTATION_UNSUPPORTED;
    for (unsigned k = 0; k < KEYS_GEN6; k++) {
        const uint8_t *hash = in + KEYS_AT_GEN6 + SECURITY_KEY_BYTES * k;
        if (memcmp(hash, none, sizeof none) == 0) continue;
        memcpy(out->key_hash[out->keys++], hash, SECURITY_KEY_BYTES);
    }
}

static int read_settings(fab_switch *sw, struct fab_security *out) {
    uint8_t in[4] = {0}, answer[SECURITY_BYTES_GEN6];
    int rc;
    switch (sw->generation) {
        case 4:
            rc = fab_switch_command(sw, MRPC_SECURITY_GEN4_EXT, in, 1, answer, SECURITY_BYTES_GEN4);
            if (rc == -EREMOTEIO &&
                fab_switch_refusal(sw, NULL) == MRPC_ERR_COMMAND) /* an old one */
                rc = fab_switch_command(sw, MRPC_SECURITY_GEN4, NULL, 0, answer,
                                        SECURITY_BYTES_GEN4);
            return rc < 0 ? rc : settings(answer, KEYS_GEN4, out);
        case 5:
            rc = fab_switch_command(sw, MRPC_SECURITY_GEN5, in, 4, answer, SECURITY_BYTES_GEN5);
            return rc < 0 ? rc : settings(answer, KEYS_GEN5, out);
        default:
            rc = fab_switch_command(sw, MRPC_SECURITY_GEN6, in, 4, answer, SECURITY_BYTES_GEN6);
            if (rc == 0) settings_gen6(answer, out);
            return rc;
    }
}

int fab_switch_security(fab_switch *sw, struct fab_security *out) {
    struct fab_security found = {0};
    int rc = fab_switch_ready(sw);
    if (rc < 0) return rc;
    if (sw->generation < 4) return -EOPNOTSUPP;
    rc = read_serial(sw, &found);
    if (rc == 0) rc = read_settings(sw, &found);
    if (rc == 0) rc = fab_switch_gone(sw, 0);
    if (rc < 0) return rc;
    *out = found;
    return 0;
}
