/* The register image (gas.c) and the memory it stands in (shm.c). */
#ifndef FAB_EMULATOR_GAS_H
#define FAB_EMULATOR_GAS_H

#include <stddef.h>
#include <stdint.h>

#include "fabcore.h"

struct node_switch;

void gas_build(struct node_switch *sw);
/* -ENODEV gone, -ERANGE; blocks of any length and alignment. A command starts only by an aligned
 * 4-byte write of its doorbell. */
int gas_read(const struct node_switch *sw, uint64_t off, void *out, size_t bytes);
int gas_write(struct node_switch *sw, uint64_t off, uint64_t value, unsigned width);
int gas_write_block(struct node_switch *sw, uint64_t off, const void *data, size_t bytes);
void gas_put(struct node_switch *sw, uint32_t at, unsigned bytes, uint64_t value);
uint32_t gas_get(const struct node_switch *sw, uint32_t at);
int gas_trap(void *context, uint64_t off, uint64_t value, unsigned width);

/* ---- shm.c: the memory of the switches ---- */
int shm_map_private(struct fab_node *node);
int shm_map_files(struct fab_node *node, const char *name);
void shm_publish(struct fab_node *node); /* page constants, then the magic */
int shm_reveal(struct fab_node *node);   /* gives the finished files their names */
void shm_unmap(struct fab_node *node);

#endif
