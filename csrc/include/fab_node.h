/* The emulated Resource Node, and its functions' workload and counters (in process or shared).
 * Part of fabcore.h, whose caveats hold. */
#ifndef FAB_NODE_H
#define FAB_NODE_H

#include <stddef.h>
#include <stdint.h>

#include "fab_bar.h"

#ifdef __cplusplus
extern "C" {
#endif

/* TLP payload that a link carries, B/s per direction, as fabcore.pcie.payload_rate: gen 1..6, lanes
 * 1..16, mps and mrrs powers of two from 128 to 4096. 0 = there is no such link. */
enum { FAB_TRANSFER_WRITE = 0, FAB_TRANSFER_READ = 1 };
FAB_API double fab_payload_rate(unsigned gen, unsigned lanes, uint32_t mps, uint32_t mrrs,
                                int kind);

#define FAB_MAX_SWITCHES 16
#define FAB_MAX_PORTS 60

struct fab_node_port {
    uint8_t sw, port, kind, index;  /* FAB_PORT_*; index = module or host */
    uint8_t gen, cfg_lanes, lanes;  /* lanes: width of the link (first group of the layout) */
    uint8_t peer_switch, peer_port; /* fabric; 0xFF = unconnected */
    uint8_t pad;
    uint16_t phases;
    double capacity; /* B/s of TLP payload per direction */
};
struct fab_node_module {
    uint8_t arbitration; /* FAB_ARBITRATION_* */
    uint8_t vfs;
    uint16_t supply_w;
};
struct fab_node_config {
    uint32_t switches;
    uint32_t ports;
    uint32_t mps, mrrs;
    uint64_t seed;
    uint32_t device_id[FAB_MAX_SWITCHES];
    uint8_t route[FAB_MAX_SWITCHES][FAB_MAX_SWITCHES];  /* [from][to] = fabric port, 0xFF none */
    struct fab_node_module modules[FAB_SWITCH_MODULES]; /* by module index */
    char name[64];
    uint32_t secure_state; /* FAB_SECURE_*, of every switch */
    uint32_t pad;
};
typedef struct fab_node fab_node;

/* shm: NULL = private memory; else the directory /dev/shm/<shm>/ with one file per switch.
 * -EBUSY: a live node holds the name; -EPROTO: held by another layout; -EEXIST: something else is
 * there. A dead node's files of the same layout are taken over. */
FAB_API int fab_node_create(const struct fab_node_config *config, const struct fab_node_port *ports,
                            const char *shm, fab_node **out);
FAB_API void fab_node_close(fab_node *node);              /* stops the thread, removes the files */
FAB_API fab_bar *fab_node_bar(fab_node *node, size_t sw); /* trapped, owned by the node */
/* Virtual time: moves traffic for `seconds` in steps of at most step_s (fab_node_set_step, 1 ms).
 * -EBUSY while the real-time thread runs. */
FAB_API int fab_node_advance(fab_node *node, double seconds);
FAB_API int fab_node_set_step(fab_node *node, double step_s);
/* 1: load that is not carried in its step is dropped. */
FAB_API int fab_node_set_drop(fab_node *node, int drop);
/* How traffic is computed: by rates (the default), or one TLP after the other, which costs wall
 * time for every TLP, too much for real time. What waits or is under way goes on. -EINVAL: no such
 * mode, -EBUSY: TLPs while the real-time thread runs, or fab_node_start while TLPs do. */
enum { FAB_TRAFFIC_FLUID = 0, FAB_TRAFFIC_TLP = 1 };
FAB_API int fab_node_set_mode(fab_node *node, int mode);
/* Real time: a thread moves traffic and serves posted writes. */
FAB_API int fab_node_start(fab_node *node);
FAB_API int fab_node_stop(fab_node *node);
FAB_API uint64_t fab_node_time_ns(const fab_node *node);
/* 4096 bytes; function -1 = the switch port itself. -ENOENT no such switch, port or function. */
FAB_API int fab_node_config_space(fab_node *node, size_t sw, uint8_t port, int function,
                                  uint8_t *out);

/* A module's slot, power and heat. -ENOENT: no such module. */
struct fab_module_state {
    uint8_t present, powered, link_up; /* powered: there, switched on, its supply good */
    uint8_t neg_lanes, neg_gen;        /* 0 while the link is down */
    uint8_t pad[3];
    double draw_w; /* from its supply */
    double fan_rpm;
    double temperature_c;
    double throttle; /* share of its link that it takes: 1, or less while it is too hot */
};
FAB_API int fab_node_module_state(fab_node *node, unsigned module, struct fab_module_state *out);

/* Faults on demand; `count` means what each says. Durations are in virtual microseconds. */
enum {
    FAB_FAULT_LINK_DOWN = 1, /* port: link down until FAB_FAULT_LINK_UP */
    FAB_FAULT_LINK_UP = 2,
    FAB_FAULT_MRPC_STUCK = 3, /* the next `count` commands never complete */
    FAB_FAULT_VC_STUCK = 4,   /* port: the next `count` table loads never clear their status bit */
    FAB_FAULT_TORN_WRITE = 5, /* port: the next `count` table dword writes are lost */
    FAB_FAULT_GONE = 6,       /* the switch vanishes: accesses are -ENODEV */
    FAB_FAULT_BACK = 7,
    FAB_FAULT_LINK_FLAP = 8, /* port: the link goes down and trains again, `count` times */
    FAB_FAULT_WIDTH = 9,     /* port: trains to at most `count` lanes; 0 = the fault is over */
    FAB_FAULT_SPEED = 10,    /* port: trains to at most generation `count`; 0 = over */
    FAB_FAULT_REMOVED = 11,  /* module port: the module is pulled without notice */
    FAB_FAULT_INSERTED = 12, /* module port: and put back */
    FAB_FAULT_MRPC_INTERRUPTED = 13, /* the next `count` commands end as interrupted (0x100) */
    FAB_FAULT_ALL_ONES = 14,         /* port: its registers read as all ones for `count` us */
    FAB_FAULT_CORRECTABLE = 15, /* port: an error of that severity; count = bit in the AER status */
    FAB_FAULT_NONFATAL = 16,
    FAB_FAULT_FATAL = 17,
    FAB_FAULT_HEAT = 18,          /* module port: `count` W of heat beside its load; 0 = over */
    FAB_FAULT_EVENT_LOST = 19,    /* the next `count` events are neither marked nor told */
    FAB_FAULT_FIRMWARE_TORN = 20, /* the next `count` blocks of a firmware update are lost */
    FAB_FAULT_RESET = 21,         /* the switch resets by itself */
    FAB_FAULT_SUPPLY_LOST = 22,   /* module port: its supply fails */
    FAB_FAULT_SUPPLY_BACK = 23
};
/* -EINVAL no such fault or count, -ENOENT no such switch or port (or no module's), -ENOLINK the
 * module that would report the error is not linked. */
FAB_API int fab_node_fault(fab_node *node, size_t sw, int fault, uint8_t port, uint32_t count);
/* The same when the node's time since its creation (fab_node_moved_ns) reaches at_ns, exactly,
 * also in the middle of a step; at once if it has. -ENOSPC: 1024 are waiting already. */
FAB_API int fab_node_fault_at(fab_node *node, uint64_t at_ns, size_t sw, int fault, uint8_t port,
                              uint32_t count);
/* Time moved since creation: the virtual time, or in real time what the thread has moved. */
FAB_API uint64_t fab_node_moved_ns(fab_node *node);

/* ---- the functions' workload and counters --------------------------------------------------- */

/* Which function a VM owns. */
struct fab_function_map {
    uint32_t vm;      /* handle for the record */
    uint8_t sw;       /* index into bars */
    uint8_t port;     /* module port */
    uint8_t function; /* 0 = PF, 1.. = VFs */
    uint8_t pad;
};
FAB_API int fab_function_cell(fab_bar *bar, uint8_t port, uint8_t function,
                              struct fab_function_cell **out);
FAB_API int fab_function_offer(fab_bar *bar, uint8_t port, uint8_t function, double up,
                               double down);
FAB_API int fab_function_ceiling(fab_bar *bar, uint8_t port, uint8_t function, double up,
                                 double down);
/* One record per map entry from the functions' counters, FAB_SOURCE_NODE; returns n. */
FAB_API int64_t fab_function_records(fab_bar *const *bars, size_t n_bars,
                                     const struct fab_function_map *map, size_t n, uint64_t time_ns,
                                     struct fab_record *out);

#ifdef __cplusplus
}
#endif
#endif
