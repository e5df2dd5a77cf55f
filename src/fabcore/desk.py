"""The desk: where other processes ask a controller for bandwidth, through a request queue and no socket.

A request is `<B7xd` (what, bandwidth in B/s) and the VM's name; a reply is one byte (how it went)
and a text. Whoever can open the queue's file (mode 0600) may ask.
"""

from __future__ import annotations

import os
import struct
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from fabcore._core import RequestQueue
from fabcore.errors import FabricError

if TYPE_CHECKING:
    from fabcore.admission import Admission

ALLOCATE, RELEASE, AVAILABLE = 1, 2, 3
REFUSED, GRANTED, FAILED = 0, 1, 2
NAME_BYTES = 240  # of a VM's name in UTF-8
REPLY_BYTES = 512
_HEAD = struct.Struct("<B7xd")
_RATE = struct.Struct("<d")


class Desk:
    """The controller's side: answers between two ticks, in the controller's thread."""

    def __init__(self, ctl: Admission, path: str | os.PathLike[str], slots: int = 64) -> None:
        """slots: requests at a time. FabricError: another live controller serves `path`."""
        self._ctl = ctl
        self._queue = RequestQueue.create(path, slots, _HEAD.size + NAME_BYTES, REPLY_BYTES)
        self.answered = 0

    def serve(self, seconds: float) -> int:
        """Answers what is asked within `seconds` (0: what has been asked); how many requests."""
        queue, count = self._queue, 0
        end = time.monotonic() + seconds
        while True:
            request = queue.take()
            while request is not None:
                queue.reply(request, self._answer(request.data))
                count += 1
                request = queue.take()
            left = end - time.monotonic()
            if left <= 0:
                self.answered += count
                return count
            queue.wait(left)

    def _answer(self, data: bytes) -> bytes:
        try:
            what, bandwidth = _HEAD.unpack_from(data)
            return self._do(what, bandwidth, data[_HEAD.size :].decode())
        except (FabricError, struct.error, UnicodeDecodeError) as error:
            return _reply(FAILED, str(error))

    def _do(self, what: int, bandwidth: float, name: str) -> bytes:
        if what == ALLOCATE:
            if self._ctl.allocate_pci_bandwidth(name, bandwidth):
                return _reply(GRANTED, "")
            return _reply(REFUSED, self._ctl.decision(name).reason)
        if what == RELEASE:
            self._ctl.release_pci_bandwidth(name)
            return _reply(GRANTED, "")
        if what == AVAILABLE:
            free = self._ctl.node.get_available_bandwidth(
                int(bandwidth) if bandwidth >= 0 else None
            )
            return bytes([GRANTED]) + _RATE.pack(free)
        raise FabricError(f"request {what} is unknown: the client is of another version")

    def close(self) -> None:
        """Stops serving; clients are told that nobody does."""
        self._queue.close()


class DeskClient:
    """Another process's side: asks the controller that serves the queue at `path`.

    Any number of threads; timeout_s: how long an answer may take. FabricError: nobody serves there,
    no answer in time (the request is then not begun any more), an unknown VM, bad values.
    """

    def __init__(self, path: str | os.PathLike[str], timeout_s: float = 5.0) -> None:
        self._queue = RequestQueue.open(path)
        self._timeout_s = timeout_s
        self.reason = ""  # why the last allocation was refused

    def allocate_pci_bandwidth(self, vm: str, requested_bandwidth: float) -> bool:
        """Asks for a floor of `requested_bandwidth` B/s each way in place of the VM's present one."""
        granted, text = self._ask(ALLOCATE, requested_bandwidth, vm)
        self.reason = text.decode()
        return granted

    def release_pci_bandwidth(self, vm: str) -> None:
        """Gives the VM's floor back."""
        self._ask(RELEASE, 0.0, vm)

    def get_available_bandwidth(self, host: int | None = None) -> float:
        """B/s that could still be promised on a host's links; None: the smallest over the hosts."""
        free = self._ask(AVAILABLE, -1.0 if host is None else float(host), "")[1]
        return float(_RATE.unpack(free)[0])

    def _ask(self, what: int, bandwidth: float, vm: str) -> tuple[bool, bytes]:
        name = vm.encode()
        if len(name) > NAME_BYTES:
            raise FabricError(f"VM name of {len(name)} bytes: at most {NAME_BYTES}")
        reply = self._queue.call(_HEAD.pack(what, bandwidth) + name, self._timeout_s)
        if reply[0] == FAILED:
            raise FabricError(reply[1:].decode())
        return reply[0] == GRANTED, reply[1:]

    def close(self) -> None:
        self._queue.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _reply(how: int, text: str) -> bytes:
    """Cut to what fits, between two characters."""
    return bytes([how]) + text.encode()[: REPLY_BYTES - 1].decode(errors="ignore").encode()
