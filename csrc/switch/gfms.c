/* The fabric's database (GFMS) of a PAX: hosts, devices and functions, read in pieces as it comes.
 */
#include <errno.h>
#include <string.h>

#include "driver.h"

enum {
    HOST_HEAD = 8,
    HOST_SLOTS = 8, /* functions of a logical port */
    HOST_ENTRY = 4,
    PORT_HEAD = 8,
    DEVICE_HEAD = 8,
    FUNCTION_BYTES = 36,
    ATTACHED_SWITCH = 1,
    ATTACHED_NONE = 2,
    LONGEST = 1 << 20 /* bytes: a database that claims more is none */
};

/* ---- the stream: one firmware command fetches a piece ---- */

struct stream {
    fab_switch *sw;
    uint32_t total, fetched; /* bytes */
    uint32_t at, have;       /* in the piece */
    uint8_t piece[GAS_MRPC_BYTES];
};

static int step(fab_switch *sw, uint32_t what, uint32_t offset_dw, void *out, size_t bytes) {
    uint8_t in[12] = {GFMS_PAX_ALL, 0, 0, 0, (uint8_t)what};
    bytes_put(in + 8, 4, offset_dw);
    return fab_switch_command(sw, MRPC_GFMS_DUMP, in, what == GFMS_GET ? 12 : 8, out, bytes);
}

static int fetch(struct stream *s) {
    uint32_t offset = s->fetched / 4;
    int rc = step(s->sw, GFMS_GET, offset, s->piece, sizeof s->piece);
    if (rc < 0) return rc;
    uint32_t bytes = bytes_get32(s->piece + 4);
    if (bytes_get32(s->piece) != offset || bytes > GAS_MRPC_BYTES / 4 ||
        bytes <= GFMS_PIECE_HEAD / 4)
        return fab_switch_gone(s->sw, -EPROTO);
    s->at = GFMS_PIECE_HEAD;
    s->have = 4 * bytes;
    s->fetched += 4 * bytes - GFMS_PIECE_HEAD;
    return 0;
}

/* The next n bytes; out may be NULL. `room` is what the enclosing record has left. */
static int take(struct stream *s, void *out, uint32_t n, uint32_t *room) {
    uint8_t *to = out;
    if (n > *room) return -EPROTO;
    *room -= n;
    while (n) {
        if (s->at == s->have) {
            int rc = fetch(s);
            if (rc < 0) return rc;
        }
        uint32_t part = s->have - s->at < n ? s->have - s->at : n;
        if (to) memcpy(to, s->piece + s->at, part);
        if (to) to += part;
        s->at += part;
        n -= part;
    }
    return 0;
}

/* ---- the records ---- */

struct catalogue {
    struct fab_gfms_host *hosts;
    struct fab_gfms_binding *bindings;
    struct fab_gfms_function *functions;
    size_t max_hosts, max_bindings, max_functions;
    size_t n_hosts, n_bindings, n_functions;
};

static int read_host(struct stream *s, struct catalogue *c, uint32_t *room) {
    uint8_t head[HOST_HEAD], entry[HOST_ENTRY];
    int rc = take(s, head, sizeof head, room);
    if (rc < 0) return rc;
    struct fab_gfms_host host = {.hvd = head[0],
                                 .port = head[1],
                                 .hfid = bytes_get16(head + 2),
                                 .logical_ports = bytes_get16(head + 4)};
    for (uint32_t k = 0; k < HOST_SLOTS * (uint32_t)host.logical_ports; k++) {
        rc = take(s, entry, sizeof entry, room);
        if (rc < 0) return rc;
        if (!entry[1]) continue;
        host.bound++;
        if (c->n_bindings < c->max_bindings)
            c->bindings[c->n_bindings] =
                (struct fab_gfms_binding){.hvd = host.hvd,
                                          .port = host.port,
                                          .logical = entry[0],
                                          .slot = (uint8_t)(k / host.logical_ports),
                                          .pdfid = bytes_get16(entry + 2)};
        c->n_bindings++;
    }
    if (c->n_hosts < c->max_hosts) c->hosts[c->n_hosts] = host;
    c->n_hosts++;
    return 0;
}

static void take_function(const uint8_t *r, uint8_t port, struct fab_gfms_function *f) {
    *f = (struct fab_gfms_function){.function = bytes_get16(r),
                                    .pdfid = bytes_get16(r + 2),
                                    .port = port,
                                    .kind = r[4],
                                    .vfs = r[5],
                                    .bound = r[8],
                                    .host_switch = r[9],
                                    .host_port = r[10],
                                    .logical = r[11],
                                    .vendor = bytes_get16(r + 12),
                                    .device = bytes_get16(r + 14),
                                    .subsystem_vendor = bytes_get16(r + 16),
                                    .subsystem_device = bytes_get16(r + 18),
                                    .class_code = (uint32_t)bytes_get(r + 20, 3),
                                    .bars = r[23]};
    for (unsigned k = 0; k < 6; k++) {
        f->bar_type[k] = r[24 + 2 * k];
        f->bar_log2[k] = r[25 + 2 * k];
    }
}

