"""Runs in a guest (test_switchtec.py boots it): Linux's own switchtec driver on emulated switches.

Slot 1 holds switch 0; slot 2 an upstream port whose function 1 is switch 1, with an edu device
behind its first downstream port and a pci-testdev behind its second. On the kernel's command line:
guest_module, the driver's file, and guest_mode, dma or interrupt.
"""

from __future__ import annotations

import errno
import json
import os
import select
import struct
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from machine import DEVICES, ask_host, at, case, measured, option, run, wait
from switchtec_device import (
    CLEAR,
    ECHO,
    EVENTS,
    FIRST_PARTITION_EVENT,
    FIRST_PORT_EVENT,
    FLASH_PARTITIONS,
    GFMS,
    INTERCOMM,
    LINK_STATE,
    LINK_STATUS,
    POLL,
    RESET,
    UEC,
    Switchtec,
    bdf_of,
    errno_of,
    names,
)  # fmt: skip

DMA = option("mode") == "dma"
COMPLETION = 1 if DMA else 0  # the vector that says that a command is done
EVENT = 0
LOST = 0.4  # s: the driver looks by itself every 0.5 s, which hides a lost interrupt
MODULE_PORT, MODULE_PFF = 8, 1


def devices() -> list[Switchtec]:
    return [Switchtec(name) for name in names()]


def of_slot_1() -> Switchtec:
    bdf = at(1).name
    return next(Switchtec(name) for name in names() if bdf_of(name) == bdf)


def came(device: Switchtec, before: list[int]) -> list[int]:
    return [now - then for now, then in zip(device.interrupts(), before, strict=True)]


@case
def driver_binds_both_devices() -> None:
    arguments = [] if DMA else ["use_dma_mrpc=0"]
    subprocess.run(["insmod", option("module"), *arguments], check=True)
    wait(lambda: len(names()) == 2, "the driver to bind two devices")
    found = devices()
    assert found[1].pci.name.endswith(".1")
    for device in found:
        assert (device.pci / "driver").resolve().name == "switchtec"
        assert (device.pci / "class").read_text().strip() == "0x058000"
        device.close()


@case
def commands_come_back_one_interrupt_each() -> None:
    for device in devices():
        before = device.interrupts()
        took = []
        for value in range(100):
            start = time.perf_counter()
            assert device.echo(value) == value ^ 0xFFFFFFFF
            took.append(time.perf_counter() - start)
        expected = [0, 0]
        expected[COMPLETION] = 100
        assert came(device, before) == expected
        assert max(took) < LOST, max(took)
        measured(f"echo_{device.name}_us", sorted(took)[50] * 1e6)
        device.close()


@case
def payloads_have_any_length_and_errors_have_codes() -> None:
    device = of_slot_1()
    for count in (4, 5, 6, 7, 1023, 1024):
        code, answer = device.command(ECHO, bytes(range(4)) + bytes(count - 4), 1024)
        assert (code, answer[:8]) == (0, b"\xff\xfe\xfd\xfc" + bytes(4))
    assert device.command(0x3FF, b"", 4)[0] == 0x64005
    assert errno_of(lambda: device.send(ECHO, bytes(1025))) == errno.EINVAL
    assert errno_of(lambda: device.receive(4)) == errno.EBADE
    device.close()


