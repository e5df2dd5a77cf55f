/* The chips that the emulated switch can be, as a client meets them. */
#ifndef FAB_EMULATOR_IDENTITY_H
#define FAB_EMULATOR_IDENTITY_H

#define function_write client_function_write /* node.h, which these tests need too, has another */
#include "emulator_client.h"
#undef function_write
#include "node.h"

/* The default node, all of whose switches are of one device id. */
static inline fab_node *make_as(uint32_t device_id) {
    fab_node *node = NULL;
    default_node_fill(&plan);
    for (unsigned k = 0; k < DEFAULT_SWITCHES; k++) plan.config.device_id[k] = device_id;
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, NULL, &node), 0);
    return node;
}

struct chip {
    uint32_t id, word; /* what the client puts above the command's id */
    uint32_t status_in, records, temperatures, sub, family;
};
static const struct chip chips[] = {
    {0x5200, 0x00000000, 8, 60, 4, 4, 1}, /* PAX id 0 */
    {0x5100, 0xFFFC0000, 8, 60, 4, 4, 1}, {0x5000, 0xFFFC0000, 8, 60, 4, 4, 1},
    {0x4200, 0x00000000, 8, 52, 1, 2, 0}, {0x6160, 0x00000000, 16, 20, 4, 4, 2},
};
enum { CHIPS = sizeof chips / sizeof *chips };

static inline int64_t call(fab_node *node, const struct chip *chip, uint32_t id, const void *in,
                           size_t in_bytes, void *out, size_t out_bytes) {
    return command(node, 0, chip->word | id, in, in_bytes, out, out_bytes);
}

#endif
