"""The predictor's arithmetic on one row: learn from a sample, describe the state, decide.

All of it is homogeneous in the demand: k times the demand gives k times the reservation.
Loops over features and actions take their length from an array, not from a constant: the compiler
unrolls constant lengths first and then no longer vectorises them (half as fast).
"""

from __future__ import annotations

import math

import numpy as np
from numba import boolean, float64, int64, intp, njit, void
from numpy.typing import NDArray

from fabcore.predict import layout as at
from fabcore.predict.history import OPTIONS, ROW, Row, histogram_level, remember

K, A, E = at.FEATURES, at.ACTIONS, at.EXPERTS

# Chosen on the training VMs of predictor.md section 2, never on the test group.
FORGET = 0.9995  # of the recursive least squares, per sample
P0 = 0.5  # P of a new row, times the identity
P_TRACE_MAX = 40.0 * K * P0  # nothing is forgotten above: an idle row's P must not wind up
RATE = 0.01  # quantile regression: AdaGrad step, and the step along P phi, which finds its
RATE_P = 0.2  # direction sooner where features are collinear
COST_MAX = 40.0  # an outcome's cost counts no more than that, in units of u
SHARE_TOLERANCE, SHARE_RATIO = 0.03, 0.1  # actions this near to the cheapest share the decision
EXPERT_DECAY = 0.998
EXPERT_MARGIN = 0.95  # an expert takes over only when its cost is below that of the Q-function's
NOTHING = 1e-9  # B/s: a row whose peak is below counts as unused


@njit(void(ROW, intp, float64, float64), **OPTIONS)
def describe(s: Row, f: int, tau: float, cap: float) -> None:
    """Fill the pending forecast at f: features, scale, what each action and expert reserves."""
    now = at.DEMAND + int(s[at.AT])
    window = s[now - at.WINDOW + 1 : now + 1]
    recent = window[at.WINDOW - 12 :]
    x = s[now]
    least = 0.01 * s[at.PEAK]
    mean = active = 0.0
    for i in range(window.size):
        mean += window[i]
        active += 1.0 if window[i] > least else 0.0
    mean /= at.WINDOW
    long = 0.0
    for i in range(window.size):
        long += (window[i] - mean) ** 2
    long = math.sqrt(long / at.WINDOW)
    mean = top = slope = 0.0
    for i in range(12):
        mean += recent[i]
        top = max(top, recent[i])
        slope += (i - 5.5) * recent[i]
    mean /= 12.0
    short = 0.0
    for i in range(12):
        short += (recent[i] - mean) ** 2
    high = histogram_level(s, 0.1)
    u = 0.02 * s[at.PEAK] + 0.5 * s[at.SLOW] + 0.5 * long
    s[f + at.SCALE] = u
    phi = s[f : f + K]
    phi[0] = 1.0
    phi[1] = x / u
    phi[2] = s[at.FAST] / u
    phi[3] = s[at.MEDIUM] / u
    phi[4] = s[at.SLOW] / u
    phi[5] = top / u
    phi[6] = math.sqrt(short / 12.0) / u
    phi[7] = long / u
    phi[8] = high / u
    phi[9] = slope * (12.0 / 143.0) / u  # rise of the regression line over the 12 samples
    phi[10] = 1.0 if x > least else 0.0
    phi[11] = active / at.WINDOW
    phi[12] = math.log(u / s[at.PEAK])
    base = 0.0
    for i in range(11):
        phi[13 + i] = s[now - 1 - i] / u
    weight = s[at.BASE : at.BASE + K]
    for k in range(phi.size):
        base += weight[k] * phi[k]
    base = max(base * u, 0.0)
    z = s[at.RESIDUAL]
    level = s[f + at.LEVELS : f + at.LEVELS + A]
    level[0] = 0.4 * base
    level[1] = 0.7 * base
    level[2] = 0.85 * base
    level[3] = base
    level[4] = 1.05 * base
    level[5] = 1.2 * base
    level[6] = 1.6 * base
    level[7] = x
    level[8] = x + 0.4 * z
    level[9] = x + z
    level[10] = x + 3.0 * z
    level[11] = top
    level[12] = 0.03 * high
    level[13] = 0.3 * high
    level[14] = 0.7 * high
    level[15] = high
    for a in range(level.size):
        level[a] = min(level[a], cap)
    s[f + at.ADVICE + 1] = min(base, cap)
    s[f + at.ADVICE + 2] = min(histogram_level(s, 1.0 - tau), cap)


