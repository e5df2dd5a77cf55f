"""PortQuantiser: the arbitration tables of all egress ports and modules, kept from tick to tick."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fabcore.errors import FabricError
from fabcore.solve.portkernel import MAX_PHASES, STATES, TABLE, quantise_ports

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
U8 = NDArray[np.uint8]


class PortQuantiser:
    """Tables for `targets` arbitration points of up to `width` columns, without allocating.

    Hardware needs an owner in every phase and passes over one that has nothing to send, so a
    target's rates are scaled until they fill its table. What whole slots round off is carried to
    the next run; a table is rewritten only when a column's carry would reach `slack` slots, so the
    long-run share is exact. More slack rewrites less: with 8 columns and steady rates a table is
    rewritten in 72 % of the runs at 1, 30 % at 2, 15 % at 4. Not for two threads at a time.

    Attributes: tables (T, 256) uint8, row t valid for phases[t]; changed (T,) uint8, 1 where the
    last run made another table; slots (T, W) int32, what the tables give each column.
    """

    __slots__ = ("_floats", "_known", "_scratch", "_state", "changed", "slack", "slots", "tables")

    def __init__(self, targets: int, width: int, slack: float = 1.0) -> None:
        if targets < 0 or width < 1:
            raise FabricError(
                f"PortQuantiser({targets}, {width}): needs 0 or more targets, 1 or more columns"
            )
        if not slack >= 1.0:
            raise FabricError(f"slack is {slack}: a table can owe a slot, so 1 or more")
        self.slack = float(slack)
        self.tables = np.zeros((targets, MAX_PHASES), dtype=np.uint8)
        self.changed = np.zeros(targets, dtype=np.uint8)
        self.slots = np.zeros((targets, width), dtype=np.int32)
        self._floats = np.zeros((3, targets, width))
        self._known = np.zeros((targets + 2, width), dtype=np.int32)
        self._state = np.zeros((targets, STATES), dtype=np.int32)
        self._scratch = np.zeros((2, MAX_PHASES), dtype=np.uint8)

    @property
    def carry(self) -> F64:
        """(T, W) float64: slots owed to each column, about `slack` at most."""
        view: F64 = self._floats[0]
        return view

    def run(
        self, rates: F64, used: NDArray[np.bool_], columns: I32, capacity: F64, phases: I32,
        entries: U8,
    ) -> int:  # fmt: skip
        """Brings all tables up to date; the number that changed.

        rates (T, W) B/s wanted by each column; used (T, W) bool: columns with a bound VM, which
        keep at least one slot; columns (T,) int32: how many columns a target has; phases (T,)
        int32, 1 to 256; entries (T, W) uint8: what a table says for a column. A target whose
        rates are all 0 shares equally among its used columns; one that nobody uses keeps its
        table. capacity (T,) B/s is not needed, since only proportions fill a table.
        """
        try:
            changed: int = quantise_ports(
                rates, used, columns, phases, entries, self.slack,
                self.tables, self.changed, self.slots, self._floats, self._known, self._state,
                self._scratch,
            )  # fmt: skip
        except TypeError:
            raise FabricError(
                "run needs contiguous arrays: float64 rates, bool used, int32 columns and phases, "
                "uint8 entries"
            ) from None
        if changed < 0:
            raise FabricError(
                f"run: arrays of {rates.shape[0]} targets do not match PortQuantiser"
                f"{self.slots.shape}, a target has more columns than that, or phases are not 1 "
                f"to {MAX_PHASES}"
            )
        return changed

    def reset(self, target: int) -> None:
        """Forgets a target's table and carry: the next run rewrites it if anybody uses it."""
        if not 0 <= target < self.slots.shape[0]:
            raise FabricError(f"target {target}: there are {self.slots.shape[0]}, from 0")
        self._state[target, TABLE] = 0
        self._floats[0, target] = 0.0
