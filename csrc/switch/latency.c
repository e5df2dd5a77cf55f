/* Latency counters: how long TLPs take from an ingress port, or any, to an egress port. */
#include <errno.h>

#include "driver.h"

enum { PORTS_MOST = 60 };

int fab_switch_latency_setup(fab_switch *sw, const uint8_t *egress, const uint8_t *ingress,
                             size_t n) {
    uint8_t in[2 + 2 * PORTS_MOST] = {COUNTERS_SETUP_LATENCY, (uint8_t)n};
    if (n > PORTS_MOST) return -EINVAL;
    for (size_t k = 0; k < n; k++) {
        in[2 + 2 * k] = egress[k];
        in[3 + 2 * k] = ingress[k];
    }
    return fab_switch_command(sw, MRPC_PORT_COUNTERS, in, 2 + 2 * n, NULL, 0);
}

int fab_switch_latency(fab_switch *sw, const uint8_t *egress, size_t n, int clear,
                       struct fab_latency *out) {
    uint8_t in[3 + PORTS_MOST] = {COUNTERS_LATENCY, (uint8_t)n, clear != 0};
    uint8_t answer[4 * PORTS_MOST];
    if (n > PORTS_MOST) return -EINVAL;
    for (size_t k = 0; k < n; k++) in[3 + k] = egress[k];
    int rc = fab_switch_command(sw, MRPC_PORT_COUNTERS, in, 3 + n, answer, 4 * n);
    if (rc < 0) return rc;
    for (size_t k = 0; k < n; k++) {
        const uint8_t *at = answer + 4 * k;
        out[k] = (struct fab_latency){.min_ns = bytes_get16(at), .max_ns = bytes_get16(at + 2)};
    }
    return (int)n;
}
