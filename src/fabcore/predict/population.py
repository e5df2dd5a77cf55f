"""The rows of a predictor: state arrays, costs and caps, checked once and then only advanced."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fabcore.errors import FabricError
from fabcore.predict import layout as at
from fabcore.predict.kernels import P0, advance_rows
from fabcore.predict.weights import SHIPPED, Weights, cold, load_weights

Floats = NDArray[np.float64]


def per_row(name: str, value: ArrayLike, n: int, unit: str, low: float = 0.0) -> Floats:
    """(n,) float64 from a scalar or (n,); refuses NaN and what is not above `low`."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise FabricError(f"{name}: expected a number or {n} numbers, got {value!r}") from None
    if array.shape not in ((), (n,)):
        raise FabricError(f"{name}: expected a number or shape ({n},), got {array.shape}")
    if not (array > low).all() if low >= 0 else not (array >= 0).all():
        raise FabricError(f"{name}: must be {'above 0' if low >= 0 else 'at least 0'} {unit}")
    return np.broadcast_to(array, (n,)).copy()


def find_weights(weights: str | os.PathLike[str] | Weights | None) -> Weights:
    """The weights named: "default" (shipped), None (nothing learned), a file, or themselves."""
    if isinstance(weights, Weights):
        return weights
    if weights is None:
        return cold()
    return load_weights(SHIPPED if weights == "default" else weights)


class Population:
    """State of n rows and how they advance; one thread at a time.

    state (n, row_length) float64; tau (n,) cost_under / (cost_under + cost_over); cap (n,) B/s.
    """

    def __init__(
        self, n: int, cost_under: Floats, cost_over: Floats, horizon: int, weights: Weights
    ) -> None:
        self.horizon = horizon
        self.weights = weights
        self.tau: Floats = cost_under / (cost_under + cost_over)
        self.cap: Floats = np.full(n, np.inf)
        self.state: Floats = np.zeros((n, at.row_length(horizon)))
        self.begin(np.arange(n))

    def begin(self, rows: NDArray[np.int64]) -> None:
        """Forget what these rows have seen: they start from the shared weights again."""
        self.state[rows] = 0.0
        for i in range(at.FEATURES):
            self.state[rows, at.P + i * (at.FEATURES + 1)] = P0
        self.state[rows, at.BASE : at.BASE + at.FEATURES] = self.weights.base
        for tau in np.unique(self.tau[rows]):
            some = rows[self.tau[rows] == tau]
            theta = self.weights.theta(float(tau)).ravel()
            self.state[some, at.THETA : at.THETA + theta.size] = theta

    def advance(
        self, rows: NDArray[np.int64], count: int, demand: Floats, reservation: Floats
    ) -> None:
        """One sample for the first `count` of `rows`; arrays are over all rows, B/s."""
        advance_rows(self.state, rows, count, demand, reservation, self.horizon, self.tau, self.cap)
