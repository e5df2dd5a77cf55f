"""Per-VF shapers: which of them are so far from their grants that they are written this tick."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from fabcore.switch.kernels import shaper_error

F64 = NDArray[np.float64]

# A setting is left alone while it is within 2 % of its grant: the hardware is work-conserving and
# every write is a firmware command, which costs more than the rest of a tick.
TOLERANCE = 0.02


class Shapers:
    """The shaped functions by slot, and the committed rates (B/s) that their devices hold."""

    def __init__(self) -> None:
        from fabcore._core import SHAPE

        self._slot = np.zeros(0, dtype=np.int64)
        self._held = np.zeros((0, 2))
        self._error = np.zeros(0)
        self._rows = np.zeros(0, dtype=SHAPE)
        self._due: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def add(self, slot: int, switch: int, pdfid: int) -> None:
        """Takes in a function of a shaper module; it is written at the next chance."""
        row = np.zeros(1, dtype=self._rows.dtype)
        row["sw"], row["pdfid"] = switch, pdfid
        row["up_max"] = row["down_max"] = np.inf
        self._slot = np.append(self._slot, slot)
        self._held = np.append(self._held, np.full((1, 2), np.nan), axis=0)
        self._rows = np.append(self._rows, row)
        self._error = np.zeros(self._slot.size)

    def remove(self, slot: int) -> None:
        """Forgets a slot's function; its device keeps what it holds until the slot's successor."""
        keep = self._slot != slot
        self._slot, self._held, self._rows = self._slot[keep], self._held[keep], self._rows[keep]
        self._error = np.zeros(self._slot.size)

    def forget(self, slots: Collection[int]) -> None:
        """The devices of these slots hold nothing any more: they are written at the next chance."""
        self._held[np.isin(self._slot, list(slots))] = np.nan

    def due(self, grant: F64, most: int) -> NDArray[np.void] | None:
        """Rows (k,) SHAPE, k <= most, to write so that the grants (2 x capacity,) B/s hold."""
        if not self._slot.size:
            return None
        if not shaper_error(grant, self._slot, self._held, self._error, TOLERANCE):
            return None
        order = np.argsort(-self._error, kind="stable")[:most]
        self._due = order[self._error[order] > 0.0]
        slot, capacity = self._slot[self._due], grant.shape[0] // 2
        rows = self._rows[self._due]
        rows["up_min"], rows["down_min"] = grant[slot], grant[capacity + slot]
        return rows

    def done(self, rows: NDArray[np.void] | None) -> None:
        """The rows of the last `due` are in force."""
        if rows is not None:
            self._held[self._due, 0] = rows["up_min"]
            self._held[self._due, 1] = rows["down_min"]
