/* The flash of an emulated switch: its partitions, the image that is being received, the boot.
 *
 * An image's bytes are received and checked as they come; what stays of one is its metadata, whose
 * CRC was found right. Guarded by the node's lock, as all of it.
 */
#ifndef FAB_EMULATOR_FIRMWARE_H
#define FAB_EMULATOR_FIRMWARE_H

#include "fabcore.h"
#include "regs_firmware.h"

enum {
    FLASH_PARTS = 23, /* of Gen6, which has most */
    FLASH_SECURED = FAB_FIRMWARE_IMG + 1
};

struct node_partition {
    uint8_t type; /* FAB_FIRMWARE_*; constant */
    uint8_t slot; /* among those of its type; constant */
    uint8_t valid;
    uint8_t active; /* runs after the next boot */
    uint8_t running;
    uint8_t read_only; /* constant */
    uint8_t fresh;     /* received since the last boot */
    uint32_t start;    /* address in flash; constant */
    uint32_t bytes;    /* constant */
    uint8_t metadata[METADATA_BYTES];
};

/* The image on its way. Bytes of [body, end) are under the CRC. */
struct node_update {
    uint8_t open;
    uint8_t keep;   /* do not activate it */
    uint8_t torn;   /* a block of it was lost */
    int8_t target;  /* partition, -1 = the metadata is not complete yet */
    uint32_t total; /* bytes of the whole image */
    uint32_t received;
    uint32_t body, end;
    uint32_t crc;
    uint8_t metadata[METADATA_BYTES];
};

struct node_firmware {
    uint8_t phase; /* BOOT_* */
    uint8_t parts; /* how many; constant */
    uint8_t status, background;
    uint32_t torn;                  /* blocks that will be lost */
    uint32_t secure[FLASH_SECURED]; /* secure versions, which never go back */
    struct node_partition part[FLASH_PARTS];
    struct node_update update;
};

struct node_switch;

void firmware_build(struct node_switch *sw); /* the factory's images, and the first boot */
/* What is active runs from now on; an active image that is not valid leaves the switch in the
 * loader before it. Called by every reset of the chip. */
void firmware_boot(struct node_switch *sw);
void firmware_publish(struct node_switch *sw); /* registers follow the partitions */
/* A loader knows few commands. */
int firmware_answers(const struct node_switch *sw, uint32_t id);
/* The vendor's client sends images through the mailbox without naming the PAX that it means: its
 * own. True for such a command. */
int firmware_for_this(uint32_t word, const uint8_t *in);
/* The number that images of a generation give a FAB_FIRMWARE_* kind, and back (-1 = none). */
uint32_t firmware_type_number(unsigned generation, unsigned type);
int firmware_type_of(const struct node_switch *sw, const uint8_t *metadata);
struct node_partition *firmware_find(struct node_firmware *fw, unsigned type, int active);
uint32_t firmware_crc(uint32_t crc, const uint8_t *data, uint32_t bytes);
uint32_t firmware_hash(const struct node_switch *sw, uint32_t what); /* from the node's seed */

#endif
