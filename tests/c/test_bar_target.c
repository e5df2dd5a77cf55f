/* What a target names, and how a device's config space tells a removed device from a register that
 * holds all ones. A folder on disk plays the device's folder in sysfs; the real ones are read in
 * tests/guest. */
#define _GNU_SOURCE
#include "check.h"
#include "fabcore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void image_file_is_a_bar(const char *dir) {
    char path[96];
    fab_bar *bar = NULL;
    uint32_t value = 0;
    snprintf(path, sizeof path, "%s/resource0", dir);
    int fd = open(path, O_CREAT | O_RDWR, 0600);
    CHECK_EQ(ftruncate(fd, 8192), 0);
    value = 0x5200F118;
    CHECK_EQ(pwrite(fd, &value, 4, 0x2000 - 4), 4);
    const char *targets[] = {path, dir}; /* the file, and a device's directory with it inside */
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(fab_bar_open(targets[i], &bar), 0);
        CHECK_EQ(fab_bar_bytes(bar), 8192);
        CHECK_EQ(fab_bar_read32(bar, 0x2000 - 4, &value), 0);
        CHECK_EQ(value, 0x5200F118);
        CHECK_EQ(fab_bar_write32(bar, (uint64_t)i * 4, 0xABCD0000u + (uint32_t)i), 0);
        CHECK_EQ(fab_bar_flush(bar), 0);
        CHECK_EQ(pread(fd, &value, 4, i * 4), 4);
        CHECK_EQ(value, 0xABCD0000u + (uint32_t)i);
        fab_bar_close(bar);
    }
    CHECK_EQ(ftruncate(fd, 0), 0);
    close(fd);
    CHECK(fab_bar_open(path, &bar) < 0);
    unlink(path);
    CHECK_EQ(fab_bar_open(path, &bar), -ENOENT);
    CHECK_EQ(fab_bar_open(dir, &bar), -ENOENT);
    snprintf(path, sizeof path, "%s/no-device/resource0", dir);
    CHECK_EQ(fab_bar_open(path, &bar), -ENODEV);
    snprintf(path, sizeof path, "%s/no-file", dir);
    CHECK_EQ(fab_bar_open(path, &bar), -ENODEV);
}

static void names_without_a_device_are_refused(void) {
    fab_bar *bar = NULL;
    CHECK_EQ(fab_bar_open("/sys/bus/pci/devices/ffff:ff:1f.7", &bar), -ENODEV);
    CHECK_EQ(fab_bar_open("", &bar), -ENODEV);
    CHECK_EQ(fab_bar_open("shm:no-such-node-here", &bar), -ENODEV);
    CHECK_EQ(fab_bar_open("shm:no-such-node-here/3", &bar), -ENODEV);
    CHECK_EQ(fab_bar_open("uio:987", &bar), -ENODEV);
    CHECK_EQ(fab_bar_open("vfio:ffff:ff:1f.7", &bar), -ENODEV);
    CHECK_EQ(fab_bar_open("vfio:ffff:ff:1f.7:5", &bar), -ENODEV);
    static const char *malformed[] = {"shm:",
                                      "shm:/0",
                                      "shm:../x",
                                      "shm:..",
                                      "shm:a/b",
                                      "shm:a/0/1",
                                      "shm:a/",
                                      "shm:a/-1",
                                      "uio:",
                                      "uio:x",
                                      "uio:1/..",
                                      "uio:-1",
                                      "vfio:",
                                      "vfio:3b:00.1",
                                      "vfio:ffff:ff:1f.7:",
                                      "vfio:ffff:ff:1f.7:6",
                                      "vfio:ffff:ff:1f.7:00",
                                      "vfio:ffff:ff:1f.7/0",
                                      "vfio:ffff:ff:1f.g",
                                      "vfio:../../../../..",
                                      "vfio:ffff.ff.1f.7"};
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++)
        CHECK_EQ(fab_bar_open(malformed[i], &bar), -EINVAL);
    CHECK(bar == NULL);
}

/* ---- the config space ---------------------------------------------------------------------- */

static char folder[64], names[3][96];
enum { RESOURCE, CONFIG, LINES };

static void put_file(int which, const void *data, size_t n) {
    int fd = open(names[which], O_CREAT | O_RDWR | O_TRUNC, 0600);
    CHECK_EQ(write(fd, data, n), (long long)n);
    close(fd);
}

