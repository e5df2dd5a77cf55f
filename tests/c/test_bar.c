/* The BAR without a node: bounds, widths, blocks, traps, pages. */
#define _GNU_SOURCE
#include "check.h"
#include "fabcore.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void accesses_stay_inside_and_aligned(void) {
    uint64_t memory[8] = {0};
    uint8_t v8;
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;
    fab_bar *bar = NULL;
    CHECK_EQ(fab_bar_from_buffer(NULL, 64, &bar), -EINVAL);
    CHECK_EQ(fab_bar_from_buffer(memory, 0, &bar), -EINVAL);
    CHECK_EQ(fab_bar_from_buffer((char *)memory + 1, 8, &bar), -EINVAL);
    CHECK_EQ(fab_bar_from_buffer(memory, 60, &bar), 0);
    CHECK_EQ(fab_bar_bytes(bar), 60);
    CHECK(fab_bar_page(bar) == NULL);
    uint64_t outside[] = {60, 61, 64, UINT64_MAX, UINT64_MAX - 7, UINT64_C(1) << 32};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        CHECK_EQ(fab_bar_read8(bar, outside[i], &v8), -ERANGE);
        CHECK_EQ(fab_bar_read32(bar, outside[i], &v32), -ERANGE);
        CHECK_EQ(fab_bar_write64(bar, outside[i], 1), -ERANGE);
        CHECK_EQ(fab_bar_read_block(bar, outside[i], &v64, 1), -ERANGE);
        CHECK_EQ(fab_bar_write_block(bar, outside[i], "x", 1), -ERANGE);
    }
    CHECK_EQ(fab_bar_read64(bar, 56, &v64), -ERANGE);
    CHECK_EQ(fab_bar_write64(bar, 56, ~UINT64_C(0)), -ERANGE);
    CHECK_EQ(fab_bar_read32(bar, 56, &v32), 0);
    CHECK_EQ(fab_bar_read16(bar, 59, &v16), -ERANGE);
    CHECK_EQ(fab_bar_read8(bar, 59, &v8), 0);
    CHECK_EQ(fab_bar_read16(bar, 1, &v16), -EINVAL);
    CHECK_EQ(fab_bar_read32(bar, 2, &v32), -EINVAL);
    CHECK_EQ(fab_bar_read64(bar, 4, &v64), -EINVAL);
    CHECK_EQ(fab_bar_write16(bar, 3, 1), -EINVAL);
    CHECK_EQ(fab_bar_write32(bar, 6, 1), -EINVAL);
    CHECK_EQ(fab_bar_write64(bar, 12, 1), -EINVAL);
    CHECK_EQ(fab_bar_read_block(bar, 8, memory, 53), -ERANGE);
    CHECK_EQ(fab_bar_write_block(bar, 8, memory, SIZE_MAX), -ERANGE);
    CHECK_EQ(fab_bar_read_block(bar, 60, memory, 0), 0);
    for (int i = 0; i < 8; i++) CHECK_EQ(memory[i], 0);
    CHECK_EQ(fab_bar_writes(bar), 0);
    fab_bar_close(bar);
    CHECK_EQ(fab_bar_from_buffer(memory, 2, &bar), 0);
    CHECK_EQ(fab_bar_read64(bar, 0, &v64), -ERANGE);
    CHECK_EQ(fab_bar_read16(bar, 0, &v16), 0);
    fab_bar_close(bar);
}

