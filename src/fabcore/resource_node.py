"""ResourceNode: one chassis, emulated or real, with the VMs on it and what is allocated to them."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from fabcore.errors import BarError, CapacityError, FabricError, TopologyError
from fabcore.switch import Chassis
from fabcore.topology import Topology
from fabcore.vms import VM, VMs

KIND_IDS = {"fabric": 1, "module": 2, "host": 3, "management": 4}
ARBITRATION_IDS = {"none": 0, "mfvc": 1, "shaper": 2}
EPSILON = 1e-9  # floors may exceed a link by this share: rounding, not a promise


def emulated_node(topology: Topology, seed: int = 0, shm: str | None = None) -> Any:
    """The emulator (fabcore._core.EmulatedNode) of a topology."""
    from fabcore._core import EmulatedNode

    link, capacity = topology.egress_link, topology.capacity
    ports = []
    for p in topology.ports:
        peer = topology.peer.get((p.switch, p.port), (0xFF, 0xFF))
        rate = float(capacity[link[p.switch, p.port]]) if (p.switch, p.port) in link else 0.0
        ports.append(
            (p.switch, p.port, KIND_IDS[p.kind], p.index, p.gen, p.lanes, p.width, *peer, p.phases,
             rate)
        )  # fmt: skip
    return EmulatedNode(
        switches=[s.device_id for s in topology.switches],
        ports=ports,
        routes=[[q if q >= 0 else 0xFF for q in row] for row in topology.route_port],
        modules=[
            (ARBITRATION_IDS[m.arbitration], m.vfs, int(m.supply_w)) for m in topology.module_specs
        ],
        mps=topology.mps,
        mrrs=topology.mrrs,
        seed=seed,
        name=topology.name,
        shm=shm,
    )


class ResourceNode:
    """A chassis reached through its switches' BARs; use `emulated` or `open`.

    One thread at a time; a forked child opens its own. `close` (or a `with`) gives it back.
    """

    def __init__(self, bars: list[Any], topology: Topology | None, emulator: Any = None) -> None:
        self._bars = bars
        self._emulator = emulator
        self.chassis = Chassis(bars, topology)
        self.topology = self.chassis.topology
        self.capacity = self.topology.capacity.copy()  # B/s per link, 0 while a link is down
        self._capacity = self.capacity.tolist()
        self._floors = [0.0] * len(self._capacity)  # B/s allocated per link
        # A module's table and each egress port of the longest path.
        self.vms = VMs(self.topology.path_width, self.topology.path_width + 1)
        self.emulates = emulator is not None or all(bar.has_page for bar in bars)

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
    def open(cls, target: str | list[str]) -> ResourceNode:
        """A node by its BARs: one target or a list, one per switch; "shm:NAME" opens all switches."""
        from fabcore._core import Bar

        targets = [target] if isinstance(target, str) else list(target)
        if len(targets) == 1 and targets[0].startswith("shm:") and "/" not in targets[0]:
            name = targets[0][4:]
            folder = Path("/dev/shm") / name
            files = sorted((f for f in folder.glob("*") if f.name.isdigit()), key=lambda f: int(f.name))
            if not files:
                raise BarError(
                    f"{targets[0]}: no node of that name is running; "
                    f"start one with `fabcore emulate --shm {name}`"
                )
            targets = [f"shm:{name}/{f.name}" for f in files]
        if not targets:
            raise FabricError("no target given: name one BAR per switch")
        return cls([Bar.open(t) for t in targets], None)

    # -- VMs ---------------------------------------------------------------------------------

    def admit(
        self, name: str, module: int, host: int, share: float, weight: float, floor: float,
        cap: float, priority: int,
    ) -> VM:  # fmt: skip
        """Binds a function for a new VM and books its floor; nothing is left behind on failure."""
        up, down = self.topology.path_up(module, host), self.topology.path_down(module, host)
        self._require(up + down, floor, name)
        function = self.chassis.attach(module, host)
        vm = VM(name, self.vms.reserve(), share, weight, cap, priority, function, up, down)
        self.vms.add(vm, self.chassis.route(function, "up"), self.chassis.route(function, "down"))
        self._set_floor(vm, floor)
        return vm

    def remove(self, vm: str | int) -> None:
        """Gives back a VM's floor and function."""
        entry = self.vms.get(vm)
        self.chassis.detach(entry.function)
        self._set_floor(entry, 0.0)
        self.vms.remove(entry)

    def get_available_bandwidth(self, host: int | None = None) -> float:
        """B/s of a host link that no floor claims, the smaller direction; None: the smallest host."""
        count = len(self.topology.host_ports)
        if host is not None and not 0 <= host < count:
            raise TopologyError(f"host {host}: this node has hosts 0 to {count - 1}")
        hosts = range(count) if host is None else (host,)
        return min(self._left(link) for h in hosts for link in self._host_links(h))

    def allocate_bandwidth(self, vm: str | int, bandwidth: float) -> None:
        """Makes `bandwidth` (B/s, each direction) the VM's floor; CapacityError when it does not fit."""
        entry = self.vms.get(vm)
        check_rate(bandwidth, f"bandwidth for VM {entry.name!r}")
        self._require(entry.up + entry.down, bandwidth, entry.name, entry.floor)
        self._set_floor(entry, bandwidth)

    def release_bandwidth(self, vm: str | int) -> None:
        """Makes the VM's floor 0; idempotent."""
        self._set_floor(self.vms.get(vm), 0.0)

    def available(self, entry: VM) -> float:
        """B/s that the VM could have as its floor, its present floor included."""
        return min(self._left(link) for link in entry.up + entry.down) + entry.floor

    def enforcement(self, vm: str | int) -> str:
        """The weakest mechanism on the VM's path (switch/enforcement.py)."""
        entry = self.vms.get(vm)
        seats = {v.handle: v.seat for v in self.vms.all()}
        return self.chassis.enforcement(seats)[entry.handle]

    def _host_links(self, host: int) -> tuple[int, int]:
        module = self.topology.module_ports[0].index
        return (
            self.topology.path_up(module, host)[-1],
            self.topology.path_down(module, host)[0],
        )

    def _left(self, link: int) -> float:
        return max(self._capacity[link] - self._floors[link], 0.0)

    def _require(self, links: tuple[int, ...], floor: float, name: str, has: float = 0.0) -> None:
        over = [
            (link, self._floors[link] - has + floor - self._capacity[link])
            for link in links
            if self._floors[link] - has + floor > self._capacity[link] * (1 + EPSILON)
        ]
        if over and floor > 0:
            link, missing = max(over, key=lambda pair: pair[1])
            raise CapacityError(
                f"VM {name!r}: a floor of {floor:.4g} B/s does not fit on link "
                f"{self.topology.link_names[link]}: {missing:.4g} B/s short",
                tuple(pair[0] for pair in over),
                tuple(pair[1] for pair in over),
                tuple(v.slot for v in self.vms.all() if v.floor > 0 and link in v.up + v.down),
            )

    def _set_floor(self, vm: VM, floor: float) -> None:
        change = floor - vm.floor
        if change:
            for link in vm.up + vm.down:
                self._floors[link] += change
            vm.floor = floor
            self.vms.floor[vm.slot] = floor
            self.vms.floor[self.vms.capacity + vm.slot] = floor

    # -- the emulated node -------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Moves an emulated node's time; on one that runs in real time, waits that long."""
        if not (seconds >= 0 and math.isfinite(seconds)):
            raise FabricError(f"cannot advance by {seconds!r} seconds")
        if self._emulator is None or self._emulator.realtime:
            self._must_emulate("advance")
            time.sleep(seconds)
        else:
            self._emulator.advance(seconds)

    def offer(self, vm: str | int, up: float, down: float) -> None:
        """From now on the VM wants to move `up` and `down` B/s through its function."""
        from fabcore._core import function_offer

        self._must_emulate("offer")
        f = self.vms.get(vm).function
        check_rate(up, "offered up")
        check_rate(down, "offered down")
        function_offer(self._bars[f.switch], f.port, f.function, up, down)

    def delivered(self, vm: str | int) -> tuple[int, int]:
        """(up, down) bytes that the node has moved for the VM's function so far."""
        from fabcore._core import function_counters

        self._must_emulate("delivered")
        f = self.vms.get(vm).function
        counters = function_counters(self._bars[f.switch], f.port, f.function)
        return int(counters[0]), int(counters[1])

    def config_space(self, switch: int, port: int, function: int | None = None) -> bytes:
        """4096 bytes of a port's config space, or of a function behind a module port."""
        if self._emulator is None:
            raise FabricError("config_space needs an emulated node in this process")
        space = self._emulator.config_space(switch, port, -1 if function is None else function)
        return bytes(space)

    @property
    def time_ns(self) -> int:
        """The node's time: virtual from 0, or UTC."""
        if self._emulator is not None and not self._emulator.realtime:
            return int(self._emulator.time_ns)
        return time.time_ns()

    @property
    def virtual(self) -> bool:
        return self._emulator is not None and not self._emulator.realtime

    def _must_emulate(self, what: str) -> None:
        if not self.emulates:
            raise FabricError(f"{what}: only an emulated node can; this one is hardware")

    def close(self) -> None:
        """Gives the node back; an emulated one stops and leaves no file."""
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


def check_rate(value: float, what: str) -> None:
    """Refuses what is no finite rate of at least 0."""
    if not isinstance(value, int | float | np.floating | np.integer) or not math.isfinite(value):
        raise FabricError(f"{what}: {value!r} is no rate; give finite B/s")
    if value < 0:
        raise FabricError(f"{what}: {value!r} B/s is negative")
