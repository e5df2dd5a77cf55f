"""ProfilingEngine: telemetry records in, per-VM reservations out, learning spread over the ticks."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fabcore.errors import FabricError
from fabcore.predict import series as at
from fabcore.predict.population import Population, find_weights

F64 = NDArray[np.float64]
GOLDEN = (math.sqrt(5) - 1) / 2  # spreads any number of slots evenly over a period


class ProfilingEngine:
    """What each VM moves and what to set aside for it.

    Rows are flows: row s is slot s up, row capacity + s is slot s down. `demand` and `reservation`
    (2 x capacity,) are B/s, `backlog` bytes waiting as last told; a reservation is NaN until the
    row has had its first sample. `unknown` counts records of VMs that were not adopted.
    Each adopted VM learns once per `period_s`, at a moment of its own, so that no call of `decide`
    carries them all. costs: of a byte too little and of a byte too much.
    One thread at a time.
    """

    def __init__(
        self,
        capacity: int,
        *,
        period_s: float = 0.1,
        cost_under: float = 10.0,
        cost_over: float = 1.0,
    ) -> None:
        if not (math.isfinite(period_s) and period_s >= 1e-6):
            raise FabricError(f"period_s {period_s!r} is no time of at least 1 us")
        for what, cost in (("cost_under", cost_under), ("cost_over", cost_over)):
            if not (math.isfinite(cost) and cost > 0):
                raise FabricError(f"{what} {cost!r} must be finite and above 0")
        self.period_s = period_s
        self._period = round(period_s * 1e9)
        self._costs = (cost_under, cost_over)
        self._weights = find_weights("default")
        self._slot_of: dict[int, int] = {}  # by handle
        self.unknown = 0
        self.capacity = 0
        self.resize(capacity)

    demand: F64
    reservation: F64
    backlog: F64
    _learner: Population
    _clock: NDArray[np.int64]

    def resize(self, capacity: int) -> None:
        """Room for more slots; what is known of the present ones stays."""
        old = self.capacity
        if capacity < old:
            raise FabricError(f"an engine of {old} slots cannot shrink to {capacity}")
        if capacity == old:
            return

        def grown(name: str, width: int | None, kind: type, fill: float) -> NDArray:
            shape = (2 * capacity,) if width is None else (2 * capacity, width)
            made: NDArray = np.full(shape, fill, dtype=kind)
            if old:
                was = getattr(self, name)
                made[:old], made[capacity : capacity + old] = was[:old], was[old:]
            return made

        self.demand = grown("demand", None, np.float64, 0.0)
        self.reservation = grown("reservation", None, np.float64, np.nan)
        self.backlog = grown("backlog", None, np.float64, 0.0)
        self._counter = grown("_counter", at.COUNTERS, np.uint64, 0)
        under, over = (np.full(2 * capacity, cost) for cost in self._costs)
        learner = Population(2 * capacity, under, over, 1, self._weights)
        if old:
            for new, was in (
                (learner.state, self._learner.state),
                (learner.cap, self._learner.cap),
            ):
                new[:old], new[capacity : capacity + old] = was[:old], was[old:]
        self._learner = learner
        clock = np.zeros((capacity, at.CLOCKS), dtype=np.int64)
        clock[:, at.HANDLE] = at.FREE
        if old:
            clock[:old] = self._clock
        self._clock = clock
        self._rows = np.zeros(2 * capacity, dtype=np.int64)
        self._quiet = np.zeros(capacity + 1, dtype=np.int64)
        self.capacity = capacity

    def adopt(self, slot: int, handle: int, cap: float = math.inf) -> None:
        """Takes in a VM; it starts from the weights that ship and its own telemetry from now on."""
        if not 0 <= slot < self.capacity:
            raise FabricError(f"there is no slot {slot}: the engine has {self.capacity}")
        rows = np.array([slot, self.capacity + slot])
        self._learner.begin(rows)
        self._learner.cap[rows] = cap
        self._counter[rows] = 0
        self.demand[rows] = self.backlog[rows] = 0.0
        self.reservation[rows] = np.nan
        self._slot_of.pop(int(self._clock[slot, at.HANDLE]), None)  # whoever was there before
        self._slot_of[handle] = slot
        phase = int(math.modf((slot + 1) * GOLDEN)[0] * self._period)
        self._clock[slot] = 0
        self._clock[slot, at.HANDLE] = handle
        self._clock[slot, at.DUE] = phase

    def forget(self, slot: int) -> None:
        """Gives a slot up; its records count as unknown from now on."""
        self._slot_of.pop(int(self._clock[slot, at.HANDLE]), None)
        self._clock[slot] = 0
        self._clock[slot, at.HANDLE] = at.FREE
        for row in (slot, self.capacity + slot):
            self.demand[row] = self.backlog[row] = 0.0
            self.reservation[row] = np.nan

    def observe(self, records: NDArray[np.void]) -> None:
        """Takes in records (k,) RECORD, in the order in which they were published."""
        words = records.view(np.uint64).reshape(-1, 8)
        self.unknown += at.take_in(words, self._clock, self._counter, self.backlog)

    def decide(self, now_ns: int) -> int:
        """Learns and decides for the VMs whose turn it is; the number of rows that did."""
        learned: int = at.decide_rows(
            now_ns, self._period, self._clock, self._counter, self._rows, self.demand,
            self._learner.state, self.reservation, self._learner.tau, self._learner.cap,
        )  # fmt: skip
        return learned

    def silent(self, now_ns: int, after_s: float) -> list[int]:
        """Slots of adopted VMs that have sent no record for that long; they keep what they hold."""
        at.quiet_slots(self._clock, now_ns, round(after_s * 1e9), self._quiet)
        found: list[int] = self._quiet[1 : 1 + self._quiet[0]].tolist()
        return found

    def predict_bandwidth(self, vm: int) -> float:
        """The larger of the VM's two reservations, B/s; 0 while nothing is known of it."""
        slot = self._slot_of.get(vm)
        if slot is None:
            raise FabricError(f"unknown VM {vm!r}: adopt it first")
        up = self.reservation.item(slot)
        down = self.reservation.item(self.capacity + slot)
        larger = up if up >= down else down
        return larger if larger == larger else 0.0
