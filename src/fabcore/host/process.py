"""Processes and network devices of this machine, from /proc and /sys."""

from __future__ import annotations

import os
from dataclasses import dataclass

from fabcore.host.sample import Bytes, read_file

_KERNEL_THREAD = (
    0x00200000  # PF_KTHREAD in the flags of /proc/PID/stat (proc(5), include/linux/sched.h)
)
_LOOPBACK = b"772"  # ARPHRD_LOOPBACK in /sys/class/net/NAME/type
_INHERIT_SAMPLES = 2  # how long a parent's jump may lag behind the end of its child


@dataclass(slots=True)
class _Process:
    name: str
    parent: int
    kernel: bool
    raw: Bytes = (0, 0)
    up: int = 0
    down: int = 0
    denied: bool = False
    inherited: Bytes = (0, 0)
    inherited_age: int = 0

    def advance(self, raw: Bytes) -> None:
        """Add what this process itself moved since the last sample."""
        moved = raw[0] - self.raw[0], raw[1] - self.raw[1]
        taken = min(moved[0], self.inherited[0]), min(moved[1], self.inherited[1])
        self.up += moved[0] - taken[0]
        self.down += moved[1] - taken[1]
        self.raw = raw
        self.inherited = self.inherited[0] - taken[0], self.inherited[1] - taken[1]
        self.inherited_age -= 1
        if self.inherited_age <= 0:
            self.inherited = (0, 0)


class ProcessSource:
    """Storage bytes of each process as "comm:PID" and all bytes of each network device as "net:NAME".

    read_bytes (up) and write_bytes (down) of /proc/PID/io are what went to or from the storage
    layer; rchar and wchar would count the page cache and pipes, too, which no bus ever sees.
    The kernel adds a child's counters to its parent when that waits for it; what this source has
    already shown under the child's name is taken off again. Network bytes have no process in
    /proc, so devices stand beside: received is up, sent is down.
    """

    def __init__(self, root: str = "/") -> None:
        self.unreadable = 0
        self._proc = os.path.join(root, "proc")
        self._net = os.path.join(root, "sys/class/net")
        self._known: dict[int, _Process] = {}

    def describe(self) -> str:
        return "processes (storage bytes, /proc/PID/io) and network devices"

    def close(self) -> None:
        """Nothing is held open between samples."""

    def read(self) -> dict[str, Bytes]:
        """Whatever moved a byte since it started; where nothing did, every process that is there."""
        self._read_processes()
        devices = network_devices(self._net)
        listed = [p for p in self._known.values() if not p.kernel and not p.denied]
        busy = [p for p in listed if p.up or p.down]
        if not busy and not any(map(any, devices.values())):
            busy = listed
        return {p.name: (p.up, p.down) for p in busy} | devices

    def _read_processes(self) -> None:
        seen: dict[int, Bytes | None] = {}
        self.unreadable = 0
        for entry in os.listdir(self._proc):
            if entry.isdecimal():
                pid = int(entry)
                process = self._known.get(pid) or self._meet(pid)
                if process is not None and (process.kernel or self._io(pid, process, seen)):
                    seen.setdefault(pid, None)
        for pid in self._known.keys() - seen.keys():
            self._forget(pid)
        for pid, raw in seen.items():
            if raw is not None:
                self._known[pid].advance(raw)

    def _meet(self, pid: int) -> _Process | None:
        """A process seen for the first time; None if it is gone already."""
        try:
            stat = read_file(f"{self._proc}/{pid}/stat")
            end = stat.rindex(b")")  # comm may hold spaces and parentheses itself
            comm = stat[stat.index(b"(") + 1 : end].decode(errors="replace")
            fields = stat[end + 1 :].split()
            kernel = bool(int(fields[6]) & _KERNEL_THREAD)
            process = _Process(f"{comm}:{pid}", int(fields[1]), kernel)
        except (OSError, ValueError, IndexError):
            return None
        self._known[pid] = process
        return process

    def _io(self, pid: int, process: _Process, seen: dict[int, Bytes | None]) -> bool:
        """Note the process's counters in `seen`; false if it is gone."""
        try:
            if not process.denied:
                raw = _storage_bytes(read_file(f"{self._proc}/{pid}/io"))
                if raw[0] < process.raw[0] or raw[1] < process.raw[1]:
                    # Counters of a process never fall: the id has gone to another one.
                    self._forget(pid)
                    if self._meet(pid) is None:
                        return False
                seen[pid] = raw
        except PermissionError:
            process.denied = True
        except (OSError, ValueError):
            return False
        self.unreadable += process.denied
        return True

    def _forget(self, pid: int) -> None:
        gone = self._known.pop(pid)
        parent = self._known.get(gone.parent)
        if parent is not None:
            due = parent.inherited
            parent.inherited = due[0] + gone.raw[0], due[1] + gone.raw[1]
            parent.inherited_age = _INHERIT_SAMPLES


def network_devices(folder: str) -> dict[str, Bytes]:
    """Bytes of every interface that is a device, as "net:NAME": (received, sent).

    Bridges, bonds and tunnels carry the same bytes once more and are left out, unless there is
    nothing else; the loopback never is anything's traffic.
    """
    devices: dict[str, Bytes] = {}
    virtual: dict[str, Bytes] = {}
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return {}
    for name in names:
        base = f"{folder}/{name}"
        try:
            if read_file(f"{base}/type").strip() != _LOOPBACK:
                received = int(read_file(f"{base}/statistics/rx_bytes"))
                sent = int(read_file(f"{base}/statistics/tx_bytes"))
                found = devices if os.path.lexists(f"{base}/device") else virtual
                found[f"net:{name}"] = received, sent
        except (OSError, ValueError):
            continue  # the interface has gone, or is a plain file such as bonding_masters
    return devices or virtual


def _storage_bytes(io: bytes) -> Bytes:
    """read_bytes and write_bytes of /proc/PID/io; ValueError if it holds neither."""
    up = io.index(b"\nread_bytes: ") + 13
    down = io.index(b"\nwrite_bytes: ") + 14
    return int(io[up : io.index(b"\n", up)]), int(io[down : io.index(b"\n", down)])
