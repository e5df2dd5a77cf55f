"""Commands about the chip and its ports: test, temp, status, bw, stack-bif, over TCP on every chip."""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from served import IDENTITIES, Served
from table import (
    ALL,
    BAD_PORT,
    BAD_STACK,
    GEN5,
    NOT_GEN6,
    PARAMETER_INVALID,
    PAX,
    SUB_INVALID,
    Row,
    cases,
    names,
    u16,
    u32,
    w32,
)  # fmt: skip

every_identity = pytest.mark.parametrize("identity", IDENTITIES, indirect=True)
PORTS = {0: 16, 8: 16, 16: 16, 24: 16, 32: 16, 40: 16, 48: 4}  # lanes
HOSTS = (16, 24)


def warm(out: bytes) -> bool:
    """Sensors in 0.01 degrees Celsius."""
    return all(2000 <= w32(out, at) <= 11000 for at in range(0, len(out), 4))


def records(out: bytes) -> dict[int, bytes]:
    """Status records by physical port; those of no port are at the end and say so."""
    rows = [out[at : at + 12] for at in range(0, len(out), 12)]
    used = [row for row in rows if row[3] >> 4 <= 10]
    assert all(row[3] == 0xFF for row in rows[len(used) :])
    return {row[0]: row for row in used}


