/* What the ports tell while they run: byte counters and link events. */
#include <errno.h>
#include <string.h>

#include "driver.h"

enum {
    PORTS_A_REQUEST = 16,
    TYPE_PAYLOAD = 1,
    EVENT_UNSUPPORTED = 31 /* bit of an event header */
};
_Static_assert(sizeof(struct fab_port_counters) == 56, "as the firmware answers it");
_Static_assert(PORTS_A_REQUEST * sizeof(struct fab_port_counters) <= GAS_MRPC_BYTES, "fits");

/* One request about up to 16 ports; `second` is what follows each port in the request. */
static int request(fab_switch *sw, uint8_t sub, const uint8_t *ports, size_t n, uint8_t second,
                   struct fab_port_counters *out) {
    uint8_t in[2 + 2 * PORTS_A_REQUEST] = {sub, (uint8_t)n};
    for (size_t i = 0; i < n; i++) {
        in[2 + 2 * i] = ports[i];
        in[3 + 2 * i] = second;
    }
    return fab_switch_command(sw, MRPC_PORT_COUNTERS, in, 2 + 2 * n, out, out ? 56 * n : 0);
}

/* The counters count raw bytes until they are told to count payload; once a port is enough. */
static int count_payload(fab_switch *sw, const uint8_t *ports, size_t n) {
    uint8_t fresh[PORTS_A_REQUEST];
    uint64_t bits = 0;
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t bit = UINT64_C(1) << ports[i];
        if ((sw->payload | bits) & bit) continue;
        bits |= bit;
        fresh[m++] = ports[i];
    }
    if (m == 0) return 0;
    int rc = request(sw, COUNTERS_SET_TYPE, fresh, m, TYPE_PAYLOAD, NULL);
    if (rc == 0) sw->payload |= bits;
    return rc;
}

int fab_switch_counters(fab_switch *sw, const uint8_t *ports, size_t n,
                        struct fab_port_counters *out) {
    for (size_t i = 0; i < n; i++)
        if (ports[i] >= PORT_IDS) return -ENOENT;
    for (size_t i = 0; i < n; i += PORTS_A_REQUEST) {
        size_t k = n - i < PORTS_A_REQUEST ? n - i : PORTS_A_REQUEST;
        int rc = count_payload(sw, ports + i, k);
        if (rc == 0) rc = request(sw, COUNTERS_GET, ports + i, k, 0, out + i);
        if (rc < 0) return rc;
    }
    return (int)n;
}

/* Clears the event, keeping what is enabled; 1 if there was one. */
static int take_link_event(fab_switch *sw, uint64_t header_at) {
    uint32_t header;
    int rc = fab_bar_read32(sw->bar, header_at, &header);
    if (rc < 0) return rc;
    if (header == ALL_ONES) return fab_switch_gone(sw, 0);
    if (header >> EVENT_UNSUPPORTED || !(header & EVENT_OCCURRED)) return 0;
    header &= EVENT_OCCURRED | EVENT_EN_LOG | EVENT_EN_CLI | EVENT_EN_IRQ | EVENT_FATAL;
    rc = fab_bar_write32(sw->bar, header_at, header);
    return rc < 0 ? rc : 1;
}

/* Cleared before the caller looks at the link: a change in between raises the event again. Events
 * that find no room in `ports` stay for the next call. */
int fab_switch_link_events(fab_switch *sw, uint8_t *ports, size_t max) {
    size_t n = 0;
    int rc = fab_switch_scan(sw, false);
    if (rc < 0) return rc;
    for (unsigned pff = 0; pff < sw->pffs && n < max; pff++) {
        uint64_t base = GAS_PFF + (uint64_t)GAS_PFF_STRIDE * pff;
        uint32_t summary;
        uint8_t port = sw->port_of_pff[pff];
        if (port >= PORT_IDS || sw->pff_of_port[port] != pff) continue;
        rc = fab_bar_read32(sw->bar, base + PFF_EVENT_SUMMARY, &summary);
        if (rc < 0) return rc;
        if (summary == ALL_ONES) return -ENODEV;
        if (!(summary >> PFF_LINK_STATE & 1)) continue;
        rc = take_link_event(sw, base + PFF_EVENT_HEADERS + PFF_EVENT_STRIDE * PFF_LINK_STATE);
        if (rc < 0) return rc;
        if (rc > 0) ports[n++] = port;
    }
    return (int)n;
}
