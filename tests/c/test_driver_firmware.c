/* The driver's firmware functions against emulated switches of each generation. */
#include <errno.h>

#include "firmware_client.h"

static uint8_t image[IMAGE_BYTES];

static fab_switch *open_switch(fab_node *node, size_t sw) {
    fab_switch *made = NULL;
    CHECK_EQ(fab_switch_open(fab_node_bar(node, sw), &made), 0);
    return made;
}

static const struct fab_firmware_partition *pick(const struct fab_firmware_partition *list, int n,
                                                 unsigned kind, unsigned index) {
    for (int k = 0; k < n; k++)
        if (list[k].kind == kind && list[k].index == index) return &list[k];
    CHECK(!"no such partition");
    return list;
}

static void test_partitions_are_listed_with_version_flags_and_place(const struct identity *as) {
    struct fab_firmware_partition list[FAB_FIRMWARE_MAX];
    struct listed raw[23];
    fab_node *node = make_as(as->device_id, 0);
    fab_switch *sw = open_switch(node, 0);
    char text[16];
    int n = fab_switch_firmware_partitions(sw, list, FAB_FIRMWARE_MAX);
    CHECK_EQ(n, (int)(as->bytes - 64) / 32);
    fw_info(node, 0, as, raw);
    for (int k = 0; k < n; k++) {
        CHECK_EQ(list[k].start, raw[k].start);
        CHECK_EQ(list[k].size, 4 * raw[k].dwords);
        CHECK_EQ(list[k].version, raw[k].version);
        CHECK(list[k].valid == raw[k].valid && list[k].active == raw[k].active);
        CHECK(list[k].running == raw[k].running && list[k].read_only == raw[k].read_only);
    }
    const struct fab_firmware_partition *p = pick(list, n, FAB_FIRMWARE_IMG, 0);
    CHECK(p->valid && p->active && p->running && !p->is_signed);
    snprintf(text, sizeof text, "%u.02 B0B0", 3 * as->generation - 9);
    CHECK_EQ(strcmp(p->text, text), 0);
    CHECK_EQ(strcmp(p->name, "IMG"), 0);
    CHECK_EQ(p->crc, raw[at_img(as)].crc);
    CHECK_EQ(pick(list, n, FAB_FIRMWARE_CFG, 1)->active, 0);
    CHECK_EQ(pick(list, n, FAB_FIRMWARE_VENDOR, 7)->valid, 0);
    CHECK_EQ(fab_switch_firmware_partitions(sw, list, 3), 3);
    CHECK_EQ(fab_switch_boot_phase(sw), 3);
    fab_switch_close(sw);
    fab_node_close(node);
}

static int count(void *context, size_t done, size_t total) {
    size_t *last = context;
    CHECK(done > *last && done <= total);
    *last = done;
    return 0;
}

static void test_an_update_is_sent_read_back_and_runs_after_a_reset(const struct identity *as) {
    struct fab_firmware_partition list[FAB_FIRMWARE_MAX];
    struct fab_switch_info info;
    uint32_t status = 0;
    size_t done = 0;
    fab_node *node = make_as(as->device_id, 0);
    fab_switch *sw = open_switch(node, 1);
    image_make(image, as->generation, as->img, 9);
    CHECK_EQ(fab_switch_firmware_update(sw, image, IMAGE_BYTES, 0, count, &done, &status), 0);
    CHECK_EQ(status, 8);
    CHECK_EQ(done, IMAGE_BYTES);
    boot(node, 1);
    CHECK_EQ(fab_switch_identify(sw, &info), 0);
    CHECK_EQ(info.fw_version, word_at(image, 0x24));
    CHECK_EQ(fab_switch_firmware_toggle(sw, 1 << FAB_FIRMWARE_IMG | 1 << FAB_FIRMWARE_KEY), 0);
    int n = fab_switch_firmware_partitions(sw, list, FAB_FIRMWARE_MAX);
    CHECK_EQ(pick(list, n, FAB_FIRMWARE_IMG, 0)->active, 1);
    CHECK_EQ(pick(list, n, FAB_FIRMWARE_IMG, 1)->running, 1);
    CHECK_EQ(pick(list, n, FAB_FIRMWARE_KEY, 1)->active, 1);
    CHECK_EQ(pick(list, n, FAB_FIRMWARE_CFG, 0)->active, 1);
    image_make(image, as->generation, as->cfg, 3);
    CHECK_EQ(
        fab_switch_firmware_update(sw, image, IMAGE_BYTES, FAB_FIRMWARE_KEEP, NULL, NULL, &status),
        0);
    CHECK_EQ(status, 7);
    n = fab_switch_firmware_partitions(sw, list, FAB_FIRMWARE_MAX);
    CHECK_EQ(pick(list, n, FAB_FIRMWARE_CFG, 0)->active, 1);
    CHECK_EQ(pick(list, n, FAB_FIRMWARE_CFG, 1)->version, word_at(image, 0x24));
    fab_switch_close(sw);
    fab_node_close(node);
}

