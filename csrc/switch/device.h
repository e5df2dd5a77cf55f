/* Device ids of the Switchtec families, for the driver and the emulated switch alike. */
#ifndef FAB_DEVICE_H
#define FAB_DEVICE_H

#include <stdint.h>

enum fab_family { FAMILY_PFX, FAMILY_PSX, FAMILY_PAX };

/* Family and lanes of a Switchtec device id; 0, or -EPROTO for anything else. The generation that
 * counts is what the firmware's ping answers; that of the id is its first digit (Gen3: 8). */
int fab_device_decode(uint32_t device_id, enum fab_family *family, uint32_t *lanes);

#endif
