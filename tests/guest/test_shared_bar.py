"""The emulated switch's shared memory as a guest's BAR, on any QEMU: ivshmem and the write queue."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from guest import Guest, cases, require_guest

import fabcore

SECONDS = 150  # ten times what it takes on a quiet machine
CASES = cases("shared_bar_guest.py")
BAR_BYTES = 8 << 20  # a PCI BAR is a power of two

pytestmark = pytest.mark.timeout(SECONDS + 60)


class Host:
    """A node in a process of its own, and what the guest's script asks of the host beside it."""

    def __init__(self) -> None:
        self.name = f"fabcore-guest-{os.getpid()}"
        self.programmed: dict[int, tuple[str, str]] = {}
        self.wrong: list[tuple[int, int]] = []
        self.turns = 0
        self._stop = threading.Event()
        self._writer: threading.Thread | None = None
        command = [sys.executable, "-m", "fabcore", "emulate", "--shm", self.name]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline().startswith("ready")
        self.file = Path("/dev/shm", self.name, "0")

    def programmed_by_guest(self, port: str, table: str) -> None:
        with fabcore.Bar.open(f"shm:{self.name}/0") as bar:
            held = bytes(fabcore.Switch(bar).port_table(int(port)))
        self.programmed[int(port)] = (table, held.hex())

    def write(self) -> None:
        self._writer = threading.Thread(target=self._keep_writing)
        self._writer.start()

    def _keep_writing(self) -> None:
        with fabcore.Bar.open(f"shm:{self.name}/0") as bar:
            while not self._stop.is_set():
                self.turns += 1
                for k in range(8):
                    bar.write32(4 * k, self.turns << 8 | k)
                for k in range(8):
                    if (held := bar.read32(4 * k)) != self.turns << 8 | k:
                        self.wrong.append((self.turns, held))
            bar.write32(0x1FC, 0x0FF)
            bar.flush()

    def stop(self) -> None:
        self._stop.set()
        if self._writer is not None:
            self._writer.join()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        self.stop()
        self.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()
        for file in self.file.parent.glob("*"):
            file.unlink()
        self.file.parent.rmdir()


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    require_guest()
    host = Host()
    try:
        yield host
    finally:
        host.close()


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory, host: Host) -> Guest:
    assert host.file.stat().st_size == BAR_BYTES
    memory = f"memory-backend-file,id=switch0,share=on,mem-path={host.file},size={BAR_BYTES}"
    guest = Guest(
        tmp_path_factory.mktemp("guest"),
        "shared_bar_guest.py",
        [
            *("-device", "pcie-root-port,id=slot1,chassis=1,slot=1", "-object", memory),
            *("-device", "ivshmem-plain,memdev=switch0,bus=slot1"),
        ],
        seconds=SECONDS,
        asked={
            "programmed": host.programmed_by_guest,
            "write": host.write,
            "stop": host.stop,
            "kill": host.kill,
        },
    )
    guest.run()
    return guest


@pytest.mark.parametrize("case", CASES)
def test_driver_in_the_guest(guest: Guest, case: str) -> None:
    guest.passed(case)


def test_guest_ran_to_its_end(guest: Guest) -> None:
    guest.ended(CASES)


def test_host_sees_the_table_that_the_guest_loaded(guest: Guest, host: Host) -> None:
    assert list(host.programmed) == [16], guest.console
    loaded, held = host.programmed[16]
    assert loaded == held


def test_host_lost_no_write_to_the_guest(guest: Guest, host: Host) -> None:
    assert host.turns > 1, guest.console
    assert host.wrong == []
