"""QPredictor: reservations for n VMs from their demand, sample by sample."""

from __future__ import annotations

import io
import math
import os
import zipfile
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fabcore.errors import FabricError
from fabcore.predict import layout as at
from fabcore.predict.kernels import acceptable
from fabcore.predict.population import Population, find_weights, per_row
from fabcore.predict.weights import Weights, cold, replace, seal, unseal

Floats = NDArray[np.float64]
DEMAND_MAX = 1e18  # B/s; squares of it still sum without overflow
HORIZON_MAX = 4096


class QPredictor:
    """An all-action linear Q-function per VM around an online quantile regression.

    Each sample prices eight levels that might have been held (parts and multiples of the base
    forecast, the last value with and without its residual, a recent maximum and a high quantile)
    at cost_under per byte that was short and cost_over per byte that lay idle; all of them learn,
    by recursive least squares. It is a contextual bandit with known costs (discount 0): nothing is
    drawn at random, `seed` is only kept, and the same demands give the same reservations.

    A VM starts from shared weights (weights="default": those that ship; a file of
    `fabcore.predict.train`; None: nothing learned). Only the ratio of the costs matters. period_s
    is kept for the record: the memory of the predictor counts samples, not seconds. Reservations
    lie in 0 .. cap, and without a cap below ten times the VM's own recent peak.

    One thread at a time; `step` runs without the GIL.
    """

    def __init__(
        self,
        n: int,
        cost_under: ArrayLike = 10.0,
        cost_over: ArrayLike = 1.0,
        horizon: int = 1,
        seed: int = 0,
        *,
        weights: str | os.PathLike[str] | Weights | None = "default",
        period_s: float | None = None,
        cap: ArrayLike | None = None,
    ) -> None:
        """n VMs; costs (scalar or (n,)) per byte, > 0; horizon in samples; cap B/s."""
        if not isinstance(n, int | np.integer) or n < 1:
            raise FabricError(f"n: expected at least 1 VM, got {n!r}")
        if not isinstance(horizon, int | np.integer) or not 1 <= horizon <= HORIZON_MAX:
            raise FabricError(f"horizon: expected 1 .. {HORIZON_MAX} samples, got {horizon!r}")
        if period_s is not None and not 0.0 < period_s < math.inf:
            raise FabricError(f"period_s: expected seconds above 0, got {period_s!r}")
        under = per_row("cost_under", cost_under, n, "per byte")
        over = per_row("cost_over", cost_over, n, "per byte")
        if not (np.isfinite(under).all() and np.isfinite(over).all()):
            raise FabricError("cost_under, cost_over: must be finite")
        limit = None if cap is None else per_row("cap", cap, n, "B/s", low=-1.0)
        self.n = int(n)
        self.horizon = int(horizon)
        self.seed = int(seed)
        self.period_s = period_s
        self._rows = np.arange(self.n)
        self._population = Population(self.n, under, over, self.horizon, find_weights(weights))
        if limit is not None:
            self._population.cap[:] = limit

    def step(self, demand: ArrayLike) -> Floats:
        """Take one sample's demand (n,) B/s; returns the reservation (n,) B/s to hold next.

        Call it once per sample period; what it returns is for a block of `horizon` samples that
        starts now. NaN = that VM is absent: its state stands still and NaN comes out. A negative
        or infinite demand, or another shape, raises FabricError and nothing changes.
        """
        try:
            d = np.ascontiguousarray(demand, dtype=np.float64)
        except (TypeError, ValueError):
            raise FabricError(f"demand: expected {self.n} numbers in B/s") from None
        if d.shape != (self.n,):
            raise FabricError(f"demand: expected shape ({self.n},), got {d.shape}")
        if not acceptable(d, DEMAND_MAX):
            bad = np.flatnonzero((d < 0.0) | (d > DEMAND_MAX))[0]
            raise FabricError(
                f"demand: {d[bad]} B/s of VM {bad} is not a rate; give 0 .. {DEMAND_MAX:g}, "
                "or NaN for a VM that is absent"
            )
        reservation = np.full(self.n, np.nan)
        self._population.advance(self._rows, self.n, d, reservation)
        return reservation

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the whole state, atomically; `load` continues from it to the last bit."""
        buffer = io.BytesIO()
        population = self._population
        np.savez(
            buffer,
            layout=_layout(),
            header=np.array([self.horizon, self.seed], np.int64),
            period_s=np.float64(math.nan if self.period_s is None else self.period_s),
            tau=population.tau,
            cap=population.cap,
            state=population.state,
        )
        replace(path, seal(buffer.getvalue()))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote; a damaged file or one of another version raises FabricError."""
        try:
            with np.load(io.BytesIO(unseal(path)), allow_pickle=False) as file:
                saved = {name: file[name] for name in file.files}
            same = np.array_equal(saved["layout"], _layout())
            horizon, seed = saved["header"].tolist()
            period_s = float(saved["period_s"])
            tau, cap, state = saved["tau"], saved["cap"], saved["state"]
        except (KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
            raise FabricError(f"{path}: not a saved predictor ({error})") from None
        if not same:
            raise FabricError(f"{path}: saved by another version; start a new predictor")
        n = tau.size
        if cap.shape != (n,) or state.shape != (n, at.row_length(horizon)):
            raise FabricError(f"{path}: its arrays do not fit each other; use an older copy")
        period = None if math.isnan(period_s) else period_s
        loaded = cls(n, tau, 1.0 - tau, horizon, seed, weights=cold(), period_s=period, cap=cap)
        loaded._population.tau[:] = tau
        loaded._population.state[:] = state
        return loaded


def _layout() -> NDArray[np.int64]:
    """What a state's numbers depend on."""
    return np.array([at.FEATURES, at.ACTIONS, at.EXPERTS, at.WINDOW, at.BINS, at.PENDING])
