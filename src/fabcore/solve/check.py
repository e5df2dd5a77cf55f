"""What the solver refuses: arguments as arrays of one problem, or a FabricError that says why."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from fabcore.errors import CapacityError, FabricError

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
# What compiled kernels take; anything else is copied.
_AS: Final[tuple[Literal["C", "A", "W"], ...]] = ("C", "A", "W")
ROUNDING = 1e-9  # as a share of a link: floors that exceed it by less do fit


def vector(name: str, values: Any, length: int | None = None) -> F64:
    """`values` as a contiguous (length,) float64 array without NaN and negative numbers."""
    try:
        array = np.require(values, np.float64, _AS)
    except (TypeError, ValueError) as error:
        raise FabricError(f"{name}: not an array of numbers ({error})") from None
    if np.ndim(values) != 1 or (length is not None and array.shape[0] != length):
        want = "one dimension" if length is None else f"shape ({length},)"
        raise FabricError(f"{name} has shape {np.shape(values)}: it needs {want}")
    bad = ~(array >= 0.0)
    if bad.any():
        i = int(np.argmax(bad))
        raise FabricError(f"{name}[{i}] is {array[i]}: it must be a number of 0 or more")
    return array


def finite(name: str, array: F64) -> F64:
    """The array, if no value is infinite."""
    bad = np.isinf(array)
    if bad.any():
        raise FabricError(f"{name}[{int(np.argmax(bad))}] is infinite: it must be finite")
    return array


def paths(path: Any, flows: int, links: int) -> I32:
    """`path` as a contiguous (flows, p) int32 array of ids below `links`, -1 only trailing."""
    given = np.asarray(path)
    if given.ndim != 2 or given.shape[0] != flows:
        raise FabricError(f"path has shape {given.shape}: it needs ({flows}, links per path)")
    if not np.issubdtype(given.dtype, np.integer) and given.size:
        raise FabricError(f"path holds {given.dtype}: it needs integers, link ids")
    if flows and not given.shape[1]:
        raise FabricError("path has no columns: every flow needs at least one link")
    if given.size and (given.min() < -1 or given.max() >= links):
        i, q = (int(k) for k in np.argwhere((given < -1) | (given >= links))[0])
        raise FabricError(f"path[{i}, {q}] is {given[i, q]}: link ids are 0 to {links - 1}")
    present = given >= 0
    if flows and not present[:, 0].all():
        i = int(np.argmin(present[:, 0]))
        if present[i].any():
            raise FabricError(f"path[{i}] has -1 before a link id: -1 may only trail")
        raise FabricError(f"path[{i}] is empty: every flow needs at least one link")
    gap = present[:, 1:] & ~present[:, :-1]
    if gap.any():
        i = int(np.argwhere(gap)[0][0])
        raise FabricError(f"path[{i}] has -1 before a link id: -1 may only trail")
    return np.require(given, np.int32, _AS)


def problem(
    floor: Any, cap: Any, weight: Any, path: Any, capacity: Any
) -> tuple[F64, F64, F64, I32, F64]:
    """One division problem, checked; see contract.md section 3 for the shapes."""
    floors = finite("floor", vector("floor", floor))
    n = floors.shape[0]
    caps = vector("cap", cap, n)
    weights = finite("weight", vector("weight", weight, n))
    rooms = finite("capacity", vector("capacity", capacity))
    if not (weights > 0.0).all():
        i = int(np.argmin(weights > 0.0))
        raise FabricError(f"weight[{i}] is {weights[i]}: it must be above 0")
    above = floors > caps
    if above.any():
        i = int(np.argmax(above))
        raise FabricError(f"floor[{i}] is {floors[i]}, above its cap {caps[i]}: lower the floor")
    return floors, caps, weights, paths(path, n, rooms.shape[0]), rooms


def require_floors(floor: F64, path: I32, capacity: F64) -> None:
    """CapacityError, with the links, what they lack (B/s) and whose floors meet there."""
    on = path >= 0
    load = np.bincount(
        path[on], weights=np.broadcast_to(floor[:, None], path.shape)[on], minlength=len(capacity)
    )
    over = load > capacity * (1.0 + ROUNDING)
    if not over.any():
        return
    links = np.flatnonzero(over)
    shortfall = load[links] - capacity[links]
    crosses = (over[np.where(on, path, 0)] & on).any(axis=1) & (floor > 0.0)
    first = links[0]
    raise CapacityError(
        f"floors do not fit on {len(links)} link(s): link {first} has {capacity[first]:g} B/s and "
        f"lacks {shortfall[0]:g} B/s; lower the floors of the VMs that meet there",
        links=tuple(links.tolist()),
        shortfall=tuple(shortfall.tolist()),
        vms=tuple(np.flatnonzero(crosses).tolist()),
    )
