"""How a predictor is judged: which series, which part of each, and the byte newsvendor."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
TRAIN_SHARE = 0.6  # of a series' steps; the rest is scored
LEAST_STEPS = 400
LEAST_P99 = 20e6  # B/s: a port that never moves that much says nothing of how it is used


@dataclass(frozen=True, slots=True)
class Series:
    """One VM's demand over time, in units of its own p99, no larger than its cap."""

    name: str
    demand: F64
    cap: float
    held_out: bool

    @property
    def split(self) -> int:
        """The first scored step."""
        return int(TRAIN_SHARE * len(self.demand))


def held_out(name: str) -> bool:
    """Whether a series belongs to the test group, by its name alone (ports of a switch together)."""
    return (zlib.crc32(name.split("/")[0].encode()) // 10) % 10 < 3


def nic_series(path: str | os.PathLike[str], seed: int = 7, most: int = 400) -> list[Series]:
    """The a100_nic series: max(up, down) in bins of 2 s (shorter ones alias), missing steps closed.

    Kept are series of at least 400 steps whose first 60 % have a p99 of at least 20 MB/s and are
    active (above 1 % of it) for 5 %, and that move anything in the rest; `most` by seed.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["vm", "time_s", "up", "down"])
    names = table["vm"].cast("string").to_numpy(zero_copy_only=False)
    time = table["time_s"].to_numpy()
    rate = np.maximum(table["up"].to_numpy(), table["down"].to_numpy())
    found = []
    for name in sorted(set(names)):
        rows = names == name
        bins, at = np.unique((time[rows] // 2).astype(np.int64), return_inverse=True)
        demand = np.bincount(at, rate[rows]) / np.bincount(at)
        made = normalised(name, demand, LEAST_P99)
        if made is not None and len(bins) >= LEAST_STEPS:
            found.append(made)
    order = np.random.default_rng(seed).permutation(len(found))[:most]
    return [found[i] for i in order]


def normalised(name: str, demand: F64, least_p99: float) -> Series | None:
    """A series in its own units, or None when it is too short or too idle to be judged."""
    k = int(TRAIN_SHARE * len(demand))
    if len(demand) < LEAST_STEPS:
        return None
    unit = float(np.quantile(demand[:k], 0.99))
    if unit < least_p99 or (demand[:k] > 0.01 * unit).mean() < 0.05 or demand[k:].sum() == 0:
        return None
    cap = min(float(demand[:k].max()), 10 * unit)
    return Series(name, np.minimum(demand, cap) / unit, cap / unit, held_out(name))


def newsvendor(demand: F64, reserved: F64, under: float, over: float) -> float:
    """(under x bytes too little + over x bytes too much) / bytes wanted; 0 = an oracle."""
    short = np.maximum(demand - reserved, 0).sum()
    idle = np.maximum(reserved - demand, 0).sum()
    return float((under * short + over * idle) / demand.sum())


def matrix(series: list[Series]) -> tuple[F64, F64]:
    """(demand (n, steps) padded with NaN at the end, cap (n,))."""
    steps = max(len(s.demand) for s in series)
    demand = np.full((len(series), steps), np.nan)
    for row, one in zip(demand, series, strict=True):
        row[: len(one.demand)] = one.demand
    return demand, np.array([s.cap for s in series])


def pooled(series: list[Series], reserved: F64, under: float, over: float) -> float:
    """The newsvendor over the scored part of all series; reserved (n, steps): what was held *for*
    each step."""
    pairs = [
        (s.demand[s.split :], np.minimum(r[s.split : len(s.demand)], s.cap))
        for s, r in zip(series, reserved, strict=True)
    ]
    demand, held = (np.concatenate(p) for p in zip(*pairs, strict=True))
    return newsvendor(demand, held, under, over)
