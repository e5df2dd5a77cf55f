"""Learns the shared weights from a trace: python -m fabcore.predict.train TRACE -o weights.npz."""

from __future__ import annotations

import argparse
import sys

import numpy as np
from numpy.typing import NDArray

from fabcore.errors import FabricError
from fabcore.predict import layout as at
from fabcore.predict.judge import TRAIN_SHARE, SeriesSet, load_series
from fabcore.predict.kernels import COST_MAX
from fabcore.predict.population import Population
from fabcore.predict.weights import SHIPPED, Weights, cold

Floats = NDArray[np.float64]
CREDIT = "Zhejiang Lab LLM Trace Program, Zhejiang Lab, 2024, CC BY 4.0"
COST_UNDER, COST_OVER = 10.0, 1.0
SETTLED = 48  # samples after which a row's window holds only real ones


def train(series: SeriesSet, credit: str = CREDIT) -> Weights:
    """Weights from the first 60 % of every series given (leave the test group out).

    First the base forecasts run from nothing, and their means are shared. Then rows that start
    from those run once more: least squares over all their forecasts and outcomes gives the bytes
    short and idle that each action costs, given the features.
    """
    length = (TRAIN_SHARE * series.length).astype(np.int64)
    demand = series.demand.copy()
    demand[np.arange(len(demand))[:, None] >= length] = np.nan
    rows, _ = _run(demand, series.cap, cold())
    base = rows.state[:, at.BASE : at.BASE + at.FEATURES].mean(axis=0)
    start = Weights(base, cold().under, cold().over, credit)
    _, forecasts = _run(demand, series.cap, start)
    square = 1e-3 * np.eye(at.FEATURES)
    short = np.zeros((at.FEATURES, at.ACTIONS))
    idle = np.zeros((at.FEATURES, at.ACTIONS))
    for forecast, after in zip(forecasts[SETTLED:-1], demand[SETTLED + 1 :], strict=True):
        known = np.isfinite(forecast[:, 0]) & np.isfinite(after)
        phi = forecast[known, : at.FEATURES]
        level = forecast[known, at.LEVELS : at.LEVELS + at.ACTIONS]
        scale = forecast[known, at.SCALE, None]
        missing = (after[known, None] - level) / scale
        square += phi.T @ phi
        short += phi.T @ np.clip(missing, 0.0, COST_MAX)
        idle += phi.T @ np.clip(-missing, 0.0, COST_MAX)
    under, over = (np.linalg.solve(square, cost).astype(np.float64) for cost in (short, idle))
    return Weights(base, under, over, credit)


def _run(demand: Floats, cap: Floats, weights: Weights) -> tuple[Population, Floats]:
    """Rows after all of `demand`, and each step's forecasts (steps, n, FORECAST), NaN if none."""
    n = demand.shape[1]
    under, over = np.full(n, COST_UNDER), np.full(n, COST_OVER)
    rows = Population(n, under, over, 1, weights)
    rows.cap[:] = cap
    forecasts = np.full((len(demand), n, at.FORECAST), np.nan)
    ignored = np.empty(n)
    for step, d in enumerate(demand):
        rows.advance(np.arange(n), n, np.ascontiguousarray(d), ignored)
        made = rows.state[:, at.PENDING : at.PENDING + at.FORECAST]
        there = np.isfinite(d) & (made[:, at.SCALE] > 0.0)
        forecasts[step, there] = made[there]
    return rows, forecasts


def main(argv: list[str] | None = None) -> int:
    """Train on the series of a trace that are not in the test group, and write the weights."""
    parser = argparse.ArgumentParser(prog="python -m fabcore.predict.train", description=__doc__)
    parser.add_argument("trace", help="trace of 1 s steps (Parquet or CSV), used in 2 s bins")
    parser.add_argument("-o", "--out", default=str(SHIPPED), help="file to write")
    parser.add_argument("--credit", default=CREDIT, help="source and licence of the trace")
    args = parser.parse_args(argv)
    try:
        series = load_series(args.trace, "max", 2, 20e6)
        chosen = series.choose(~series.test)
        train(chosen, args.credit).save(args.out)
    except FabricError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{args.out}: {chosen.length.size} series, {int(chosen.length.sum())} steps")
    return 0


if __name__ == "__main__":
    sys.exit(main())