/* What the switch has not seen leaves its download status untouched. */
static void test_what_cannot_run_is_refused_before_anything_is_sent(void) {
    uint32_t status = 99;
    fab_node *node = make_as(0x5200, 0);
    fab_switch *sw = open_switch(node, 0);
    static uint8_t large[9 << 20];
#define UPDATE(data, bytes, flags) \
    fab_switch_firmware_update(sw, data, bytes, flags, NULL, NULL, &status)
    image_make(image, 5, 5, 9);
    CHECK_EQ(UPDATE(NULL, 0, 0), -EINVAL);
    CHECK_EQ(UPDATE(image, IMAGE_BYTES, 8), -EINVAL);
    CHECK_EQ(UPDATE(image, 627, 0), -ENOEXEC);
    CHECK_EQ(UPDATE(image, IMAGE_BYTES - 1, 0), -ENOEXEC); /* cut off */
    image[4] = 'x';
    CHECK_EQ(UPDATE(image, IMAGE_BYTES, 0), -ENOEXEC);
    image_make(image, 5, 6, 9);
    CHECK_EQ(UPDATE(image, IMAGE_BYTES, 0), -ENOEXEC); /* NVLOG */
    image_make(image, 5, 1000, 9);
    CHECK_EQ(UPDATE(image, IMAGE_BYTES, 0), -ENOEXEC);
    image_make(image, 6, 4, 9);
    CHECK_EQ(UPDATE(image, IMAGE_BYTES, 0), -EXDEV);
    image_make(image, 5, 0, 9);
    CHECK_EQ(UPDATE(image, IMAGE_BYTES, 0), -EACCES);
    image_make(image, 5, 5, 9);
    memcpy(large, image, IMAGE_BYTES);
    CHECK_EQ(UPDATE(large, sizeof large, 0), -EFBIG);
    CHECK_EQ(mailbox_status(node, 0, 5), 0); /* nothing was begun */
    CHECK_EQ(send_block(node, 0, 5, 1, 0, image, IMAGE_BYTES, 0, 1008), 0x0201);
    CHECK_EQ(UPDATE(image, IMAGE_BYTES, 0), -EBUSY);
    CHECK_EQ(mailbox_status(node, 0, 5), 0x0201);
    CHECK_EQ(UPDATE(image, IMAGE_BYTES, FAB_FIRMWARE_FORCE), 0);
    CHECK_EQ(fab_switch_firmware_toggle(sw, 0), -EINVAL);
    CHECK_EQ(fab_switch_firmware_toggle(sw, 1 << FAB_FIRMWARE_MAP), -EINVAL);
    fab_switch_close(sw);
    fab_node_close(node);
}

static int stop(void *context, size_t done, size_t total) {
    (void)context;
    return 2 * done > total;
}

static void test_a_failed_update_says_why_and_leaves_what_runs(void) {
    struct fab_firmware_partition list[FAB_FIRMWARE_MAX];
    uint32_t status = 99;
    fab_node *node = make_as(0x5200, 0);
    fab_switch *sw = open_switch(node, 0);
    unsigned old = reg(node, 0, 0x2008);
    image_make(image, 5, 5, 9);
    image[IMAGE_BYTES - 1] ^= 1;
    CHECK_EQ(UPDATE(image, IMAGE_BYTES, 0), -EIO);
    CHECK_EQ(status, 4);
    CHECK_EQ(strcmp(fab_firmware_text(status), "the image's CRC is incorrect"), 0);
    image_make(image, 5, 5, 9);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_FIRMWARE_TORN, 0, 2), 0);
    CHECK_EQ(UPDATE(image, IMAGE_BYTES, 0), -EIO);
    CHECK_EQ(status, 2);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_FIRMWARE_TORN, 0, 0), 0);
    int n = fab_switch_firmware_partitions(sw, list, FAB_FIRMWARE_MAX);
    CHECK_EQ(pick(list, n, FAB_FIRMWARE_IMG, 1)->valid, 0);
    /* a partition without an image is not chosen to boot: neither kind changes */
    CHECK_EQ(fab_switch_firmware_toggle(sw, 1 << FAB_FIRMWARE_IMG | 1 << FAB_FIRMWARE_CFG),
             -ENOEXEC);
    CHECK_EQ(fab_switch_firmware_update(sw, image, IMAGE_BYTES, 0, stop, NULL, &status),
             -ECANCELED);
    CHECK_EQ(status, 1);
    n = fab_switch_firmware_partitions(sw, list, FAB_FIRMWARE_MAX);
    CHECK(pick(list, n, FAB_FIRMWARE_IMG, 0)->active && pick(list, n, FAB_FIRMWARE_CFG, 0)->active);
    boot(node, 0);
    CHECK_EQ(reg(node, 0, 0x2008), old);
    fab_switch_set_timeout(sw, 1000000);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_MRPC_STUCK, 0, 100), 0);
    CHECK_EQ(UPDATE(image, IMAGE_BYTES, 0), -ETIMEDOUT);
    CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_GONE, 0, 0), 0);
    CHECK_EQ(UPDATE(image, IMAGE_BYTES, 0), -ENODEV);
    CHECK_EQ(strcmp(fab_firmware_text(0x10), "the partition is running: reset the switch first"),
             0);
    CHECK(fab_firmware_text(0x14) && fab_firmware_text(UINT32_MAX));
    fab_switch_close(sw);
    fab_node_close(node);
}

