"""Slow, plain solvers that the stage is held against: iterated LP, instances, prefix deviation."""

from __future__ import annotations

import highspy
import numpy as np

Instance = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def iterated_lp(floor, cap, weight, path, capacity) -> tuple[np.ndarray, int]:
    """Weighted max-min by LPs: raise t, freeze every flow whose r_i >= w_i t has a price.

    Returns the rates and the number of LPs. Values are scaled so that the largest link is 100.
    """
    n = len(floor)
    scale = 100.0 / max(capacity.max(initial=0.0), 1e9)
    lp = highspy.Highs()
    lp.setOptionValue("output_flag", False)
    lp.setOptionValue("presolve", "off")
    lp.setOptionValue("primal_feasibility_tolerance", 1e-10)
    lp.setOptionValue("dual_feasibility_tolerance", 1e-10)
    inf = highspy.kHighsInf
    for i in range(n):
        lp.addVar(floor[i] * scale, cap[i] * scale if np.isfinite(cap[i]) else inf)
    lp.addVar(0.0, inf)
    lp.changeObjectiveSense(highspy.ObjSense.kMaximize)
    lp.changeColCost(n, 1.0)
    for i in range(n):
        lp.addRow(0.0, inf, 2, np.array([i, n], dtype=np.int32), np.array([1.0, -weight[i]]))
    for link in range(len(capacity)):
        times = (path == link).sum(axis=1)
        on = np.flatnonzero(times).astype(np.int32)
        if len(on):
            lp.addRow(-inf, capacity[link] * scale, len(on), on, times[on].astype(float))
    active = np.ones(n, dtype=bool)
    rates = np.zeros(n)
    solved = 0
    while active.any():
        lp.run()
        solved += 1
        assert lp.getModelStatus() == highspy.HighsModelStatus.kOptimal, lp.getModelStatus()
        solution = lp.getSolution()
        t = solution.col_value[n]
        price = np.abs(np.array(solution.row_dual[:n]))
        freeze = active & (price > 1e-9)
        assert freeze.any()
        for i in np.flatnonzero(freeze):
            low, high = floor[i] * scale, cap[i] * scale
            value = min(max(weight[i] * t, low), high)
            lp.changeColBounds(int(i), value, value)
            lp.changeCoeff(int(i), n, 0.0)
            rates[i] = value / scale
        active &= ~freeze
    return rates, solved


def instance(
    rng: np.random.Generator, n: int, links: int, hops: int, hard: bool = True
) -> Instance:
    """A random problem whose floors fit. `hard`: ties, empty links, infinite caps, fixed rates."""
    path = np.full((n, hops), -1, dtype=np.int32)
    for i in range(n):
        k = int(rng.integers(1, min(hops, links) + 1))
        path[i, :k] = rng.choice(links, k, replace=False)
    capacity = rng.uniform(1.0, 60.0, links) * 1e9
    if hard:
        capacity = np.where(rng.random(links) < 0.1, 0.0, np.round(capacity, -9))
    weight = rng.integers(1, 5, n).astype(float) if hard else rng.uniform(0.1, 8.0, n)
    floor = rng.uniform(0, 1.0, n) * 1e9 * (rng.random(n) < 0.6)
    cap = floor + rng.lognormal(0, 1.5, n) * links / n * 2e10
    if hard:
        cap = np.where(rng.random(n) < 0.2, np.inf, cap)
        cap = np.where(rng.random(n) < 0.1, floor, cap)
    load = np.zeros(links)
    for q in range(hops):
        np.add.at(load, path[path[:, q] >= 0, q], floor[path[:, q] >= 0])
    fits = np.minimum(1.0, np.divide(capacity, load, out=np.ones(links), where=load > 0))
    share = np.where(path >= 0, fits[path], 1.0).min(axis=1)
    fixed = cap == floor
    floor = floor * share * (rng.uniform(0.5, 1.0) if not hard else 1.0)
    return floor, np.where(fixed, floor, np.maximum(cap, floor)), weight, path, capacity


def deviation(table: np.ndarray, slots: np.ndarray) -> float:
    """The most slots by which a prefix of the table strays from an owner's share of it."""
    t = np.arange(1, len(table) + 1)
    return max(
        float(np.abs(np.cumsum(table == i) - t * x / len(table)).max()) for i, x in enumerate(slots)
    )
