/* Bindings: functions to hosts by the fabric's manager (PAX), ports to partitions (PSX). */
#include <errno.h>
#include <string.h>

#include "driver.h"

enum {
    GFMS_BIND = 1,
    GFMS_UNBIND = 2,
    GFMS_BIND_BYTES = 36,
    PORT_BIND = 0,
    PORT_UNBIND = 1,
    PORT_INFO = 2,
    OPTION = 2, /* of an unbind: what the vendor's library always sends */
    INFO_RECORDS = 48,
    INFO_BYTES = 4 + 4 * INFO_RECORDS,
    ALL_PORTS = 0xFF,
    STATE_FAILED = 1,
    STATE_IN_PROGRESS = 2
};

/* ---- functions ------------------------------------------------------------------------------ */

/* The two commands of a function's binding; each is the other's way back. */
struct pair {
    uint8_t bind[GFMS_BIND_BYTES], unbind[8];
};

static struct pair pair_of(uint8_t host_switch, uint8_t host_port, uint8_t logical,
                           uint16_t pdfid) {
    /* switch, port, logical, then {pdfid, next slot valid, 0} eight times; or {pdfid, option, 0} */
    struct pair p = {
        {GFMS_BIND, host_switch, host_port, logical, (uint8_t)pdfid, (uint8_t)(pdfid >> 8)},
        {GFMS_UNBIND, host_switch, host_port, logical, (uint8_t)pdfid, (uint8_t)(pdfid >> 8),
         OPTION, 0}};
    return p;
}

static int run(fab_switch *sw, const struct pair *p, bool bind) {
    const struct fab_command on = {MRPC_GFMS_BIND, p->bind, sizeof p->bind, 4},
                             off = {MRPC_GFMS_BIND, p->unbind, sizeof p->unbind, 1};
    size_t mark;
    int rc = fab_undo_begin(sw, 1, &mark);
    if (rc < 0) return rc;
    return fab_undo_end(sw, mark, fab_undo_run(sw, bind ? &on : &off, bind ? &off : &on));
}

int fab_switch_bind(fab_switch *sw, uint8_t host_switch, uint8_t host_port, uint8_t logical,
                    uint16_t pdfid) {
    struct pair p = pair_of(host_switch, host_port, logical, pdfid);
    return run(sw, &p, true);
}

int fab_switch_unbind(fab_switch *sw, uint8_t host_switch, uint8_t host_port, uint8_t logical,
                      uint16_t pdfid) {
    struct pair p = pair_of(host_switch, host_port, logical, pdfid);
    return run(sw, &p, false);
}

/* ---- ports ---------------------------------------------------------------------------------- */

static int info(fab_switch *sw, uint8_t phys, struct fab_port_binding *out, size_t max) {
    uint8_t in[4] = {PORT_INFO, phys, 0, 0}, answer[INFO_BYTES];
    int rc = fab_switch_command(sw, MRPC_PORT_BIND, in, sizeof in, answer, sizeof answer);
    if (rc < 0) return rc;
    if (answer[0] > INFO_RECORDS) return fab_switch_gone(sw, -EPROTO);
    for (size_t i = 0; i < answer[0] && i < max; i++) {
        const uint8_t *record = answer + 4 + 4 * i;
        out[i] = (struct fab_port_binding){.phys = record[0],
                                           .partition = record[1],
                                           .logical = record[2],
                                           .bound = record[3] >> 4 == 1,
                                           .state = record[3] & 0xF};
    }
    return answer[0];
}

int fab_switch_port_bindings(fab_switch *sw, struct fab_port_binding *out, size_t max) {
    return info(sw, ALL_PORTS, out, max);
}

/* What became of a port, once the firmware has done with it. */
static int settled(fab_switch *sw, uint8_t phys, struct fab_port_binding *now) {
    struct fab_wait wait = {.limit_ns = sw->timeout_ns, .sw = sw};
    for (;;) {
        int rc = info(sw, phys, now, 1);
        if (rc < 0) return rc;
        if (rc != 1 || now->phys != phys) return fab_switch_gone(sw, -EPROTO);
        if (now->state != STATE_IN_PROGRESS) return 0;
        rc = fab_wait_next(&wait);
        if (rc < 0) return rc;
    }
}

static int send(fab_switch *sw, uint8_t partition, uint8_t logical, uint8_t phys, bool bind) {
    uint8_t in[4] = {bind ? PORT_BIND : PORT_UNBIND, partition, logical, bind ? phys : OPTION};
    uint8_t out[4];
    struct fab_port_binding now;
    int rc = fab_switch_command(sw, MRPC_PORT_BIND, in, sizeof in, out, sizeof out);
    if (rc == 0) rc = settled(sw, phys, &now);
    if (rc < 0) return rc;
    return now.bound == bind && now.state != STATE_FAILED ? 0 : -EIO;
}

/* What happened is asked: a command that failed late may have left either state. */
static int port_back(struct fab_step *step) {
    struct fab_port_binding now;
    int rc = settled(step->sw, step->port.phys, &now);
    if (rc < 0 || now.bound == step->port.bound) return rc;
    return send(step->sw, step->port.partition, step->port.logical, step->port.phys,
                step->port.bound);
}

static int run_port(fab_switch *sw, uint8_t partition, uint8_t logical, uint8_t phys, bool bind) {
    struct fab_step *step = fab_undo_note(sw, port_back);
    step->port.partition = partition;
    step->port.logical = logical;
    step->port.phys = phys;
    step->port.bound = !bind;
    int rc = send(sw, partition, logical, phys, bind);
    if (rc == -EREMOTEIO) fab_undo_forget(sw);
    return rc;
}

/* Which port it is has to be known to bind it again. */
static int unbind_port(fab_switch *sw, uint8_t partition, uint8_t logical) {
    struct fab_port_binding all[INFO_RECORDS];
    int n = info(sw, ALL_PORTS, all, INFO_RECORDS);
    if (n < 0) return n;
    for (int i = 0; i < n; i++)
        if (all[i].bound && all[i].partition == partition && all[i].logical == logical)
            return run_port(sw, partition, logical, all[i].phys, false);
    return -ENOENT;
}

int fab_switch_port_bind(fab_switch *sw, uint8_t partition, uint8_t logical, uint8_t phys) {
    size_t mark;
    int rc = fab_undo_begin(sw, 1, &mark);
    return rc < 0 ? rc : fab_undo_end(sw, mark, run_port(sw, partition, logical, phys, true));
}

int fab_switch_port_unbind(fab_switch *sw, uint8_t partition, uint8_t logical) {
    size_t mark;
    int rc = fab_undo_begin(sw, 1, &mark);
    return rc < 0 ? rc : fab_undo_end(sw, mark, unbind_port(sw, partition, logical));
}
