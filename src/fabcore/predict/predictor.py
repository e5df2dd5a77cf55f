"""QPredictor: one reservation per VM and sample, from its own history alone."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fabcore.errors import FabricError
from fabcore.predict import layout as at
from fabcore.predict.kernels import acceptable, advance_rows
from fabcore.predict.prior import new_rows

F64 = NDArray[np.float64]
FORMAT = 1  # of saved predictors
MOST = 1e15  # B/s; no demand is larger (observe/tracefile.py)
MAX_HORIZON = 64


class QPredictor:
    """What to hold for each of n VMs (or flows) over the next `horizon` samples.

    A contextual bandit (discount 0): a linear Q-function gives the expected cost of each of a few
    levels around an online quantile regression and the VM's own history; the cheapest is held,
    unless an expert (the regression, or a decayed quantile) has lately cost less. The cost of a
    byte too little is cost_under, of a byte too much cost_over (scalars or (n,)). Every level's
    cost is known once the demand is seen, so nothing is explored and `seed` draws nothing.

    cap: B/s, scalar or (n,), that no reservation passes; None = 10 x the VM's recent peak.
    weights: "default" (the shared weights that ship) or "none" (start cold). period_s is kept with
    a saved predictor for whoever loads it. One thread at a time.
    """

    def __init__(
        self,
        n: int,
        cost_under: ArrayLike = 10.0,
        cost_over: ArrayLike = 1.0,
        horizon: int = 1,
        seed: int = 0,
        *,
        weights: str = "default",
        period_s: float | None = None,
        cap: ArrayLike | None = None,
    ) -> None:
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0:
            raise FabricError(f"n {n!r} is no number of VMs")
        if not isinstance(horizon, int | np.integer) or not 1 <= horizon <= MAX_HORIZON:
            raise FabricError(f"horizon {horizon!r} is not in 1 to {MAX_HORIZON} samples")
        under, over = _per_vm("cost_under", cost_under, n), _per_vm("cost_over", cost_over, n)
        if not (np.isfinite(under + over).all() and (under > 0).all() and (over > 0).all()):
            raise FabricError("cost_under and cost_over must be finite and above 0")
        caps = np.full(n, math.inf) if cap is None else _per_vm("cap", cap, n)
        if not (caps >= 0).all():
            raise FabricError("cap must be rates of at least 0")
        if period_s is not None and not (math.isfinite(period_s) and period_s > 0):
            raise FabricError(f"period_s {period_s!r} is no time")
        self.n, self.horizon, self.seed, self.period_s = int(n), int(horizon), seed, period_s
        self._tau = under / (under + over)
        self._cap = caps
        self._state = new_rows(self.n, self.horizon, weights)
        self._rows = np.arange(self.n, dtype=np.int64)

    def step(self, demand: ArrayLike) -> F64:
        """Takes the sample's demand (n,) B/s; the reservation (n,) B/s for the samples after it.

        NaN = the VM is absent: its state stands still and NaN comes out. FabricError, with nothing
        changed, for another shape and for what is negative or infinite.
        """
        given = np.array(demand, dtype=np.float64)
        if given.shape != (self.n,):
            raise FabricError(f"demand has shape {given.shape}, expected ({self.n},)")
        if not acceptable(given, MOST):
            raise FabricError(f"demand must be NaN (absent) or 0 to {MOST:g} B/s")
        out = np.full(self.n, np.nan)
        advance_rows(
            self._state, self._rows, self.n, given, out, self.horizon, self._tau, self._cap
        )
        return out

    def explain(self, vm: int) -> dict[str, Any]:
        """What row `vm` decided last: reservation (B/s), expert, and the experts' decayed costs."""
        if not 0 <= vm < self.n:
            raise FabricError(f"there is no row {vm}: the predictor has {self.n}")
        row = self._state[vm]
        names = ("q", "regression", "quantile")
        costs = row[at.COST : at.COST + at.EXPERTS].tolist()
        return {
            "samples": int(row[at.SEEN]),
            "reservation": float(row[at.RESERVED]),
            "expert": names[int(row[at.PICKED])],
            "costs": dict(zip(names, costs, strict=True)),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the whole state; the file is the old one or the new one, never half of each."""
        meta = {
            "format": FORMAT, "features": at.FEATURES, "actions": at.ACTIONS, "n": self.n,
            "horizon": self.horizon, "seed": self.seed, "period_s": self.period_s,
        }  # fmt: skip
        target = Path(path)
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(
                    file, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8),
                    state=self._state, tau=self._tau, cap=self._cap,
                )  # fmt: skip
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> QPredictor:
        """A predictor that goes on where `save` left it; FabricError for any other file."""
        where = os.fspath(path)
        try:
            data = io.BytesIO(Path(path).read_bytes())
            with np.load(data, allow_pickle=False) as file:
                meta = json.loads(file["meta"].tobytes())
                arrays = {name: np.array(file[name]) for name in ("state", "tau", "cap")}
        except OSError as error:
            raise FabricError(f"{where}: cannot be read: {error.strerror or error}") from error
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile, TypeError) as error:
            raise FabricError(f"{where}: is no saved predictor, or a damaged one") from error
        same = isinstance(meta, dict) and (meta.get("format"), meta.get("features")) == (
            FORMAT,
            at.FEATURES,
        )
        if not same or meta.get("actions") != at.ACTIONS:
            raise FabricError(f"{where}: was saved by another version of the predictor")
        made = cls(meta["n"], horizon=meta["horizon"], seed=meta["seed"], weights="none")
        if (
            arrays["state"].shape != made._state.shape
            or arrays["tau"].shape != (made.n,)
            or arrays["cap"].shape != (made.n,)
        ):
            raise FabricError(f"{where}: is no saved predictor, or a damaged one")
        made.period_s = meta["period_s"]
        made._state, made._tau, made._cap = arrays["state"], arrays["tau"], arrays["cap"]
        return made


def _per_vm(what: str, value: ArrayLike, n: int) -> F64:
    try:
        return np.broadcast_to(np.asarray(value, dtype=np.float64), (n,)).copy()
    except (ValueError, TypeError):
        raise FabricError(f"{what} must be a number or an array ({n},)") from None
