"""Runs in a guest (test_bar.py boots it): every kind of BAR on real PCI devices and real kernel drivers.

The slots are test_bar.py's. An edu device has its id at 0, inverts what is written at 4, and reads
all ones at 0xC, where it has no register.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from machine import (
    DEVICES,
    answer_with_ones,
    ask_host,
    at,
    bind,
    case,
    memory_start,
    power_off,
    run,
    setpci,
    uio_of,
    wait,
)

import fabcore

EDU, MEMORY, UNPLUGGED, PULLED, PULLED_UIO, PULLED_VFIO, HELD, BRIDGE = range(1, 9)
EDU_ID, ONES_AT = 0x010000ED, 0xC


def failure(call: Callable[[], object]) -> str:
    try:
        call()
    except fabcore.BarError as error:
        return str(error)
    return "(it succeeded)"


def refused(why: str, target: object, **options: bool) -> None:
    said = failure(lambda: fabcore.Bar.open(str(target), **options).close())
    assert re.search(why, said), f"{target}: {said!r}, expected {why!r}"


def is_an_edu(bar: fabcore.Bar) -> None:
    assert bar.bytes == 1 << 20
    assert bar.read32(0) == EDU_ID
    bar.write32(4, 0x00FF1234)
    assert bar.read32(4) == 0xFF00EDCB
    assert bar.read32(ONES_AT) == 0xFFFFFFFF  # a value: the device is there
    assert not bar.gone
    bar.flush()


def is_gone(bar: fabcore.Bar) -> None:
    for access in (
        lambda: bar.read32(0),
        lambda: bar.read_block(0, 64),
        lambda: bar.write32(4, 1),
        lambda: bar.write_block(4, b"1234"),
        bar.flush,
    ):
        assert "surprise removal" in failure(access)
    assert bar.gone


@case
def sysfs_is_the_device_s_registers() -> None:
    edu = at(EDU)
    setpci(edu.name, "COMMAND=0:2")
    refused("memory decoding is off.*enable", edu)
    (edu / "enable").write_text("1")
    for target in (edu, edu / "resource0"):
        with fabcore.Bar.open(str(target)) as bar:
            is_an_edu(bar)
    refused("no memory BAR", edu / "resource1")
    refused("lspci", DEVICES / "0000:7f:00.0")


@case
def io_ports_are_no_memory() -> None:
    for folder in DEVICES.iterdir():
        if (folder / "resource").read_text().splitlines()[0].endswith("101"):
            refused("no memory BAR", folder / "resource0")
            return
    raise AssertionError("no device with I/O ports at BAR 0")


@case
def sysfs_shares_memory_with_the_host() -> None:
    memory = at(MEMORY)
    (memory / "enable").write_text("1")
    with fabcore.Bar.open(memory / "resource2") as bar:
        assert bar.bytes == 1 << 20
        assert bar.read_block(0, 9) == b"from host"
        bar.write_block(4096, b"from guest")
        bar.write64(8192, 0x1122334455667788)
        assert bar.read64(8192) == 0x1122334455667788
        assert bar.read16(8192) == 0x7788
    with fabcore.Bar.open(memory / "resource0") as registers:
        assert registers.bytes == 256  # smaller than a page


@case
def write_combining_reaches_the_same_memory() -> None:
    resource = at(MEMORY) / "resource2"
    with (
        fabcore.Bar.open(resource) as plain,
        fabcore.Bar.open(resource, write_combining=True) as combining,
    ):
        for k in range(1024):
            combining.write32(0x4000 + 4 * k, k * k)
        combining.flush()
        assert plain.read_block(0x4000, 4096) == combining.read_block(0x4000, 4096)
        assert plain.read32(0x4000 + 4 * 1023) == 1023**2
        combining.write8(0x8000, 7)
        assert combining.read8(0x8000) == 7
    subprocess.run(["mount", "-t", "debugfs", "debug", "/sys/kernel/debug"], check=True)
    kinds = Path("/sys/kernel/debug/x86/pat_memtype_list")
    assert "write-combining" not in kinds.read_text()
    with fabcore.Bar.open(resource, write_combining=True):
        assert "write-combining" in kinds.read_text()
    refused("no write-combining here", at(EDU), write_combining=True)
    refused("no write-combining here", f"vfio:{at(EDU).name}", write_combining=True)


@case
def uio_without_a_map_is_refused() -> None:
    subprocess.run(["modprobe", "uio_aec"], check=True)
    refused("exports no memory", uio_of(at(EDU), "aectc"))  # I/O ports only
    refused("/sys/class/uio", "uio:77")


@case
def uio_maps_registers_and_memory() -> None:
    subprocess.run(["modprobe", "-a", "uio_pci_generic", "uio_cif", "uio_netx"], check=True)
    for driver in ("uio_pci_generic", "hilscher"):  # both map BAR 0
        with fabcore.Bar.open(uio_of(at(EDU), driver)) as bar:
            is_an_edu(bar)
    with fabcore.Bar.open(uio_of(at(MEMORY), "netx")) as bar:  # maps BAR 2
        assert bar.read_block(0, 9) == b"from host"
        assert not bar.gone


@case
def vfio_says_what_is_missing() -> None:
    subprocess.run(["modprobe", "vfio-pci"], check=True)
    edu = at(EDU)
    refused("not bound to vfio-pci.*driver_override", f"vfio:{edu.name}")
    below = at(BRIDGE).resolve().glob("0000:*")
    first, second = sorted(folder for folder in below if (folder / "vendor").exists())
    bind(DEVICES / first.name, "vfio-pci")
    bind(DEVICES / second.name, "uio_pci_generic")
    refused("group is not viable.*host driver", f"vfio:{first.name}")
    (second / "driver" / "unbind").write_text(second.name)
    refused("not bound to vfio-pci", f"vfio:{second.name}")  # its neighbour is
    with fabcore.Bar.open(f"vfio:{first.name}") as bar:
        is_an_edu(bar)
    refused("malformed", f"vfio:{edu.name}:9")
    refused("lspci", "vfio:0000:7f:00.0")


@case
def vfio_is_the_device_s_registers() -> None:
    edu, memory = at(EDU), at(MEMORY)
    bind(edu, "vfio-pci")
    bind(memory, "vfio-pci")
    for _ in range(2):  # a closed one leaves nothing behind
        with fabcore.Bar.open(f"vfio:{edu.name}") as bar:
            is_an_edu(bar)
            refused("open already", f"vfio:{edu.name}:0")
    refused("no memory BAR", f"vfio:{edu.name}:1")
    with fabcore.Bar.open(f"vfio:{memory.name}:2") as bar:
        assert bar.read_block(4096, 10) == b"from guest"


@case
def unplugged_device_is_a_surprise_removal() -> None:
    folder = at(UNPLUGGED)
    (folder / "enable").write_text("1")
    start = memory_start(folder, 0)
    with fabcore.Bar.open(folder) as bar:
        is_an_edu(bar)
        ask_host("unplug", "unplugged")
        wait(lambda: not folder.exists(), "the kernel to remove the device")
        answer_with_ones(ones(), start)
        is_gone(bar)
    refused("lspci", folder)


@case
def gone_tells_of_a_removal_before_any_read() -> None:
    folder = at(PULLED)
    (folder / "enable").write_text("1")
    with fabcore.Bar.open(folder) as bar, fabcore.Bar.open(folder) as other:
        is_an_edu(bar)
        power_off(folder)
        assert folder.exists()  # the kernel has not noticed
        assert bar.gone
        is_gone(bar)
        answer_with_ones(ones(), memory_start(folder, 0))
        is_gone(other)
    refused("lspci", folder)


@case
def pulled_device_is_noticed_through_uio() -> None:
    folder = at(PULLED_UIO)
    with fabcore.Bar.open(uio_of(folder, "hilscher")) as bar:
        is_an_edu(bar)
        power_off(folder)
        answer_with_ones(ones(), memory_start(folder, 0))
        is_gone(bar)


@case
def pulled_device_is_noticed_through_vfio() -> None:
    folder = at(PULLED_VFIO)
    bind(folder, "vfio-pci")
    with fabcore.Bar.open(f"vfio:{folder.name}") as bar:
        is_an_edu(bar)
        power_off(folder)
        answer_with_ones(ones(), memory_start(folder, 0))
        is_gone(bar)


@case
def vfio_keeps_the_device_until_the_bar_is_closed() -> None:
    folder = at(HELD)
    bind(folder, "vfio-pci")
    with fabcore.Bar.open(f"vfio:{folder.name}") as bar:
        ask_host("unplug", "held")
        wait(lambda: "blocked until released by user" in kernel_log(), "the kernel to ask for it")
        is_an_edu(bar)
        assert folder.exists()
    wait(lambda: not folder.exists(), "the kernel to remove the device")


def kernel_log() -> str:
    return subprocess.run(["dmesg"], capture_output=True, text=True, check=True).stdout


def ones() -> Path:
    """The memory on bus 0 that holds ones."""
    for folder in DEVICES.glob("0000:00:*"):
        if (folder / "device").read_text().strip() == "0x1110":
            return folder
    raise AssertionError("no memory on bus 0")


run()
