/* What a switch tells of itself beside its ports' bytes: events, event counters, latency,
 * temperature, registers of another switch; and its reset. Part of fabcore.h, whose caveats hold.
 */
#ifndef FAB_EVENTS_H
#define FAB_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "fab_switch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Events by number: of the whole switch, then of a partition, then of a port. */
enum {
    FAB_EVENT_STACK_ERROR = 0,
    FAB_EVENT_PPU_ERROR = 1,
    FAB_EVENT_ISP_ERROR = 2,
    FAB_EVENT_SYS_RESET = 3,
    FAB_EVENT_FW_EXC = 4,
    FAB_EVENT_FW_NMI = 5,
    FAB_EVENT_FW_NON_FATAL = 6,
    FAB_EVENT_FW_FATAL = 7,
    FAB_EVENT_TWI_MRPC_COMP = 8,
    FAB_EVENT_TWI_MRPC_COMP_ASYNC = 9,
    FAB_EVENT_CLI_MRPC_COMP = 10,
    FAB_EVENT_CLI_MRPC_COMP_ASYNC = 11,
    FAB_EVENT_GPIO_INT = 12,
    FAB_EVENT_GFMS = 13,
    FAB_EVENT_PART_RESET = 14,
    FAB_EVENT_MRPC_COMP = 15,
    FAB_EVENT_MRPC_COMP_ASYNC = 16,
    FAB_EVENT_DYN_PART_BIND_COMP = 17,
    FAB_EVENT_INTERCOMM_NOTIFY = 18,
    FAB_EVENT_AER_IN_P2P = 19,
    FAB_EVENT_AER_IN_VEP = 20,
    FAB_EVENT_DPC = 21,
    FAB_EVENT_CTS = 22,
    FAB_EVENT_UEC = 23,
    FAB_EVENT_HOTPLUG = 24,
    FAB_EVENT_IER = 25,
    FAB_EVENT_THRESH = 26,
    FAB_EVENT_POWER_MGMT = 27,
    FAB_EVENT_TLP_THROTTLING = 28,
    FAB_EVENT_FORCE_SPEED = 29,
    FAB_EVENT_CREDIT_TIMEOUT = 30,
    FAB_EVENT_LINK_STATE = 31,
    FAB_EVENTS = 32,
    FAB_EVENT_ALL = 0xFF /* as an event or an index */
};
enum { FAB_EVENT_LOG = 2, FAB_EVENT_CLI = 4, FAB_EVENT_IRQ = 8, FAB_EVENT_FATAL = 16 };
struct fab_event {
    uint8_t event;
    uint8_t index;   /* 0, the partition or the physical port */
    uint8_t pff;     /* 0xFF = not of a port */
    uint8_t enabled; /* FAB_EVENT_LOG, ... */
    uint32_t count;  /* since it was cleared, modulo 256 */
    uint32_t data[5];
};
FAB_API const char *fab_event_name(unsigned event); /* "link-state"; NULL = no such event */
/* Events that occurred and were not cleared; returns how many, at most max. */
FAB_API int fab_switch_events(fab_switch *sw, struct fab_event *out, size_t max);
/* Clears an event (or all) at an index (or all), keeping what is enabled; returns how many had
 * occurred. -EINVAL no such event, -ENOENT no such partition or port. */
FAB_API int fab_switch_event_clear(fab_switch *sw, unsigned event, unsigned index);
/* Adds (on) or takes away what such events do: FAB_EVENT_IRQ, ... Returns the headers written;
 * -EOPNOTSUPP this chip has no such event. */
FAB_API int fab_switch_event_enable(fab_switch *sw, unsigned event, unsigned index,
                                    unsigned enables, int on);

