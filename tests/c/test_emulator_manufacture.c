/* Serial numbers, secure versions and security settings of each generation, with exact sizes. */
#include "firmware_client.h"

static int some(const uint8_t *at, unsigned bytes) {
    for (unsigned k = 0; k < bytes; k++)
        if (at[k]) return 1;
    return 0;
}

static void test_gen5_answers_20_and_704_bytes(uint32_t device_id, uint32_t word) {
    uint8_t out[1024], zero[4] = {0};
    fab_node *node = make_as(device_id, 1), *other = NULL;
    CHECK_EQ(ask(node, 0, word | 0x119, zero, 4, out, 20), 0);
    uint32_t serial = word_at(out, 0);
    CHECK(serial != 0 && !some(out + 4, 16));
    CHECK_EQ(ask(node, 0, word | 0x111, zero, 4, out, 704), 0);
    CHECK_EQ(word_at(out, 0) & 0x3F, 0x3F);  /* all but cdi are there */
    CHECK_EQ(word_at(out, 8) >> 2 & 3, 1);   /* initialised, unsecured */
    CHECK_EQ(word_at(out, 8) >> 10 & 15, 7); /* 25 MHz: of ten clocks */
    CHECK_EQ(word_at(out, 16), 0x10001);
    CHECK_EQ(out[21], 4);
    for (unsigned k = 0; k < 10; k++) CHECK_EQ(some(out + 24 + 64 * k, 64), k < 4);
    CHECK(!some(out + 664, 40));
    fab_node_close(node);
    node = make_as(device_id, 0);
    CHECK_EQ(ask(node, 0, word | 0x111, zero, 4, out, 704), 0);
    CHECK_EQ(word_at(out, 0) & 0x3F, 0x03); /* no keys */
    CHECK_EQ(word_at(out, 8) >> 2 & 3, 0);
    CHECK_EQ(out[21], 0);
    fab_node_close(node);
    plan.config.seed = 7;
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, NULL, &other), 0);
    CHECK_EQ(ask(other, 0, word | 0x119, zero, 4, out, 20), 0);
    CHECK(word_at(out, 0) != serial); /* the seed's */
    serial = word_at(out, 0);
    CHECK_EQ(ask(other, 1, word | 0x119, zero, 4, out, 20), 0);
    CHECK(word_at(out, 0) !=
          serial); /* each chip its own; the word's PAX bits name the local one */
    fab_node_close(other);
}

static void test_gen4_answers_20_and_312_bytes_by_either_command(void) {
    uint8_t out[1024], again[1024], zero[4] = {0};
    fab_node *node = make_as(0x4200, 2);
    CHECK_EQ(ask(node, 0, 0x007C0109, zero, 0, out, 20), 0);
    CHECK(word_at(out, 0) != 0);
    CHECK_EQ(ask(node, 0, 0x007C003C, zero, 1, out, 312), 0);
    CHECK_EQ(ask(node, 0, 0x007C0101, zero, 0, again, 312), 0);
    CHECK_EQ(memcmp(out, again, 312), 0);
    CHECK_EQ(word_at(out, 0) & 0x1F, 0x1F);
    CHECK_EQ(word_at(out, 8) >> 2 & 3, 2);
    CHECK_EQ(out[21], 4);
    for (unsigned k = 0; k < 4; k++) CHECK(some(out + 24 + 64 * k, 64));
    CHECK_EQ(ask(node, 0, 0x007C0119, zero, 4, out, 0), 0x64005); /* another generation's */
    fab_node_close(node);
}

static void test_gen6_answers_116_and_808_bytes(void) {
    uint8_t out[1024], sub[4] = {1};
    fab_node *node = make_as(0x6160, 1);
    CHECK_EQ(ask(node, 0, 0x124, sub, 4, out, 116), 0);
    CHECK(some(out, 64));
    CHECK_EQ(word_at(out, 64), 0x6160);
    CHECK_EQ(word_at(out, 80) & 3, 1);      /* PSID: programmed; 3 would be revoked */
    CHECK_EQ(word_at(out, 80) >> 4 & 3, 1); /* UID */
    sub[0] = 0;
    CHECK_EQ(ask(node, 0, 0x126, sub, 4, out, 808), 0);
    for (unsigned k = 0; k < 12; k++) CHECK_EQ(some(out + 40 + 64 * k, 64), k < 4);
    fab_node_close(node);
}

/* Signed or not decides on a secured switch; a secure version never goes back. */
static void test_a_secured_switch_takes_signed_images_and_no_older_secure_version(void) {
    static uint8_t image[IMAGE_BYTES];
    uint8_t out[1024], zero[4] = {0};
    fab_node *node = make_as(0x5200, 2);
    image_make(image, 5, 5, 9);
    CHECK_EQ(send_image(node, 0, 0, image, IMAGE_BYTES), 0xFF02);
    image_sign(image, 3);
    CHECK_EQ(send_image(node, 0, 0, image, IMAGE_BYTES), 0x0208);
    CHECK_EQ(ask(node, 0, 0x007C0119, zero, 4, out, 20), 0);
    CHECK_EQ(word_at(out, 12), 0); /* not before it has run */
    boot(node, 0);
    CHECK_EQ(ask(node, 0, 0x007C0119, zero, 4, out, 20), 0);
    CHECK_EQ(word_at(out, 12), 3);
    image_sign(image, 2);
    CHECK_EQ(send_image(node, 0, 0, image, IMAGE_BYTES), 0xFF02);
    image_sign(image, 3);
    CHECK_EQ(send_image(node, 0, 0, image, IMAGE_BYTES), 0x0208);
    fab_node_close(node);
    plan.config.secure_state = 3;
    CHECK(fab_node_create(&plan.config, plan.ports, NULL, &node) < 0);
}

int main(void) {
    test_gen5_answers_20_and_704_bytes(0x5200, 0x007C0000);
    test_gen5_answers_20_and_704_bytes(0x5100, 0xFFFC0000);
    test_gen5_answers_20_and_704_bytes(0x5000, 0xFFFC0000);
    test_gen4_answers_20_and_312_bytes_by_either_command();
    test_gen6_answers_116_and_808_bytes();
    test_a_secured_switch_takes_signed_images_and_no_older_secure_version();
    return CHECK_RESULT;
}
