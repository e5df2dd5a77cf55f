/* Config spaces: what a dword's bits allow, and the capabilities that ports and functions share.
 *
 * Offsets and bits are the PCI Express Base Specification's (6.0 for 64 GT/s and DOE).
 */
#ifndef FAB_EMULATOR_SPACE_H
#define FAB_EMULATOR_SPACE_H

#include <stdint.h>

#include "regs.h"

/* A config space: its dwords and, for each, which bits a write may change, which a written 1
 * clears, and which outlive a hot or function-level reset. */
struct space {
    uint32_t *words;
    uint32_t *writable;
    uint32_t *clearable; /* write 1 to clear */
    uint32_t *sticky;
    uint16_t cap_tail; /* where the next capability's offset goes, while it is being built */
    uint16_t ext_tail;
};

/* What forgets what: a cold reset (power) everything; a hot one all but what is sticky; a function
 * level reset also spares what belongs to the link. */
enum reset { RESET_COLD, RESET_HOT, RESET_FUNCTION };

void space_put(struct space *s, uint32_t at, unsigned bytes, uint32_t value);
void space_allow(struct space *s, uint32_t at, unsigned bytes, uint32_t mask);
void space_clearable(struct space *s, uint32_t at, unsigned bytes, uint32_t mask);
void space_sticky(struct space *s, uint32_t at, unsigned bytes, uint32_t mask);
uint32_t space_get(const struct space *s, uint32_t at, unsigned bytes);
void space_set(struct space *s, uint32_t at, unsigned bytes, uint32_t bits); /* or-s them in */
void space_cap(struct space *s, uint32_t at, uint8_t id);
void space_ext(struct space *s, uint32_t at, uint16_t id, uint8_t version);
/* A write of 1..4 bytes inside one dword, as the masks allow. */
void space_write(struct space *s, uint32_t at, uint32_t value, unsigned bytes);
/* The bits of such a write that meet the register of `width` bytes at `reg`, 0 elsewhere. */
uint32_t space_written(uint32_t at, uint32_t value, unsigned bytes, uint32_t reg, unsigned width);
/* Puts the sticky bits of `kept` (as many dwords) back into a space that was built anew. */
void space_restore(struct space *s, const uint32_t *kept, unsigned words);

/* ---- capabilities.c ---- */
struct node_port;
struct fab_node_config;
void space_pcie(struct space *s, uint32_t at, unsigned type, const struct node_port *port,
                const struct fab_node_config *config);
void space_power(struct space *s, uint32_t at);
void space_msi(struct space *s, uint32_t at, unsigned vectors_log2);
void space_msix(struct space *s, uint32_t at, unsigned vectors, uint32_t table, uint32_t pending);
void space_aer(struct space *s, uint32_t at);
void space_acs(struct space *s, uint32_t at, uint32_t can);
void space_serial(struct space *s, uint32_t at, uint64_t serial);

/* ---- phy.c: secondary PCIe, Data Link Feature, 16 to 64 GT/s, lane margining ---- */
uint32_t space_phy(struct space *s, uint32_t at, unsigned gen,
                   unsigned lanes); /* -> offset behind */
/* Status of the equalisation at 8 GT/s and above, for a link that runs at generation `now`. */
void space_equalised(struct space *s, uint32_t at, unsigned gen, unsigned lanes, uint32_t pcie,
                     unsigned now);
/* A write into the margining control of a lane shows in its status. */
void space_margin(struct space *s, uint32_t at, unsigned gen, unsigned lanes, uint32_t where);

enum {
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_SECONDARY_STATUS = 0x1E,
    COMMAND_SERR = 1 << 8,
    STATUS_SYSTEM_ERROR = 1 << 14, /* signalled; in the secondary status: received */
    STATUS_PARITY = 1 << 15,       /* detected: a poisoned TLP */
    BRIDGE_CONTROL = 0x3E,
    BRIDGE_BUS_RESET = 1 << 6
};
enum {
    PORT_PCIE = 0x50, /* offsets in a port's config space; functions have the same */
    FUNCTION_PCIE = 0x50,
    PCIE_DEVCAP = 0x04,
    PCIE_DEVCTL = 0x08,
    PCIE_DEVSTA = 0x0A,
    PCIE_SLTCAP = 0x14,
    PCIE_SLTCTL = 0x18,
    PCIE_SLTSTA = 0x1A,
    PCIE_LINK_STATUS2 = 0x32,
    DEVCAP_FLR = 1 << 28,
    DEVCTL_FLR = 1 << 15,
    DEVSTA_UNSUPPORTED = 1 << 3,
    LINK_BANDWIDTH = 1 << 14,
    SLTCTL_POWER_OFF = 1 << 10,
    SLTCTL_LINK_ENABLE = 1 << 12, /* events of the data link */
    SLTSTA_POWER_FAULT = 1 << 1,
    SLTSTA_PRESENCE_CHANGED = 1 << 3,
    SLTSTA_PRESENT = 1 << 6,
    SLTSTA_LINK_CHANGED = 1 << 8,
    SECONDARY_LNKCTL3 = 0x04, /* of secondary PCIe; bit 0: perform equalisation */
};
enum {
    AT_AER = 0x100, /* of ports and functions */
    AER_UNC_STATUS = 0x04,
    AER_UNC_MASK = 0x08,
    AER_UNC_SEVERITY = 0x0C,
    AER_COR_STATUS = 0x10,
    AER_COR_MASK = 0x14,
    AER_CONTROL = 0x18, /* bits 4:0 the first error pointer */
    AER_HEADER = 0x1C,
    AER_UNC_BITS = 0x047FF030, /* the errors that are implemented */
    AER_COR_BITS = 0x0000F1C1
};
enum {
    UNC_DATA_LINK = 4,
    UNC_SURPRISE_DOWN = 5,
    UNC_POISONED = 12,
    UNC_FLOW_CONTROL = 13,
    UNC_COMPLETION_TIMEOUT = 14,
    UNC_COMPLETER_ABORT = 15,
    UNC_UNEXPECTED_COMPLETION = 16,
    UNC_OVERFLOW = 17,
    UNC_MALFORMED = 18,
    UNC_ECRC = 19,
    UNC_UNSUPPORTED = 20,
    UNC_ACS = 21,
    UNC_INTERNAL = 22,
    COR_RECEIVER = 0,
    COR_BAD_TLP = 6,
    COR_BAD_DLLP = 7,
    COR_REPLAY_ROLLOVER = 8,
    COR_REPLAY_TIMEOUT = 12,
    COR_ADVISORY = 13,
    COR_INTERNAL = 14,
    COR_LOG_OVERFLOW = 15
};
enum {
    AT_DPC = 0x160, /* of downstream ports */
    DPC_CONTROL = 0x06,
    DPC_STATUS = 0x08,
    DPC_SOURCE = 0x0A,
    DPC_ON_FATAL = 1, /* in the control's bits 1:0 */
    DPC_ON_ANY = 2,
    DPC_SOFTWARE = 1 << 6,
    DPC_TRIGGERED = 1 << 0,
    DPC_REASON_SHIFT = 1,
    DPC_INTERRUPT = 1 << 3,
    DPC_EXTENSION_SHIFT = 5
};

#endif
