"""Traces: a file of measured rates as steps in time for chosen VMs, and as telemetry records."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fabcore.errors import TraceError
from fabcore.observe import RECORD
from fabcore.observe.sources import SOURCE_TRACE
from fabcore.observe.tracefile import Floats, TraceFile
from fabcore.observe.tracegrid import Grid
from fabcore.observe.tracescan import Scan, scan


@dataclass(frozen=True, slots=True)
class _Choice:
    """What steps_iter yields: for each of n outputs its name, its series (position in
    Trace.names) and how many steps ahead of the file it runs."""

    names: tuple[str, ...]
    series: NDArray[np.int64]
    shift: NDArray[np.int64]


class Trace:
    """A trace file, checked in full when opened, replayed as often as asked in bounded memory.

    The file (Parquet or CSV) has the columns vm, time_s (s), up and down (B/s), in any order
    between VMs, in order of time within each. It is read once to check it and once more for the
    chosen series; neither holds more than some ten MB, whatever its length.

    names      all series, sorted, so that a choice does not depend on the order in the file
    period_s   the usual distance between two rows of a VM
    steps      periods from the first row of the file to the last, both included
    rows       rows in the file
    selected   names of the series that steps_iter yields, replicas included

    One thread at a time; `close` (or `with`) frees the temporary file.
    """

    def __init__(self, file: TraceFile, scanned: Scan) -> None:
        """Use Trace.open."""
        seen = [i for i, name in enumerate(file.names) if np.isfinite(scanned.first[i])]
        self._code = np.array(sorted(seen, key=file.names.__getitem__), np.int32)
        self._file = file
        self._scan = scanned
        self._grid: tuple[NDArray[np.int64], Grid] | None = None
        self.path = file.path
        self.names = tuple(file.names[i] for i in self._code)
        self.rows = scanned.rows
        self.steps = scanned.steps
        self.period_s = scanned.period_s
        self.duration_s = scanned.steps * scanned.period_s
        every = np.arange(len(self.names))
        self._choice = _Choice(self.names, every, np.zeros_like(every))

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, vms: int | None = None, seed: int = 0) -> Trace:
        """Open and check a trace; `vms` selects that many series at once (None: all of them).

        Raises TraceError, one line with file and line (CSV) or row (Parquet): unreadable or
        truncated, empty, another schema, a missing, not finite or negative value, time that runs
        backwards within a VM.
        """
        file = TraceFile.open(path)
        trace = cls(file, scan(file))
        if vms is not None:
            trace.select(vms, seed)
        return trace

    @property
    def selected(self) -> tuple[str, ...]:
        return self._choice.names

    def select(self, n: int, seed: int = 0) -> tuple[int, int]:
        """Choose n series by `seed`; returns (series from the trace, replicas).

        Where the file has fewer than n, replicas fill up: the same series, in turn, each from
        another seeded moment on and cyclically, named "NAME~1", "NAME~2".
        """
        if n < 1:
            raise TraceError(f"{self.path}: cannot select {n} VMs, at least 1 is needed")
        rng = np.random.default_rng(seed)
        total = len(self.names)
        chosen = np.sort(rng.permutation(total)[:n])
        names = [self.names[i] for i in chosen]
        missing = n - len(names)
        again = np.resize(rng.permutation(total), missing)
        shift = rng.integers(1, max(self.steps, 2), missing) % self.steps
        names += self._replica_names(again)
        series = np.concatenate((chosen, again)).astype(np.int64)
        moved = np.concatenate((np.zeros(chosen.size, np.int64), shift))
        self._choice = _Choice(tuple(names), series, moved)
        return chosen.size, missing

    def steps_iter(self) -> Iterator[tuple[float, Floats, Floats]]:
        """(time_s, up (n,), down (n,)) for every period, in B/s, NaN = that VM is absent.

        A VM is absent before its first row, after its last, and in a gap of more than 1.5 periods.
        Where a period holds several rows of a VM, the last counts. time_s is in the file's own
        seconds. The arrays belong to the caller. Raises TraceError before the first step.
        """
        sources, rows = np.unique(self._choice.series, return_inverse=True)
        if self._grid is None or not np.array_equal(self._grid[0], sources):
            self.close()
            self._grid = (sources, Grid(self._file, self._scan, self._code[sources]))
        return self._steps(self._grid[1], rows, self._choice.shift)

    def peaks(self) -> tuple[Floats, Floats]:
        """(up (n,), down (n,)) in B/s: the largest rates that the selected series reach."""
        code = self._code[self._choice.series]
        return self._scan.peak_up[code], self._scan.peak_down[code]

    def close(self) -> None:
        """Free the temporary file; the trace can still be replayed, which makes a new one."""
        if self._grid is not None:
            self._grid[1].close()
            self._grid = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _steps(
        self, grid: Grid, rows: NDArray[np.int64], shift: NDArray[np.int64]
    ) -> Iterator[tuple[float, Floats, Floats]]:
        for first, up, down in grid.blocks(rows, shift):
            for k in range(len(up)):
                yield self._scan.start_s + (first + k) * self.period_s, up[k], down[k]

    def _replica_names(self, series: NDArray[np.int64]) -> list[str]:
        """A name~k for each, k counting from 1, passing over names that the file has itself."""
        taken, count, names = set(self.names), dict.fromkeys(series.tolist(), 0), []
        for i in series.tolist():
            count[i] += 1
            while f"{self.names[i]}~{count[i]}" in taken:
                count[i] += 1
            names.append(f"{self.names[i]}~{count[i]}")
        return names


class TraceCollector:
    """Turns the steps of a trace into records with cumulative byte counters, for ring.publish.

    vm (n,) are the handles of the selected series. Counters start at 0 and wrap at 2**64 as
    hardware counters do; fractions of a byte are carried, so the sum over many steps is exact.
    """

    def __init__(self, vm: ArrayLike, period_s: float, start_ns: int = 0) -> None:
        """`start_ns`: the UTC time that the trace's time 0 stands for."""
        self._vm: NDArray[np.uint32] = np.array(vm, dtype=np.uint32)
        self._period_s = period_s
        self._start_ns = start_ns
        self._bytes = np.zeros((self._vm.size, 2), np.uint64)
        self._fraction = np.zeros((self._vm.size, 2))
        self._present: NDArray[np.bool_] = np.zeros(self._vm.size, bool)

    def step(self, time_s: float, up: Floats, down: Floats) -> NDArray[np.void]:
        """Records (k,) RECORD of one period that starts at `time_s`; up, down (n,) B/s, NaN absent.

        Each VM that is present has its counters as they stand at the end of the period. One that
        was absent before has a record for its start, too, so that a reader's first difference
        covers this period and not the gap. Times do not decrease.
        """
        rates = np.stack((up, down), axis=1)
        present = ~(np.isnan(rates[:, 0]) | np.isnan(rates[:, 1]))
        fresh = np.flatnonzero(present & ~self._present)
        here = np.flatnonzero(present)
        records = np.zeros(fresh.size + here.size, RECORD)
        self._fill(records[: fresh.size], fresh, time_s)
        moved = rates[here] * self._period_s + self._fraction[here]
        whole = np.floor(moved)
        self._bytes[here] += whole.astype(np.uint64)
        self._fraction[here] = moved - whole
        self._fill(records[fresh.size :], here, time_s + self._period_s)
        self._present = present
        return records

    def _fill(self, records: NDArray[np.void], rows: NDArray[np.intp], time_s: float) -> None:
        records["time_ns"] = self._start_ns + round(time_s * 1e9)
        records["vm"] = self._vm[rows]
        records["source"] = SOURCE_TRACE
        records["up_bytes"], records["down_bytes"] = self._bytes[rows].T
