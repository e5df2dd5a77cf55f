/* Raw, TLP and payload rate of a link. */
#include "rate.h"

#include "fabcore.h"

enum { GENERATIONS = 6, WIDTHS = 5, SIZES = 6, DLLP_BYTES = 8 };
static const double SKIP_SHARE = 4.0 / 1538; /* a 4-byte skip ordered set every 1538 symbol times */
static const double FLIT_TLP_SHARE = 236.0 / 242; /* of what CRC and FEC leave of a FLIT */

/* Bytes of TLPs per ACK DLLP and per flow-control DLLP, by width and MaxPayloadSize: base
 * specification 5.0, tables 2-46..2-48 and 3-7..3-9, for generations 1, 2 and from 3 on. */
static const uint16_t ack_limits[3][WIDTHS][SIZES] = {
    {{237, 416, 559, 1071, 2095, 4143},
     {128, 217, 289, 545, 1057, 2081},
     {73, 118, 154, 282, 538, 1050},
     {67, 107, 86, 150, 278, 534},
     {48, 72, 86, 150, 278, 534}},
    {{288, 467, 610, 1122, 2146, 4194},
     {179, 268, 340, 596, 1108, 2132},
     {124, 169, 205, 333, 589, 1101},
     {118, 158, 137, 201, 329, 585},
     {99, 123, 137, 201, 329, 585}},
    {{333, 512, 655, 1167, 2191, 4239},
     {224, 313, 385, 641, 1153, 2177},
     {169, 214, 250, 378, 634, 1146},
     {163, 203, 182, 246, 374, 630},
     {144, 168, 182, 246, 374, 630}},
};

/* n of first x 2^n, below `count`; -1 = no such power. */
static int power_of(uint32_t value, uint32_t first, int count) {
    for (int n = 0; n < count; n++)
        if (value == first << n) return n;
    return -1;
}

double rate_raw(unsigned gen, unsigned lanes) {
    static const double gigatransfers[GENERATIONS] = {2.5, 5.0, 8.0, 16.0, 32.0, 64.0};
    static const double coding[GENERATIONS] = {8.0 / 10,    8.0 / 10,    128.0 / 130,
                                               128.0 / 130, 128.0 / 130, 242.0 / 256};
    if (gen < 1 || gen > GENERATIONS || power_of(lanes, 1, WIDTHS) < 0) return 0;
    return gigatransfers[gen - 1] * 1e9 * lanes * coding[gen - 1] / 8;
}

double rate_tlp(unsigned gen, unsigned lanes, uint32_t mps) {
    double raw = rate_raw(gen, lanes);
    int size = power_of(mps, 128, SIZES);
    if (raw == 0 || size < 0) return 0;
    if (gen == 6) return raw * FLIT_TLP_SHARE * (1 - SKIP_SHARE);
    double limit = ack_limits[gen < 3 ? gen - 1 : 2][power_of(lanes, 1, WIDTHS)][size];
    return raw * (1 - 2 * DLLP_BYTES / limit - SKIP_SHARE);
}

/* Header, and up to generation 5 framing 2, sequence 2, LCRC 4; no ECRC. */
unsigned rate_overhead(unsigned gen, int kind) {
    unsigned header = kind == FAB_TRANSFER_READ ? 12 : 16;
    return gen == 6 ? header : header + 8;
}

uint32_t rate_unit(uint32_t mps, uint32_t mrrs, int kind) {
    return kind == FAB_TRANSFER_READ && mrrs < mps ? mrrs : mps;
}

double fab_payload_rate(unsigned gen, unsigned lanes, uint32_t mps, uint32_t mrrs, int kind) {
    if (power_of(mrrs, 128, SIZES) < 0) return 0;
    if (kind != FAB_TRANSFER_WRITE && kind != FAB_TRANSFER_READ) return 0;
    double payload = rate_unit(mps, mrrs, kind);
    return rate_tlp(gen, lanes, mps) * payload / (payload + rate_overhead(gen, kind));
}
