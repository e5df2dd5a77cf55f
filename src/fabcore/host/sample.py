"""Samples of cumulative byte counters, which instances they show, and their records."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fabcore.observe import RECORD
from fabcore.observe.sources import SOURCE_LIVE

Bytes = tuple[int, int]  # up (read, received), down (written, sent), cumulative

_FADE = 0.8  # of an instance's activity, from sample to sample
_LEAD = 2.0  # how much busier than the idlest shown one a newcomer must be to take its place


@dataclass(frozen=True, slots=True)
class Sample:
    """Counters at one moment: UTC ns; names (n,); up, down (n,) uint64 cumulative bytes.

    A counter never decreases while its name stays in consecutive samples.
    """

    time_ns: int
    names: list[str]
    up_bytes: NDArray[np.uint64]
    down_bytes: NDArray[np.uint64]


class Source(Protocol):
    """Where counters come from: all instances that exist now, by name."""

    unreadable: int  # instances that the latest read was not permitted to see

    def read(self) -> dict[str, Bytes]: ...
    def describe(self) -> str: ...
    def close(self) -> None: ...


def to_records(sample: Sample, handle_of: Mapping[str, int]) -> NDArray[np.void]:
    """A sample as records (k,) RECORD for ring.publish; names without a handle are left out."""
    rows = [i for i, name in enumerate(sample.names) if name in handle_of]
    records = np.zeros(len(rows), RECORD)
    records["time_ns"] = sample.time_ns
    records["vm"] = [handle_of[sample.names[i]] for i in rows]
    records["source"] = SOURCE_LIVE
    records["up_bytes"] = sample.up_bytes[rows]
    records["down_bytes"] = sample.down_bytes[rows]
    return records


@dataclass(slots=True)
class _Instance:
    raw: Bytes
    up: int
    down: int
    activity: float = 0.0

    def rank(self) -> tuple[float, int]:
        return self.activity, self.up + self.down


class Instances:
    """Keeps counters from running backwards and shows at most `limit` instances, the busiest.

    One that is shown stays until it ends or another is more than twice as busy (bytes per sample,
    fading over some five samples): of two that are alike, neither comes and goes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._all: dict[str, _Instance] = {}
        self._shown: list[str] = []

    def update(self, raw: Mapping[str, Bytes], time_ns: int) -> Sample:
        """Take in the counters of everything that exists now; the sample holds what is shown."""
        self._all = {name: self._advance(name, now) for name, now in raw.items()}
        self._choose()
        shown = [self._all[name] for name in self._shown]
        up, down = (np.array([getattr(i, w) for i in shown], np.uint64) for w in ("up", "down"))
        return Sample(time_ns, list(self._shown), up, down)

    def _advance(self, name: str, now: Bytes) -> _Instance:
        known = self._all.get(name)
        if known is None:
            return _Instance(now, *now)
        restarted = now[0] < known.raw[0] or now[1] < known.raw[1]
        before = (0, 0) if restarted else known.raw
        up, down = now[0] - before[0], now[1] - before[1]
        known.raw = now
        known.up += up
        known.down += down
        known.activity = _FADE * known.activity + up + down
        return known

    def _choose(self) -> None:
        shown = [name for name in self._shown if name in self._all]
        kept = set(shown)
        waiting = [name for name in self._all if name not in kept]
        waiting.sort(key=lambda name: self._all[name].rank(), reverse=True)
        free = self._limit - len(shown)
        shown += waiting[:free]
        places = sorted(range(len(shown)), key=lambda i: self._all[shown[i]].rank())
        for place, name in zip(places, waiting[free:], strict=False):
            if self._all[name].activity <= _LEAD * self._all[shown[place]].activity:
                break
            shown[place] = name
        self._shown = shown


def read_file(path: str) -> bytes:
    """A kernel file, whole; OSError as it comes. Cheaper than open(), and closed whatever happens."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(fd, 1 << 16):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(fd)
