"""The predictor's arithmetic on one row: learn from a sample, describe the state, decide.

All of it is homogeneous in the demand: k times the demand gives k times the reservation.
Loops over features and actions take their length from an array, not from a constant: the compiler
unrolls constant lengths first and then no longer vectorises them (half as fast).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numba import boolean, float64, int64, intp, void
from numpy.typing import NDArray

from fabcore.compiled import njit
from fabcore.predict import layout as at
from fabcore.predict.history import OPTIONS, ROW, Row, histogram_level, remember

K, A, E = at.FEATURES, at.ACTIONS, at.EXPERTS

# Chosen on the training VMs of predictor.md section 2, never on the test group.
FORGET = 0.9995  # of the recursive least squares, per sample
P0 = 0.2  # P of a new row, times the identity
P_TRACE_MAX = 20.0 * K  # nothing is forgotten above: an idle row's P must not wind up
RATE = 0.01  # quantile regression: AdaGrad step, and the step along P phi, which finds its
RATE_P = 0.2  # direction sooner where features are collinear
COST_MAX = 40.0  # an outcome's cost counts no more than that, in units of u
SHARE_TOLERANCE, SHARE_RATIO = 0.03, 0.1  # actions this near to the cheapest share the decision
EXPERT_DECAY = 0.998
EXPERT_MARGIN = 0.95  # an expert takes over only when its cost is below that of the Q-function's
NOTHING = 1e-9  # B/s: a row whose peak is below counts as unused


@njit(void(ROW, ROW, float64, float64), **OPTIONS)
def describe(s: Row, f: Row, tau: float, cap: float) -> None:
    """Fill the pending forecast f: features, scale, what each action and expert reserves."""
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
    f[at.SCALE] = u
    phi = f[:K]
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
    level = f[at.LEVELS : at.LEVELS + A]
    level[0] = 0.4 * base
    level[1] = 0.75 * base
    level[2] = base
    level[3] = 1.3 * base
    level[4] = x
    level[5] = x + 2.0 * z
    level[6] = top
    level[7] = high
    for a in range(level.size):
        level[a] = min(level[a], cap)
    f[at.ADVICE + 1] = min(base, cap)
    f[at.ADVICE + 2] = min(histogram_level(s, 1.0 - tau), cap)


def _product(width: int) -> Callable[[Row, Row, Row], None]:
    """A kernel out = m' v for m (K, width) row by row: eight rows at a time, columns as vectors."""

    @njit(void(ROW, ROW, ROW), **OPTIONS)
    def product(m: Row, v: Row, out: Row) -> None:
        out[:] = 0.0
        for k in range(0, K, 8):
            a, b, c, d = v[k], v[k + 1], v[k + 2], v[k + 3]
            e, f, g, h = v[k + 4], v[k + 5], v[k + 6], v[k + 7]
            p = m[k * width : (k + 8) * width]
            for j in range(out.size):
                low = (a * p[j] + b * p[j + width]) + (c * p[j + 2 * width] + d * p[j + 3 * width])
                p4 = j + 4 * width
                high = (e * p[p4] + f * p[p4 + width]) + (
                    g * p[p4 + 2 * width] + h * p[p4 + 3 * width]
                )
                out[j] += low + high

    return product


price = _product(A)  # (theta, phi, Q of each action)
spread = _product(K)  # (P, phi, P phi)


@njit(float64(ROW, ROW, float64, ROW), **OPTIONS)
def decide(s: Row, f: Row, cap: float, work: Row) -> float:
    """The reservation (B/s, at most cap) in the state that f describes.

    The Q-function's cheapest actions share it: its costs are convex in the level, so the mean of
    levels that are about as good is no worse than they are. An expert takes over while its own
    decayed cost is lower, as after a shift of regime that the weights have not followed yet.
    """
    q = work[:A]
    level = f[at.LEVELS : at.LEVELS + A]
    price(s[at.THETA : at.THETA + K * A], f[:K], q)
    least = q[0]
    for a in range(q.size):
        least = min(least, q[a])
    slope = 1.0 / (SHARE_TOLERANCE + SHARE_RATIO * max(least, 0.0))
    total = reserved = 0.0
    for a in range(q.size):
        w = max(0.0, 1.0 - (q[a] - least) * slope)
        total += w * w
        reserved += w * w * level[a]
    f[at.ADVICE] = min(reserved / total, cap)  # a mean may round up
    own, base, past = EXPERT_MARGIN * s[at.COST], s[at.COST + 1], s[at.COST + 2]
    pick = 0 if own <= min(base, past) else (1 if base <= past else 2)
    s[at.PICKED] = pick
    s[at.RESERVED] = f[at.ADVICE + pick]
    return float(s[at.RESERVED])


@njit(void(ROW, ROW, ROW, float64, ROW), **OPTIONS)
def update(s: Row, phi: Row, error: Row, pull: float, gain: Row) -> None:
    """One step of recursive least squares for theta, one against the pinball loss for base."""
    p = s[at.P : at.P + K * K]
    spread(p, phi, gain)
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


@njit(void(ROW, ROW, ROW, float64, ROW), **OPTIONS)
def learn(s: Row, f: Row, known: Row, tau: float, work: Row) -> None:
    """Learn from the forecast f and the demands (horizon,) that are `known` to have followed it.

    The cost of holding a level is known for every action, so all of them learn, with one P."""
    u = f[at.SCALE]
    phi = f[:K]
    level = f[at.LEVELS : at.SCALE]  # actions, then experts
    error = work[:A]
    base = f[at.ADVICE + 1]
    price(s[at.THETA : at.THETA + K * A], phi, error)
    scale = 1.0 / (u * known.size)
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
    update(s, phi, error, pull / known.size, work[A:])


@njit(float64(ROW, float64, intp, float64, float64, ROW), **OPTIONS)
def advance(s: Row, d: float, horizon: int, tau: float, cap: float, work: Row) -> float:
    """One sample of demand d (B/s): learn, remember, decide. Returns the reservation (B/s)."""
    turn = int(s[at.SEEN]) % horizon
    first = at.PENDING + horizon * at.FORECAST
    known = s[first : first + horizon]
    f = s[at.PENDING + turn * at.FORECAST : at.PENDING + (turn + 1) * at.FORECAST]
    if s[at.SEEN] > 0.0:
        known[turn - 1] = d
    if f[at.SCALE] > 0.0:
        learn(s, f, known, tau, work)
    remember(s, d)
    if s[at.PEAK] < NOTHING:
        f[at.SCALE] = 0.0
        s[at.RESERVED] = 0.0
        return 0.0
    cap = min(cap, 10.0 * s[at.PEAK])
    describe(s, f, tau, cap)
    return decide(s, f, cap, work)


@njit(
    void(float64[:, ::1], int64[::1], intp, ROW, ROW, intp, ROW, ROW),
    **(OPTIONS | {"forceinline": False}),
)
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
    work = np.empty(A + K)  # apart from the rows, or the compiler fears they overlap
    for i in range(count):
        r = rows[i]
        if demand[r] == demand[r]:
            reservation[r] = advance(state[r], demand[r], horizon, tau[r], cap[r], work)


@njit(boolean(ROW, float64), cache=True, nogil=True, error_model="numpy")
def acceptable(demand: Row, most: float) -> bool:
    """True when every demand is NaN or in 0 .. most."""
    for d in demand:
        if not (d != d or 0.0 <= d <= most):
            return False
    return True
