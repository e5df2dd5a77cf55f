/* Firmware commands about the chip's condition: link status of its ports, die temperature. */
#include "node.h"

enum {
    RECORD = 12,
    RECORDS_GEN4 = 52,
    RECORDS_GEN5 = 60,
    RECORDS_GEN6 = 20,
    STACK_NONE = 0xFF, /* its high nibble names no stack: the record is unused */
    LTSSM_L0_MINOR_GEN6 = 0x11,
    TEMPERATURE_GEN4 = 2,
    TEMPERATURE = 4,
    SENSORS = 4
};

uint16_t port_ltssm(const struct node_port *port) {
    return port->ltssm;
}

static void status_record(const struct node_port *port, uint8_t *out) {
    unsigned id = port->cfg.port;
    uint16_t ltssm = port_ltssm(port);
    out[0] = (uint8_t)id;
    out[1] = port->partition;
    out[2] = port->logical;
    out[3] = (uint8_t)(id / 8 << 4 | id % 8);
    out[4] = port->cfg.cfg_lanes;
    out[5] = port->neg_lanes;
    out[6] = port->cfg.kind == FAB_PORT_HOST;
    out[7] = port->up ? (uint8_t)(0x80 | port->neg_gen) : 0;
    bytes_put(out + 8, 2, ltssm); /* major, minor */
    /* modelled: of the sixth generation's minor states only L0 is public */
    if (port->sw->generation == 6 && ltssm == LTSSM_L0) out[9] = LTSSM_L0_MINOR_GEN6;
    out[11] = 0; /* first lane; lanes are not reversed */
}

unsigned status_records(const struct node_switch *sw) {
    static const uint8_t most[] = {[4] = RECORDS_GEN4, RECORDS_GEN5, RECORDS_GEN6};
    return most[sw->generation];
}

static uint32_t link_status(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    unsigned records = status_records(sw), filled = 0;
    uint64_t wanted = bytes_get(in, 8), above = sw->generation == 6 ? bytes_get(in + 8, 8) : 0;
    for (uint32_t k = 0; k < sw->port_count && filled < records; k++)
        if (!(wanted | above) || wanted >> sw->by_pff[k]->cfg.port & 1)
            status_record(sw->by_pff[k], out + RECORD * filled++);
    for (; filled < records; filled++) out[RECORD * filled + 3] = STACK_NONE;
    return 0;
}

/* In 0.01 degrees. */
static uint32_t temperature(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    unsigned sensors = sw->generation == 4 ? 1 : SENSORS;
    if (in[0] != (sw->generation == 4 ? TEMPERATURE_GEN4 : TEMPERATURE)) return MRPC_ERR_SUBCOMMAND;
    for (unsigned k = 0; k < sensors; k++) bytes_put(out + 4 * k, 4, heat_switch(sw, k));
    return 0;
}

const struct mrpc_entry mrpc_status_commands[] = {
    {MRPC_LINK_STATUS, RECORD * RECORDS_GEN4, FAMILIES_ALL, GEN_BIT(4), link_status},
    {MRPC_LINK_STATUS, RECORD * RECORDS_GEN5, FAMILIES_ALL, GEN_BIT(5), link_status},
    {MRPC_LINK_STATUS, RECORD * RECORDS_GEN6, FAMILIES_ALL, GEN_BIT(6), link_status},
    {MRPC_TEMPERATURE, 4, FAMILIES_ALL, GEN_BIT(4), temperature},
    {MRPC_TEMPERATURE, 4 * SENSORS, FAMILIES_ALL, GEN_BIT(5) | GEN_BIT(6), temperature},
    {0},
};