/* The loader takes images by a command of its own; the same functions use it. */
static void test_a_switch_that_waits_in_its_loader_is_brought_back(const struct identity *as) {
    uint8_t toggle[8] = {2, 1}, out[1024];
    uint32_t status;
    fab_node *node = make_as(as->device_id, 0);
    fab_switch *sw = open_switch(node, 0);
    image_make(image, as->generation, as->img, 9);
    image[IMAGE_BYTES - 1] ^= 1;
    CHECK_EQ(UPDATE(image, IMAGE_BYTES, 0), -EIO);
    CHECK_EQ(ask(node, 0, as->word | 5, toggle, 8, out, 4), 0); /* against all advice */
    boot(node, 0);
    CHECK_EQ(fab_switch_boot_phase(sw), 2);
    image[IMAGE_BYTES - 1] ^= 1;
    CHECK_EQ(fab_switch_firmware_toggle(sw, 1 << FAB_FIRMWARE_IMG | 1 << FAB_FIRMWARE_BL2), 0);
    CHECK_EQ(UPDATE(image, IMAGE_BYTES, 0), 0);
    boot(node, 0);
    CHECK_EQ(fab_switch_boot_phase(sw), 3);
    CHECK_EQ(reg(node, 0, 0x2008), word_at(image, 0x24));
    CHECK_EQ(reg(node, 0, 0x2208) & 0xFF, 1);
    fab_switch_close(sw);
    fab_node_close(node);
}

static void test_security_says_serial_state_and_keys(void) {
    struct fab_security s;
    uint8_t out[1024], zero[4] = {0};
    for (uint32_t state = 0; state < 3; state++) {
        for (unsigned k = 0; k < IDENTITIES; k++) {
            const struct identity *as = &identities[k];
            fab_node *node = make_as(as->device_id, state);
            fab_switch *sw = open_switch(node, 3);
            CHECK_EQ(fab_switch_security(sw, &s), 0);
            int gen6 = as->generation == 6;
            CHECK_EQ(s.serial_bytes, gen6 ? 64 : 4);
            CHECK_EQ(s.secure_state, gen6 ? 0xFF : state);
            CHECK_EQ(s.keys, state ? 4 : 0);
            CHECK_EQ(s.attestation, as->generation == 5 ? FAB_ATTESTATION_NONE : 0);
            static const uint32_t commands[] = {0x101, 0x111, 0x126}, bytes[] = {312, 704, 808};
            unsigned g = as->generation - 4;
            CHECK_EQ(ask(node, 3, as->word | commands[g], zero, 4, out, bytes[g]), 0);
            for (unsigned j = 0; j < s.keys; j++)
                CHECK_EQ(memcmp(s.key_hash[j], out + (gen6 ? 40 : 24) + 64 * j, 64), 0);
            fab_switch_close(sw);
            fab_node_close(node);
        }
    }
}

int main(void) {
    for (unsigned k = 0; k < IDENTITIES; k++) {
        test_partitions_are_listed_with_version_flags_and_place(&identities[k]);
        test_an_update_is_sent_read_back_and_runs_after_a_reset(&identities[k]);
        test_a_switch_that_waits_in_its_loader_is_brought_back(&identities[k]);
    }
    test_what_cannot_run_is_refused_before_anything_is_sent();
    test_a_failed_update_says_why_and_leaves_what_runs();
    test_security_says_serial_state_and_keys();
    return CHECK_RESULT;
}