static void registers_are_little_endian(void) {
    _Alignas(8) uint8_t memory[16];
    uint8_t v8;
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;
    fab_bar *bar = NULL;
    for (int i = 0; i < 16; i++) memory[i] = (uint8_t)(0x10 + i);
    CHECK_EQ(fab_bar_from_buffer(memory, sizeof memory, &bar), 0);
    CHECK_EQ(fab_bar_read8(bar, 3, &v8), 0);
    CHECK_EQ(fab_bar_read16(bar, 2, &v16), 0);
    CHECK_EQ(fab_bar_read32(bar, 4, &v32), 0);
    CHECK_EQ(fab_bar_read64(bar, 8, &v64), 0);
    CHECK_EQ(v8, 0x13);
    CHECK_EQ(v16, 0x1312);
    CHECK_EQ(v32, 0x17161514);
    CHECK(v64 == UINT64_C(0x1f1e1d1c1b1a1918));
    CHECK_EQ(fab_bar_write8(bar, 0, 0xA1), 0);
    CHECK_EQ(fab_bar_write16(bar, 2, 0xB1B2), 0);
    CHECK_EQ(fab_bar_write32(bar, 4, 0xC1C2C3C4), 0);
    CHECK_EQ(fab_bar_write64(bar, 8, UINT64_C(0xD1D2D3D4D5D6D7D8)), 0);
    static const uint8_t want[16] = {0xA1, 0x11, 0xB2, 0xB1, 0xC4, 0xC3, 0xC2, 0xC1,
                                     0xD8, 0xD7, 0xD6, 0xD5, 0xD4, 0xD3, 0xD2, 0xD1};
    CHECK(memcmp(memory, want, 16) == 0);
    CHECK_EQ(fab_bar_writes(bar), 4);
    CHECK_EQ(fab_bar_flush(bar), 0);
    fab_bar_close(bar);
}

/* ---- traps --------------------------------------------------------------------------------- */

struct trapped {
    uint8_t *base;
    struct fab_posted_write calls[64];
    int n;
    int fail_at; /* refuses this call; -1 = none */
};

static int trap(void *context, uint64_t off, uint64_t value, unsigned width) {
    struct trapped *t = context;
    if (t->n == t->fail_at) return -EIO;
    memcpy(t->base + off, &value, width);
    t->calls[t->n++] = (struct fab_posted_write){value, (uint32_t)off, width};
    return 0;
}

static void check_call(const struct trapped *t, int i, uint64_t off, unsigned width) {
    uint64_t value = 0;
    CHECK_EQ(t->calls[i].offset, off);
    CHECK_EQ(t->calls[i].width, width);
    memcpy(&value, t->base + off, width);
    CHECK_EQ(t->calls[i].value, value);
}

static void writes_call_the_trap_in_order(void) {
    _Alignas(8) uint8_t memory[64] = {0};
    struct trapped t = {.base = memory, .fail_at = -1};
    uint8_t data[20], back[20];
    fab_bar *bar = NULL;
    CHECK_EQ(fab_bar_trapped(memory, 64, NULL, &t, &bar), -EINVAL);
    CHECK_EQ(fab_bar_trapped(memory, 64, trap, &t, &bar), 0);
    for (int i = 0; i < 20; i++) data[i] = (uint8_t)(200 + i);
    CHECK_EQ(fab_bar_write_block(bar, 5, data, 14), 0); /* 5:1 6:2 8:4 12:4 16:2 18:1 */
    CHECK_EQ(t.n, 6);
    check_call(&t, 0, 5, 1);
    check_call(&t, 1, 6, 2);
    check_call(&t, 2, 8, 4);
    check_call(&t, 3, 12, 4);
    check_call(&t, 4, 16, 2);
    check_call(&t, 5, 18, 1);
    CHECK_EQ(fab_bar_writes(bar), 6);
    CHECK_EQ(fab_bar_read_block(bar, 5, back, 14), 0);
    CHECK(memcmp(back, data, 14) == 0);
    CHECK(memory[4] == 0 && memory[19] == 0);
    CHECK_EQ(fab_bar_write64(bar, 24, UINT64_C(0x1122334455667788)), 0);
    check_call(&t, 6, 24, 8);
    CHECK_EQ(fab_bar_write32(bar, 64, 1), -ERANGE); /* not shown to the trap */
    CHECK_EQ(t.n, 7);
    t.fail_at = 8;
    CHECK_EQ(fab_bar_write_block(bar, 32, data, 12), -EIO); /* its second access */
    CHECK_EQ(t.n, 8);
    CHECK_EQ(memory[36], 0);
    CHECK_EQ(fab_bar_write8(bar, 40, 1), -EIO);
    fab_bar_close(bar);
}

