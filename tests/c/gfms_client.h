/* What the tests ask a PAX about its fabric, in the vendor's client's sequences: sizes, offsets and
 * values are those of its structures, written as numbers. */
#ifndef FAB_GFMS_CLIENT_H
#define FAB_GFMS_CLIENT_H

#include "emulator_client.h"

static inline uint16_t u16(const uint8_t *p) {
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t u24(const uint8_t *p) {
    return word_at(p, 0) & 0xFFFFFF;
}

static inline int64_t ask(fab_node *node, size_t sw, uint32_t id, const void *in, size_t in_bytes,
                          void *out, size_t out_bytes) {
    return command(node, sw, 0x7C0000 | id, in, in_bytes, out, out_bytes);
}

/* start, get until the echoed offset and size reach the end, finish; returns the bytes. */
static inline uint32_t read_dump(fab_node *node, size_t sw, uint8_t kind, uint8_t which,
                                 uint8_t *out) {
    /* of a host's get only the start says which; of an endpoint port's, both */
    uint8_t start[8] = {kind, which, 0, 0, 1}, get[12] = {kind, kind == 5 ? which : 0, 0, 0, 2};
    uint8_t finish[8] = {kind, 0, 0, 0, 3}, reply[1024];
    CHECK_EQ(ask(node, sw, 0x83, start, 8, reply, 8), 0);
    uint32_t total = word_at(reply, 0), offset = 0, size;
    CHECK_EQ(word_at(reply, 4), 1);
    do {
        memcpy(get + 8, &offset, 4);
        memset(reply, 0xEE, sizeof reply);
        CHECK_EQ(ask(node, sw, 0x83, get, 12, reply, 1024), 0);
        size = word_at(reply, 4);
        CHECK_EQ(word_at(reply, 0), offset);
        CHECK(size > 3 && size <= 0xF0 && word_at(reply, 8) == 0);
        CHECK_EQ(reply[1023], 0); /* padded */
        size -= 3;
        memcpy(out + 4 * offset, reply + 12, 4 * size);
        offset += size;
    } while (total > word_at(reply, 0) + size);
    CHECK_EQ(offset, total);
    CHECK_EQ(ask(node, sw, 0x83, finish, 8, NULL, 0), 0);
    CHECK_EQ(ask(node, sw, 0x83, get, 12, NULL, 0), 0x64007); /* finished */
    return 4 * total;
}

static uint8_t reply[1024];

/* Port binding: sub-command and its three parameters. */
static inline int64_t port_bind(fab_node *node, size_t sw, unsigned a, unsigned b, unsigned c,
                                unsigned d) {
    uint8_t in[4] = {(uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d};
    return ask(node, sw, 0x0C, in, 4, reply, a == 2 ? 196 : 4);
}

static inline fab_node *make_as(uint32_t device_id) {
    fab_node *node = NULL;
    default_node_fill(&plan);
    for (unsigned k = 0; k < 4; k++) plan.config.device_id[k] = device_id;
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, NULL, &node), 0);
    return node;
}

/* Configured width in the high byte, negotiated in the low one. */
static inline uint16_t link_of(fab_node *node, size_t sw, unsigned port) {
    uint64_t one = UINT64_C(1) << port;
    uint8_t status[720];
    CHECK_EQ(ask(node, sw, 0x1C, &one, 8, status, 720), 0);
    CHECK_EQ(status[0], port);
    CHECK_EQ(status[3], port / 8 << 4 | port % 8);
    return (uint16_t)(status[4] << 8 | status[5]);
}

#endif
