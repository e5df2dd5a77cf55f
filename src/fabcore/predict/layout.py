"""Where each number of a row's state stands: one float64 row per flow, all its learning in it."""

from __future__ import annotations

from typing import Final

FEATURES: Final = 24
ACTIONS: Final = 8
EXPERTS: Final = 3  # the Q-function's choice, the base forecast, the decayed quantile
WINDOW: Final = 48  # samples that the window statistics look back
BUFFER: Final = 128  # the window slides through it and is copied to the front at its end
BINS: Final = 64  # of the decayed histogram, four an octave

P: Final = 0  # inverse correlation of the features, FEATURES x FEATURES, symmetric
THETA: Final = P + FEATURES * FEATURES  # FEATURES x ACTIONS: each feature's weight per action
BASE: Final = THETA + FEATURES * ACTIONS  # weights of the quantile regression
SQUARES: Final = BASE + FEATURES  # its AdaGrad sums of squared gradients
MASS: Final = SQUARES + FEATURES  # histogram: decayed weight of each bin
SUM: Final = MASS + BINS  # and of weight x demand, so that a bin's mean is its level
DEMAND: Final = SUM + BINS  # the window's buffer, B/s
COST: Final = DEMAND + BUFFER  # the experts' decayed costs
AT: Final = COST + EXPERTS  # last place filled in the buffer
SEEN: Final = AT + 1  # samples so far
PEAK: Final = SEEN + 1  # slowly decaying maximum, B/s: the row's own unit
FAST: Final = PEAK + 1  # exponential means of the demand at three speeds, B/s
MEDIUM: Final = FAST + 1
SLOW: Final = MEDIUM + 1
LEVEL: Final = SLOW + 1  # Holt's level and trend, and the mean of its absolute residual, B/s
TREND: Final = LEVEL + 1
RESIDUAL: Final = TREND + 1
TOP: Final = RESIDUAL + 1  # histogram: its upper edge, B/s
TOTAL: Final = TOP + 1  # weight of all samples, those without demand included
GROWTH: Final = TOTAL + 1  # weight of the newest sample (all are rescaled when it grows large)
RESERVED: Final = GROWTH + 1  # what was decided last, B/s
PICKED: Final = RESERVED + 1  # the expert that decided it
PENDING: Final = (PICKED + 8) // 8 * 8  # forecasts whose outcome is not known yet, then outcomes

# One pending forecast.
LEVELS: Final = FEATURES  # what each action would reserve, B/s
ADVICE: Final = LEVELS + ACTIONS  # what each expert would
SCALE: Final = ADVICE + EXPERTS  # u, B/s: features and costs are in units of it; 0 = no forecast
FORECAST: Final = (SCALE + 8) // 8 * 8  # its length


def row_length(horizon: int) -> int:
    """Numbers in a row: `horizon` pending forecasts and as many outcomes, whole cache lines."""
    return (PENDING + horizon * FORECAST + horizon + 7) // 8 * 8
