"""The switches of one Resource Node as one thing: functions bound, tables programmed, ports watched."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from numpy.typing import NDArray

from fabcore.errors import CapacityError, FabricError, FirmwareError, OwnerError
from fabcore.switch.discover import ARBITRATION, Pdfids, discover, read_pdfids
from fabcore.switch.enforcement import Seat, enforcement
from fabcore.switch.guard import Isolation, Owner
from fabcore.switch.shapers import Shapers
from fabcore.switch.tables import (
    GROUPS,
    TARGET_PORT,
    Tables,
    find_targets,
    function_target,
)
from fabcore.topology import Direction, Topology

if TYPE_CHECKING:
    from fabcore._core import Bar, Plan

F64 = NDArray[np.float64]
LOGICAL_PORTS = 256
# How the emulated firmware refuses a bind; the vendor's tool knows no codes of its own for it.
FUNCTION_BOUND, LOGICAL_TAKEN = 0x64007, 0x64010


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


class Chassis:
    """Drivers of all switches, the functions bound through them and the tables they hold.

    bars: one per switch, in order; topology: read from the switches when None. owner: the name
    to own all switches by, before anything else is asked of them; None = not yet (guard.Owner).
    One thread at a time; not usable after fork.
    """

    def __init__(
        self, bars: list[Bar], topology: Topology | None = None, owner: str | None = None
    ) -> None:
        from fabcore._core import Switch

        self.bars = bars
        self.switches = [Switch(bar) for bar in bars]
        self.owner = Owner(self.switches)
        if owner is not None:
            self.owner.take(owner)
        self.isolation = Isolation(self.switches)
        found = [read_pdfids(switch) for switch in self.switches]
        self.topology = topology if topology is not None else discover(self.switches, found=found)
        self.pdfids = Pdfids(self.switches, self.topology, found)
        self.absent: dict[int, str] = {}  # modules that nothing can be put on, and why
        self.arbitration = self._probe_modules()
        self._free = {
            spec.index: [] if spec.index in self.absent else list(range(spec.vfs, 0, -1))
            for spec in self.topology.module_specs
        }
        self._logical: dict[tuple[int, int], set[int]] = {}
        self._groups = {m: [0] * GROUPS for m in self.arbitration}
        self.tables = Tables(
            find_targets(self.switches, self.topology, self.arbitration, self.pdfids), self.topology
        )
        self.shapers = Shapers()
        self.plan = self._plan(self.tables)

    def _plan(self, tables: Tables) -> Plan:
        from fabcore._core import Plan

        wishes = [(t.kind, t.switch, t.port, t.pdfid, t.phases) for t in tables.targets]
        return Plan(self.switches, wishes)

    def _probe_modules(self) -> dict[int, str]:
        """What each module arbitrates by; one whose link is down is absent, with "none"."""
        found = {}
        for port in self.topology.module_ports:
            try:
                probe = self.switches[port.switch].function_probe(self.pdfids.of(port.index, 0))
                found[port.index] = ARBITRATION[probe["arbitration"]]
            except FabricError:
                infos = self.switches[port.switch].ports()
                if any(i["up"] for i in infos if i["port"] == port.port):
                    raise
                self.absent[port.index] = f"the link of its port {port.switch}:{port.port} is down"
                found[port.index] = "none"
        return found

    def join(self, module: int) -> None:
        """Takes a module that was absent into use, as its link is there: FabricError = not yet."""
        port = self.topology.module_ports[module]
        switch = self.switches[port.switch]
        self.pdfids.learn(port, read_pdfids(switch))
        pf = self.pdfids.of(module, 0)
        probe = switch.function_probe(pf)
        kind = ARBITRATION[probe["arbitration"]]
        if kind == "mfvc":
            target = function_target(port, pf, probe)
            tables = self.tables.extended(target, self.topology)
            plan = self._plan(tables)
            self.plan.close()
            self.tables, self.plan = tables, plan
        self.arbitration[module] = kind
        self._free[module] = list(range(probe["num_vfs"], 0, -1))
        del self.absent[module]

    # -- functions ---------------------------------------------------------------------------

    def attach(self, module: int, host: int) -> Function:
        """Binds a free function of `module` to `host`; CapacityError when none is free.

        Access control is set around it: peers cannot reach it but through the IOMMU. A failure
        leaves nothing bound and the function free.
        """
        if module in self.absent:
            raise CapacityError(f"module {module} is not there: {self.absent[module]}")
        free = self._free.get(module)
        if not free:
            raise CapacityError(f"module {module}: no free function (all VFs are bound)")
        mport = self.topology.module_ports[module]
        hport = self.topology.host_ports[host]
        group = int(np.argmin(self._groups[module])) if self.arbitration[module] == "mfvc" else 0
        number, logical = self._bind(module, host)
        fid = self.pdfids.of(module, number)
        try:
            self.isolation.cover(mport.switch, mport.port, self.pdfids.of(module, 0), fid)
            if self.arbitration[module] == "mfvc":
                self.switches[mport.switch].function_group(fid, group)
        except FabricError:
            self.switches[hport.switch].unbind(hport.switch, hport.port, logical, fid)
            raise
        free.remove(number)
        self._logical.setdefault((hport.switch, hport.port), set()).add(logical)
        self._groups[module][group] += 1
        return Function(
            module, host, mport.switch, mport.port, number, fid, hport.switch, hport.port,
            logical, group,
        )  # fmt: skip

    def _bind(self, module: int, host: int) -> tuple[int, int]:
        """Binds a function that is free to a logical port that is: (function, logical).

        What an earlier controller left bound answers so, and the next one is tried.
        """
        hport = self.topology.host_ports[host]
        switch = self.switches[hport.switch]
        taken = self._logical.get((hport.switch, hport.port), set())
        logicals = [n for n in range(LOGICAL_PORTS) if n not in taken]
        numbers = list(self._free[module])
        while numbers and logicals:
            try:
                fid = self.pdfids.of(module, numbers[-1])
                switch.bind(hport.switch, hport.port, logicals[0], fid)
            except FirmwareError as error:
                if error.code == FUNCTION_BOUND:
                    numbers.pop()
                elif error.code == LOGICAL_TAKEN:
                    logicals.pop(0)
                else:
                    raise
            else:
                return numbers[-1], logicals[0]
        what = (
            f"host {host}: no free logical port"
            if numbers
            else f"module {module}: no free function"
        )
        raise CapacityError(f"{what} (all are bound, some by another controller or an earlier run)")

    def detach(self, f: Function) -> None:
        """Unbinds a function and frees it."""
        self.switches[f.host_switch].unbind(f.host_switch, f.host_port, f.logical, f.pdfid)
        self._free[f.module].append(f.function)
        self._logical[f.host_switch, f.host_port].discard(f.logical)
        self._groups[f.module][f.group] -= 1

    def route(self, f: Function, direction: Direction) -> list[tuple[int, int]]:
        """The (target, column) pairs that a function's flow passes in one direction."""
        pairs = []
        own = self.tables.of_module.get(f.module, -1)
        if own >= 0:
            pairs.append((own, self.tables.column[own, f.group]))
        for hop in self.topology.hops(f.module, f.host, direction):
            t = self.tables.of_port.get((hop.switch, hop.egress_port), -1)
            if t >= 0:
                pairs.append((t, self.tables.column[t, hop.ingress_port]))
        return pairs

    def enforcement(self, seats: dict[int, Seat]) -> dict[int, str]:
        """What holds each VM's grant, by the capabilities that were probed."""
        return enforcement(seats, self.topology, self.arbitration, self.tables.of_port)

    # -- programming -------------------------------------------------------------------------

    def program(
        self, grant: F64, target: NDArray[np.int32], column: NDArray[np.int32], shapes: int = 8
    ) -> tuple[int, int]:
        """Makes tables and shapers serve the grants (f,) B/s: what changed is written, or nothing is.

        target, column: (f, h) int32 from `route`, -1 padded. At most `shapes` shapers are written
        in this call, those farthest from their grant first; the rest follow in the next calls.
        Returns (register writes, tables loaded); FabricError after everything has been put back.
        """
        self.tables.divide(grant, target, column)
        due = self.shapers.due(grant, shapes)
        rc, writes, loaded, failed, back = self.plan.apply(
            self.tables.entries, self.tables.changed, due
        )
        if rc:
            self.tables.forget()
            if rc == -errno.ESTALE:
                self._lost()
            what = self._name(failed)
            state = (
                f"{back} tables and shapers put back" if back >= 0 else "putting back failed too"
            )
            raise FabricError(f"{what}: {os.strerror(-rc).lower()} ({state})")
        self.shapers.done(due)
        return writes, loaded

    def _lost(self) -> NoReturn:
        """OwnerError of the switch that another controller has taken over."""
        for switch in self.switches:
            switch.renew()
        raise OwnerError("another controller has taken over a switch")

    def _name(self, failed: int) -> str:
        targets = self.tables.targets
        if not 0 <= failed < len(targets):
            return "a function's shaper"
        t = targets[failed]
        if t.kind == TARGET_PORT:
            return f"arbitration table of port {t.switch}:{t.port}"
        return f"function arbitration table of module {self.topology.by_id[t.switch, t.port].index}"

    def free_functions(self, module: int) -> int:
        """How many functions of a module are not bound."""
        return len(self._free[module])

    def answers(self, switch: int, yes: bool) -> None:
        """A switch that has vanished gets no tables until it answers again."""
        self.tables.reachable(switch, yes)
        if yes:
            self.isolation.forget(switch)

    def restore(self, module: int, functions: dict[int, Function]) -> None:
        """Tells a module that has been reset what it was told before; functions: its own by slot.

        Groups and access control at once, tables and shapers with the next `program`.
        """
        port = self.topology.module_ports[module]
        self.isolation.forget(port.switch)
        for f in functions.values():
            self.isolation.cover(f.switch, f.port, self.pdfids.of(module, 0), f.pdfid)
        if self.arbitration[module] == "mfvc":
            for f in functions.values():
                self.switches[f.switch].function_group(f.pdfid, f.group)
            self.tables.forget(self.tables.of_module.get(module))
        if self.arbitration[module] == "shaper":
            self.shapers.forget(functions)

    def close(self) -> None:
        self.plan.close()
        for switch in self.switches:
            switch.close()
