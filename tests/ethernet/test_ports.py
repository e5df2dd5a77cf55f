"""Ports and partitions over TCP: port-bind, port-unbind, stack-bif with every error of the table."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from served import Served
from table import ALL, COMMAND_INVALID, NOT_GEN6, PAX, Row, cases, names, u32
from wire import Channel, bind

PORTS = (0, 8, 16, 24, 32, 40, 48)
every_identity = pytest.mark.parametrize("identity", ALL, indirect=True)
every_stack = pytest.mark.parametrize("identity", NOT_GEN6, indirect=True)


def listed(*ports: int) -> Callable[[bytes], bool]:
    def check(out: bytes) -> bool:
        rows = [out[4 + 4 * k : 8 + 4 * k] for k in range(48)]
        count = out[0]
        return (
            tuple(r[0] for r in rows[:count]) == ports
            and all(r[1] == 0 and r[3] == 0x10 for r in rows[:count])
            and out[4 + 4 * count :] == bytes(192 - 4 * count)
        )

    return check


def bif(sub: int, stack: int, code: int) -> bytes:
    return bytes([sub, stack, 0, 0]) + u32(code)


ROWS = [
    Row("port-bind-info", 0x0C, bytes([2, 0xFF, 0, 0]), 196, listed(*PORTS)),
    Row("port-bind-info -f 8", 0x0C, bytes([2, 8, 0, 0]), 196, listed(8)),
    Row("port-bind-info of none", 0x0C, bytes([2, 7, 0, 0]), 196, code=4),
    Row("port-bind, bound already", 0x0C, bytes([0, 0, 9, 8]), 4, code=1),
    Row("port-bind, no such partition", 0x0C, bytes([0, 48, 9, 8]), 4, code=3),
    Row("port-bind, no such port", 0x0C, bytes([0, 0, 9, 7]), 4, code=4),
    Row("port-bind, no such logical port", 0x0C, bytes([0, 0, 60, 8]), 4, code=6),
    Row("port-bind to the USP", 0x0C, bytes([0, 0, 0, 8]), 4, code=8),
    Row("port-bind, no such sub", 0x0C, bytes([9, 0, 0, 0]), 4, code=9),
    Row("port-unbind with its link up", 0x0C, bytes([1, 0, 1, 0]), 4, code=0xA),
    Row("port-unbind of a free port", 0x0C, bytes([1, 0, 9, 2]), 4, code=0xB),
    Row("port-unbind, no such option", 0x0C, bytes([1, 0, 1, 7]), 4, code=0xC),
    Row("stack-bif -s 5 8 8", 0x0B, bif(1, 5, 0x00040004), 8, bif(1, 5, 0x00040004), on=NOT_GEN6),
    Row("stack-bif -s 5 16", 0x0B, bif(1, 5, 0x8), 8, bif(1, 5, 0x8), on=NOT_GEN6),
    Row("stack-bif, no such stack", 0x0B, bif(1, 7, 0x8), 8, code=0x54003, on=NOT_GEN6),
    Row("stack-bif, no such sub", 0x0B, bif(2, 0, 0x8), 8, code=0x54040, on=NOT_GEN6),
    Row("stack-bif, no such width", 0x0B, bif(1, 5, 0x3), 8, code=0x54042, on=NOT_GEN6),
    Row("stack-bif, widths that overlap", 0x0B, bif(1, 5, 0x00000048), 8, code=0x54042, on=NOT_GEN6),
    Row("stack-bif of the management port", 0x0B, bif(1, 6, 0x1), 8, code=0x54043, on=NOT_GEN6),
    Row("stack-bif where stacks are fixed", 0x0B, bif(0, 0, 0), 8, code=COMMAND_INVALID,
        on=("PSX6",)),
]  # fmt: skip


@pytest.mark.parametrize(("identity", "row"), cases(ROWS), indirect=["identity"], ids=names)
def test_a_port_command_answers_by_the_table(served: Served, row: Row) -> None:
    row.check(served)


@every_identity
def test_a_port_leaves_its_partition_and_comes_back(served: Served) -> None:
    """port-unbind sends option 2; the partition's registers, status and event follow."""
    channel, events = served.command(), served.event()
    word = served.word(0x0C)
    channel.write32(0x4000 + 0x16C, 8)  # DYN_PART_BIND_COMP
    info = channel.mrpc(word, bytes([2, 8, 0, 0]), 196)[1]
    logical = info[6]
    at = 0x4000 + 0x18 + 4 * (logical - 1)
    assert channel.read32(at) == PORTS.index(8)
    assert channel.mrpc(word, bytes([1, 0, logical, 2]), 4)[0] == 0
    events.wait_event()
    assert channel.read32(0x4000 + 0x114) & 1 << 3
    assert channel.read32(at) == 0xFFFFFFFF
    assert channel.mrpc(word, bytes([2, 8, 0, 0]), 196)[1][4:8] == b"\x08\xff\xff\0"
    wanted = {4: 624, 5: 720, 6: 240}[served.identity.generation]
    status = channel.mrpc(served.word(0x1C), (1 << 8).to_bytes(16, "little"), wanted)[1]
    assert status[:2] == b"\x08\xff", "status says unbound"
    assert channel.mrpc(word, bytes([1, 0, logical, 2]), 4)[0] == 0xB
    assert channel.mrpc(word, bytes([0, 0, 30, 8]), 4)[0] == 0
    assert channel.read32(0x4000 + 0x18 + 4 * 29) == PORTS.index(8)
    assert channel.mrpc(word, bytes([2, 8, 0, 0]), 196)[1][4:8] == b"\x08\0\x1e\x10"


