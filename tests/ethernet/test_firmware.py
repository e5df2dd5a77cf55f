"""Firmware over TCP: fw-info, fw-update through the register mailbox, fw-toggle, mfg info."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import pytest
from served import IDENTITIES, Served
from table import NOT_GEN6, PARAMETER_INVALID, SUB_INVALID, Row, cases, names, u32, w32
from wire import Channel

every_identity = pytest.mark.parametrize("identity", IDENTITIES, indirect=True)
GEN4, GEN6, GEN5 = ("PAX4",), ("PSX6",), ("PAX", "PSX", "PFX")
LIST = {4: (0, 672), 5: (4, 736), 6: (8, 800)}  # sub-command and bytes of the partition list
SERIAL = {4: 0x109, 5: 0x119, 6: 0x124}
SECURITY = {4: 0x101, 5: 0x111, 6: 0x126}
# types of images, in this generation's numbering, and the record of each pair's first
CFG, IMG = {4: 3, 5: 4, 6: 3}, {4: 4, 5: 5, 6: 4}
CFG_RECORD, IMG_RECORD = {4: 6, 5: 8, 6: 6}, {4: 8, 5: 10, 6: 8}
MAJOR = {4: 3, 5: 6, 6: 9}


@dataclass(frozen=True)
class Partition:
    """One 32-byte record of PART_INFO."""

    crc: int
    length: int
    valid: int
    active: int
    start: int
    end: int
    size: int
    read_only: int
    running: int


def partitions(served: Served, channel: Channel) -> list[Partition]:
    sub, wanted = LIST[served.identity.generation]
    code, out = channel.mrpc(served.word(0x2B), bytes([sub]), wanted)
    assert code == 0
    assert struct.unpack_from("<H", out, 8)[0] == served.identity.device_id
    assert w32(out) == channel.read32(0x2008), "the firmware version"
    found = []
    for at in range(64, wanted, 32):
        crc, length, _, valid, active, start, end, _, dwords, read_only, running, _ = (
            struct.unpack_from("<IIHBBIIIIBBH", out, at)
        )
        found.append(
            Partition(crc, length, valid, active, start, end, 4 * dwords, read_only, running)
        )
    return found


def metadata(served: Served, channel: Channel, part: int) -> tuple[int, bytes]:
    sub = LIST[served.identity.generation][0] + 1
    return channel.mrpc(served.word(0x2B), bytes([sub, part]), 628)


ROWS = [
    Row("several configurations", 0x1D, bytes(4), 4, lambda out: out[0] in (0, 1)),
    Row("SEEPROM", 0x2B, bytes([2, 0xFE]), 628, code=PARAMETER_INVALID, on=NOT_GEN6),
    Row("SEEPROM Gen6", 0x2B, bytes([10, 0xFE]), 628, code=PARAMETER_INVALID, on=GEN6),
    Row("metadata of no partition", 0x2B, bytes([5, 0x63]), 628, code=PARAMETER_INVALID, on=GEN5),
    Row("list, no such sub", 0x2B, bytes([99]), 736, code=SUB_INVALID),
    Row("list of another generation", 0x2B, bytes([0]), 672, code=SUB_INVALID, on=GEN5),
    Row("fw-update status", 0x05, bytes(4), 4, lambda out: out[0] != 1 and out[1] != 1),
    Row("fw, no such sub", 0x05, bytes([99, 0, 0, 0]), 4, code=SUB_INVALID),
    Row("fw-toggle of nothing", 0x05, bytes([2, 0, 0, 0, 0, 0, 0, 0]), 0, b""),
    Row("mfg info", 0x119, bytes(4), 20, lambda out: w32(out) != 0, on=GEN5),
    Row("mfg info Gen4", 0x109, bytes(4), 20, lambda out: w32(out) != 0, on=GEN4),
    Row("mfg info Gen6", 0x124, bytes(4), 20, lambda out: w32(out) != 0, on=GEN6),
    Row("mfg info of Gen4 on Gen5", 0x109, bytes(4), 20, code=0x64005, on=GEN5),
    Row("mfg info of Gen5 on Gen6", 0x119, bytes(4), 20, code=0x64005, on=GEN6),
]  # fmt: skip


@pytest.mark.parametrize(("identity", "row"), cases(ROWS), indirect=["identity"], ids=names)
def test_a_firmware_command_answers_by_the_table(served: Served, row: Row) -> None:
    row.check(served)


@every_identity
def test_every_valid_partition_answers_the_metadata_of_its_record(served: Served) -> None:
    channel, generation = served.command(), served.identity.generation
    found = partitions(served, channel)
    assert len(found) == {4: 19, 5: 21, 6: 23}[generation]
    pairs = {4: 10, 5: 12, 6: 10}[generation]
    for first in range(0, pairs, 2):
        pair = found[first : first + 2]
        assert [p.active for p in pair].count(1) == [p.running for p in pair].count(1) == 1
    named = [k for k, p in enumerate(found[:pairs]) if p.valid]
    assert named
    for k in named:
        code, data = metadata(served, channel, k)
        assert code == 0
        assert data[:8] == b"MSCC_MD "
        assert w32(data, 0x54) == found[k].crc
        assert w32(data, 0x18) == found[k].length
        assert w32(data, 0x24) >> 24 in range(MAJOR[generation], MAJOR[generation] + 3)
        assert found[k].end >= found[k].start
    image = IMG_RECORD[generation]
    active = next(p for p in found[image : image + 2] if p.active)
    assert active.running, "the version that `info` prints"


@pytest.mark.parametrize("identity", GEN5, indirect=True)
def test_security_settings_stay_in_the_bounds_the_client_does_not_check(served: Served) -> None:
    code, out = served.command().mrpc(served.word(0x111), bytes(4), 704)
    assert code == 0
    config = struct.unpack_from("<Q", out, 8)[0]
    assert out[21] <= 10, "keys"
    assert config >> 2 & 3 in (0, 1, 2, 3)
    assert out[24 + 640 + 4 + 32 :] == bytes(4)


# -- update -------------------------------------------------------------------------------------


def image(generation: int, kind: int, version: int, crc: int | None = None) -> bytes:
    """An unsigned image: 628 bytes of metadata, then its body."""
    body = bytes(k * 7 & 0xFF for k in range(5000))
    head = bytearray(628)
    head[:8] = b"MSCC_MD "
    struct.pack_into("<IIII", head, 0x10, 628, 628, len(body), kind)
    head[0x20] = generation == 5
    struct.pack_into("<I", head, 0x24, version)
    head[0x40:0x48] = b"conform\0"
    struct.pack_into("<I", head, 0x54, zlib.crc32(body) if crc is None else crc)
    struct.pack_into("<I", head, 0x270, zlib.crc32(head[:0x270]))
    return bytes(head) + body


class Update:
    """`fw-update` as the client does it: every block through the mailbox at GAS 0."""

    BLOCK = 1008

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def _doorbell(self, payload: bytes) -> None:
        assert self.channel.gas_write(0, payload) == 0
        self.channel.write32(0x800, 5)
        assert self.channel.read32(0x804) == 2
        assert self.channel.read32(0x808) == 0

    def status(self) -> tuple[int, int]:
        self._doorbell(u32(0))
        out = self.channel.gas_read(0x400, 4)
        return out[0], out[1]

    def block(self, data: bytes, offset: int, total: int, keep: bool) -> tuple[int, int]:
        head = struct.pack("<BBHIII", 1, keep, 0, offset, total, len(data))
        payload = head + data
        assert len(head) == 16
        self._doorbell(payload.ljust(1024, b"\0"))
        return self.status()

    def run(self, data: bytes, keep: bool = False) -> int:
        """The last download status; blocks in between must end as done."""
        for offset in range(0, len(data), self.BLOCK):
            part = data[offset : offset + self.BLOCK]
            status, background = self.block(part, offset, len(data), keep)
            if status != 1:
                return status
            assert background == 2
        raise AssertionError("in progress after the last block")


@every_identity
def test_an_image_is_updated_activated_and_shown(served: Served) -> None:
    channel, generation = served.command(), served.identity.generation
    for at in (0x413C, 0x4154):  # both completion events are masked while it lasts
        channel.write32(at, channel.read32(at) & ~8)
    record, version = IMG_RECORD[generation], MAJOR[generation] << 24 | 0x330044
    data = image(generation, IMG[generation], version)
    assert Update(channel).run(data) == 8, "firmware activated"
    pair = partitions(served, channel)[record : record + 2]
    target = next(k for k, p in enumerate(pair) if not p.running)
    assert (pair[target].valid, pair[target].active) == (1, 1)
    assert (pair[1 - target].active, pair[1 - target].running) == (0, 1), "it runs until a reset"
    assert pair[target].length == 5000
    code, shown = metadata(served, channel, record + target)
    assert (code, shown) == (0, data[:628])


@every_identity
def test_a_configuration_is_kept_inactive_and_toggled(served: Served) -> None:
    channel, generation = served.command(), served.identity.generation
    record = CFG_RECORD[generation]
    data = image(generation, CFG[generation], MAJOR[generation] << 24 | 5)
    assert Update(channel).run(data, keep=True) == 7, "complete, not activated (-A)"
    before = [p.active for p in partitions(served, channel)[record : record + 2]]
    toggle = bytes([2, 0, 1, 0, 0, 0, 0, 0])  # img, cfg, bl2, key, riot
    assert channel.mrpc(served.word(0x05), toggle, 0) == (0, b"")
    after = [p.active for p in partitions(served, channel)[record : record + 2]]
    assert after == before[::-1]
    assert Update(channel).status()[0] != 1


def test_a_configuration_that_is_activated_says_so(served: Served) -> None:
    assert Update(served.command()).run(image(5, CFG[5], 0x06000001)) == 9


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (image(5, 5, 0x06000001, crc=0x12345678), 4),  # of the body
        (image(5, 5, 0x03000001), 2),  # Gen4's
        (b"ELF" + image(5, 5, 0x06000001)[3:], 2),
        (image(5, 99, 0x06000001), 2),
        (bytes(16), 0xA),
    ],
    ids=["CRC", "generation", "magic", "type", "too small"],
)
def test_a_bad_image_is_refused_and_what_runs_stays(
    served: Served, data: bytes, status: int
) -> None:
    channel = served.command()
    before = [p.running for p in partitions(served, channel)]
    assert Update(channel).run(data) == status
    assert [p.running for p in partitions(served, channel)] == before
    assert Update(channel).run(image(5, 5, 0x06000001)) == 8, "and a good one passes after it"


def test_blocks_out_of_order_end_the_update(served: Served) -> None:
    update, data = Update(served.command()), image(5, 5, 0x06000001)
    assert update.block(data[:1008], 0, len(data), False) == (1, 2)
    assert update.block(data[2016:3024], 2016, len(data), False) == (3, 3)


def test_an_update_ignores_which_pax_the_client_has_in_mind(served: Served) -> None:
    """The mailbox's word carries no PAX bits: it means the switch whose mailbox it is."""
    channel = served.command(2)
    assert Update(channel).run(image(5, 5, 0x06330044)) == 8
    record = IMG_RECORD[5]
    word = 2 << 18 | 0x2B
    code, out = channel.mrpc(word, bytes([4]), 736)
    assert code == 0
    assert [out[64 + 32 * (record + k) + 11] for k in range(2)].count(1) == 1
    other = partitions(served, served.command(0))[record : record + 2]
    assert [p.active for p in other] == [p.running for p in other], "switch 0 is as it was"
    mine = [out[64 + 32 * (record + k) :][:32] for k in range(2)]
    assert [m[11] for m in mine] != [m[29] for m in mine]
