"""What a decision costs, and what it is worth beside simple predictors on series nobody tuned on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fabcore.predict import ProfilingEngine, QPredictor
from fabcore.predict.judge import SeriesSet, load_series, newsvendor

TRACES = Path(__file__).resolve().parent.parent.parent / "shared" / "traces"
SETS = {
    "zj_nic": ("a100_nic_1s.parquet", "max", 2, 20e6),
    "bb_net": ("bitbrains_net_5min.parquet", "sum", 1, 20e3),
    "bb_disk": ("bitbrains_disk_5min.parquet", "sum", 1, 50e3),
}
COSTS = (10.0, 1.0)
MOST = 120  # series of a set, so that a run stays short
Floats = NDArray[np.float64]


@pytest.mark.benchmark(group="learn + decide, one VM and direction, 256 VMs a call")
def test_step(benchmark) -> None:
    n = 256
    rng = np.random.default_rng(1)
    demand = rng.lognormal(20, 1, (64, n)) * (rng.random((64, n)) < 0.7)
    predictor = QPredictor(n)
    turn = [0]

    def step() -> None:
        predictor.step(demand[turn[0] % 64])
        turn[0] += 1

    benchmark(step)
    benchmark.extra_info |= {"what": "QPredictor.step", "per": n}


@pytest.mark.benchmark(group="a tick that only reads, 256 VMs: nobody's turn to learn")
def test_idle_decide(benchmark) -> None:
    engine = ProfilingEngine(256, period_s=1e6)
    for slot in range(256):
        engine.adopt(slot, slot)
    engine.decide(0)
    benchmark(engine.decide, 1)
    benchmark.extra_info |= {"what": "ProfilingEngine.decide, a VM", "per": 256}


def last_value(demand: Floats) -> Floats:
    return demand.copy()


def ewma(demand: Floats, a: float = 0.5, factor: float = 1.25) -> Floats:
    out, mean = np.empty_like(demand), np.nan_to_num(demand[0])
    for t, d in enumerate(demand):
        mean = np.where(np.isnan(d), mean, mean + a * (d - mean))
        out[t] = factor * mean
    return out


def window_quantile(demand: Floats, window: int, q: float) -> Floats:
    out = np.empty_like(demand)
    for t in range(len(demand)):
        out[t] = np.nan_to_num(np.quantile(demand[max(0, t - window + 1) : t + 1], q, axis=0))
    return out


def window_max(demand: Floats) -> Floats:
    return window_quantile(demand, 4, 1.0)


def window_p95(demand: Floats) -> Floats:
    return window_quantile(demand, 48, 0.95)


def n_sigma(demand: Floats, window: int = 12) -> Floats:
    out = np.empty_like(demand)
    for t in range(len(demand)):
        part = np.nan_to_num(demand[max(0, t - window + 1) : t + 1])
        out[t] = part.mean(axis=0) + 1.5 * part.std(axis=0)
    return out


def own_quantile(demand: Floats) -> Floats:
    """The static quantile of a series' first 60 % that the costs ask for."""
    tau = COSTS[0] / sum(COSTS)
    level = [np.quantile(d[~np.isnan(d)][: int(0.6 * (~np.isnan(d)).sum())], tau) for d in demand.T]
    return np.tile(level, (len(demand), 1))


def learned(series: SeriesSet) -> Floats:
    predictor = QPredictor(series.cap.size, *COSTS, cap=series.cap)
    return np.array([predictor.step(d) for d in series.demand])


BASELINES: dict[str, Callable[[Floats], Floats]] = {
    "last value": last_value,
    "EWMA 0.5 x 1.25": ewma,
    "moving max of 4": window_max,
    "moving p95 of 48": window_p95,
    "mean + 1.5 sigma of 12": n_sigma,
    "static quantile of own history": own_quantile,
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.benchmark(group="byte newsvendor NV (oracle 0), costs 10 : 1, test group's last 40 %")
def test_value(benchmark, name: str) -> None:
    file, direction, bins, least = SETS[name]
    if not (TRACES / file).exists():
        pytest.skip(f"{file} is not here")
    series = load_series(TRACES / file, direction, bins, least)
    chosen = np.flatnonzero(series.test)[:MOST]
    series = series.choose(chosen)
    found = benchmark.pedantic(lambda: learned(series), rounds=1)
    costs = {"QPredictor": newsvendor(series, found, *COSTS)[0]}
    for label, method in BASELINES.items():
        costs[label] = newsvendor(series, method(series.demand), *COSTS)[0]
    steps = int((~np.isnan(series.demand)).sum())
    benchmark.extra_info |= {"what": f"{name}, {chosen.size} series, a sample", "per": steps}
    benchmark.extra_info |= {label: round(float(cost), 3) for label, cost in costs.items()}
