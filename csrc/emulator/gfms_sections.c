/* The GFMS database of one switch and its hosts, laid out from the node's state. */
#include <string.h>

#include "node.h"

enum {
    HVD_HEAD = 8,
    HVD_ENTRIES = HVD_LOGICAL * HVD_SLOTS,
    DETAIL_PORT = 8,
    VEP_MANAGEMENT = 6,
    P2P_BYTES = 16,
    ACS_REQUEST_REDIRECT = 1 << 2,
    BUS_NUMBERS = 0x18
};
#define NO_ID 0xFFFF

struct range {
    unsigned low, high;
};

static void widen(struct range *r, unsigned low, unsigned high) {
    if (low < r->low) r->low = low;
    if (r->high == NO_ID || high > r->high) r->high = high;
}

/* What the ports of a switch amount to. */
struct inventory {
    unsigned hosts, endpoints, functions;
    struct range hfid, vdfid, pdfid;
    uint64_t host_map, endpoint_map, fabric_map, free_map;
};

/* modelled: a host's fabric id is its index, the id of its virtual functions 256 x that + slot. */
static void count_port(struct node_port *port, struct inventory *i) {
    uint64_t bit = UINT64_C(1) << port->cfg.port;
    unsigned index = port->cfg.index;
    const struct node_module *modules = port->sw->node->modules;
    switch (port_config_type(port)) {
        case PORT_CONFIG_HOST:
            i->hosts++;
            i->host_map |= bit;
            widen(&i->hfid, index, index);
            widen(&i->vdfid, index * HVD_ENTRIES, index * HVD_ENTRIES + HVD_ENTRIES - 1);
            return;
        case PORT_CONFIG_EP:
            i->endpoint_map |= bit;
            widen(&i->pdfid, PDFID(index, 0), PDFID(index, FAB_MAX_FUNCTIONS - 1));
            if (!gfms_present(port)) return;
            i->endpoints++;
            for (unsigned f = 0; f < FAB_MAX_FUNCTIONS; f++)
                i->functions += function_exists(&modules[index], f) != 0;
            return;
        case PORT_CONFIG_FABRIC:
            i->fabric_map |= bit;
            return;
        default:
            if (port->cfg.kind != FAB_PORT_MANAGEMENT) i->free_map |= bit;
    }
}

uint32_t gfms_pax(struct node_switch *sw, uint8_t *out) {
    struct range none = {NO_ID, NO_ID}, own = {sw->index, sw->index};
    struct inventory i = {.hfid = none, .vdfid = none, .pdfid = none};
    for (uint32_t k = 0; k < sw->port_count; k++) count_port(sw->by_pff[k], &i);
    const struct range ranges[] = {own, i.hfid, i.vdfid, i.pdfid};
    const uint64_t maps[] = {i.host_map, i.endpoint_map, i.fabric_map, i.free_map};
    memset(out, 0, GFMS_PAX_BYTES);
    gfms_section(sw, out, GFMS_PAX, GFMS_PAX_BYTES);
    out[12] = (uint8_t)sw->port_count;
    out[13] = (uint8_t)(i.hosts < HVD_MAX ? i.hosts : HVD_MAX);
    bytes_put(out + 14, 2, i.endpoints);
    bytes_put(out + 16, 2, i.functions);
    for (unsigned k = 0; k < 4; k++) {
        bytes_put(out + 32 + 4 * k, 2, ranges[k].low);
        bytes_put(out + 34 + 4 * k, 2, ranges[k].high);
        bytes_put(out + 48 + 8 * k, 8, maps[k]);
    }
    return GFMS_PAX_BYTES;
}

/* ---- hosts ---- */

/* The functions bound to a host, each at its place: slot x logical ports + logical port. */
static void host_functions(const struct node_port *host, uint16_t pdfids[HVD_ENTRIES],
                           uint8_t names[HVD_ENTRIES]) {
    const struct fab_node *node = host->sw->node;
    for (unsigned k = 0; k < HVD_ENTRIES; k++) {
        pdfids[k] = NO_ID;
        names[k] = (uint8_t)(k % HVD_LOGICAL);
    }
    for (uint32_t k = 0; k < node->bound_count; k++) {
        unsigned id = node->bound[k];
        const struct node_function *f =
            &node->modules[PDFID_MODULE(id)].functions[PDFID_FUNCTION(id)];
        if (f->host != host) continue;
        unsigned at = f->slot * HVD_LOGICAL + f->logical % HVD_LOGICAL;
        pdfids[at] = (uint16_t)id;
        names[at] = f->logical; /* the name that unbinds it */
    }
}

