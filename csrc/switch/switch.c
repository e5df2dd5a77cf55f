/* A switch's handle and identity: device id, generation, PAX index, product. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

#define DEFAULT_TIMEOUT_NS UINT64_C(1000000000)
#define PING_WORD UINT32_C(0x5AFA1B0C) /* any pattern: the firmware answers its complement */

int fab_switch_open(fab_bar *bar, fab_switch **out) {
    uint32_t id, lanes;
    enum fab_family family;
    if (!bar || !out) return -EINVAL;
    int rc = fab_bar_read32(bar, GAS_DEVICE_ID, &id);
    if (rc < 0) return rc;
    if (id == ALL_ONES) return -ENODEV;
    rc = fab_device_decode(id, &family, &lanes);
    if (rc < 0) return rc;
    fab_switch *sw = calloc(1, sizeof *sw);
    struct fab_step *steps = calloc(OPERATION_STEPS, sizeof *steps);
    if (!sw || !steps) {
        free(sw);
        free(steps);
        return -ENOMEM;
    }
    sw->journal = (struct fab_change){.steps = steps, .max = OPERATION_STEPS, .failed = -1};
    sw->bar = bar;
    sw->timeout_ns = DEFAULT_TIMEOUT_NS;
    sw->device_id = id;
    sw->lanes = lanes;
    sw->family = family;
    sw->pax = PAX_UNKNOWN;
    fab_mailbox_open(sw);
    *out = sw;
    return 0;
}

void fab_switch_close(fab_switch *sw) {
    if (!sw) return;
    fab_switch_disown(sw);
    fab_mailbox_close(sw);
    free(sw->journal.steps);
    free(sw);
}

fab_bar *fab_switch_bar(fab_switch *sw) {
    return sw->bar;
}

int fab_switch_gone(fab_switch *sw, int otherwise) {
    uint32_t id;
    int rc = fab_bar_read32(sw->bar, GAS_DEVICE_ID, &id);
    if (rc < 0) return rc;
    return id == ALL_ONES ? -ENODEV : otherwise;
}

/* The ping's answer tells the generation; only a Gen3 firmware does not know the command. */
static int ask_generation(fab_switch *sw, int *generation) {
    uint32_t in = PING_WORD, out[2], code;
    int rc = fab_switch_mrpc(sw, MRPC_PING, -1, &in, sizeof in, out, sizeof out, &code);
    if (rc == -EREMOTEIO && code == MRPC_ERR_COMMAND) {
        *generation = 3;
        return 0;
    }
    if (rc < 0) return rc;
    if (out[1] != ~PING_WORD) return fab_switch_gone(sw, -EPROTO);
    uint32_t step = out[0] >> 12 & 0xF;
    if (step > 2) return -EPROTO;
    *generation = 4 + (int)step;
    return 0;
}

int fab_switch_ready(fab_switch *sw) {
    int generation = 0;
    uint8_t pax = 0;
    if (sw->generation) return 0;
    int rc = ask_generation(sw, &generation);
    if (rc < 0) return rc;
    if (sw->family == FAMILY_PAX) {
        rc = fab_switch_command(sw, MRPC_PAX_ID, NULL, 0, &pax, sizeof pax);
        if (rc < 0) return rc;
        if (pax >= MRPC_PAX_LOCAL) return fab_switch_gone(sw, -EPROTO);
    }
    sw->pax = pax;
    sw->generation = generation;
    return 0;
}

/* The product string ends at its padding: blanks or zeros. */
static int read_product(fab_switch *sw, char out[25]) {
    bool gen3 = sw->generation == 3;
    size_t n = gen3 ? 16 : 24;
    memset(out, 0, 25);
    int rc = fab_bar_read_block(sw->bar, gen3 ? GAS_GEN3_PRODUCT : GAS_GEN4_PRODUCT, out, n);
    if (rc < 0) return rc;
    for (n = strlen(out); n > 0 && out[n - 1] == ' '; n--) out[n - 1] = '\0';
    return 0;
}

int fab_switch_identify(fab_switch *sw, struct fab_switch_info *out) {
    struct fab_switch_info info = {.device_id = sw->device_id, .lanes = sw->lanes};
    sw->generation = 0; /* asked anew: the firmware may have been changed */
    sw->pax = PAX_UNKNOWN;
    int rc = fab_switch_gone(sw, 0);
    if (rc == 0) rc = fab_switch_ready(sw);
    if (rc < 0) return rc;
    info.generation = (uint32_t)sw->generation;
    info.pax_id = (uint32_t)sw->pax;
    rc = fab_bar_read32(sw->bar, GAS_DEVICE_VERSION, &info.device_version);
    if (rc >= 0) rc = fab_bar_read32(sw->bar, GAS_FW_VERSION, &info.fw_version);
    if (rc >= 0) rc = read_product(sw, info.product);
    if (rc >= 0) rc = fab_switch_gone(sw, 0);
    if (rc < 0) return rc;
    *out = info;
    return 0;
}
