/* The GFMS database of module ports: the functions behind them, as their config spaces say. */
#include <string.h>

#include "node.h"

enum {
    PORT_HEAD = 8,
    EP_HEAD = 8,
    FUNCTION_BYTES = 36,
    ATTACHED_EP = 0,
    ATTACHED_NONE = 2,
    CAP_VF = 0,
    CAP_PF = 1,
    CAP_SRIOV_PF = 3,
    BARS = 6,
    BAR_KIND = 0xF, /* the register's low bits are the database's type */
    BAR_64 = 0x4,
    CONFIG_BARS = 0x10,
    CONFIG_SUBSYSTEM = 0x2C,
    SRIOV_BARS = 0x24
};

int gfms_present(const struct node_port *port) {
    return port->cfg.kind == FAB_PORT_MODULE && port->up;
}

/* A BAR's size is the lowest address bit that can be written; one without is not there. */
static unsigned bar_size(uint32_t low, uint32_t high, int wide) {
    uint64_t mask = (low & ~(uint32_t)BAR_KIND) | (wide ? (uint64_t)high << 32 : 0);
    return mask ? (unsigned)__builtin_ctzll(mask) : 0;
}

/* Fills {type, log2 size} of six BARs from the registers at `at`; returns how many there are. */
static unsigned bars(const struct space *s, uint32_t at, uint8_t *out) {
    unsigned n = 0;
    for (unsigned k = 0; k < BARS; k++) {
        uint32_t word = s->words[at / 4 + k], mask = s->writable[at / 4 + k];
        int wide = (word & BAR_64) && k + 1 < BARS;
        unsigned size = bar_size(mask, wide ? s->writable[at / 4 + k + 1] : 0, wide);
        if (!size) continue;
        out[2 * k] = word & BAR_KIND;
        out[2 * k + 1] = (uint8_t)size;
        n++;
        k += wide;
    }
    return n;
}

static void binding(const struct node_function *f, uint8_t *out) {
    out[0] = f->bound;
    if (!f->bound) return;
    out[1] = (uint8_t)f->host->sw->index;
    out[2] = f->host->cfg.port;
    out[3] = f->logical;
}

static void function(struct node_module *m, unsigned number, unsigned vfs, uint8_t *out) {
    struct space s = function_space(m, number), pf = function_space(m, 0);
    memset(out, 0, FUNCTION_BYTES);
    bytes_put(out, 2, number);
    bytes_put(out + 2, 2, PDFID(m->port->cfg.index, number));
    out[4] = number ? CAP_VF : m->sriov ? CAP_SRIOV_PF : CAP_PF;
    out[5] = (uint8_t)(number ? 0 : vfs);
    binding(&m->functions[number], out + 8);
    bytes_put(out + 12, 4, s.words[0]);
    bytes_put(out + 16, 4, s.words[CONFIG_SUBSYSTEM / 4]);
    bytes_put(out + 20, 3, s.words[2] >> 8);
    /* the BARs of VFs stand in the PF */
    out[23] = (uint8_t)(number ? bars(&pf, m->sriov + SRIOV_BARS, out + 24)
                               : bars(&pf, CONFIG_BARS, out + 24));
}

static uint32_t endpoint(struct node_port *port, uint8_t *out) {
    struct node_module *m = &port->sw->node->modules[port->cfg.index];
    unsigned vfs = 0, here = gfms_present(port) != 0;
    while (here && function_exists(m, vfs + 1)) vfs++;
    uint32_t bytes = PORT_HEAD + here * (EP_HEAD + FUNCTION_BYTES * (vfs + 1));
    memset(out, 0, PORT_HEAD + EP_HEAD);
    out[0] = here ? ATTACHED_EP : ATTACHED_NONE;
    out[1] = port->cfg.port;
    bytes_put(out + 2, 2, here);
    bytes_put(out + 4, 3, bytes / 4);
    if (!here) return bytes;
    bytes_put(out + 8, 2, vfs + 1);
    bytes_put(out + 12, 3, (bytes - PORT_HEAD) / 4);
    for (unsigned f = 0; f <= vfs; f++)
        function(m, f, vfs, out + PORT_HEAD + EP_HEAD + FUNCTION_BYTES * f);
    return bytes;
}

uint32_t gfms_endpoints(struct node_switch *sw, struct node_port *port, uint8_t *out) {
    uint32_t bytes = GFMS_SECTION_HEAD;
    for (uint32_t k = 0; k < sw->port_count; k++) {
        struct node_port *at = sw->by_pff[k];
        if (port_config_type(at) != PORT_CONFIG_EP || (port && at != port)) continue;
        bytes += endpoint(at, out + bytes);
    }
    gfms_section(sw, out, GFMS_EP_PORT, bytes);
    return bytes;
}
