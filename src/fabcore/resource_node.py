"""ResourceNode: one chassis, emulated or real, with the VMs on it and what is allocated to them."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

from fabcore.emulated import emulated_node
from fabcore.errors import CapacityError, FabricError, TopologyError
from fabcore.switch import Chassis
from fabcore.targets import targets_of
from fabcore.topology import Topology
from fabcore.vms import VM, VMs
from fabcore.vms_check import check_floor
from fabcore.workload import Workload

EPSILON = 1e-9  # floors may exceed a link by this share: rounding, not a promise


class ResourceNode(Workload):
    """A chassis reached through its switches' BARs; use `emulated` or `open`.

    One thread at a time; a forked child opens its own. `close` (or a `with`) gives it back.
    """

    def __init__(
        self,
        bars: list[Any],
        topology: Topology | None,
        emulator: Any = None,
        owner: str | None = None,
    ) -> None:
        from fabcore._core import Functions

        self._bars = bars
        self._emulator = emulator
        self.chassis = Chassis(bars, topology, owner)
        self.topology = self.chassis.topology
        self.capacity = self.topology.capacity.copy()  # B/s per link, 0 while a link is down
        self._capacity: list[float] = self.capacity.tolist()  # the same, for scalar reads
        self._floors = [0.0] * len(self._capacity)  # B/s allocated per link
        # A module's table and each egress port of the longest path.
        self.vms = VMs(self.topology.path_width, self.topology.path_width + 1)
        self.emulates = emulator is not None or all(bar.has_page for bar in bars)
        self.functions = Functions(bars) if self.emulates else None
        self._enforced: dict[int, str] | None = None
        self._slices = [0.0] * len(self.topology.module_ports)  # shares given out per module

    @classmethod
    def emulated(
        cls, topology: Any = None, seed: int = 0, realtime: bool = False, *, shm: str | None = None
    ) -> ResourceNode:
        """An emulated node in this process; topology: None (the default), a Topology or TOML file.

        realtime: a thread moves traffic by the wall clock, else `advance` does. shm: also under
        /dev/shm/NAME for other processes (needs realtime).
        """
        topo = topology_of(topology)
        if shm is not None and not realtime:
            raise FabricError("a shared node runs in real time: pass realtime=True")
        emulator = emulated_node(topo, seed, shm)
        node = cls([emulator.bar(k) for k in range(len(topo.switches))], topo, emulator)
        if realtime:
            emulator.start()
        return node

    @classmethod
    def open(cls, target: str | list[str], *, owner: str | None = "fabcore") -> ResourceNode:
        """A node by its BARs: one target or a list, one per switch; "shm:NAME" opens all switches.

        owner: the name under which this process owns the switches; OwnerError when another
        controller does. None: does not ask. Firmware commands of processes take turns either way.
        """
        from fabcore._core import Bar

        targets = targets_of(target)
        with contextlib.ExitStack() as opened:
            bars = [Bar.open(t) for t in targets]
            for bar in bars:
                opened.callback(bar.close)
            node = cls(bars, None, owner=owner)
            opened.pop_all()
        return node

    # -- VMs ---------------------------------------------------------------------------------

    def admit(
        self, name: str, module: int, host: int, share: float, weight: float, floor: float,
        cap: float, priority: int,
    ) -> VM:  # fmt: skip
        """Binds a function for a new VM and books its floor; nothing is left behind on failure."""
        up, down = self.topology.path_up(module, host), self.topology.path_down(module, host)
        self._require(up + down, floor, name)
        self._require_share(module, share, name)
        function = self.chassis.attach(module, host)
        vm = VM(name, self.vms.reserve(), share, weight, cap, priority, function, up, down)
        self._seat(vm)
        self.book(vm, floor)
        return vm

    def remove(self, vm: str | int) -> None:
        """Gives back a VM's floor and function."""
        entry = self.vms.get(vm)
        self.chassis.detach(entry.function)
        self.book(entry, 0.0)
        self._unseat(entry)

    def move(self, entry: VM, module: int) -> None:
        """Gives a VM a function of another module instead of its own; raises with nothing changed.

        The handle stays, so that its telemetry and what was learned of it go on.
        """
        topology, host, floor = self.topology, entry.function.host, entry.floor
        up, down = topology.path_up(module, host), topology.path_down(module, host)
        self._require_share(module, entry.share, entry.name)
        self.book(entry, 0.0)
        try:
            self._require(up + down, floor, entry.name)
            function = self.chassis.attach(module, host)
        except FabricError:
            self.book(entry, floor)
            raise
        with contextlib.suppress(FabricError):  # the old module may be gone with its port
            self.chassis.detach(entry.function)
        self._unseat(entry, keep=True)  # its counters go on from the old function's
        entry.function, entry.up, entry.down, entry.links = function, up, down, up + down
        self._seat(entry, again=True)
        self.book(entry, floor)

    def room(self, module: int) -> float:
        """What is left of a module for shares: 1 = all of it."""
        return 1.0 - self._slices[module]

    def _require_share(self, module: int, share: float, name: str) -> None:
        if share > self.room(module) + EPSILON:
            raise CapacityError(
                f"VM {name!r}: a share of {share:g} does not fit on module {module}, "
                f"{self.room(module):g} of it is free"
            )

    def _seat(self, vm: VM, again: bool = False) -> None:
        """Enters the VM's function wherever functions are known by slot."""
        f, chassis = vm.function, self.chassis
        hops_up, hops_down = chassis.route(f, "up"), chassis.route(f, "down")
        if again:
            self.vms.place(vm, hops_up, hops_down)
        else:
            self.vms.add(vm, hops_up, hops_down)
        chassis.tables.use(hops_up + hops_down, 1)
        if chassis.arbitration[f.module] == "shaper":
            chassis.shapers.add(vm.slot, f.switch, f.pdfid)
        if self.functions is not None:
            self.functions.set(vm.slot, vm.handle, f.switch, f.port, f.function)
        self._slices[f.module] += vm.share
        self._enforced = None

    def _unseat(self, vm: VM, keep: bool = False) -> None:
        f, chassis = vm.function, self.chassis
        chassis.tables.use(chassis.route(f, "up") + chassis.route(f, "down"), -1)
        if chassis.arbitration[f.module] == "shaper":
            chassis.shapers.remove(vm.slot)
        if not keep:
            if self.functions is not None:
                self.functions.clear(vm.slot)
            self.vms.remove(vm)
        self._slices[f.module] -= vm.share
        self._enforced = None

    def get_available_bandwidth(self, host: int | None = None) -> float:
        """B/s of a host link that no floor claims, the smaller direction; None: the smallest host."""
        count = len(self.topology.host_ports)
        if host is not None and not 0 <= host < count:
            raise TopologyError(f"host {host}: this node has hosts 0 to {count - 1}")
        hosts = range(count) if host is None else (host,)
        return min(self.left(link) for h in hosts for link in self._host_links(h))

    def allocate_bandwidth(self, vm: str | int, bandwidth: float) -> None:
        """Makes `bandwidth` (B/s, each direction) the VM's floor; CapacityError when it does not fit."""
        entry = self.vms.get(vm)
        check_floor(entry, bandwidth)
        self._require(entry.up + entry.down, bandwidth, entry.name, entry.floor)
        self.book(entry, bandwidth)

    def release_bandwidth(self, vm: str | int) -> None:
        """Makes the VM's floor 0; idempotent."""
        self.book(self.vms.get(vm), 0.0)

    def enforcement(self, vm: str | int) -> str:
        """The weakest mechanism on the VM's path (switch/enforcement.py)."""
        entry = self.vms.get(vm)
        if self._enforced is None:
            seats = {v.handle: v.seat for v in self.vms.all()}
            self._enforced = self.chassis.enforcement(seats)
        return self._enforced[entry.handle]

    def _host_links(self, host: int) -> tuple[int, int]:
        modules, hosts = len(self.topology.module_ports), len(self.topology.host_ports)
        return 2 * modules + host, 2 * modules + hosts + host

    def left(self, link: int) -> float:
        """B/s of a link that no floor claims."""
        return max(self._capacity[link] - self._floors[link], 0.0)

    def _require(self, links: tuple[int, ...], floor: float, name: str, has: float = 0.0) -> None:
        """CapacityError unless a floor that was `has` can be `floor` on all of these links."""
        over = [
            (link, self._floors[link] - has + floor - self._capacity[link])
            for link in links
            if self._floors[link] - has + floor > self._capacity[link] * (1 + EPSILON)
        ]
        if not over or floor <= has:  # a smaller promise always fits
            return
        link, missing = max(over, key=lambda pair: pair[1])
        raise CapacityError(
            f"VM {name!r}: a floor of {floor:.4g} B/s does not fit on link "
            f"{self.topology.link_names[link]}: {missing:.4g} B/s short",
            tuple(pair[0] for pair in over),
            tuple(pair[1] for pair in over),
            tuple(v.slot for v in self.vms.all() if v.floor > 0 and link in v.up + v.down),
        )

    def set_capacity(self, link: int, rate: float) -> None:
        """What a link carries from now on, B/s; 0 = it is down."""
        self.capacity[link] = self._capacity[link] = rate

    def shortfall(self, vm: VM, floor: float) -> tuple[float, int]:
        """(B/s that the tightest link lacks for this floor, that link); (0.0, -1) when it fits."""
        has, floors, capacity = vm.floor, self._floors, self._capacity
        if floor <= has:
            return 0.0, -1  # a smaller promise always fits, also on a link that has lost capacity
        more, worst, where = floor - has, 0.0, -1
        for link in vm.links:
            over = floors[link] + more - capacity[link]
            if over > worst and over > EPSILON * capacity[link]:
                worst, where = over, link
        return worst, where

    def reserved(self, link: int) -> float:
        """B/s of floors on a link."""
        return self._floors[link]

    def book(self, vm: VM, floor: float) -> None:
        """Enters a floor that was checked before."""
        change = floor - vm.floor
        if change:
            floors, vms, slot = self._floors, self.vms, vm.slot
            for link in vm.links:
                floors[link] += change
            vm.floor = floor
            rows = vms.floor
            rows[slot] = rows[vms.capacity + slot] = floor

    # -- the emulated node -------------------------------------------------------------------

    def config_space(self, switch: int, port: int, function: int | None = None) -> bytes:
        """4096 bytes of a port's config space, or of a function behind a module port."""
        emulator = self._here("config_space")
        return bytes(emulator.config_space(switch, port, -1 if function is None else function))

    @property
    def time_ns(self) -> int:
        """The node's time: virtual from 0, or UTC."""
        if self._emulator is not None and not self._emulator.realtime:
            return int(self._emulator.time_ns)
        return time.time_ns()

    @property
    def virtual(self) -> bool:
        return self._emulator is not None and not self._emulator.realtime

    def close(self) -> None:
        """Gives the node back; an emulated one stops and leaves no file."""
        self.chassis.close()
        for bar in self._bars:
            bar.close()
        if self._emulator is not None:
            self._emulator.close()

    def __enter__(self) -> ResourceNode:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def topology_of(source: Any) -> Topology:
    """A Topology from None (the default), a Topology, a node, a path or TOML text."""
    if source is None:
        return Topology.default()
    if isinstance(source, Topology):
        return source
    if isinstance(source, ResourceNode):
        return source.topology
    if isinstance(source, str | os.PathLike):
        return Topology.load(source)
    raise TopologyError(f"no topology: {source!r}; give a Topology, a node or a TOML file")
