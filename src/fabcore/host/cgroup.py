"""Control groups of this machine: block I/O of each, whichever hierarchy has the controller."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from fabcore.host.sample import Bytes, read_file

_ESCAPE = re.compile(r"\\([0-7]{3})")  # /proc/self/mounts writes a space as \040


class CgroupSource:
    """Bytes of block I/O per control group, named by its path below the mount point.

    Version 2 counts a group's children in, so only leaves are listed; version 1 counts each group
    alone (blkio.throttle.io_service_bytes), so all are. Read is up, written is down. A device that
    lies on others (dm, md) is passed over: the same bytes are counted on those. Groups without a
    byte so far are not listed.
    """

    def __init__(self, mount: str, version: int, root: str = "/") -> None:
        self.unreadable = 0
        self._mount = mount
        self._version = version
        self._file = "io.stat" if version == 2 else "blkio.throttle.io_service_bytes"
        self._parse = _parse_v2 if version == 2 else _parse_v1
        self._block = os.path.join(root, "sys/dev/block")
        self._stacked: dict[bytes, bool] = {}

    @classmethod
    def find(cls, root: str = "/") -> CgroupSource | None:
        """The mounted hierarchy that carries the I/O controller, by /proc/self/mounts."""
        try:
            mounts = read_file(os.path.join(root, "proc/self/mounts")).decode(errors="replace")
        except OSError:
            return None
        for line in mounts.splitlines():
            _, point, kind, options, *_ = [*line.split(" "), "", "", "", ""]
            point = _ESCAPE.sub(lambda m: chr(int(m[1], 8)), point)
            mount = os.path.join(root, point.lstrip("/"))
            if kind == "cgroup2" and "io" in _controllers(mount):
                return cls(mount, 2, root)
            if kind == "cgroup" and "blkio" in options.split(","):
                return cls(mount, 1, root)
        return None

    def describe(self) -> str:
        return f"control groups (version {self._version}, block I/O, {self._mount})"

    def close(self) -> None:
        """Nothing is held open between samples."""

    def read(self) -> dict[str, Bytes]:
        found: dict[str, Bytes] = {}
        self.unreadable = 0
        for path in self._groups(self._mount):
            try:
                text = read_file(f"{path}/{self._file}")
            except PermissionError:
                self.unreadable += 1
                continue
            except OSError:
                continue  # the group has gone, or the controller is not enabled for it
            up = down = 0
            for device, read, written in self._parse(text):
                if not self._is_stacked(device):
                    up, down = up + read, down + written
            if up or down:
                found[os.path.relpath(path, self._mount)] = up, down
        return found

    def _groups(self, path: str) -> Iterator[str]:
        """The groups below `path` whose counters count nothing that another one listed counts."""
        try:
            with os.scandir(path) as entries:
                below = [e.path for e in entries if e.is_dir(follow_symlinks=False)]
        except PermissionError:
            self.unreadable += 1
            return
        except OSError:
            return
        for child in below:
            yield from self._groups(child)
        if path != self._mount and (self._version == 1 or not below):
            yield path

    def _is_stacked(self, device: bytes) -> bool:
        if device not in self._stacked:
            slaves = os.path.join(self._block, device.decode(errors="replace"), "slaves")
            try:
                self._stacked[device] = bool(os.listdir(slaves))
            except OSError:
                self._stacked[device] = False
        return self._stacked[device]


def _controllers(mount: str) -> list[str]:
    try:
        return read_file(f"{mount}/cgroup.controllers").decode(errors="replace").split()
    except OSError:
        return []


def _parse_v2(text: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(device, read, written) of lines like "8:0 rbytes=4096 wbytes=0 rios=1 ..."."""
    for line in text.splitlines():
        device, *pairs = line.split() or [b""]
        values = dict(pair.split(b"=", 1) for pair in pairs if b"=" in pair)
        yield device, int(values.get(b"rbytes", 0)), int(values.get(b"wbytes", 0))


def _parse_v1(text: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(device, read, written) of lines like "8:0 Read 4096"; sums and other kinds are passed over."""
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] == b"Read":
            yield words[0], int(words[2]), 0
        elif len(words) == 3 and words[1] == b"Write":
            yield words[0], 0, int(words[2])
