"""The live source: this machine's own compute instances, from the best teller that answers."""

from __future__ import annotations

import os
import time
from typing import Self

from fabcore.errors import FabricError
from fabcore.host.cgroup import CgroupSource
from fabcore.host.libvirt import LibvirtSource
from fabcore.host.process import ProcessSource
from fabcore.host.sample import Instances, Sample, Source, to_records

__all__ = ["KINDS", "LiveCollector", "Sample", "to_records"]

KINDS = ("libvirt", "cgroup", "process")  # in the order of preference


class LiveCollector:
    """Cumulative bytes of this machine's instances, standing in for the PCIe traffic of VMs.

    kind "auto" takes the first that has something to tell: libvirt domains, else control groups
    with block I/O counters, else processes with network devices beside them. Direction is a
    device's: read or received is up, written or sent is down. Instances come and go between
    samples; what may not be read is counted in `unreadable`. No file stays open between samples.

    `root` is another file tree to read (proc/, sys/ below it). One thread at a time.
    """

    def __init__(
        self,
        kind: str = "auto",
        root: str | os.PathLike[str] = "/",
        *,
        max_instances: int = 64,
        uri: str | None = None,
    ) -> None:
        """`uri` names a libvirt. FabricError: unknown kind, or one that cannot be had here."""
        if kind not in ("auto", *KINDS):
            raise FabricError(f"live source {kind!r} is not one of auto, {', '.join(KINDS)}")
        if max_instances < 1:
            raise FabricError(f"max_instances is {max_instances}, at least 1 is needed")
        self._root = os.fspath(root)
        self._uri = uri
        self._passed: list[str] = []  # why each better kind was not taken
        self._instances = Instances(max_instances)
        self.kind, self._source = self._choose() if kind == "auto" else (kind, self._open(kind))

    @property
    def unreadable(self) -> int:
        """Instances that the latest sample was not permitted to read."""
        return self._source.unreadable

    def describe(self) -> str:
        """One line for a view: what is counted, that it stands in for PCIe, and what was not had."""
        passed = f" [{'; '.join(self._passed)}]" if self._passed else ""
        return f"{self._source.describe()}, standing in for PCIe traffic{passed}"

    def sample(self) -> Sample:
        """The counters now. FabricError if a libvirt stopped answering; the next call asks anew."""
        return self._instances.update(self._source.read(), time.time_ns())

    def close(self) -> None:
        """Leave the hypervisor, if one was asked."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _choose(self) -> tuple[str, Source]:
        """The first kind that opens and has an instance to show; processes are always there."""
        for kind, nothing in (("libvirt", "no domain runs"), ("cgroup", "all counters are zero")):
            try:
                source = self._open(kind)
            except FabricError as error:
                self._passed.append(f"{kind}: {error}")
                continue
            try:
                if source.read():
                    return kind, source
                self._passed.append(f"{kind}: {nothing}")
            except FabricError as error:
                self._passed.append(f"{kind}: {error}")
            source.close()
        return "process", self._open("process")

    def _open(self, kind: str) -> Source:
        if kind == "libvirt":
            return LibvirtSource(self._uri, self._root)
        if kind == "process":
            return ProcessSource(self._root)
        found = CgroupSource.find(self._root)
        if found is None:
            raise FabricError("no mounted hierarchy has the block I/O controller")
        return found
