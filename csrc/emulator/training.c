/* Link training: the states that a link passes and how long each takes.
 *
 * Detect, Polling, Configuration, then Recovery to the highest common speed with its equalisation,
 * then L0. Of LTSSM words only those are shown that the vendor's tool has a name for.
 */
#include "node.h"

#define MS UINT64_C(1000000)
/* Base specification 4.2.6.1.1: Detect.Quiet lasts 12 ms when nothing is heard; 4.2.6.11: hot reset
 * lasts 2 ms. The others are modelled: the specification bounds them from above only (Polling 24
 * ms, Configuration 24 ms or less a step, Recovery 24 ms or less, equalisation 24 + 32 ms a rate);
 * together a Gen5 link is up after 37 ms, well within the 100 ms that follow a reset. */
#define DETECT_NS (12 * MS)
#define POLLING_NS (4 * MS)
#define CONFIG_NS (2 * MS)
#define RECOVERY_NS (1 * MS)
#define EQUALISE_NS (6 * MS) /* for each rate from 8 GT/s on */
#define RESET_NS (2 * MS)
#define FLAP_NS (5 * MS) /* a flapping link stays up for so long; modelled */

enum {
    LTSSM_QUIET = 0x0100,
    LTSSM_POLLING = 0x0201,
    LTSSM_CONFIG = 0x0902,
    LTSSM_RECOVERY = 0x0104,
    LTSSM_HOT_RESET = 0x0107
};

struct node_port *link_lead(struct node_port *port) {
    return port->peer && port->peer < port ? port->peer : port;
}

static unsigned least(unsigned a, unsigned b) {
    return a < b ? a : b;
}

/* What one end allows: its own capability, Target Link Speed, faults. */
static unsigned gen_of(const struct node_port *end) {
    unsigned gen = end->cfg.gen,
             target = space_get(&end->space, PORT_PCIE + PCIE_LINK_CONTROL2, 2) & 15;
    if (target) gen = least(gen, target);
    return end->link.gen_most ? least(gen, end->link.gen_most) : gen;
}

static unsigned lanes_of(const struct node_port *end) {
    unsigned lanes = end->cfg.lanes, widest = 1;
    if (end->link.lanes_most) lanes = least(lanes, end->link.lanes_most);
    while (2 * widest <= lanes) widest *= 2;
    return widest;
}

static unsigned agreed_gen(struct node_port *lead) {
    unsigned gen = gen_of(lead);
    if (lead->peer) gen = least(gen, gen_of(lead->peer));
    if (lead->cfg.kind != FAB_PORT_MODULE) return gen;
    struct space pf = function_space(&lead->sw->node->modules[lead->cfg.index], 0);
    unsigned target = space_get(&pf, FUNCTION_PCIE + PCIE_LINK_CONTROL2, 2) & 15;
    return target ? least(gen, target) : gen;
}

static unsigned agreed_lanes(const struct node_port *lead) {
    unsigned lanes = lanes_of(lead);
    return lead->peer ? least(lanes, lanes_of(lead->peer)) : lanes;
}

static uint16_t ltssm_of(const struct node_port *end) {
    const struct link_end *e = &end->link;
    switch (e->state) {
        case LINK_DETECT:
            return LTSSM_QUIET;
        case LINK_POLLING:
            return LTSSM_POLLING;
        case LINK_CONFIG:
            return LTSSM_CONFIG;
        case LINK_RECOVERY:
            return LTSSM_RECOVERY;
        case LINK_L0:
            return LTSSM_L0;
        case LINK_RESET:
            return LTSSM_HOT_RESET;
        default:
            if (e->held) return LTSSM_HOT_RESET;
            return e->disabled || e->contained ? LTSSM_DISABLE : LTSSM_DETECT;
    }
}

