"""What a view shows of a controller: links and VMs as values, with rates since the last look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fabcore.node import Controller, TickReport

Pair = tuple[float, float]  # up, down


@dataclass(frozen=True, slots=True)
class LinkState:
    """One directed link; B/s: capacity, reserved by floors, granted, used since the last look."""

    name: str
    capacity: float
    reserved: float
    granted: float
    used: float


@dataclass(frozen=True, slots=True)
class VMState:
    """One VM; rates in B/s, pairs are (up, down). accepted is None before any request."""

    name: str
    module: int
    host: int
    share: float
    weight: float
    floor: float
    demand: Pair
    reservation: Pair
    grant: Pair
    delivered: Pair
    enforcement: str
    accepted: bool | None
    reason: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at a controller."""

    tick: int
    time_ns: int
    report: TickReport
    links: tuple[LinkState, ...]
    vms: tuple[VMState, ...]


class Looker:
    """Makes snapshots and remembers the counters of the last one. One thread at a time."""

    def __init__(self, ctl: Controller) -> None:
        self._ctl = ctl
        self._links: dict[int, int] = {}
        self._vms: dict[int, tuple[int, int]] = {}
        self._time_ns: int | None = None

    def look(self) -> Snapshot:
        """The state now; used and delivered are 0 the first time."""
        ctl = self._ctl
        now = ctl.node.time_ns
        seconds = 0.0 if self._time_ns is None else (now - self._time_ns) / 1e9
        snapshot = Snapshot(
            ctl.ticks, now, ctl.report, self._link_states(seconds), self._vm_states(seconds)
        )
        self._time_ns = now
        return snapshot

    def _link_states(self, seconds: float) -> tuple[LinkState, ...]:
        node, topology = self._ctl.node, self._ctl.node.topology
        granted = [0.0] * len(topology.link_names)
        rows, capacity = self._ctl.grants.tolist(), node.vms.capacity
        for vm in node.vms.all():
            for row, links in ((vm.slot, vm.up), (capacity + vm.slot, vm.down)):
                for link in links:
                    granted[link] += rows[row]
        counters = topology.link_bytes(node.port_counters())
        states = []
        for link, name in enumerate(topology.link_names):
            moved = counters.get(link, 0) - self._links.get(link, counters.get(link, 0))
            used = moved / seconds if seconds > 0 else 0.0
            full = float(node.capacity[link])
            states.append(LinkState(name, full, node.reserved(link), granted[link], used))
        self._links = counters
        return tuple(states)

    def _vm_states(self, seconds: float) -> tuple[VMState, ...]:
        ctl, node = self._ctl, self._ctl.node
        capacity = node.vms.capacity
        reservation = np.nan_to_num(ctl.engine.reservation)  # NaN: nothing known yet
        counters: dict[int, tuple[int, int]] = {}
        states = []
        for vm in node.vms.all():
            demand, reserved, grant = (
                (float(a[vm.slot]), float(a[capacity + vm.slot]))
                for a in (ctl.engine.demand, reservation, ctl.grants)
            )
            delivered = (0.0, 0.0)
            if node.emulates:
                now = node.delivered(vm.name)
                was = self._vms.get(vm.handle, now)
                counters[vm.handle] = now
                if seconds > 0:
                    delivered = ((now[0] - was[0]) / seconds, (now[1] - was[1]) / seconds)
            verdict = ctl.verdict(vm)
            f = vm.function
            states.append(
                VMState(
                    vm.name, f.module, f.host, vm.share, vm.weight, vm.floor, demand, reserved,
                    grant, delivered, node.enforcement(vm.name), verdict.accepted if verdict else None,
                    verdict.reason if verdict else "",
                )
            )  # fmt: skip
        self._vms = counters
        return tuple(states)