@njit(void(ROW, ROW, ROW), **OPTIONS)
def times(m: Row, v: Row, out: Row) -> None:
    """out = m' v for m (v.size, out.size), row by row; v.size is a multiple of 8."""
    out[:] = 0.0
    n = out.size
    for k in range(0, v.size, 8):
        a, b, c, d = v[k], v[k + 1], v[k + 2], v[k + 3]
        e, f, g, h = v[k + 4], v[k + 5], v[k + 6], v[k + 7]
        p = m[k * n : (k + 8) * n]
        for j in range(n):
            out[j] += ((a * p[j] + b * p[j + n]) + (c * p[j + 2 * n] + d * p[j + 3 * n])) + (
                (e * p[j + 4 * n] + f * p[j + 5 * n]) + (g * p[j + 6 * n] + h * p[j + 7 * n])
            )


@njit(float64(ROW, intp), **OPTIONS)
def decide(s: Row, f: int) -> float:
    """The reservation (B/s) in the state described at f.

    The Q-function's cheapest actions share it: its costs are convex in the level, so the mean of
    levels that are about as good is no worse than they are. An expert takes over while its own
    decayed cost is lower, as after a shift of regime that the weights have not followed yet.
    """
    q = s[at.ERROR : at.ERROR + A]
    level = s[f + at.LEVELS : f + at.LEVELS + A]
    times(s[at.THETA : at.THETA + K * A], s[f : f + K], q)
    least = q[0]
    for a in range(q.size):
        least = min(least, q[a])
    slope = 1.0 / (SHARE_TOLERANCE + SHARE_RATIO * max(least, 0.0))
    total = reserved = 0.0
    for a in range(q.size):
        w = max(0.0, 1.0 - (q[a] - least) * slope)
        total += w * w
        reserved += w * w * level[a]
    advice = s[f + at.ADVICE : f + at.ADVICE + E]
    advice[0] = reserved / total
    pick = 0
    for i in range(1, E):
        if s[at.COST + i] < s[at.COST + pick] and s[at.COST + i] < EXPERT_MARGIN * s[at.COST]:
            pick = i
    s[at.PICKED] = pick
    s[at.RESERVED] = advice[pick]
    return float(advice[pick])


@njit(void(ROW, ROW, ROW, float64), **OPTIONS)
def update(s: Row, phi: Row, error: Row, pull: float) -> None:
    """One step of recursive least squares for theta, one against the pinball loss for base."""
    p = s[at.P : at.P + K * K]
    gain = s[at.GAIN : at.GAIN + K]
    times(p, phi, gain)
    q = trace = 0.0
    for k in range(phi.size):
        q += gain[k] * phi[k]
        trace += p[k * (K + 1)]
    if not 0.0 <= q < 1e9:  # rounding has eaten P: start it again, keep what was learned
        p[:] = 0.0
        for k in range(K):
            p[k * (K + 1)] = P0
        return
    keep = FORGET if trace < P_TRACE_MAX else 1.0
    scale = 1.0 / (keep + q)
    root = math.sqrt(scale)
    towards = RATE_P * pull / (q + 0.01)
    for k in range(K):
        step = pull * phi[k]
        s[at.SQUARES + k] += step * step
        s[at.BASE + k] += RATE * step / math.sqrt(s[at.SQUARES + k] + 1e-12) + towards * gain[k]
        theta = s[at.THETA + k * A : at.THETA + (k + 1) * A]
        g = gain[k] * scale
        for a in range(error.size):
            theta[a] += g * error[a]
    old = 1.0 / keep
    for k in range(K):
        gain[k] *= root
    for k in range(K):  # P stays symmetric to the last bit: both halves round alike
        row = p[k * K : (k + 1) * K]
        g = gain[k]
        for j in range(gain.size):
            row[j] = (row[j] - g * gain[j]) * old


