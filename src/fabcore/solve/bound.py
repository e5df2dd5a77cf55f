"""An upper bound on what any placement can be worth, and the prices that prove it.

For any prices y >= 0 of the node's total resources, y x totals + sum(max(0, value - y x needs)) is
at least the value of every placement (weak duality of the aggregated problem).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

NEGLIGIBLE = 1e-12  # share of a resource that no price needs to look at; any price is valid


def bound(value: F64, needs: F64, totals: F64, starts: int = 3) -> tuple[float, F64]:
    """The smallest bound found, and its prices (R,).

    value (n,); needs (R, n) of each resource; totals (R,). One price after the other is set to its
    best given the others. That can get stuck, so it is started from each of the `starts` resources
    that bound most by themselves.
    """
    unit = float(value.max(initial=0.0)) or 1.0
    value = value / unit
    best, prices = float(value.sum()), np.zeros(len(totals))
    short = np.flatnonzero(needs.sum(axis=1) > totals)
    alone = []
    for r in short:
        price = _price(value, needs[r], totals[r])
        alone.append(price * totals[r] + float(np.maximum(value - price * needs[r], 0.0).sum()))
    ranked = short[np.argsort(alone, kind="stable")]
    for first in ranked[:starts]:
        y = np.zeros(len(totals))
        paid = np.zeros(len(value))
        last = np.inf
        for _ in range(3):
            for r in (first, *ranked[ranked != first]):
                paid -= y[r] * needs[r]
                y[r] = _price(value - paid, needs[r], totals[r])
                paid += y[r] * needs[r]
            # From the prices themselves: no rounding of `paid` can make this less than a bound.
            worth = float(y @ totals + np.maximum(value - y @ needs, 0.0).sum())
            if worth < best:
                best, prices = worth, y.copy()
            if worth > last * (1.0 - 1e-6):
                break
            last = worth
    return best * unit, prices * unit


def _price(value: F64, need: F64, total: float) -> float:
    """The price of one resource at which what is worth it just exceeds the total; 0 if it fits."""
    items = np.flatnonzero((value > 0.0) & (need > NEGLIGIBLE))
    density = value[items] / need[items]
    order = np.argsort(-density, kind="stable")
    filled = np.cumsum(need[items][order])
    at = int(np.searchsorted(filled, total, side="right"))
    return float(density[order[at]]) if at < len(order) else 0.0
