/* The PCI device that a guest finds: the switch's management endpoint, its config space and BAR 0.
 */
#include <errno.h>
#include <string.h>

#include "space.h"
#include "vfio_user.h"

enum { BAR0 = 0, CONFIG = 7, REGIONS = 9, IRQS = 5 }; /* VFIO's numbers for a PCI device */
enum { INFO_RESET = 1, INFO_PCI = 2, REGION_READABLE = 1, REGION_WRITABLE = 2 };
enum { CONFIG_BYTES = 4 * FUNCTION_SPACE_WORDS };
enum {
    AT_POWER = 0x40,
    AT_MSIX = 0x50,
    AT_PCIE = 0x70,
    AT_SERIAL = 0x150,
    MSIX_TABLE = 0x76000, /* in BAR 0, where the kernel's header has the NTB's message block */
    MSIX_PBA = 0x77000,
    BAR_64_BIT = 4
};

/* ---- config space ---- */

static void header(struct space *s, uint32_t device_id, int multifunction) {
    space_put(s, 0x00, 4, PFF_VENDOR | device_id << 16);
    space_allow(s, 0x04, 2, 0x0547);
    space_put(s, 0x06, 2, 0x0010); /* has capabilities */
    space_clearable(s, 0x06, 2, 0xF900);
    space_put(s, 0x08, 4, 0x05800000); /* the class that the kernel's driver binds to */
    space_allow(s, 0x0C, 1, 0xFF);
    space_put(s, 0x0E, 1, multifunction ? 0x80 : 0);
    space_put(s, 0x10, 4, BAR_64_BIT);
    space_allow(s, 0x10, 4, ~(uint32_t)(FAB_GAS_BYTES - 1));
    space_allow(s, 0x14, 4, UINT32_MAX);
    space_put(s, 0x2C, 4, PFF_VENDOR | device_id << 16);
    space_allow(s, 0x3C, 1, 0xFF);
}

/* The link that the endpoint shows: its port's where the topology has one. */
static struct node_port endpoint(const struct node_switch *sw) {
    struct node_port port = {.cfg = {.kind = FAB_PORT_MANAGEMENT, .gen = 4, .cfg_lanes = 4}};
    for (uint32_t k = 0; k < sw->port_count; k++)
        if (sw->by_pff[k]->cfg.kind == FAB_PORT_MANAGEMENT) port.cfg = sw->by_pff[k]->cfg;
    return port;
}

void vfio_user_device_build(struct fab_vfio_user *vu) {
    struct node_switch *sw = vu->sw;
    const struct fab_node_config *config = &sw->node->config;
    struct node_port port = endpoint(sw);
    struct space *s = &vu->space;
    memset(vu->words, 0, sizeof vu->words);
    memset(vu->writable, 0, sizeof vu->writable);
    memset(vu->clearable, 0, sizeof vu->clearable);
    memset(vu->sticky, 0, sizeof vu->sticky);
    *s = (struct space){.words = vu->words,
                        .writable = vu->writable,
                        .clearable = vu->clearable,
                        .sticky = vu->sticky};
    header(s, config->device_id[sw->index], vu->options.multifunction);
    space_power(s, AT_POWER);
    space_msix(s, AT_MSIX, VFIO_USER_VECTORS, MSIX_TABLE | BAR0, MSIX_PBA | BAR0);
    space_pcie(s, AT_PCIE, PCIE_TYPE_ENDPOINT, &port, config);
    space_put(s, AT_PCIE + PCIE_LINK_STATUS, 2,
              port.cfg.gen | (uint32_t)port.cfg.cfg_lanes << 4 | 1u << 12);
    space_aer(s, AT_AER);
    space_serial(s, AT_SERIAL, config->seed << 16 ^ (uint64_t)PFF_VENDOR << 48 ^ sw->index);
}

static void config_read(const struct fab_vfio_user *vu, uint64_t at, uint8_t *out, size_t bytes) {
    if (vu->sw->gone)
        memset(out, 0xFF, bytes);
    else
        memcpy(out, (const uint8_t *)vu->words + at, bytes);
}

static void config_write(struct fab_vfio_user *vu, uint64_t at, const uint8_t *data, size_t bytes) {
    if (vu->sw->gone) return;
    for (size_t done = 0; done < bytes;) { /* a piece stays inside its dword */
        uint32_t off = (uint32_t)(at + done), room = 4 - (off & 3);
        unsigned n = bytes - done < room ? (unsigned)(bytes - done) : room;
        space_write(&vu->space, off, (uint32_t)bytes_get(data + done, n), n);
        done += n;
    }
}

