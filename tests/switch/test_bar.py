"""What Bar says: targets that cannot be opened, and devices that go away. Real devices: tests/guest."""

from __future__ import annotations

import ctypes
import re
import struct
from pathlib import Path

import pytest

import fabcore
from fabcore import _embed

NOWHERE = "ffff:ff:1f.7"


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A folder like a device's in sysfs: BAR 0 with all ones at 0x100, and a config space."""
    registers = bytearray(4096)
    registers[0x100:0x110] = b"\xff" * 16
    (tmp_path / "resource0").write_bytes(registers)
    (tmp_path / "config").write_bytes(struct.pack("<IHHI52x", 0x5200F118, 2, 0, 0x05800000))
    return tmp_path


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (f"/sys/bus/pci/devices/{NOWHERE}", "no such PCI device.*lspci"),
        (f"/sys/bus/pci/devices/{NOWHERE}/resource2", "no such PCI device.*lspci"),
        (f"vfio:{NOWHERE}", "no such PCI device.*lspci"),
        ("vfio:1f.7", "malformed.*vfio:DDDD:BB:DD.F:BAR"),
        (f"vfio:{NOWHERE}:6", "malformed"),
        ("uio:987", "no such UIO device.*/sys/class/uio"),
        ("uio:zero", "malformed.*uio:N"),
        ("shm:no-such-node", "no emulated node of that name.*fabcore emulate --shm"),
        ("shm:../x", "malformed.*shm:NAME"),
        ("/no/such/file", "no such file"),
    ],
)
def test_refusal_names_the_target_and_the_cure(target: str, why: str) -> None:
    with pytest.raises(fabcore.BarError, match=why) as refusal:
        fabcore.Bar.open(target)
    assert str(refusal.value).startswith(f"{target}: ")


def test_device_without_that_bar_is_told_from_no_device(device: Path) -> None:
    with pytest.raises(fabcore.BarError, match="no memory BAR of that number"):
        fabcore.Bar.open(device / "resource3")
    with pytest.raises(fabcore.BarError, match="no such PCI device"):
        fabcore.Bar.open(device / "none" / "resource3")


def test_device_that_does_not_decode_memory_is_refused(device: Path) -> None:
    (device / "config").write_bytes(struct.pack("<IHHI52x", 0x5200F118, 0, 0, 0x05800000))
    with pytest.raises(fabcore.BarError, match=r"memory decoding is off.*enable"):
        fabcore.Bar.open(device)


@pytest.mark.parametrize("kind", ["folder", "file", f"vfio:{NOWHERE}", "uio:0", "shm:x"])
def test_write_combining_is_refused_with_the_reason(device: Path, kind: str) -> None:
    target = {"folder": str(device), "file": str(device / "config")}.get(kind, kind)
    with pytest.raises(fabcore.BarError, match=r"prefetchable BAR.*without write_combining"):
        fabcore.Bar.open(target, write_combining=True)


def test_all_ones_are_a_value_until_the_config_space_is_silent(device: Path) -> None:
    with fabcore.Bar.open(device) as bar:
        assert bar.read32(0x100) == 0xFFFFFFFF
        assert bar.read64(0x108) == 0xFFFFFFFFFFFFFFFF
        assert bar.read_block(0x100, 16) == b"\xff" * 16
        assert not bar.gone
        bar.write32(0, 1)
        (device / "config").write_bytes(b"\xff" * 64)
        with pytest.raises(fabcore.BarError, match="surprise removal"):
            bar.read32(0x100)
        assert bar.gone
        for access in (
            lambda: bar.read8(0),
            lambda: bar.read_block(0, 4),
            lambda: bar.write32(0, 2),
            lambda: bar.write_block(0, b"1234"),
            bar.flush,
        ):
            with pytest.raises(fabcore.BarError, match="surprise removal"):
                access()
        assert bar.writes == 1
        with pytest.raises(fabcore.BarError, match="not aligned"):
            bar.read32(2)
        with pytest.raises(fabcore.BarError, match="outside the 4096 bytes"):
            bar.read32(4096)


def test_closed_bar_says_so() -> None:
    bar = fabcore.Bar.from_buffer(bytearray(b"\xff" * 64))
    assert bar.read16(2) == 0xFFFF and not bar.gone
    bar.close()
    for access in (lambda: bar.read32(0), lambda: bar.write8(0, 1), lambda: bar.gone):
        with pytest.raises(fabcore.BarError, match="closed"):
            access()


def test_inline_accesses_are_exported_under_their_own_names() -> None:
    library = ctypes.CDLL(fabcore.get_library())
    header = Path(fabcore.get_include(), "fab_bar.h").read_text()
    inline = re.findall(r"^FAB_INLINE \w+ (\w+)\(", header, re.M)
    assert len(inline) == 9
    for name in inline:
        assert getattr(library, name) is not None
        assert hasattr(_embed.lib, name)


def test_get32_returns_the_value_or_the_error() -> None:
    memory = _embed.ffi.new("uint32_t[4]", [7, 0xFFFFFFFF, 0, 0])
    out = _embed.ffi.new("fab_bar **")
    assert _embed.lib.fab_bar_from_buffer(memory, 16, out) == 0
    get = _embed.lib.fab_bar_get32
    assert [get(out[0], off) for off in (0, 4, 2, 16)] == [7, 0xFFFFFFFF, -22, -34]
    _embed.lib.fab_bar_close(out[0])
