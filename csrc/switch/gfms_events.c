/* What the fabric's management reports: its state in short and its events. */
#include <errno.h>
#include <string.h>

#include "driver.h"

enum {
    EVENTS_CLEAR = 0,
    EVENTS_GET = 1,
    EVENT_HEAD = 4,
    LOST = 0x8000,
    RANGES_AT = 32,
    MAPS_AT = 48
};

static int need_pax(fab_switch *sw) {
    int rc = fab_switch_ready(sw);
    if (rc < 0) return rc;
    return sw->family == FAMILY_PAX ? 0 : -EOPNOTSUPP;
}

int fab_switch_gfms_pax(fab_switch *sw, struct fab_gfms_pax *out) {
    uint8_t sub = GFMS_PAX, r[GFMS_PAX_BYTES];
    int rc = need_pax(sw);
    if (rc == 0) rc = fab_switch_command(sw, MRPC_GFMS_DUMP, &sub, 1, r, sizeof r);
    if (rc < 0) return rc;
    if (r[0] != GFMS_PAX) return fab_switch_gone(sw, -EPROTO);
    *out = (struct fab_gfms_pax){.pax = r[1],
                                 .ports = r[12],
                                 .hosts = r[13],
                                 .swfid = bytes_get16(r + 2),
                                 .devices = bytes_get16(r + 14),
                                 .functions = bytes_get16(r + 16)};
    uint16_t *ranges[] = {out->fid, out->hfid, out->vdfid, out->pdfid};
    uint64_t *maps[] = {&out->host_ports, &out->module_ports, &out->fabric_ports, &out->free_ports};
    for (unsigned k = 0; k < 4; k++) {
        ranges[k][0] = bytes_get16(r + RANGES_AT + 4 * k);
        ranges[k][1] = bytes_get16(r + RANGES_AT + 2 + 4 * k);
        *maps[k] = bytes_get(r + MAPS_AT + 8 * k, 8);
    }
    return 0;
}

/* Takes an answer apart; every entry must end inside it. */
static int unpack(const uint8_t *answer, struct fab_gfms_event *out, unsigned n) {
    uint32_t at = 4;
    for (unsigned k = 0; k < n; k++) {
        if (at + EVENT_HEAD > GAS_MRPC_BYTES) return -EPROTO;
        uint32_t bytes = bytes_get16(answer + at);
        if (bytes < EVENT_HEAD || bytes > EVENT_HEAD + sizeof out->data ||
            at + bytes > GAS_MRPC_BYTES)
            return -EPROTO;
        out[k] = (struct fab_gfms_event){
            .code = answer[at + 2], .sw = answer[at + 3], .bytes = (uint16_t)(bytes - EVENT_HEAD)};
        memcpy(out[k].data, answer + at + EVENT_HEAD, bytes - EVENT_HEAD);
        at += bytes;
    }
    return 0;
}

int fab_switch_gfms_events(fab_switch *sw, struct fab_gfms_event *out, size_t max, uint32_t *left,
                           int *lost) {
    uint8_t answer[GAS_MRPC_BYTES];
    uint16_t want = max > 0x7FFF ? 0x7FFF : (uint16_t)max;
    uint8_t in[4] = {EVENTS_GET, 0, (uint8_t)want, (uint8_t)(want >> 8)};
    int rc = need_pax(sw);
    if (rc == 0) rc = fab_switch_command(sw, MRPC_GFMS_EVENT, in, sizeof in, answer, sizeof answer);
    if (rc < 0) return rc;
    unsigned n = bytes_get16(answer), rest = bytes_get16(answer + 2);
    rc = n > want ? -EPROTO : unpack(answer, out, n);
    if (rc < 0) return fab_switch_gone(sw, rc);
    if (left) *left = rest & (LOST - 1);
    if (lost) *lost = (rest & LOST) != 0;
    return (int)n;
}

int fab_switch_gfms_clear(fab_switch *sw) {
    uint8_t in[4] = {EVENTS_CLEAR};
    int rc = need_pax(sw);
    return rc < 0 ? rc : fab_switch_command(sw, MRPC_GFMS_EVENT, in, sizeof in, NULL, 0);
}
