"""The loop: observe, predict, solve, switch; and the calls that admit VMs into it."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fabcore.admission import Admission
from fabcore.desk import Desk
from fabcore.errors import FabricError, OwnerError
from fabcore.events import EventLog
from fabcore.observe import RECORD
from fabcore.policy import Decision, Verdict, policy_of
from fabcore.predict import ProfilingEngine
from fabcore.resource_node import ResourceNode
from fabcore.snapshot import Looker, Snapshot
from fabcore.solve import Division
from fabcore.switch.guard import Place
from fabcore.watch import Watch

__all__ = ["Controller", "Decision", "ResourceNode", "TickReport"]

PROVED = 1e-9  # a certificate up to this is rounding
RING_RECORDS = 1 << 14  # 1 MiB: the writer's lines have left its cache when they are read
WATCH_NS = 10_000_000  # how often ports are looked at
PORTS_NS = 100_000_000  # how often the ports' own counters are published
SILENT_S = 5.0  # without telemetry for this long, a VM counts as silent
SHAPES_PER_TICK = 8  # a shaper is set by firmware commands, which a tick can afford few of
clock = time.perf_counter_ns


@dataclass(frozen=True, slots=True)
class TickReport:
    """What a tick took (ns per stage), wrote (registers) and the certificate of its division."""

    observe_ns: int = 0
    predict_ns: int = 0
    solve_ns: int = 0
    switch_ns: int = 0
    total_ns: int = 0
    writes: int = 0
    violation: float = 0.0


class Controller(Admission):
    """Keeps a node's hardware in step with what its VMs need.

    policy: "adaptive" or "literal" (policy.py). period_s: the sample period of the predictor, with
    its costs of a byte short and a byte idle. ring: a path for the telemetry ring that others may
    follow, None = private. shapes: per-VF shapers written in one tick. tables=False decides without
    programming anything.
    One thread at a time; after fork the child makes its own. `close` leaves the node open.
    """

    def __init__(
        self,
        node: ResourceNode,
        policy: str = "adaptive",
        *,
        period_s: float = 0.1,
        ring: str | os.PathLike[str] | None = None,
        tables: bool = True,
        costs: tuple[float, float] = (10.0, 1.0),
        shapes: int = SHAPES_PER_TICK,
    ) -> None:
        self.node = node
        self.policy = policy
        self._decide = policy_of(policy)
        self._programs = tables
        self._shapes = shapes
        self.events = EventLog()
        self.engine = ProfilingEngine(
            node.vms.capacity, period_s=period_s, cost_under=costs[0], cost_over=costs[1]
        )
        self._ring = _open_ring(ring)
        self._reader = self._ring.reader("now")
        self._records = np.zeros(RING_RECORDS, dtype=RECORD)
        self._lost = 0
        self._watch = Watch(node, self.events)
        self._next_watch = self._next_ports = 0
        self._silent: set[int] = set()
        self._exposed: set[Place] = set()  # places whose access control lacks something
        self._failing: dict[str, int] = {}  # stage -> failures in a row
        self._next_complaint = 0
        self._verdicts: dict[int, Verdict] = {}
        self._looker = Looker(self)
        self._stop = False
        self.desk: Desk | None = None  # open_desk
        self.ticks = 0
        self.report = TickReport()
        self._writes, self._violation, self._infeasible = 0, 0.0, 0
        if tables:
            node.chassis.owner.take("fabcore.Controller")
        for switch, pid, name in node.chassis.owner.before:
            self.events.emit("owner_replaced", node.time_ns, switch=switch, pid=pid, name=name)
        self._fit()

    def _fit(self) -> None:
        """Makes every stage's arrays as long as the node's; grants start at nothing."""
        vms = self.node.vms
        self.engine.resize(vms.capacity)
        self._division = Division(2 * vms.capacity, len(self.node.capacity), vms.path_width)
        self.grants: NDArray[np.float64] = np.zeros(2 * vms.capacity)

    # -- the loop ----------------------------------------------------------------------------

    def tick(self) -> TickReport:
        """One turn; never advances time. A stage that fails leaves the last good grants in force."""
        now, start = self.node.time_ns, clock()
        self._attempt(self._observe, now)
        observed = clock()
        self._attempt(self._predict, now)
        predicted = clock()
        self._attempt(self._solve, now)
        solved = clock()
        self._writes = 0
        if self._programs:
            self._attempt(self._switch, now)
        end = clock()
        self.ticks += 1
        self.report = TickReport(
            observed - start, predicted - observed, solved - predicted, end - solved, end - start,
            self._writes, self._violation,
        )  # fmt: skip
        return self.report

    def _observe(self, now: int) -> None:
        """Counters into the ring, the ring into the engine; ports looked at when it is time."""
        functions, ring = self.node.functions, self._ring
        if functions is not None:
            ring.publish(functions.records(now))
        n = self._reader.read_into(self._records)
        while n:
            self.engine.observe(self._records[:n])
            n = self._reader.read_into(self._records) if n == len(self._records) else 0
        if self._reader.lost != self._lost:
            lost, self._lost = self._reader.lost - self._lost, self._reader.lost
            self.events.emit("ring_overrun", now, lost=lost, lost_in_all=self._lost)
        if now >= self._next_watch:
            self._next_watch = now + WATCH_NS
            self._look_around(now)
        if now >= self._next_ports and not self._watch.gone:
            self._next_ports = now + PORTS_NS
            ring.publish(self.node.port_records(now))

    def _predict(self, now: int) -> None:
        """What each VM will need: the rows whose turn it is learn and decide."""
        self.engine.decide(now)

    def _solve(self, now: int) -> None:
        """Divides every link by weight between floors and reservations, and proves it."""
        vms, node = self.node.vms, self.node
        self._bound(vms.cap)
        flows = (vms.floor, vms.cap, vms.weight, vms.path, node.capacity)
        rates = self._division.divide(*flows)
        self._violation = self._division.certify(*flows)
        if self._violation > PROVED and not self._division.infeasible:
            raise FabricError(f"certificate: off by {self._violation:.3g}, the grants stay")
        if self._division.infeasible != self._infeasible:
            self._infeasible = self._division.infeasible
            if self._infeasible:
                self.events.emit("infeasible_floors", now, links=self._infeasible)
        np.copyto(self.grants, rates)

    def _switch(self, now: int) -> None:
        """Programs what changed, all of it or nothing."""
        vms = self.node.vms
        self._writes, _ = self.node.chassis.program(
            self.grants, vms.target, vms.column, self._shapes
        )

    def _attempt(self, stage: Callable[[int], None], now: int) -> None:
        name = stage.__name__.strip("_")
        try:
            stage(now)
        except FabricError as error:
            if isinstance(error, OwnerError) and name not in self._failing:
                self.events.emit("owner_lost", now, to=error.name, pid=error.pid)
            # Said at once and then once a second, with how often it has happened.
            count = self._failing.get(name, 0)
            self._failing[name] = count + 1
            if count == 0 or now >= self._next_complaint:
                self._next_complaint = now + 1_000_000_000
                self.events.emit("tick_failed", now, stage=name, error=str(error), times=count + 1)
        else:
            if self._failing:
                self._failing.pop(name, None)

    def _look_around(self, now: int) -> None:
        self._watch.poll(now)
        exposed = self.node.chassis.isolation.missing
        for place in exposed.keys() - self._exposed:
            self.events.emit("not_isolated", now, place=list(place), lacks=list(exposed[place]))
        self._exposed = set(exposed)
        silent = {int(slot) for slot in self.engine.silent(now, SILENT_S)}
        for vm in self.node.vms.all() if silent != self._silent else ():
            if vm.slot in silent and vm.slot not in self._silent:
                self.events.emit("vm_silent", now, vm=vm.name, floor=vm.floor)
        self._silent = silent

    def run(self, rate_hz: float = 1000.0, seconds: float | None = None) -> None:
        """Ticks at a rate until `seconds` are over or `stop` is called.

        On a virtual node each tick is followed by 1/rate_hz of its time. In real time a tick that
        comes late is not made up for: the schedule goes on from then, and an event tells.
        """
        if not (rate_hz > 0 and math.isfinite(rate_hz)):
            raise FabricError(f"rate_hz {rate_hz!r} is no rate")
        if seconds is not None and not seconds >= 0:
            raise FabricError(f"seconds {seconds!r} is no time")
        self._stop = False
        if self.node.virtual:
            left = math.inf if seconds is None else round(seconds * rate_hz)
            while left > 0 and not self._stop:
                self.tick()
                self.pause(0.0)
                self.node.advance(1.0 / rate_hz)
                left -= 1
            return
        period = 1.0 / rate_hz
        due = time.monotonic()
        end = math.inf if seconds is None else due + seconds
        late, told = 0, due
        while due < end and not self._stop:
            self.tick()
            due += period
            wait = due - time.monotonic()
            self.pause(max(wait, 0.0))
            if wait < -period:
                late += 1
                due = time.monotonic()
                if due - told >= 1.0:
                    self.events.emit("tick_late", self.node.time_ns, ticks=late)
                    late, told = 0, due

    def stop(self) -> None:
        """Ends `run` after the tick under way (from a signal handler or another thread)."""
        self._stop = True

    def pause(self, seconds: float) -> None:
        """Lets time pass until the next tick; what is asked at the desk is answered meanwhile."""
        if self.desk is not None:
            self.desk.serve(seconds)
        elif seconds > 0:
            time.sleep(seconds)

    # -- around it ---------------------------------------------------------------------------

    def publish(self, records: NDArray[np.void]) -> int:
        """Puts another source's records (k,) RECORD into the ring; how many: always all."""
        return int(self._ring.publish(records))

    def open_desk(self, path: str | os.PathLike[str]) -> Desk:
        """Lets other processes ask for bandwidth through a request queue at `path` (desk.py).

        They are answered between the ticks of `run`, or by calling `pause`.
        """
        if self.desk is not None:
            raise FabricError("this controller has a desk already")
        self.desk = Desk(self, path)
        return self.desk

    def snapshot(self) -> Snapshot:
        """Links and VMs as they stand, with rates since the last snapshot."""
        return self._looker.look()

    def close(self) -> None:
        """Gives the ring (and the desk) back; the node and what it has programmed stay."""
        if self.desk is not None:
            self.desk.close()
        self._reader.close()
        self._ring.close()

    def __enter__(self) -> Controller:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _open_ring(path: str | os.PathLike[str] | None) -> Any:
    """The ring at `path`; without one a private ring whose file is gone before it is used."""
    from fabcore._core import Ring

    if path is not None:
        return Ring.create(path, RING_RECORDS)
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="fabcore-", dir=memory) as folder:
        return Ring.create(os.path.join(folder, "ring"), RING_RECORDS)
