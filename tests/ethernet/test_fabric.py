"""Fabric commands of a PAX over TCP: topology, GFMS sections, bindings, function access."""

from __future__ import annotations

import struct

import pytest
from served import Served
from table import (
    BAD_PORT,
    BAD_STATE,
    COMMAND_INVALID,
    PARAMETER_INVALID,
    PAX,
    SUB_INVALID,
    Row,
    cases,
    names,
    section,
    u16,
    w32,
)  # fmt: skip
from wire import Channel, bind, unbind

PORTS = (0, 8, 16, 24, 32, 40, 48)
NO_PAX = ("PSX", "PFX", "PSX6")
on_pax = pytest.mark.parametrize("identity", PAX, indirect=True)


def fabric(out: bytes) -> bool:
    entries = [out[24 + 4 * k : 28 + 4 * k] for k in range(16)]
    reach = [0] * 4 + [2] * 12  # four switches in a ring; twelve that do not exist
    return section(out, 0) and [e[1] for e in entries] == reach and entries[3][0] == 3


def fabric_port(out: bytes) -> bool:
    """Port 32 of switch 0 leads to port 40 of switch 1."""
    return section(out, 4) and out[12] == 32 and out[16:18] == b"\x28\1" and u16(out, 18) == 1


def read(pdfid: int, addr: int, n: int) -> bytes:
    return struct.pack("<BBHHBB", 0, 0xA5, pdfid, addr, n, 0xA5)


def write(pdfid: int, addr: int, n: int, value: int) -> bytes:
    return struct.pack("<BBHHBBI", 1, 0xA5, pdfid, addr, n, 0xA5, value)


ROWS = [
    Row("topo-info status before a start", 0x82, b"\2", 4, lambda out: out[0] == 1, on=PAX),
    Row("topo-info start", 0x82, b"\1", 1, lambda out: True, on=PAX),
    Row("topo-info finish", 0x82, b"\4", 1, lambda out: True, on=PAX),
    Row("topo-info, no such sub", 0x82, b"\7", 4, code=SUB_INVALID, on=PAX),
    Row("topo-info of Gen4 on Gen5", 0x82, b"\3\0\0\0", 1004, code=SUB_INVALID, on=("PAX",)),
    Row("topo-info of Gen5 on Gen4", 0x82, b"\5\0\0\0", 1004, code=SUB_INVALID, on=("PAX4",)),
    Row("topo-info data before a start", 0x82, b"\5\0\0\0", 1004, code=BAD_STATE, on=("PAX",)),
    Row("topo-info data before a start, Gen4", 0x82, b"\3\0\0\0", 1004, code=BAD_STATE,
        on=("PAX4",)),
    Row("gfms-dump FABRIC", 0x83, b"\0", 88, fabric, on=PAX),
    Row("gfms-dump FAB_PORT", 0x83, b"\4\x20", 32, fabric_port, on=PAX),
    Row("gfms-dump FAB_PORT of a module", 0x83, b"\4\0", 32, code=BAD_PORT, on=PAX),
    Row("gfms-dump FAB_PORT of none", 0x83, b"\4\xff", 32, code=BAD_PORT, on=PAX),
    Row("gfms-dump, no such section", 0x83, b"\x63", 32, code=SUB_INVALID, on=PAX),
    Row("gfms-bind", 0x84, bind(0, 16, 1, 0), 4, lambda out: True, on=PAX),
    Row("gfms-bind elsewhere in the fabric", 0x84, bind(3, 24, 2, 5 << 6), 4, lambda out: True,
        on=PAX),
    Row("gfms-bind to no host", 0x84, bind(0, 8, 1, 0), 4, code=BAD_PORT, on=PAX),
    Row("gfms-bind to no switch", 0x84, bind(9, 16, 1, 0), 4, code=BAD_PORT, on=PAX),
    Row("gfms, no such sub", 0x84, bytes([7, 0, 16, 1]) + bytes(32), 4, code=SUB_INVALID, on=PAX),
    Row("gfms-unbind from no host", 0x84, unbind(0, 0, 1), 1, code=BAD_PORT, on=PAX),
    Row("ep-csr-read 4", 0x8E, read(0, 0, 4), 4, lambda out: w32(out) not in (0, 2**32 - 1), on=PAX),
    Row("ep-csr-read 2", 0x8E, read(0, 2, 2), 4, lambda out: out[2:] == b"\0\0", on=PAX),
    Row("ep-csr-read across a dword", 0x8E, read(0, 2, 4), 4, code=PARAMETER_INVALID, on=PAX),
    Row("ep-csr-read of 5", 0x8E, read(0, 0, 5), 4, code=PARAMETER_INVALID, on=PAX),
    Row("ep-csr-read of 0", 0x8E, read(0, 0, 0), 4, code=PARAMETER_INVALID, on=PAX),
    Row("ep-csr-read beyond 4 KiB", 0x8E, read(0, 0x1000, 4), 4, code=PARAMETER_INVALID, on=PAX),
    Row("ep-csr-read of no function", 0x8E, read(33, 0, 4), 4, code=PARAMETER_INVALID, on=PAX),
    Row("ep-csr-read of no module", 0x8E, read(0xFFFF, 0, 4), 4, code=PARAMETER_INVALID, on=PAX),
    Row("ep-csr, no such sub", 0x8E, b"\2" + read(0, 0, 4)[1:], 4, code=SUB_INVALID, on=PAX),
    Row("ep-csr-write", 0x8E, write(0, 0x3C, 1, 7), 0, b"", on=PAX),
    *(Row(f"0x{id:x} on what is no PAX", id, b"\1\0\0\0", 4, code=COMMAND_INVALID, on=NO_PAX)
      for id in (0x81, 0x82, 0x83, 0x84, 0x88, 0x8D, 0x8E)),
]  # fmt: skip


