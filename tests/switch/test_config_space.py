"""Config spaces as lspci and a parser of this file's own read them, on every kind of switch."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fabcore
from fabcore.emulated import emulated_node
from fabcore.topology import Topology

# device id, generation of every port, extended capabilities that pciutils 3.9 has no name for
NODES = {
    "PAX": (0x5200, 5, {"0x2a"}),
    "PSX": (0x5100, 5, {"0x2a"}),
    "PFX": (0x5000, 5, {"0x2a"}),
    "PAX Gen4": (0x4200, 4, set()),
    "PSX Gen6": (0x6160, 6, {"0x2a", "0x31"}),
}
PORTS = (0, 8, 16, 24, 32, 40, 48)


@pytest.fixture
def lspci() -> str:
    found = shutil.which("lspci") or shutil.which("lspci", path="/usr/bin:/sbin:/usr/sbin")
    if found is None:
        if os.environ.get("FABCORE_CI"):
            pytest.fail("lspci is missing although CI installs pciutils (.ci/packages)")
        pytest.skip("lspci is missing: install pciutils")
    return found


def node_of(name: str) -> Any:
    device_id, gen, _ = NODES[name]
    text = Topology.default().dumps()
    text = re.sub(r"device_id = \S+", f"device_id = 0x{device_id:04x}", text)
    return emulated_node(Topology.load(re.sub(r"gen = \d", f"gen = {gen}", text)))


def decode(lspci: str, spaces: dict[str, bytes], folder: Path) -> dict[str, str]:
    """What lspci -vvv says of each space; keys are bus:device.function."""
    lines = []
    for where, space in spaces.items():
        lines.append(f"{where} Class 0000: 0000:0000")
        lines += [f"{k:02x}: {space[k : k + 16].hex(' ')}" for k in range(0, len(space), 16)]
        lines.append("")
    dump = folder / "dump"
    dump.write_text("\n".join(lines))
    done = subprocess.run(
        [lspci, "-F", dump, "-vvv"], capture_output=True, text=True, check=True, timeout=60
    )
    parts = re.split(r"^(?=[0-9a-f]{2}:[0-9a-f]{2}\.[0-7] )", done.stdout, flags=re.MULTILINE)
    found = {part[:7]: part for part in parts if part.strip()}
    assert found.keys() == spaces.keys()
    return found


def extended(space: bytes) -> dict[int, int]:
    """Offsets of the extended capabilities by id."""
    found, at = {}, 0x100
    while at:
        (word,) = struct.unpack_from("<I", space, at)
        found[word & 0xFFFF] = at
        at = word >> 20
    return found


@pytest.mark.parametrize("name", NODES)
def test_lspci_knows_every_capability_of_every_port_and_function(
    name: str, lspci: str, tmp_path: Path
) -> None:
    node, unnamed = node_of(name), NODES[name][2]
    spaces = {}
    for switch in range(4):
        for k, port in enumerate(PORTS):
            spaces[f"{16 * switch + k:02x}:00.0"] = node.config_space(switch, port)
    for module in range(8):
        for function in range(33):
            where = f"{0x80 + module:02x}:{function >> 3:02x}.{function & 7}"
            spaces[where] = node.config_space(module // 2, 8 * (module % 2), function)
    assert len(spaces) == 28 + 8 * 33
    met = set()
    for where, text in decode(lspci, spaces, tmp_path).items():
        assert "<chain broken>" not in text, where
        assert "Unknown" not in text, where
        assert not re.search(r"Capabilities: \[\w+\] #", text), where  # a standard one
        assert "Capabilities: [100 v2] Advanced Error Reporting" in text
        met |= set(re.findall(r"Extended Capability ID (\S+)", text))
    assert met == unnamed
    node.close()


@pytest.mark.parametrize(("name", "speed"), [("PAX", "32GT/s"), ("PAX Gen4", "16GT/s")])
def test_lspci_shows_links_as_they_are_negotiated(
    name: str, speed: str, lspci: str, tmp_path: Path
) -> None:
    node = node_of(name)
    node.fault(0, "width", 0, 8)
    node.fault(0, "speed", 0, 3)
    node.fault(0, "link-down", 32)
    node.fault(0, "link-up", 32)
    node.advance(0.017)  # the fabric link is in Configuration
    port, fabric, other, function = (
        decode(
            lspci,
            {"01:00.0": node.config_space(0, 0), "02:00.0": node.config_space(0, 32),
             "03:00.0": node.config_space(0, 8), "04:00.0": node.config_space(0, 0, 0)},
            tmp_path,
        ).values()
    )  # fmt: skip
    assert "LnkSta:\tSpeed 8GT/s, Width x8" in port
    assert "DLActive+ BWMgmt+" in port
    assert "LnkSta:\tSpeed 8GT/s (downgraded), Width x8 (downgraded)" in function
    assert "Train+" in fabric and "DLActive-" in fabric
    assert f"LnkSta:\tSpeed {speed}, Width x16" in other
    node.close()


def test_lspci_shows_what_was_programmed(lspci: str, tmp_path: Path) -> None:
    with fabcore.ResourceNode.emulated() as node:
        switch = node.chassis.switches[0]
        switch.load_port_table(16, np.array([0, 8, 0, 32] * 32, dtype=np.uint8))
        entries = [0, 1, 2, 3, 3, 3, 3, 3] * 4
        switch.load_function_table(0, np.array(entries, dtype=np.uint8))  # pdfid 0: module 0's PF
        switch.function_group(3, 5)  # its VF 3 in group 5
        host = extended(node.config_space(0, 16))
        bar, window = node.chassis.bars[0], 0x134000 + 0x1000 * 2  # PFF 2 is port 16
        bar.write16(window + host[0x0D] + 6, 0x000C)  # ACS: redirects
        bar.write32(window + host[0x01] + 8, 0x00100000)  # AER: Unsupported Request masked
        switch.function_write(0, 0x168, 0x18, 2)  # VFs off, then seven of them on
        switch.function_write(0, 0x170, 7, 2)
        switch.function_write(0, 0x168, 0x19, 2)
        node.fault(0, "fatal", 16, 18)
        spaces = {
            "01:00.0": node.config_space(0, 16),
            "02:00.0": node.config_space(0, 0, 0),
            "02:00.3": node.config_space(0, 0, 3),
        }
        with pytest.raises(fabcore.TopologyError):
            node.config_space(0, 0, 8)
    port, pf, vf = decode(lspci, spaces, tmp_path).values()
    assert "Ctrl:\tEnable+ ID=0 ArbSelect=WRR128 TC/VC=ff" in port
    assert "ACSCtl:\tSrcValid- TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd-" in port
    assert re.search(r"UESta:.*MalfTLP\+ ECRC- UnsupReq-", port)
    assert re.search(r"UEMsk:.*UnsupReq\+", port)
    assert "First Error Pointer: 12" in port  # hexadecimal
    assert "HeaderLog: 60000040" in port
    assert "DevSta:\tCorrErr- NonFatalErr- FatalErr+" in port
    assert "Initial VFs: 32, Total VFs: 32, Number of VFs: 7" in pf
    assert "IOVCtl:\tEnable+" in pf
    assert "ARICtl:\tMFVC+ ACS-, Function Group: 0" in pf
    assert "ARICtl:\tMFVC- ACS-, Function Group: 5" in vf
    assert "DOESta: Busy- IntSta- Error- ObjectReady-" in pf
    # lspci prints no table contents: read them where the capability says that they are
    vc = extended(spaces["01:00.0"])[0x02]
    resource, control = struct.unpack_from("<II", spaces["01:00.0"], vc + 0x10)
    table = vc + 16 * (resource >> 24)
    assert control >> 17 & 7 == 3  # 128 phases
    assert list(spaces["01:00.0"][table : table + 128]) == [0, 8, 0, 32] * 32
    mfvc = extended(spaces["02:00.0"])[0x08]
    resource, control = struct.unpack_from("<II", spaces["02:00.0"], mfvc + 0x10)
    table = mfvc + 16 * (resource >> 24)
    nibbles = [b >> 4 * k & 15 for b in spaces["02:00.0"][table : table + 16] for k in (0, 1)]
    assert control >> 17 & 7 == 1 and nibbles == entries
