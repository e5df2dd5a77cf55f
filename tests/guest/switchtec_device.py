"""A device of Linux's switchtec driver as programs in a guest use it: commands, ioctls, interrupts."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import struct
from collections.abc import Callable
from pathlib import Path

CLASS = Path("/sys/class/switchtec")
PARTITIONS, PORTS = 48, 255
FLASH_PARTITIONS = 19
EVENTS = 32
FIRST_PARTITION_EVENT, FIRST_PORT_EVENT = (
    13,
    17,
)  # GFMS (29) is global, INTERCOMM (30) a partition's
GFMS, INTERCOMM, UEC, LINK_STATE = 29, 30, 31, 28
CLEAR, POLL = 1, 2  # event flags
ECHO, LINK_STATUS, RESET = 0x41, 0x1C, 0x1B


def _ioctl(number: int, size: int, way: int) -> int:
    return way << 30 | size << 16 | ord("W") << 8 | number


FLASH_INFO = _ioctl(0x40, 16, 2)
FLASH_PART_INFO = _ioctl(0x41, 16, 3)
SUMMARY_BYTES = (8 + 8 + 4 + 4 + 4 * PARTITIONS + 4 * PORTS + 7) // 8 * 8
EVENT_SUMMARY = _ioctl(0x42, SUMMARY_BYTES, 2)
EVENT_CTL = _ioctl(0x43, 40, 3)
PFF_TO_PORT = _ioctl(0x44, 12, 3)
PORT_TO_PFF = _ioctl(0x45, 12, 3)


class Switchtec:
    """/dev/switchtecN, opened: one command at a time per opener, any number of openers."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = CLASS / name
        self.pci = (self.folder / "device").resolve()
        self._fd = os.open(f"/dev/{name}", os.O_RDWR)

    def send(self, command: int, payload: bytes) -> None:
        os.write(self._fd, struct.pack("<I", command) + payload)

    def receive(self, count: int) -> tuple[int, bytes]:
        """(return code, that many bytes of output); waits for the command."""
        answer = os.read(self._fd, 4 + count)
        return struct.unpack_from("<I", answer)[0], answer[4:]

    def command(self, command: int, payload: bytes, count: int) -> tuple[int, bytes]:
        self.send(command, payload)
        return self.receive(count)

    def echo(self, value: int) -> int:
        code, answer = self.command(ECHO, struct.pack("<I", value), 4)
        assert code == 0, hex(code)
        return int(struct.unpack("<I", answer)[0])

    def poll(self, seconds: float) -> int:
        """What a program that waits for anything wakes up with; 0 = it did not."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN | select.POLLPRI)
        ready = poll.poll(seconds * 1000)
        return ready[0][1] if ready else 0

    def flash_bytes(self) -> tuple[int, int]:
        """(bytes, partitions)"""
        buffer = bytearray(16)
        fcntl.ioctl(self._fd, FLASH_INFO, buffer)
        return struct.unpack("<QII", buffer)[:2]

    def flash_partition(self, number: int) -> tuple[int, int, int]:
        """(address, bytes, 1 = active | 2 = running)"""
        buffer = bytearray(struct.pack("<4I", number, 0, 0, 0))
        fcntl.ioctl(self._fd, FLASH_PART_INFO, buffer)
        return struct.unpack("<4I", buffer)[1:]

    def summary(self) -> tuple[int, int, int, list[int], dict[int, int]]:
        """(global, bitmap of partitions, local partition, of each partition, of ports that have)"""
        buffer = bytearray(SUMMARY_BYTES)
        fcntl.ioctl(self._fd, EVENT_SUMMARY, buffer)
        whole, bitmap, local = struct.unpack_from("<QQI", buffer)
        parts = list(struct.unpack_from(f"<{PARTITIONS}I", buffer, 24))
        ports = struct.unpack_from(f"<{PORTS}I", buffer, 24 + 4 * PARTITIONS)
        return whole, bitmap, local, parts, {k: v for k, v in enumerate(ports) if v}

    def event(self, number: int, index: int = 0, flags: int = 0) -> tuple[int, int, int] | None:
        """(flags, occurred, count) after `flags` have been set; None: this chip has none such."""
        buffer = bytearray(struct.pack("<IiII20x", number, index, flags, 0))
        try:
            fcntl.ioctl(self._fd, EVENT_CTL, buffer)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            return None
        return struct.unpack_from("<3I", buffer, 8)

    def port_of(self, pff: int) -> tuple[int, int]:
        """(partition, port): 0 is the upstream one, 100 the endpoint, others count from 1"""
        buffer = bytearray(struct.pack("<3I", pff, 0, 0))
        fcntl.ioctl(self._fd, PFF_TO_PORT, buffer)
        return struct.unpack("<3I", buffer)[1:]

    def pff_of(self, partition: int, port: int) -> int:
        buffer = bytearray(struct.pack("<3I", 0, partition, port))
        fcntl.ioctl(self._fd, PORT_TO_PFF, buffer)
        return int(struct.unpack("<3I", buffer)[0])

    def attributes(self) -> dict[str, str]:
        return {
            file.name: file.read_text().strip("\n")
            for file in self.folder.iterdir()
            if file.is_file() and file.name not in ("uevent", "dev")
        }

    def interrupts(self) -> list[int]:
        """How often vectors 0 and 1 have come."""
        numbers = sorted(int(file.name) for file in (self.pci / "msi_irqs").iterdir())
        lines = Path("/proc/interrupts").read_text().splitlines()
        counts = {}
        for line in lines:
            if found := re.match(r" *(\d+):((?: +\d+)+) ", line):
                counts[int(found[1])] = sum(map(int, found[2].split()))
        return [counts.get(number, 0) for number in numbers[:2]]

    def close(self) -> None:
        os.close(self._fd)


def names() -> list[str]:
    return sorted(file.name for file in CLASS.iterdir()) if CLASS.exists() else []


def bdf_of(name: str) -> str:
    return (CLASS / name / "device").resolve().name


def errno_of(call: Callable[[], object]) -> int:
    """The errno of a call that fails; 0 = it did not."""
    try:
        call()
    except OSError as error:
        return error.errno or -1
    return 0