def all_up(ltssm: int, generation: int) -> Callable[[bytes], bool]:
    def check(out: bytes) -> bool:
        found = records(out)
        assert list(found) == list(PORTS)
        for port, row in found.items():
            lanes = PORTS[port]
            assert row[3] == (port // 8) << 4 | port % 8, "stack, and port within it"
            assert (row[4], row[5]) == (lanes, lanes), "width configured, negotiated"
            assert row[6] == (port in HOSTS), "upstream"
            assert row[7] == 0x80 | generation, "up, and the rate"
            assert u16(row, 8) == ltssm
            assert row[10] in (0, 1, 2, 4, 8)
        assert found[16][1:3] == b"\0\0" and found[48][1:3] == b"\0\x64", "USP 0, VEP 100"
        downstream = [row[2] for port, row in found.items() if port not in (16, 48)]
        assert downstream == [1, 2, 3, 4, 5]
        return True

    return check


def only(*ports: int) -> Callable[[bytes], bool]:
    return lambda out: list(records(out)) == list(ports)


def counters(*ports: int) -> bytes:
    return bytes([1, len(ports)]) + b"".join(bytes([p, 0]) for p in ports)


def quiet(out: bytes) -> bool:
    """Counters before any traffic: a time, and zero bytes."""
    return all(out[at + 8 : at + 56] == bytes(48) for at in range(0, len(out), 56))


ROWS = [
    Row("test", 0x41, u32(0x12345678), 4, u32(0xEDCBA987)),
    Row("test zero", 0x41, u32(0), 4, u32(0xFFFFFFFF)),
    Row("temp", 0x04, bytes([4, 0, 0, 0]), 16, warm, on=(*GEN5, "PSX6")),
    Row("temp Gen4", 0x04, bytes([2, 0, 0, 0]), 4, warm, on=("PAX4",)),
    Row("temp of another generation", 0x04, bytes([2, 0, 0, 0]), 16, code=SUB_INVALID,
        on=(*GEN5, "PSX6")),
    Row("temp of a later generation", 0x04, bytes([4, 0, 0, 0]), 4, code=SUB_INVALID,
        on=("PAX4",)),
    Row("status", 0x1C, bytes(8), 720, all_up(0x0103, 5), on=GEN5),
    Row("status Gen4", 0x1C, bytes(8), 624, all_up(0x0103, 4), on=("PAX4",)),
    Row("status Gen6", 0x1C, bytes(16), 240, all_up(0x1103, 5), on=("PSX6",)),
    Row("status of two ports", 0x1C, struct.pack("<Q", 1 << 8 | 1 << 48), 720, only(8, 48), on=GEN5),
    Row("status of no port", 0x1C, struct.pack("<Q", 1 << 7), 720, only(), on=GEN5),
    Row("bw set payload", 0x07, bytes([12, 2, 0, 1, 8, 1]), 0, b""),
    Row("bw set raw", 0x07, bytes([12, 7]) + b"".join(bytes([p, 0]) for p in PORTS), 0, b""),
    Row("bw set, no such port", 0x07, bytes([12, 2, 0, 1, 7, 1]), 0, code=BAD_PORT),
    Row("bw set, no such type", 0x07, bytes([12, 1, 0, 2]), 0, code=PARAMETER_INVALID),
    Row("bw of one", 0x07, counters(0), 56, quiet),
    Row("bw of all", 0x07, counters(*PORTS), 56 * 7, quiet),
    Row("bw of sixteen", 0x07, counters(*[0] * 16), 896, quiet),
    Row("bw of too many", 0x07, counters(*[0] * 17), 896, code=PARAMETER_INVALID),
    Row("bw, no such port", 0x07, counters(0, 1), 112, code=BAD_PORT),
    Row("bw, port id beyond all", 0x07, counters(255), 56, code=BAD_PORT),
    Row("counters, no such sub", 0x07, bytes([99, 0, 0, 0]), 4, code=SUB_INVALID),
    *(Row(f"stack-bif -s {stack}", 0x0B, bytes([0, stack, 0, 0, 0, 0, 0, 0]), 8,
          bytes([0, stack, 0, 0, 8, 0, 0, 0]), on=NOT_GEN6) for stack in range(6)),
    Row("stack-bif -s 6", 0x0B, bytes([0, 6, 0, 0, 0, 0, 0, 0]), 8, bytes([0, 6, 0, 0, 2, 0, 0, 0]),
        on=NOT_GEN6),
    Row("stack-bif -s 7", 0x0B, bytes([0, 7, 0, 0, 0, 0, 0, 0]), 8, code=BAD_STACK, on=NOT_GEN6),
    Row("stack-bif, no such sub", 0x0B, bytes([9, 0, 0, 0, 0, 0, 0, 0]), 8, code=0x54040,
        on=NOT_GEN6),
    Row("mfg ping", 0x100, u32(0xA5A5A5A5), 8, lambda out: out[4:] == u32(0x5A5A5A5A)),
    Row("portcfg-show host", 0x88, bytes([1, 16, 0, 0]), 4, lambda out: out[0] == 3, on=PAX),
    Row("portcfg-show EP", 0x88, bytes([1, 0, 0, 0]), 4, lambda out: out[0] == 2, on=PAX),
    Row("portcfg-show fabric", 0x88, bytes([1, 32, 0, 0]), 4, lambda out: out[0] == 1, on=PAX),
    Row("portcfg-show, no such port", 0x88, bytes([1, 7, 0, 0]), 4, code=BAD_PORT, on=PAX),
    Row("portcfg, no such sub", 0x88, bytes([7, 0, 0, 0]), 4, code=SUB_INVALID, on=PAX),
    Row("port-control, no such port", 0x8D, bytes([2, 7, 0, 0]), 0, code=BAD_PORT, on=PAX),
    Row("port-control, no such action", 0x8D, bytes([4, 0, 0, 0]), 0, code=SUB_INVALID, on=PAX),
    Row("port-control retrain", 0x8D, bytes([2, 0, 0, 0]), 0, b"", on=PAX),
]  # fmt: skip


@pytest.mark.parametrize(("identity", "row"), cases(ROWS), indirect=["identity"], ids=names)
def test_a_command_answers_by_the_table(served: Served, row: Row) -> None:
    row.check(served)


@every_identity
def test_temperatures_of_all_commands_agree_with_the_chip_and_stay_put(served: Served) -> None:
    channel = served.command()
    sub, wanted = (2, 4) if served.identity.generation == 4 else (4, 16)
    one = channel.mrpc(served.word(0x04), bytes([sub, 0, 0, 0]), wanted)
    assert one == channel.mrpc(served.word(0x04), bytes([sub, 0, 0, 0]), wanted)


@pytest.mark.parametrize("identity", PAX, indirect=True)
def test_ports_are_disabled_enabled_and_held_in_reset(served: Served) -> None:
    channel = served.command()
    wanted = 624 if served.identity.generation == 4 else 720

    def row(port: int) -> bytes:
        served.node.advance(1.0)  # links train in virtual time
        code, out = channel.mrpc(served.word(0x1C), bytes(8), wanted)
        assert code == 0
        return records(out)[port]

    for action, flag, up in (
        (0, 0, False),
        (1, 0, True),
        (3, 1, False),
        (3, 0, True),
        (2, 0, True),
    ):
        assert channel.mrpc(served.word(0x8D), bytes([action, 8, flag, 0]), 0) == (0, b"")
        found = row(8)
        assert bool(found[7] & 0x80) is up
        assert (found[5] == 16) is up
        assert (u16(found, 8) == 0x0103) is up
    assert row(8)[4] == 16


@pytest.mark.parametrize("identity", PAX, indirect=True)
def test_port_configuration_takes_clock_and_sris(served: Served) -> None:
    channel = served.command()
    before = channel.mrpc(served.word(0x88), bytes([1, 16, 0, 0]), 4)[1]
    answer = channel.mrpc(served.word(0x88), bytes([0, 16, 3, 1, 1, before[3], 0, 0]), 4)
    assert answer[0] == 0
    assert channel.mrpc(served.word(0x88), bytes([1, 16, 0, 0]), 4) == (
        0,
        bytes([3, 1, 1, before[3]]),
    )


@pytest.mark.parametrize("identity", PAX, indirect=True)
def test_bandwidth_counters_agree_with_what_was_moved(served: Served) -> None:
    """As `bw` asks: payload counters, twice, the difference over the time between."""
    channel = served.command()
    every = b"".join(bytes([p, 1]) for p in PORTS)
    assert channel.mrpc(served.word(0x07), bytes([12, 7]) + every, 0) == (0, b"")
    seen = []
    served.traffic(0.25)
    for _ in range(2):
        code, out = channel.mrpc(served.word(0x07), counters(0, 16, 8), 168)
        assert code == 0
        seen.append(np.frombuffer(out, "<u8").reshape(3, 7).astype(np.int64))
        served.node.advance(0.5)
    time_us, egress, ingress = seen[0][:, 0], seen[0][:, 1:4], seen[0][:, 4:7]
    assert list(time_us) == [250_000] * 3
    assert egress[1, 0] == ingress[0, 0] == pytest.approx(0.5e9, rel=0.01), "posted: module to host"
    assert ingress[1, 1] == egress[0, 1] == pytest.approx(0.25e9, rel=0.01), "completions: down"
    assert not egress[2].any() and not ingress[2].any(), "another module's port"
    for before, after in pairwise(seen):
        assert list(after[:, 0] - before[:, 0]) == [500_000] * 3
        assert after[1, 1] - before[1, 1] == pytest.approx(1e9, rel=0.01)
    cleared = bytes([1, 1, 16, 1])  # reading clears when it is asked to
    first = channel.mrpc(served.word(0x07), cleared, 56)[1]
    again = channel.mrpc(served.word(0x07), cleared, 56)[1]
    assert first[8:16] != bytes(8)
    assert again[8:] == bytes(48)


def test_rows_name_known_chips() -> None:
    assert {name for row in ROWS for name in row.on} == set(ALL)