/* How long the state lasts that the link is now in; NODE_NEVER = until something happens. */
static uint64_t lasts(struct node_port *lead) {
    unsigned gen = agreed_gen(lead), from = lead->link.equalised;
    switch (lead->link.state) {
        case LINK_DETECT:
            return DETECT_NS;
        case LINK_POLLING:
            return POLLING_NS;
        case LINK_CONFIG:
            return CONFIG_NS;
        case LINK_RECOVERY:
            if (from < 2) from = 2; /* rates below 8 GT/s need no equalisation */
            return RECOVERY_NS + (gen > from ? gen - from : 0) * EQUALISE_NS;
        case LINK_RESET:
            return RESET_NS;
        case LINK_L0:
            return lead->link.flaps ? FLAP_NS : NODE_NEVER;
        default:
            return NODE_NEVER;
    }
}

/* What one end shows of the state that it is in. */
static void show(struct node_port *end, int up, unsigned lanes, unsigned gen) {
    int went = end->up && !up, came = !end->up && up;
    int changed = went || came || (up && (end->neg_lanes != lanes || end->neg_gen != gen));
    end->up = (uint8_t)up;
    end->neg_lanes = (uint8_t)(up ? lanes : 0);
    end->neg_gen = (uint8_t)(up ? gen : 0);
    end->ltssm = ltssm_of(end);
    port_space_link(end);
    link_throttle(end);
    if (end->cfg.kind == FAB_PORT_MODULE) {
        if (went) function_spaces_reset(end, RESET_HOT); /* they lose their link: a hot reset */
        function_space_link(end);
    }
    if (!changed || !end->sw->node->ready) return;
    link_tell(end, went || came);
    if (end->cfg.kind == FAB_PORT_MODULE && (went || came)) hotplug_link(end);
    if (came || !up) return;
    /* it is up all the time, and runs otherwise than before */
    if (end->cfg.kind == FAB_PORT_MODULE || end->cfg.kind == FAB_PORT_FABRIC)
        space_set(&end->space, PORT_PCIE + PCIE_LINK_STATUS, 2, LINK_BANDWIDTH);
}

static int best_gen(const struct node_port *lead) {
    return (int)(lead->peer ? least(lead->cfg.gen, lead->peer->cfg.gen) : lead->cfg.gen);
}

void link_enter(struct node_port *lead, enum link_state state) {
    struct node_port *ends[2] = {lead, lead->peer};
    int up = state == LINK_L0 || (state == LINK_RECOVERY && lead->up);
    unsigned lanes = lead->neg_lanes, gen = lead->neg_gen;
    if (state == LINK_DETECT || state == LINK_DOWN) lead->link.equalised = 0;
    if (state == LINK_L0) {
        lanes = agreed_lanes(lead);
        gen = agreed_gen(lead);
        if (gen > lead->link.equalised) lead->link.equalised = (uint8_t)gen;
    }
    int slower = state == LINK_L0 && (int)gen < best_gen(lead) && gen != lead->neg_gen;
    for (int k = 0; k < 2 && ends[k]; k++) ends[k]->link.state = (uint8_t)state;
    uint64_t ns = lasts(lead);
    lead->link.due_ns = NODE_NEVER;
    if (ns != NODE_NEVER) {
        lead->link.due_ns = lead->sw->node->moved_ns + ns;
        schedule_at(lead->sw->node, lead->link.due_ns);
    }
    for (int k = 0; k < 2 && ends[k]; k++) {
        show(ends[k], up, lanes, gen);
        if (slower) event_port(ends[k], PFF_FORCE_SPEED);
    }
}

void link_due(struct node_port *lead) {
    switch (lead->link.state) {
        case LINK_RESET:
            link_enter(lead, LINK_DETECT);
            break;
        case LINK_DETECT:
            link_enter(lead, LINK_POLLING);
            break;
        case LINK_POLLING:
            link_enter(lead, LINK_CONFIG);
            break;
        case LINK_CONFIG: /* at 2.5 GT/s; modelled: too short a stay in L0 to be seen */
            link_enter(lead, agreed_gen(lead) > 1 ? LINK_RECOVERY : LINK_L0);
            break;
        case LINK_RECOVERY:
            link_enter(lead, LINK_L0);
            break;
        default: /* in L0, flapping */
            link_flap(lead, lead->link.flaps);
            break;
    }
}
