/* Firmware of the emulated switch as the vendor's client works with it, for each identity. */
#include "firmware_client.h"

static void test_each_generation_lists_its_partitions(const struct identity *as) {
    struct listed p[23];
    fab_node *node = make_as(as->device_id, 0);
    unsigned version = fw_info(node, 0, as, p), img = at_img(as);
    CHECK_EQ(version >> 24, 3 * as->generation - 9);
    CHECK_EQ(version, reg(node, 0, 0x2008));
    CHECK_EQ(version, p[img].version);
    uint32_t from = 0;
    for (unsigned k = 0; k < (as->bytes - 64) / 32; k++) { /* one behind the other */
        CHECK_EQ(p[k].start, from);
        CHECK_EQ(p[k].end, from + 4 * p[k].dwords - 1);
        from = p[k].end + 1;
        CHECK_EQ(p[k].read_only, k < 2);
        if (k < img + 2) CHECK_EQ(p[k].valid, 1);
        if (k < img + 2) CHECK_EQ(p[k].active, k % 2 == 0);
        if (k >= img + 3) CHECK_EQ(p[k].valid, 0);
        CHECK_EQ(p[k].running, p[k].active);
    }
    CHECK(from <= reg(node, 0, 0x2204));
    uint8_t list[1024], in = (uint8_t)as->list, wrong = (uint8_t)((as->list + 4) % 12);
    CHECK_EQ(ask(node, 0, as->word | 0x2B, &in, 1, list, as->bytes), 0);
    CHECK_EQ(word_at(list, 8) & 0xFFFF, as->device_id);
    CHECK_EQ(ask(node, 0, as->word | 0x2B, &wrong, 1, list, 0), 0x64004);
    fab_node_close(node);
}

/* Linux reads which partition is active and which runs, and where each is. */
static void test_the_registers_follow(const struct identity *as) {
    struct listed p[23];
    fab_node *node = make_as(as->device_id, 0);
    uint8_t toggle[8] = {2, 1, 1, 1, 1, 0}, out[1024];
    fw_info(node, 0, as, p);
    CHECK_EQ(reg(node, 0, 0x204C), 4 | 6 << 16);
    CHECK_EQ(reg(node, 0, 0x2050), 8 | 2 << 16);
    CHECK_EQ(reg(node, 0, 0x2208), 0);
    for (unsigned k = 0, r = 0; k < 19; k++, r++) { /* without RIOT and Gen6's own */
        if (as->generation == 5 && r == 4) r = 6;
        if (as->generation == 6 && r == 11) r = 15;
        CHECK_EQ(reg(node, 0, 0x2218 + 8 * k), p[r].start);
        CHECK_EQ(reg(node, 0, 0x221C + 8 * k), 4 * p[r].dwords);
    }
    CHECK_EQ(ask(node, 0, as->word | 5, toggle, 8, out, 4), 0);
    CHECK_EQ(reg(node, 0, 0x2208), 0x01010101);
    CHECK_EQ(reg(node, 0, 0x2050), 8 | 2 << 16); /* nothing else runs before a reset */
    boot(node, 0);
    CHECK_EQ(reg(node, 0, 0x204C), 5 | 7 << 16);
    CHECK_EQ(reg(node, 0, 0x2050), 9 | 3 << 16);
    CHECK_EQ(reg(node, 0, 0x2008), p[at_img(as) + 1].version);
    fab_node_close(node);
}

/* fw-update -y, fw-info, hard-reset, fw-toggle -f -c: to the end and back. */
static void test_an_update_runs_after_a_reset_and_toggles_back(const struct identity *as) {
    static uint8_t image[IMAGE_BYTES];
    struct listed p[23];
    uint8_t status[1024], zero[4] = {0}, toggle[8] = {2, 1};
    fab_node *node = make_as(as->device_id, 0);
    unsigned old = reg(node, 0, 0x2008), img = at_img(as);
    image_make(image, as->generation, as->img, 9);
    CHECK_EQ(ask(node, 0, as->word | 5, zero, 4, status, 4), 0);
    CHECK_EQ(word_at(status, 0), 0);
    for (unsigned at = 0x413C; at <= 0x4154; at += 0x18) /* the client masks its two interrupts */
        set(node, 0, at, reg(node, 0, at) & ~8u);
    CHECK_EQ(send_image(node, 0, 0, image, IMAGE_BYTES), 0x0208); /* firmware activated */
    CHECK_EQ(fw_info(node, 0, as, p), old);
    CHECK(p[img].running && !p[img].active && p[img + 1].active && !p[img + 1].running);
    CHECK_EQ(p[img + 1].version, word_at(image, 0x24));
    CHECK_EQ(p[img + 1].crc, word_at(image, 0x54));
    CHECK_EQ(p[img + 1].length, IMAGE_BODY);
    boot(node, 0);
    CHECK_EQ(fw_info(node, 0, as, p), word_at(image, 0x24));
    CHECK(!p[img].running && p[img + 1].running);
    CHECK_EQ(mailbox_status(node, 0, 5), 0); /* a reset forgets the download */
    CHECK_EQ(ask(node, 0, as->word | 5, toggle, 8, status, 4), 0);
    boot(node, 0);
    CHECK_EQ(reg(node, 0, 0x2008), old);
    fab_node_close(node);
}

/* -A: complete, but the old one stays active. Data: another word of success. */
static void test_what_is_not_to_be_activated_is_not(const struct identity *as) {
    static uint8_t image[IMAGE_BYTES];
    struct listed p[23];
    fab_node *node = make_as(as->device_id, 0);
    unsigned img = at_img(as), cfg = at_cfg(as);
    image_make(image, as->generation, as->img, 9);
    CHECK_EQ(send_image(node, 0, 1, image, IMAGE_BYTES), 0x0207);
    fw_info(node, 0, as, p);
    CHECK(p[img].active && p[img + 1].valid && !p[img + 1].active);
    CHECK_EQ(p[img + 1].version, word_at(image, 0x24));
    image_make(image, as->generation, as->cfg, 8);
    CHECK_EQ(send_image(node, 0, 0, image, IMAGE_BYTES), 0x0209);
    fw_info(node, 0, as, p);
    CHECK(!p[cfg].active && p[cfg + 1].active && p[cfg].running);
    /* once more, before any reset: the image that waits is replaced */
    CHECK_EQ(send_image(node, 0, 0, image, IMAGE_BYTES), 0x0209);
    fab_node_close(node);
}

/* The client sends images without PAX bits, which name PAX 0 otherwise. */
static void test_an_image_is_for_the_switch_whose_mailbox_took_it(void) {
    static uint8_t image[IMAGE_BYTES];
    struct listed p[23];
    fab_node *node = make_as(0x5200, 0);
    image_make(image, 5, 5, 9);
    CHECK_EQ(send_image(node, 2, 0, image, IMAGE_BYTES), 0x0208);
    fw_info(node, 2, &identities[0], p);
    CHECK(p[11].active);
    CHECK_EQ(p[11].version, word_at(image, 0x24));
    fw_info(node, 0, &identities[0], p);
    CHECK(p[10].active);
    fab_node_close(node);
}

int main(void) {
    for (unsigned k = 0; k < IDENTITIES; k++) {
        test_each_generation_lists_its_partitions(&identities[k]);
        test_the_registers_follow(&identities[k]);
        test_an_update_runs_after_a_reset_and_toggles_back(&identities[k]);
        test_what_is_not_to_be_activated_is_not(&identities[k]);
    }
    test_an_image_is_for_the_switch_whose_mailbox_took_it();
    return CHECK_RESULT;
}