static void every_cut_of_a_block_reads_and_writes_its_bytes(void) {
    _Alignas(8) uint8_t memory[24], data[24], out[24];
    fab_bar *bar = NULL;
    CHECK_EQ(fab_bar_from_buffer(memory, sizeof memory, &bar), 0);
    for (int i = 0; i < 24; i++) data[i] = (uint8_t)(i * 7 + 1);
    for (size_t off = 0; off <= 24; off++)
        for (size_t n = 0; n <= 24 - off; n++) {
            memset(memory, 0, 24);
            memset(out, 0xEE, 24);
            CHECK_EQ(fab_bar_write_block(bar, off, data, n), 0);
            CHECK_EQ(fab_bar_read_block(bar, off, out, n), 0);
            CHECK(memcmp(out, data, n) == 0 && (n == 24 || out[n] == 0xEE));
            for (size_t i = 0; i < 24; i++)
                CHECK_EQ(memory[i], i < off || i >= off + n ? 0 : data[i - off]);
        }
    fab_bar_close(bar);
}

static uint8_t *image_with_page(uint32_t state) {
    uint8_t *base =
        mmap(NULL, FAB_BAR_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct fab_bar_page *page = (void *)(base + FAB_GAS_BYTES);
    page->layout = FAB_LAYOUT;
    page->state = state;
    fab_store_release(&page->magic, FAB_PAGE_MAGIC);
    return base;
}

static void trapped_node_that_is_gone_is_an_error_until_it_is_back(void) {
    uint8_t *base = image_with_page(FAB_NODE_ALIVE);
    struct fab_bar_page *page = (void *)(base + FAB_GAS_BYTES);
    struct trapped t = {.base = base, .fail_at = -1};
    fab_bar *bar = NULL;
    uint64_t v64 = 0;
    uint8_t block[7] = {0}, v8 = 0;
    CHECK_EQ(fab_bar_trapped(base, FAB_BAR_BYTES, trap, &t, &bar), 0);
    CHECK(fab_bar_page(bar) == page);
    CHECK_EQ(fab_bar_bytes(bar), FAB_GAS_BYTES);
    CHECK_EQ(fab_bar_read8(bar, FAB_GAS_BYTES, &v8), -ERANGE);
    CHECK_EQ(fab_bar_write32(bar, 0x800, 5), 0);
    CHECK_EQ(fab_bar_gone(bar), 0);
    fab_store_release(&page->state, FAB_NODE_GONE);
    CHECK_EQ(fab_bar_gone(bar), 1);
    CHECK_EQ(fab_bar_read64(bar, 0x800, &v64), -ENODEV);
    CHECK_EQ(fab_bar_read8(bar, 0x800, &v8), -ENODEV);
    CHECK_EQ(fab_bar_get32(bar, 0x800), -ENODEV);
    CHECK_EQ(fab_bar_read_block(bar, 0x801, block, 7), -ENODEV);
    CHECK_EQ(fab_bar_read8(bar, FAB_GAS_BYTES, &v8), -ERANGE);
    CHECK_EQ(fab_bar_write32(bar, 0x800, 6), -ENODEV);
    CHECK_EQ(fab_bar_write_block(bar, 0x900, block, 7), -ENODEV);
    CHECK_EQ(t.n, 1);
    CHECK_EQ(fab_bar_writes(bar), 1);
    CHECK_EQ(fab_bar_flush(bar), -ENODEV);
    fab_store_release(&page->state, FAB_NODE_ALIVE);
    CHECK_EQ(fab_bar_gone(bar), 0);
    CHECK_EQ(fab_bar_read64(bar, 0x800, &v64), 0);
    CHECK_EQ(v64, 5);
    memset(base + 0x900, 0xFF, 8); /* a register of a node that is there may hold all ones */
    CHECK_EQ(fab_bar_read64(bar, 0x900, &v64), 0);
    CHECK(v64 == UINT64_MAX);
    CHECK_EQ(fab_bar_get32(bar, 0x900), UINT32_MAX);
    fab_bar_close(bar);
    munmap(base, FAB_BAR_BYTES);
}

static void all_ones_in_a_buffer_are_a_value(void) {
    uint64_t memory[4] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    uint8_t v8 = 0, block[9] = {0};
    uint16_t v16 = 0;
    uint32_t v32 = 0;
    uint64_t v64 = 0;
    fab_bar *bar = NULL;
    CHECK_EQ(fab_bar_from_buffer(memory, 28, &bar), 0); /* the last 4 bytes take the long way */
    CHECK_EQ(fab_bar_read8(bar, 1, &v8), 0);
    CHECK_EQ(fab_bar_read16(bar, 2, &v16), 0);
    CHECK_EQ(fab_bar_read32(bar, 4, &v32), 0);
    CHECK_EQ(fab_bar_read64(bar, 8, &v64), 0);
    CHECK(v8 == UINT8_MAX && v16 == UINT16_MAX && v32 == UINT32_MAX && v64 == UINT64_MAX);
    CHECK_EQ(fab_bar_get32(bar, 0), UINT32_MAX);
    CHECK_EQ(fab_bar_get32(bar, 24), UINT32_MAX);
    CHECK_EQ(fab_bar_get32(bar, 28), -ERANGE);
    CHECK_EQ(fab_bar_get32(bar, 25), -ERANGE);
    CHECK_EQ(fab_bar_get32(bar, 2), -EINVAL);
    CHECK_EQ(fab_bar_read_block(bar, 3, block, 9), 0);
    CHECK_EQ(block[8], 0xFF);
    CHECK_EQ(fab_bar_gone(bar), 0);
    fab_bar_close(bar);
}

static pthread_mutex_t counted_lock = PTHREAD_MUTEX_INITIALIZER;

static int locked_trap(void *context, uint64_t off, uint64_t value, unsigned width) {
    (void)off, (void)value, (void)width;
    pthread_mutex_lock(&counted_lock);
    ++*(int *)context;
    pthread_mutex_unlock(&counted_lock);
    return 0;
}

static void *write_many(void *bar) {
    for (int i = 0; i < 5000; i++) fab_bar_write32(bar, 8, (uint32_t)i);
    return NULL;
}

static void threads_share_a_trapped_bar(void) {
    uint64_t memory[8] = {0};
    int calls = 0;
    fab_bar *bar = NULL;
    pthread_t threads[3];
    CHECK_EQ(fab_bar_trapped(memory, sizeof memory, locked_trap, &calls, &bar), 0);
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, write_many, bar);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    CHECK_EQ(calls, 15000);
    CHECK_EQ(fab_bar_writes(bar), 15000);
    fab_bar_close(bar);
}

