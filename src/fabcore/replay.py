"""Replays a trace through an emulated node, policy by policy, and tallies what became of it."""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fabcore.errors import FabricError, TraceError
from fabcore.observe.trace import Trace
from fabcore.replay_policies import POLICIES, Floats, Policy, Scene
from fabcore.topology import Topology

SCHEMA: Final = 1
SLACK: Final = 1e-3  # of a floor: whole bytes and coarse tables round
Progress = Callable[[str, int], None]  # policy, steps done


@dataclass(slots=True)
class Course:
    """One VM through one policy, a value per step: (steps,) B/s, both directions together."""

    vm: int
    demand: Floats
    reserved: Floats
    delivered: Floats

    @classmethod
    def of(cls, vm: int, steps: int) -> Course:
        return cls(vm, np.zeros(steps), np.zeros(steps), np.zeros(steps))


@dataclass(slots=True)
class Tally:
    """Sums over all VMs and steps; bytes, except where a name says steps."""

    demanded: float = 0.0
    delivered: int = 0
    dropped: int = 0
    reserved: float = 0.0
    idle: float = 0.0
    floor_steps: int = 0  # VM-steps with a floor
    violations: int = 0  # of those, with demand and delivered < min(floor, demand)

    def add(
        self, demand: Floats, delivered: NDArray[np.uint64], dropped: NDArray[np.uint64],
        reserved: Floats, floor: Floats,
    ) -> None:  # fmt: skip
        """One step: demand, delivered, dropped, reserved (n, 2) and floor (n,), all in bytes."""
        self.demanded += float(demand.sum())
        self.delivered += int(delivered.sum())
        self.dropped += int(dropped.sum())
        self.reserved += float(reserved.sum())
        self.idle += float(np.maximum(reserved - delivered, 0.0).sum())
        self.floor_steps += int(np.count_nonzero(floor > 0))
        due = np.minimum(floor[:, None], demand)
        # A byte of grace: counters hold whole bytes, what is under way counts in the next step.
        broken = (delivered + 1.0 < due * (1 - SLACK)).any(axis=1)
        self.violations += int(np.count_nonzero(broken))

    def report(self, policy: Policy) -> dict[str, Any]:
        """The policy's part of the report."""
        p50, p99 = np.percentile(policy.ticks_ns, (50, 99)) / 1e3 if policy.ticks_ns else (0, 0)
        return {
            "demanded_bytes": round(self.demanded),
            "delivered_bytes": self.delivered,
            "delivered_share": _share(self.delivered, self.demanded),
            "throttled_share": _share(self.dropped, self.demanded),
            "idle_reserved_share": _share(self.idle, self.reserved),
            "floor_violation_share": _share(self.violations, self.floor_steps),
            "vms_fit": policy.fit(),
            "enforcement": policy.enforcement(),
            "tick_us": {"p50": round(float(p50), 3), "p99": round(float(p99), 3)},
        }