/* One device: its functions, and what a later firmware may have put behind them. */
static int read_device(struct stream *s, struct catalogue *c, uint8_t port, uint32_t *room) {
    uint8_t head[DEVICE_HEAD], record[FUNCTION_BYTES];
    int rc = take(s, head, sizeof head, room);
    if (rc < 0) return rc;
    uint32_t bytes = 4 * (uint32_t)bytes_get(head + 4, 3), functions = bytes_get16(head);
    if (bytes < DEVICE_HEAD || bytes - DEVICE_HEAD > *room) return -EPROTO;
    uint32_t left = bytes - DEVICE_HEAD;
    *room -= left;
    for (uint32_t k = 0; k < functions; k++) {
        rc = take(s, record, sizeof record, &left);
        if (rc < 0) return rc;
        if (c->n_functions < c->max_functions)
            take_function(record, port, &c->functions[c->n_functions]);
        c->n_functions++;
    }
    return take(s, NULL, left, &left);
}

/* A switch that hangs on a port comes with its own functions in front of its devices. */
static int read_port(struct stream *s, struct catalogue *c, uint32_t *room) {
    uint8_t head[PORT_HEAD], internal[DEVICE_HEAD];
    int rc = take(s, head, sizeof head, room);
    if (rc < 0) return rc;
    uint32_t bytes = 4 * (uint32_t)bytes_get(head + 4, 3);
    if (bytes < PORT_HEAD || bytes - PORT_HEAD > *room) return -EPROTO;
    uint32_t left = bytes - PORT_HEAD;
    *room -= left;
    if (head[0] == ATTACHED_SWITCH) {
        rc = take(s, internal, sizeof internal, &left);
        if (rc == 0) rc = take(s, NULL, FUNCTION_BYTES * bytes_get16(internal), &left);
    }
    while (rc == 0 && head[0] != ATTACHED_NONE && left) rc = read_device(s, c, head[1], &left);
    return rc < 0 ? rc : take(s, NULL, left, &left);
}

typedef int (*reader)(struct stream *, struct catalogue *, uint32_t *);

static int read_section(struct stream *s, struct catalogue *c, unsigned kind, reader record,
                        uint32_t *room) {
    uint8_t head[GFMS_SECTION_HEAD];
    int rc = take(s, head, sizeof head, room);
    if (rc < 0) return rc;
    uint32_t bytes = 4 * bytes_get32(head + 4);
    if (head[0] != kind || bytes < GFMS_SECTION_HEAD || bytes - GFMS_SECTION_HEAD > *room)
        return fab_switch_gone(s->sw, -EPROTO);
    uint32_t left = bytes - GFMS_SECTION_HEAD;
    *room -= left;
    while (rc == 0 && left) rc = record(s, c, &left);
    return rc;
}

static int read_all(struct stream *s, struct catalogue *c) {
    uint32_t room = s->total;
    int rc = take(s, NULL, GFMS_PAX_BYTES, &room);
    if (rc == 0) rc = read_section(s, c, GFMS_HVD, read_host, &room);
    if (rc == 0) rc = read_section(s, c, GFMS_EP_PORT, read_port, &room);
    return rc == 0 && room ? -EPROTO : rc;
}

static int read_catalogue(fab_switch *sw, struct catalogue *c) {
    struct stream s = {.sw = sw};
    uint8_t answer[8];
    int rc = fab_switch_ready(sw);
    if (rc < 0) return rc;
    if (sw->family != FAMILY_PAX) return -EOPNOTSUPP;
    rc = step(sw, GFMS_START, 0, answer, sizeof answer);
    if (rc < 0) return rc;
    uint32_t dwords = bytes_get32(answer);
    s.total = 4 * dwords;
    rc = dwords > LONGEST / 4 ? fab_switch_gone(sw, -EPROTO) : read_all(&s, c);
    int finished = step(sw, GFMS_FINISH, 0, NULL, 0);
    return rc < 0 ? rc : finished;
}

int fab_switch_gfms_functions(fab_switch *sw, struct fab_gfms_function *out, size_t max) {
    struct catalogue c = {.functions = out, .max_functions = max};
    int rc = read_catalogue(sw, &c);
    return rc < 0 ? rc : (int)c.n_functions;
}

int fab_switch_gfms_hosts(fab_switch *sw, struct fab_gfms_host *out, size_t max) {
    struct catalogue c = {.hosts = out, .max_hosts = max};
    int rc = read_catalogue(sw, &c);
    return rc < 0 ? rc : (int)c.n_hosts;
}

int fab_switch_gfms_bindings(fab_switch *sw, struct fab_gfms_binding *out, size_t max) {
    struct catalogue c = {.bindings = out, .max_bindings = max};
    int rc = read_catalogue(sw, &c);
    return rc < 0 ? rc : (int)c.n_bindings;
}