/* ---- what the device is ---- */

int vfio_user_device_info(struct fab_vfio_user *vu, struct vfio_user_request *rq, uint8_t *out) {
    (void)vu;
    if (bytes_get(rq->body, 4) < 16) return -EINVAL;
    bytes_put(out, 4, 16);
    bytes_put(out + 4, 4, INFO_RESET | INFO_PCI);
    bytes_put(out + 8, 4, REGIONS);
    bytes_put(out + 12, 4, IRQS);
    return 16;
}

int vfio_user_region_info(struct fab_vfio_user *vu, struct vfio_user_request *rq, uint8_t *out) {
    (void)vu;
    uint64_t index = bytes_get(rq->body + 8, 4);
    uint64_t bytes = index == BAR0 ? FAB_GAS_BYTES : index == CONFIG ? CONFIG_BYTES : 0;
    if (bytes_get(rq->body, 4) < 32 || index >= REGIONS) return -EINVAL;
    bytes_put(out, 4, 32);
    bytes_put(out + 4, 4, bytes ? REGION_READABLE | REGION_WRITABLE : 0); /* trapped: no file */
    bytes_put(out + 8, 4, index);
    bytes_put(out + 12, 4, 0);
    bytes_put(out + 16, 8, bytes);
    bytes_put(out + 24, 8, index << 40);
    return 32;
}

/* ---- accesses: u64 offset, u32 region, u32 bytes, then data ---- */

static int region_check(const struct vfio_user_request *rq, uint64_t *off, uint32_t *region,
                        uint32_t *bytes) {
    *off = bytes_get(rq->body, 8);
    *region = (uint32_t)bytes_get(rq->body + 8, 4);
    *bytes = (uint32_t)bytes_get(rq->body + 12, 4);
    uint64_t room = *region == BAR0 ? FAB_GAS_BYTES : *region == CONFIG ? CONFIG_BYTES : 0;
    return *bytes > VFIO_USER_DATA || *bytes > room || *off > room - *bytes ? -EINVAL : 0;
}

int vfio_user_region_read(struct fab_vfio_user *vu, struct vfio_user_request *rq, uint8_t *out) {
    uint64_t off;
    uint32_t region, bytes;
    int rc = region_check(rq, &off, &region, &bytes);
    if (rc) return rc;
    memcpy(out, rq->body, 16);
    pthread_mutex_lock(&vu->sw->node->lock);
    if (region == CONFIG)
        config_read(vu, off, out + 16, bytes);
    else if (gas_read(vu->sw, off, out + 16, bytes))
        memset(out + 16, 0xFF, bytes); /* it is gone: nobody answers */
    pthread_mutex_unlock(&vu->sw->node->lock);
    return 16 + (int)bytes;
}

int vfio_user_region_write(struct fab_vfio_user *vu, struct vfio_user_request *rq, uint8_t *out) {
    uint64_t off;
    uint32_t region, bytes;
    int rc = region_check(rq, &off, &region, &bytes);
    if (rc || rq->bytes - 16 != bytes) return -EINVAL;
    memcpy(out, rq->body, 16);
    pthread_mutex_lock(&vu->sw->node->lock);
    if (region == CONFIG)
        config_write(vu, off, rq->body + 16, bytes);
    else
        gas_write_block(vu->sw, off, rq->body + 16, bytes); /* posted: a gone one loses it */
    node_deliver(vu->sw->node);
    pthread_mutex_unlock(&vu->sw->node->lock);
    return 16;
}

/* ---- reset ---- */

/* A function's reset: its config space and its DMA; the switch behind it goes on as it was. */
static void reset(struct fab_vfio_user *vu) {
    vfio_user_device_build(vu);
    gas_put(vu->sw, GAS_MRPC_DMA_EN, 4, 0);
    gas_put(vu->sw, GAS_MRPC_DMA_ADDR, 8, 0);
}

int vfio_user_device_reset(struct fab_vfio_user *vu, struct vfio_user_request *rq, uint8_t *out) {
    (void)rq, (void)out;
    pthread_mutex_lock(&vu->sw->node->lock);
    reset(vu);
    pthread_mutex_unlock(&vu->sw->node->lock);
    return 0;
}

void vfio_user_device_forget(struct fab_vfio_user *vu) {
    pthread_mutex_lock(&vu->sw->node->lock);
    vfio_user_irq_forget(vu);
    vfio_user_dma_forget(vu);
    reset(vu);
    pthread_mutex_unlock(&vu->sw->node->lock);
}
