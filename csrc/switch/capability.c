/* Config spaces of switch ports and module functions, and the walks through their capabilities. */
#include <errno.h>

#include "driver.h"

enum {
    FUNCTION_CONFIG_BYTES = 0x1000,
    EXT_START = 0x100,
    STATUS_CAP_LIST = 1u << 20,
    CAP_POWER = 0x01
};

int fab_space_port(fab_switch *sw, uint8_t port, struct fab_space *out) {
    int rc = fab_switch_scan(sw, false);
    if (rc < 0) return rc;
    if (port >= PORT_IDS || !(sw->present >> port & 1)) return -ENOENT;
    *out = (struct fab_space){.sw = sw,
                              .base = GAS_PFF + (uint64_t)GAS_PFF_STRIDE * sw->pff_of_port[port],
                              .pdfid = -1,
                              .limit = PFF_CONFIG_BYTES};
    return 0;
}

void fab_space_function(fab_switch *sw, uint16_t pdfid, struct fab_space *out) {
    *out = (struct fab_space){.sw = sw, .pdfid = pdfid, .limit = FUNCTION_CONFIG_BYTES};
}

int fab_space_read(const struct fab_space *space, uint32_t addr, uint32_t *out, size_t dwords) {
    if (addr + 4 * dwords > space->limit) return -ERANGE;
    if (space->pdfid < 0)
        return fab_bar_read_block(space->sw->bar, space->base + addr, out, 4 * dwords);
    for (size_t i = 0; i < dwords; i++) {
        int rc = fab_switch_function_read(space->sw, (uint16_t)space->pdfid,
                                          (uint16_t)(addr + 4 * i), 4, &out[i]);
        if (rc < 0) return rc;
    }
    return 0;
}

int fab_space_write(const struct fab_space *space, uint32_t addr, const uint32_t *data,
                    size_t dwords) {
    if (addr + 4 * dwords > space->limit) return -ERANGE;
    if (space->pdfid < 0)
        return fab_bar_write_block(space->sw->bar, space->base + addr, data, 4 * dwords);
    for (size_t i = 0; i < dwords; i++) {
        int rc = fab_function_put(space->sw, (uint16_t)space->pdfid, (uint16_t)(addr + 4 * i), 4,
                                  data[i]);
        if (rc < 0) return rc;
    }
    return 0;
}

int fab_space_read16(const struct fab_space *space, uint32_t addr, uint16_t *out) {
    if (addr + 2 > space->limit) return -ERANGE;
    if (space->pdfid < 0) return fab_bar_read16(space->sw->bar, space->base + addr, out);
    uint32_t value;
    int rc = fab_switch_function_read(space->sw, (uint16_t)space->pdfid, (uint16_t)addr, 2, &value);
    if (rc < 0) return rc;
    *out = (uint16_t)value;
    return 0;
}

/* Both walks end after as many steps as the space can hold capabilities: a list that bites its own
 * tail is a broken device, not a reason to hang. */
int fab_capability_find(const struct fab_space *space, uint8_t id) {
    uint32_t word;
    int rc = fab_space_read(space, 0x04, &word, 1);
    if (rc < 0) return rc;
    if (word == ALL_ONES) return -ENODEV;
    if (!(word & STATUS_CAP_LIST)) return 0;
    rc = fab_space_read(space, 0x34, &word, 1);
    if (rc < 0) return rc;
    uint32_t at = word & 0xFC;
    for (int steps = 0; at >= 0x40 && steps < 48; steps++) {
        rc = fab_space_read(space, at, &word, 1);
        if (rc < 0) return rc;
        if (word == ALL_ONES) return -ENODEV;
        if ((word & 0xFF) == id) return (int)at;
        at = word >> 8 & 0xFC;
    }
    return 0;
}

int fab_capability_find_ext(const struct fab_space *space, uint16_t id, uint32_t after) {
    uint32_t at = after ? after : EXT_START, header;
    for (uint32_t steps = 0; steps < (space->limit - EXT_START) / 8; steps++) {
        int rc = fab_space_read(space, at, &header, 1);
        if (rc < 0) return rc;
        if (header == ALL_ONES) return -ENODEV;
        if (header == 0) return 0;
        if ((header & 0xFFFF) == id && at != after) return (int)at;
        at = header >> 20 & 0xFFC;
        if (at < EXT_START || at + 4 > space->limit) return 0;
    }
    return 0;
}

/* ---- all of them ---------------------------------------------------------------------------- */

struct walk {
    const struct fab_space *space;
    struct fab_capability *out;
    size_t max, n;
    uint32_t seen[FUNCTION_CONFIG_BYTES / 4 / 32]; /* bit = a dword where one was found */
};

/* -EPROTO where one was found before, or there is nothing at all. */
static int visit(struct walk *w, uint32_t at, uint32_t *header) {
    uint32_t *word = &w->seen[at / 128], bit = UINT32_C(1) << (at / 4 % 32);
    if (*word & bit) return -EPROTO;
    *word |= bit;
    int rc = fab_space_read(w->space, at, header, 1);
    if (rc < 0) return rc;
    return *header == ALL_ONES ? fab_space_gone(w->space, -EPROTO) : 0;
}

static void found(struct walk *w, uint32_t at, uint16_t id, uint8_t version, bool extended) {
    if (w->n < w->max)
        w->out[w->n] = (struct fab_capability){
            .id = id, .offset = (uint16_t)at, .version = version, .extended = extended};
    w->n++;
}

static uint8_t version_of(uint8_t id, uint32_t header) {
    return (uint8_t)(id == CAP_POWER ? header >> 16 & 7 : id == CAP_PCIE ? header >> 16 & 15 : 0);
}

static int walk_standard(struct walk *w) {
    uint32_t word;
    int rc = fab_space_read(w->space, 0x04, &word, 1);
    if (rc == 0 && word == ALL_ONES) rc = fab_space_gone(w->space, 0);
    if (rc < 0 || !(word & STATUS_CAP_LIST)) return rc;
    rc = fab_space_read(w->space, 0x34, &word, 1);
    uint32_t at = word & 0xFC;
    for (; rc == 0 && at; at = word >> 8 & 0xFC) {
        rc = at < 0x40 ? -EPROTO : visit(w, at, &word);
        if (rc == 0 && (word & 0xFF) == 0 && word != 0) continue; /* the null capability */
        if (rc == 0 && word == 0) rc = -EPROTO;
        if (rc == 0) found(w, at, word & 0xFF, version_of(word & 0xFF, word), false);
    }
    return rc;
}

/* The list always starts at 0x100; zero there means that there is none, elsewhere that a pointer is
 * wrong. */
static int walk_extended(struct walk *w) {
    uint32_t at = EXT_START, word = 0;
    for (; at >= EXT_START && at + 4 <= w->space->limit; at = word >> 20 & 0xFFC) {
        int rc = visit(w, at, &word);
        if (rc < 0) return rc;
        if (word == 0) return at == EXT_START ? 0 : -EPROTO;
        if (word & 0xFFFF) found(w, at, word & 0xFFFF, word >> 16 & 0xF, true);
    }
    return at == 0 || at >= EXT_START ? 0 : -EPROTO;
}

int fab_switch_capabilities(fab_switch *sw, uint32_t where, struct fab_capability *out,
                            size_t max) {
    struct fab_space space;
    int rc = fab_space_at(sw, where, &space);
    if (rc < 0) return rc;
    struct walk w = {.space = &space, .out = out, .max = max};
    rc = walk_standard(&w);
    if (rc == 0) rc = walk_extended(&w);
    return rc < 0 ? rc : (int)w.n;
}
