"""The compiled certificate: how far rates are from being the weighted max-min division."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fabcore.compiled import njit

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

# A rate this far above its floor, as a share of the tightest link, is not held there by it.
ABOVE = 1e-10


@njit(
    "float64(float64[::1], float64[::1], float64[::1], float64[::1], int32[:, ::1], float64[::1],"
    " float64[::1], float64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _bounds(
    rates: F64, floor: F64, cap: F64, weight: F64, path: I32, capacity: F64, load: F64, top: F64
) -> float:
    """Fills load (B/s) and top (largest rate / weight of a flow above its floor) of every link.

    Returns the worst of floor - rate and rate - cap, relative to the tightest link of the path.
    """
    load[:] = 0.0
    top[:] = 0.0
    worst = 0.0
    for i in range(path.shape[0]):
        rate = rates[i]
        tight = math.inf
        for q in range(path.shape[1]):
            link = path[i, q]
            if link < 0:
                break
            load[link] += rate
            if capacity[link] < tight:
                tight = capacity[link]
        excess = max(floor[i] - rate, rate - max(cap[i], floor[i]))
        if excess > 0.0:
            worst = max(worst, excess / tight)
        if rate - floor[i] > ABOVE * tight:
            share = rate / weight[i]
            for q in range(path.shape[1]):
                link = path[i, q]
                if link < 0:
                    break
                if share > top[link]:
                    top[link] = share
    return worst


@njit(
    "float64(float64[::1], float64[::1], float64[::1], float64[::1], int32[:, ::1], float64[::1],"
    " float64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def certificate(
    rates: F64, floor: F64, cap: F64, weight: F64, path: I32, capacity: F64, floats: F64
) -> float:
    """The largest violation, dimensionless (contract.md section 3); floats: 3 words per link.

    A flow is in order when it is at its cap, or some full link of its path carries no flow above
    its floor with a larger rate / weight. How much misses for that is its bottleneck gap: over
    its links the smallest of max(room left / capacity, 1 - its rate / weight / the largest one).
    """
    n, p = path.shape
    links = capacity.shape[0]
    load = floats[:links]
    top = floats[links : 2 * links]
    spare = floats[2 * links : 3 * links]
    worst = _bounds(rates, floor, cap, weight, path, capacity, load, top)
    for link in range(links):
        spare[link] = 0.0
        if load[link] > capacity[link]:
            worst = max(worst, (load[link] - capacity[link]) / capacity[link])
        elif capacity[link] > 0.0:
            spare[link] = (capacity[link] - load[link]) / capacity[link]
    for i in range(n):
        below = cap[i] - rates[i]
        if below <= 0.0:
            continue
        share = rates[i] / weight[i]
        gap = math.inf
        tight = math.inf
        for q in range(p):
            link = path[i, q]
            if link < 0:
                break
            miss = spare[link]
            if top[link] > share:
                miss = max(miss, 1.0 - share / top[link])
            gap = min(gap, miss)
            tight = min(tight, capacity[link])
        if gap > worst:
            # Below its cap by less than that is as good as at its cap.
            worst = max(worst, min(gap, below / tight))
    return worst
