/* The fabric's management: routes, control of ports. */
#include <errno.h>
#include <string.h>

#include "driver.h"

enum {
    ROUTES = 16,
    ROUTES_AT = 36, /* in the data; one stack fewer in Gen4 */
    ROUTES_AT_GEN4 = 32,
    CHUNK_HEADER = 4,
    FABRIC_BYTES = 88, /* of the database's section that says which switches can be reached */
    REACH_AT = 24,     /* in it: 16 entries of 4 bytes, index and reach first */
    UNREACHABLE = 2
};
#define HOT_RESET_NS 2000000 /* held longer than the 1 ms that the specification asks for */

static int topology_ready(fab_switch *sw) {
    struct fab_wait wait = {.limit_ns = sw->timeout_ns, .sw = sw};
    for (;;) {
        uint8_t in = TOPOLOGY_STATUS, out[4];
        int rc = fab_switch_command(sw, MRPC_TOPOLOGY, &in, 1, out, sizeof out);
        if (rc < 0) return rc;
        if (out[0] == TOPOLOGY_READY) return 0;
        if (out[0] != TOPOLOGY_WAITING) return fab_switch_gone(sw, -EIO);
        rc = fab_wait_next(&wait);
        if (rc < 0) return rc;
    }
}

/* The routes stand in the data's first chunk. */
static int topology_routes(fab_switch *sw, uint8_t routes[ROUTES]) {
    bool gen4 = sw->generation == 4;
    uint8_t in[4] = {gen4 ? TOPOLOGY_DATA_GEN4 : TOPOLOGY_DATA};
    uint8_t out[CHUNK_HEADER + ROUTES_AT + ROUTES];
    int rc = fab_switch_command(sw, MRPC_TOPOLOGY, in, sizeof in, out, sizeof out);
    if (rc < 0) return rc;
    memcpy(routes, out + CHUNK_HEADER + (gen4 ? ROUTES_AT_GEN4 : ROUTES_AT), ROUTES);
    return 0;
}

/* One more than the last switch that can be reached, itself included: what lies behind is no
 * switch, or cut off as one that is not there is. A firmware without the section does not say. */
static int count_switches(fab_switch *sw) {
    uint8_t sub = GFMS_FABRIC, r[FABRIC_BYTES];
    int n = sw->pax + 1, rc = fab_switch_command(sw, MRPC_GFMS_DUMP, &sub, 1, r, sizeof r);
    if (rc == -EREMOTEIO) return ROUTES;
    if (rc < 0) return rc;
    if (r[0] != GFMS_FABRIC) return fab_switch_gone(sw, -EPROTO);
    for (int k = 0; k < ROUTES; k++) {
        const uint8_t *entry = r + REACH_AT + 4 * k;
        if (entry[0] < ROUTES && entry[0] >= n && entry[1] < UNREACHABLE) n = entry[0] + 1;
    }
    return n < ROUTES ? n : ROUTES;
}

int fab_switch_routes(fab_switch *sw, uint8_t *out, size_t max) {
    uint8_t routes[ROUTES], in = TOPOLOGY_START, status;
    int rc = fab_switch_ready(sw);
    if (rc < 0) return rc;
    if (sw->family != FAMILY_PAX) return -EOPNOTSUPP;
    rc = fab_switch_command(sw, MRPC_TOPOLOGY, &in, 1, &status, 1);
    if (rc < 0) return rc;
    rc = topology_ready(sw);
    if (rc == 0) rc = topology_routes(sw, routes);
    in = TOPOLOGY_FINISH; /* whatever happened: or nobody can start again */
    int finished = fab_switch_command(sw, MRPC_TOPOLOGY, &in, 1, &status, 1);
    if (rc == 0) rc = finished;
    if (rc == 0) rc = fab_switch_gone(sw, 0);
    if (rc == 0) rc = count_switches(sw);
    if (rc < 0) return rc;
    size_t n = max < (size_t)rc ? max : (size_t)rc;
    memcpy(out, routes, n);
    return (int)n;
}

int fab_port_action(fab_switch *sw, uint8_t port, uint8_t action, uint8_t flag) {
    const uint8_t in[4] = {action, port, flag, 0};
    return fab_switch_command(sw, MRPC_PORT_CONTROL, in, sizeof in, NULL, 0);
}

/* A hot reset is a level, set and cleared again: cleared also when setting it seems to have failed.
 */
static int hot_reset(fab_switch *sw, uint8_t port) {
    int rc = fab_port_action(sw, port, FAB_PORT_HOT_RESET, 1);
    if (rc == -EREMOTEIO || rc == -ENODEV) return rc;
    fab_sleep_ns(HOT_RESET_NS);
    int cleared = fab_port_action(sw, port, FAB_PORT_HOT_RESET, 0);
    return rc < 0 ? rc : cleared;
}

/* Disabling and enabling are each other's way back, where they change anything. */
int fab_port_switch(fab_switch *sw, uint8_t port, uint8_t action) {
    struct fab_port_info info = {.port = port};
    const uint8_t forth[4] = {action, port},
                  back[4] = {action == FAB_PORT_DISABLE ? FAB_PORT_ENABLE : FAB_PORT_DISABLE, port};
    const struct fab_command on = {MRPC_PORT_CONTROL, forth, sizeof forth, 0},
                             off = {MRPC_PORT_CONTROL, back, sizeof back, 0};
    int rc = sw->change ? fab_switch_link_record(sw, &info) : 0;
    if (rc < 0) return rc;
    if (sw->change && (info.ltssm == LTSSM_DISABLE) == (action == FAB_PORT_DISABLE))
        return fab_port_action(sw, port, action, 0);
    return fab_undo_run(sw, &on, &off);
}

int fab_switch_port_control(fab_switch *sw, uint8_t port, uint8_t action) {
    size_t mark;
    int rc = fab_undo_begin(sw, 1, &mark);
    if (rc < 0) return rc;
    rc = action > FAB_PORT_HOT_RESET                  ? -EINVAL
         : action == FAB_PORT_HOT_RESET && sw->change ? -EOPNOTSUPP
         : action == FAB_PORT_HOT_RESET               ? hot_reset(sw, port)
         : action == FAB_PORT_RETRAIN                 ? fab_port_action(sw, port, action, 0)
                                                      : fab_port_switch(sw, port, action);
    return fab_undo_end(sw, mark, rc);
}
