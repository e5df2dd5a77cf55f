"""What a stranger sees of the emulated node: registers, config spaces, the topology read back."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

import fabcore
from fabcore.switch.discover import discover


@pytest.fixture(scope="module")
def node() -> Iterator[fabcore.ResourceNode]:
    with fabcore.ResourceNode.emulated() as made:
        yield made


def capabilities(space: bytes, limit: int = 4096) -> dict[int, int]:
    """Extended capability id -> offset, walked as lspci does."""
    found, at = {}, 0x100
    while at and at < limit:
        (header,) = struct.unpack_from("<I", space, at)
        if header == 0:
            break
        assert header & 0xFFFF not in found, "a loop in the list"
        found[header & 0xFFFF] = at
        at = header >> 20
    return found


def test_identity_stands_in_both_register_layouts(node: fabcore.ResourceNode) -> None:
    bar = node.chassis.switches[0].bar
    assert bar.read32(0x2000) == 0x5200
    assert bar.read8(0x1007) == bar.read8(0x10000) == 4  # partitions
    assert bar.read16(0x134000) == 0x11F8
    pffs = bar.read8(0x1009)
    assert bar.read16(0x134000 + 0x1000 * pffs) != 0x11F8  # ends the scan
    assert node.chassis.switches[0].identify()["generation"] == 5


def test_a_port_offers_its_virtual_channel_capability(node: fabcore.ResourceNode) -> None:
    space = node.config_space(0, 16)
    assert len(space) == 4096
    assert space[0x800:] == bytes(0x800)
    found = capabilities(space)
    assert {0x0001, 0x0002, 0x000D} <= set(found)  # AER, VC, ACS
    vc = found[0x0002]
    (cap1,) = struct.unpack_from("<I", space, vc + 4)
    (resource,) = struct.unpack_from("<I", space, vc + 0x10)
    assert (cap1 >> 10) & 3 == 3  # entries of 8 bits
    assert resource & (1 << 5)  # WRR of 256 phases
    assert vc + 16 * (resource >> 24) + 256 <= 0x800


@pytest.mark.parametrize(("module", "has"), [(0, "mfvc"), (3, "shaper"), (6, "none")])
def test_functions_show_what_their_module_arbitrates_by(
    node: fabcore.ResourceNode, module: int, has: str
) -> None:
    port = node.topology.module_ports[module]
    physical = node.config_space(port.switch, port.port, 0)
    found = capabilities(physical)
    assert 0x0010 in found and 0x000E in found  # SR-IOV, ARI
    (total,) = struct.unpack_from("<H", physical, found[0x0010] + 0x0E)
    assert total == 32
    assert (0x0008 in found) == (has == "mfvc")
    assert (0x000B in found) == (has == "shaper")
    assert struct.unpack_from("<H", node.config_space(port.switch, port.port, 32), 0)[0] != 0


def test_what_is_not_there_is_refused(node: fabcore.ResourceNode) -> None:
    for where in ((4, 0, None), (0, 1, None), (0, 0, 33), (0, 16, 1), (-1, 0, None), (0, 0, -2)):
        with pytest.raises(fabcore.TopologyError):
            node.config_space(*where)


def test_the_topology_is_read_back_from_the_registers(node: fabcore.ResourceNode) -> None:
    read = discover(node.chassis.switches)
    for module in range(8):
        for host in range(8):
            ways = [
                [(h.switch, h.ingress_port, h.egress_port) for h in t.hops(module, host)]
                for t in (read, node.topology)
            ]
            assert ways[0] == ways[1]  # links may be numbered from the other end
    assert sorted(read.capacity) == sorted(node.topology.capacity)
    assert [m.arbitration for m in read.module_specs] == [
        m.arbitration for m in node.topology.module_specs
    ]
    assert node.chassis.switches[1].routes() == [
        q if q >= 0 else 0xFF for q in node.topology.route_port[1]
    ]


def test_read_only_registers_stay(node: fabcore.ResourceNode) -> None:
    bar = node.chassis.switches[0].bar
    for off in (0x2000, 0x1008, 0x134000):
        before = bar.read32(off)
        bar.write32(off, 0xDEADBEEF)
        assert bar.read32(off) == before


@pytest.mark.parametrize(
    ("off", "width", "word"), [(1, 4, "aligned"), (0x400000, 4, "outside"), (1 << 40, 1, "outside")]
)
def test_a_bad_access_is_refused(
    node: fabcore.ResourceNode, off: int, width: int, word: str
) -> None:
    bar = node.chassis.switches[0].bar
    with pytest.raises(fabcore.BarError, match=word):
        getattr(bar, f"read{8 * width}")(off)
    with pytest.raises(fabcore.BarError, match=word):
        getattr(bar, f"write{8 * width}")(off, 0)


def test_a_buffer_is_a_bar_too() -> None:
    memory = bytearray(4096)
    bar = fabcore.Bar.from_buffer(memory)
    bar.write32(16, 0x01020304)
    assert memory[16:20] == b"\4\3\2\1"
    assert (bar.read8(16), bar.read16(18), bar.read64(16)) == (4, 0x0102, 0x01020304)
    bar.write_block(33, b"hello")
    assert bar.read_block(33, 5) == b"hello"
    for bad in (b"read only", 5, bytearray(0)):
        with pytest.raises(fabcore.BarError):
            fabcore.Bar.from_buffer(bad)


@pytest.mark.parametrize(
    "target",
    ["shm:no-such-node", "shm:no-such-node/1", "uio:99", "/sys/bus/pci/devices/nothing", ""],
)
def test_an_unknown_target_is_refused_by_name(target: str) -> None:
    with pytest.raises(fabcore.BarError) as refused:
        fabcore.Bar.open(target)
    assert target in str(refused.value) and "\n" not in str(refused.value)
