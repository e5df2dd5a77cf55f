/* The chip as a whole: die temperature, registers of another switch of the fabric, hard reset. */
#include <errno.h>
#include <string.h>

#include "driver.h"

enum {
    SENSORS = 4, /* the fourth generation has one */
    SUB_GEN4 = 2,
    SUB = 4,
    READ_MOST = 512, /* bytes of a command */
    WRITE_MOST = 1016
};

int fab_switch_temperature(fab_switch *sw, double *celsius, size_t max) {
    int32_t hundredths[SENSORS];
    int rc = fab_switch_ready(sw);
    if (rc < 0) return rc;
    if (sw->generation < 4) return -EOPNOTSUPP;
    bool gen4 = sw->generation == 4;
    size_t n = gen4 ? 1 : SENSORS;
    uint32_t in = gen4 ? SUB_GEN4 : SUB;
    rc = fab_switch_command(sw, MRPC_TEMPERATURE, &in, sizeof in, hundredths, 4 * n);
    if (rc < 0) return rc;
    if (n > max) n = max;
    for (size_t k = 0; k < n; k++) celsius[k] = hundredths[k] / 100.0;
    return (int)n;
}

int fab_switch_gas_read(fab_switch *sw, int pax, uint32_t off, void *out, size_t bytes) {
    if (off > FAB_GAS_BYTES || bytes > FAB_GAS_BYTES - off) return -ERANGE;
    for (size_t at = 0; at < bytes;) {
        size_t part = bytes - at < READ_MOST ? bytes - at : READ_MOST;
        uint32_t in[2] = {off + (uint32_t)at, (uint32_t)part};
        int rc =
            fab_switch_mrpc(sw, MRPC_GAS_READ, pax, in, sizeof in, (uint8_t *)out + at, part, NULL);
        if (rc < 0) return rc;
        at += part;
    }
    return 0;
}

int fab_switch_gas_write(fab_switch *sw, int pax, uint32_t off, const void *data, size_t bytes) {
    uint8_t in[8 + WRITE_MOST];
    if (off > FAB_GAS_BYTES || bytes > FAB_GAS_BYTES - off) return -ERANGE;
    for (size_t at = 0; at < bytes;) {
        size_t part = bytes - at < WRITE_MOST ? bytes - at : WRITE_MOST;
        uint32_t head[2] = {off + (uint32_t)at, (uint32_t)part};
        memcpy(in, head, sizeof head);
        memcpy(in + sizeof head, (const uint8_t *)data + at, part);
        int rc = fab_switch_mrpc(sw, MRPC_GAS_WRITE, pax, in, sizeof head + part, NULL, 0, NULL);
        if (rc < 0) return rc;
        at += part;
    }
    return 0;
}

int fab_switch_hard_reset(fab_switch *sw) {
    uint32_t in = 0;
    int rc = fab_switch_command(sw, MRPC_RESET, &in, sizeof in, NULL, 0);
    if (rc < 0) return rc;
    sw->generation = 0; /* what the switch said of itself may change with it */
    sw->pax = PAX_UNKNOWN;
    sw->pffs = 0;
    sw->payload = 0;
    return 0;
}
