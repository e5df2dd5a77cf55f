"""Registers over TCP: widths, the whole window, events and their enables as the client handles them."""

from __future__ import annotations

import pytest
from served import IDENTITIES, Served
from table import u32
from wire import LOCAL, Channel

every_identity = pytest.mark.parametrize("identity", IDENTITIES, indirect=True)
PFF, PFF_BYTES, PARTITION, GLOBAL = 0x134000, 0x1000, 0x4000, 0x1830
PORTS = (0, 8, 16, 24, 32, 40, 48)


@every_identity
def test_a_dump_of_the_window_is_what_the_registers_hold(served: Served) -> None:
    channel = served.command()
    dump = b"".join(channel.gas_read(512 * k, 512) for k in range(8192))
    assert len(dump) == 0x400000
    assert dump == served.node.bar(0).read_block(0, 0x400000)
    assert dump[0x2000:0x2004] == u32(served.identity.device_id)
    assert dump[0x20000:0x75000] == bytes(0x55000), "undefined areas read as zero"


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8, 16, 512])
def test_reads_of_any_length_and_alignment_are_the_same_bytes(served: Served, n: int) -> None:
    channel = served.command()
    whole = channel.gas_read(0x2000, 1024)
    for offset in (0, 1, 2, 3, 0x10C, 0x13D):
        assert channel.gas_read(0x2000 + offset, n) == whole[offset : offset + n]


@every_identity
def test_partition_and_ports_stand_where_the_client_looks_for_them(served: Served) -> None:
    channel = served.command()
    count = channel.gas_read(0x1009, 1)[0]
    assert count == len(PORTS)
    assert channel.gas_read(0x100A, count) == bytes(PORTS)
    usp, vep = channel.read32(PARTITION + 0x10), channel.read32(PARTITION + 0x14)
    down = [channel.read32(PARTITION + 0x18 + 4 * k) for k in range(47)]
    used = [d for d in down if d != 0xFFFFFFFF]
    assert down == used + [0xFFFFFFFF] * (47 - len(used)), "unused instances name no PFF"
    assert sorted([usp, vep, *used]) == list(range(count))
    assert (PORTS[usp], PORTS[vep]) == (16, 48)
    vendors = [channel.gas_read(PFF + PFF_BYTES * k, 2) for k in range(count + 1)]
    assert vendors == [b"\xf8\x11"] * count + [b"\0\0"], "the first other vendor ends the scan"


def test_read_only_registers_ignore_writes(served: Served) -> None:
    channel = served.command()
    for at in (0x1007, 0x1009, 0x2000, 0x2008, 0x213C, PARTITION + 0x10, 0x75000, 0x20000):
        before = channel.gas_read(at, 4)
        assert channel.gas_write(at, b"\xff" * 4) == 0
        assert channel.gas_read(at, 4) == before


@every_identity
def test_the_mailbox_runs_a_command_by_its_doorbell(served: Served) -> None:
    """As firmware updates use it: 1024 bytes at 0, then the command word at 0x800."""
    channel = served.command()
    assert channel.gas_write(0, u32(0x0F0F0F0F) + bytes(1020)) == 0
    channel.write32(0x800, 0x41)
    assert channel.read32(0x804) == 2
    assert channel.read32(0x808) == 0
    assert channel.gas_read(0x400, 4) == u32(0xF0F0F0F0)
    channel.write32(0x800, 0xFFFC0000 | 0x7777)
    assert [channel.read32(0x804), channel.read32(0x808)] == [2, 0x64005]
    assert channel.gas_read(0x400, 1024) == bytes(1024)


def test_a_stuck_mailbox_command_stays_in_progress(served: Served) -> None:
    channel = served.command()
    served.node.fault(0, "mrpc-stuck", count=1)
    channel.write32(0x800, 0x41)
    assert channel.read32(0x804) == 1
    channel.write32(0x800, 0x41)
    assert channel.read32(0x804) == 2


# -- events -------------------------------------------------------------------------------------


def headers(channel: Channel) -> list[int]:
    """Every event header, as `events -a` reads them."""
    count = channel.gas_read(0x1009, 1)[0]
    found = [GLOBAL + 0x18 * k for k in range(14)]
    found += [PARTITION + 0x124 + 0x18 * k for k in range(5)]
    return found + [PFF + PFF_BYTES * p + 0xC10 + 0x18 * k for p in range(count) for k in range(13)]


@every_identity
def test_enables_are_kept_and_nothing_else_of_a_header_is_written(served: Served) -> None:
    channel = served.command()
    gfms = GLOBAL + 0x18 * 13  # an event of PAX only: bit 31 says that there is none
    for at in headers(channel):
        if at == gfms and not served.identity.pax:
            channel.write32(at, 0xFFFFFFFE)
            assert channel.read32(at) == 0x80000000
            continue
        channel.write32(at, 0xFFFFFFFE)
        assert channel.read32(at) == 0x1E, f"0x{at:x}: log, CLI, IRQ and fatal stay"
        channel.write32(at, 0)
        assert channel.read32(at) == 0


@every_identity
def test_an_event_is_counted_summed_up_and_cleared_by_writing_it_back(served: Served) -> None:
    channel = served.command()
    link_state, summary = PFF + PFF_BYTES + 0xD30, PFF + PFF_BYTES + 0xC00
    for _ in range(3):
        served.node.fault(0, "link-down", port=8)
        served.node.fault(0, "link-up", port=8)
        served.node.advance(0.5)
    header = channel.read32(link_state)
    count = header >> 5 & 0xFF
    assert header & 1
    assert count >= 3
    assert channel.read32(summary) & 1 << 12
    assert channel.gas_read(0x1810, 8) == (1).to_bytes(8, "little"), "of partition 0"
    channel.write32(link_state, header & ~1)  # the kernel writes back without "occurred"
    assert channel.read32(link_state) & 1
    channel.write32(link_state, header)  # for three of them: 0x61
    assert channel.read32(link_state) == 0
    assert channel.read32(summary) == channel.read32(0x1810) == 0


@every_identity
def test_event_wait_wakes_by_its_channel_and_finds_the_event(served: Served) -> None:
    """`event-wait -e LINK_STATE`: enable on all PFFs, wait for a push, look at the summaries."""
    channel, events = served.command(), served.event()
    count = channel.gas_read(0x1009, 1)[0]
    for p in range(count):
        at = PFF + PFF_BYTES * p + 0xD30
        channel.write32(at, channel.read32(at) | 8)
    assert events.silent(0.05)
    served.node.fault(0, "link-down", port=24)
    events.wait_event()
    summaries = [channel.read32(PFF + PFF_BYTES * p + 0xC00) for p in range(count)]
    assert [PORTS[p] for p in range(count) if summaries[p] & 1 << 12] == [24]


def test_the_mailbox_completes_with_its_event_when_it_is_not_masked(served: Served) -> None:
    """fw-update masks EN_IRQ of both completion events first, and restores them at the end."""
    channel, events = served.command(), served.event()
    done, done_async = PARTITION + 0x13C, PARTITION + 0x154
    for at in (done, done_async):
        channel.write32(at, channel.read32(at) & ~8)
    channel.write32(0x800, LOCAL | 0x41)
    assert events.silent(0.05)
    assert channel.read32(done) & 1
    channel.write32(done, 9)
    channel.write32(0x800, LOCAL | 0x41)
    events.wait_event()
