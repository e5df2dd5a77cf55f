/* Firmware command 0x83: the GFMS database, small sections at once, long ones in pieces. */
#include <string.h>

#include "node.h"

enum {
    FABRIC_BYTES = 88,
    FABRIC_PORT_BYTES = 32,
    REACH_UNICAST = 0,
    REACH_NONE = 2,
    PIECE_BYTES = 4 * 0xF0 /* with its head: the vendor's library takes no more at once */
};

void gfms_section(struct node_switch *sw, uint8_t *out, unsigned kind, uint32_t bytes) {
    out[0] = (uint8_t)kind;
    out[1] = (uint8_t)sw->index;
    bytes_put(out + 2, 2, sw->index); /* modelled: a switch's fabric id is its index */
    bytes_put(out + 4, 4, bytes / 4);
    bytes_put(out + 8, 4, 0);
}

static uint32_t dump_fabric(struct node_switch *sw, uint8_t *out) {
    gfms_section(sw, out, GFMS_FABRIC, FABRIC_BYTES);
    for (unsigned k = 0; k < FAB_MAX_SWITCHES; k++) {
        uint8_t *entry = out + GFMS_SECTION_HEAD + 12 + 4 * k;
        entry[0] = (uint8_t)k;
        entry[1] = fabric_reaches(sw, k) ? REACH_UNICAST : REACH_NONE;
    }
    return 0;
}

static uint32_t dump_fabric_port(struct node_switch *sw, unsigned id, uint8_t *out) {
    const struct node_port *port = id < NODE_PORT_IDS ? sw->by_id[id] : NULL;
    if (!port || port->cfg.kind != FAB_PORT_FABRIC) return MRPC_ERR_PORT;
    const struct node_port *peer = port->up ? port->peer : NULL; /* it is known by the link */
    uint8_t *body = out + GFMS_SECTION_HEAD;
    gfms_section(sw, out, GFMS_FAB_PORT, FABRIC_PORT_BYTES);
    body[0] = (uint8_t)id;
    body[4] = peer ? peer->cfg.port : NOT_ATTACHED;
    body[5] = peer ? (uint8_t)peer->sw->index : NOT_ATTACHED;
    bytes_put(body + 6, 2, peer ? peer->sw->index : NOT_ATTACHED);
    bytes_put(body + 8, 4, peer ? gas_get(peer->sw, GAS_FW_VERSION) : 0);
    return 0;
}

/* The host port of an HVD instance on this switch. */
static struct node_port *host_of(struct node_switch *sw, unsigned hvd) {
    for (uint32_t k = 0; k < sw->port_count; k++) {
        struct node_port *port = sw->by_pff[k];
        if (port_config_type(port) == PORT_CONFIG_HOST && port->cfg.index == hvd) return port;
    }
    return NULL;
}

static uint32_t take_hvd(struct node_switch *sw, unsigned kind, unsigned which) {
    struct node_port *host = host_of(sw, which);
    if (!host) return MRPC_ERR_PARAMETER;
    sw->dump.bytes = kind == GFMS_HVD ? gfms_hvd(sw, host, sw->dump.data)
                                      : gfms_hvd_detail(sw, host, sw->dump.data);
    return 0;
}

static uint32_t take_endpoint(struct node_switch *sw, unsigned which) {
    struct node_port *port = which < NODE_PORT_IDS ? sw->by_id[which] : NULL;
    if (!port || port_config_type(port) != PORT_CONFIG_EP) return MRPC_ERR_PORT;
    sw->dump.bytes = gfms_endpoints(sw, port, sw->dump.data);
    return 0;
}

static uint32_t take_all(struct node_switch *sw) {
    uint8_t *data = sw->dump.data;
    uint32_t bytes = gfms_pax(sw, data);
    bytes += gfms_hvd(sw, NULL, data + bytes);
    sw->dump.bytes = bytes + gfms_endpoints(sw, NULL, data + bytes);
    return 0;
}

/* Whoever starts last reads: a client that died between start and finish locks nobody out. */
static uint32_t start(struct node_switch *sw, unsigned kind, unsigned which, uint8_t *out) {
    uint32_t code = kind == GFMS_PAX_ALL   ? take_all(sw)
                    : kind == GFMS_EP_PORT ? take_endpoint(sw, which)
                                           : take_hvd(sw, kind, which);
    if (code) return code;
    sw->dump.kind = (uint8_t)kind;
    sw->dump.which = (uint8_t)which;
    bytes_put(out, 4, sw->dump.bytes / 4);
    bytes_put(out + 4, 4, 1); /* switches described */
    return 0;
}

static uint32_t get(struct node_switch *sw, uint32_t offset_dw, uint8_t *out) {
    uint32_t total = sw->dump.bytes / 4, most = (PIECE_BYTES - GFMS_PIECE_HEAD) / 4;
    if (offset_dw >= total) return MRPC_ERR_PARAMETER;
    uint32_t part = total - offset_dw < most ? total - offset_dw : most;
    bytes_put(out, 4, offset_dw);
    bytes_put(out + 4, 4, part + GFMS_PIECE_HEAD / 4);
    memcpy(out + GFMS_PIECE_HEAD, sw->dump.data + 4 * offset_dw, 4 * part);
    return 0;
}

static uint32_t in_pieces(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    uint32_t step = (uint32_t)bytes_get(in + 4, 4);
    unsigned kind = in[0], which = kind == GFMS_PAX_ALL ? 0 : in[1];
    if (step == GFMS_START) return start(sw, kind, which, out);
    if (step != GFMS_GET && step != GFMS_FINISH) return MRPC_ERR_PARAMETER;
    if (sw->dump.kind != kind) return MRPC_ERR_STATE; /* not started */
    /* the vendor's library names a host at the start only, and leaves the field 0 afterwards */
    if (step == GFMS_GET)
        return which == 0 || sw->dump.which == which ? get(sw, (uint32_t)bytes_get(in + 8, 4), out)
                                                     : MRPC_ERR_STATE;
    sw->dump.kind = 0;
    return 0;
}

uint32_t mrpc_gfms_dump(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    switch (in[0]) {
        case GFMS_FABRIC:
            return dump_fabric(sw, out);
        case GFMS_PAX:
            gfms_pax(sw, out);
            return 0;
        case GFMS_FAB_PORT:
            return dump_fabric_port(sw, in[1], out);
        case GFMS_PAX_ALL:
        case GFMS_HVD:
        case GFMS_EP_PORT:
        case GFMS_HVD_DETAIL:
            return in_pieces(sw, in, out);
        default:
            return MRPC_ERR_SUBCOMMAND;
    }
}
