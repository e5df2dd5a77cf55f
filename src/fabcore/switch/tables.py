"""The arbitration tables of a chassis: which there are, what each entry names, how grants become slots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fabcore.solve import PortQuantiser
from fabcore.switch.discover import Pdfids
from fabcore.switch.kernels import sum_by_ingress
from fabcore.topology import Port, Topology

if TYPE_CHECKING:
    from fabcore._core import Switch

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
GROUPS = 8  # MFVC function groups
TARGET_PORT, TARGET_FUNCTION = 0, 1
# Tables this long are used where longer ones are offered too: what a coarse table rounds away is
# carried to the next, so the long-run share is exact, and a tick has half as much to write. A
# function table is written by a firmware command for every four bytes.
PORT_PHASES, FUNCTION_PHASES = 128, 32
_CARRIES = (1, 2, 3)  # FAB_PORT_*: fabric, module and host ports carry VMs' traffic


@dataclass(frozen=True, slots=True)
class Target:
    """One arbitration table: an egress port's, or an MFVC module's over its function groups."""

    kind: int
    switch: int
    port: int
    pdfid: int
    phases: int
    columns: tuple[int, ...]  # what a table entry names: ingress port ids, or groups


def find_targets(
    switches: list[Switch], topology: Topology, arbitration: dict[int, str], pdfids: Pdfids
) -> tuple[Target, ...]:
    """Every table that the switches and modules really offer, by probing them."""
    targets = []
    for k, switch in enumerate(switches):
        infos = [i for i in switch.ports() if i["kind"] in _CARRIES]
        for info in infos:
            others = tuple(i["port"] for i in infos if i["port"] != info["port"])
            if info["phases"] and others:
                phases = min(info["phases"], PORT_PHASES)
                targets.append(Target(TARGET_PORT, k, info["port"], 0, phases, others))
    for port in topology.module_ports:
        if arbitration[port.index] == "mfvc":
            pf = pdfids.of(port.index, 0)
            targets.append(function_target(port, pf, switches[port.switch].function_probe(pf)))
    return tuple(targets)


def function_target(port: Port, pf: int, probe: dict[str, int]) -> Target:
    """The table of an MFVC module over its function groups, as its PF's probe says."""
    columns = tuple(range(min(GROUPS, probe["groups"])))
    phases = min(probe["phases"], FUNCTION_PHASES)
    return Target(TARGET_FUNCTION, port.switch, port.port, pf, phases, columns)


class Tables:
    """The wanted contents of all tables, on arrays allocated once.

    targets: T tables with at most W columns. `entries` (T, 256) uint8 and `changed` (T,) uint8 are
    what Plan.apply takes; `used` (T, W) bool are the columns that a bound function's flow passes.
    """

    def __init__(self, targets: tuple[Target, ...], topology: Topology) -> None:
        self.targets = targets
        self.column = {(t, e): k for t, x in enumerate(targets) for k, e in enumerate(x.columns)}
        self.of_port = {
            (x.switch, x.port): t for t, x in enumerate(targets) if x.kind == TARGET_PORT
        }
        self.of_module = {
            topology.by_id[x.switch, x.port].index: t
            for t, x in enumerate(targets)
            if x.kind == TARGET_FUNCTION
        }
        count, width = len(targets), max((len(x.columns) for x in targets), default=1)
        self.used: NDArray[np.bool_] = np.zeros((count, width), dtype=np.bool_)
        self._uses = np.zeros((count, width), dtype=np.int32)
        self._rates = np.zeros((count, width))
        self._names = np.zeros((count, width), dtype=np.uint8)
        self._columns = np.array([len(x.columns) for x in targets], dtype=np.int32)
        self._phases = np.array([x.phases for x in targets], dtype=np.int32)
        self._capacity = np.array([_capacity(x, topology) for x in targets])
        for t, target in enumerate(targets):
            self._names[t, : len(target.columns)] = target.columns
        self._quantiser = PortQuantiser(count, width)
        self._gone = np.zeros(count, dtype=np.bool_)  # on a switch that does not answer
        self._any_gone = False

    def extended(self, target: Target, topology: Topology) -> Tables:
        """The same flows in the same columns, and one table more; all are written anew."""
        more = Tables((*self.targets, target), topology)
        count, width = self._uses.shape
        more._uses[:count, :width] = self._uses
        more.used[:count, :width] = self.used
        more._gone[:count] = self._gone
        more._any_gone = self._any_gone
        return more

    @property
    def entries(self) -> NDArray[np.uint8]:
        return self._quantiser.tables

    @property
    def changed(self) -> NDArray[np.uint8]:
        return self._quantiser.changed

    @property
    def slots(self) -> I32:
        """(T, W) int32: phases that each column has in its table."""
        return self._quantiser.slots

    def use(self, pairs: list[tuple[int, int]], by: int) -> None:
        """Counts a flow in (by = 1) or out (-1) of the columns that it passes."""
        for t, k in pairs:
            self._uses[t, k] += by
            self.used[t, k] = self._uses[t, k] > 0

    def divide(self, grant: F64, target: I32, column: I32) -> None:
        """Works out the tables that serve the flows' grants (f,) B/s; see Chassis.program."""
        sum_by_ingress(grant, target, column, self._rates)
        self._quantiser.run(
            self._rates, self.used, self._columns, self._capacity, self._phases, self._names
        )
        if self._any_gone:
            self._quantiser.changed[self._gone] = 0

    def reachable(self, switch: int, yes: bool) -> None:
        """Whether a switch's tables can be written; one that is back gets all of them anew."""
        for t, target in enumerate(self.targets):
            if target.switch == switch:
                self._gone[t] = not yes
                self._quantiser.reset(t)
        self._any_gone = bool(self._gone.any())

    def forget(self, target: int | None = None) -> None:
        """A table (None: all) may not hold what was worked out: write it next time."""
        for t in range(len(self.targets)) if target is None else (target,):
            self._quantiser.reset(t)


def _capacity(target: Target, topology: Topology) -> float:
    if target.kind == TARGET_PORT:
        return float(topology.capacity[topology.egress_link[target.switch, target.port]])
    return float(
        topology.capacity[topology.path_up(topology.by_id[target.switch, target.port].index, 0)[0]]
    )
