/* Traffic links and the flows of bindings (wiring.c), what ports count (wiring_count.c). */
#ifndef FAB_EMULATOR_WIRING_H
#define FAB_EMULATOR_WIRING_H

#include <stddef.h>
#include <stdint.h>

#include "fabcore.h"
#include "traffic.h"

struct node_port;

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

#endif
