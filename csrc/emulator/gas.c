/* The register image of one switch: what it holds at start and what writes to it do. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "node.h"

enum { GLOBAL_EVENTS_END = GLOBAL_EVENT_HEADERS + PFF_EVENT_STRIDE * GLOBAL_EVENTS };

void gas_put(struct node_switch *sw, uint32_t at, unsigned bytes, uint64_t value) {
    void *p = sw->image + at;
    switch (bytes) {
        case 1:
            fab_store_relaxed((uint8_t *)p, (uint8_t)value);
            break;
        case 2:
            fab_store_relaxed((uint16_t *)p, (uint16_t)value);
            break;
        case 4:
            fab_store_relaxed((uint32_t *)p, (uint32_t)value);
            break;
        default:
            fab_store_relaxed((uint64_t *)p, value);
            break;
    }
}

uint32_t gas_get(const struct node_switch *sw, uint32_t at) {
    return fab_load_relaxed((const uint32_t *)(const void *)(sw->image + at));
}

static void text(struct node_switch *sw, uint32_t at, size_t bytes, const char *value) {
    memset(sw->image + at, ' ', bytes);
    memcpy(sw->image + at, value, strlen(value) < bytes ? strlen(value) : bytes);
}

static void build_information(struct node_switch *sw) {
    static const char *const families[] = {[FAMILY_PFX] = "PFX", "PSX", "PAX"};
    uint32_t id = sw->node->config.device_id[sw->index];
    char product[25];
    const char *a = sw->generation < 6 && (id >> 8 & 15) > 2 ? "A" : "";
    snprintf(product, sizeof product, "%s%s %uXG%u", families[sw->family], a, sw->lanes,
             sw->generation);
    gas_put(sw, GAS_DEVICE_ID, 4, id);
    gas_put(sw, GAS_DEVICE_VERSION, 4, 0x00010000);
    text(sw, GAS_GEN4_VENDOR, 8, "MSCC");
    text(sw, GAS_GEN4_PRODUCT, 24, product);
    text(sw, GAS_GEN4_REVISION, 2, "B0");
    text(sw, GAS_GEN3_VENDOR, 8, "MSCC");
    text(sw, GAS_GEN3_PRODUCT, 16, product);
    text(sw, GAS_GEN3_REVISION, 4, "B0");
}

static void build_top(struct node_switch *sw) {
    gas_put(sw, GAS_MRPC_DMA_VECTOR, 4, VECTOR_DMA);
    gas_put(sw, GAS_BIFUR_VALID, 1, 1);
    gas_put(sw, GAS_PFF_COUNT, 1, sw->port_count);
    memset(sw->image + GAS_PFF_PORT, 0xFF, GAS_PFF_MAX);
    for (uint32_t k = 0; k < sw->port_count; k++) {
        unsigned id = sw->by_pff[k]->cfg.port;
        gas_put(sw, GAS_PFF_PORT + k, 1, id);
        if (id / 8 < 6) gas_put(sw, GAS_STACK_VALID + id / 8, 1, 1);
    }
}

void gas_build(struct node_switch *sw) {
    build_top(sw);
    build_information(sw);
    partition_build(sw);
    event_build(sw);
    firmware_build(sw);
    for (uint32_t k = 0; k < sw->port_count; k++) port_space_build(sw->by_pff[k]);
}

static void port_write(struct node_switch *sw, uint32_t at, uint32_t value, unsigned width) {
    uint32_t pff = (at - GAS_PFF) / GAS_PFF_STRIDE, reg = (at - GAS_PFF) % GAS_PFF_STRIDE;
    if (pff >= sw->port_count || sw->by_pff[pff]->ones_until_ns) return;
    if (reg < PFF_CONFIG_BYTES)
        port_space_write(sw->by_pff[pff], reg, value, width);
    else
        event_write(sw, at, value);
}

int gas_read(const struct node_switch *sw, uint64_t off, void *out, size_t bytes) {
    if (sw->gone) return -ENODEV;
    if (off > FAB_GAS_BYTES || bytes > FAB_GAS_BYTES - off) return -ERANGE;
    memcpy(out, sw->image + off, bytes);
    return 0;
}

/* One naturally aligned write of 1, 2 or 4 bytes. What is not named is read-only and ignores
 * writes, as hardware does; the doorbell among them, which gas_write and gas_write_block ring. */
static void register_write(struct node_switch *sw, uint32_t at, uint32_t data, unsigned width) {
    if (at >= GAS_PFF)
        port_write(sw, at, data, width);
    else if (at < GAS_MRPC_IN + GAS_MRPC_BYTES ||
             (at >= GAS_MRPC_DMA_EN && at < GAS_MRPC_DMA_VECTOR))
        gas_put(sw, at, width, data);
    else if ((at >= GAS_EVENT_GLOBAL && at < GLOBAL_EVENTS_END) ||
             (at >= GAS_PART_CFG && at < GAS_PART_CFG + GAS_PART_STRIDE * sw->partitions))
        event_write(sw, at, data);
}

int gas_write(struct node_switch *sw, uint64_t off, uint64_t value, unsigned width) {
    if (sw->gone) return -ENODEV;
    if ((width != 1 && width != 2 && width != 4 && width != 8) || off % width) return -EINVAL;
    if (off > FAB_GAS_BYTES - width) return -ERANGE;
    if (off == GAS_MRPC_CMD && width == 4) {
        mrpc_run(sw, (uint32_t)value);
        return 0;
    }
    register_write(sw, (uint32_t)off, (uint32_t)value, width == 8 ? 4 : width);
    if (width == 8) register_write(sw, (uint32_t)off + 4, (uint32_t)(value >> 32), 4);
    return 0;
}

int gas_write_block(struct node_switch *sw, uint64_t off, const void *data, size_t bytes) {
    const uint8_t *from = data;
    if (off == GAS_MRPC_CMD && bytes == 4) return gas_write(sw, off, bytes_get(from, 4), 4);
    if (sw->gone) return -ENODEV;
    if (off > FAB_GAS_BYTES || bytes > FAB_GAS_BYTES - off) return -ERANGE;
    for (size_t done = 0; done < bytes;) {
        unsigned width = 4;
        while ((off + done) % width || width > bytes - done) width /= 2;
        register_write(sw, (uint32_t)(off + done), (uint32_t)bytes_get(from + done, width), width);
        done += width;
    }
    return 0;
}

int gas_trap(void *context, uint64_t off, uint64_t value, unsigned width) {
    struct node_switch *sw = context;
    pthread_mutex_lock(&sw->node->lock);
    int rc = gas_write(sw, off, value, width);
    node_deliver(sw->node);
    pthread_mutex_unlock(&sw->node->lock);
    return rc;
}
