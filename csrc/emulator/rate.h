/* What a link carries: the model of src/fabcore/pcie.py in C, term for term, so that both sides of
 * the binding compute the same double. Sources stand there and in docs/registers.md. */
#ifndef FAB_EMULATOR_RATE_H
#define FAB_EMULATOR_RATE_H

#include <stdint.h>

/* Raw rate after line coding, B/s per direction. 0 = no such link. */
double rate_raw(unsigned gen, unsigned lanes);
/* What is left for TLPs, headers and payload. 0 = no such link or MaxPayloadSize. */
double rate_tlp(unsigned gen, unsigned lanes, uint32_t mps);
/* Bytes of a TLP beside its payload; kind is FAB_TRANSFER_*. */
unsigned rate_overhead(unsigned gen, int kind);
/* Bytes of payload in a full TLP: MPS of a write, min(MPS, MRRS) of a completion. */
uint32_t rate_unit(uint32_t mps, uint32_t mrrs, int kind);

#endif
