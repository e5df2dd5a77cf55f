"""Makes a firmware image of a few kilobytes from the layout of its metadata."""

from __future__ import annotations

import struct
import zlib

HEADER, BODY = 1024, 5000


def make(
    generation: int = 5, kind: int = 5, minor: int = 9, body: bytes = bytes(range(250)) * 20
) -> bytes:
    """kind: the type's number in that generation (main firmware: 5 in Gen5, else 4)."""
    head = bytearray(HEADER)
    head[0:8] = b"MSCC_MD "
    struct.pack_into("<6I", head, 0x08, 1, 0, HEADER, 628, len(body), kind)
    head[0x20] = generation == 5
    struct.pack_into("<I", head, 0x24, (3 * generation - 9) << 24 | minor << 16 | 0x123)
    head[0x30:0x40] = b"2026030108:15:00"
    head[0x40:0x44] = b"TEST"
    struct.pack_into("<I", head, 0x54, zlib.crc32(body))
    struct.pack_into("<I", head, 0x270, zlib.crc32(head[:0x270]))
    return bytes(head) + body
