"""Trains the shared weights: python -m fabcore.predict.train a100_nic_1s.parquet -o weights.npz

Uses the training group's first 60 % only (predict/protocol.py). The regression's weights are the mean
of what each VM learned for itself; the Q-function's are ridge regression of every action's cost on
the features, over all VMs and steps. Credit: "Zhejiang Lab LLM Trace Program, Zhejiang Lab, 2024",
CC BY 4.0.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from numpy.typing import NDArray

from fabcore.predict import layout as at
from fabcore.predict.kernels import COST_MAX, advance_rows
from fabcore.predict.prior import CREDIT, WEIGHTS, new_rows
from fabcore.predict.protocol import Series, matrix, nic_series

F64 = NDArray[np.float64]
RIDGE = 1e-3  # of the mean square of the features
WARM_UP = 60  # samples of each VM before its steps count


def train(series: list[Series], under: float = 10.0, over: float = 1.0) -> tuple[F64, F64]:
    """(theta (FEATURES, ACTIONS), base (FEATURES,)) from the first 60 % of the series."""
    demand, cap = matrix([Series(s.name, s.demand[: s.split], s.cap, False) for s in series])
    tau = under / (under + over)
    cold = new_rows(len(series), 1, "none")
    for _ in _steps(cold, demand, tau, cap):
        pass
    base = cold[:, at.BASE : at.BASE + at.FEATURES].mean(axis=0)
    rows = new_rows(len(series), 1, "none")
    rows[:, at.BASE : at.BASE + at.FEATURES] = base
    square, cross = np.zeros((at.FEATURES, at.FEATURES)), np.zeros((at.FEATURES, at.ACTIONS))
    before: tuple[F64, F64, F64] | None = None
    for step, _ in _steps(rows, demand, tau, cap):
        if before is not None and step >= WARM_UP:
            phi, levels, unit = before
            use = (unit > 0) & ~np.isnan(demand[:, step])
            short = demand[use, step, None] - levels[use]
            cost = np.maximum(tau * short, (tau - 1.0) * short) / unit[use, None]
            square += phi[use].T @ phi[use]
            cross += phi[use].T @ np.minimum(cost, COST_MAX)
        f = rows[:, at.PENDING : at.PENDING + at.FORECAST]
        before = (
            f[:, : at.FEATURES].copy(),
            f[:, at.LEVELS : at.LEVELS + at.ACTIONS].copy(),
            f[:, at.SCALE].copy(),
        )
    square[np.diag_indices(at.FEATURES)] += RIDGE * np.trace(square) / at.FEATURES
    return np.linalg.solve(square, cross), base


def _steps(rows: F64, demand: F64, tau: float, cap: F64):  # type: ignore[no-untyped-def]
    """Advances all rows step by step; yields (step, reservations) after each."""
    n = len(rows)
    index, taus, out = np.arange(n), np.full(n, tau), np.full(n, np.nan)
    for step in range(demand.shape[1]):
        column = np.ascontiguousarray(demand[:, step])
        advance_rows(rows, index, n, column, out, 1, taus, cap)
        yield step, out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trace", help="a100_nic_1s.parquet")
    parser.add_argument("-o", "--output", default=str(WEIGHTS))
    args = parser.parse_args()
    series = [s for s in nic_series(args.trace) if not s.held_out]
    print(f"{len(series)} series of the training group", file=sys.stderr)
    theta, base = train(series)
    np.savez(
        args.output, theta=theta.astype(np.float32), base=base.astype(np.float32),
        credit=np.array(CREDIT),
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
