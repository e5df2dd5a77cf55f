"""Division: weighted max-min with floors and caps, exact, and the certificate that it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fabcore.errors import FabricError
from fabcore.solve import check
from fabcore.solve.certificate import certificate
from fabcore.solve.waterfill import BAD_PATH, divide, float_words, int_words

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


class Division:
    """A workspace that divides up to `flows` flows over `links` links without allocating.

    Not for two threads at a time; the arithmetic runs without the GIL.

    Attributes: level, (links,) float64, the level of every link after `divide`, inf where the
    link holds nobody back; infeasible, how many links could not carry their floors.
    """

    __slots__ = ("_floats", "_flows", "_ints", "_rates", "_width", "infeasible", "level")

    def __init__(self, flows: int, links: int, path_width: int) -> None:
        if flows < 0 or links < 0 or path_width < 1:
            raise FabricError(
                f"Division({flows}, {links}, {path_width}): counts are 0 or more, paths 1 or more"
            )
        self._flows = flows
        self._width = path_width
        self._rates = np.zeros(flows)
        self._floats = np.zeros(float_words(flows, links, path_width))
        self._ints = np.zeros(int_words(flows, links, path_width), dtype=np.int32)
        self.level = np.zeros(links)
        self.infeasible = 0

    def divide(self, floor: F64, cap: F64, weight: F64, path: I32, capacity: F64) -> F64:
        """The rates (n,) B/s, n <= flows, in an array that the next call overwrites.

        floor, cap, weight (n,), path (n, p) int32, capacity (L,), all contiguous, writable and
        trusted to be numbers; path ids are checked whenever path changed. cap may be inf, and a
        floor above its cap wins. Floors that a link cannot carry do not fail: each is multiplied
        by the smallest capacity / sum of floors on its path, and `infeasible` counts the links
        that lack.
        """
        try:
            status: int = divide(
                floor, cap, weight, path, capacity,
                self._rates, self.level, self._floats, self._ints,
            )  # fmt: skip
        except TypeError:
            raise FabricError(
                "divide needs contiguous, writable float64 arrays and an int32 (n, p) path"
            ) from None
        if status < 0:
            self._refuse(status, path, capacity)
        self.infeasible = status
        return self._rates[: path.shape[0]]

    def certify(self, floor: F64, cap: F64, weight: F64, path: I32, capacity: F64) -> float:
        """How far the last rates are from optimal for this problem, as `certify` says.

        The arguments are trusted to be those of the last `divide`. A floor that no division could
        keep counts as broken: inf behind a link without capacity.
        """
        rates = self._rates[: path.shape[0]]
        worst: float = certificate(rates, floor, cap, weight, path, capacity, self._floats)
        return worst

    def _refuse(self, status: int, path: I32, capacity: F64) -> None:
        if status == BAD_PATH:
            check.paths(path, path.shape[0], capacity.shape[0])
        raise FabricError(
            f"divide: {path.shape[0]} flows of {path.shape[1]} links over {capacity.shape[0]} "
            f"links do not match, or exceed Division({self._flows}, {self.level.shape[0]}, "
            f"{self._width})"
        )


def max_min(floor: Any, cap: Any, weight: Any, path: Any, capacity: Any) -> F64:
    """Weighted max-min rates (n,) B/s: clamp(weight x smallest level on the path, floor, cap).

    floor, cap, weight (n,) float64 (cap may be inf, weight > 0), path (n, p) int32 link ids with -1
    only trailing, capacity (L,). FabricError for bad input, CapacityError when floors do not fit
    (by more than 1e-9 of a link).
    """
    floors, caps, weights, links, rooms = check.problem(floor, cap, weight, path, capacity)
    check.require_floors(floors, links, rooms)
    n = floors.shape[0]
    if not n:
        return np.zeros(0)
    division = Division(n, rooms.shape[0], links.shape[1])
    return division.divide(floors, caps, weights, links, rooms)


def certify(rates: Any, floor: Any, cap: Any, weight: Any, path: Any, capacity: Any) -> float:
    """How far rates (n,) are from the weighted max-min division; at most 1e-9 counts as proved.

    The largest of (floor - rate) / C and (rate - cap) / C, C the tightest link of the path, of
    (load - capacity) / capacity, and of the bottleneck gaps relative to the level. Any solver's
    rates can be judged; a link without capacity that must carry something gives inf.
    """
    floors, caps, weights, links, rooms = check.problem(floor, cap, weight, path, capacity)
    n = floors.shape[0]
    given = np.asarray(rates)
    if given.shape != (n,):
        raise FabricError(f"rates has shape {given.shape}: it needs shape ({n},)")
    values = np.array(given, dtype=np.float64)
    if not np.isfinite(values).all():
        i = int(np.argmin(np.isfinite(values)))
        raise FabricError(f"rates[{i}] is {values[i]}: it must be a finite number")
    if not n:
        return 0.0
    floats = np.empty(3 * rooms.shape[0])
    worst: float = certificate(values, floors, caps, weights, links, rooms, floats)
    return worst