@pytest.mark.parametrize(("identity", "row"), cases(ROWS), indirect=["identity"], ids=names)
def test_a_fabric_command_answers_by_the_table(served: Served, row: Row) -> None:
    row.check(served)


def topology(served: Served, channel: Channel, switch: int) -> bytes:
    """As `fabric topo-info` reads it: start, wait, chunks of 1000 bytes, finish."""
    word = served.word(0x82, switch)
    data_sub = 3 if served.identity.generation == 4 else 5
    assert channel.mrpc(word, b"\1", 1)[0] == 0
    code, status = channel.mrpc(word, b"\2", 4)
    assert (code, status[0]) == (0, 3)
    total, data = 4 * u16(status, 2), b""
    while len(data) < total:
        want = min(total - len(data), 1000)
        ask = struct.pack("<BBH", data_sub, 0, len(data))
        code, out = channel.mrpc(word, ask, 4 + want)
        assert (code, out[0], 4 * u16(out, 2)) == (0, 3, want)
        data += out[4:]
    beyond = struct.pack("<BBH", data_sub, 0, total)
    assert channel.mrpc(word, beyond, 1004) == (PARAMETER_INVALID, bytes(1004))
    assert channel.mrpc(word, b"\4", 1)[0] == 0
    assert channel.mrpc(word, b"\2", 4)[1][0] == 1, "finished: not started"
    return data


@on_pax
def test_the_topology_lists_stacks_routes_and_ports(served: Served) -> None:
    gap = 4 if served.identity.generation == 4 else 0  # one stack less
    routes = {0: (0xFF, 32, 32, 40), 1: (40, 0xFF, 32, 32)}  # shortest ways in the ring
    for switch in routes:
        data = topology(served, served.command(switch), switch)
        head = 64 - 2 * gap
        assert len(data) == head + 32 * len(PORTS)
        assert data[0] == switch
        stacks = [w32(data, 4 + 4 * k) for k in range(8 - (gap > 0))]
        assert stacks[:7] == [8] * 6 + [2]
        assert data[36 - gap : 40 - gap] == bytes(routes[switch])
        bitmap = int.from_bytes(data[(48 if gap else 56) :][:8], "little")
        assert bitmap == sum(1 << p for p in PORTS)
        rows = [data[head + 32 * k :][:32] for k in range(len(PORTS))]
        assert [r[0] for r in rows] == list(PORTS)
        assert [r[1] for r in rows] == [2, 2, 3, 3, 1, 1, 0], "EP, host, fabric, unused"
        assert all(u16(r, 4 + 4 * k) == 0xFFFF for r in rows for k in range(5)), "no GPIO lines"
        generation = served.identity.generation
        assert {tuple(r[24:28]) for r in rows[:6]} == {(16, 16, generation, generation)}
        assert all(u16(r, 28) == 0x0103 for r in rows)


@on_pax
def test_a_binding_is_made_once_and_undone_once(served: Served) -> None:
    channel = served.command()
    word = served.word(0x84)
    assert channel.mrpc(word, bind(0, 16, 1, 0), 4)[0] == 0
    assert channel.mrpc(word, bind(0, 16, 2, 0), 4)[0] != 0, "bound already"
    assert channel.mrpc(word, bind(0, 16, 1, 1 << 6), 4)[0] != 0, "the logical port is taken"
    assert channel.mrpc(word, unbind(0, 16, 1), 1)[0] == 0
    assert channel.mrpc(word, unbind(0, 16, 1), 1)[0] != 0
    assert channel.mrpc(word, bind(0, 24, 1, 0), 4)[0] == 0, "the function is free again"


@on_pax
def test_virtual_functions_come_and_go_with_vf_enable(served: Served) -> None:
    """By the firmware command alone: the SR-IOV capability found by walking the list."""
    channel = served.command()

    def read32(pdfid: int, at: int) -> int:
        code, out = channel.mrpc(served.word(0x8E), read(pdfid, at, 4), 4)
        assert code == 0
        return w32(out)

    at = 0x100
    while read32(0, at) & 0xFFFF != 0x10:
        at = read32(0, at) >> 20
        assert at

    def answers(pdfid: int) -> bool:
        code = channel.mrpc(served.word(0x8E), read(pdfid, 0x34, 4), 4)[0]
        assert code in (0, PARAMETER_INVALID)
        return code == 0

    control, number = at + 8, at + 0x10
    for enable, count in ((0, 4), (1, 4), (0, 32), (1, 32)):
        assert channel.mrpc(served.word(0x8E), write(0, control, 2, 0), 0)[0] == 0
        assert channel.mrpc(served.word(0x8E), write(0, number, 2, count), 0)[0] == 0
        assert channel.mrpc(served.word(0x8E), write(0, control, 2, enable), 0)[0] == 0
        assert [answers(f) for f in range(34)] == [f <= enable * count for f in range(34)]
