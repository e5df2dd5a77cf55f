"""A table of firmware commands: what goes out, how many bytes come back, what they say."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from served import IDENTITIES, Served

ALL = tuple(IDENTITIES)
PAX = ("PAX", "PAX4")
GEN5 = ("PAX", "PSX", "PFX")
NOT_GEN6 = ("PAX", "PSX", "PFX", "PAX4")

SUB_INVALID, COMMAND_INVALID, PARAMETER_INVALID = 0x64004, 0x64005, 0x64006
BAD_STATE, DENIED, BAD_PORT, REFUSED = 0x64007, 0x64010, 0x100002, 0xFFFF0001
BAD_STACK = 0x54003


@dataclass(frozen=True)
class Row:
    """One request; `answer`: the output, or what must hold of it; None: it is not looked at."""

    name: str
    command: int
    payload: bytes
    wanted: int
    answer: bytes | Callable[[bytes], object] | None = None
    code: int = 0
    on: tuple[str, ...] = ALL

    def check(self, served: Served, channel: Any = None) -> None:
        """Sends it and holds the answer against the row."""
        ask = served.command() if channel is None else channel
        code, out = ask.mrpc(served.word(self.command), self.payload, self.wanted)
        assert code == self.code, f"{self.name}: 0x{code:x}"
        if code:
            assert out == bytes(self.wanted), "an error carries as many bytes, none of them data"
        elif isinstance(self.answer, bytes):
            assert out == self.answer
        elif self.answer is not None:
            assert self.answer(out), out.hex()


def cases(rows: list[Row]) -> list[tuple[str, Row]]:
    """(identity, row) for pytest.mark.parametrize."""
    return [(name, row) for row in rows for name in row.on]


def names(value: object) -> str:
    return value.name if isinstance(value, Row) else str(value)


def u32(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


def u16(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<H", data, at)[0])


def w32(data: bytes, at: int = 0) -> int:
    return int(struct.unpack_from("<I", data, at)[0])


def section(out: bytes, kind: int, pax: int = 0) -> bool:
    """A section's header: class, PAX index, swfid, size in dwords with the header."""
    return out[0] == kind and out[1] == pax and w32(out, 4) * 4 == len(out)
