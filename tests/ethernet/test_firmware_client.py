"""fw-info, fw-update, fw-toggle, mfg info and hard-reset over TCP, as the vendor's client sends them."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from served import Served
from table import u32
from wire import Channel

from ..firmware_image import make

every_identity = pytest.mark.parametrize(
    "identity", ["PAX", "PSX", "PFX", "PAX4", "PSX6"], indirect=True
)

LISTS = {4: (0, 672, 11, 8), 5: (4, 736, 13, 10), 6: (8, 800, 15, 8)}  # sub, bytes, named, img0
LOG = {4: 10, 5: 12, 6: 10}  # NVLOG, which is never asked for


def records(served: Served, channel: Channel, switch: int = 0) -> list[tuple[int, ...]]:
    """fw-info: (crc, length, version, valid, active, start, end, offset, dwords, ro, running)."""
    generation = served.identity.generation
    sub, wanted, named, _ = LISTS[generation]
    info = served.word(0x2B, switch)
    code, data = channel.mrpc(info, bytes([sub]), wanted)
    assert code == 0
    found = [
        struct.unpack_from("<IIHBBIIIIBB", data, 0x40 + 32 * k) for k in range((wanted - 64) // 32)
    ]
    for k, record in enumerate(found[:named]):
        if not record[3] or k == LOG[generation]:
            continue
        code, metadata = channel.mrpc(info, bytes([sub + 1, k]), 628)
        assert code == 0 and metadata[:8] == b"MSCC_MD "
        assert struct.unpack_from("<I", metadata, 0x54)[0] == record[0]
    seeprom = bytes([10 if generation == 6 else 2, 0xFE])
    assert channel.mrpc(info, seeprom, 628) == (0x64006, bytes(628))
    assert channel.mrpc(served.word(0x1D, switch), u32(0), 4) == (0, u32(0))
    return found


def update(channel: Channel, image: bytes, keep: bool) -> tuple[int, int]:
    """Every block through the mailbox, without PAX bits; the download's last status."""
    saved = [channel.gas_read(at, 4) for at in (0x413C, 0x4154)]
    for at, header in zip((0x413C, 0x4154), saved, strict=True):
        channel.write32(at, struct.unpack("<I", header)[0] & ~8)
    status = (0, 0)
    for at in range(0, len(image), 1008):
        block = image[at : at + 1008]
        head = struct.pack("<BBHIII", 1, keep, 0, at, len(image), len(block))
        assert channel.gas_write(0, (head + block).ljust(1024, b"\0")) == 0
        channel.write32(0x800, 5)
        assert [channel.read32(0x804), channel.read32(0x808)] == [2, 0]
        channel.write32(0, 0)
        channel.write32(0x800, 5)
        assert [channel.read32(0x804), channel.read32(0x808)] == [2, 0]
        status = tuple(channel.gas_read(0x400, 4)[:2])  # type: ignore[assignment]
        assert status == (1, 2) or at + 1008 >= len(image)
    for at, header in zip((0x413C, 0x4154), saved, strict=True):
        channel.write32(at, struct.unpack("<I", header)[0])
    return status


@every_identity
@pytest.mark.parametrize("switch", [0, 2])
def test_an_update_by_the_vendors_client_runs_after_its_reset(served: Served, switch: int) -> None:
    """On a PAX each of several updates itself, although the client's doorbell names none."""
    generation = served.identity.generation
    channel, img = served.command(switch), LISTS[generation][3]
    image = make(generation, 5 if generation == 5 else 4, minor=9)
    word = served.word(5, switch)
    before = records(served, channel, switch)
    old = channel.read32(0x2008)
    assert channel.mrpc(word, u32(0), 4) == (0, u32(0))
    assert update(channel, image, keep=False) == (8, 2)
    after = records(served, channel, switch)
    assert after[img][3:5] == (1, 0) and after[img][10] == 1
    assert after[img + 1][3:5] == (1, 1) and after[img + 1][10] == 0
    assert after[:img] == before[:img]
    assert channel.read32(0x2008) == old
    assert channel.mrpc(served.word(0x1B, switch), u32(0), 0) == (0, b"")
    served.node.advance(0.1)
    assert channel.read32(0x2008) == struct.unpack_from("<I", image, 0x24)[0]
    assert records(served, channel, switch)[img + 1][10] == 1
    toggle = struct.pack("<6BH", 2, 1, 0, 0, 0, 0, 0)
    assert channel.mrpc(word, toggle, 0) == (0, b"")
    assert records(served, channel, switch)[img][4] == 1
    other: Any = served.command(1)
    assert other.read32(0x2008) == old


@every_identity
def test_an_update_that_is_kept_is_not_activated(served: Served) -> None:
    generation = served.identity.generation
    channel, img = served.command(), LISTS[generation][3]
    image = make(generation, 5 if generation == 5 else 4, minor=9)
    assert update(channel, image, keep=True) == (7, 2)
    after = records(served, channel)
    assert after[img][4] == 1 and after[img + 1][3:5] == (1, 0)
    assert update(channel, image, keep=False) == (8, 2)
    assert update(channel, image[:-1] + b"\0", keep=False) == (4, 0xFF)
    assert records(served, channel)[img][4] == 1  # what runs is what boots


MANUFACTURING = {
    4: [(0x109, b"", 20), (0x3C, b"\0", 312), (0x101, b"", 312)],
    5: [(0x119, bytes(4), 20), (0x111, bytes(4), 704)],
    6: [(0x124, u32(1), 116), (0x126, u32(0), 808)],
}


@every_identity
def test_manufacturing_information_has_its_sizes(served: Served) -> None:
    channel = served.command()
    for command, payload, wanted in MANUFACTURING[served.identity.generation]:
        code, data = channel.mrpc(served.word(command), payload, wanted)
        assert code == 0 and any(data)
        if wanted in (312, 704):
            assert data[21] <= 10  # the client copies as many keys as this says
