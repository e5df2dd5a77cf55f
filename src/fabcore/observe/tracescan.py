"""One pass over a trace that proves its order and learns its VMs, their spans and the period."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fabcore.errors import TraceError
from fabcore.observe.tracefile import Batch, Floats, TraceFile

MAX_STEPS = 10**9  # a file that spans more periods has a wrong time column, not a long history
# Distances between rows are counted in bins of 0.1 % from 1 us to 1e9 s.
_SHORTEST, _PER_E = 1e-6, 1000
_BINS = int(np.log(1e15) * _PER_E) + 2


@dataclass(frozen=True, slots=True)
class Scan:
    """What one pass learns: period in s, steps, rows; per VM in the file's order of appearance:
    first time (s), first step, and the peaks of up and down (B/s), each (v,)."""

    period_s: float
    steps: int
    start_s: float
    rows: int
    first: Floats
    anchor: NDArray[np.int64]
    peak_up: Floats
    peak_down: Floats


def by_vm(vm: NDArray[np.int32]) -> NDArray[np.intp] | slice:
    """What brings rows of one VM together and keeps their order: nothing if they already are."""
    if np.all(vm[1:] >= vm[:-1]):
        return slice(None)
    # 16-bit keys are sorted by radix, several times faster than by merging.
    narrow = vm.astype(np.int16) if int(vm.max()) < 1 << 15 else vm
    return np.argsort(narrow, kind="stable")


def group_starts(vm: NDArray[np.int32]) -> NDArray[np.intp]:
    """Where each VM's rows start in an array that by_vm ordered."""
    return np.concatenate(([0], np.flatnonzero(vm[1:] != vm[:-1]) + 1))


def scan(file: TraceFile) -> Scan:
    """Read the whole file once; a TraceError names the first fault and its line."""
    state = _State()
    rows = 0
    for batch in file.batches():
        if batch.vm.size:
            state.grow(len(file.names))
            state.add(file, batch)
            rows += batch.vm.size
    if not rows:
        raise TraceError(f"{file.path} has a header but no rows")
    return state.finish(file, rows)


class _State:
    """Per-VM arrays that grow with the number of VMs, and the histogram of distances in time."""

    def __init__(self) -> None:
        self.first = np.empty(0)
        self.last = np.empty(0)
        self.peak_up = np.empty(0)
        self.peak_down = np.empty(0)
        self.counts = np.zeros(_BINS, np.int64)
        self.sums = np.zeros(_BINS)

    def grow(self, vms: int) -> None:
        """Room for `vms` VMs; doubled, so that many names cost no more than a few copies."""
        if vms > self.first.size:
            more = max(vms, 2 * self.first.size) - self.first.size
            self.first = np.append(self.first, np.full(more, np.inf))
            self.last = np.append(self.last, np.full(more, -np.inf))
            self.peak_up = np.append(self.peak_up, np.zeros(more))
            self.peak_down = np.append(self.peak_down, np.zeros(more))

    def add(self, file: TraceFile, batch: Batch) -> None:
        order = by_vm(batch.vm)
        vm, time = batch.vm[order], batch.time[order]
        starts = group_starts(vm)
        group = vm[starts]
        step = np.empty_like(time)
        step[1:] = time[1:] - time[:-1]
        step[starts] = time[starts] - self.last[group]  # +inf for a VM's first row
        backwards = step < 0.0
        if backwards.any():
            at = np.arange(vm.size)[order][backwards]
            raise self._backwards(file, batch, int(at.min()))
        forward = step[(step > 0.0) & np.isfinite(step)]
        bins = np.clip(np.log(forward / _SHORTEST) * _PER_E, 0, _BINS - 1).astype(np.int64)
        self.counts += np.bincount(bins, minlength=_BINS)
        self.sums += np.bincount(bins, weights=forward, minlength=_BINS)
        self.first[group] = np.minimum(self.first[group], time[starts])
        self.last[group] = time[np.append(starts[1:], vm.size) - 1]
        for peak, values in ((self.peak_up, batch.up), (self.peak_down, batch.down)):
            peak[group] = np.maximum(peak[group], np.maximum.reduceat(values[order], starts))

    def finish(self, file: TraceFile, rows: int) -> Scan:
        v = len(file.names)
        first, last = self.first[:v], self.last[:v]
        period = self._period()
        start = float(np.where(np.isfinite(last), first, np.inf).min())
        span = float(last.max()) - start
        if span / period >= MAX_STEPS:
            raise TraceError(
                f"{file.path} spans {span:g} s in periods of {period:g} s, more than {MAX_STEPS:g}"
                " of them: is time_s in seconds from the start?"
            )
        # A name that only stands in a dictionary has no rows; it keeps anchor 0 and is left out.
        seen = np.isfinite(last)
        anchor = np.zeros(v, np.int64)
        anchor[seen] = np.rint((first[seen] - start) / period).astype(np.int64)
        length = np.rint((last[seen] - first[seen]) / period).astype(np.int64)
        steps = int((anchor[seen] + length).max()) + 1
        peaks = self.peak_up[:v], self.peak_down[:v]
        return Scan(period, steps, start, rows, first, anchor, *peaks)

    def _period(self) -> float:
        """The median distance between a VM's rows in s, then the mean of all within 25 % of it:
        a mean telescopes, so jitter and rounded times do not make steps drift. 1 s if no VM has
        two rows."""
        total = int(self.counts.sum())
        if not total:
            return 1.0
        median = int(np.searchsorted(np.cumsum(self.counts), (total + 1) // 2))
        low = max(median + int(np.log(0.75) * _PER_E), 0)
        high = median + int(np.log(1.25) * _PER_E) + 1
        period = float(self.sums[low:high].sum() / self.counts[low:high].sum())
        rounded = float(f"{period:.4g}")
        return rounded if abs(rounded - period) <= 1e-6 * period else period

    def _backwards(self, file: TraceFile, batch: Batch, at: int) -> TraceError:
        vm = batch.vm[at]
        earlier = np.flatnonzero(batch.vm[:at] == vm)
        before = batch.time[earlier[-1]] if earlier.size else self.last[vm]
        return file.fault(
            batch.row + at,
            f"time runs backwards for {file.names[vm]}: {batch.time[at]:.9g} s after {before:.9g} s"
            " (sort each VM's rows by time_s)",
        )