def located(channel: Channel) -> dict[int, tuple[int, int]]:
    """Of each marked PFF its partition and port, found as `events` does, which shows nothing when
    one has none: port 0 the upstream one, 100 the endpoint, else its place in the list."""
    found = {}
    for pff in range(255):
        window = 0x134000 + 0x1000 * pff
        if channel.gas_read(window, 2) != b"\xf8\x11":
            break
        if not channel.read32(window + 0xC00):
            continue
        for partition in range(channel.gas_read(0x1007, 1)[0]):
            ids = struct.unpack("<49I", channel.gas_read(0x4000 + 0x400 * partition + 0x10, 196))
            if pff in ids:
                at = ids.index(pff)
                found[pff] = partition, {0: 0, 1: 100}.get(at, at - 1)
                break
        assert pff in found, f"PFF {pff} is marked and in no partition"
    return found


@every_identity
def test_events_are_of_ports_that_a_partition_has(served: Served) -> None:
    channel, word = served.command(), served.word(0x0C)
    logical = channel.mrpc(word, bytes([2, 8, 0, 0]), 196)[1][6]
    header = 0x134000 + 0x1000 * PORTS.index(8) + 0xD30
    channel.write32(header, 8)  # LINK_STATE's interrupt
    served.node.fault(0, "link-down", port=8)
    assert PORTS.index(8) in located(channel)
    assert channel.mrpc(word, bytes([1, 0, logical, 2]), 4)[0] == 0
    assert PORTS.index(8) not in located(channel)
    served.node.fault(0, "link-up", port=8)
    served.node.advance(0.5)
    assert PORTS.index(8) not in located(channel)
    assert channel.read32(header) == 8, "enabled as it was"
    assert channel.mrpc(word, bytes([0, 2, 3, 8]), 4)[0] == 0
    served.node.fault(0, "link-down", port=8)
    assert located(channel)[PORTS.index(8)] == (2, 3)


@every_stack
def test_a_stack_is_divided_and_made_whole_again(served: Served) -> None:
    channel = served.command()
    word = served.word(0x0B)
    for code in (0x00040004, 0x02020202, 0x11111111, 0x02020004, 0, 0x8):
        assert channel.mrpc(word, bif(1, 0, code), 8) == (0, bif(1, 0, code))
        assert channel.mrpc(word, bif(0, 0, 0), 8) == (0, bif(0, 0, code))


@pytest.mark.parametrize("identity", PAX, indirect=True)
def test_a_stack_in_use_is_not_divided(served: Served) -> None:
    channel = served.command()
    assert channel.mrpc(served.word(0x84), bind(0, 16, 1, 0), 4)[0] == 0
    assert channel.mrpc(served.word(0x0B), bif(1, 0, 0x00040004), 8) == (0x54043, bytes(8))
