"""Running domains of a libvirt: bytes of their disks and network interfaces, in one bulk call."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any

from fabcore.errors import FabricError
from fabcore.host.sample import Bytes

# A read-only socket and the URI that it serves; only where one exists is libvirt asked at all,
# since opening the default URI would start a daemon for a user who has none.
_SOCKETS = (
    ("run/libvirt/virtqemud-sock-ro", "qemu:///system"),
    ("run/libvirt/virtxend-sock-ro", "xen:///system"),
    ("run/libvirt/libvirt-sock-ro", "qemu:///system"),
)


class LibvirtSource:
    """Every active domain by name; disks read + network received is up, written + sent is down.

    Statistics come without waiting for a domain that is busy with another job. A connection that
    broke is opened again at the next read.
    """

    unreadable = 0

    def __init__(self, uri: str | None = None, root: str = "/") -> None:
        """Connect read-only. `uri` None: LIBVIRT_DEFAULT_URI, or the first socket that is there.
        FabricError says why it cannot be."""
        self.uri = uri or (os.environ.get("LIBVIRT_DEFAULT_URI") if root == "/" else None)
        if self.uri is None:
            sockets = (u for path, u in _SOCKETS if os.path.exists(os.path.join(root, path)))
            self.uri = next(sockets, None)
        if self.uri is None:
            raise FabricError("no libvirt socket (start libvirtd or virtqemud)")
        try:
            self._api: Any = importlib.import_module("libvirt")
        except ImportError:
            raise FabricError("libvirt-python is not installed (pip install it)") from None
        self._connection: Any = self._open()

    def describe(self) -> str:
        return f"libvirt domains ({self.uri}, bytes of their disks and network interfaces)"

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def read(self) -> dict[str, Bytes]:
        """FabricError if libvirt no longer answers."""
        if self._connection is None:
            self._connection = self._open()
        try:
            return {domain.name(): domain_bytes(stats) for domain, stats in self._stats()}
        except self._api.libvirtError as error:
            self._connection = None
            raise FabricError(f"libvirt at {self.uri} stopped answering: {error}") from None

    def _open(self) -> Any:
        try:
            return self._api.openReadOnly(self.uri)
        except self._api.libvirtError as error:
            raise FabricError(f"libvirt at {self.uri} does not answer: {error}") from None

    def _stats(self) -> list[tuple[Any, dict[str, int]]]:
        api = self._api
        wanted = api.VIR_DOMAIN_STATS_BLOCK | api.VIR_DOMAIN_STATS_INTERFACE
        active = api.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
        at_once = api.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
        stats: list[tuple[Any, dict[str, int]]] = self._connection.getAllDomainStats(
            wanted, active | at_once
        )
        return stats


def domain_bytes(stats: Mapping[str, int]) -> Bytes:
    """One domain's bulk statistics as (up, down) bytes; parts that it lacks count as nothing."""
    up = down = 0
    for i in range(stats.get("block.count", 0)):
        up += stats.get(f"block.{i}.rd.bytes", 0)
        down += stats.get(f"block.{i}.wr.bytes", 0)
    for i in range(stats.get("net.count", 0)):
        up += stats.get(f"net.{i}.rx.bytes", 0)
        down += stats.get(f"net.{i}.tx.bytes", 0)
    return up, down
