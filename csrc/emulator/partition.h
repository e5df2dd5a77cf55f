/* Which ports a partition holds, as its registers show it (partition.c). */
#ifndef FAB_EMULATOR_PARTITION_H
#define FAB_EMULATOR_PARTITION_H

#include <stdint.h>

struct node_port;
struct node_switch;

enum { PARTITIONS = 4, PARTITION_NONE = 0xFF, LOGICAL_USP = 0, LOGICAL_VEP = 100 };
void partition_build(struct node_switch *sw);
void partition_show_all(struct node_switch *sw); /* PFFs have been renumbered */
struct node_port *partition_port(struct node_switch *sw, unsigned partition, unsigned logical);
uint32_t mrpc_port_bind(struct node_switch *sw, const uint8_t *in, uint8_t *out); /* 0x0C */

#endif
