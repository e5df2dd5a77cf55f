/* Event counters: 64 a stack, each of chosen TLPs and errors at chosen ports of the stack. */
#include <errno.h>
#include <string.h>

#include "driver.h"

enum {
    SETUP_BYTES = 571, /* room for 63 records, of which the first is used */
    RECORD_BYTES = 9,
    VALUE_BYTES = 8,
    EGRESS = 0x80
};

int fab_switch_event_counter_setup(fab_switch *sw, uint8_t stack, uint8_t counter,
                                   const struct fab_event_counter *setup) {
    uint8_t in[SETUP_BYTES] = {COUNTERS_SETUP_EVENT, stack, counter, 1};
    if (counter >= FAB_STACK_COUNTERS || setup->types & ~(uint32_t)FAB_COUNT_ALL) return -EINVAL;
    bytes_put(in + 4, 4, setup->types << 8 | setup->ports);
    in[8] = setup->egress ? EGRESS : 0;
    bytes_put(in + 9, 4, setup->threshold);
    return fab_switch_command(sw, MRPC_PORT_COUNTERS, in, sizeof in, NULL, 0);
}

int fab_switch_event_counters(fab_switch *sw, uint8_t stack, uint8_t first, size_t n, int clear,
                              struct fab_event_counter *out) {
    uint8_t setups[FAB_STACK_COUNTERS * RECORD_BYTES], values[FAB_STACK_COUNTERS * VALUE_BYTES];
    if (first >= FAB_STACK_COUNTERS || n > (size_t)(FAB_STACK_COUNTERS - first)) return -EINVAL;
    uint8_t in[5] = {COUNTERS_EVENT_SETUP, stack, first, (uint8_t)n, 0};
    int rc = fab_switch_command(sw, MRPC_PORT_COUNTERS, in, sizeof in, setups, n * RECORD_BYTES);
    if (rc < 0) return rc;
    in[0] = COUNTERS_EVENT;
    in[4] = clear != 0;
    rc = fab_switch_command(sw, MRPC_PORT_COUNTERS, in, sizeof in, values, n * VALUE_BYTES);
    if (rc < 0) return rc;
    for (size_t k = 0; k < n; k++) {
        const uint8_t *record = setups + RECORD_BYTES * k;
        uint32_t mask = bytes_get32(record);
        out[k] = (struct fab_event_counter){.ports = (uint8_t)mask,
                                            .egress = record[4] != 0,
                                            .types = mask >> 8,
                                            .threshold = bytes_get32(record + 5),
                                            .value = bytes_get32(values + VALUE_BYTES * k)};
    }
    return (int)n;
}
