"""Compiled slots: rates to ideal slots with minima, and ideal slots to whole ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fabcore.compiled import njit

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

FUZZ = 1e-9  # slots: less than this above a whole number is rounding


@njit(
    "void(float64[::1], int32[::1], float64, float64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def share_out(want: F64, least: I32, total: float, ideal: F64) -> None:
    """ideal = max(least, theta x want) with the theta that makes it sum to `total`.

    Without any want the total is spread equally over those with a minimum (which must fit).
    """
    k = want.shape[0]
    wanted = 0.0
    for i in range(k):
        ideal[i] = -1.0
        wanted += want[i]
    if not wanted > 0.0:
        holders = 0
        for i in range(k):
            holders += least[i] > 0
        for i in range(k):
            ideal[i] = total / holders if least[i] > 0 else 0.0
        return
    # Whoever falls below its minimum gets it; that leaves less for the rest, so look again.
    theta = total / wanted
    settled = False
    while not settled:
        settled = True
        for i in range(k):
            if ideal[i] < 0.0 and theta * want[i] < least[i]:
                ideal[i] = least[i]
                settled = False
        if not settled:
            left = total
            wanted = 0.0
            for i in range(k):
                if ideal[i] < 0.0:
                    wanted += want[i]
                else:
                    left -= ideal[i]
            theta = max(left, 0.0) / wanted if wanted > 0.0 else 0.0
    for i in range(k):
        if ideal[i] < 0.0:
            ideal[i] = theta * want[i]


@njit(
    "void(float64[::1], int32[::1], int64, int32[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def whole_slots(target: F64, least: I32, total: int, slots: I32) -> None:
    """slots >= least with sum <= total, by exact marginal allocation.

    A slot is worth what it adds to min(slots, target): 1, then the remainder, then nothing. So
    everyone gets the whole part of its target and the largest remainders get the rest; too many
    whole parts give back where the remainder is smallest. Ties go to the lower index.
    """
    k = target.shape[0]
    left = total
    for i in range(k):
        slots[i] = np.int64(max(min(np.floor(target[i] + FUZZ), float(total)), float(least[i])))
        left -= slots[i]
    while left > 0:
        best = -1
        most = FUZZ
        for i in range(k):
            if target[i] - slots[i] > most:
                best = i
                most = target[i] - slots[i]
        if best < 0:
            break
        slots[best] += 1
        left -= 1
    while left < 0:
        worst = -1
        smallest = np.inf
        for i in range(k):
            if slots[i] > least[i] and target[i] - slots[i] < smallest:
                worst = i
                smallest = target[i] - slots[i]
        if worst < 0:
            break
        slots[worst] -= 1
        left += 1


@njit(
    "void(float64[::1], float64[::1], int64, int32[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def owed_slots(ideal: F64, carry: F64, total: int, slots: I32) -> None:
    """slots = ideal rounded up or down, summing to total = sum(ideal); up for who is owed most.

    Whoever is rounded up drifts slowly back instead of jumping ahead, which keeps a table valid
    longer than rounding ideal + carry would. A minimum within `ideal` is kept.
    """
    left = total
    for i in range(ideal.shape[0]):
        slots[i] = np.int32(np.floor(ideal[i] + FUZZ))
        left -= slots[i]
    while left > 0:
        best = -1
        for i in range(ideal.shape[0]):
            if slots[i] < ideal[i] - FUZZ:
                owed = carry[i] + ideal[i] - slots[i]
                if best < 0 or owed > carry[best] + ideal[best] - slots[best]:
                    best = i
        if best < 0:
            break
        slots[best] += 1
        left -= 1


@njit("void(int32[::1], int32[::1])", cache=True, nogil=True, error_model="numpy")
def earliest_deadline(slots: I32, table: I32) -> None:
    """Fills table (N,) with owners, -1 where idle, sum(slots) <= N.

    Copy j of owner i is released at floor(j N / x) and due by ceil((j + 1) N / x) - 1. Taking the
    earliest deadline always meets all of them and keeps every prefix within one slot of its
    share, if the slots sum to N: idle phases are an owner like the others.
    """
    k = slots.shape[0]
    n = table.shape[0]
    count = np.zeros(k + 1, dtype=np.int64)
    due = np.zeros(k + 1, dtype=np.int64)
    released = np.zeros(k + 1, dtype=np.int64)
    done = np.zeros(k + 1, dtype=np.int64)
    idle = n
    for i in range(k):
        count[i] = slots[i]
        idle -= slots[i]
    count[k] = idle
    for i in range(k + 1):
        if count[i] > 0:
            due[i] = (n + count[i] - 1) // count[i] - 1
    for phase in range(n):
        best = -1
        for i in range(k + 1):
            if done[i] < count[i] and released[i] <= phase and (best < 0 or due[i] < due[best]):
                best = i
        table[phase] = best if best < k else -1
        done[best] += 1
        if done[best] < count[best]:
            j = done[best]
            released[best] = j * n // count[best]
            due[best] = ((j + 1) * n + count[best] - 1) // count[best] - 1
