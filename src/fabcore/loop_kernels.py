"""The compiled step between predict and solve: what each flow may be granted at most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fabcore.compiled import njit

F64 = NDArray[np.float64]


@njit(
    "void(float64[::1], float64[::1], float64[::1], float64[::1], float64, float64[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def bound_grants(
    reservation: F64, backlog: F64, floor: F64, limit: F64, horizon_s: float, cap: F64
) -> None:
    """cap[i] = what divide may give flow i, B/s: its reservation, never less than what is waiting.

    All (f,): reservation B/s, NaN = nothing known yet, so the flow's own limit; backlog bytes, to
    be served within horizon_s; floor, limit B/s. floor <= cap <= limit holds wherever
    floor <= limit does.
    """
    for i in range(cap.shape[0]):
        want = limit[i] if np.isnan(reservation[i]) else reservation[i]
        waiting = backlog[i] / horizon_s
        want = max(want, waiting)
        cap[i] = max(min(want, limit[i]), floor[i])