/* Event counters: FAB_STACK_COUNTERS a stack (8 physical ports). */
#define FAB_STACK_COUNTERS 64
/* What one may count, as bits of `types`. */
enum {
    FAB_COUNT_UNSUPPORTED_REQUEST = 1 << 0,
    FAB_COUNT_ECRC = 1 << 1,
    FAB_COUNT_MALFORMED = 1 << 2,
    FAB_COUNT_RECEIVER_OVERFLOW = 1 << 3,
    FAB_COUNT_COMPLETER_ABORT = 1 << 4,
    FAB_COUNT_POISONED = 1 << 5,
    FAB_COUNT_SURPRISE_DOWN = 1 << 6,
    FAB_COUNT_DATA_LINK_PROTOCOL = 1 << 7,
    FAB_COUNT_HEADER_LOG_OVERFLOW = 1 << 8,
    FAB_COUNT_UNCORRECTABLE_INTERNAL = 1 << 9,
    FAB_COUNT_REPLAY_TIMEOUT = 1 << 10,
    FAB_COUNT_REPLAY_ROLLOVER = 1 << 11,
    FAB_COUNT_BAD_DLLP = 1 << 12,
    FAB_COUNT_BAD_TLP = 1 << 13,
    FAB_COUNT_RECEIVER_ERROR = 1 << 14,
    FAB_COUNT_FATAL = 1 << 15,
    FAB_COUNT_NONFATAL = 1 << 16,
    FAB_COUNT_CORRECTABLE = 1 << 17,
    FAB_COUNT_NAK = 1 << 18,
    FAB_COUNT_RULE_HIT = 1 << 19,
    FAB_COUNT_POSTED = 1 << 20,
    FAB_COUNT_COMPLETION = 1 << 21,
    FAB_COUNT_NONPOSTED = 1 << 22,
    FAB_COUNT_ALL = (1 << 23) - 1
};
struct fab_event_counter {
    uint8_t ports;  /* bit = port of the stack */
    uint8_t egress; /* 0 = what enters them */
    uint16_t pad;
    uint32_t types;     /* FAB_COUNT_*; 0 = off */
    uint32_t threshold; /* raises FAB_EVENT_THRESH at the ports; 0 = never */
    uint32_t value;     /* modulo 2^32 */
};
FAB_API int fab_switch_event_counter_setup(fab_switch *sw, uint8_t stack, uint8_t counter,
                                           const struct fab_event_counter *setup);
/* n counters from `first` on, cleared behind the reading if asked; returns n. */
FAB_API int fab_switch_event_counters(fab_switch *sw, uint8_t stack, uint8_t first, size_t n,
                                      int clear, struct fab_event_counter *out);

/* Latency through the switch to an egress port; one counter a port. */
#define FAB_LATENCY_ALL 63 /* from any ingress port */
struct fab_latency {
    uint16_t min_ns, max_ns; /* since the clear */
};
FAB_API int fab_switch_latency_setup(fab_switch *sw, const uint8_t *egress, const uint8_t *ingress,
                                     size_t n);
FAB_API int fab_switch_latency(fab_switch *sw, const uint8_t *egress, size_t n, int clear,
                               struct fab_latency *out);

/* Die temperature, one value a sensor (at most 4); returns how many. */
FAB_API int fab_switch_temperature(fab_switch *sw, double *celsius, size_t max);
/* Registers of the switch `pax` of the fabric (-1 = this one) by firmware command; the first
 * 0x1000 bytes, its mailbox, cannot be written so. A failure half way leaves what was written. */
FAB_API int fab_switch_gas_read(fab_switch *sw, int pax, uint32_t off, void *out, size_t bytes);
FAB_API int fab_switch_gas_write(fab_switch *sw, int pax, uint32_t off, const void *data,
                                 size_t bytes);
/* Resets the switch: it answers, and then forgets registers, tables, counters and events, and every
 * link trains again. The caller waits, identifies it anew, and opens its plans anew. */
FAB_API int fab_switch_hard_reset(fab_switch *sw);

#ifdef __cplusplus
}
#endif
#endif
