/* The fabric's management: routes, bindings of functions to hosts, control of ports. */
#include <errno.h>
#include <string.h>

#include "driver.h"

enum {
    ROUTES = 16,
    ROUTES_AT = 36, /* in the data; one stack fewer in Gen4 */
    ROUTES_AT_GEN4 = 32,
    CHUNK_HEADER = 4
};
#define HOT_RESET_NS 2000000 /* held longer than the 1 ms that the specification asks for */

static int topology_ready(fab_switch *sw) {
    struct fab_wait wait = {.limit_ns = sw->timeout_ns};
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
    if (rc < 0) return rc;
    size_t n = max < ROUTES ? max : ROUTES;
    memcpy(out, routes, n);
    return (int)n;
}

int fab_switch_bind(fab_switch *sw, uint8_t host_switch, uint8_t host_port, uint8_t logical,
                    uint16_t pdfid) {
    /* sub 1, switch, port, logical, then 8 x {pdfid, next slot valid, 0} */
    uint8_t in[36] = {1, host_switch, host_port, logical, (uint8_t)pdfid, (uint8_t)(pdfid >> 8)};
    uint8_t out[4];
    return fab_switch_command(sw, MRPC_GFMS_BIND, in, sizeof in, out, sizeof out);
}

int fab_switch_unbind(fab_switch *sw, uint8_t host_switch, uint8_t host_port, uint8_t logical,
                      uint16_t pdfid) {
    enum { OPTION = 2 }; /* what the vendor's library always sends */
    uint8_t in[8] = {
        2, host_switch, host_port, logical, (uint8_t)pdfid, (uint8_t)(pdfid >> 8), OPTION, 0};
    uint8_t out;
    return fab_switch_command(sw, MRPC_GFMS_BIND, in, sizeof in, &out, sizeof out);
}

/* A hot reset is a level, set and cleared again; the other actions act once. */
int fab_switch_port_control(fab_switch *sw, uint8_t port, uint8_t action) {
    if (action > FAB_PORT_HOT_RESET) return -EINVAL;
    uint8_t in[4] = {action, port, action == FAB_PORT_HOT_RESET, 0};
    int rc = fab_switch_command(sw, MRPC_PORT_CONTROL, in, sizeof in, NULL, 0);
    if (rc < 0 || action != FAB_PORT_HOT_RESET) return rc;
    fab_sleep_ns(HOT_RESET_NS);
    in[2] = 0;
    return fab_switch_command(sw, MRPC_PORT_CONTROL, in, sizeof in, NULL, 0);
}