@njit(void(ROW, intp, intp, intp, float64), **OPTIONS)
def learn(s: Row, f: int, first: int, horizon: int, tau: float) -> None:
    """Learn from the forecast at f and the `horizon` demands at `first` that followed it.

    The cost of holding a level is known for every action, so all of them learn, with one P."""
    u = s[f + at.SCALE]
    phi = s[f : f + K]
    level = s[f + at.LEVELS : f + at.SCALE]  # actions, then experts
    error = s[at.ERROR : at.ERROR + A]
    known = s[first : first + horizon]
    base = s[f + at.ADVICE + 1]
    times(s[at.THETA : at.THETA + K * A], phi, error)
    scale = 1.0 / (u * horizon)
    for a in range(error.size):
        cost = 0.0
        for h in range(known.size):
            cost += max(tau * (known[h] - level[a]), (tau - 1.0) * (known[h] - level[a]))
        error[a] = min(cost * scale, COST_MAX) - error[a]
    for i in range(E):
        cost = 0.0
        for h in range(known.size):
            cost += max(tau * (known[h] - level[A + i]), (tau - 1.0) * (known[h] - level[A + i]))
        cost += EXPERT_DECAY * s[at.COST + i]
        s[at.COST + i] = cost if cost > 1e-30 else 0.0
    pull = 0.0
    for h in range(known.size):
        pull += tau if known[h] > base else (tau - 1.0 if known[h] < base else 0.0)
    update(s, phi, error, pull / horizon)


@njit(float64(ROW, float64, intp, float64, float64), **OPTIONS)
def advance(s: Row, d: float, horizon: int, tau: float, cap: float) -> float:
    """One sample of demand d (B/s): learn, remember, decide. Returns the reservation (B/s)."""
    turn = int(s[at.SEEN]) % horizon
    first = at.PENDING + horizon * at.FORECAST
    f = at.PENDING + turn * at.FORECAST
    if s[at.SEEN] > 0.0:
        s[first + (turn - 1) % horizon] = d
    if s[f + at.SCALE] > 0.0:
        learn(s, f, first, horizon, tau)
    remember(s, d)
    if s[at.PEAK] < NOTHING:
        s[f + at.SCALE] = 0.0
        s[at.RESERVED] = 0.0
        return 0.0
    describe(s, f, tau, min(cap, 10.0 * s[at.PEAK]))
    return decide(s, f)


@njit(void(float64[:, ::1], int64[::1], intp, ROW, ROW, intp, ROW, ROW), **OPTIONS)
def advance_rows(
    state: NDArray[np.float64],
    rows: NDArray[np.int64],
    count: int,
    demand: Row,
    reservation: Row,
    horizon: int,
    tau: Row,
    cap: Row,
) -> None:
    """advance the first `count` of `rows`; NaN demand = absent: its state and result stand still.

    state (n, row_length); demand, reservation, tau, cap (n,), B/s but tau."""
    for i in range(count):
        r = rows[i]
        if demand[r] == demand[r]:
            reservation[r] = advance(state[r], demand[r], horizon, tau[r], cap[r])


@njit(boolean(ROW, float64), cache=True, nogil=True, error_model="numpy")
def acceptable(demand: Row, most: float) -> bool:
    """True when every demand is NaN or in 0 .. most."""
    for d in demand:
        if not (d != d or 0.0 <= d <= most):
            return False
    return True