@dataclass(slots=True)
class Replay:
    """A trace ready to be replayed; `run` fills the report and, where asked for, the courses."""

    trace: Trace
    topology: Topology
    scale: float
    seed: int
    series: int
    replicas: int
    courses: dict[str, Course] = field(default_factory=dict)

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, vms: int = 256, scale: float = 1.0, seed: int = 0,
        topology: Topology | None = None,
    ) -> Replay:  # fmt: skip
        """Checks everything that can be wrong before anything runs: TraceError, FabricError."""
        if not (math.isfinite(scale) and scale > 0):
            raise FabricError(f"scale {scale:g}: use a finite number above 0")
        if seed < 0:
            raise FabricError(f"seed {seed}: use a number of at least 0")
        topology = topology or Topology.default()
        room = min(spec.vfs for spec in topology.module_specs) * len(topology.module_specs)
        if not 1 <= vms <= room:
            raise FabricError(f"{vms} VMs: the node has functions for 1 to {room}")
        trace = Trace.open(path)
        series, replicas = trace.select(vms, seed)
        if max(float(p.max()) for p in trace.peaks()) * scale * trace.period_s >= 2.0**62:
            raise TraceError(f"{trace.path}: scale {scale:g} makes steps too large to count bytes")
        return cls(trace, topology, scale, seed, series, replicas)

    @property
    def vms(self) -> int:
        return len(self.trace.selected)

    def run(
        self, policies: Sequence[str] = tuple(POLICIES), progress: Progress | None = None,
        course_of: int | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """The report of contract.md section 5. course_of: a VM whose course is kept per policy."""
        trace = self.trace
        report: dict[str, Any] = {
            "schema": SCHEMA,
            "trace": str(trace.path),
            "seed": self.seed,
            "scale": self.scale,
            "period_s": trace.period_s,
            "steps": trace.steps,
            "vms": self.vms,
            "series_from_trace": self.series,
            "replicas": self.replicas,
            "policies": {},
        }
        for name in policies:
            course = None
            if course_of is not None:
                course = self.courses[name] = Course.of(course_of, trace.steps)
            report["policies"][name] = self._run_one(name, progress, course)
        return report

    def busiest(self) -> int:
        """The VM with the largest total demand, by one pass over the trace."""
        total = np.zeros(self.vms)
        for _, up, down in self.trace.steps_iter():
            total += np.nan_to_num(up) + np.nan_to_num(down)
        return int(total.argmax())

    def close(self) -> None:
        self.trace.close()

    def _run_one(
        self, name: str, progress: Progress | None, course: Course | None
    ) -> dict[str, Any]:
        from fabcore.node import ResourceNode

        with (
            ResourceNode.emulated(self.topology, self.seed) as node,
            _quiet_events(),
            contextlib.closing(POLICIES[name](self._scene(node))) as policy,
        ):
            node.set_drop(True)
            node.set_step(self.trace.period_s)
            tally = Tally()
            for step, values in enumerate(self._steps(node, policy)):
                tally.add(*values)
                if course is not None:
                    _record(course, step, values, self.trace.period_s)
                if progress is not None:
                    progress(name, step + 1)
            return tally.report(policy)

    def _scene(self, node: Any) -> Scene:
        """VM i sits on module i % modules and host (i // modules) % hosts."""
        vm = np.arange(self.vms)
        modules, hosts = len(self.topology.module_ports), len(self.topology.host_ports)
        peaks = np.stack(self.trace.peaks(), axis=1) * self.scale
        return Scene(
            node, self.trace.selected, vm % modules, vm // modules % hosts, peaks,
            self.trace.period_s, self.seed,
        )  # fmt: skip

    def _steps(self, node: Any, policy: Policy) -> Iterator[tuple[Any, ...]]:
        """What Tally.add takes, step by step. The policy is asked before the step's load moves
        and knows only what the steps before it wanted."""
        period = self.trace.period_s
        handles = policy.handles
        before = _counters(node, handles)
        observed = np.zeros((handles.size, 2))
        for _, up, down in self.trace.steps_iter():
            # An absent VM wants nothing in that step.
            wanted = np.nan_to_num(np.stack((up, down), axis=1)) * self.scale
            node.offer_all(handles, wanted[:, 0], wanted[:, 1])
            policy.before_step(observed)
            node.advance(period)
            now = _counters(node, handles)
            moved, before = now - before, now
            delivered, dropped = moved[:, :2], moved[:, 2:]
            yield (
                wanted * period, delivered, dropped, policy.reserved() * period,
                policy.floors() * period,
            )  # fmt: skip
            observed = (delivered + dropped) / period


def _counters(node: Any, handles: NDArray[np.int64]) -> NDArray[np.uint64]:
    """(n, 4) cumulative bytes: delivered up, down, dropped up, down."""
    found = node.counters_all(handles)
    names = ("up_bytes", "down_bytes", "up_dropped", "down_dropped")
    return np.stack([found[name] for name in names], axis=1)


def _record(course: Course, step: int, values: tuple[Any, ...], period_s: float) -> None:
    demand, delivered, _, reserved, _ = values
    for into, value in (
        (course.demand, demand),
        (course.reserved, reserved),
        (course.delivered, delivered),
    ):
        into[step] = value[course.vm].sum() / period_s


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


@contextlib.contextmanager
def _quiet_events() -> Iterator[None]:
    """Hundreds of thousands of refusals are what a replay counts, not what anyone reads."""
    log = logging.getLogger("fabcore.events")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)
