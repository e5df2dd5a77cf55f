/* The fabric management's events: what happened at one switch stands in the log of every PAX. */
#include <string.h>

#include "node.h"

enum {
    ENTRY_HEAD = 4, /* u16 bytes with this head, u8 code, u8 switch */
    ENTRY_MAX = ENTRY_HEAD + 32,
    EVENTS_CLEAR = 0,
    EVENTS_GET = 1,
    OVERFLOW = 0x8000
};

static void drop_oldest(struct gfms_log *log) {
    uint16_t bytes = (uint16_t)bytes_get(log->entries, 2);
    log->used = (uint16_t)(log->used - bytes);
    log->count--;
    log->lost = 1;
    memmove(log->entries, log->entries + bytes, log->used);
}

static void append(struct gfms_log *log, const uint8_t *entry, unsigned bytes) {
    while (log->used + bytes > GFMS_LOG_BYTES) drop_oldest(log);
    memcpy(log->entries + log->used, entry, bytes);
    log->used = (uint16_t)(log->used + bytes);
    log->count++;
}

void gfms_event(struct node_switch *sw, unsigned code, const void *data, unsigned bytes) {
    uint8_t entry[ENTRY_MAX] = {0};
    unsigned whole = ENTRY_HEAD + ((bytes + 3) & ~3u); /* entries stay aligned */
    if (sw->family != FAMILY_PAX) return;
    bytes_put(entry, 2, whole);
    entry[2] = (uint8_t)code;
    entry[3] = (uint8_t)sw->index;
    memcpy(entry + ENTRY_HEAD, data, bytes);
    for (uint32_t k = 0; k < sw->node->config.switches; k++) {
        struct node_switch *to = &sw->node->switches[k];
        if (to->gone || to->family != FAMILY_PAX) continue;
        append(&to->gfms, entry, whole);
        event_global(to, GLOBAL_GFMS);
    }
}

/* What changed stands in the data as a binding does: the tool prints it so. */
static void database_changed(struct node_port *port, uint8_t logical, uint16_t pdfid) {
    uint8_t data[8] = {(uint8_t)port->sw->index, port->cfg.port, logical, 0};
    bytes_put(data + 4, 2, pdfid);
    gfms_event(port->sw, FAB_GFMS_DATABASE_CHANGED, data, sizeof data);
}

static unsigned function_count(const struct node_port *port) {
    const struct node_module *m = &port->sw->node->modules[port->cfg.index];
    unsigned n = 0;
    for (unsigned f = 0; f < FAB_MAX_FUNCTIONS; f++) n += function_exists(m, f) != 0;
    return n;
}

void gfms_link(struct node_port *port) {
    uint8_t data[4] = {port->cfg.port};
    switch (port->cfg.kind) {
        case FAB_PORT_HOST:
            gfms_event(port->sw, FAB_GFMS_HOST_UP + !port->up, data, 4);
            return;
        case FAB_PORT_FABRIC:
            gfms_event(port->sw, FAB_GFMS_FABRIC_UP + !port->up, data, 4);
            return;
        case FAB_PORT_MODULE:
            bytes_put(data + 2, 2, function_count(port));
            gfms_event(port->sw, port->up ? FAB_GFMS_DEVICE_ADDED : FAB_GFMS_DEVICE_REMOVED, data,
                       4);
            database_changed(port, 0, PDFID(port->cfg.index, 0));
            return;
        default:
            return;
    }
}

void gfms_port(struct node_port *port, int enabled) {
    uint8_t host[4] = {port->cfg.index, port->cfg.port, port->clock};
    uint8_t endpoint[4] = {port->cfg.port};
    if (port->cfg.kind == FAB_PORT_HOST)
        gfms_event(port->sw, FAB_GFMS_HVD_ENABLED + !enabled, host, 4);
    else if (port->cfg.kind == FAB_PORT_MODULE)
        gfms_event(port->sw, enabled ? FAB_GFMS_PORT_ADDED : FAB_GFMS_PORT_REMOVED, endpoint, 4);
}

void gfms_bound(struct node_port *host, uint8_t logical, uint16_t pdfid, int bound) {
    uint8_t data[8] = {(uint8_t)host->sw->index, host->cfg.port, logical, 0};
    bytes_put(data + 4, 2, pdfid);
    gfms_event(host->sw, bound ? FAB_GFMS_BOUND : FAB_GFMS_UNBOUND, data, sizeof data);
    database_changed(host, logical, pdfid);
}

void gfms_aer(struct node_port *port, unsigned flags, uint32_t status, const uint32_t *header) {
    uint8_t data[32] = {port->cfg.port, 0, (uint8_t)flags, 0};
    uint64_t time = port->sw->node->time_ns; /* modelled: its clock ticks are nanoseconds */
    bytes_put(data + 4, 4, status);
    bytes_put(data + 8, 4, time >> 32);
    bytes_put(data + 12, 4, time);
    for (unsigned k = 0; header && k < 4; k++) bytes_put(data + 16 + 4 * k, 4, header[k]);
    gfms_event(port->sw, FAB_GFMS_AER, data, sizeof data);
}

/* The oldest `want` events; reading takes none away. */
uint32_t gfms_events(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    struct gfms_log *log = &sw->gfms;
    unsigned want = (unsigned)bytes_get(in + 2, 2), n, at = 0;
    if (in[0] > EVENTS_GET) return MRPC_ERR_SUBCOMMAND;
    if (in[0] == EVENTS_CLEAR) {
        log->used = log->count = 0;
        log->lost = 0;
        return 0;
    }
    for (n = 0; n < want && n < log->count; n++) at += (unsigned)bytes_get(log->entries + at, 2);
    bytes_put(out, 2, n);
    bytes_put(out + 2, 2, (log->count - n) | (log->lost ? OVERFLOW : 0));
    memcpy(out + 4, log->entries, at);
    return 0;
}
