/* Config spaces of ports and of module functions: built, written, reset. */
#ifndef FAB_EMULATOR_CONFIG_SPACE_H
#define FAB_EMULATOR_CONFIG_SPACE_H

#include <stdint.h>

#include "fabcore.h"
#include "link.h"
#include "space.h"

struct node_module;
struct node_port;

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

#endif
