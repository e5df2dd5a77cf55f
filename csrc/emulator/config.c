/* Config spaces: building them, masked writes, resets. */
#include "node.h"

static uint32_t ones(unsigned bytes) {
    return bytes >= 4 ? UINT32_MAX : (UINT32_C(1) << (8 * bytes)) - 1;
}

/* 1..4 bytes at `at`, inside one dword. */
static uint32_t lane_mask(uint32_t at, unsigned bytes) {
    return ones(bytes) << (8 * (at & 3));
}

static void merge(uint32_t *words, uint32_t at, unsigned bytes, uint32_t value) {
    uint32_t mask = lane_mask(at, bytes), *word = &words[at >> 2];
    fab_store_relaxed(word, (*word & ~mask) | ((value << (8 * (at & 3))) & mask));
}

void space_put(struct space *s, uint32_t at, unsigned bytes, uint32_t value) {
    merge(s->words, at, bytes, value);
}

void space_set(struct space *s, uint32_t at, unsigned bytes, uint32_t bits) {
    merge(s->words, at, bytes, space_get(s, at, bytes) | bits);
}

void space_allow(struct space *s, uint32_t at, unsigned bytes, uint32_t mask) {
    merge(s->writable, at, bytes, mask);
}

void space_clearable(struct space *s, uint32_t at, unsigned bytes, uint32_t mask) {
    merge(s->clearable, at, bytes, mask);
}

void space_sticky(struct space *s, uint32_t at, unsigned bytes, uint32_t mask) {
    merge(s->sticky, at, bytes, mask);
}

uint32_t space_get(const struct space *s, uint32_t at, unsigned bytes) {
    return (s->words[at >> 2] & lane_mask(at, bytes)) >> (8 * (at & 3));
}

void space_write(struct space *s, uint32_t at, uint32_t value, unsigned bytes) {
    uint32_t lanes = lane_mask(at, bytes), *word = &s->words[at >> 2];
    uint32_t change = s->writable[at >> 2] & lanes;
    uint32_t shifted = value << (8 * (at & 3));
    uint32_t next = (*word & ~change) | (shifted & change);
    fab_store_relaxed(word, next & ~(shifted & s->clearable[at >> 2] & lanes));
}

uint32_t space_written(uint32_t at, uint32_t value, unsigned bytes, uint32_t reg, unsigned width) {
    if ((at & ~3u) != (reg & ~3u)) return 0;
    return (value & ones(bytes)) << (8 * (at & 3)) >> (8 * (reg & 3)) & ones(width);
}

void space_restore(struct space *s, const uint32_t *kept, unsigned words) {
    for (unsigned k = 0; k < words; k++)
        fab_store_relaxed(&s->words[k], (s->words[k] & ~s->sticky[k]) | (kept[k] & s->sticky[k]));
}

void space_cap(struct space *s, uint32_t at, uint8_t id) {
    space_put(s, s->cap_tail ? s->cap_tail : 0x34, 1, at);
    space_put(s, at, 1, id);
    s->cap_tail = (uint16_t)(at + 1);
}

void space_ext(struct space *s, uint32_t at, uint16_t id, uint8_t version) {
    if (s->ext_tail)
        space_put(s, s->ext_tail, 4, (space_get(s, s->ext_tail, 4) & 0xFFFFFu) | at << 20);
    space_put(s, at, 4, id | (uint32_t)version << 16);
    s->ext_tail = (uint16_t)at;
}
