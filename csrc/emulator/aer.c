/* Errors: logged where they are detected, reported by message, counted, contained.
 *
 * Who logs what (modelled where the chassis decides): a port logs what its own receiver and data
 * link find, and on host and fabric ports everything; on a module's port the errors of the
 * transaction layer are the module's: its PF logs them and sends a message if it may, and the port
 * notes that it received one. No error is taken as advisory.
 */
#include <errno.h>

#include "node.h"

/* By kind of error, the event counters' types (the vendor's numbers); 0xFF = none. */
enum {
    TYPE_NONE = 0xFF,
    TYPE_SURPRISE_DOWN = 6,
    TYPE_LOG_OVERFLOW = 8,
    TYPE_FATAL_MESSAGE = 15,
    TYPE_NONFATAL_MESSAGE = 16,
    TYPE_CORRECTABLE_MESSAGE = 17,
    TYPE_NAK = 18
};
static const struct {
    uint8_t correctable, bit, type;
} types[] = {
    {0, UNC_UNSUPPORTED, 0},     {0, UNC_ECRC, 1},
    {0, UNC_MALFORMED, 2},       {0, UNC_OVERFLOW, 3},
    {0, UNC_COMPLETER_ABORT, 4}, {0, UNC_POISONED, 5},
    {0, UNC_SURPRISE_DOWN, 6},   {0, UNC_DATA_LINK, 7},
    {1, COR_LOG_OVERFLOW, 8},    {0, UNC_INTERNAL, 9},
    {1, COR_REPLAY_TIMEOUT, 10}, {1, COR_REPLAY_ROLLOVER, 11},
    {1, COR_BAD_DLLP, 12},       {1, COR_BAD_TLP, 13},
    {1, COR_RECEIVER, 14},
};

static unsigned type_of(int correctable, unsigned bit) {
    for (size_t k = 0; k < sizeof types / sizeof *types; k++)
        if (types[k].correctable == correctable && types[k].bit == bit) return types[k].type;
    return TYPE_NONE;
}

static void count(struct node_port *port, int correctable, unsigned bit) {
    unsigned type = type_of(correctable, bit);
    if (type != TYPE_NONE) port->errors[type]++;
    /* what it received damaged, it asks the other end for again */
    if (correctable && bit == COR_BAD_TLP && port->peer) port->peer->errors[TYPE_NAK]++;
}

/* Errors of a TLP, whose header is logged. */
#define WITH_HEADER                                                                     \
    (1u << UNC_POISONED | 1u << UNC_COMPLETER_ABORT | 1u << UNC_UNEXPECTED_COMPLETION | \
     1u << UNC_MALFORMED | 1u << UNC_ECRC | 1u << UNC_UNSUPPORTED | 1u << UNC_ACS)
/* What a module's transaction layer detects. */
#define OF_MODULE                                                                    \
    (1u << UNC_POISONED | 1u << UNC_COMPLETION_TIMEOUT | 1u << UNC_COMPLETER_ABORT | \
     1u << UNC_UNEXPECTED_COMPLETION | 1u << UNC_UNSUPPORTED | 1u << UNC_INTERNAL)
#define OF_MODULE_CORRECTABLE (1u << COR_ADVISORY | 1u << COR_INTERNAL | 1u << COR_LOG_OVERFLOW)

/* A memory write of the largest payload with a 64-bit address, as a function behind the port would
 * send it; the first byte of the TLP in the top byte of the first dword. */
static void log_header(struct space *s, const struct node_port *port, int has) {
    uint32_t bus = space_get(&port->space, 0x19, 1); /* secondary */
    uint32_t header[4] = {0x60000000u | port->sw->node->config.mps / 4, bus << 24 | 0xFF,
                          UINT32_C(1) + port->cfg.index, 0x80000000u};
    for (unsigned k = 0; k < 4; k++)
        space_put(s, AT_AER + AER_HEADER + 4 * k, 4, has ? header[k] : 0);
}

/* What was made of an error: by the severity register, whether it is masked, and whether its TLP's
 * header was logged. */
struct verdict {
    int severity, masked, logged;
};

static struct verdict log_correctable(struct space *s, unsigned bit) {
    struct verdict v = {AER_CORRECTABLE, 0, 0};
    space_set(s, AT_AER + AER_COR_STATUS, 4, UINT32_C(1) << bit);
    space_set(s, PORT_PCIE + PCIE_DEVSTA, 2, 1);
    v.masked = space_get(s, AT_AER + AER_COR_MASK, 4) >> bit & 1;
    return v;
}

static struct verdict log_uncorrectable(struct space *s, const struct node_port *port,
                                        unsigned bit) {
    uint32_t before = space_get(s, AT_AER + AER_UNC_STATUS, 4);
    uint32_t control = space_get(s, AT_AER + AER_CONTROL, 4);
    struct verdict v = {AER_NONFATAL, space_get(s, AT_AER + AER_UNC_MASK, 4) >> bit & 1, 0};
    if (space_get(s, AT_AER + AER_UNC_SEVERITY, 4) >> bit & 1) v.severity = AER_FATAL;
    space_set(s, AT_AER + AER_UNC_STATUS, 4, UINT32_C(1) << bit);
    space_set(s, PORT_PCIE + PCIE_DEVSTA, 2,
              1u << v.severity | (bit == UNC_UNSUPPORTED ? DEVSTA_UNSUPPORTED : 0u));
    if (bit == UNC_POISONED) space_set(s, PCI_STATUS, 2, STATUS_PARITY);
    if (v.masked) return v;
    int has = (WITH_HEADER >> bit & 1) != 0;
    /* the pointer is in use while the status bit that it names is set */
    if (before >> (control & 31) & 1) {
        if (has) log_correctable(s, COR_LOG_OVERFLOW);
        return v;
    }
    space_put(s, AT_AER + AER_CONTROL, 4, (control & ~31u) | bit);
    log_header(s, port, has);
    v.logged = has;
    return v;
}

