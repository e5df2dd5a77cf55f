"""Compiled division of all links: the smallest level first, its flows frozen, the others raised.

Rates are r_i = clamp(w_i x smallest level on the path, floor_i, cap_i). The link whose stand-alone
level is smallest is a true bottleneck; freezing its flows can only raise the other levels, so a
stored level is always a lower bound and only the top of a heap is ever solved again.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fabcore.compiled import njit
from fabcore.solve.rows import gather, index, row_level, shrink

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

BAD_PATH, BAD_SHAPE = -1, -2
HEAD = 4  # ints before the index: flows, links and path width it was built for; 1 when built


def float_words(flows: int, links: int, width: int) -> int:
    """float64 words of workspace that `divide` and `certificate` carve up."""
    return 3 * flows * width + flows + 3 * links


def int_words(flows: int, links: int, width: int) -> int:
    """int32 words of workspace that `divide` carves up."""
    return HEAD + 3 * flows * width + flows + 4 * links + 1


@njit("void(int32[::1], int64, float64[::1], int64)", cache=True, nogil=True, error_model="numpy")
def _sift(heap: I32, size: int, level: F64, at: int) -> None:
    """Moves the link at heap[at] down until no child has a smaller level."""
    link = heap[at]
    key = level[link]
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and level[heap[child + 1]] < level[heap[child]]:
            child += 1
        if level[heap[child]] >= key:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = link


@njit(
    "void(int64, int32[:, ::1], int32[::1], int32[::1], int32[::1], float64[::1], float64[::1],"
    " float64[::1], float64[::1], float64[::1], int32[::1], int32[::1], int32[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _freeze(
    link: int, path: I32, start: I32, flow: I32, slot: I32, low: F64, high: F64, rows: F64,
    level: F64, rates: F64, frozen: I32, live: I32, dirty: I32,
) -> None:  # fmt: skip
    """Fixes the rates of the link's remaining flows and marks the rows where that matters.

    A flow at its cap is at its cap in every other row too, whose levels are not smaller: only the
    count of live flows changes there.
    """
    p = path.shape[1]
    for k in range(np.uint64(start[link]), np.uint64(start[link + 1])):
        i = np.uint32(flow[k])
        if frozen[i]:
            continue
        g, c, w = low[k], high[k], rows[k]
        rate = min(max(w * level[link], g), c)
        frozen[i] = 1
        rates[i] = rate
        for q in range(p):
            other = path[i, q]
            if other < 0:
                break
            if other == link:
                continue
            live[other] -= 1
            if rate < c and level[other] < math.inf:
                if min(max(w * level[other], g), c) != rate:
                    dirty[other] = 1
                at = slot[i * p + q]
                low[at] = rate
                high[at] = rate


@njit(
    "void(float64[::1], float64[::1], float64[::1], int32[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _unfrozen(floor: F64, cap: F64, rates: F64, frozen: I32) -> None:
    """Every flow at its cap (a floor above it wins): what it keeps if no link holds it."""
    for i in range(floor.shape[0]):
        rates[i] = cap[i] if cap[i] > floor[i] else floor[i]
        frozen[i] = 0


@njit(
    "void(int32[:, ::1], float64[::1], int32[::1], int32[::1], int32[::1], float64[::1],"
    " float64[::1], float64[::1], float64[::1], float64[::1], int32[::1], int32[::1],"
    " int32[::1], int32[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _fill(
    path: I32, capacity: F64, start: I32, flow: I32, slot: I32, low: F64, high: F64, rows: F64,
    level: F64, rates: F64, frozen: I32, live: I32, dirty: I32, heap: I32,
) -> None:  # fmt: skip
    """Freezes link after link, the smallest level first, from the stand-alone levels on."""
    size = 0
    for link in range(capacity.shape[0]):
        live[link] = start[link + 1] - start[link]
        dirty[link] = 0
        if level[link] < math.inf:
            heap[size] = link
            size += 1
    for at in range(size // 2 - 1, -1, -1):
        _sift(heap, size, level, at)
    while size > 0:
        link = heap[0]
        if live[link] == 0:
            level[link] = math.inf
        elif dirty[link]:
            dirty[link] = 0
            begin, end, least = start[link], start[link + 1], level[link]
            level[link] = row_level(low, high, rows, begin, end, capacity[link], least, least)
            if level[link] < math.inf:
                _sift(heap, size, level, 0)
                continue
        else:
            _freeze(
                link, path, start, flow, slot, low, high, rows, level, rates, frozen, live, dirty
            )
        size -= 1
        heap[0] = heap[size]
        if size > 0:
            _sift(heap, size, level, 0)


@njit("boolean(int32[:, ::1], int32[::1])", cache=True, nogil=True, error_model="numpy")
def _same(path: I32, copy: I32) -> bool:
    """Whether the paths are those that the index was built from."""
    flat = path.reshape(path.size)
    differ = np.int32(0)
    for k in range(flat.shape[0]):
        differ |= flat[k] ^ copy[k]
    return bool(differ == 0)


@njit(
    "int64(float64[::1], float64[::1], float64[::1], int32[:, ::1], float64[::1],"
    " float64[::1], float64[::1], float64[::1], int32[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def divide(
    floor: F64, cap: F64, weight: F64, path: I32, capacity: F64,
    rates: F64, level: F64, floats: F64, ints: I32,
) -> int:  # fmt: skip
    """Weighted max-min rates and levels; the number of links whose floors had to shrink, or BAD_.

    floats, ints: workspace of `float_words`, `int_words`; ints[3] = 0 makes it index afresh.
    level is also read: a former level is where the search for the new one begins.
    """
    n, p = path.shape
    links = capacity.shape[0]
    if floor.shape[0] != n or cap.shape[0] != n or weight.shape[0] != n:
        return BAD_SHAPE
    if rates.shape[0] < n or level.shape[0] < links:
        return BAD_SHAPE
    hops = n * p
    if floats.shape[0] < 3 * hops + n + links:
        return BAD_SHAPE
    if ints.shape[0] < HEAD + 3 * hops + n + 4 * links + 1:
        return BAD_SHAPE
    low = floats[:hops]
    high = floats[hops : 2 * hops]
    rows = floats[2 * hops : 3 * hops]
    held = floats[3 * hops : 3 * hops + n]
    scale = floats[3 * hops + n : 3 * hops + n + links]
    at = HEAD
    copy = ints[at : at + hops]
    flow = ints[at + hops : at + 2 * hops]
    slot = ints[at + 2 * hops : at + 3 * hops]
    at += 3 * hops
    start = ints[at : at + links + 1]
    at += links + 1
    live = ints[at : at + links]
    dirty = ints[at + links : at + 2 * links]
    heap = ints[at + 2 * links : at + 3 * links]
    frozen = ints[at + 3 * links : at + 3 * links + n]

    known = ints[3] == 1 and ints[0] == n and ints[1] == links and ints[2] == p
    if not (known and _same(path, copy)):
        ints[3] = 0
        if not index(path, links, copy, start, live, flow, slot):
            return BAD_PATH
        ints[0], ints[1], ints[2], ints[3] = n, links, p, 1

    lacking = 0
    if gather(floor, cap, weight, capacity, start, flow, low, high, rows, level[:links], scale) < 0:
        lacking = shrink(floor, path, scale, held)
        gather(held, cap, weight, capacity, start, flow, low, high, rows, level[:links], scale)
        _unfrozen(held, cap, rates, frozen)
    else:
        _unfrozen(floor, cap, rates, frozen)
    _fill(
        path, capacity, start, flow, slot, low, high, rows, level, rates, frozen, live, dirty, heap
    )
    return lacking