@case
def processes_share_a_device() -> None:
    device = of_slot_1()
    before = device.interrupts()
    children = []
    for process in range(4):
        child = os.fork()
        if not child:
            os._exit(0 if use(process) else 1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert came(device, before)[COMPLETION] == 4 * 50
    device.close()


def use(process: int) -> bool:
    """25 echoes and as many port states, all right and none late."""
    device = of_slot_1()
    for turn in range(25):
        value = process << 16 | turn
        if device.echo(value) != value ^ 0xFFFFFFFF:
            return False
        code, ports = device.command(LINK_STATUS, bytes(8), 720)
        if code or ports[0] != 0 or ports[12] != MODULE_PORT or not ports[12 + 7] & 0x80:
            return False
    device.close()
    return True


@case
def every_attribute_and_ioctl_answers() -> None:
    device = of_slot_1()
    pffs = 7
    unsupported = []
    for number in range(EVENTS):
        inside = number == INTERCOMM or FIRST_PARTITION_EVENT <= number < FIRST_PORT_EVENT
        for index in (-1,) if inside else range(pffs) if is_of_port(number) else (0,):
            if device.event(number, index) is None:
                unsupported.append([number, index])
    whole, bitmap, local, parts, _ = device.summary()
    answers = {
        "attributes": device.attributes(),
        "flash": device.flash_bytes(),
        "flash_partitions": [device.flash_partition(k) for k in range(FLASH_PARTITIONS)],
        "ports": [device.port_of(pff) for pff in range(pffs)],
        "pffs": [device.pff_of(*device.port_of(pff)) for pff in range(pffs)],
        "unsupported": unsupported,
        "summary": [whole, bitmap, local, parts],
    }
    ask_host("answers", json.dumps(answers).encode().hex())
    device.close()


def is_of_port(number: int) -> bool:
    return number == UEC or FIRST_PORT_EVENT <= number < GFMS


@case
def event_wakes_who_polls() -> None:
    device = of_slot_1()
    device.event(GFMS, 0, CLEAR | POLL)
    device.summary()  # what came before is known
    before = device.interrupts()
    ask_host("bind")
    assert device.poll(20) & select.POLLPRI
    assert came(device, before) == [1, 0]
    flags, occurred, _ = device.event(GFMS) or (0, 0, 0)
    assert occurred
    assert not flags & POLL  # the driver masks what it has told of
    assert device.summary()[0] >> 13 & 1
    device.event(GFMS, 0, CLEAR)
    assert not device.summary()[0] >> 13 & 1
    assert device.poll(0.1) == 0
    ask_host("bind")  # not enabled again: nobody is told
    wait(lambda: (device.event(GFMS) or (0, 0, 0))[1], "the second binding")
    assert came(device, before) == [1, 0]
    device.close()


@case
def link_events_interrupt_and_count() -> None:
    device = of_slot_1()
    device.event(LINK_STATE, MODULE_PFF, CLEAR | POLL)
    before, told = device.interrupts(), device.event(LINK_STATE, MODULE_PFF)
    assert told is not None
    assert told[1:] == (0, 0)
    for count, fault in enumerate(("link-down", "link-up"), 1):
        ask_host("fault", fault, str(MODULE_PORT))
        wait(lambda n=count: came(device, before)[EVENT] == n, f"interrupt {count}")
        now = device.event(LINK_STATE, MODULE_PFF)
        assert now is not None
        assert now[1:] == (1, count)
    assert device.summary()[4][MODULE_PFF] >> 12 & 1
    device.event(LINK_STATE, MODULE_PFF, CLEAR)
    assert not device.summary()[4].get(MODULE_PFF, 0) >> 12 & 1
    device.close()


@case
def command_that_never_completes_ends_with_the_device() -> None:
    device = of_slot_1()
    ask_host("fault", "mrpc-stuck", "0")
    wait(lambda: stuck(device), "a command that hangs")
    start = time.monotonic()
    (device.pci / "driver" / "unbind").write_text(device.pci.name)
    assert errno_of(lambda: device.receive(4)) == errno.ENODEV
    assert time.monotonic() - start < 10
    device.close()
    bind_again(at(1))
    again = of_slot_1()
    assert again.echo(5) == 5 ^ 0xFFFFFFFF
    again.close()


def stuck(device: Switchtec) -> bool:
    """Sends a command; one that completes was sent before the fault was there."""
    device.send(ECHO, bytes(4))
    if not device.poll(1.2) & select.POLLIN:
        return True
    device.receive(4)
    return False


def bind_again(folder: Path) -> None:
    Path("/sys/bus/pci/drivers/switchtec/bind").write_text(folder.name)
    wait(lambda: len(names()) == 2, "the driver to bind it again")


@case
def reset_takes_a_new_binding() -> None:
    """A hard reset answers, then forgets what the driver has told the switch."""
    device = of_slot_1()
    assert device.command(RESET, bytes(4), 0)[0] == 0
    (device.pci / "driver" / "unbind").write_text(device.pci.name)
    device.close()
    time.sleep(0.2)  # it resets 20 ms after it has answered
    bind_again(at(1))
    again = of_slot_1()
    before = again.interrupts()
    start = time.perf_counter()
    assert again.echo(6) == 6 ^ 0xFFFFFFFF
    assert time.perf_counter() - start < LOST
    assert came(again, before)[COMPLETION] == 1
    again.close()


@case
def ports_are_the_devices_of_the_guest_s_switch() -> None:
    """By the rule of the vendor's tool: port n is the downstream port with device number n - 1."""
    device = next(Switchtec(name) for name in names() if bdf_of(name).endswith(".1"))
    upstream = DEVICES / (device.pci.name[:-1] + "0")
    bus = int((upstream / "secondary_bus_number").read_text())
    code, records = device.command(LINK_STATUS, bytes(8), 720)
    assert code == 0
    behind = {}
    for pff, (partition, port) in enumerate(struct.iter_unpack("<x2B9x", records[: 7 * 12])):
        assert device.port_of(pff) == (partition, port)  # the status is in the order of PFFs
        below = DEVICES / f"0000:{bus:02x}:{port - 1:02x}.0"
        if port and below.exists():
            behind[port] = next(
                (child / "vendor").read_text()[2:6] + ":" + (child / "device").read_text()[2:6]
                for child in below.resolve().iterdir()
                if (child / "vendor").exists()
            )
    assert behind == {1: "1234:11e8", 2: "1b36:0005"}
    device.close()


@case
def firmware_that_died_is_told_from_a_slow_command() -> None:
    device = of_slot_1()
    ask_host("fault", "gone", "0")
    config = at(1) / "config"
    wait(lambda: config.read_bytes()[:4] == b"\xff" * 4, "the switch to vanish")
    assert errno_of(lambda: device.echo(1)) == errno.EIO
    ask_host("fault", "back", "0")
    wait(lambda: config.read_bytes()[:4] != b"\xff" * 4, "the switch to come back")
    device.close()


@case
def driver_leaves_without_complaint() -> None:
    subprocess.run(["rmmod", "switchtec"], check=True)
    log = subprocess.run(["dmesg"], capture_output=True, text=True, check=True).stdout
    for trouble in ("BUG", "Oops", "Call Trace", "nobody cared", "fault addr"):
        assert trouble not in log, log


run()