static void page_of_another_layout_or_owner_is_refused(void) {
    uint8_t *base = image_with_page(FAB_NODE_ALIVE);
    struct fab_bar_page *page = (void *)(base + FAB_GAS_BYTES);
    fab_bar *bar = NULL;
    page->owner_pid = (uint64_t)getpid();
    page->owner_start = 1; /* this pid, but another process */
    CHECK_EQ(fab_bar_from_buffer(base, FAB_BAR_BYTES, &bar), -EOWNERDEAD);
    page->layout = FAB_LAYOUT ^ 1;
    CHECK_EQ(fab_bar_from_buffer(base, FAB_BAR_BYTES, &bar), -EPROTO);
    page->magic = 0; /* no page: plain memory of that size */
    CHECK_EQ(fab_bar_from_buffer(base, FAB_BAR_BYTES, &bar), 0);
    CHECK_EQ(fab_bar_bytes(bar), FAB_BAR_BYTES);
    CHECK(fab_bar_page(bar) == NULL);
    CHECK_EQ(fab_bar_write32(bar, FAB_GAS_BYTES, 7), 0);
    CHECK_EQ(base[FAB_GAS_BYTES], 7);
    fab_bar_close(bar);
    munmap(base, FAB_BAR_BYTES);
}

int main(void) {
    accesses_stay_inside_and_aligned();
    registers_are_little_endian();
    writes_call_the_trap_in_order();
    every_cut_of_a_block_reads_and_writes_its_bytes();
    trapped_node_that_is_gone_is_an_error_until_it_is_back();
    all_ones_in_a_buffer_are_a_value();
    threads_share_a_trapped_bar();
    page_of_another_layout_or_owner_is_refused();
    return CHECK_RESULT;
}
