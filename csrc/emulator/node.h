/* The emulated Resource Node, inside: its state and what its modules call of each other.
 *
 * Everything below is guarded by fab_node.lock, except fields said to be constant. The register
 * image and the page are written by the node only, word by word with relaxed stores, because other
 * threads and processes read them at any moment; what a client may rely on is ordered by the
 * page's `acked` (queued writes) or by the return of the trapped write.
 */
#ifndef FAB_EMULATOR_NODE_H
#define FAB_EMULATOR_NODE_H

#include <pthread.h>

#include "config_space.h"
#include "counters.h"
#include "device.h"
#include "doe.h"
#include "event.h"
#include "fabcore.h"
#include "firmware.h"
#include "gas.h"
#include "gfms.h"
#include "link.h"
#include "mrpc.h"
#include "partition.h"
#include "regs.h"
#include "space.h"
#include "traffic.h"
#include "vc.h"
#include "wiring.h"

#define NODE_PORT_IDS 64 /* physical ids of one switch */
#define NODE_MODULES FAB_SWITCH_MODULES
#define PORT_SPACE_WORDS (PFF_CONFIG_BYTES / 4)
#define FUNCTION_SPACE_WORDS 1024
#define NODE_NONE (-1)

struct node_switch;

struct node_port {
    struct fab_node_port cfg; /* constant but for the lanes and capacity, which bifurcation sets */
    struct node_switch *sw;   /* constant */
    struct node_port *peer;   /* the other end of a fabric link, or NULL; constant */
    uint8_t pff;              /* constant, but of a port that a bifurcation made */
    uint8_t made;             /* by a bifurcation: nothing is wired to it */
    uint8_t unused;           /* by port configuration, or made: it does not train */
    uint8_t split;            /* lanes that the stack's bifurcation gives it */
    uint8_t wired_lanes;      /* of what hangs on it; constant */
    double lane_rate;         /* B/s of payload per lane; constant */
    uint8_t partition;        /* 0xFF = bound to none */
    uint8_t logical;          /* port number in its partition: 0 upstream, 100 endpoint */
    int32_t out_link;         /* traffic link that leaves the switch here; constant */
    int32_t in_link;          /* the one that enters it here; constant */
    struct space space;
    uint32_t writable[PORT_SPACE_WORDS];
    uint32_t clearable[PORT_SPACE_WORDS];
    uint32_t sticky[PORT_SPACE_WORDS];
    struct vc vc;
    struct link_end link;
    uint8_t phy_lanes;          /* that its config space was laid out for; constant */
    uint8_t up;                 /* the data link is there: in L0, and in Recovery from L0 */
    uint8_t neg_lanes, neg_gen; /* 0 while it is not */
    uint16_t ltssm;             /* as the firmware words it */
    double throttle;            /* share of the link's capacity that passes now, 0..1 */
    uint64_t ones_until_ns;     /* its window reads as all ones until then; 0 = it does not */
    uint32_t ones_events;       /* what happened meanwhile, told afterwards */
    uint32_t window[GAS_PFF_STRIDE / 4]; /* what the window holds meanwhile */
    uint8_t clock, sris;
    uint8_t raw_bytes;    /* counters include TLP overhead */
    uint8_t latency_from; /* ingress port of its latency counter, + 1; 64 = any, 0 = not set up */
    uint32_t errors[EVENT_COUNTER_TYPES]; /* so far, by type of the event counters */
    uint64_t counted[2][3]; /* egress, ingress: posted, completion, non-posted at the last clear */
};

struct node_function {
    uint8_t bound;
    uint8_t logical; /* as the command that bound it said */
    uint8_t slot;    /* function slot of the logical port */
    uint8_t traffic_class;
    struct node_port *host;
    struct fab_function_cell *cell; /* constant */
    uint32_t words[FUNCTION_SPACE_WORDS];
};

