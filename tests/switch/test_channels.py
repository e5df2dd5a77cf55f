"""Traffic classes and virtual channels of the emulated node from Python, and as lspci decodes them."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

import fabcore

LSPCI = shutil.which("lspci") or "/usr/sbin/lspci"


def vc_capability(space: bytes) -> int:
    at = 0x100
    while at:
        (header,) = struct.unpack_from("<I", space, at)
        if header & 0xFFFF == 0x0002:
            return at
        at = header >> 20
    raise AssertionError("no Virtual Channel capability")


@pytest.mark.skipif(not Path(LSPCI).exists(), reason="needs pciutils' lspci")
def test_lspci_decodes_the_channels_as_they_are_programmed(tmp_path: Path) -> None:
    with fabcore.ResourceNode.emulated() as node:
        bar, at = node.chassis.switches[0].bar, vc_capability(node.config_space(0, 16))
        window = 0x134000 + 0x1000 * 2  # the third port of a switch is its first host's
        bar.write32(window + at + 0x14, 0x800000F7)
        bar.write32(window + at + 0x14 + 12, 0x81000008)
        bar.write32(window + at + 0x0C, 2 << 1)
        space = node.config_space(0, 16)
    rows = (f"{i:03x}: {space[i : i + 16].hex(' ')}" for i in range(0, 4096, 16))
    dump = tmp_path / "port"
    dump.write_text("00:00.0 port\n" + "\n".join(rows) + "\n\n")
    done = subprocess.run([LSPCI, "-F", dump, "-vvv"], capture_output=True, text=True, check=True)
    assert "chain broken" not in done.stdout
    found = done.stdout[done.stdout.index("Virtual Channel") :]
    assert "LPEVC=3" in found
    assert "Fixed+ WRR32+ WRR64+ WRR128-" in found
    assert "ArbSelect=WRR64" in found
    assert "Enable+ ID=0 ArbSelect=Fixed TC/VC=f7" in found
    assert "Enable+ ID=1 ArbSelect=Fixed TC/VC=08" in found
    assert found.count("NegoPending-") == 4


@pytest.mark.parametrize("traffic", ["fluid", "tlp"])
def test_a_vm_of_another_class_has_a_channel_of_its_own(traffic: str) -> None:
    with fabcore.ResourceNode.emulated() as node, fabcore.Controller(node) as ctl:
        for k in range(4):
            ctl.add_vm(f"vm{k}", host=0, module=k % 2)
            node.offer(f"vm{k}", 5e10, 0)
        at = vc_capability(node.config_space(0, 16))
        window = 0x134000 + 0x1000 * 2
        bar = node.chassis.switches[0].bar
        bar.write32(window + at + 0x14, 0x800000FB)
        bar.write32(window + at + 0x14 + 12, 0x81000004)
        node.set_class("vm0", 2)
        node.set_traffic(traffic)
        node.set_step(1e-4)
        node.advance(1e-4)
        before = [node.delivered(f"vm{k}")[0] for k in range(4)]
        node.advance(4e-4)
        moved = [node.delivered(f"vm{k}")[0] - before[k] for k in range(4)]
        assert moved[0] / sum(moved) == pytest.approx(0.5, rel=0.01)  # one of two channels
        with pytest.raises(fabcore.FabricError, match="use 0 to 7"):
            node.set_class("vm0", 8)
        with pytest.raises(fabcore.FabricError, match="fluid, tlp"):
            node.set_traffic("quantum")
