"""Records into per-VM samples, and samples into decisions: the engine's compiled steps."""

from __future__ import annotations

import numpy as np
from numba import float64, int64, uint64, void
from numpy.typing import NDArray

from fabcore.compiled import njit
from fabcore.predict.kernels import advance_rows

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]

# Columns of a slot's clock.
HANDLE, SEEN, START, NOW, DUE = range(5)  # ns but the first two
CLOCKS = 5
FREE = -1  # in HANDLE
# Columns of a row's counters, bytes.
LAST, MOVED, WAITING, WAITED = range(4)
COUNTERS = 4


@njit(
    int64(uint64[:, ::1], int64[:, ::1], uint64[:, ::1], float64[::1]),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def take_in(records: U64, clock: I64, counter: U64, backlog: F64) -> int:
    """Adds records to the samples under way; how many belonged to no adopted VM.

    records (k, 8), the words of RECORD; clock (capacity, CLOCKS); counter (2 x capacity,
    COUNTERS); backlog (2 x capacity,) bytes. A counter that went backwards was reset: its new
    value counts from 0. Time that went backwards restarts the sample.
    """
    unknown = 0
    capacity = clock.shape[0]
    for i in range(records.shape[0]):
        handle = int64(records[i, 2] & uint64(0xFFFFFFFF))
        slot = handle & 0xFFFFF
        if slot >= capacity or clock[slot, HANDLE] != handle:
            unknown += 1
            continue
        time = int64(records[i, 1])
        first = clock[slot, SEEN] == 0
        if first or time < clock[slot, NOW]:
            clock[slot, SEEN] = 1
            clock[slot, START] = time
        clock[slot, NOW] = time
        restarted = clock[slot, START] == time
        for way in range(2):
            row = way * capacity + slot
            value, waiting = records[i, 3 + way], records[i, 5 + way]
            if not first:
                was = counter[row, LAST]
                counter[row, MOVED] += value - was if value >= was else value
            if restarted:
                counter[row, MOVED] = 0
                counter[row, WAITED] = waiting
            counter[row, LAST] = value
            counter[row, WAITING] = waiting
            backlog[row] = float(waiting)
    return unknown


@njit(
    int64(int64, int64, int64[:, ::1], uint64[:, ::1], int64[::1], float64[::1]),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def close_samples(now: int, period: int, clock: I64, counter: U64, rows: I64, demand: F64) -> int:
    """Ends the samples of the slots whose turn has come; rows[:count] are theirs, up then down.

    A row's demand is (bytes moved + change of the bytes waiting) / time, B/s, never negative. A
    slot without a record since its last turn has no sample: its rows stand still.
    """
    capacity = clock.shape[0]
    count = 0
    for slot in range(capacity):
        if clock[slot, HANDLE] == FREE or now < clock[slot, DUE]:
            continue
        late = now - clock[slot, DUE]
        clock[slot, DUE] += (late // period + 1) * period
        length = clock[slot, NOW] - clock[slot, START]
        if clock[slot, SEEN] == 0 or length <= 0:
            continue
        for way in range(2):
            row = way * capacity + slot
            moved = float(counter[row, MOVED])
            grown = float(counter[row, WAITING]) - float(counter[row, WAITED])
            demand[row] = max(moved + grown, 0.0) / (length * 1e-9)
            counter[row, MOVED] = 0
            counter[row, WAITED] = counter[row, WAITING]
            rows[count] = row
            count += 1
        clock[slot, START] = clock[slot, NOW]
    return count


@njit(
    int64(
        int64, int64, int64[:, ::1], uint64[:, ::1], int64[::1], float64[::1], float64[:, ::1],
        float64[::1], float64[::1], float64[::1],
    ),
    cache=True,
    nogil=True,
    error_model="numpy",
)  # fmt: skip
def decide_rows(
    now: int, period: int, clock: I64, counter: U64, rows: I64, demand: F64, state: F64,
    reservation: F64, tau: F64, cap: F64,
) -> int:  # fmt: skip
    """close_samples, then one step of the learner for each of those rows; how many."""
    count = close_samples(now, period, clock, counter, rows, demand)
    if count:
        advance_rows(state, rows, count, demand, reservation, 1, tau, cap)
    return count


@njit(void(int64[:, ::1], int64, int64, int64[::1]), cache=True, nogil=True)
def quiet_slots(clock: I64, now: int, after: int, out: I64) -> None:
    """out[0] = how many adopted slots have had no record for `after` ns; out[1:] are they."""
    count = 0
    for slot in range(clock.shape[0]):
        heard = clock[slot, SEEN] != 0 and clock[slot, HANDLE] != FREE
        if heard and now - clock[slot, NOW] > after:
            count += 1
            out[count] = slot
    out[0] = count