struct node_module {
    struct node_port *port; /* NULL: no such module; constant */
    struct fab_node_module cfg;
    uint16_t pcie, ari, sriov, shaper; /* offsets in the PF, 0 = none; constant */
    struct vc vc;                      /* MFVC */
    struct doe doe;                    /* of the PF */
    struct heat heat;
    uint32_t writable[2][FUNCTION_SPACE_WORDS]; /* of the PF, of each VF */
    uint32_t clearable[2][FUNCTION_SPACE_WORDS];
    uint32_t sticky[2][FUNCTION_SPACE_WORDS];
    struct node_function functions[FAB_MAX_FUNCTIONS];
};

struct node_switch {
    struct fab_node *node;
    uint32_t index;
    uint8_t generation;     /* 4, 5, 6: as the firmware's ping says */
    enum fab_family family; /* a PAX takes PAX bits and fabric commands */
    uint32_t lanes;         /* of the chip; constant */
    struct node_listener *listeners;
    struct node_dma dma;       /* write == NULL: commands complete by register only */
    uint8_t told[VECTORS];     /* vectors raised since the listeners were last told */
    uint8_t *image;            /* FAB_BAR_BYTES: registers and page; constant */
    struct fab_bar_page *page; /* constant */
    fab_bar *bar;
    uint32_t partitions;    /* PARTITIONS */
    uint32_t port_count;    /* that exist now: those of the configuration, then the made ones */
    uint32_t configured;    /* ports of the configuration; constant */
    uint8_t stack_lanes[8]; /* constant */
    struct node_port *by_pff[FAB_MAX_PORTS];
    struct node_port *by_id[NODE_PORT_IDS];
    uint8_t gone;
    uint8_t topology_ready; /* topo-info was started */
    uint64_t reset_at_ns;   /* by moved_ns: a hard reset was answered and is due then; 0 = none */
    uint32_t armed;         /* event counters with a threshold */
    struct node_counter counters[EVENT_COUNTER_STACKS][STACK_COUNTERS];
    uint32_t stuck;       /* commands that will never complete */
    uint32_t interrupted; /* commands that will end as interrupted, behind the stuck ones */
    uint32_t events_lost; /* events that will be neither marked nor told */
    uint32_t answered;    /* bytes of the last command's output */
    uint64_t applied;     /* queued writes taken */
    uint64_t file;        /* inode of its shared-memory file */
    struct gfms_log gfms;
    struct gfms_dump dump;
    struct node_firmware firmware;
};

struct fab_node {
    struct fab_node_config config;
    struct node_switch switches[FAB_MAX_SWITCHES];
    struct node_port *ports; /* config.ports of them */
    struct node_port *made;  /* NODE_PORT_IDS for each switch: what a bifurcation can bring */
    struct node_module modules[NODE_MODULES];
    struct traffic *traffic;
    uint32_t bound_count; /* functions bound: (module << 6 | function), for the steps */
    uint16_t bound[NODE_MODULES * FAB_MAX_FUNCTIONS];

    uint8_t told; /* some switch's `told` has a vector */
    pthread_mutex_t lock;
    uint64_t moved_ns; /* time moved since creation; time_ns is UTC in real time */
    int ready;         /* created: what happens from now on is told */
    uint64_t due_ns;   /* when something next happens by itself, by moved_ns */
    uint32_t fault_count;
    struct node_fault faults[NODE_FAULTS]; /* to come, the next one first */
    uint64_t time_ns;
    uint64_t step_ns;
    int drop;
    int mode; /* FAB_TRAFFIC_* */

    pthread_t thread;
    int running; /* the real-time thread exists */
    int stop;    /* it shall end */

    int64_t pid; /* of the creator: a forked child must not take the files away */
    int dir;     /* the directory of the shared-memory files, -1 = private memory */
    char path[256];
};

/* NULL: there is no such switch or port. */
struct node_port *node_find_port(struct fab_node *node, size_t sw, unsigned port);
uint16_t port_ltssm(const struct node_port *port);     /* as the firmware words it */
unsigned status_records(const struct node_switch *sw); /* ports that a link status can show */

/* ---- clock.c: time ---- */
void clock_serve(struct fab_node *node); /* applies queued writes of all switches */
int clock_pending(const struct fab_node *node);

#endif
