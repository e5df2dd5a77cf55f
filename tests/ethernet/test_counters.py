"""Latency and event counters over TCP, as `latency`, `evcntr-setup`, `evcntr` and `evcntr-del` use them."""

from __future__ import annotations

import struct

import pytest
from served import IDENTITIES, Served
from table import BAD_PORT, NOT_GEN6, PARAMETER_INVALID, Row, cases, names, u16, w32

BAD_STACK = 0x100001
POSTED, RECEIVER_ERROR = 1 << 20, 1 << 14  # event types
every_identity = pytest.mark.parametrize("identity", IDENTITIES, indirect=True)


def setup(stack: int, counter: int, mask: int, egress: bool = False, threshold: int = 0) -> bytes:
    """571 bytes with one entry that counts; the rest is what the client leaves there."""
    entry = struct.pack("<IBI", mask, egress << 7, threshold)
    return (bytes([0, stack, counter, 1]) + entry).ljust(571, b"\xa5")


def latency(out: bytes) -> bool:
    return u16(out, 0) <= u16(out, 2)


ROWS = [
    Row("latency setup", 0x07, bytes([4, 1, 16, 0]), 0, b""),
    Row("latency setup of any ingress", 0x07, bytes([4, 1, 16, 63]), 0, b""),
    Row("latency setup, no such egress", 0x07, bytes([4, 1, 7, 63]), 0, code=BAD_PORT),
    Row("latency setup, no such ingress", 0x07, bytes([4, 1, 16, 7]), 0, code=BAD_PORT),
    Row("latency", 0x07, bytes([6, 1, 0, 16]), 4, latency),
    Row("latency and clear", 0x07, bytes([6, 1, 1, 16]), 4, latency),
    Row("latency, no such port", 0x07, bytes([6, 1, 0, 7]), 4, code=BAD_PORT),
    *(Row(f"evcntr-show of stack {k}", 0x07, bytes([3, k, 0, 64, 0]), 576, bytes(576))
      for k in range(8)),
    *(Row(f"evcntr of stack {k}", 0x07, bytes([2, k, 0, 64, 0]), 512, bytes(512)) for k in range(8)),
    Row("evcntr of stack 8", 0x07, bytes([2, 8, 0, 64, 0]), 512, code=BAD_STACK, on=NOT_GEN6),
    Row("evcntr of counters beyond 64", 0x07, bytes([2, 0, 1, 64, 0]), 512, code=PARAMETER_INVALID),
    Row("evcntr-setup", 0x07, setup(0, 0, 1 | POSTED << 8), 0, b""),
    Row("evcntr-setup of the last", 0x07, setup(7, 63, 0xFF | 1 << 8), 0, b""),
    Row("evcntr-setup of stack 255", 0x07, setup(255, 0, 1), 0, code=BAD_STACK),
    Row("evcntr-setup beyond the last", 0x07, setup(0, 64, 1), 0, code=PARAMETER_INVALID),
]  # fmt: skip


@pytest.mark.parametrize(("identity", "row"), cases(ROWS), indirect=["identity"], ids=names)
def test_a_counter_command_answers_by_the_table(served: Served, row: Row) -> None:
    row.check(served)


@every_identity
def test_a_counter_is_set_up_counts_is_cleared_and_deleted(served: Served) -> None:
    channel = served.command()
    word, mask = served.word(0x07), 1 | RECEIVER_ERROR << 8
    assert channel.mrpc(word, setup(1, 5, mask, egress=True, threshold=7), 0) == (0, b"")
    code, shown = channel.mrpc(word, bytes([3, 1, 0, 64, 0]), 576)
    assert code == 0
    assert shown[9 * 5 : 9 * 6] == struct.pack("<IBI", mask, 0x80, 7), "packed, 9 bytes each"
    assert shown[: 9 * 5] == bytes(45) and shown[9 * 6 :] == bytes(576 - 54)
    code, values = channel.mrpc(word, bytes([2, 1, 0, 64, 1]), 512)
    assert (code, values[8 * 5 + 4 :][:4]) == (0, struct.pack("<I", 7)), "value and threshold"
    assert channel.mrpc(word, setup(1, 5, 0), 0) == (0, b""), "evcntr-del"
    assert channel.mrpc(word, bytes([3, 1, 0, 64, 0]), 576) == (0, bytes(576))


@pytest.mark.parametrize("identity", ["PAX", "PAX4"], indirect=True)
def test_traffic_is_counted_as_packets_and_takes_time(served: Served) -> None:
    channel = served.command()
    word = served.word(0x07)
    assert channel.mrpc(word, setup(0, 0, 1 | POSTED << 8), 0)[0] == 0  # ingress of port 0
    assert channel.mrpc(word, bytes([4, 1, 16, 63]), 0)[0] == 0
    served.traffic(0.01)
    code, values = channel.mrpc(word, bytes([2, 0, 0, 64, 0]), 512)
    assert code == 0
    assert w32(values) == pytest.approx(2e9 * 0.01 / 256, rel=0.02), "posted TLPs of 256 bytes"
    code, out = channel.mrpc(word, bytes([6, 1, 1, 16]), 4)
    assert code == 0
    assert 0 < u16(out, 0) <= u16(out, 2) < 10_000, "nanoseconds"
