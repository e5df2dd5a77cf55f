/* The links of ports: what they negotiated, speed, retraining, disabling. */
#include <errno.h>

#include "driver.h"

enum { SPEED_MASK = 0xF, WIDTH_SHIFT = 4, WIDTH_MASK = 0x3F, LAST_SPEED = 6 };

/* A port and its PCI Express capability. */
struct end {
    struct fab_space space;
    uint32_t at;
    unsigned type;
    uint32_t capability; /* link capability */
};

static int find(fab_switch *sw, uint8_t port, struct end *out) {
    uint32_t flags;
    int rc = fab_space_port(sw, port, &out->space);
    if (rc < 0) return rc;
    rc = fab_capability_find(&out->space, CAP_PCIE);
    if (rc <= 0) return rc < 0 ? rc : -EOPNOTSUPP;
    out->at = (uint32_t)rc;
    rc = fab_space_get(&out->space, out->at + PCIE_FLAGS, 2, &flags);
    if (rc == 0) rc = fab_space_get(&out->space, out->at + PCIE_LINK_CAP, 4, &out->capability);
    if (rc < 0) return rc;
    if (out->capability == ALL_ONES) return fab_space_gone(&out->space, -EPROTO);
    out->type = flags >> 4 & 0xF;
    return 0;
}

static bool is_downstream(const struct end *end) {
    return end->type == PCIE_TYPE_ROOT || end->type == PCIE_TYPE_DOWNSTREAM;
}

static int read_link(fab_switch *sw, uint8_t port, const struct end *end, struct fab_link *out) {
    uint32_t control, status, control2;
    struct fab_port_info info = {.port = port};
    int rc = fab_space_get(&end->space, end->at + PCIE_LINK_CONTROL, 2, &control);
    if (rc == 0) rc = fab_space_get(&end->space, end->at + PCIE_LINK_STATUS, 2, &status);
    if (rc == 0) rc = fab_space_get(&end->space, end->at + PCIE_LINK_CONTROL2, 2, &control2);
    if (rc == 0) rc = fab_switch_link_record(sw, &info);
    if (rc < 0) return rc;
    if (status == UINT16_MAX) return fab_space_gone(&end->space, -EPROTO);
    bool tells = end->capability & LINK_CAP_TELLS_ACTIVE;
    *out = (struct fab_link){.max_lanes = end->capability >> WIDTH_SHIFT & WIDTH_MASK,
                             .max_gen = end->capability & SPEED_MASK,
                             .target_gen = control2 & SPEED_MASK,
                             .lanes = status >> WIDTH_SHIFT & WIDTH_MASK,
                             .gen = status & SPEED_MASK,
                             .up = info.up,
                             .training = (status & LINK_TRAINING) != 0,
                             .active = tells ? (status & LINK_ACTIVE) != 0 : info.up,
                             .disabled = (control & LINK_DISABLE) != 0,
                             .cfg_lanes = info.cfg_lanes,
                             .ltssm = info.ltssm};
    if (!out->active) out->lanes = 0; /* what it had before it went down may still stand there */
    return 0;
}

int fab_switch_link(fab_switch *sw, uint8_t port, struct fab_link *out) {
    struct end end;
    int rc = find(sw, port, &end);
    return rc < 0 ? rc : read_link(sw, port, &end, out);
}

static int wait_up(fab_switch *sw, uint8_t port, const struct end *end, uint64_t timeout_ns) {
    struct fab_wait wait = {.limit_ns = timeout_ns, .sw = sw};
    for (;;) {
        struct fab_link link;
        int rc = read_link(sw, port, end, &link);
        if (rc < 0) return rc;
        if (link.up && link.active && !link.training) return 0;
        rc = fab_wait_next(&wait);
        if (rc < 0) return rc;
    }
}

int fab_switch_link_wait(fab_switch *sw, uint8_t port, uint64_t timeout_ns) {
    struct end end;
    int rc = find(sw, port, &end);
    return rc < 0 ? rc : wait_up(sw, port, &end, timeout_ns);
}

/* ---- retraining ----------------------------------------------------------------------------- */

/* A downstream port has a bit for it; the link of another one is trained by its far end, or by the
 * firmware of a fabric. */
static int retrain(fab_switch *sw, uint8_t port, const struct end *end) {
    uint32_t control, at = end->at + PCIE_LINK_CONTROL;
    if (!is_downstream(end)) return fab_port_action(sw, port, FAB_PORT_RETRAIN, 0);
    int rc = fab_space_get(&end->space, at, 2, &control);
    if (rc < 0) return rc;
    if (control & LINK_DISABLE) return 0; /* it trains when it is enabled */
    return fab_space_put(&end->space, at, 2, control | LINK_RETRAIN);
}

static int retrain_back(struct fab_step *step) {
    struct end end;
    int rc = find(step->sw, step->retrain.port, &end);
    return rc < 0 ? rc : retrain(step->sw, step->retrain.port, &end);
}

/* The speeds that a port may be told, by link capability 2 or, before Gen3, by link capability. */
static int check_speed(const struct end *end, uint8_t gen) {
    uint32_t speeds;
    if (gen < 1 || gen > LAST_SPEED) return -ERANGE;
    int rc = fab_space_get(&end->space, end->at + PCIE_LINK_CAP2, 4, &speeds);
    if (rc < 0) return rc;
    if (!(speeds & 0xFE)) speeds = ((2u << (end->capability & SPEED_MASK)) - 1) & ~1u;
    return speeds >> gen & 1 ? 0 : -ERANGE;
}

/* The way back retrains last, when the old speed is in place again. */
static int set_speed(fab_switch *sw, uint8_t port, uint8_t gen, uint64_t timeout_ns) {
    struct end end;
    struct fab_link link;
    int rc = find(sw, port, &end);
    if (rc == 0) rc = check_speed(&end, gen);
    if (rc == 0) rc = read_link(sw, port, &end, &link);
    if (rc < 0 || (link.target_gen == gen && link.gen == gen && link.active)) return rc;
    fab_undo_note(sw, retrain_back)->retrain.port = port;
    rc = fab_space_set(&end.space, end.at + PCIE_LINK_CONTROL2, 2, SPEED_MASK, gen);
    if (rc == 0) rc = retrain(sw, port, &end);
    return rc == 0 && !link.disabled ? wait_up(sw, port, &end, timeout_ns) : rc;
}

int fab_switch_link_speed(fab_switch *sw, uint8_t port, uint8_t gen, uint64_t timeout_ns) {
    size_t mark;
    int rc = fab_undo_begin(sw, 2, &mark);
    return rc < 0 ? rc : fab_undo_end(sw, mark, set_speed(sw, port, gen, timeout_ns));
}

static int set_disabled(fab_switch *sw, uint8_t port, bool disable) {
    struct end end;
    int rc = find(sw, port, &end);
    if (rc < 0) return rc;
    if (!is_downstream(&end))
        return fab_port_switch(sw, port, disable ? FAB_PORT_DISABLE : FAB_PORT_ENABLE);
    return fab_space_set(&end.space, end.at + PCIE_LINK_CONTROL, 2, LINK_DISABLE,
                         disable ? LINK_DISABLE : 0);
}

int fab_switch_link_disable(fab_switch *sw, uint8_t port, int disable) {
    size_t mark;
    int rc = fab_undo_begin(sw, 1, &mark);
    return rc < 0 ? rc : fab_undo_end(sw, mark, set_disabled(sw, port, disable != 0));
}
