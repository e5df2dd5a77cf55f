"""Compiled steps of switching: flows' grants summed by egress port and ingress."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fabcore.compiled import njit

F64 = NDArray[np.float64]


@njit(
    "void(float64[::1], int32[:, ::1], int32[:, ::1], float64[:, ::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def sum_by_ingress(
    grant: F64, target: NDArray[np.int32], column: NDArray[np.int32], rates: F64
) -> None:
    """rates[t, k] = the grants (B/s) of all flows that reach arbitration target t by its column k.

    grant (f,); target, column (f, h) int32 with -1 only trailing; rates (t, k) is overwritten.
    """
    rates[:, :] = 0.0
    for flow in range(grant.shape[0]):
        for hop in range(target.shape[1]):
            t = target[flow, hop]
            if t < 0:
                break
            rates[t, column[flow, hop]] += grant[flow]


@njit(
    "int64(float64[::1], int64[::1], float64[:, ::1], float64[::1], float64)",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def shaper_error(
    grant: F64, slot: NDArray[np.int64], held: F64, error: F64, tolerance: float
) -> int:
    """How many shapers are off; error[k] = the larger relative distance of shaper k, 0 within tolerance.

    grant (2 x capacity,) B/s; slot (k,); held (k, 2) B/s, NaN = never written (infinitely off).
    """
    capacity = grant.shape[0] // 2
    off = 0
    for k in range(slot.shape[0]):
        worst = 0.0
        for way in range(2):
            want = grant[way * capacity + slot[k]]
            has = held[k, way]
            if np.isnan(has):
                worst = np.inf
            else:
                scale = max(want, has, 1e6)
                worst = max(worst, abs(want - has) / scale)
        error[k] = worst if worst > tolerance else 0.0
        off += worst > tolerance
    return off
