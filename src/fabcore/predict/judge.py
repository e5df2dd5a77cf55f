"""How predictors are judged: series cut from a trace, and the byte newsvendor's cost."""

from __future__ import annotations

import os
import warnings
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fabcore.observe.trace import Trace

Floats = NDArray[np.float64]
TRAIN_SHARE = 0.6  # of a series' steps; the rest is scored


@dataclass(frozen=True, slots=True)
class SeriesSet:
    """n series of demand, each clipped to its link limit, missing steps closed up.

    demand (steps, n) B/s, NaN after a series' end; length (n,); unit (n,) p99 of its first 60 %,
    B/s: costs are in units of it, so that all series weigh alike; cap (n,) B/s; test (n,) bool."""

    demand: Floats
    length: NDArray[np.int64]
    unit: Floats
    cap: Floats
    test: NDArray[np.bool_]

    def choose(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> SeriesSet:
        """The set of some of the series."""
        demand = np.ascontiguousarray(self.demand[:, which])
        return SeriesSet(
            demand, self.length[which], self.unit[which], self.cap[which], self.test[which]
        )


def in_test_group(name: str) -> bool:
    """True for series that nothing is learned from; all ports of a switch are alike in this."""
    return (zlib.crc32(name.split("/")[0].encode()) // 10) % 10 < 3


def load_series(
    path: str | os.PathLike[str],
    direction: Literal["max", "sum"],
    steps_per_bin: int,
    least_p99: float,
) -> SeriesSet:
    """Series of a trace: max or sum of up and down, mean over bins of a few steps. Kept are those
    with 400 bins, p99 of the first 60 % of at least least_p99 (B/s), at least 5 % of those above
    1 % of it, and any demand in the part that is scored."""
    join = np.maximum if direction == "max" else np.add
    with Trace.open(path) as trace:
        names = trace.selected
        steps = np.array([join(up, down) for _, up, down in trace.steps_iter()])
    steps = steps[: len(steps) // steps_per_bin * steps_per_bin]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a bin without any sample
        binned = np.nanmean(steps.reshape(-1, steps_per_bin, len(names)), axis=1)
    kept = []
    for i, name in enumerate(names):
        d = binned[:, i][~np.isnan(binned[:, i])]
        if d.size < 400:
            continue
        first = d[: int(TRAIN_SHARE * d.size)]
        unit = float(np.quantile(first, 0.99))
        cap = min(float(first.max()), 10.0 * unit)
        busy = (first > 0.01 * unit).mean() >= 0.05
        if unit >= least_p99 and busy and d[first.size :].sum() > 0.0:
            kept.append((np.minimum(d, cap), unit, cap, in_test_group(name)))
    length = np.array([d.size for d, *_ in kept])
    demand = np.full((int(length.max()), len(kept)), np.nan)
    for j, (d, *_) in enumerate(kept):
        demand[: d.size, j] = d
    units, caps, tests = (np.array([k[i] for k in kept]) for i in (1, 2, 3))
    return SeriesSet(demand, length, units, caps, tests.astype(bool))


def newsvendor(
    series: SeriesSet,
    reservation: Floats,
    cost_under: float,
    cost_over: float,
    horizon: int = 1,
) -> Floats:
    """(4,): cost per byte demanded over the last 40 % of all series (the oracle's is 0), share of
    steps short, of bytes short, of reserved bytes idle. reservation (steps, n) B/s: row t is what
    was decided with the demand up to t, held for the `horizon` steps after it."""
    short = idle = total = held = steps = missed = 0.0
    for j, n in enumerate(series.length):
        k = int(TRAIN_SHARE * n)
        end = k + (n - k) // horizon * horizon
        d = series.demand[k:end, j] / series.unit[j]
        r = np.repeat(reservation[k - 1 : end - 1 : horizon, j], horizon)
        r = np.clip(r, 0.0, series.cap[j]) / series.unit[j]
        short += np.maximum(d - r, 0.0).sum()
        idle += np.maximum(r - d, 0.0).sum()
        total += d.sum()
        held += r.sum()
        missed += float((d > r).sum())
        steps += d.size
    cost = (cost_under * short + cost_over * idle) / total
    return np.array([cost, missed / steps, short / total, idle / max(held, 1e-300)])