/* The first 64 bytes of a function: ids, command, class; 0xFFFF ids are a virtual function's. */
static void put_config(uint32_t ids, uint16_t command, uint32_t class_code) {
    uint8_t config[64] = {0};
    memcpy(config, &ids, 4);
    memcpy(config + 4, &command, 2);
    memcpy(config + 8, &class_code, 4);
    put_file(CONFIG, config, sizeof config);
}

static void put_ones(void) {
    uint8_t config[64];
    memset(config, 0xFF, sizeof config);
    put_file(CONFIG, config, sizeof config);
}

static void put_registers(void) {
    uint8_t registers[4096] = {0};
    memset(registers + 0x100, 0xFF, 16);
    put_file(RESOURCE, registers, sizeof registers);
}

static void all_ones_are_a_value_while_the_config_space_answers(void) {
    fab_bar *bar = NULL;
    uint8_t block[16];
    uint64_t v64 = 0;
    put_registers();
    put_config(0x5200F118, 2, 0x05800000);
    CHECK_EQ(fab_bar_open(folder, &bar), 0);
    CHECK_EQ(fab_bar_get32(bar, 0x100), UINT32_MAX);
    CHECK_EQ(fab_bar_read64(bar, 0x108, &v64), 0);
    CHECK(v64 == UINT64_MAX);
    CHECK_EQ(fab_bar_read_block(bar, 0x100, block, 16), 0);
    CHECK_EQ(fab_bar_gone(bar), 0);
    put_config(UINT32_MAX, 2, 0x05800000); /* a virtual function */
    CHECK_EQ(fab_bar_get32(bar, 0x100), UINT32_MAX);
    CHECK_EQ(fab_bar_gone(bar), 0);
    fab_bar_close(bar);
}

/* How a removed device looks through each access; all of them must notice. */
static int lost_by(int access, fab_bar *bar) {
    uint8_t v8, block[6];
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;
    switch (access) {
        case 0:
            return fab_bar_read8(bar, 0x101, &v8);
        case 1:
            return fab_bar_read16(bar, 0x102, &v16);
        case 2:
            return fab_bar_read32(bar, 0x104, &v32);
        case 3:
            return fab_bar_read64(bar, 0x108, &v64);
        case 4:
            return (int)fab_bar_get32(bar, 0x100);
        case 5:
            return fab_bar_read_block(bar, 0xFD, block, 6); /* its last piece is 2 bytes wide */
        default:
            return fab_bar_gone(bar) ? -ENODEV : 0;
    }
}

static void all_ones_without_a_config_space_are_a_removal(void) {
    uint32_t v32 = 0;
    for (int how = 0; how < 2; how++)
        for (int access = 0; access < 7; access++) {
            fab_bar *bar = NULL;
            put_registers();
            put_config(0x5200F118, 2, 0x05800000);
            CHECK_EQ(fab_bar_open(names[RESOURCE], &bar), 0);
            CHECK_EQ(fab_bar_write32(bar, 0, 77), 0);
            how ? put_ones() : put_file(CONFIG, "", 0); /* or the read itself fails */
            CHECK_EQ(fab_bar_read32(bar, 0, &v32), 0);  /* no all ones, nothing asked */
            CHECK_EQ(v32, 77);
            CHECK_EQ(lost_by(access, bar), -ENODEV);
            CHECK_EQ(fab_bar_gone(bar), 1);
            put_config(0x5200F118, 2, 0x05800000); /* another device in its place is another bar */
            CHECK_EQ(fab_bar_gone(bar), 1);
            CHECK_EQ(fab_bar_read32(bar, 0, &v32), -ENODEV);
            CHECK_EQ(fab_bar_get32(bar, 0), -ENODEV);
            CHECK_EQ(fab_bar_read32(bar, 2, &v32), -EINVAL);
            CHECK_EQ(fab_bar_read32(bar, 4096, &v32), -ERANGE);
            CHECK_EQ(fab_bar_read_block(bar, 0, &v32, 4), -ENODEV);
            CHECK_EQ(fab_bar_write32(bar, 0, 78), -ENODEV);
            CHECK_EQ(fab_bar_write8(bar, 0, 78), -ENODEV);
            CHECK_EQ(fab_bar_write_block(bar, 0, &v32, 4), -ENODEV);
            CHECK_EQ(fab_bar_flush(bar), -ENODEV);
            CHECK_EQ(fab_bar_writes(bar), 1);
            fab_bar_close(bar);
        }
}

