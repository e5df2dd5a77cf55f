"""Runs in a guest (test_vfio_user.py boots it): the fabcore driver on an emulated switch's PCI device.

Slot 1 holds switch 0 of the default node, served over vfio-user by the host.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from machine import ask_host, at, bind, case, failure, measured, run, setpci, wait

import fabcore

SLOT = 1
MODULE_PORTS, HOST_PORTS = (0, 8), (16, 24)
PFF_LINK_STATE = 0x134000 + 0xD30  # + 0x1000 * PFF
OCCURRED, EN_IRQ = 1, 8
ECHO, UNKNOWN = 0x41, 0x3FF


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def microseconds(call: Callable[[], object], times: int) -> float:
    """The median duration of a call."""
    took = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        took.append((time.perf_counter() - start) * 1e6)
    return median(took)


def program(bar: fabcore.Bar, port: int, shares: tuple[int, int]) -> None:
    """Loads a table that divides an egress port between the modules, and shows it to the host."""
    switch = fabcore.Switch(bar)
    phases = {p["port"]: p["phases"] for p in switch.ports()}[port]
    assert phases == 256
    unit = [MODULE_PORTS[0]] * shares[0] + [MODULE_PORTS[1]] * shares[1]
    table = bytes(unit[k % len(unit)] for k in range(phases))
    assert bytes(switch.port_table(port)) != table
    assert switch.load_port_table(port, table) > 0
    assert bytes(switch.port_table(port)) == table
    ask_host("programmed", str(port), table.hex())


@case
def lspci_decodes_the_device() -> None:
    folder = at(SLOT)
    assert (folder / "vendor").read_text().strip() == "0x11f8"
    assert (folder / "class").read_text().strip() == "0x058000"
    start, end, _ = (folder / "resource").read_text().splitlines()[0].split()
    assert int(end, 16) - int(start, 16) + 1 == 4 << 20
    text = subprocess.run(
        ["lspci", "-vvv", "-s", folder.name], capture_output=True, text=True, check=True
    ).stdout
    assert "chain broken" not in text
    assert "Unknown" not in text
    for part in (
        "MSI-X: Enable- Count=4", "Vector table: BAR=0 offset=00076000",
        "PBA: BAR=0 offset=00077000", "Express (v2) Endpoint", "Speed 32GT/s, Width x4",
        "Advanced Error Reporting", "Device Serial Number",
    ):  # fmt: skip
        assert part in text, part


@case
def config_writes_keep_what_is_read_only() -> None:
    name = at(SLOT).name
    before = setpci(name, "0.L"), setpci(name, "CAP_EXP+c.L"), setpci(name, "34.B")
    for register in ("0.L", "CAP_EXP+c.L", "34.B", "8.L"):
        setpci(name, f"{register}=ffffffff" if register[-1] == "L" else f"{register}=ff")
    assert (setpci(name, "0.L"), setpci(name, "CAP_EXP+c.L"), setpci(name, "34.B")) == before
    setpci(name, "CAP_EXP+8.W=2810")  # device control takes what it has
    assert setpci(name, "CAP_EXP+8.W") == 0x2810
    setpci(name, "3c.B=5a")
    assert setpci(name, "3c.B") == 0x5A


@case
def driver_programs_a_table_through_sysfs() -> None:
    folder = at(SLOT)
    (folder / "enable").write_text("1")
    with fabcore.Bar.open(folder / "resource0") as bar:
        assert bar.bytes == 4 << 20
        found = fabcore.Switch(bar).identify()
        assert (found["device_id"], found["generation"], found["pax_id"]) == (0x5200, 5, 0)
        program(bar, HOST_PORTS[0], (3, 1))
        assert "open the device as vfio" in failure(lambda: bar.interrupts([0]))


@case
def firmware_commands_run_through_sysfs() -> None:
    with fabcore.Bar.open(at(SLOT)) as bar:
        switch = fabcore.Switch(bar)
        for value in (0, 0x12345678, 0xFFFFFFFF):
            answer = switch.mrpc(ECHO, value.to_bytes(4, "little"), 4)
            assert int.from_bytes(answer, "little") == value ^ 0xFFFFFFFF
        assert "0x64005" in failure(lambda: switch.mrpc(UNKNOWN, b"", 4))
        measured("read32_us", microseconds(lambda: bar.read32(0x2000), 2000))
        measured("write32_us", microseconds(lambda: bar.write32(0x0, 1), 2000))
        measured("echo_us", microseconds(lambda: switch.mrpc(ECHO, b"fabc", 4), 300))


@case
def accesses_of_every_width_agree() -> None:
    with fabcore.Bar.open(at(SLOT)) as bar:
        word = bar.read64(0x2000)
        assert bar.read32(0x2000) == word & 0xFFFFFFFF
        assert bar.read32(0x2004) == word >> 32
        assert [bar.read16(0x2000 + k) for k in (0, 2)] == [word & 0xFFFF, word >> 16 & 0xFFFF]
        assert [bar.read8(0x2000 + k) for k in range(4)] == [*word.to_bytes(8, "little")[:4]]
        bar.write64(0x0, 0x1122334455667788)
        bar.write8(0x3, 0xAB)
        bar.write16(0x4, 0xCDEF)
        assert bar.read_block(0, 8) == bytes.fromhex("887766abefcd2211")
        bar.write32(0x2000, 0)  # read-only
        assert bar.read32(0x2000) == word & 0xFFFFFFFF


@case
def driver_programs_a_table_through_vfio() -> None:
    subprocess.run(["modprobe", "vfio-pci"], check=True)
    folder = at(SLOT)
    bind(folder, "vfio-pci")
    with fabcore.Bar.open(f"vfio:{folder.name}") as bar:
        program(bar, HOST_PORTS[1], (1, 7))
        switch = fabcore.Switch(bar)
        assert switch.mrpc(ECHO, bytes(4), 4) == b"\xff" * 4


@case
def event_arrives_by_msi_x() -> None:
    with fabcore.Bar.open(f"vfio:{at(SLOT).name}") as bar:
        switch = fabcore.Switch(bar)
        pff = {p["port"]: p["pff"] for p in switch.ports()}[MODULE_PORTS[1]]
        header = PFF_LINK_STATE + 0x1000 * pff
        switch.link_events()  # what the start and earlier cases left
        events = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2)]
        assert "fewer than 5" in failure(lambda: bar.interrupts(events * 2 + events[:1]))
        bar.interrupts(events)
        ask_host("fault", "link-down", str(MODULE_PORTS[1]))
        wait(lambda: bar.read32(header) & OCCURRED, "the link to go down")
        assert not fired(events), "an event that is not enabled interrupts nobody"
        bar.write32(header, OCCURRED | EN_IRQ)
        for fault in ("link-up", "link-down", "link-up"):
            ask_host("fault", fault, str(MODULE_PORTS[1]))
            assert select.select([events[0]], [], [], 20)[0], fault
            assert os.eventfd_read(events[0]) == 1
            assert bar.read32(header) & (OCCURRED | EN_IRQ) == OCCURRED | EN_IRQ
            bar.write32(header, OCCURRED | EN_IRQ)
        assert not fired(events)
        bar.interrupts([])
        ask_host("fault", "link-down", str(MODULE_PORTS[1]))
        wait(lambda: bar.read32(header) & OCCURRED, "the link to go down")
        assert not fired(events)
        ask_host("fault", "link-up", str(MODULE_PORTS[1]))
        bar.write32(header, OCCURRED)
        for event in events:
            os.close(event)


def fired(events: list[int]) -> bool:
    return bool(select.select(events, [], [], 0)[0])


@case
def switch_that_vanishes_is_a_surprise_removal() -> None:
    folder = at(SLOT)
    bar = fabcore.Bar.open(f"vfio:{folder.name}")
    assert bar.read32(0x2000) == 0x5200
    ask_host("fault", "gone", "0")
    wait(lambda: "surprise removal" in failure(lambda: bar.read32(0x2000)), "the switch to vanish")
    assert bar.gone
    assert setpci(folder.name, "8.L") == 0xFFFFFFFF
    bar.close()
    ask_host("fault", "back", "0")
    wait(lambda: setpci(folder.name, "8.L") != 0xFFFFFFFF, "the switch to come back")
    with fabcore.Bar.open(f"vfio:{folder.name}") as again:
        assert fabcore.Switch(again).mrpc(ECHO, bytes(4), 4) == b"\xff" * 4


run()
