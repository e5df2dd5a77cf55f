"""The VMs of a node as arrays: who they are, where they sit, what they were promised.

Row s of every array is the VM in slot s; flow s is its up, flow capacity+s its down direction. A
free slot holds a flow that wants nothing (cap 0 on an idle path), so the arrays need no gaps closed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fabcore.errors import FabricError
from fabcore.switch import Function
from fabcore.switch.enforcement import Seat

SLOT_BITS = 20  # of a handle; the generation is above
LAST_GENERATION = (1 << (32 - SLOT_BITS)) - 1  # never a VM's: such handles name ports


@dataclass(slots=True)
class VM:
    """One VM's book-keeping entry; `floor` is what is allocated to it, B/s in each direction."""

    name: str
    handle: int
    share: float
    weight: float
    cap: float
    priority: int
    function: Function
    up: tuple[int, ...]  # link ids
    down: tuple[int, ...]
    floor: float = 0.0

    slot: int = field(init=False)
    links: tuple[int, ...] = field(init=False)  # both paths

    def __post_init__(self) -> None:
        self.slot = self.handle & ((1 << SLOT_BITS) - 1)
        self.links = self.up + self.down

    @property
    def seat(self) -> Seat:
        return Seat(self.function.module, self.function.host, self.function.group)


class VMs:
    """Rows for VMs, doubled when full; names and handles both find a VM.

    Arrays have one row per flow: floor, cap (what divide works with), limit (the VM's own hard
    cap), all B/s; weight; path, the links; target and column, the arbitration tables passed.
    """

    floor: NDArray[np.float64]
    cap: NDArray[np.float64]
    limit: NDArray[np.float64]
    weight: NDArray[np.float64]
    path: NDArray[np.int32]
    target: NDArray[np.int32]
    column: NDArray[np.int32]

    def __init__(self, path_width: int, hop_width: int, capacity: int = 64) -> None:
        self.path_width = path_width
        self.hop_width = hop_width
        self.capacity = 0
        self.by_key: dict[str | int, VM] = {}
        self._free: list[int] = []
        self._generation: list[int] = []
        self._grow(capacity)

    def _grow(self, capacity: int) -> None:
        old = self.capacity
        new: dict[str, NDArray[Any]] = {
            "floor": np.zeros(2 * capacity),
            "cap": np.zeros(2 * capacity),
            "limit": np.zeros(2 * capacity),
            "weight": np.ones(2 * capacity),
            "path": np.full((2 * capacity, self.path_width), -1, dtype=np.int32),
            "target": np.full((2 * capacity, self.hop_width), -1, dtype=np.int32),
            "column": np.full((2 * capacity, self.hop_width), -1, dtype=np.int32),
        }
        new["path"][:, 0] = 0
        for name, array in new.items():
            if old:
                was = getattr(self, name)
                array[:old] = was[:old]
                array[capacity : capacity + old] = was[old:]
            setattr(self, name, array)
        self._free.extend(range(capacity - 1, old - 1, -1))
        self._generation.extend([0] * (capacity - old))
        self.capacity = capacity

    def reserve(self) -> int:
        """The handle that the next `add` must carry; grows the arrays when no slot is free."""
        if not self._free:
            self._grow(2 * self.capacity)
        slot = self._free[-1]
        return self._generation[slot] << SLOT_BITS | slot

    def add(self, vm: VM, hops_up: list[tuple[int, int]], hops_down: list[tuple[int, int]]) -> None:
        """Takes the slot named by vm.handle (from `reserve`)."""
        slot = self._free.pop()
        assert slot == vm.slot
        self.place(vm, hops_up, hops_down)
        for row in (slot, self.capacity + slot):
            self.weight[row] = vm.weight
            self.limit[row] = vm.cap
            self.floor[row] = vm.floor
        self.by_key[vm.name] = self.by_key[vm.handle] = vm

    def place(
        self, vm: VM, hops_up: list[tuple[int, int]], hops_down: list[tuple[int, int]]
    ) -> None:
        """Writes the VM's paths and the (target, column) pairs of its tables into its rows."""
        slot = vm.slot
        for row, links, hops in (
            (slot, vm.up, hops_up),
            (self.capacity + slot, vm.down, hops_down),
        ):
            self.path[row] = -1
            self.path[row, : len(links)] = links
            self.target[row] = -1
            self.column[row] = -1
            for k, (target, column) in enumerate(hops):
                self.target[row, k] = target
                self.column[row, k] = column

    def remove(self, vm: VM) -> None:
        """Frees the slot; the handle is never given out again until the generation wraps."""
        slot = vm.slot
        for row in (slot, self.capacity + slot):
            self.path[row] = -1
            self.path[row, 0] = 0
            self.target[row] = -1
            self.column[row] = -1
            self.floor[row] = self.cap[row] = self.limit[row] = 0.0
            self.weight[row] = 1.0
        del self.by_key[vm.name], self.by_key[vm.handle]
        self._generation[slot] = (self._generation[slot] + 1) % LAST_GENERATION
        self._free.append(slot)

    def get(self, key: str | int) -> VM:
        """The VM by name or handle; an unknown one raises."""
        try:
            return self.by_key[key]
        except (KeyError, TypeError):
            raise FabricError(f"unknown VM {key!r}: add it with add_vm first") from None

    def all(self) -> list[VM]:
        return [vm for key, vm in self.by_key.items() if isinstance(key, str)]
