/* What the emulated switch does with images that are wrong, torn or not allowed, and a switch that
 * has none to run. */
#include "firmware_client.h"

static uint8_t image[IMAGE_BYTES];

/* Sends it to a fresh Gen5 switch; the old firmware must still be the one that boots. */
static unsigned refused(int wants_invalid) {
    struct listed p[23];
    fab_node *node = make_as(0x5200, 0);
    unsigned old = reg(node, 0, 0x2008), status = send_image(node, 0, 0, image, IMAGE_BYTES);
    fw_info(node, 0, &identities[0], p);
    CHECK(p[10].valid && p[10].active && p[10].running && !p[11].active);
    CHECK_EQ(p[11].valid, !wants_invalid);
    boot(node, 0);
    CHECK_EQ(reg(node, 0, 0x2008), old);
    fab_node_close(node);
    return status;
}

static void test_a_wrong_header_is_refused_before_flash_is_touched(void) {
    image_make(image, 5, 5, 9);
    image[0] = 'm';
    image_seal(image);
    CHECK_EQ(refused(0), 0xFF02);
    image_make(image, 4, 4, 9); /* another generation's */
    CHECK_EQ(refused(0), 0xFF02);
    image_make(image, 5, 5, 9);
    image[0x270] ^= 1; /* its CRC */
    CHECK_EQ(refused(0), 0xFF02);
    image_make(image, 5, 6, 9); /* NVLOG: not for upload */
    CHECK_EQ(refused(0), 0xFF02);
    image_make(image, 5, 99, 9);
    CHECK_EQ(refused(0), 0xFF02);
    image_make(image, 5, 5, 9);
    image_le(image + 0x10, 4, 600); /* a header shorter than the metadata */
    image_seal(image);
    CHECK_EQ(refused(0), 0xFF02);
    image_make(image, 5, 5, 9);
    image_le(image + 0x18, 4, IMAGE_BODY + 1); /* more than was sent */
    image_seal(image);
    CHECK_EQ(refused(0), 0xFF05);
    image_make(image, 5, 0, 9); /* the map is read-only */
    CHECK_EQ(refused(0), 0xFF0D);
}

static void test_a_damaged_image_is_refused_and_its_partition_invalid(void) {
    image_make(image, 5, 5, 9);
    image[IMAGE_HEADER] ^= 0x10; /* its first byte */
    CHECK_EQ(refused(1), 0xFF04);
    image_make(image, 5, 5, 9);
    image[IMAGE_BYTES - 1] ^= 1; /* its last */
    CHECK_EQ(refused(1), 0xFF04);
    image_make(image, 5, 5, 9);
    image[IMAGE_HEADER - 1] = 1; /* between header and image nothing counts */
    fab_node *node = make_as(0x5200, 0);
    CHECK_EQ(send_image(node, 0, 0, image, IMAGE_BYTES), 0x0208);
    fab_node_close(node);
}

/* An image whose builder left its CRCs out, or counted the header into its length. */
static void test_an_image_without_checksums_passes_unless_the_switch_is_secured(void) {
    fab_node *node = make_as(0x5200, 0), *secured = make_as(0x5200, 2);
    image_make(image, 5, 5, 9);
    image_le(image + 0x54, 4, 0);
    image_le(image + 0x270, 4, 0);
    CHECK_EQ(send_image(node, 0, 0, image, IMAGE_BYTES), 0x0208);
    image_make(image, 5, 5, 9);
    image_le(image + 0x18, 4, IMAGE_BYTES);
    image_seal(image);
    CHECK_EQ(send_image(node, 0, 0, image, IMAGE_BYTES), 0x0208);
    image_make(image, 5, 5, 9);
    image_sign(image, 1);
    image_le(image + 0x270, 4, 0);
    CHECK_EQ(send_image(secured, 0, 0, image, IMAGE_BYTES), 0xFF02);
    fab_node_close(node);
    fab_node_close(secured);
}

