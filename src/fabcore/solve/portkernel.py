"""Compiled quantisation of all arbitration tables of a node in one call."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fabcore.compiled import njit
from fabcore.solve.slots import owed_slots, share_out

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
U8 = NDArray[np.uint8]

MAX_PHASES = 256
USED = 256  # added to a column's entry in `known` where the column was used
HUGE = 1e100  # B/s; rates are cut off here, so that no sum overflows
BAD_SHAPE = -1
# columns of `state`: the sizes last seen; KEY: users, entries and sizes are those of the table;
# TABLE: there is a table; BUSY: somebody uses it
PHASES, COLUMNS, KEY, TABLE, BUSY = 0, 1, 2, 3, 4
STATES = 5
# planes of `floats`
CARRY, IDEAL, SEEN = 0, 1, 2


@njit(
    "void(int32[::1], uint8[::1], int64, int32[::1], uint8[::1], uint8[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def spread(slots: I32, entries: U8, phases: int, order: I32, place: U8, table: U8) -> None:
    """Fills table[:phases] with entries, slots[i] times entries[i], each spread evenly.

    The column with most slots takes all phases, the others together an even subset of them, the
    second keeps those, the rest an even subset again: no step waits for the one before, and no
    prefix strays by more than about a slot (1.3 measured) from its share. place[j] is the phase
    of the subset's j-th member; it shrinks in place, since a member only moves down.
    """
    count = 0
    for i in range(slots.shape[0]):
        if slots[i] > 0:
            rank = count
            while rank > 0 and slots[order[rank - 1]] < slots[i]:
                order[rank] = order[rank - 1]
                rank -= 1
            order[rank] = i
            count += 1
    if count == 0:
        return
    left = phases
    entry = entries[order[0]]
    for j in range(phases):
        table[j] = entry
    for a in range(1, count):
        fewer = left - slots[order[a - 1]]
        entry = entries[order[a]]
        # (j + 1/2) left / fewer in steps of 2^-32; unsigned, so that no index can be negative.
        step = np.uint64((left << 32) // fewer)
        at = step >> np.uint64(1)
        if a == 1:
            for j in range(np.uint64(fewer)):
                phase = np.uint8(at >> np.uint64(32))
                place[j] = phase
                table[phase] = entry
                at += step
        else:
            for j in range(np.uint64(fewer)):
                phase = place[at >> np.uint64(32)]
                place[j] = phase
                table[phase] = entry
                at += step
        left = fewer


@njit(
    "boolean(int64, float64[:, ::1], boolean[:, ::1], uint8[:, ::1], int64, int64,"
    " float64[:, :, ::1], int32[:, ::1], int32[:, ::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _note(
    t: int, rates: F64, used: NDArray[np.bool_], entries: U8, columns: int, phases: int,
    floats: F64, known: I32, state: I32,
) -> bool:  # fmt: skip
    """Notes a target's inputs; clears KEY when the table cannot be the same.

    A rate that is no number, negative or infinite counts as none. True: nothing is new.
    """
    key = state[t, PHASES] != phases or state[t, COLUMNS] != columns
    new = key
    for i in range(columns):
        rate = min(rates[t, i], HUGE) if 0.0 < rates[t, i] < math.inf else 0.0
        new |= floats[SEEN, t, i] != rate
        floats[SEEN, t, i] = rate
        what = np.int32(entries[t, i]) + (USED if used[t, i] else 0)
        key |= known[t, i] != what
        known[t, i] = what
    if key:
        state[t, PHASES], state[t, COLUMNS] = phases, columns
        state[t, KEY] = 0
    return not (new or key)


@njit(
    "boolean(float64[::1], int32[::1], int64, int32[::1], float64[::1], float64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _ideals(seen: F64, known: I32, phases: int, least: I32, ideal: F64, carry: F64) -> bool:
    """The ideal slots of one table's columns; False when nobody uses it.

    Who leaves takes no debt along.
    """
    users = 0
    wanted = 0.0
    for i in range(seen.shape[0]):
        least[i] = known[i] >= USED
        users += least[i]
        wanted += seen[i]
    if users == 0 and wanted == 0.0:
        return False
    if users > phases:
        if wanted > 0.0:
            least[:] = 0
        else:
            least[phases:] = 0
    share_out(seen, least, float(phases), ideal)
    for i in range(seen.shape[0]):
        if ideal[i] == 0.0:
            carry[i] = 0.0
    return True


@njit(
    "boolean(int64, boolean, float64[:, :, ::1], int32[:, ::1], int32[:, ::1], int32[:, ::1],"
    " uint8[:, ::1], uint8[:, ::1], uint8[:, ::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _rewrite(
    t: int, differs: bool, floats: F64, known: I32, state: I32, slots: I32, entries: U8,
    tables: U8, scratch: U8,
) -> bool:  # fmt: skip
    """Gives a target new slots and, where they or its entries changed, a new table.

    Returns whether the table differs from the former one; `differs`: say so in any case.
    """
    n, w = state[t, PHASES], state[t, COLUMNS]
    now = slots[t, :w]
    new = known[known.shape[0] - 1, :w]
    owed_slots(floats[IDEAL, t, :w], floats[CARRY, t, :w], n, new)
    same = state[t, KEY] != 0
    for i in range(w):
        same &= new[i] == now[i]
        now[i] = new[i]
    if same:
        return False
    slots[t, w:] = 0
    table = scratch[0]
    spread(now, entries[t, :w], n, known[known.shape[0] - 2, :w], scratch[1], table)
    delta = np.uint8(0)
    for k in range(n):
        delta |= table[k] ^ tables[t, k]
    for k in range(n):
        tables[t, k] = table[k]
    return differs or delta != 0


@njit(
    "int64(float64[:, ::1], boolean[:, ::1], int32[::1], int32[::1], uint8[:, ::1], float64,"
    " uint8[:, ::1], uint8[::1], int32[:, ::1], float64[:, :, ::1], int32[:, ::1], int32[:, ::1],"
    " uint8[:, ::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def quantise_ports(
    rates: F64, used: NDArray[np.bool_], columns: I32, phases: I32, entries: U8, slack: float,
    tables: U8, changed: U8, slots: I32, floats: F64, known: I32, state: I32, scratch: U8,
) -> int:  # fmt: skip
    """One run over all targets; the number of changed tables, or BAD_SHAPE with nothing done.

    floats: (3, T, W) carry, ideal, seen rates; known (T + 2, W): what each column was, then two
    rows of scratch; scratch (2, 256): a table in the making, phases of a subset.
    """
    count, width = slots.shape
    if rates.shape != slots.shape or used.shape != slots.shape or entries.shape != slots.shape:
        return BAD_SHAPE
    if columns.shape[0] != count or phases.shape[0] != count:
        return BAD_SHAPE
    for t in range(count):
        if not (0 <= columns[t] <= width and 1 <= phases[t] <= MAX_PHASES):
            return BAD_SHAPE
    rewritten = 0
    for t in range(count):
        w = columns[t]
        n = phases[t]
        changed[t] = 0
        if not _note(t, rates, used, entries, w, n, floats, known, state):
            state[t, BUSY] = _ideals(
                floats[SEEN, t, :w], known[t, :w], n, known[count, :w], floats[IDEAL, t, :w],
                floats[CARRY, t, :w],
            )  # fmt: skip
        if not state[t, BUSY]:
            continue
        keep = state[t, KEY] != 0 and state[t, TABLE] != 0
        for i in range(w):
            keep &= abs(floats[CARRY, t, i] + floats[IDEAL, t, i] - slots[t, i]) < slack
        if not keep:
            if state[t, TABLE] == 0:
                state[t, KEY] = 0
            differs = _rewrite(
                t, state[t, TABLE] == 0, floats, known, state, slots, entries, tables, scratch
            )
            state[t, KEY] = 1
            state[t, TABLE] = 1
            changed[t] = differs
            rewritten += changed[t]
        for i in range(w):
            floats[CARRY, t, i] += floats[IDEAL, t, i] - slots[t, i]
    return rewritten
