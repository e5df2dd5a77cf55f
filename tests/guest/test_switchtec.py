"""The emulated switch before Linux's own switchtec driver, in DMA and in interrupt mode."""

from __future__ import annotations

import contextlib
import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
from guest import Guest, cases, require_switchtec, require_vfio_user, shared_memory, vfio_user

import fabcore

SECONDS = 200  # ten times what it takes on a quiet machine
CASES = cases("switchtec_guest.py")
MODULE, HOST = 4, 4  # on switch 2: binding them touches no mailbox that the guest uses
# Flash partitions of the driver's interface, as the order of the registers at 0x2218 numbers them:
# configurations, images, log, vendor's, boot loaders, maps, keys.
FLASH_ORDER = [6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 4, 5, 0, 1, 2, 3]
# Where a flash partition's kind has its active flag (u8) and the number that runs (u16).
FLASH_KINDS = {
    6: (0x2209, 0x204E, 6),
    8: (0x220A, 0x2050, 8),
    4: (0x2208, 0x204C, 4),
    2: (0x220B, 0x2052, 2),
}
EVENT_HEADERS = {  # of the driver's events: global, partition's, port's headers
    **{k: 0x1830 + 0x18 * k for k in range(13)},
    29: 0x1830 + 0x18 * 13,
    **{13 + k: 0x4124 + 0x18 * k for k in range(4)},
    30: 0x4124 + 0x18 * 4,
    17: 0x134C10,
    18: 0x134C28,
    19: 0x134C40,
    20: 0x134C58,
    31: 0x134C70,
    **{21 + k: 0x134C88 + 0x18 * k for k in range(8)},
}

pytestmark = pytest.mark.timeout(SECONDS + 60)


class Boot:
    """A guest with two switches of one node: what it said, and the node's registers at that time."""

    def __init__(self, mode: str, tmp_path_factory: pytest.TempPathFactory) -> None:
        qemu, module = require_vfio_user(), require_switchtec()
        self.answers: dict[str, Any] = {}
        self.registers = b""
        scratch = tmp_path_factory.mktemp("guest")
        ways = [scratch / f"switch{k}" for k in (0, 1)]
        self.name = f"fabcore-switchtec-{os.getpid()}"
        with contextlib.ExitStack() as opened:
            emulated = fabcore.ResourceNode.emulated(realtime=True, shm=self.name)
            self.node = opened.enter_context(emulated)
            self.controller = fabcore.Controller(self.node)
            for k, way in enumerate(ways):
                opened.enter_context(self.node.serve_vfio_user(way, k, multifunction=True))
            self.guest = Guest(
                scratch,
                "switchtec_guest.py",
                devices(*ways),
                seconds=SECONDS,
                asked={"bind": self.bind, "fault": self.fault, "answers": self.answered},
                qemu=qemu,
                kernel_options=f"guest_module={module} guest_mode={mode}",
            )
            self.guest.run()

    def bind(self) -> None:
        self.controller.add_vm(f"vm{len(self.node.vms.all())}", host=HOST, module=MODULE)

    def fault(self, kind: str, port: str) -> None:
        self.node.fault(0, kind, int(port))

    def answered(self, text: str) -> None:
        """Keeps what the guest was told, and what the registers held when it was."""
        self.answers = json.loads(bytes.fromhex(text))
        with fabcore.Bar.open(f"shm:{self.name}/0") as bar:
            self.registers = bar.read_block(0, 4 << 20)

    def register(self, at: int, kind: str = "I") -> int:
        return int(struct.unpack_from("<" + kind, self.registers, at)[0])

    def text(self, at: int, count: int) -> str:
        return self.registers[at : at + count].decode().rstrip()


def devices(first: Path, second: Path) -> list[str]:
    """Switch 0 behind a root port; switch 1 as function 1 of an upstream port with devices below."""
    return [
        *shared_memory(),
        *("-device", "pcie-root-port,id=slot1,chassis=1,slot=1"),
        *vfio_user(first, "slot1"),
        *("-device", "pcie-root-port,id=slot2,chassis=2,slot=2"),
        *("-device", "x3130-upstream,id=up,bus=slot2,addr=0.0,multifunction=on"),
        *("-device", "xio3130-downstream,id=down0,bus=up,chassis=20,slot=20,addr=0.0"),
        *("-device", "xio3130-downstream,id=down1,bus=up,chassis=21,slot=21,addr=1.0"),
        *("-device", "edu,bus=down0", "-device", "pci-testdev,bus=down1"),
        *vfio_user(second, "slot2", addr="0.1"),
    ]


@pytest.fixture(scope="module", params=["dma", "interrupt"])
def boot(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Boot:
    return Boot(request.param, tmp_path_factory)


@pytest.mark.parametrize("case", CASES)
def test_driver(boot: Boot, case: str) -> None:
    boot.guest.passed(case)


def test_guest_ran_to_its_end(boot: Boot) -> None:
    boot.guest.ended(CASES)


def test_attributes_are_what_the_registers_hold(boot: Boot) -> None:
    assert boot.answers["attributes"] == {
        "device_version": f"{boot.register(0x2004):x}",
        "fw_version": f"{boot.register(0x2008):08x}",
        "vendor_id": boot.text(0x213C, 8),
        "product_id": boot.text(0x2144, 24),
        "product_revision": boot.text(0x215C, 2),
        "component_vendor": "none",
        "component_id": "none",
        "component_revision": "255",
        "partition": str(boot.register(0x2048, "B")),
        "partition_count": str(boot.register(0x10000, "B")),
    }
    assert boot.answers["attributes"]["product_id"] == "PAX 100XG5"
    assert boot.answers["attributes"]["vendor_id"] == "MSCC"


def test_flash_ioctls_are_what_the_registers_hold(boot: Boot) -> None:
    assert boot.answers["flash"] == [boot.register(0x2204), len(FLASH_ORDER)]
    assert boot.register(0x2204) > 0
    for k, (address, count, flags) in zip(
        FLASH_ORDER, boot.answers["flash_partitions"], strict=True
    ):
        assert address == boot.register(0x2218 + 8 * k)
        assert count == boot.register(0x221C + 8 * k)
        expected = 0
        if (kind := k & ~1) in FLASH_KINDS:
            active, running, first = FLASH_KINDS[kind]
            expected |= boot.register(active, "B") == k - kind
            expected |= 2 * (boot.register(running, "H") == first + k - kind)
        assert flags == expected, k


def test_ports_are_what_the_partition_says(boot: Boot) -> None:
    ports = {boot.register(0x4010): 0, boot.register(0x4014): 100}
    ports |= {boot.register(0x4018 + 4 * k): k + 1 for k in range(47)}
    assert boot.answers["ports"] == [[0, ports[pff]] for pff in range(7)]
    assert boot.answers["pffs"] == list(range(7))


def test_events_are_what_the_registers_hold(boot: Boot) -> None:
    none_such = [
        [number, index]
        for number, at in sorted(EVENT_HEADERS.items())
        for index in ((-1,) if at >> 12 == 4 else range(7) if at > 0x100000 else (0,))
        if boot.register(at + 0x1000 * max(index, 0)) >> 31
    ]
    assert boot.answers["unsupported"] == none_such
    whole, bitmap, local, parts = boot.answers["summary"]
    assert whole == boot.register(0x1820)
    assert bitmap == boot.register(0x1810, "Q")
    assert [local, *parts[:1]] == [boot.register(0x4114)] * 2
