"""The GFMS database and its events over TCP, section by section, as `gfms-dump` and `gfms-events`."""

from __future__ import annotations

import struct

import pytest
from served import Served
from table import BAD_PORT, PARAMETER_INVALID, PAX, Row, cases, names, section, u16, w32
from wire import Channel, bind, unbind

on_pax = pytest.mark.parametrize("identity", PAX, indirect=True)
PAX_ALL, HVD, EP_PORT, HVD_DETAIL = 1, 3, 5, 6
START, GET, FINISH = 1, 2, 3


def pax(out: bytes) -> bool:
    maps = struct.unpack_from("<4Q", out, 48)
    return (
        section(out, 2)
        and out[12:14] == b"\7\2"
        and u16(out, 14) == 2
        and maps == (1 << 16 | 1 << 24, 1 | 1 << 8, 1 << 32 | 1 << 40, 0)
    )


def step(sub: int, param: int, kind: int, *more: int) -> bytes:
    return struct.pack(f"<BBHI{len(more)}I", sub, param, 0, kind, *more)


def u24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")


ROWS = [
    Row("gfms-dump PAX", 0x83, b"\2", 80, pax, on=PAX),
    Row("HVD of no host", 0x83, step(HVD, 9, START), 8, code=PARAMETER_INVALID, on=PAX),
    Row("HVD_DETAIL of no host", 0x83, step(HVD_DETAIL, 9, START), 8, code=PARAMETER_INVALID,
        on=PAX),
    Row("EP_PORT of a host", 0x83, step(EP_PORT, 16, START), 8, code=BAD_PORT, on=PAX),
    Row("EP_PORT of none", 0x83, step(EP_PORT, 255, START), 8, code=BAD_PORT, on=PAX),
    Row("gfms-events", 0x89, struct.pack("<BBH", 1, 0, 100), 1024, bytes(1024), on=PAX),
    Row("gfms-events clear", 0x89, bytes(4), 0, b"", on=PAX),
]  # fmt: skip


@pytest.mark.parametrize(("identity", "row"), cases(ROWS), indirect=["identity"], ids=names)
def test_a_gfms_command_answers_by_the_table(served: Served, row: Row) -> None:
    row.check(served)


def dump(served: Served, channel: Channel, sub: int, param: int = 0) -> bytes:
    """Start, get until the echoed offset and the size reach the total, finish. Which host it is
    about stands in the start only; an endpoint port's gets name it as well."""
    word, again = served.word(0x83), param if sub == EP_PORT else 0
    code, head = channel.mrpc(word, step(sub, param, START), 8)
    assert code == 0
    total, data = w32(head), b""
    while 4 * total > len(data):
        offset = len(data) // 4
        code, out = channel.mrpc(word, step(sub, again, GET, offset), 1024)
        size = w32(out, 4)
        assert (code, w32(out), w32(out, 8)) == (0, offset, 0)
        assert 3 < size <= 0xF0
        assert out[4 * size :] == bytes(1024 - 4 * size), "padded to 1024 bytes"
        data += out[12 : 4 * size]
    assert len(data) == 4 * total
    assert channel.mrpc(word, step(sub, again, GET, total), 1024)[0] != 0
    assert channel.mrpc(word, step(sub, 0, FINISH), 0)[0] == 0
    return data


def test_reading_without_a_start_is_refused(served: Served) -> None:
    assert served.command().mrpc(served.word(0x83), step(HVD, 0, GET, 0), 1024)[0] != 0


def parse_hvd(data: bytes) -> dict[int, dict[int, int]]:
    """Host port -> its bound slots (func * nlog + port) -> pdfid; the section's size checked."""
    assert section(data, HVD)
    at, found = 12, {}
    while at < len(data):
        phys, count = data[at + 1], u16(data, at + 4)
        at += 8
        rows = [data[at + 4 * k :][:4] for k in range(8 * count)]
        found[phys] = {k: u16(row, 2) for k, row in enumerate(rows) if row[1]}
        at += 32 * count
    assert at == len(data)
    return found


def parse_endpoints(data: bytes) -> dict[int, list[bytes]]:
    """Module port -> its functions' 36 bytes."""
    assert section(data, EP_PORT)
    at, found = 12, {}
    while at < len(data):
        kind, phys, endpoints, size = (
            data[at],
            data[at + 1],
            u16(data, at + 2),
            4 * u24(data, at + 4),
        )
        assert kind == (0 if endpoints else 2)
        rows: list[bytes] = []
        if endpoints:
            count = u16(data, at + 8)
            assert 4 * u24(data, at + 12) == 8 + 36 * count == size - 8
            rows = [data[at + 16 + 36 * k :][:36] for k in range(count)]
        found[phys] = rows
        at += size
    assert at == len(data)
    return found


