/* Events of a switch and who is told of them (event.c). */
#ifndef FAB_EMULATOR_EVENT_H
#define FAB_EMULATOR_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "fabcore.h"

struct node_port;
struct node_switch;

enum { VECTOR_EVENT = 0, VECTOR_DMA = 1, VECTORS = 2 };

/* Whoever is told of a switch's interrupts: the vfio-user device, the TCP event channel. `tell` is
 * called with the node's lock held; it neither blocks nor calls the node. */
struct node_listener {
    void (*tell)(void *context, unsigned vector);
    void *context;
    struct node_listener *next; /* the node's */
};

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

#endif
