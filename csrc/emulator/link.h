/* Links, hot-plug, errors, heat and faults of the emulated node. Included by node.h. */
#ifndef FAB_EMULATOR_LINK_H
#define FAB_EMULATOR_LINK_H

#include <stdint.h>

#include "fabcore.h"

struct fab_node;
struct node_port;
struct node_module;
struct node_switch;

#define NODE_FAULTS 1024      /* that a node remembers for later */
#define NODE_NEVER UINT64_MAX /* no time */

/* What a link does. The two ends of a fabric link are always in the same state. */
enum link_state {
    LINK_DOWN, /* something keeps it down: see struct link_end */
    LINK_DETECT,
    LINK_POLLING,
    LINK_CONFIG,
    LINK_RECOVERY, /* new speed or width, equalisation; the data link stays if it was there */
    LINK_L0,
    LINK_RESET /* hot reset that ends by itself */
};

/* One end of a link: what keeps it down, and what limits what it trains to. */
struct link_end {
    uint8_t state;      /* enum link_state */
    uint8_t disabled;   /* by port control or Link Disable */
    uint8_t held;       /* in hot reset until it is released */
    uint8_t faulted;    /* FAB_FAULT_LINK_DOWN */
    uint8_t contained;  /* by DPC, until its trigger status is cleared */
    uint8_t absent;     /* the module is pulled */
    uint8_t unpowered;  /* the slot's power controller is off */
    uint8_t dark;       /* the module's supply has failed */
    uint8_t lanes_most; /* FAB_FAULT_WIDTH, 0 = no limit */
    uint8_t gen_most;   /* FAB_FAULT_SPEED, 0 = no limit */
    /* of the end that leads: link_lead */
    uint8_t equalised; /* highest generation since Detect */
    uint8_t flaps;     /* times that it will still go down */
    uint64_t due_ns;   /* when the state ends, NODE_NEVER = when something happens */
};

/* A module's heat, by a first-order model. */
struct heat {
    double draw_w, extra_w; /* from its supply; FAB_FAULT_HEAT */
    double temperature_c, fan_rpm;
    double throttle; /* share of its link that it takes, 1 = all */
    uint64_t moved;  /* payload bytes when last looked, both directions */
};

/* A fault to come. */
struct node_fault {
    uint64_t at_ns;
    uint32_t count;
    uint8_t sw, fault, port;
};

/* ---- link.c: causes ---- */
void link_start(struct node_port *port);   /* at creation: up at once, without an event */
void link_refresh(struct node_port *port); /* after any cause has changed; both ends */
void link_restart(struct node_port *port); /* a short hot reset, then training from the start */
void link_retrain(struct node_port *port); /* to what the limits now allow */
void link_flap(struct node_port *port, unsigned times); /* fails now, comes back, fails ... */
void link_control(struct node_port *port, unsigned action, unsigned flag);
/* The one place where a changed link is told of: its event, and the fabric management's. */
void link_tell(struct node_port *port, int came_or_went);
void link_throttle(struct node_port *port); /* after the state or the heat has changed */

/* ---- training.c: states that take time ---- */
struct node_port *link_lead(struct node_port *port); /* the end that keeps the time of both */
void link_enter(struct node_port *lead, enum link_state state);
void link_due(struct node_port *lead); /* its state has ended by itself */

/* ---- hotplug.c ---- */
int hotplug_ready(const struct node_port *port); /* a module is there and has power */
void hotplug_present(struct node_port *port, int present);
void hotplug_supply(struct node_port *port, int good);
void hotplug_control(struct node_port *port); /* after a write to the slot control */
void hotplug_link(struct node_port *port);    /* the data link has come or gone */

/* ---- aer.c: errors logged and reported ---- */
enum { AER_CORRECTABLE, AER_NONFATAL, AER_FATAL };
/* An error at a port; bit: of the status register, 0 = a typical one (correctable: the receiver's,
 * which is bit 0). What becomes of it the severity register says. -EINVAL no such error; -ENOLINK
 * the module that would report it is not linked. */
int aer_inject(struct node_port *port, int severity, uint32_t bit);
int aer_check(int severity, uint32_t bit);      /* 0, -EINVAL */
void aer_surprise_down(struct node_port *port); /* the link went down without anybody's asking */

/* ---- dpc.c ---- */
enum { DPC_DETECTED = 0, DPC_NONFATAL_MESSAGE = 1, DPC_FATAL_MESSAGE = 2, DPC_OTHER = 3 };
void dpc_error(struct node_port *port, int fatal, unsigned reason, uint16_t source);
/* After a write to its registers; control: the bits written into DPC Control. */
void dpc_written(struct node_port *port, uint32_t control);

/* ---- heat.c ---- */
void heat_start(struct fab_node *node);
void heat_step(struct fab_node *node, uint64_t ns);
/* 0.01 degrees, of one of a die's sensors. */
uint32_t heat_switch(const struct node_switch *sw, unsigned sensor);

/* ---- fault.c, schedule.c ---- */
int fault_check(const struct fab_node *node, size_t sw, int fault, uint8_t port, uint32_t count);
int fault_inject(struct fab_node *node, size_t sw, int fault, uint8_t port, uint32_t count);
void fault_ones_end(struct node_port *port);
/* Something will happen at that time of node->moved_ns. */
void schedule_at(struct fab_node *node, uint64_t at_ns);
void schedule_run(struct fab_node *node); /* what is due now */

#endif
