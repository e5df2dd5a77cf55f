"""What a new row starts from: the shared weights that ship, and how sure it is of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fabcore.errors import FabricError
from fabcore.predict import layout as at
from fabcore.predict.kernels import P0

CREDIT = "Zhejiang Lab LLM Trace Program, Zhejiang Lab, 2024, CC BY 4.0"
WEIGHTS = Path(__file__).with_name("weights.npz")


@cache
def shipped() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(theta, base): (FEATURES, ACTIONS) and (FEATURES,), shared weights of the package.

    Trained on "Zhejiang Lab LLM Trace Program, Zhejiang Lab, 2024" (CC BY 4.0) alone, by
    `python -m fabcore.predict.train`. Zeros where the file is not there: then every row starts cold.
    """
    if not WEIGHTS.exists():
        return np.zeros((at.FEATURES, at.ACTIONS)), np.zeros(at.FEATURES)
    with np.load(WEIGHTS) as file:
        theta, base = file["theta"].astype(np.float64), file["base"].astype(np.float64)
    if theta.shape != (at.FEATURES, at.ACTIONS) or base.shape != (at.FEATURES,):
        raise FabricError(f"{WEIGHTS.name} belongs to another version: reinstall fabcore")
    return theta, base


def new_rows(n: int, horizon: int, weights: str = "default") -> NDArray[np.float64]:
    """(n, row_length) fresh rows; weights "default" = the shipped ones, "none" = cold."""
    rows = np.zeros((n, at.row_length(horizon)))
    square = rows[:, at.P : at.P + at.FEATURES**2].reshape(n, at.FEATURES, at.FEATURES)
    square[:, range(at.FEATURES), range(at.FEATURES)] = P0
    if weights == "default":
        theta, base = shipped()
        rows[:, at.THETA : at.THETA + theta.size] = theta.ravel()
        rows[:, at.BASE : at.BASE + base.size] = base
    elif weights != "none":
        raise FabricError(f"weights {weights!r}: use 'default' or 'none'")
    return rows
