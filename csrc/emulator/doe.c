/* Data Object Exchange: the mailbox in a module's PF, with its discovery protocol. */
#include "node.h"

enum {
    DOE_CONTROL = 0x08,
    DOE_STATUS = 0x0C,
    DOE_WRITE = 0x10,
    DOE_READ = 0x14,
    DOE_BYTES = 0x18,
    CONTROL_ABORT = 1 << 0,
    CONTROL_INTERRUPT = 1 << 1,
    STATUS_INTERRUPT = 1 << 1,
    STATUS_ERROR = 1 << 2,
    DISCOVERY = 0x00000001, /* vendor PCI-SIG, type 0 */
    NO_PROTOCOL = 0x0000FFFF
};
#define CONTROL_GO UINT32_C(0x80000000)
#define STATUS_READY UINT32_C(0x80000000)

/* Protocols by discovery index: vendor | type << 16. */
static const uint32_t protocols[] = {DISCOVERY};
enum { PROTOCOLS = sizeof protocols / sizeof *protocols };

void doe_build(struct doe *doe, struct space *s, uint32_t at) {
    *doe = (struct doe){.at = (uint16_t)at};
    space_ext(s, at, 0x002E, 1);
    space_allow(s, at + DOE_CONTROL, 4, CONTROL_INTERRUPT);
    space_clearable(s, at + DOE_STATUS, 4, STATUS_INTERRUPT);
}

static void status(struct doe *doe, struct space *s, uint32_t bits) {
    uint32_t keep = space_get(s, doe->at + DOE_STATUS, 4) & STATUS_INTERRUPT;
    space_put(s, doe->at + DOE_STATUS, 4, keep | bits);
}

/* The dword at hand, and whether there is one. */
static void offer(struct doe *doe, struct space *s) {
    int more = doe->given < doe->have;
    space_put(s, doe->at + DOE_READ, 4, more ? doe->out[doe->given] : 0);
    status(doe, s, more ? STATUS_READY : 0);
}

/* Builds the answer; returns its dwords, 0 = the object cannot be answered. */
static uint16_t answer(struct doe *doe) {
    if (doe->got != 3 || doe->in[0] != DISCOVERY || (doe->in[1] & 0x3FFFF) != 3) return 0;
    uint32_t index = doe->in[2] & 0xFF, next = index + 1 < PROTOCOLS ? index + 1 : 0;
    doe->out[0] = DISCOVERY;
    doe->out[1] = 3;
    doe->out[2] = (index < PROTOCOLS ? protocols[index] : NO_PROTOCOL) | next << 24;
    return 3;
}

static void go(struct doe *doe, struct space *s) {
    doe->have = answer(doe);
    doe->got = doe->given = 0;
    if (!doe->have) {
        status(doe, s, STATUS_ERROR); /* until aborted */
        return;
    }
    offer(doe, s);
    if (space_get(s, doe->at + DOE_CONTROL, 4) & CONTROL_INTERRUPT)
        space_set(s, doe->at + DOE_STATUS, 4, STATUS_INTERRUPT);
}

static void control(struct doe *doe, struct space *s, uint32_t value) {
    if (value & CONTROL_ABORT) {
        doe->got = doe->have = doe->given = 0;
        offer(doe, s);
    } else if (value & CONTROL_GO && !(space_get(s, doe->at + DOE_STATUS, 4) & STATUS_ERROR)) {
        go(doe, s);
    }
}

/* True if the register is the mailbox's, which then took the write. Data moves in whole dwords. */
int doe_write(struct doe *doe, struct space *s, uint32_t at, uint32_t value, unsigned bytes) {
    if (at < doe->at + (uint32_t)DOE_CONTROL || at >= doe->at + (uint32_t)DOE_BYTES) return 0;
    space_write(s, at, value, bytes);
    if ((at & ~3u) == doe->at + (uint32_t)DOE_CONTROL)
        control(doe, s, space_written(at, value, bytes, doe->at + DOE_CONTROL, 4));
    if (bytes != 4) return 1;
    if (at == doe->at + (uint32_t)DOE_WRITE) {
        if (doe->got < DOE_WORDS)
            doe->in[doe->got++] = value;
        else
            status(doe, s, STATUS_ERROR); /* longer than any object it knows */
    } else if (at == doe->at + (uint32_t)DOE_READ && doe->given < doe->have) {
        doe->given++; /* any write says that the dword was read */
        offer(doe, s);
    }
    return 1;
}
