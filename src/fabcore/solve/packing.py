"""Compiled packing of VMs onto modules: feasibility, best fit, take and give back."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fabcore.compiled import njit

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
BOOL = NDArray[np.bool_]

# columns of `wish`, one row per request
SLICES, MODULES, LANES, HOST, GROUP, CURRENT = 0, 1, 2, 3, 4, 5
WISHES = 6
# columns of `free`, one row per module; SHARED counts the VMs in its common lane group
FREE_SLICES, FREE_FUNCTIONS, FREE_LANES, SHARED, ALL_LANES = 0, 1, 2, 3, 4
FREES = 5
SHARED_LANES = 4


@njit(
    "boolean(int64, int64, int32[:, ::1], boolean[:, ::1], int32[:, ::1], boolean[:, ::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def fits_module(i: int, m: int, wish: I32, allowed: BOOL, free: I32, grouped: BOOL) -> bool:
    """Whether slices, functions, lanes and anti-affinity let request i onto module m.

    Widths are powers of two, so lanes that fit in sum have an aligned layout.
    """
    if not allowed[i, m]:
        return False
    if free[m, FREE_SLICES] < wish[i, SLICES] or free[m, FREE_FUNCTIONS] < 1:
        return False
    group = wish[i, GROUP]
    if group >= 0 and grouped[group, m]:
        return False
    lanes = wish[i, LANES]
    if lanes == 0:
        if free[m, SHARED] > 0:
            return True
        lanes = min(SHARED_LANES, free[m, ALL_LANES])
    return bool(free[m, FREE_LANES] >= lanes)


@njit(
    "boolean(int64, int64, int64, float64[:, ::1], int32[:, :, :, ::1], float64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def fits_path(i: int, m: int, h: int, rate: F64, path: I32, room: F64) -> bool:
    """Whether every link between module m and host h has room for the floors of request i."""
    for way in range(2):
        for q in range(path.shape[3]):
            link = path[way, m, h, q]
            if link < 0:
                break
            if room[link] < rate[i, way]:
                return False
    return True


@njit(
    "void(int64, int64, int64, int64, int32[:, ::1], float64[:, ::1], int32[:, :, :, ::1],"
    " int32[:, ::1], float64[::1], boolean[:, ::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def book(
    i: int, m: int, h: int, sign: int, wish: I32, rate: F64, path: I32, free: I32, room: F64,
    grouped: BOOL,
) -> None:  # fmt: skip
    """Takes (sign 1) or gives back (sign -1) what request i needs on module m for host h."""
    free[m, FREE_SLICES] -= sign * wish[i, SLICES]
    free[m, FREE_FUNCTIONS] -= sign
    lanes = wish[i, LANES]
    if lanes == 0:
        first = free[m, SHARED] == 0 if sign > 0 else free[m, SHARED] == 1
        free[m, SHARED] += sign
        lanes = min(SHARED_LANES, free[m, ALL_LANES]) if first else 0
    free[m, FREE_LANES] -= sign * lanes
    if wish[i, GROUP] >= 0:
        grouped[wish[i, GROUP], m] = sign > 0
    for way in range(2):
        for q in range(path.shape[3]):
            link = path[way, m, h, q]
            if link < 0:
                break
            room[link] -= sign * rate[i, way]


@njit(
    "float64(int64, int64, int64, int32[:, ::1], float64[:, ::1], int32[:, :, :, ::1],"
    " int32[:, ::1], float64[::1], float64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _score(
    i: int, m: int, h: int, wish: I32, rate: F64, path: I32, free: I32, room: F64, capacity: F64
) -> float:
    """How badly request i fits on module m for host h: what is left over, and how unevenly.

    A tight, balanced module and a near host with much room score low.
    """
    slices = (free[m, FREE_SLICES] - wish[i, SLICES]) / 32.0
    lanes = max(free[m, FREE_LANES] - wish[i, LANES], 0) / free[m, ALL_LANES]
    most = max(slices, lanes)
    least = min(slices, lanes)
    total = slices + lanes
    narrow = 1.0  # share of room on the fullest link beyond the module
    hops = 0
    for way in range(2):
        for q in range(path.shape[3]):
            link = path[way, m, h, q]
            if link < 0:
                break
            left = (room[link] - rate[i, way]) / capacity[link] if capacity[link] > 0.0 else 0.0
            own = (way == 0 and q == 0) or (
                way == 1 and (q + 1 == path.shape[3] or path[way, m, h, q + 1] < 0)
            )
            if own:
                total += left
                most = max(most, left)
                least = min(least, left)
            else:
                hops += 1
                narrow = min(narrow, left)
    cost: float = 0.25 * total + 0.5 * (most - least) + 0.1 * (hops - 2) + 0.2 * (1.0 - narrow)
    return cost


@njit(
    "boolean(int64, int64, int64, int32[:, ::1], float64[:, ::1], boolean[:, ::1],"
    " int32[:, :, :, ::1], float64[::1], int32[:, ::1], float64[::1], boolean[:, ::1],"
    " int32[:, ::1], float64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _seat(
    i: int, must: int, h: int, wish: I32, rate: F64, allowed: BOOL, path: I32, capacity: F64,
    free: I32, room: F64, grouped: BOOL, module: I32, score: F64,
) -> bool:  # fmt: skip
    """Seats request i for host h, with module `must` (unless -1) first; nothing taken if not.

    score[0] becomes the sum of its modules' scores.
    """
    total = 0.0
    for k in range(wish[i, MODULES]):
        best = -1
        lowest = math.inf
        for m in range(free.shape[0]):
            if k == 0 and must >= 0 and m != must:
                continue
            taken = False
            for j in range(k):
                taken |= module[i, j] == m
            if taken or not fits_module(i, m, wish, allowed, free, grouped):
                continue
            if not fits_path(i, m, h, rate, path, room):
                continue
            cost = _score(i, m, h, wish, rate, path, free, room, capacity)
            if cost < lowest:
                best, lowest = m, cost
        if best < 0:
            for j in range(k):
                book(i, module[i, j], h, -1, wish, rate, path, free, room, grouped)
                module[i, j] = -1
            return False
        module[i, k] = best
        total += lowest
        book(i, best, h, 1, wish, rate, path, free, room, grouped)
    score[0] = total
    return True


@njit(
    "boolean(int64, int64, int32[:, ::1], float64[:, ::1], boolean[:, ::1],"
    " int32[:, :, :, ::1], float64[::1], int32[:, ::1], float64[::1], boolean[:, ::1],"
    " int32[:, ::1], int32[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _admit(
    i: int, must: int, wish: I32, rate: F64, allowed: BOOL, path: I32, capacity: F64,
    free: I32, room: F64, grouped: BOOL, module: I32, host: I32,
) -> bool:  # fmt: skip
    """Seats request i for its host, or for the host where it fits best."""
    score = np.zeros(1)
    chosen = wish[i, HOST]
    if chosen < 0:
        lowest = math.inf
        for h in range(path.shape[2]):
            if _seat(
                i, must, h, wish, rate, allowed, path, capacity, free, room, grouped, module, score
            ):
                for k in range(wish[i, MODULES]):
                    book(i, module[i, k], h, -1, wish, rate, path, free, room, grouped)
                    module[i, k] = -1
                if score[0] < lowest:
                    chosen, lowest = h, score[0]
        if chosen < 0:
            return False
    if not _seat(
        i, must, chosen, wish, rate, allowed, path, capacity, free, room, grouped, module, score
    ):
        return False
    host[i] = chosen
    return True


@njit(
    "void(int64[::1], int32[:, ::1], float64[:, ::1], boolean[:, ::1], int32[:, :, :, ::1],"
    " float64[::1], int32[:, ::1], float64[::1], boolean[:, ::1], int32[:, ::1], int32[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def pack(
    order: NDArray[np.int64], wish: I32, rate: F64, allowed: BOOL, path: I32, capacity: F64,
    free: I32, room: F64, grouped: BOOL, module: I32, host: I32,
) -> None:  # fmt: skip
    """Seats requests in order: first all that can stay where they are, then the others.

    wish (n, WISHES), rate (n, 2) floors up and down, allowed (n, M), path (2, M, H, p); free
    (M, FREES), room (L,), grouped (groups, M) are what is left and change; module (n, k) and
    host (n,) come as -1 and are filled for the requests that found a place.
    """
    for at in range(order.shape[0]):
        i = order[at]
        if wish[i, CURRENT] >= 0:
            _admit(
                i, wish[i, CURRENT], wish, rate, allowed, path, capacity, free, room, grouped,
                module, host,
            )  # fmt: skip
    for at in range(order.shape[0]):
        i = order[at]
        if host[i] < 0:
            _admit(i, -1, wish, rate, allowed, path, capacity, free, room, grouped, module, host)
