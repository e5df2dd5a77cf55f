/* Firmware commands: mrpc.c runs them from the tables of their domains. */
#ifndef FAB_EMULATOR_MRPC_H
#define FAB_EMULATOR_MRPC_H

#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "fabcore.h"

struct node_port;
struct node_switch;

/* Where MRPC by DMA writes: a guest's memory. 0 or -errno. */
struct node_dma {
    int (*write)(void *context, uint64_t address, const void *data, size_t bytes);
    void *context;
};

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
void mrpc_run(struct node_switch *sw, uint32_t word); /* the doorbell */

/* ---- reset.c ---- */
void switch_reset(struct node_switch *sw);

/* ---- bifurcation.c, port_config.c, topology.c, gfms_dump.c: firmware commands ---- */
int bifurcation_prepare(struct fab_node *node); /* at creation; 0 or -ENOMEM */
uint32_t mrpc_bifurcation(struct node_switch *sw, const uint8_t *in, uint8_t *out);
uint8_t port_config_type(const struct node_port *port); /* PORT_CONFIG_* */
uint32_t mrpc_port_config(struct node_switch *sw, const uint8_t *in, uint8_t *out);
uint32_t mrpc_port_control(struct node_switch *sw, const uint8_t *in, uint8_t *out);
uint32_t mrpc_topology(struct node_switch *sw, const uint8_t *in, uint8_t *out);

#endif
