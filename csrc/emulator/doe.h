/* The DOE mailbox of a module's PF (doe.c). */
#ifndef FAB_EMULATOR_DOE_H
#define FAB_EMULATOR_DOE_H

#include <stdint.h>

#include "space.h"

#define DOE_WORDS 64 /* of a data object, in and out */
/* A DOE mailbox: the object being written, the one being read. */
struct doe {
    uint16_t at; /* offset of the capability, 0 = none; constant */
    uint16_t got, have, given;
    uint32_t in[DOE_WORDS], out[DOE_WORDS];
};
void doe_build(struct doe *doe, struct space *s, uint32_t at);
int doe_write(struct doe *doe, struct space *s, uint32_t at, uint32_t value, unsigned bytes);

#endif
