"""PCIe generations, widths and encodings, and the payload rate that a link really carries."""

from __future__ import annotations

from typing import Final

from fabcore.errors import TopologyError

GENERATIONS: Final = (1, 2, 3, 4, 5, 6)
WIDTHS: Final = (1, 2, 4, 8, 16)
PAYLOAD_SIZES: Final = (128, 256, 512, 1024, 2048, 4096)
KINDS: Final = ("write", "read")

# Signalling rate per lane in GT/s, and the share of it that line coding (or, from generation 6,
# the FLIT's CRC and FEC) leaves.
GIGATRANSFERS: Final = {1: 2.5, 2: 5.0, 3: 8.0, 4: 16.0, 5: 32.0, 6: 64.0}
ENCODING: Final = {
    1: 8 / 10,
    2: 8 / 10,
    3: 128 / 130,
    4: 128 / 130,
    5: 128 / 130,
    6: 242 / 256,
}

# Bytes of TLP traffic per ACK DLLP (and, in the model, per flow-control DLLP), by width and then
# by MaxPayloadSize as in PAYLOAD_SIZES: base specification 5.0, tables 2-46..2-48 and 3-7..3-9.
_ACK_GEN1: Final = {
    1: (237, 416, 559, 1071, 2095, 4143),
    2: (128, 217, 289, 545, 1057, 2081),
    4: (73, 118, 154, 282, 538, 1050),
    8: (67, 107, 86, 150, 278, 534),
    16: (48, 72, 86, 150, 278, 534),
}
_ACK_GEN2: Final = {
    1: (288, 467, 610, 1122, 2146, 4194),
    2: (179, 268, 340, 596, 1108, 2132),
    4: (124, 169, 205, 333, 589, 1101),
    8: (118, 158, 137, 201, 329, 585),
    16: (99, 123, 137, 201, 329, 585),
}
_ACK_GEN3: Final = {
    1: (333, 512, 655, 1167, 2191, 4239),
    2: (224, 313, 385, 641, 1153, 2177),
    4: (169, 214, 250, 378, 634, 1146),
    8: (163, 203, 182, 246, 374, 630),
    16: (144, 168, 182, 246, 374, 630),
}
_DLLP_BYTES: Final = 8
_SKIP_SHARE: Final = 4 / 1538  # a 4-byte skip ordered set every 1538 symbol times

# Bytes beside the payload: framing 2, sequence 2, LCRC 4 and the header (16 for a memory write
# with a 64-bit address, 12 for a completion); no ECRC.
_OVERHEAD: Final = {"write": 24, "read": 20}
# FLIT mode has no framing, sequence number or LCRC per TLP: only the header remains.
_FLIT_OVERHEAD: Final = {"write": 16, "read": 12}
_FLIT_TLP_SHARE: Final = 236 / 242  # of what CRC and FEC leave; 6 DLP bytes carry ACKs and credits


def _check_link(gen: int, lanes: int) -> None:
    if isinstance(gen, bool) or gen not in GENERATIONS:
        raise TopologyError(f"PCIe generation {gen!r} does not exist: use 1 to 6")
    if isinstance(lanes, bool) or lanes not in WIDTHS:
        raise TopologyError(f"link width {lanes!r} does not exist: use 1, 2, 4, 8 or 16 lanes")


def raw_rate(gen: int, lanes: int) -> float:
    """Raw rate of a link after line coding, B/s per direction.

    Generation 6 counts what CRC and FEC leave of a FLIT (242 of 256 bytes).
    Raises TopologyError for a generation or a width that does not exist.
    """
    _check_link(gen, lanes)
    return GIGATRANSFERS[gen] * 1e9 * lanes * ENCODING[gen] / 8


def tlp_rate(gen: int, lanes: int, mps: int = 256) -> float:
    """Rate left for TLPs (headers and payload) after DLLPs and skip ordered sets, B/s per direction.

    Generations 1-5: raw x (1 - 8/ack_limit - 8/fc_limit - 4/1538), the model of pcie-bench
    (Neugebauer et al., SIGCOMM 2018) with the limits of the PCIe base specification 5.0, tables
    2-46..2-48 and 3-7..3-9. Generation 6 is modelled from the FLIT's layout (236 TLP bytes in
    256), no table being published here. Raises TopologyError for an impossible link or MPS.
    """
    raw = raw_rate(gen, lanes)
    if isinstance(mps, bool) or mps not in PAYLOAD_SIZES:
        raise TopologyError(f"MaxPayloadSize {mps!r} is not a power of two from 128 to 4096")
    if gen == 6:
        return raw * _FLIT_TLP_SHARE * (1 - _SKIP_SHARE)
    table = {1: _ACK_GEN1, 2: _ACK_GEN2}.get(gen, _ACK_GEN3)
    limit = table[lanes][PAYLOAD_SIZES.index(mps)]
    return raw * (1 - 2 * _DLLP_BYTES / limit - _SKIP_SHARE)


def payload_rate(
    gen: int, lanes: int, mps: int = 256, mrrs: int = 512, kind: str = "write"
) -> float:
    """TLP payload that a link carries, B/s per direction, for transfers that are multiples of MPS.

    gen is 1..6, lanes 1, 2, 4, 8 or 16; mps and mrrs are bytes, powers of two from 128 to 4096.
    kind "write" is a stream of memory writes with 64-bit addresses; "read" is the completion
    direction, where a completion carries min(mps, mrrs) bytes (pcie-bench ignores MRRS here, so
    the two agree for mps <= mrrs). Generation 6 is modelled, see tlp_rate.
    Raises TopologyError for an impossible generation, width, size or kind.
    """
    if isinstance(mrrs, bool) or mrrs not in PAYLOAD_SIZES:
        raise TopologyError(f"MaxReadRequestSize {mrrs!r} is not a power of two from 128 to 4096")
    if kind not in KINDS:
        raise TopologyError(f"transfer kind {kind!r} is unknown: use 'write' or 'read'")
    rate = tlp_rate(gen, lanes, mps)
    payload = mps if kind == "write" else min(mps, mrrs)
    overhead = (_FLIT_OVERHEAD if gen == 6 else _OVERHEAD)[kind]
    return rate * payload / (payload + overhead)