static struct verdict log_error(struct space *s, struct node_port *port, int correctable,
                                unsigned bit) {
    return correctable ? log_correctable(s, bit) : log_uncorrectable(s, port, bit);
}

/* Whether a function or port may send the message of an error, and says so in its status. */
static int reports(struct space *s, struct verdict v) {
    if (v.masked) return 0;
    int serr = v.severity != AER_CORRECTABLE && space_get(s, PCI_COMMAND, 2) & COMMAND_SERR;
    if (serr) space_set(s, PCI_STATUS, 2, STATUS_SYSTEM_ERROR);
    return serr || space_get(s, PORT_PCIE + PCIE_DEVCTL, 2) >> v.severity & 1;
}

/* The port's own events. */
static void tell(struct node_port *port, int correctable, unsigned bit) {
    event_port(port, port->cfg.kind == FAB_PORT_MANAGEMENT ? PFF_AER_IN_VEP : PFF_AER_IN_P2P);
    if (bit == (correctable ? COR_INTERNAL : UNC_INTERNAL)) event_port(port, PFF_IER);
    if (!correctable && bit == UNC_FLOW_CONTROL) event_port(port, PFF_CREDIT_TIMEOUT);
}

/* What the fabric's management is told of it. */
static void tell_fabric(struct node_port *port, const struct space *log, struct verdict v,
                        unsigned bit) {
    uint32_t header[4];
    for (unsigned k = 0; k < 4; k++) header[k] = space_get(log, AT_AER + AER_HEADER + 4 * k, 4);
    unsigned flags = v.severity == AER_CORRECTABLE ? GFMS_AER_CORRECTABLE : 0;
    if (v.logged) flags |= GFMS_AER_LOGGED;
    if (port->link.contained) flags |= GFMS_AER_DPC;
    gfms_aer(port, flags, UINT32_C(1) << bit, v.logged ? header : NULL);
}

/* The port is the one that detects it. */
static struct verdict at_port(struct node_port *port, int correctable, unsigned bit) {
    struct verdict v = log_error(&port->space, port, correctable, bit);
    count(port, correctable, bit);
    reports(&port->space, v);
    if (!v.masked && !correctable) {
        if (port->cfg.kind == FAB_PORT_HOST && v.severity == AER_FATAL) event_port(port, PFF_UEC);
        dpc_error(port, v.severity == AER_FATAL, DPC_DETECTED, 0);
    }
    return v;
}

/* The module's PF detects it, and the port receives its message. */
static void at_module(struct node_port *port, int correctable, unsigned bit) {
    struct space pf = function_space(&port->sw->node->modules[port->cfg.index], 0);
    struct verdict v = log_error(&pf, port, correctable, bit);
    count(port, correctable, bit);
    tell_fabric(port, &pf, v, bit);
    if (!reports(&pf, v)) return;
    port->errors[TYPE_CORRECTABLE_MESSAGE - v.severity]++;
    if (v.severity == AER_CORRECTABLE) return;
    space_set(&port->space, PCI_SECONDARY_STATUS, 2, STATUS_SYSTEM_ERROR);
    uint16_t sender = (uint16_t)(space_get(&port->space, 0x19, 1) << 8);
    dpc_error(port, v.severity == AER_FATAL,
              v.severity == AER_FATAL ? DPC_FATAL_MESSAGE : DPC_NONFATAL_MESSAGE, sender);
}

/* The error that stands for its severity when none is named. */
static unsigned typical(int severity, uint32_t bit) {
    if (bit || severity == AER_CORRECTABLE) return bit;
    return severity == AER_FATAL ? UNC_MALFORMED : UNC_UNSUPPORTED;
}

int aer_check(int severity, uint32_t bit) {
    uint32_t known = severity == AER_CORRECTABLE ? AER_COR_BITS : AER_UNC_BITS;
    return bit < 32 && known >> typical(severity, bit) & 1 ? 0 : -EINVAL;
}

int aer_inject(struct node_port *port, int severity, uint32_t named) {
    if (aer_check(severity, named) < 0) return -EINVAL;
    unsigned bit = typical(severity, named);
    int correctable = severity == AER_CORRECTABLE;
    int module = port->cfg.kind == FAB_PORT_MODULE &&
                 (correctable ? OF_MODULE_CORRECTABLE : OF_MODULE) >> bit & 1;
    if (module && !port->up) return -ENOLINK;
    tell(port, correctable, bit);
    if (module)
        at_module(port, correctable, bit);
    else
        tell_fabric(port, &port->space, at_port(port, correctable, bit), bit);
    return 0;
}

/* LINK_STATE is its event, and the fabric's link event. */
void aer_surprise_down(struct node_port *port) {
    if (port->sw->gone || (port->cfg.kind != FAB_PORT_MODULE && port->cfg.kind != FAB_PORT_FABRIC))
        return;
    at_port(port, 0, UNC_SURPRISE_DOWN);
}
