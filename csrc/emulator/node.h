/* The emulated Resource Node, inside: its state and what its modules call of each other.
 *
 * Everything below is guarded by fab_node.lock, except fields said to be constant. The register
 * image and the page are written by the node only, word by word with relaxed stores, because other
 * threads and processes read them at any moment; what a client may rely on is ordered by the
 * page's `acked` (queued writes) or by the return of the trapped write.
 */
#ifndef FAB_NODE_H
#define FAB_NODE_H

#include <pthread.h>

#include "device.h"
#include "fabcore.h"
#include "firmware.h"
#include "link.h"
#include "regs.h"
#include "space.h"
#include "traffic.h"

#define NODE_PORT_IDS 64 /* physical ids of one switch */
#define NODE_MODULES FAB_SWITCH_MODULES
#define PORT_SPACE_WORDS (PFF_CONFIG_BYTES / 4)
#define FUNCTION_SPACE_WORDS 1024
#define NODE_NONE (-1)

/* Virtual Channel registers and their arbitration tables: a switch port's or a module's MFVC. */
struct vc {
    uint16_t cap;        /* offset of the capability, 0 = none; constant */
    uint16_t table;      /* offset of the table, 0 = fixed arbitration only; constant */
    uint16_t phases;     /* longest scheme offered; constant */
    uint8_t entry_bits;  /* 8 (ports) or 4 (function groups); constant */
    uint8_t scheme;      /* VC_ARB_* in force */
    uint8_t loaded[256]; /* the table in force, as its bytes were written */
    uint8_t channels;    /* a port has several, each with its resource; constant */
    uint8_t vc_scheme;   /* VC_ARB_* among channels in force */
    uint8_t remapped;    /* channels or their classes changed; whoever routes by them clears it */
    uint8_t vc_loaded[32];
    uint32_t stuck; /* loads that will never finish */
    uint32_t torn;  /* table writes that will be lost */
};

/* One event counter: evcounter.c. */
enum { EVENT_COUNTER_TYPES = 23, EVENT_COUNTER_STACKS = 10, STACK_COUNTERS = 64 };
struct node_counter {
    uint32_t mask;      /* ports of the stack in bits 0-7, types above */
    uint32_t threshold; /* 0 = none */
    uint64_t base;      /* of its sources, when it was set up or cleared */
    uint8_t direction;  /* as it was written */
    uint8_t reached;    /* the threshold, and the event was raised */
};

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

