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

#endif
