"""The host's side of a guest: boots one, hears its console, does what its script asks for."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FOLDER = Path(
    os.environ.get("FABCORE_GUEST")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fabcore" / "guest"
)
VFIO_USER_QEMU = FOLDER / "qemu" / "qemu-vfio-user"


def cases(script: str) -> list[str]:
    """The cases of a guest's script, in the order in which it runs them."""
    return re.findall(r"^@case\ndef (\w+)", (HERE / script).read_text(), re.M)


def require_guest() -> None:
    """Skips, or fails where CI has provisioned, unless a guest can be booted here."""
    tools = ("qemu-system-x86_64", "busybox", "cpio", "modprobe", "setpci")
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    lacking = [tool for tool in tools if not shutil.which(tool, path=path)]
    if not any(Path("/boot").glob("vmlinuz-*-amd64")):
        lacking.append("a Debian kernel in /boot (linux-image-amd64)")
    if lacking:
        _absent(f"a guest needs {', '.join(lacking)}; the packages are named in .ci/packages")


def require_vfio_user() -> Path:
    """The QEMU that is a vfio-user client, or as require_guest."""
    require_guest()
    return _provided("qemu", VFIO_USER_QEMU, "qemu.sh")


def require_switchtec() -> Path:
    """Linux's switchtec driver for the guest's kernel, or as require_guest."""
    kernels = [k for k in Path("/boot").glob("vmlinuz-*-amd64") if "cloud" not in k.name]
    kernel = max(kernels, key=lambda k: [int(n) for n in re.findall(r"\d+", k.name)])
    version = kernel.name.removeprefix("vmlinuz-")
    return _provided("switchtec", FOLDER / f"switchtec-{version}.ko", "switchtec_module.sh")


def _provided(name: str, file: Path, recipe: str) -> Path:
    if file.exists():
        return file
    reason = FOLDER / f"{name}.absent"
    if reason.exists():  # the recipe ran and found that it cannot be had: no fault of CI's
        pytest.skip(reason.read_text().strip())
    _absent(f"{file} is missing; tests/guest/{recipe} provides it")
    raise AssertionError


def _absent(why: str) -> None:
    if os.environ.get("FABCORE_CI"):
        pytest.fail(why)
    pytest.skip(why)


class Guest:
    """One boot of a script: the console, the outcome of each case, and the verdict.

    asked: what the script's `ask_host(WORD, ...)` calls, by its first word.
    """

    def __init__(
        self,
        scratch: Path,
        script: str,
        devices: Sequence[str],
        *,
        seconds: float,
        asked: Mapping[str, Callable[..., object]] | None = None,
        qemu: Path | None = None,
        kernel_options: str = "",
    ) -> None:
        self.scratch, self.script, self.devices = scratch, script, devices
        self.seconds, self.asked, self.qemu = seconds, dict(asked or {}), qemu
        self.kernel_options = kernel_options
        self.asked.setdefault("unplug", self.unplug)
        self.console = ""
        self.cases: dict[str, str] = {}
        self.measured: dict[str, str] = {}
        self.verdict: int | None = None

    def run(self) -> None:
        command = [HERE / "boot.sh", self.scratch, HERE / self.script, *self.devices]
        environment = {
            **os.environ,
            "PYTHON": sys.executable,
            "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin",
            "QEMU": str(self.qemu or "qemu-system-x86_64"),
            "KERNEL_OPTIONS": self.kernel_options,
        }
        end = time.monotonic() + self.seconds
        with subprocess.Popen(
            ["timeout", str(self.seconds), *command],
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
        if found := re.match(r"HOST (\w+) ?(.*)", line):
            self.asked[found[1]](*found[2].split())
        elif found := re.match(r"CASE (\w+) (\w+)", line):
            self.cases[found[1]] = found[2]
        elif found := re.match(r"MEASURED (\w+) (.*)", line):
            self.measured[found[1]] = found[2]
        elif found := re.match(r"VERDICT (\d+)", line):
            self.verdict = int(found[1])

    def unplug(self, device: str) -> None:
        """device_del over QMP: the guest's kernel is asked to let go of the device."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.scratch / "qmp"))
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

    def passed(self, case: str) -> None:
        assert self.cases.get(case) == "passed", self.console

    def ended(self, expected: Sequence[str]) -> None:
        """It came to its end, and every case was run."""
        assert self.verdict == 0, self.console
        assert list(self.cases) == list(expected)


def vfio_user(socket_path: Path, bus: str, **more: str) -> list[str]:
    """QEMU's arguments for a device served at a socket, which must be JSON."""
    device = {
        "driver": "vfio-user-pci",
        "bus": bus,
        "socket": {"type": "unix", "path": str(socket_path)},
        **more,
    }
    return ["-device", json.dumps(device)]


def shared_memory() -> list[str]:
    """The guest's memory as a file that a vfio-user server can write to (boot.sh gives it 1 GiB)."""
    memory = "memory-backend-memfd,id=memory,size=1G,share=on"
    return ["-object", memory, "-machine", "memory-backend=memory"]
