"""A row's statistics: sliding window, exponential means, Holt's trend, a decayed histogram."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import float64, void
from numpy.typing import NDArray

from fabcore.compiled import njit
from fabcore.predict import layout as at

Row = NDArray[np.float64]
ROW = float64[::1]
# Sums may be reordered into vectors; NaN and infinity keep their meaning. What works on one row is
# inlined, twice as fast: a call hands over every array in seven parts.
OPTIONS: dict[str, Any] = {
    "cache": True,
    "forceinline": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz"},
}

PEAK_DECAY = 0.9998
HALF_LIFE = 144  # of the histogram, in samples
GROW = 2.0 ** (1 / HALF_LIFE)


@njit(void(ROW, float64), **OPTIONS)
def add_to_histogram(s: Row, d: float) -> None:
    """Weigh one more sample into the decayed histogram: log bins below a movable top."""
    grow = s[at.GROWTH] * GROW
    if grow > 1e60:
        s[at.MASS : at.MASS + 2 * at.BINS] /= grow
        s[at.TOTAL] /= grow
        grow = 1.0
    s[at.GROWTH] = grow
    s[at.TOTAL] += grow
    if d <= 0.0:
        return
    if s[at.TOP] <= 0.0:
        s[at.TOP] = 2.0 * d
    while d >= s[at.TOP]:  # an octave up: the bins slide down, the lowest ones gather
        s[at.TOP] *= 2.0
        for part in (at.MASS, at.SUM):
            for b in range(1, 5):
                s[part] += s[part + b]
            for b in range(1, at.BINS):
                s[part + b] = s[part + b + 4] if b < at.BINS - 4 else 0.0
    if s[at.TOP] > 8.0 * s[at.PEAK]:  # an octave down
        s[at.TOP] *= 0.5
        for part in (at.MASS, at.SUM):
            for b in range(at.BINS - 5, at.BINS - 1):
                s[part + at.BINS - 1] += s[part + b]
            for b in range(at.BINS - 2, -1, -1):
                s[part + b] = s[part + b - 4] if b >= 4 else 0.0
    b = at.BINS + int(math.floor(4.0 * math.log2(d / s[at.TOP])))
    b = min(max(b, 0), at.BINS - 1)
    s[at.MASS + b] += grow
    s[at.SUM + b] += grow * d


@njit(float64(ROW, float64), **OPTIONS)
def histogram_level(s: Row, above: float) -> float:
    """The demand (B/s) that a share `above` of the decayed history exceeds: its bin's mean."""
    left = above * s[at.TOTAL]
    for b in range(at.BINS - 1, -1, -1):
        left -= s[at.MASS + b]
        if left <= 0.0 and s[at.MASS + b] > 0.0:
            return float(s[at.SUM + b] / s[at.MASS + b])
    return 0.0


@njit(void(ROW, float64), **OPTIONS)
def remember(s: Row, d: float) -> None:
    """Take demand d (B/s) into the row's statistics."""
    if s[at.SEEN] == 0.0:
        s[at.DEMAND : at.DEMAND + at.WINDOW] = d
        s[at.AT] = at.WINDOW - 1
        s[at.FAST] = s[at.MEDIUM] = s[at.SLOW] = s[at.LEVEL] = d
        s[at.GROWTH] = 1.0
    else:
        place = int(s[at.AT]) + 1
        if place == at.BUFFER:
            place = at.WINDOW - 1
            for i in range(place):
                s[at.DEMAND + i] = s[at.DEMAND + at.BUFFER - place + i]
        s[at.DEMAND + place] = d
        s[at.AT] = place
    s[at.SEEN] += 1.0
    s[at.PEAK] = max(d, s[at.PEAK] * PEAK_DECAY)
    s[at.FAST] += 0.5 * (d - s[at.FAST])
    s[at.MEDIUM] += 0.1 * (d - s[at.MEDIUM])
    s[at.SLOW] += 0.02 * (d - s[at.SLOW])
    expected = s[at.LEVEL] + 0.9 * s[at.TREND]
    s[at.RESIDUAL] += 0.1 * (abs(d - expected) - s[at.RESIDUAL])
    level = expected + 0.3 * (d - expected)
    s[at.TREND] += 0.1 * (level - s[at.LEVEL] - 1.9 * s[at.TREND])
    s[at.LEVEL] = level
    for i in range(at.PEAK, at.RESIDUAL + 1):
        if abs(s[i]) < 1e-30:  # denormal numbers would make an idle row slow
            s[i] = 0.0
    add_to_histogram(s, d)
