"""What a running controller says of a moment: a line for logs or a JSON object."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fabcore.events import Event
    from fabcore.snapshot import Snapshot, VMState

_KEPT_TICKS = 4096


class TickTimes:
    """Durations of the latest ticks, in a fixed array."""

    def __init__(self) -> None:
        self._ns = np.zeros(_KEPT_TICKS, np.int64)
        self.count = 0

    def add(self, ns: int) -> None:
        self._ns[self.count % _KEPT_TICKS] = ns
        self.count += 1

    def percentiles_us(self) -> tuple[float, float]:
        """(p50, p99) in us over the latest ticks; zeros before the first."""
        if not self.count:
            return 0.0, 0.0
        p50, p99 = np.percentile(self._ns[: min(self.count, _KEPT_TICKS)], (50, 99)) / 1e3
        return float(p50), float(p99)


@dataclass(frozen=True, slots=True)
class Frame:
    """One moment: the controller's snapshot and what stands around it."""

    snapshot: Snapshot
    elapsed_s: float
    source: str
    policy: str
    rate_hz: float
    tick_us: tuple[float, float]  # p50, p99
    late: int  # ticks that began a period or more behind
    events: tuple[Event, ...]  # the newest, oldest first


def rate(value: float) -> str:
    """B/s for people: three figures and a unit; NaN is what nobody knows yet."""
    if value != value:
        return "?"
    for unit in ("B/s", "kB/s", "MB/s", "GB/s"):
        if abs(value) < 999.5 or unit == "GB/s":
            return f"{value:.3g} {unit}" if abs(value) < 999.5 else f"{value:.0f} {unit}"
        value /= 1e3
    raise AssertionError


def total(pair: tuple[float, float]) -> float:
    """Both directions together; what is not known yet counts as nothing."""
    return sum(value for value in pair if value == value)


def line(frame: Frame) -> str:
    """The frame in one line, for logs."""
    vms = frame.snapshot.vms
    p50, p99 = frame.tick_us
    parts = [
        f"{frame.elapsed_s:.0f} s",
        f"tick {frame.snapshot.tick}",
        f"{len(vms)} VMs",
        f"demand {rate(sum(total(v.demand) for v in vms))}",
        f"granted {rate(sum(total(v.grant) for v in vms))}",
        f"delivered {rate(sum(total(v.delivered) for v in vms))}",
        f"tick p50 {p50:.0f} us p99 {p99:.0f} us",
    ]
    return "  ".join(parts)


def document(frame: Frame) -> dict[str, Any]:
    """The frame as a JSON-ready object; rates in B/s, a bound that is infinite is null."""
    shot = frame.snapshot
    return {
        "time_ns": shot.time_ns,
        "elapsed_s": round(frame.elapsed_s, 3),
        "tick": shot.tick,
        "policy": frame.policy,
        "source": frame.source,
        "tick_us": {"p50": round(frame.tick_us[0], 1), "p99": round(frame.tick_us[1], 1)},
        "late_ticks": frame.late,
        "vms": [_vm_document(vm) for vm in shot.vms],
        "links": [
            {
                "name": link.name,
                "capacity": float(link.capacity),
                "reserved": float(link.reserved),
                "granted": float(link.granted),
                "used": float(link.used),
            }
            for link in shot.links
        ],
        "events": [
            {"event": e.kind, "time_ns": e.time_ns, **{k: plain(v) for k, v in e.detail.items()}}
            for e in frame.events
        ],
    }


def _vm_document(vm: VMState) -> dict[str, Any]:
    return {
        "name": vm.name,
        "module": vm.module,
        "host": vm.host,
        "share": float(vm.share),
        "weight": float(vm.weight),
        "floor": float(vm.floor),
        **{key: _ways(getattr(vm, key)) for key in ("demand", "reservation", "grant", "delivered")},
        "enforcement": vm.enforcement,
        "accepted": vm.accepted,
        "reason": vm.reason,
    }


def _ways(pair: tuple[float, float]) -> dict[str, float | None]:
    return {"up": plain(pair[0]), "down": plain(pair[1])}


def plain(value: Any) -> Any:
    """A value that JSON has: no numpy scalar, no infinity or NaN."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value if isinstance(value, str | int | bool | None) else str(value)


def new_events() -> deque[Event]:
    """Where a listener collects events between two frames: bounded, the oldest go first."""
    return deque(maxlen=256)
