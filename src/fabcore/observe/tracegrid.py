"""The chosen series of a trace on one time grid, in a temporary file instead of in memory."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fabcore.errors import TraceError
from fabcore.observe.tracefile import Batch, Floats, TraceFile
from fabcore.observe.tracescan import Scan, by_vm, group_starts

_BLOCK_BYTES = 2 << 20  # read at a time, for all series together
_LONGEST_STEP = 1.5 * (1 + 1e-6)  # periods; the margin is for times rounded to float32


class Grid:
    """Rates of n series at `steps` points in time, series after series in a temporary file.

    A rate is kept negated: zero is then -0.0, and what was never written, a hole in the file,
    reads +0.0 and means absent. Thus VMs that live for a part of the time cost no disk.
    The file lies in tempfile.gettempdir() (TMPDIR), is unlinked from the start, and takes at most
    16 bytes per row and chosen series. Not thread-safe.
    """

    def __init__(self, file: TraceFile, scan: Scan, series: NDArray[np.int32]) -> None:
        """Read the trace once more and lay out `series` (n,) codes of TraceFile.names."""
        self.steps = scan.steps
        self._scan = scan
        self._series = series
        self._slot = np.full(len(file.names), -1, np.int32)
        self._slot[series] = np.arange(series.size, dtype=np.int32)
        self._last = np.full((series.size, 3), -np.inf)  # time, up, down of each one's latest row
        try:
            self._file = tempfile.TemporaryFile(prefix="fabcore-trace-")  # noqa: SIM115 close()
            os.ftruncate(self._file.fileno(), series.size * self.steps * 16)
            for batch in file.batches():
                self._add(batch)
        except OSError as error:
            raise TraceError(
                f"{file.path} cannot be spilled to {tempfile.gettempdir()}: {error.strerror}"
                " (TMPDIR names another place)"
            ) from None

    def close(self) -> None:
        self._file.close()

    def blocks(
        self, rows: NDArray[np.int64], shift: NDArray[np.int64]
    ) -> Iterator[tuple[int, Floats, Floats]]:
        """(first step, up (t, k), down (t, k)) in B/s with NaN where absent, to the end.

        rows (k,) are positions in `series`; each is read `shift` (k,) steps ahead, cyclically.
        """
        ahead = max(1, min(_BLOCK_BYTES // (16 * max(rows.size, 1)), self.steps))
        block = np.empty((rows.size, ahead, 2))
        for start in range(0, self.steps, ahead):
            count = min(ahead, self.steps - start)
            for k, (row, move) in enumerate(zip(rows.tolist(), shift.tolist(), strict=True)):
                self._read(row, (start + move) % self.steps, block[k, :count])
            part = block[:, :count]
            rates = np.where(np.signbit(part), -part, np.nan)
            up, down = (np.ascontiguousarray(rates[:, :, way].T) for way in (0, 1))
            yield start, up, down

    def _read(self, row: int, step: int, into: Floats) -> None:
        """One series from `step` on, wrapping at the end of the trace."""
        done = 0
        while done < len(into):
            count = min(len(into) - done, self.steps - step)
            where = (row * self.steps + step) * 16
            part = into[done : done + count].view(np.uint8).reshape(-1).data
            if os.preadv(self._file.fileno(), [part], where) != part.nbytes:
                raise TraceError("the temporary file of the trace has been cut short")
            done, step = done + count, 0

    def _add(self, batch: Batch) -> None:
        """Write a batch's rows, each run of consecutive steps at once."""
        keep = np.flatnonzero((slots := self._slot[batch.vm]) >= 0)
        if not keep.size:
            return
        rows = np.stack((batch.time, batch.up, batch.down), axis=1)[keep]
        slot, rows = self._after_latest(slots[keep], rows)
        step = self._steps_of(slot, rows[:, 0])
        slot, step, rows = _held(slot, step, rows, _LONGEST_STEP * self._scan.period_s)
        # Of several rows in one step the last counts; no step is written twice.
        final = np.ones(slot.size, bool)
        final[:-1] = (slot[1:] != slot[:-1]) | (step[1:] != step[:-1])
        place = slot[final].astype(np.int64) * self.steps + step[final]
        rates = -rows[final, 1:]
        cuts = np.flatnonzero(np.diff(place) != 1) + 1
        edges = [0, *cuts.tolist(), place.size]
        view = np.ascontiguousarray(rates).view(np.uint8).reshape(-1).data
        for a, b in itertools.pairwise(edges):
            self._write(view[16 * a : 16 * b], 16 * int(place[a]))

    def _write(self, data: memoryview, where: int) -> None:
        while data:
            done = os.pwrite(self._file.fileno(), data, where)
            data, where = data[done:], where + done

    def _after_latest(
        self, slot: NDArray[np.int32], rows: Floats
    ) -> tuple[NDArray[np.int32], Floats]:
        """Rows series by series, each preceded by that series' latest row of earlier batches."""
        order = by_vm(slot)
        slot, rows = slot[order], rows[order]
        starts = group_starts(slot)
        group = slot[starts]
        latest = self._last[group]
        self._last[group] = rows[np.append(starts[1:], slot.size) - 1]
        known = np.isfinite(latest[:, 0])
        slot = np.insert(slot, starts[known], group[known])
        return slot, np.insert(rows, starts[known], latest[known], axis=0)

    def _steps_of(self, slot: NDArray[np.int32], time: Floats) -> NDArray[np.int64]:
        """The grid point of each row. Counted from the series' own first row, so that a phase
        between series never makes a regular one skip or repeat a step."""
        vm = self._series[slot]
        elapsed = np.rint((time - self._scan.first[vm]) / self._scan.period_s).astype(np.int64)
        return self._scan.anchor[vm] + elapsed


def _held(
    slot: NDArray[np.int32], step: NDArray[np.int64], rows: Floats, longest_s: float
) -> tuple[NDArray[np.int32], NDArray[np.int64], Floats]:
    """Rows with the steps filled that rounding skipped although no gap of `longest_s` was there:
    the earlier row holds on. A longer gap stays open: the VM is absent."""
    near = (slot[1:] == slot[:-1]) & (np.diff(rows[:, 0]) <= longest_s)
    skipped = np.flatnonzero(near & (np.diff(step) == 2))
    if not skipped.size:
        return slot, step, rows
    return (
        np.insert(slot, skipped + 1, slot[skipped]),
        np.insert(step, skipped + 1, step[skipped] + 1),
        np.insert(rows, skipped + 1, rows[skipped], axis=0),
    )
