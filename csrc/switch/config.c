/* Config space of ports and functions in 1, 2 or 4 bytes; bits that are set, read back and undone.
 */
#include <errno.h>

#include "driver.h"

static uint32_t ones(uint8_t bytes) {
    return UINT32_MAX >> (32 - 8 * bytes);
}

int fab_space_at(fab_switch *sw, uint32_t where, struct fab_space *out) {
    if (where & ~(uint32_t)(FAB_AT_FUNCTION | 0xFFFF)) return -EINVAL;
    if (where & FAB_AT_FUNCTION) {
        fab_space_function(sw, (uint16_t)where, out);
        return 0;
    }
    return where < PORT_IDS ? fab_space_port(sw, (uint8_t)where, out) : -ENOENT;
}

int fab_space_check(const struct fab_space *space, uint32_t addr, uint8_t bytes) {
    if ((bytes != 1 && bytes != 2 && bytes != 4) || addr % bytes) return -EINVAL;
    return addr + bytes > space->limit ? -ERANGE : 0;
}

int fab_space_get(const struct fab_space *space, uint32_t addr, uint8_t bytes, uint32_t *out) {
    int rc = fab_space_check(space, addr, bytes);
    if (rc < 0) return rc;
    if (space->pdfid >= 0)
        return fab_switch_function_read(space->sw, (uint16_t)space->pdfid, (uint16_t)addr, bytes,
                                        out);
    uint8_t byte;
    uint16_t word;
    uint64_t at = space->base + addr;
    if (bytes == 4) return fab_bar_read32(space->sw->bar, at, out);
    rc = bytes == 2 ? fab_bar_read16(space->sw->bar, at, &word)
                    : fab_bar_read8(space->sw->bar, at, &byte);
    if (rc == 0) *out = bytes == 2 ? word : byte;
    return rc;
}

int fab_space_put(const struct fab_space *space, uint32_t addr, uint8_t bytes, uint32_t value) {
    int rc = fab_space_check(space, addr, bytes);
    if (rc < 0) return rc;
    if (space->pdfid >= 0)
        return fab_function_put(space->sw, (uint16_t)space->pdfid, (uint16_t)addr, bytes, value);
    uint64_t at = space->base + addr;
    if (bytes == 4) return fab_bar_write32(space->sw->bar, at, value);
    return bytes == 2 ? fab_bar_write16(space->sw->bar, at, (uint16_t)value)
                      : fab_bar_write8(space->sw->bar, at, (uint8_t)value);
}

int fab_space_gone(const struct fab_space *space, int otherwise) {
    uint32_t id;
    int rc = fab_space_get(space, 0, 4, &id);
    if (rc < 0) return rc;
    return id == ALL_ONES ? -ENODEV : otherwise;
}

/* ---- bits ----------------------------------------------------------------------------------- */

static int put_bits(const struct fab_space *space, uint32_t addr, uint8_t bytes, uint32_t mask,
                    uint32_t bits) {
    uint32_t now;
    int rc = fab_space_get(space, addr, bytes, &now);
    if (rc == 0 && now == ones(bytes)) rc = fab_space_gone(space, 0);
    if (rc == 0 && (now & mask) == bits) return 0;
    if (rc == 0) rc = fab_space_put(space, addr, bytes, (now & ~mask) | bits);
    if (rc == 0) rc = fab_space_get(space, addr, bytes, &now);
    if (rc < 0) return rc;
    return (now & mask) == bits ? 0 : fab_space_gone(space, -EIO);
}

static int config_back(struct fab_step *step) {
    return put_bits(&step->config.space, step->config.addr, step->config.bytes, step->config.mask,
                    step->config.value & step->config.mask);
}

static struct fab_step *note_config(const struct fab_space *space, uint32_t addr, uint8_t bytes,
                                    uint32_t mask, uint32_t old) {
    struct fab_step *step = fab_undo_note(space->sw, config_back);
    step->config.space = *space;
    step->config.addr = addr;
    step->config.bytes = bytes;
    step->config.mask = mask;
    step->config.value = old;
    return step;
}

int fab_space_set(const struct fab_space *space, uint32_t addr, uint8_t bytes, uint32_t mask,
                  uint32_t bits) {
    uint32_t old;
    int rc = fab_space_get(space, addr, bytes, &old);
    if (rc == 0 && old == ones(bytes)) rc = fab_space_gone(space, 0);
    if (rc < 0 || (old & mask) == bits) return rc;
    note_config(space, addr, bytes, mask, old);
    return put_bits(space, addr, bytes, mask, bits);
}

/* ---- public --------------------------------------------------------------------------------- */

int fab_switch_config_read(fab_switch *sw, uint32_t where, uint16_t addr, uint8_t bytes,
                           uint32_t *value) {
    struct fab_space space;
    int rc = fab_space_at(sw, where, &space);
    return rc < 0 ? rc : fab_space_get(&space, addr, bytes, value);
}

/* Only the bits that the write has changed are its own to take back: the others are read-only, or
 * the device's. Where the write failed that is not known, so all of them are. */
static int write_noted(fab_switch *sw, uint32_t where, uint32_t addr, uint8_t bytes,
                       uint32_t value) {
    struct fab_space at, *space = &at;
    uint32_t old, now;
    int rc = fab_space_at(sw, where, space);
    if (rc == 0) rc = fab_space_get(space, addr, bytes, &old);
    if (rc < 0) return rc;
    struct fab_step *step = note_config(space, addr, bytes, ones(bytes), old);
    rc = fab_space_put(space, addr, bytes, value);
    if (rc < 0 || !sw->change) return rc;
    rc = fab_space_get(space, addr, bytes, &now);
    if (rc == 0) step->config.mask = old ^ now;
    return rc;
}

int fab_switch_config_write(fab_switch *sw, uint32_t where, uint16_t addr, uint8_t bytes,
                            uint32_t value) {
    size_t mark;
    int rc = fab_undo_begin(sw, 1, &mark);
    if (rc < 0) return rc;
    return fab_undo_end(sw, mark, write_noted(sw, where, addr, bytes, value));
}