@on_pax
def test_bindings_stand_in_the_host_sections(served: Served) -> None:
    channel = served.command()
    assert channel.mrpc(served.word(0x84), bind(0, 16, 3, 0), 4)[0] == 0
    assert channel.mrpc(served.word(0x84), bind(0, 16, 5, 1 << 6, (1 << 6) + 1), 4)[0] == 0
    data = dump(served, channel, HVD, 0)
    assert len(data) <= 1044, "the client's buffer for -t HVD"
    hosts = parse_hvd(data)
    assert list(hosts) == [16]
    nlog = u16(data, 12 + 4)
    assert hosts[16] == {3: 0, 5: 1 << 6, nlog + 5: (1 << 6) + 1}
    assert parse_hvd(dump(served, channel, HVD, 1)) == {24: {}}


@on_pax
def test_endpoints_list_functions_with_bars_and_bindings(served: Served) -> None:
    channel = served.command()
    assert channel.mrpc(served.word(0x84), bind(0, 16, 3, 0), 4)[0] == 0
    found = parse_endpoints(dump(served, channel, EP_PORT, 0))
    rows = found[0]
    assert list(found) == [0] and len(rows) == 33
    for number, row in enumerate(rows):
        assert (u16(row, 0), u16(row, 2)) == (number, number)
        assert row[4] == (0 if number else 3), "SR-IOV PF, then VFs"
        assert row[5] == (0 if number else 32)
        assert row[8:12] == (b"\0\0\0\0" if number else b"\1\0\x10\3"), "bound to 0:16, logical 3"
        assert row[23] <= 6 and all(row[24 + 2 * k] in (0xC, 0x8, 0x4, 0) for k in range(6))
    config = served.node.config_space(0, 0, 0)
    assert rows[0][12:16] == config[:4] and rows[0][16:20] == config[0x2C:0x30]
    assert rows[0][20:23] == config[9:12]
    served.node.fault(0, "link-down", port=0)
    assert parse_endpoints(dump(served, channel, EP_PORT, 0)) == {0: []}


@on_pax
def test_the_whole_of_a_pax_adds_up_exactly(served: Served) -> None:
    channel = served.command()
    data = dump(served, channel, PAX_ALL)
    sections = []
    while data:
        size = 4 * w32(data, 4)
        assert 12 <= size <= len(data)
        sections.append(data[:size])
        data = data[size:]
    assert [s[0] for s in sections] == [2, HVD, EP_PORT]
    assert sections[0] == channel.mrpc(served.word(0x83), b"\2", 80)[1]
    assert list(parse_hvd(sections[1])) == [16, 24]
    assert {p: len(r) for p, r in parse_endpoints(sections[2]).items()} == {0: 33, 8: 33}


@on_pax
def test_details_of_a_host_have_the_length_that_its_p2p_map_says(served: Served) -> None:
    channel = served.command()
    assert channel.mrpc(served.word(0x84), bind(0, 16, 3, 0), 4)[0] == 0
    data = dump(served, channel, HVD_DETAIL, 0)
    assert section(data, HVD_DETAIL)
    inst, phys, veps, usp_up = data[12], data[13], data[16], data[17]
    assert (inst, phys, usp_up) == (0, 16, 1)
    at = 20 + 4 * veps
    count = u16(data, at)
    bound = [data[at + 4 + 8 * k :][:8] for k in range(8 * count)]
    assert [(k, u16(row, 4)) for k, row in enumerate(bound) if row[1]] == [(3, 0)]
    at += 4 + 64 * count
    p2p = int.from_bytes(data[at : at + 8], "little")
    assert len(data) == at + 8 + 16 * p2p.bit_length()


def events(served: Served, channel: Channel, want: int = 100) -> list[tuple[int, int, bytes]]:
    """(code, switch, data) of what `gfms-events` prints."""
    code, out = channel.mrpc(served.word(0x89), struct.pack("<BBH", 1, 0, want), 1024)
    assert code == 0
    at, found = 4, []
    for _ in range(u16(out, 0)):
        n = u16(out, at)
        found.append((out[at + 2], out[at + 3], out[at + 4 : at + n]))
        at += n
    assert out[at:] == bytes(1024 - at)
    return found


@on_pax
def test_what_happens_is_logged_told_and_cleared(served: Served) -> None:
    channel, push = served.command(), served.event()
    channel.write32(0x1968, 9)  # the GFMS event's interrupt
    assert channel.mrpc(served.word(0x84), bind(1, 24, 4, 2 << 6), 4)[0] == 0
    push.wait_event()
    bound = [(s, d) for code, s, d in events(served, channel) if code == 6]
    assert bound == [(1, struct.pack("<BBBBHH", 1, 24, 4, 0, 2 << 6, 0))]
    assert channel.read32(0x1820) & 1 << 13
    assert channel.mrpc(served.word(0x84), unbind(1, 24, 4), 1)[0] == 0
    served.node.fault(0, "link-down", port=16)
    codes = [code for code, _, _ in events(served, channel)]
    assert 7 in codes and codes.index(6) < codes.index(7) < codes.index(1), "unbind, host link down"
    assert events(served, channel, 1) == events(served, channel)[:1]
    assert channel.mrpc(served.word(0x89), bytes(4), 0) == (0, b"")
    assert events(served, channel) == []