static void device_that_cannot_answer_is_not_opened(void) {
    fab_bar *bar = NULL;
    put_registers();
    put_ones();
    CHECK_EQ(fab_bar_open(folder, &bar), -ENODEV);
    put_config(0x5200F118, 5, 0x05800000); /* memory decoding is off */
    CHECK_EQ(fab_bar_open(folder, &bar), -ENXIO);
    put_config(UINT32_MAX, 0, 0x05800000); /* a virtual function has no such bit */
    CHECK_EQ(fab_bar_open(folder, &bar), 0);
    fab_bar_close(bar);
}

static void bar_of_another_kind_or_place_is_told_by_the_resource_lines(void) {
    static const char io[] = "0x000000000000c000 0x000000000000c01f 0x0000000000040101\n";
    static const char small[] = "0x00000000febf1100 0x00000000febf11ff 0x0000000000040200\n";
    fab_bar *bar = NULL;
    uint8_t page[4096] = {0};
    put_config(0x5200F118, 2, 0x05800000);
    put_registers();
    put_file(LINES, io, sizeof io - 1);
    CHECK_EQ(fab_bar_open(folder, &bar), -ENOENT);
    put_file(LINES, small, sizeof small - 1);
    page[0x100] = 0x5A;
    put_file(RESOURCE, page, 256); /* as long as the BAR, which begins at 0x100 of its page */
    CHECK_EQ(fab_bar_open(folder, &bar), 0);
    CHECK_EQ(fab_bar_bytes(bar), 256);
    fab_bar_close(bar);
    unlink(names[LINES]);
}

static void write_combining_is_refused_where_it_cannot_be(void) {
    static const char plain[] = "0x00000000fe000000 0x00000000fe000fff 0x0000000000040200\n";
    static const char fetch[] = "0x00000000fe000000 0x00000000fe000fff 0x0000000000042208\n";
    char path[128];
    uint32_t v32 = 0;
    fab_bar *bar = NULL;
    put_registers();
    put_config(0x5200F118, 2, 0x05800000);
    put_file(LINES, plain, sizeof plain - 1);
    CHECK_EQ(fab_bar_open_wc(folder, &bar), -ENOTSUP);
    CHECK_EQ(fab_bar_open_wc("vfio:0000:00:00.0", &bar), -ENOTSUP);
    CHECK_EQ(fab_bar_open_wc("uio:0", &bar), -ENOTSUP);
    CHECK_EQ(fab_bar_open_wc("shm:node", &bar), -ENOTSUP);
    CHECK_EQ(fab_bar_open_wc(names[CONFIG], &bar), -ENOTSUP);
    put_file(LINES, fetch, sizeof fetch - 1);
    CHECK_EQ(fab_bar_open_wc(folder, &bar), -ENOTSUP); /* no resource0_wc */
    snprintf(path, sizeof path, "%s/resource0_wc", folder);
    CHECK_EQ(link(names[RESOURCE], path), 0);
    const char *targets[] = {folder, names[RESOURCE]};
    for (int i = 0; i < 3; i++) {
        if (i < 2)
            CHECK_EQ(fab_bar_open_wc(targets[i], &bar), 0);
        else
            CHECK_EQ(fab_bar_open(path, &bar), 0); /* its own name asks for it */
        CHECK_EQ(fab_bar_write32(bar, 8, 5), 0);
        CHECK_EQ(fab_bar_read32(bar, 8, &v32), 0);
        CHECK_EQ(v32, 5);
        CHECK_EQ(fab_bar_get32(bar, 0x100), UINT32_MAX);
        CHECK_EQ(fab_bar_flush(bar), 0);
        fab_bar_close(bar);
    }
    unlink(path);
    unlink(names[LINES]);
}

int main(void) {
    static const char *const files[] = {"resource0", "config", "resource"};
    snprintf(folder, sizeof folder, "/tmp/fab_bar.XXXXXX");
    if (!mkdtemp(folder)) return 2;
    for (int i = 0; i < 3; i++) snprintf(names[i], sizeof names[i], "%s/%s", folder, files[i]);
    image_file_is_a_bar(folder);
    names_without_a_device_are_refused();
    all_ones_are_a_value_while_the_config_space_answers();
    all_ones_without_a_config_space_are_a_removal();
    device_that_cannot_answer_is_not_opened();
    bar_of_another_kind_or_place_is_told_by_the_resource_lines();
    write_combining_is_refused_where_it_cannot_be();
    for (int i = 0; i < 3; i++) unlink(names[i]);
    CHECK_EQ(rmdir(folder), 0);
    return CHECK_RESULT;
}