#define DOE_WORDS 64 /* of a data object, in and out */
/* A DOE mailbox: the object being written, the one being read. */
struct doe {
    uint16_t at; /* offset of the capability, 0 = none; constant */
    uint16_t got, have, given;
    uint32_t in[DOE_WORDS], out[DOE_WORDS];
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

/* Whoever is told of a switch's interrupts: the vfio-user device, the TCP event channel. `tell` is
 * called with the node's lock held; it neither blocks nor calls the node. */
struct node_listener {
    void (*tell)(void *context, unsigned vector);
    void *context;
    struct node_listener *next; /* the node's */
};

/* Where MRPC by DMA writes: a guest's memory. 0 or -errno. */
struct node_dma {
    int (*write)(void *context, uint64_t address, const void *data, size_t bytes);
    void *context;
};

enum { VECTOR_EVENT = 0, VECTOR_DMA = 1, VECTORS = 2 };

/* The fabric management's log on one switch, as firmware command 0x89 answers it: whole entries,
 * the oldest first; they fit into one answer, and the oldest fall out when it is full. */
enum { GFMS_LOG_BYTES = GAS_MRPC_BYTES - 4 };
struct gfms_log {
    uint8_t entries[GFMS_LOG_BYTES];
    uint16_t used;  /* bytes */
    uint16_t count; /* entries */
    uint8_t lost;   /* some fell out since the last clear */
};

/* A part of the GFMS database, taken when a client starts to read it: what it reads in pieces does
 * not change meanwhile. */
enum {
    HVD_MAX = 16,     /* hosts of a switch, in the vendor's library */
    HVD_LOGICAL = 32, /* logical ports of a host, there */
    HVD_SLOTS = 8,    /* functions of a logical port, there */
    GFMS_DUMP_BYTES = 28 * 1024
};
struct gfms_dump {
    uint8_t kind; /* GFMS_* of 0x83; 0 = not started */
    uint8_t which;
    uint32_t bytes;
    uint8_t data[GFMS_DUMP_BYTES];
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

/* ---- shm.c: the memory of the switches ---- */
int shm_map_private(struct fab_node *node);
int shm_map_files(struct fab_node *node, const char *name);
void shm_publish(struct fab_node *node); /* page constants, then the magic */
int shm_reveal(struct fab_node *node);   /* gives the finished files their names */
void shm_unmap(struct fab_node *node);

/* ---- port_space.c ---- */
void port_space_build(struct node_port *port);
void port_space_link(struct node_port *port); /* link status after a change */
void port_space_write(struct node_port *port, uint32_t at, uint32_t value, unsigned bytes);
void port_space_reset(struct node_port *port, enum reset how); /* with the link's causes */

/* ---- function_space.c, sriov.c, function_reset.c, doe.c: module functions ---- */
void function_spaces_build(struct fab_node *node, unsigned module);
struct space function_space(struct node_module *m, unsigned function);
void function_space_build(struct fab_node *node, struct node_module *m, unsigned function);
void function_space_link(struct node_port *port); /* link status in the PF after a change */
/* 0 = no such function now (VF Enable, NumVFs). */
int function_exists(const struct node_module *m, unsigned function);
void function_write(struct fab_node *node, unsigned module, unsigned function, uint32_t at,
                    uint32_t value, unsigned bytes);
void sriov_build(struct space *s, uint32_t at, unsigned vfs);
/* After a write to the capability; before: NumVFs until then. */
void sriov_written(struct node_module *m, uint32_t at, uint32_t before);
/* Functions forget groups, tables and shapers; bindings are the fabric's and stay. */
void function_spaces_reset(struct node_port *port, enum reset how);
void function_level_reset(struct fab_node *node, unsigned module, unsigned function);
void doe_build(struct doe *doe, struct space *s, uint32_t at);
int doe_write(struct doe *doe, struct space *s, uint32_t at, uint32_t value, unsigned bytes);

/* ---- vc.c: arbitration tables and their handshake ---- */
void vc_build(struct vc *vc, struct space *s, uint32_t at, uint16_t id, unsigned phases,
              unsigned entry_bits);
enum { VC_OTHER = 0, VC_TAKEN = 1, VC_IN_FORCE = 2 };
/* VC_OTHER: not one of its registers; VC_IN_FORCE: what arbitrates has changed. */
int vc_write(struct vc *vc, struct space *s, uint32_t at, uint32_t value, unsigned bytes);
/* The port (or function group) table in force, and its entries per class; returns its phases, 0 =
 * fixed. The same of the channels. */
unsigned vc_slots(const struct vc *vc, uint16_t *slots, uint8_t *table, size_t classes);
unsigned vc_channel_slots(const struct vc *vc, uint16_t *slots, uint8_t *table, size_t channels);
/* An enabled channel is pending until the link is up and its far end has enabled the same id (peer
 * NULL: modelled as always); returns whether a pending bit changed. */
int vc_negotiate(struct vc *vc, struct space *s, int up, const struct vc *peer,
                 const struct space *peer_space);
/* Id of the channel that carries a traffic class: 0 unless another enabled one, not pending, maps
 * it. */
uint8_t vc_of_class(const struct vc *vc, const struct space *s, unsigned class);

/* ---- gas.c: the register image ---- */
void gas_build(struct node_switch *sw);
/* -ENODEV gone, -ERANGE; blocks of any length and alignment. A command starts only by an aligned
 * 4-byte write of its doorbell. */
int gas_read(const struct node_switch *sw, uint64_t off, void *out, size_t bytes);
int gas_write(struct node_switch *sw, uint64_t off, uint64_t value, unsigned width);
int gas_write_block(struct node_switch *sw, uint64_t off, const void *data, size_t bytes);
void gas_put(struct node_switch *sw, uint32_t at, unsigned bytes, uint64_t value);
uint32_t gas_get(const struct node_switch *sw, uint32_t at);
int gas_trap(void *context, uint64_t off, uint64_t value, unsigned width);

/* ---- event.c ---- */
/* modelled: events are of the bridge that a partition has; a port that is bound to none marks none,
 * and what it had marked goes when it is unbound. The vendor's client looks a port up in the
 * partitions and gives up on all events at one that it does not find. */
void event_port(struct node_port *port, unsigned k);
void event_leave(struct node_port *port); /* it has just been unbound; enables stay */
/* The bitmap of partitions: one has an event when itself or one of its ports has. */
void event_sum_up(struct node_switch *sw);
void event_partition(struct node_switch *sw, unsigned partition, unsigned k);
void event_global(struct node_switch *sw, unsigned k);
/* What became of an event: FAB_FAULT_EVENT_LOST took it or the chip has none such, its interrupt is
 * not enabled, or it is. */
enum { EVENT_LOST = -1, EVENT_SILENT = 0, EVENT_TELLS = 1 };
/* Marks it without raising a vector. */
int event_mark_partition(struct node_switch *sw, unsigned partition, unsigned k);
void event_build(struct node_switch *sw); /* headers and summaries as after power-up */
/* True if the register is an event header, which then took the write. */
int event_write(struct node_switch *sw, uint32_t at, uint32_t value);
/* Tells the listeners each vector raised since the last call, once. */
void event_deliver(struct node_switch *sw);
void node_deliver(struct fab_node *node); /* of all switches: a change may reach across links */
void event_raise(struct node_switch *sw, unsigned vector);
int node_listen(struct fab_node *node, size_t sw, struct node_listener *listener); /* locks */
void node_unlisten(struct fab_node *node, size_t sw, struct node_listener *listener);

/* ---- mrpc.c, and the domains of commands, each with its table ---- */
#define FAMILY_BIT(family) (1u << (family))
#define FAMILIES_ALL 7u
#define GEN_BIT(generation) (1u << (generation))
#define GENS_ALL (GEN_BIT(4) | GEN_BIT(5) | GEN_BIT(6))
/* in: GAS_MRPC_BYTES, behind what was sent zeros (TCP) or what stood in the mailbox; out: as many,
 * the first `answer` of them zeroed. Returns the firmware's return code. */
typedef uint32_t (*mrpc_handler)(struct node_switch *sw, const uint8_t *in, uint8_t *out);
struct mrpc_entry {
    uint16_t id;
    uint16_t answer;     /* bytes that it may fill, a multiple of 4 */
    uint8_t families;    /* FAMILY_BITs that know it */
    uint8_t generations; /* GEN_BITs that know it; an id may have an entry for each */
    mrpc_handler run;    /* NULL ends a table */
};
extern const struct mrpc_entry mrpc_fabric_commands[];
extern const struct mrpc_entry mrpc_status_commands[], mrpc_counter_commands[];
extern const struct mrpc_entry mrpc_remote_commands[], mrpc_reset_commands[];
extern const struct mrpc_entry mrpc_firmware_commands[], mrpc_flash_commands[],
    mrpc_manufacture_commands[];
/* Runs a command, for the mailbox and for TCP alike; *answered = bytes of `out` that count, 0 when
 * the return code is not 0. */
uint32_t mrpc_answer(struct node_switch *sw, uint32_t word, const uint8_t *in, uint8_t *out,
                     uint32_t *answered);
void mrpc_run(struct node_switch *sw, uint32_t word);         /* the doorbell */
void bytes_put(uint8_t *out, unsigned bytes, uint64_t value); /* little-endian */
uint64_t bytes_get(const uint8_t *in, unsigned bytes);
uint16_t port_ltssm(const struct node_port *port);
unsigned status_records(const struct node_switch *sw); /* ports that a link status can show */

/* ---- counters.c, evcounter.c, latency.c: firmware command 0x07 ---- */
struct node_port *counters_port(const struct node_switch *sw, unsigned id); /* or NULL */
void counters_reset(struct node_switch *sw);
uint32_t evcounter_setup(struct node_switch *sw, const uint8_t *in);
uint32_t evcounter_get(struct node_switch *sw, const uint8_t *in, uint8_t *out);
void evcounter_check(struct node_switch *sw); /* raises the events of thresholds reached */
void evcounter_reset(struct node_switch *sw);
uint32_t latency_setup(struct node_switch *sw, const uint8_t *in);
uint32_t latency_get(struct node_switch *sw, const uint8_t *in, uint8_t *out);
void latency_reset(struct node_switch *sw);

/* ---- reset.c ---- */
void switch_reset(struct node_switch *sw);
/* ---- partition.c: which ports a partition holds, as its registers show it ---- */
enum { PARTITIONS = 4, PARTITION_NONE = 0xFF, LOGICAL_USP = 0, LOGICAL_VEP = 100 };
void partition_build(struct node_switch *sw);
void partition_show_all(struct node_switch *sw); /* PFFs have been renumbered */
struct node_port *partition_port(struct node_switch *sw, unsigned partition, unsigned logical);
uint32_t mrpc_port_bind(struct node_switch *sw, const uint8_t *in, uint8_t *out); /* 0x0C */

/* ---- bind.c: functions on the logical ports of hosts ---- */
/* 0 when n functions fit at a host's logical port, else the firmware's return code. */
uint32_t bind_slots(const struct fab_node *node, const struct node_port *host, uint8_t logical,
                    size_t n);
int bind_in_use(const struct node_port *port); /* functions are bound at it: a module's, a host's */
uint32_t mrpc_gfms_bind(struct node_switch *sw, const uint8_t *in, uint8_t *out); /* 0x84 */

/* ---- mrpc_fabric.c ---- */
/* Whether every link of the route to a switch is up; a switch reaches itself. */
int fabric_reaches(const struct node_switch *sw, uint32_t to);
/* Dumps, events and partitions as after power-on; the division of stacks stays (modelled). */
void fabric_reset(struct node_switch *sw);

/* ---- bifurcation.c, port_config.c, topology.c, gfms_dump.c: firmware commands ---- */
int bifurcation_prepare(struct fab_node *node); /* at creation; 0 or -ENOMEM */
uint32_t mrpc_bifurcation(struct node_switch *sw, const uint8_t *in, uint8_t *out);
uint8_t port_config_type(const struct node_port *port); /* PORT_CONFIG_* */
uint32_t mrpc_port_config(struct node_switch *sw, const uint8_t *in, uint8_t *out);
uint32_t mrpc_port_control(struct node_switch *sw, const uint8_t *in, uint8_t *out);
uint32_t mrpc_topology(struct node_switch *sw, const uint8_t *in, uint8_t *out);
uint32_t mrpc_gfms_dump(struct node_switch *sw, const uint8_t *in, uint8_t *out);

/* ---- gfms_sections.c, gfms_endpoints.c: the database from the node's state; bytes written ---- */
void gfms_section(struct node_switch *sw, uint8_t *out, unsigned kind, uint32_t bytes);
int gfms_present(const struct node_port *port); /* a module's device is in the database */
uint32_t gfms_pax(struct node_switch *sw, uint8_t *out);
/* NULL: every host's */
uint32_t gfms_hvd(struct node_switch *sw, const struct node_port *host, uint8_t *out);
uint32_t gfms_hvd_detail(struct node_switch *sw, const struct node_port *host, uint8_t *out);
/* NULL: every module port's */
uint32_t gfms_endpoints(struct node_switch *sw, struct node_port *port, uint8_t *out);

/* ---- gfms_events.c: what happened in the fabric, told to every PAX of the node ---- */
enum {
    GFMS_EVENT_HOST_UP = 0, /* and down: +1 */
    GFMS_EVENT_DEVICE_ADDED = 2,
    GFMS_EVENT_DEVICE_REMOVED = 3,
    GFMS_EVENT_FABRIC_UP = 4, /* and down: +1 */
    GFMS_EVENT_BOUND = 6,
    GFMS_EVENT_UNBOUND = 7,
    GFMS_EVENT_DATABASE = 8,
    GFMS_EVENT_HVD_ENABLED = 9, /* and disabled: +1 */
    GFMS_EVENT_EP_PORT_REMOVED = 11,
    GFMS_EVENT_EP_PORT_ADDED = 12,
    GFMS_EVENT_AER = 13
};
enum { GFMS_AER_LOGGED = 1, GFMS_AER_DPC = 2, GFMS_AER_CORRECTABLE = 4 };
/* At most 32 bytes of data, as the code demands; it happened at `sw`. */
void gfms_event(struct node_switch *sw, unsigned code, const void *data, unsigned bytes);
void gfms_link(struct node_port *port); /* its `up` has just changed: host, device or fabric link */
void gfms_port(struct node_port *port, int enabled); /* HVD or EP port enabled, disabled */
void gfms_bound(struct node_port *host, uint8_t logical, uint16_t pdfid, int bound);
/* flags: GFMS_AER_*; status: the AER status register's new bits; header: NULL or the logged TLP. */
void gfms_aer(struct node_port *port, unsigned flags, uint32_t status, const uint32_t *header);
uint32_t gfms_events(struct node_switch *sw, const uint8_t *in, uint8_t *out); /* 0x89 */

/* ---- wiring.c: traffic links and the flows of bindings ---- */
int wiring_create(struct fab_node *node);
void wiring_port_table(struct node_port *port);
void wiring_capacity(struct node_port *port);
void wiring_module(struct fab_node *node, unsigned module); /* tables, groups, functions */
void wiring_function(struct fab_node *node, unsigned module, unsigned function);
/* Firmware return codes; nothing changes unless 0. */
uint32_t wiring_bind(struct fab_node *node, struct node_port *host, uint8_t logical,
                     const uint16_t *pdfids, size_t n);
uint32_t wiring_unbind(struct fab_node *node, struct node_port *host, uint8_t logical);
void wiring_class(struct fab_node *node, unsigned module,
                  unsigned function); /* class -> channels */
/* A function's flow up is followed by the one down. */
static inline size_t wiring_flow_index(unsigned module, unsigned function, unsigned direction) {
    return 2 * ((size_t)module * FAB_MAX_FUNCTIONS + function) + direction;
}
struct traffic_flow *wiring_flow(struct fab_node *node, unsigned module, unsigned function,
                                 unsigned direction);

/* ---- wiring_count.c: between the cells and the flows, and what ports count ---- */
void wiring_before_step(struct fab_node *node); /* cells -> flows */
void wiring_after_step(struct fab_node *node);  /* flows -> cells */
/* Payload bytes so far: egress, ingress x posted, completion, non-posted. */
void wiring_counters(const struct node_port *port, uint64_t out[2][3]);
/* TLPs so far, in the same order; read requests are those of the completions the other way. */
void wiring_tlps(const struct node_port *port, uint64_t out[2][3]);
/* Nanoseconds from a port (NULL: any) to an egress port, least and most of what passed since the
 * last clear; of an idle switch, if nothing did; 0 = link down. `clear` starts anew behind the
 * reading. In fluid mode an egress is watched while its latency counter is set up. */
void wiring_latency(const struct node_port *egress, const struct node_port *ingress, int clear,
                    uint16_t *min_ns, uint16_t *max_ns);
struct node_port *node_find_port(struct fab_node *node, size_t sw, unsigned port);

/* ---- clock.c: time ---- */
void clock_serve(struct fab_node *node); /* applies queued writes of all switches */
int clock_pending(const struct fab_node *node);

#endif
