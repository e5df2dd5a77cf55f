/* What the driver's firmware files share: how flash is divided, images by their kind. */
#ifndef FAB_FIRMWARE_DRIVER_H
#define FAB_FIRMWARE_DRIVER_H

#include "driver.h"
#include "regs_firmware.h"

/* What a partition's or an image file's metadata says; the fields that are the image's. */
void fab_firmware_metadata(const uint8_t *metadata, struct fab_firmware_partition *out);
/* FAB_FIRMWARE_* by the number in an image's metadata, -1 = none. */
int fab_firmware_kind(int generation, const uint8_t *metadata);
/* The active or the inactive one of a kind, NULL = none. */
const struct fab_firmware_partition *fab_firmware_find(const struct fab_firmware_partition *list,
                                                       int n, unsigned kind, bool active);
/* The command that the firmware takes images and toggles by now; *loader = by a boot loader. */
int fab_firmware_command(fab_switch *sw, uint32_t *command, bool *loader);

#endif