static void test_blocks_out_of_order_and_impossible_lengths_are_refused(void) {
    fab_node *node = make_as(0x5200, 0);
    image_make(image, 5, 5, 9);
    CHECK_EQ(send_block(node, 0, 5, 1, 0, image, IMAGE_BYTES, 1008, 1008), 0x0303); /* no first */
    CHECK_EQ(send_block(node, 0, 5, 1, 0, image, IMAGE_BYTES, 0, 1008), 0x0201);
    CHECK_EQ(send_block(node, 0, 5, 1, 0, image, IMAGE_BYTES, 2016, 1008), 0x0303);
    CHECK_EQ(send_block(node, 0, 5, 1, 0, image, IMAGE_BYTES, 1008, 1008), 0x0303); /* it is over */
    CHECK_EQ(send_block(node, 0, 5, 1, 0, image, 31, 0, 31), 0xFF0A);
    CHECK_EQ(send_block(node, 0, 5, 1, 0, image, 32, 0, 32), 0xFF02); /* no metadata came */
    CHECK_EQ(send_block(node, 0, 5, 1, 0, image, IMAGE_BYTES, 0, 0), 0xFF05);
    CHECK_EQ(send_block(node, 0, 5, 1, 0, image, IMAGE_BYTES, 0, 1009), 0xFF05);
    CHECK_EQ(send_block(node, 0, 5, 1, 0, image, 9 << 20, 0, 1008), 0xFF05); /* 8 MiB fit */
    CHECK_EQ(send_block(node, 0, 5, 1, 0, image, IMAGE_BYTES, 0, 100), 0x0201);
    CHECK_EQ(send_block(node, 0, 5, 1, 0, image, IMAGE_BYTES + 1, 100, 100), 0xFF05);
    /* small blocks do as well: metadata that comes in pieces */
    unsigned status = 0;
    for (uint32_t at = 0; at < IMAGE_BYTES; at += 100) {
        uint32_t n = IMAGE_BYTES - at < 100 ? IMAGE_BYTES - at : 100;
        status = send_block(node, 0, 5, 1, 0, image, IMAGE_BYTES, at, n);
    }
    CHECK_EQ(status, 0x0208);
    uint8_t bad[4] = {77}, out[1024];
    CHECK_EQ(ask(node, 0, 0x007C0005, bad, 4, out, 0), 0x64004);
    fab_node_close(node);
}

static void test_a_running_partition_that_toggle_left_inactive_is_refused(void) {
    uint8_t toggle[8] = {2, 1}, out[1024];
    fab_node *node = make_as(0x5200, 0);
    image_make(image, 5, 5, 9);
    CHECK_EQ(ask(node, 0, 0x007C0005, toggle, 8, out, 4), 0);
    CHECK_EQ(send_image(node, 0, 0, image, IMAGE_BYTES), 0xFF10);
    CHECK_EQ(reg(node, 0, 0x2208) >> 16 & 0xFF, 1); /* what was chosen stays chosen */
    fab_node_close(node);
}

static void test_lost_blocks_end_in_an_error_and_the_old_image_boots(void) {
    struct listed p[23];
    image_make(image, 5, 5, 9);
    for (unsigned before = 0; before < 6; before++) { /* whichever block it is */
        fab_node *node = make_as(0x5200, 0);
        unsigned old = reg(node, 0, 0x2008), status = 0;
        for (uint32_t k = 0; k < 6; k++) {
            if (k == before) CHECK_EQ(fab_node_fault(node, 0, FAB_FAULT_FIRMWARE_TORN, 0, 1), 0);
            uint32_t at = 1008 * k, n = IMAGE_BYTES - at < 1008 ? IMAGE_BYTES - at : 1008;
            status = send_block(node, 0, 5, 1, 0, image, IMAGE_BYTES, at, n);
            if (k == 0 && before == 0) break;
        }
        CHECK_EQ(status, before == 0 ? 0xFF02 : 0xFF04);
        fw_info(node, 0, &identities[0], p);
        CHECK_EQ(p[11].valid, before == 0);
        CHECK(p[10].active && p[10].running);
        boot(node, 0);
        CHECK_EQ(reg(node, 0, 0x2008), old);
        CHECK_EQ(send_image(node, 0, 0, image, IMAGE_BYTES), 0x0208); /* and it can be done again */
        fab_node_close(node);
    }
}

