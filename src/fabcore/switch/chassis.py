"""The switches of one Resource Node as one thing: functions bound, tables programmed, ports watched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fabcore.errors import CapacityError, FabricError
from fabcore.solve import PortQuantiser
from fabcore.switch.discover import ARBITRATION, discover, pdfid
from fabcore.switch.enforcement import Seat, enforcement
from fabcore.switch.kernels import sum_by_ingress
from fabcore.topology import Topology

if TYPE_CHECKING:
    from fabcore._core import Bar

F64 = NDArray[np.float64]
GROUPS = 8  # MFVC function groups
TARGET_PORT, TARGET_FUNCTION = 0, 1


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a module, bound to a logical port of a host."""

    module: int
    host: int
    switch: int  # where the module's port is
    port: int
    function: int  # 1.. = VFs
    pdfid: int
    host_switch: int
    host_port: int
    logical: int
    group: int  # MFVC function group, 0 on other modules


@dataclass(frozen=True, slots=True)
class Target:
    """One arbitration table: an egress port's, or an MFVC module's over its function groups."""

    kind: int
    switch: int
    port: int
    pdfid: int
    phases: int
    columns: tuple[int, ...]  # what a table entry names: ingress port ids, or groups


class Chassis:
    """Drivers of all switches, the functions bound through them and the tables they hold.

    bars: one per switch, in order; topology: read from the switches when None.
    One thread at a time; not usable after fork.
    """

    def __init__(self, bars: list[Bar], topology: Topology | None = None) -> None:
        from fabcore._core import Plan, Switch

        self.bars = bars
        self.switches = [Switch(bar) for bar in bars]
        self.topology = topology if topology is not None else discover(self.switches)
        self.arbitration = self._probe_modules()
        self._free = {
            spec.index: list(range(spec.vfs, 0, -1)) for spec in self.topology.module_specs
        }
        self._logical: dict[tuple[int, int], set[int]] = {}
        self._groups = {m: [0] * GROUPS for m in self.arbitration}
        self.targets = self._find_targets()
        self._column = {
            (t, entry): k
            for t, target in enumerate(self.targets)
            for k, entry in enumerate(target.columns)
        }
        self._target_of_port = {
            (t.switch, t.port): i for i, t in enumerate(self.targets) if t.kind == TARGET_PORT
        }
        self._target_of_module = {
            t.pdfid >> 6: i for i, t in enumerate(self.targets) if t.kind == TARGET_FUNCTION
        }
        self.plan = Plan(
            self.switches, [(t.kind, t.switch, t.port, t.pdfid, t.phases) for t in self.targets]
        )
        self.hops = self.topology.path_width  # targets on a path: module table and egress ports
        width = max((len(t.columns) for t in self.targets), default=1)
        self.rates = np.zeros((len(self.targets), width))
        self.quantiser = self._quantiser(width)

    def _probe_modules(self) -> dict[int, str]:
        found = {}
        for port in self.topology.module_ports:
            probe = self.switches[port.switch].function_probe(pdfid(port.index, 0))
            found[port.index] = ARBITRATION[probe["arbitration"]]
        return found

    def _find_targets(self) -> tuple[Target, ...]:
        targets = []
        for k, switch in enumerate(self.switches):
            infos = [i for i in switch.ports() if i["kind"] in (1, 2, 3)]
            for info in infos:
                others = tuple(i["port"] for i in infos if i["port"] != info["port"])
                if info["phases"] and others:
                    phases = info["phases"]
                    targets.append(Target(TARGET_PORT, k, info["port"], 0, phases, others))
        for port in self.topology.module_ports:
            if self.arbitration[port.index] == "mfvc":
                probe = self.switches[port.switch].function_probe(pdfid(port.index, 0))
                columns = tuple(range(min(GROUPS, probe["groups"])))
                pf = pdfid(port.index, 0)
                targets.append(
                    Target(TARGET_FUNCTION, port.switch, port.port, pf, probe["phases"], columns)
                )
        return tuple(targets)

    def _quantiser(self, width: int) -> PortQuantiser:
        quantiser = PortQuantiser(len(self.targets), width)
        self.used = np.zeros((len(self.targets), width), dtype=np.bool_)
        self.capacity = np.ones(len(self.targets))
        self.phases = np.array([t.phases for t in self.targets], dtype=np.int32)
        self.entries = np.zeros((len(self.targets), width), dtype=np.uint8)
        self.columns = np.array([len(t.columns) for t in self.targets], dtype=np.int32)
        link = self.topology.egress_link
        for i, target in enumerate(self.targets):
            self.entries[i, : len(target.columns)] = target.columns
            if target.kind == TARGET_PORT:
                self.capacity[i] = self.topology.capacity[link[target.switch, target.port]]
            else:
                up = self.topology.path_up(target.pdfid >> 6, 0)[0]
                self.capacity[i] = self.topology.capacity[up]
        return quantiser

    # -- functions ---------------------------------------------------------------------------

    def attach(self, module: int, host: int) -> Function:
        """Binds a free function of `module` to `host`; CapacityError when none is free.

        A failure leaves nothing bound and the function free.
        """
        free = self._free.get(module)
        if not free:
            raise CapacityError(f"module {module}: no free function (all VFs are bound)")
        mport = self.topology.module_ports[module]
        hport = self.topology.host_ports[host]
        taken = self._logical.setdefault((hport.switch, hport.port), set())
        logical = next((n for n in range(256) if n not in taken), None)
        if logical is None:
            raise CapacityError(f"host {host}: no free logical port (256 are bound)")
        number = free[-1]
        fid = pdfid(module, number)
        switch = self.switches[mport.switch]
        group = 0
        if self.arbitration[module] == "mfvc":
            group = int(np.argmin(self._groups[module]))
            switch.function_group(fid, group)
        self.switches[hport.switch].bind(hport.switch, hport.port, logical, fid)
        free.pop()
        taken.add(logical)
        self._groups[module][group] += 1
        return Function(
            module, host, mport.switch, mport.port, number, fid, hport.switch, hport.port,
            logical, group,
        )  # fmt: skip

    def detach(self, f: Function) -> None:
        """Unbinds a function and frees it."""
        self.switches[f.host_switch].unbind(f.host_switch, f.host_port, f.logical, f.pdfid)
        self._free[f.module].append(f.function)
        self._logical[f.host_switch, f.host_port].discard(f.logical)
        self._groups[f.module][f.group] -= 1

    def route(self, f: Function, direction: str) -> list[tuple[int, int]]:
        """The (target, column) pairs that a function's flow passes in one direction."""
        pairs = []
        if f.module in self._target_of_module:
            t = self._target_of_module[f.module]
            pairs.append((t, self._column[t, f.group]))
        hops: Any = self.topology.hops(f.module, f.host, direction)  # type: ignore[arg-type]
        for hop in hops:
            t = self._target_of_port.get((hop.switch, hop.egress_port), -1)
            if t >= 0:
                pairs.append((t, self._column[t, hop.ingress_port]))
        return pairs

    def enforcement(self, seats: dict[int, Seat]) -> dict[int, str]:
        """What holds each VM's grant, by the capabilities that were probed."""
        weighted = [(t.switch, t.port) for t in self.targets if t.kind == TARGET_PORT]
        return enforcement(seats, self.topology, self.arbitration, weighted)

    # -- tables ------------------------------------------------------------------------------

    def program(
        self, grant: F64, target: NDArray[np.int32], column: NDArray[np.int32]
    ) -> dict[str, int]:
        """Makes the tables serve the grants (f,) B/s; what changed is written, or nothing is.

        target, column: (f, h) int32 from `route`, -1 padded. Returns the plan's report.
        """
        if grant.shape[0] != target.shape[0]:
            raise FabricError(f"{grant.shape[0]} grants for {target.shape[0]} flows")
        sum_by_ingress(grant, target, column, self.rates)
        quantiser = self.quantiser
        quantiser.run(
            self.rates, self.used, self.columns, self.capacity, self.phases, self.entries
        )
        report: dict[str, int] = self.plan.apply(quantiser.tables, quantiser.changed)
        return report
