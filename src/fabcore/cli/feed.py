"""Where the VMs of `fabcore run` and their load come from: this machine's instances or a trace."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fabcore.cli.base import note
from fabcore.errors import CapacityError, FabricError
from fabcore.host.live import LiveCollector, Sample, to_records

if TYPE_CHECKING:
    from fabcore.node import Controller, ResourceNode
    from fabcore.observe.trace import Trace

SHARE = 1 / 32  # of a module, for every VM: a module's 32 functions can all be taken
SAMPLE_S = 0.5  # between two samples of this machine's instances


class Feed(Protocol):
    """Adds and removes VMs and says what they want to move."""

    def describe(self) -> str: ...

    def update(self, elapsed_s: float) -> bool:
        """Brings VMs and load up to date; False when nothing more will come."""
        ...

    def close(self) -> None: ...


class Seats:
    """Spreads VMs: the module with the fewest, and its hosts in turn."""

    def __init__(self, node: ResourceNode) -> None:
        self._free = [spec.vfs for spec in node.topology.module_specs]
        self._taken = [0] * len(self._free)
        self._hosts = len(node.topology.host_ports)
        self._turn = [m % self._hosts for m in range(len(self._free))]
        self.total = sum(self._free)

    def take(self) -> tuple[int, int] | None:
        """(module, host), or None when every function is bound."""
        open_ = [m for m, free in enumerate(self._free) if free]
        if not open_:
            return None
        module = min(open_, key=self._taken.__getitem__)
        host = self._turn[module]
        self._turn[module] = (host + 1) % self._hosts
        self._free[module] -= 1
        self._taken[module] += 1
        return module, host

    def give(self, module: int) -> None:
        self._free[module] += 1
        self._taken[module] -= 1


class LiveFeed:
    """Instances of this machine as VMs; they come and go as the machine's do.

    Sampling reads hundreds of files, so a thread does it and the loop takes what is newest.
    """

    def __init__(
        self, ctl: Controller, node: ResourceNode, vms: int, collector: LiveCollector
    ) -> None:
        self._ctl, self._node, self._limit = ctl, node, vms
        self._collector = collector
        self._seats = Seats(node)
        self._vms: dict[str, tuple[int, int]] = {}  # name -> handle, module
        self._before: Sample | None = None
        self._samples: deque[Sample] = deque(maxlen=1)
        self._refused = 0
        self._ended = threading.Event()
        self._failed = ""
        self._samples.append(collector.sample())
        self._thread = threading.Thread(target=self._collect, name="fabcore-live", daemon=True)
        self._thread.start()

    def describe(self) -> str:
        text = self._collector.describe()
        if self._refused:
            text += f" [{self._refused} instances found no free function]"
        if self._failed:
            text += f" [{self._failed}]"
        return text

    def update(self, elapsed_s: float) -> bool:
        if self._samples:
            sample = self._samples.popleft()
            self._follow(sample.names)
            self._offer(sample)
            self._before = sample
        return True

    def close(self) -> None:
        self._ended.set()
        self._thread.join(timeout=5.0)
        self._collector.close()
        leave(self._ctl, [handle for handle, _ in self._vms.values()])

    def _collect(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            try:
                self._samples.append(self._collector.sample())
                self._failed = ""
            except (FabricError, OSError) as error:
                self._failed = str(error)  # shown; the next turn asks anew

    def _follow(self, names: list[str]) -> None:
        """Removes VMs whose instance has gone and adds those that appeared."""
        here = set(names)
        for name in [name for name in self._vms if name not in here]:
            handle, module = self._vms.pop(name)
            self._ctl.remove_vm(handle)
            self._seats.give(module)
        self._refused = 0
        for name in names:
            if name not in self._vms and not self._add(name):
                self._refused += 1

    def _add(self, name: str) -> bool:
        seat = self._seats.take() if len(self._vms) < self._limit else None
        if seat is None:
            return False
        module, host = seat
        try:
            handle = self._ctl.add_vm(name, host=host, module=module, share=SHARE)
        except CapacityError:
            self._seats.give(module)
            return False
        self._vms[name] = (handle, module)
        return True

    def _offer(self, sample: Sample) -> None:
        if not self._node.emulates:
            handles = {name: handle for name, (handle, _) in self._vms.items()}
            self._ctl.publish(to_records(sample, handles))
            return
        before = self._before
        if before is None or sample.time_ns <= before.time_ns:
            return
        seconds = (sample.time_ns - before.time_ns) / 1e9
        row = {name: i for i, name in enumerate(before.names)}
        for i, name in enumerate(sample.names):
            if name in self._vms:
                k = row.get(name)
                up = down = 0.0
                if k is not None:
                    up = (int(sample.up_bytes[i]) - int(before.up_bytes[k])) / seconds
                    down = (int(sample.down_bytes[i]) - int(before.down_bytes[k])) / seconds
                self._node.offer(self._vms[name][0], max(up, 0.0), max(down, 0.0))


class TraceFeed:
    """A trace's series as VMs, one step per trace period of real time, once."""

    def __init__(self, ctl: Controller, node: ResourceNode, trace: Trace) -> None:
        from fabcore.observe.trace import TraceCollector

        self._ctl, self._node, self._trace = ctl, node, trace
        seats = Seats(node)
        if len(trace.selected) > seats.total:
            raise FabricError(
                f"{len(trace.selected)} VMs are more than the node's {seats.total} functions: "
                f"use --vms {seats.total}"
            )
        handles: list[int] = []
        try:
            for name in trace.selected:
                seat = seats.take()
                assert seat is not None  # counted above
                handles.append(ctl.add_vm(name, host=seat[1], module=seat[0], share=SHARE))
        except FabricError:
            leave(ctl, handles)
            raise
        self._handles = np.array(handles, np.int64)
        self._steps: Iterator[Any] = trace.steps_iter()
        self._records = TraceCollector(self._handles, trace.period_s, node.time_ns)
        self._done = 0

    def describe(self) -> str:
        return (
            f"{self._trace.path}, step {self._done} of {self._trace.steps} "
            f"({self._trace.period_s:g} s each)"
        )

    def update(self, elapsed_s: float) -> bool:
        due = int(elapsed_s / self._trace.period_s) + 1
        while self._done < min(due, self._trace.steps):
            time_s, up, down = next(self._steps)
            self._done += 1
            self._apply(time_s, up, down)
        return due <= self._trace.steps

    def close(self) -> None:
        self._trace.close()
        leave(self._ctl, self._handles.tolist())

    def _apply(self, time_s: float, up: Any, down: Any) -> None:
        if self._node.emulates:
            # An absent VM moves nothing; it keeps its function, since it may come back.
            self._node.offer_all(self._handles, np.nan_to_num(up), np.nan_to_num(down))
        else:
            self._ctl.publish(self._records.step(time_s, up, down))


def leave(ctl: Controller, handles: list[int]) -> None:
    """Gives every function back: a node of another process outlives this one, and whoever controls
    it next must find it free. One that is gone needs nothing."""
    for handle in handles:
        with contextlib.suppress(FabricError):
            ctl.remove_vm(handle)


def open_trace(path: str, vms: int | None, seed: int) -> Trace:
    """The trace with its VMs chosen; says on stderr where replicas had to fill up."""
    from fabcore.observe.trace import Trace

    trace = Trace.open(path)
    wanted = len(trace.names) if vms is None else vms
    series, replicas = trace.select(wanted, seed)
    if replicas:
        note(f"{path} has {series} series; {replicas} phase-shifted replicas fill up")
    return trace
