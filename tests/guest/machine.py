"""The script's side of a guest: its PCI devices, what it asks of the host, and its cases."""

from __future__ import annotations

import glob
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

DEVICES = Path("/sys/bus/pci/devices")
DRIVERS = Path("/sys/bus/pci/drivers")
POWER_OFF = "CAP_EXP+18.W=0400:0400"  # slot control: power controller


def at(port: int) -> Path:
    """The folder of the device in slot `port` (QEMU's chassis number is the port's slot)."""
    for folder in sorted(DEVICES.iterdir()):
        parent = folder.resolve().parent.name
        if parent.startswith("0000:") and setpci(parent, "CAP_EXP+14.L") >> 19 == port:
            return folder
    raise AssertionError(f"no device in slot {port}: {sorted(p.name for p in DEVICES.iterdir())}")


def setpci(bdf: str, what: str) -> int:
    done = subprocess.run(["setpci", "-s", bdf, what], capture_output=True, text=True, check=True)
    return int(done.stdout or "0", 16)


def bind(folder: Path, driver: str) -> None:
    """Gives a device to a driver; the previous one lets go."""
    if (folder / "driver").exists():
        (folder / "driver" / "unbind").write_text(folder.name)
    (folder / "driver_override").write_text(driver)
    Path("/sys/bus/pci/drivers_probe").write_text(folder.name)
    assert (folder / "driver").resolve().name == driver, f"{folder.name} is not with {driver}"


def uio_of(folder: Path, driver: str) -> str:
    """Gives a device to a UIO driver and returns its target."""
    bind(folder, driver)
    wait(lambda: glob.glob(f"{folder}/uio/uio*"), "the UIO device")
    return "uio:" + os.path.basename(glob.glob(f"{folder}/uio/uio*")[0]).removeprefix("uio")


def wait(true: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.005)


def failure(call: Callable[[], object]) -> str:
    """What fabcore says of a call that must fail."""
    import fabcore  # not every guest has it

    try:
        call()
    except fabcore.FabricError as error:
        return str(error)
    return "(it succeeded)"


def ask_host(*words: str) -> None:
    print("HOST", *words, flush=True)


def option(name: str) -> str:
    """What the kernel's command line says for guest_NAME."""
    words = Path("/proc/cmdline").read_text().split()
    return next(w.partition("=")[2] for w in words if w.startswith(f"guest_{name}="))


def measured(what: str, value: float) -> None:
    """Reports a figure: nothing is asserted of it."""
    print("MEASURED", what, f"{value:.1f}", flush=True)


def power_off(folder: Path) -> None:
    """Takes the power from a device's slot behind the kernel's back, as pulling it does."""
    setpci(folder.resolve().parent.name, POWER_OFF)


def memory_start(folder: Path, bar: int) -> int:
    return int((folder / "resource").read_text().splitlines()[bar].split()[0], 16)


def answer_with_ones(ones: Path, address: int) -> None:
    """Puts memory that holds ones where a removed device was. A root complex answers reads that
    reach nobody with ones; QEMU's answers zeros, so this device plays that part."""
    (ones / "enable").write_text("1")
    setpci(ones.name, f"18.L={address & 0xFFFFFFF0:x}")
    setpci(ones.name, f"1c.L={address >> 32:x}")


_cases: list[Callable[[], None]] = []


def case(function: Callable[[], None]) -> Callable[[], None]:
    _cases.append(function)
    return function


def run() -> None:
    """Runs the cases in order, says on the console how each went, exits with how many failed."""
    failed = 0
    for function in _cases:
        try:
            function()
            print("CASE", function.__name__, "passed", flush=True)
        except BaseException:
            failed += 1
            traceback.print_exc(file=sys.stdout)
            print("CASE", function.__name__, "failed", flush=True)
    sys.exit(failed)
