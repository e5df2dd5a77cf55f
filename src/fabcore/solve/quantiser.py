"""One port's rates as whole slots of its arbitration table, and the order of the slots."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fabcore.errors import FabricError
from fabcore.solve import check
from fabcore.solve.slots import earliest_deadline, share_out, whole_slots

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


def quantise(
    rates: Any, capacity: float, phases: int, carry: Any = None, min_slots: Any = 0
) -> tuple[I32, F64]:
    """Whole slots (k,) int32 for rates (k,) B/s on a port of `capacity` B/s, and what is carried.

    A rate's ideal is rates x phases / capacity slots, at least `min_slots` (one number, or (k,));
    ideals that sum to more than `phases` are scaled down to fit, minima first. Slots never sum to
    more than `phases` and leave the least unmet. carry (k,) in slots is what former calls rounded
    off: pass it back, and the long-run share is the ideal one.
    """
    values = check.finite("rates", check.vector("rates", rates))
    k = values.shape[0]
    n = _count("phases", phases)
    room = float(check.vector("capacity", [capacity])[0])
    if not 0.0 < room < np.inf:
        raise FabricError(f"capacity is {room}: it must be a finite number above 0")
    least = _minima(min_slots, k, n)
    past = np.zeros(k) if carry is None else np.array(carry, dtype=np.float64)
    if past.shape != (k,) or not np.isfinite(past).all():
        raise FabricError(f"carry must be ({k},) finite numbers, as the last call returned it")
    ideal = np.maximum(values * (n / room), least)
    if ideal.sum() > n:
        share_out(values, least, float(n), ideal)
    target = ideal + past
    slots = np.zeros(k, dtype=np.int32)
    whole_slots(target, least, n, slots)
    return slots, target - slots


def arbitration_table(slots: Any, phases: int) -> I32:
    """The table (phases,) int32: in every phase the index of its owner, -1 where it is idle.

    slots (k,) whole numbers that sum to at most `phases`. Each owner's slots are spread evenly:
    every prefix of the table is within one slot of its share.
    """
    n = _count("phases", phases)
    given = np.asarray(slots)
    if given.ndim != 1:
        raise FabricError(f"slots has shape {given.shape}: it needs one dimension")
    whole = check.finite("slots", check.vector("slots", given))
    if (whole != np.floor(whole)).any():
        raise FabricError("slots must be whole numbers: use quantise to round rates")
    if whole.sum() > n:
        raise FabricError(f"slots sum to {whole.sum():g}: a table of {n} phases holds {n}")
    table = np.empty(n, dtype=np.int32)
    earliest_deadline(whole.astype(np.int32), table)
    return table


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise FabricError(f"{name} is {value!r}: it must be a whole number of 1 or more")
    return int(value)


def _minima(min_slots: Any, k: int, phases: int) -> I32:
    given = np.asarray(min_slots)
    if given.ndim > 1 or (given.ndim == 1 and given.shape != (k,)):
        raise FabricError(f"min_slots has shape {given.shape}: it needs one number or ({k},)")
    values = check.finite("min_slots", check.vector("min_slots", np.broadcast_to(given, (k,))))
    if (values != np.floor(values)).any():
        raise FabricError("min_slots must be whole numbers")
    if values.sum() > phases:
        raise FabricError(
            f"min_slots sum to {values.sum():g}: a table of {phases} phases holds {phases}"
        )
    return values.astype(np.int32)