static uint32_t hvd(const struct node_port *host, uint8_t *out) {
    uint16_t pdfids[HVD_ENTRIES];
    uint8_t names[HVD_ENTRIES];
    host_functions(host, pdfids, names);
    out[0] = host->cfg.index;
    out[1] = host->cfg.port;
    bytes_put(out + 2, 2, host->cfg.index);
    bytes_put(out + 4, 4, HVD_LOGICAL);
    for (unsigned k = 0; k < HVD_ENTRIES; k++) {
        uint8_t *entry = out + HVD_HEAD + 4 * k;
        entry[0] = names[k];
        entry[1] = pdfids[k] != NO_ID;
        bytes_put(entry + 2, 2, entry[1] ? pdfids[k] : 0);
    }
    return HVD_HEAD + 4 * HVD_ENTRIES;
}

uint32_t gfms_hvd(struct node_switch *sw, const struct node_port *host, uint8_t *out) {
    uint32_t bytes = GFMS_SECTION_HEAD;
    unsigned n = 0;
    for (uint32_t k = 0; k < sw->port_count; k++) {
        const struct node_port *port = sw->by_pff[k];
        if (port_config_type(port) != PORT_CONFIG_HOST || (host && port != host)) continue;
        if (n++ < HVD_MAX) bytes += hvd(port, out + bytes);
    }
    gfms_section(sw, out, GFMS_HVD, bytes);
    return bytes;
}

/* ---- one host in detail ---- */

static uint32_t extended(const struct space *s, uint16_t id) {
    for (uint32_t at = 0x100, n = 0; at && n < 64; at = space_get(s, at, 4) >> 20, n++)
        if (space_get(s, at, 2) == id) return at;
    return 0;
}

/* A function reaches its peers directly when the port above it does not redirect requests. */
static int reaches_peers(struct fab_node *node, unsigned pdfid) {
    const struct space *s = &node->modules[PDFID_MODULE(pdfid)].port->space;
    uint32_t acs = extended(s, 0x000D);
    return acs && !(space_get(s, acs + ACS_CTRL, 2) & ACS_REQUEST_REDIRECT);
}

/* Numbers as a host gives them that enumerates: buses from the upstream port's registers, the
 * logical port as device, an endpoint on the bus behind it. All on bus 0 until one has. */
static uint8_t *detail_ports(const struct node_port *host, uint8_t *out, uint64_t *peers) {
    struct fab_node *node = host->sw->node;
    uint16_t pdfids[HVD_ENTRIES];
    uint8_t names[HVD_ENTRIES];
    unsigned bus = space_get(&host->space, BUS_NUMBERS + 1, 1);
    host_functions(host, pdfids, names);
    for (unsigned k = 0; k < HVD_ENTRIES; k++, out += DETAIL_PORT) {
        unsigned port = k % HVD_LOGICAL, slot = k / HVD_LOGICAL, ep_bus = bus ? bus + 1 + port : 0;
        memset(out, 0, DETAIL_PORT);
        out[0] = names[k];
        bytes_put(out + 2, 2, bus << 8 | port << 3);
        if (pdfids[k] == NO_ID) continue;
        out[1] = 1;
        bytes_put(out + 4, 2, pdfids[k]);
        bytes_put(out + 6, 2, (ep_bus & 0xFF) << 8 | slot);
        if (reaches_peers(node, pdfids[k])) *peers |= UINT64_C(1) << port;
    }
    return out;
}

/* The k-th entry is the k-th peer's: so the vendor's tool prints them. Its library reads as many as
 * there are places up to the highest peer's; those behind the last peer's are zero. */
static uint8_t *detail_peers(uint8_t *out, uint64_t peers) {
    bytes_put(out, 8, peers);
    out += 8;
    uint64_t left = peers;
    for (uint64_t places = peers; places; places >>= 1, out += P2P_BYTES) {
        uint64_t others = left ? peers & ~(left & -left) : 0;
        bytes_put(out, 8, others);
        bytes_put(out + 8, 8, others);
        left &= left - 1;
    }
    return out;
}

uint32_t gfms_hvd_detail(struct node_switch *sw, const struct node_port *host, uint8_t *out) {
    uint8_t *at = out + GFMS_SECTION_HEAD;
    unsigned bus = space_get(&host->space, BUS_NUMBERS, 1);
    unsigned veps = partition_port(sw, host->partition, LOGICAL_VEP) ? 1 : 0;
    uint64_t peers = 0;
    at[0] = host->cfg.index;
    at[1] = host->cfg.port;
    bytes_put(at + 2, 2, host->cfg.index);
    at[4] = (uint8_t)veps;
    at[5] = host->up;
    bytes_put(at + 6, 2, 0);
    at += 8;
    for (unsigned k = 0; k < veps; k++, at += 4) {
        bytes_put(at, 2, VEP_MANAGEMENT);
        bytes_put(at + 2, 2, bus << 8 | 1); /* function 1 beside the upstream port */
    }
    bytes_put(at, 2, HVD_LOGICAL);
    bytes_put(at + 2, 2, bus << 8);
    at = detail_ports(host, at + 4, &peers);
    at = detail_peers(at, peers);
    gfms_section(sw, out, GFMS_HVD_DETAIL, (uint32_t)(at - out));
    return (uint32_t)(at - out);
}