/* An image that waited is being replaced and the power fails: what ran boots again. */
static void test_an_image_that_waits_is_not_booted_half_replaced(void) {
    fab_node *node = make_as(0x5200, 0);
    unsigned old = reg(node, 0, 0x2008);
    image_make(image, 5, 5, 9);
    CHECK_EQ(send_image(node, 0, 0, image, IMAGE_BYTES), 0x0208);
    CHECK_EQ(send_block(node, 0, 5, 1, 0, image, IMAGE_BYTES, 0, 1008), 0x0201);
    boot(node, 0);
    CHECK_EQ(reg(node, 0, 0x2008), old);
    fab_node_close(node);
}

/* The ping's boot phase, and how the loader is talked out of it. */
static void test_a_switch_without_an_image_waits_in_its_loader(const struct identity *as) {
    static const uint16_t loaders[] = {0x107, 0x117, 0x122};
    uint32_t loader = loaders[as->generation - 4];
    uint8_t out[1024], in[4] = {1, 2, 3, 4}, toggle[8] = {2, 1}, loader_toggle[8] = {4, 1};
    fab_node *node = make_as(as->device_id, 0);
    image_make(image, as->generation, as->img, 9);
    CHECK_EQ(ask(node, 0, as->word | loader, toggle, 4, out, 0), 0x64007); /* not now */
    CHECK_EQ(send_block(node, 0, 5, 1, 0, image, IMAGE_BYTES, 0, 1008), 0x0201);
    CHECK_EQ(ask(node, 0, as->word | 5, toggle, 8, out, 0), 0x64007); /* nor in the middle */
    CHECK_EQ(send_block(node, 0, 5, 1, 0, image, IMAGE_BYTES, 5, 1008), 0x0303);
    CHECK_EQ(ask(node, 0, as->word | 5, toggle, 8, out, 4), 0);
    boot(node, 0);
    CHECK_EQ(ask(node, 0, as->word | 0x100, in, 4, out, 8), 0);
    CHECK_EQ(word_at(out, 0), 2u | (as->generation - 4) << 12);
    CHECK_EQ(word_at(out, 4), (uint32_t)~0x04030201);
    CHECK_EQ(reg(node, 0, 0x2008), 0);
    CHECK_EQ(ask(node, 0, as->word | 5, in, 4, out, 0), 0x64007);
    CHECK_EQ(ask(node, 0, as->word | 0x1C, in, 4, out, 0), 0x64007);
    uint8_t list = (uint8_t)as->list; /* the flash can be looked at */
    CHECK_EQ(ask(node, 0, as->word | 0x2B, &list, 1, out, as->bytes), 0);
    CHECK_EQ(out[0x40 + 32 * at_img(as) + 29], 0); /* neither runs */
    CHECK_EQ(out[0x60 + 32 * at_img(as) + 29], 0);
    for (uint32_t at = 0; at < IMAGE_BYTES; at += 1008) {
        uint32_t n = IMAGE_BYTES - at < 1008 ? IMAGE_BYTES - at : 1008;
        unsigned status = send_block(node, 0, as->word | loader, 3, 1, image, IMAGE_BYTES, at, n);
        CHECK_EQ(status, at + n < IMAGE_BYTES ? 0x0201 : 0x0207);
    }
    CHECK_EQ(ask(node, 0, as->word | loader, loader_toggle, 8, out, 4), 0);
    boot(node, 0);
    CHECK_EQ(ask(node, 0, as->word | 0x100, in, 4, out, 8), 0);
    CHECK_EQ(out[0], 3);
    CHECK_EQ(reg(node, 0, 0x2008), word_at(image, 0x24));
    fab_node_close(node);
}

int main(void) {
    test_a_wrong_header_is_refused_before_flash_is_touched();
    test_a_damaged_image_is_refused_and_its_partition_invalid();
    test_an_image_without_checksums_passes_unless_the_switch_is_secured();
    test_blocks_out_of_order_and_impossible_lengths_are_refused();
    test_a_running_partition_that_toggle_left_inactive_is_refused();
    test_lost_blocks_end_in_an_error_and_the_old_image_boots();
    test_an_image_that_waits_is_not_booted_half_replaced();
    for (unsigned k = 0; k < IDENTITIES; k++)
        test_a_switch_without_an_image_waits_in_its_loader(&identities[k]);
    return CHECK_RESULT;
}
