"""Every kind of BAR in a QEMU guest: sysfs, write-combining, UIO, VFIO, and devices that go away."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SECONDS = 150  # ten times what it takes on a quiet machine
MEMORY_BYTES = 1 << 20
EDU_SLOTS = {
    "edu": 1, "unplugged": 3, "pulled": 4, "pulled_uio": 5, "pulled_vfio": 6, "held": 7,
}  # fmt: skip
MEMORY_SLOT, BRIDGE_SLOT = 2, 8
CASES = re.findall(r"^@case\ndef (\w+)", (HERE / "bar_guest.py").read_text(), re.M)

pytestmark = pytest.mark.timeout(SECONDS + 30)


def missing() -> list[str]:
    tools = ("qemu-system-x86_64", "busybox", "cpio", "modprobe", "setpci")
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    lacking = [tool for tool in tools if not shutil.which(tool, path=path)]
    if not any(Path("/boot").glob("vmlinuz-*-amd64")):
        lacking.append("a Debian kernel in /boot (linux-image-amd64)")
    return lacking


def devices(scratch: Path) -> list[str]:
    """A root port per slot, and on bus 0 the memory that answers for devices that are gone."""
    shared, ones = scratch / "shared", scratch / "ones"
    shared.write_bytes(b"from host".ljust(MEMORY_BYTES, b"\0"))
    ones.write_bytes(b"\xff" * MEMORY_BYTES)
    args = []
    for slot in range(1, 9):
        args += ["-device", f"pcie-root-port,id=slot{slot},chassis={slot},slot={slot}"]
    for name, slot in EDU_SLOTS.items():
        args += ["-device", f"edu,id={name},bus=slot{slot}"]
    args += ["-device", f"pcie-pci-bridge,id=bridge,bus=slot{BRIDGE_SLOT}"]
    args += ["-device", "edu,bus=bridge,addr=1", "-device", "edu,bus=bridge,addr=2"]
    for name, file, place in (("shared", shared, f",bus=slot{MEMORY_SLOT}"), ("ones", ones, "")):
        backend = f"memory-backend-file,id={name},share=on,mem-path={file},size={MEMORY_BYTES}"
        args += ["-object", backend, "-device", f"ivshmem-plain,memdev={name}{place}"]
    return args


def unplug(scratch: Path, device: str) -> None:
    """device_del over QMP: the guest's kernel is asked to let go of the device."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(scratch / "qmp"))
        stream = connection.makefile("rw")
        stream.readline()
        for command in (
            {"execute": "qmp_capabilities"},
            {"execute": "device_del", "arguments": {"id": device}},
        ):
            stream.write(json.dumps(command) + "\n")
            stream.flush()
            answer = json.loads(stream.readline())
            assert "return" in answer, answer


class Guest:
    """One boot: the console, the outcome of each case, and the verdict."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.console = ""
        self.cases: dict[str, str] = {}
        self.verdict: int | None = None

    def run(self) -> None:
        command = [HERE / "boot.sh", self.scratch, HERE / "bar_guest.py", *devices(self.scratch)]
        environment = {
            **os.environ,
            "PYTHON": sys.executable,
            "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin",
        }
        end = time.monotonic() + SECONDS
        with subprocess.Popen(
            ["timeout", str(SECONDS), *command],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            for raw in process.stdout:
                self.hear(raw.decode(errors="replace").replace("\r", ""))
        if self.verdict is None:
            late = " in time" if time.monotonic() > end else ""
            self.console += f"(no verdict{late})\n"

    def hear(self, line: str) -> None:
        self.console += line
        if found := re.match(r"HOST unplug (\w+)", line):
            unplug(self.scratch, found[1])
        elif found := re.match(r"CASE (\w+) (\w+)", line):
            self.cases[found[1]] = found[2]
        elif found := re.match(r"VERDICT (\d+)", line):
            self.verdict = int(found[1])


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Guest:
    if lacking := missing():
        why = f"a guest needs {', '.join(lacking)}; the packages are named in .ci/packages"
        if os.environ.get("FABCORE_CI"):
            pytest.fail(why)
        pytest.skip(why)
    guest = Guest(tmp_path_factory.mktemp("guest"))
    guest.run()
    return guest


@pytest.mark.parametrize("case", CASES)
def test_bar(guest: Guest, case: str) -> None:
    assert guest.cases.get(case) == "passed", guest.console


def test_guest_ran_to_its_end(guest: Guest) -> None:
    assert guest.verdict == 0, guest.console
    assert list(guest.cases) == CASES
    shared = (guest.scratch / "shared").read_bytes()
    assert shared[4096:4106] == b"from guest"
