"""Compiled steps of division on one link's row of flows: its index, its level, floors that fit."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fabcore.compiled import njit

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

ROUNDING = 1e-9  # floors over a link by less than this share are rounding, not a lost link
# Sums may be reordered, so that a row's clamp vectorises; infinities keep their meaning.
_FAST = {"reassoc", "contract", "nsz"}


@njit(
    "float64(float64[::1], float64[::1], float64[::1], int64, int64, float64, boolean)",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def kink(low: F64, high: F64, weight: F64, begin: int, end: int, x: float, up: bool) -> float:
    """The nearest level above (below) x at which a flow of the row starts to follow the level.

    inf (0) when there is none. Moved by two roundings, so that the flow really follows there.
    """
    best = math.inf if up else 0.0
    for k in range(begin, end):
        if low[k] < high[k] and weight[k] > 0.0:
            if up:
                at = low[k] / weight[k] * (1.0 + 4e-16)
                if x < at < best:
                    best = at
            else:
                at = high[k] / weight[k] * (1.0 - 4e-16)
                if best < at < x:
                    best = at
    return best


@njit(
    "float64(float64[::1], float64[::1], float64[::1], int64, int64, float64, float64, float64)",
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath=_FAST,
)
def row_level(
    low: F64, high: F64, weight: F64, begin: int, end: int, room: float, lower: float, x: float
) -> float:
    """The x >= lower with sum(clamp(weight x, low, high)) = room; inf when every cap fits.

    Newton on a piecewise linear, non-decreasing function, kept inside a bracket: its kinks bend
    both ways. Begins at x.
    """
    upper = math.inf
    # Unsigned, since the wrap-around of negative indices would keep this from being vectorised.
    first, last = np.uint64(begin), np.uint64(end)
    for _ in range(200):
        load = 0.0
        slope = 0.0
        for k in range(first, last):
            w = weight[k]
            g = low[k]
            c = high[k]
            want = w * x
            rate = want if want > g else g
            load += rate if rate < c else c
            slope += w if (want >= g) & (want < c) else 0.0
        gap = room - load
        if abs(gap) <= 1e-14 * room:
            return max(lower, x + gap / slope) if slope > 0.0 else x
        if gap > 0.0:
            lower = max(lower, x)
        else:
            upper = min(upper, x)
            if x <= lower:
                return lower
        if slope > 0.0:
            step = x + gap / slope
        else:
            step = kink(low, high, weight, begin, end, x, gap > 0.0)
            if step == math.inf:
                return step
        if step == x:
            return x
        if not lower <= step < upper:
            step = 0.5 * (lower + upper)
            if step <= lower or step >= upper:
                return lower
        x = step
    return lower


@njit(
    "boolean(int32[:, ::1], int64, int32[::1], int32[::1], int32[::1], int32[::1], int32[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def index(path: I32, links: int, copy: I32, start: I32, fill: I32, flow: I32, slot: I32) -> bool:
    """Lists the flows of every link; False, and no index, when a path is not one.

    flow[start[l]:start[l+1]] are the flows on link l, slot[i * p + q] is where hop q of flow i is.
    """
    n, p = path.shape
    start[: links + 1] = 0
    for i in range(n):
        done = False
        for q in range(p):
            link = path[i, q]
            if link < -1 or link >= links or (done and link >= 0) or (q == 0 and link < 0):
                return False
            copy[i * p + q] = link
            done = link < 0
            if not done:
                start[link + 1] += 1
    for link in range(links):
        start[link + 1] += start[link]
        fill[link] = start[link]
    for i in range(n):
        for q in range(p):
            link = path[i, q]
            slot[i * p + q] = -1
            if link >= 0:
                flow[fill[link]] = i
                slot[i * p + q] = fill[link]
                fill[link] += 1
    return True


@njit(
    "int64(float64[::1], float64[::1], float64[::1], float64[::1], int32[::1], int32[::1],"
    " float64[::1], float64[::1], float64[::1], float64[::1], float64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath=_FAST,
)
def gather(
    floor: F64, cap: F64, weight: F64, capacity: F64, start: I32, flow: I32,
    low: F64, high: F64, rows: F64, level: F64, scale: F64,
) -> int:  # fmt: skip
    """Copies the flows into their rows and finds each link's stand-alone level.

    scale[l] becomes what the floors of link l must be multiplied by to fit, 1 where they do.
    Returns -1 if any must, else 0; such a link's level is 0.
    """
    scaled = 0
    for link in range(capacity.shape[0]):
        begin, end, room = start[link], start[link + 1], capacity[link]
        floors = 0.0
        caps = 0.0
        weights = 0.0
        for k in range(np.uint64(begin), np.uint64(end)):
            i = np.uint32(flow[k])
            g = floor[i]
            c = cap[i]
            c = c if c > g else g
            w = weight[i]
            low[k] = g
            high[k] = c
            rows[k] = w
            floors += g
            caps += c
            weights += w
        scale[link] = 1.0
        if floors > room:
            scale[link] = room / floors
            level[link] = 0.0
            scaled = -1
        elif caps <= room:
            level[link] = math.inf
        elif floors == room:
            level[link] = 0.0
        else:
            guess = level[link]
            if not 0.0 < guess < math.inf:
                guess = room / weights
            level[link] = row_level(low, high, rows, begin, end, room, 0.0, guess)
    return scaled


@njit(
    "int64(float64[::1], int32[:, ::1], float64[::1], float64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def shrink(floor: F64, path: I32, scale: F64, held: F64) -> int:
    """held = floors multiplied by the smallest scale on their paths; returns the links that lack.

    A flow's floor shrinks at least as much as each of its links asks, so the result always fits.
    """
    for i in range(path.shape[0]):
        least = 1.0
        for q in range(path.shape[1]):
            if path[i, q] < 0:
                break
            least = min(least, scale[path[i, q]])
        held[i] = floor[i] * least * (1.0 - 1e-12 * (least < 1.0))  # sums must not round up
    lacking = 0
    for link in range(scale.shape[0]):
        if scale[link] < 1.0 - ROUNDING:
            lacking += 1
    return lacking
