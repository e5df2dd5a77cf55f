"""Compiled steps of switching: flows' grants summed by egress port and ingress."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

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
