"""Registers of another PAX by firmware command (`gas read -x 3`), and the hard reset."""

from __future__ import annotations

import struct

import pytest
from served import IDENTITIES, Served
from table import PARAMETER_INVALID, Row, cases, names, u32
from wire import LOCAL

every_identity = pytest.mark.parametrize("identity", IDENTITIES, indirect=True)


def remote_read(offset: int, n: int) -> bytes:
    return struct.pack("<II", offset, n)


def remote_write(offset: int, data: bytes) -> bytes:
    return struct.pack("<II", offset, len(data)) + data


ROWS = [
    Row("gas read 4", 0x29, remote_read(0x1810, 8), 8, bytes(8)),
    Row("gas read 1", 0x29, remote_read(0x1008, 1), 1, b"\0"),
    Row("gas read 512", 0x29, remote_read(0x20000, 512), 512, bytes(512)),
    Row("gas read of 513", 0x29, remote_read(0x20000, 513), 513, code=PARAMETER_INVALID),
    Row("gas read beyond the end", 0x29, remote_read(0x3FFFFE, 4), 4, code=PARAMETER_INVALID),
    Row("gas read at 4 GiB", 0x29, remote_read(0xFFFFFFFF, 4), 4, code=PARAMETER_INVALID),
    Row("gas write", 0x34, remote_write(0x1830, u32(2)), 0, b""),
    Row("gas write 1016", 0x34, remote_write(0x20000, bytes(1016)), 0, b""),
    Row("gas write beyond the end", 0x34, remote_write(0x3FFFFE, u32(0)), 0,
        code=PARAMETER_INVALID),
    Row("gas write of 1017", 0x34, struct.pack("<II", 0x20000, 1017) + bytes(1016), 0,
        code=PARAMETER_INVALID),
]  # fmt: skip


@pytest.mark.parametrize(("identity", "row"), cases(ROWS), indirect=["identity"], ids=names)
def test_a_remote_access_answers_by_the_table(served: Served, row: Row) -> None:
    row.check(served)


@pytest.mark.parametrize("identity", ["PAX", "PAX4"], indirect=True)
def test_one_pax_reads_and_writes_the_registers_of_another(served: Served) -> None:
    here, there = served.command(0), served.command(3)
    for at, n in ((0x2000, 4), (0x134000, 256), (0x1000, 512), (0x2144, 24)):
        assert here.mrpc(0x000C0029, remote_read(at, n), n) == (0, there.gas_read(at, n))
    assert here.mrpc(0x000C0034, remote_write(0x1830, u32(0xA)), 0) == (0, b"")
    assert there.read32(0x1830) == 0xA
    assert here.read32(0x1830) == 0


@every_identity
def test_a_hard_reset_is_answered_first_and_then_forgets_everything(served: Served) -> None:
    channel = served.command()
    channel.write32(0x1830, 8)
    channel.write32(0, 0x1234)
    assert channel.mrpc(served.word(0x1B), u32(0), 0) == (0, b"")
    served.node.advance(2.0)
    assert channel.read32(0x1830) == 0, "the connection goes on"
    assert channel.read32(0) == 0
    assert channel.mrpc(LOCAL | 0x41, u32(1), 4) == (0, u32(0xFFFFFFFE))
    assert channel.read32(0x1820) & 1 << 3, "SYS_RESET"
    up = served.node.config_space(0, 16)
    assert int.from_bytes(up[0x50 + 0x12 :][:2], "little") & 0x3F0, "links have trained again"
