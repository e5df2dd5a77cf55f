"""What an emulated node does beside its registers: time, workload, counters, faults."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fabcore.errors import FabricError
from fabcore.faults import load_faults, play
from fabcore.observe import RECORD
from fabcore.observe.sources import SOURCE_PORT
from fabcore.vms import LAST_GENERATION, SLOT_BITS, VMs
from fabcore.vms_check import check_rate

if TYPE_CHECKING:
    from fabcore._core import Ethernet, VfioUser
    from fabcore.switch import Chassis
    from fabcore.topology import Topology

PORT_HANDLE = LAST_GENERATION << SLOT_BITS  # what names a port where a record names a VM


class Workload:
    """The part of ResourceNode that plays and counts the VMs' traffic on an emulated node."""

    vms: VMs
    chassis: Chassis
    topology: Topology
    functions: Any  # fabcore._core.Functions, None on hardware
    emulates: bool
    _emulator: Any

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
        check_rate(up, "offered up")
        check_rate(down, "offered down")
        self.offer_all([self.vms.get(vm).handle], [up], [down])

    def ceiling(self, vm: str | int, up: float, down: float) -> None:
        """A hard host-side ceiling (token bucket before the node), B/s; inf = none."""
        for value, way in ((up, "up"), (down, "down")):
            if not value >= 0:
                raise FabricError(f"ceiling {way}: {value!r} is no rate")
        self.ceiling_all([self.vms.get(vm).handle], [up], [down])

    def set_class(self, vm: str | int, traffic_class: int) -> None:
        """The VM's traffic class, 0 to 7: ports carry it in the virtual channel that they map it to."""
        if traffic_class not in range(8):
            raise FabricError(f"traffic class {traffic_class!r} does not exist: use 0 to 7")
        self._workload("set_class").traffic_class(self.vms.get(vm).slot, traffic_class)

    def offer_all(self, handles: ArrayLike, up: ArrayLike, down: ArrayLike) -> None:
        """`offer` for many VMs: handles (k,), up and down (k,) B/s, finite and not negative."""
        rates = np.ascontiguousarray([up, down], dtype=np.float64)
        if not (np.isfinite(rates).all() and (rates >= 0).all()):
            raise FabricError("offered rates must be finite and not negative")
        self._workload("offer").offer(self._slots(handles), rates[0], rates[1])

    def ceiling_all(self, handles: ArrayLike, up: ArrayLike, down: ArrayLike) -> None:
        """`ceiling` for many VMs: handles (k,), up and down (k,) B/s."""
        rates = np.ascontiguousarray([up, down], dtype=np.float64)
        if not (rates >= 0).all():
            raise FabricError("ceilings must be rates of at least 0")
        self._workload("ceiling").ceiling(self._slots(handles), rates[0], rates[1])

    def delivered(self, vm: str | int) -> tuple[int, int]:
        """(up, down) bytes that the node has moved for the VM's function since it was bound."""
        entry = self.vms.get(vm)
        row = self._workload("delivered").counters(np.array([entry.slot], dtype=np.int64))[0]
        return int(row[0]), int(row[1])

    def counters_all(self, handles: ArrayLike) -> dict[str, NDArray[np.uint64]]:
        """The functions' counters, (k,) each: bytes, backlog, dropped, up and down; cumulative."""
        rows = self._workload("counters").counters(self._slots(handles))
        names = (
            "up_bytes",
            "down_bytes",
            "up_backlog",
            "down_backlog",
            "up_dropped",
            "down_dropped",
        )
        return {name: rows[:, k] for k, name in enumerate(names)}

    def port_counters(self) -> dict[tuple[int, int], tuple[int, int]]:
        """(switch, port) -> cumulative payload bytes (egress, ingress), from the switches' counters."""
        found = {}
        for k, switch in enumerate(self.chassis.switches):
            ids = [p.port for p in self.topology.ports if p.switch == k and p.kind != "management"]
            for port, row in zip(ids, switch.counters(ids).tolist(), strict=True):
                found[k, port] = (sum(row[1:4]), sum(row[4:7]))
        return found

    def port_records(self, now_ns: int) -> NDArray[np.void]:
        """One record (k,) RECORD per port that carries traffic: its egress and ingress bytes.

        vm is PORT_HANDLE | switch << 8 | physical port (csrc/include/fab_layout.h).
        """
        found = self.port_counters()
        records = np.zeros(len(found), dtype=RECORD)
        records["time_ns"], records["source"] = now_ns, SOURCE_PORT
        records["vm"] = [PORT_HANDLE | switch << 8 | port for switch, port in found]
        records["up_bytes"], records["down_bytes"] = zip(*found.values(), strict=True)
        return records

    def set_drop(self, drop: bool) -> None:
        """True: load that a step could not carry is dropped and counted, not kept waiting."""
        self._here("set_drop").set_drop(drop)

    def set_traffic(self, mode: str) -> None:
        """How traffic is computed: "fluid", by rates, or "tlp", one TLP after the other.

        The two agree on steady load within 1 %; TLPs cost wall time each (docs/registers.md).
        """
        self._here("set_traffic").set_traffic(mode)

    def set_step(self, seconds: float) -> None:
        """The longest step in which traffic is moved; 1 ms unless set."""
        self._here("set_step").set_step(seconds)

    def serve_vfio_user(
        self, path: str | os.PathLike[str], switch: int = 0, *,
        multifunction: bool = False, dma: bool = True,
    ) -> VfioUser:  # fmt: skip
        """Serves a switch at a Unix socket as a guest's PCI device, until what is returned is
        closed or dropped. multifunction: its header says so. dma: MRPC by DMA is offered."""
        from fabcore._core import VfioUser

        emulator = self._here("serve_vfio_user")
        return VfioUser(emulator, switch, path, multifunction=multifunction, dma=dma)

    def fault(self, switch: int, kind: str, port: int = 0, count: int | None = None) -> None:
        """Makes something fail; the kinds and what `count` means for each: docs/faults.md."""
        self._here("fault").fault(switch, kind, port, count)

    def play_faults(self, script: str | os.PathLike[str]) -> int:
        """Plays a fault script (docs/faults.md), its times counted from now; how many entries.

        The whole script is checked before any of it is taken.
        """
        emulator = self._here("play_faults")
        return play(emulator, load_faults(script, self.topology))

    def module_state(self, module: int) -> dict[str, Any]:
        """A module's slot, link, power and heat: present, powered, link_up, neg_lanes, neg_gen,
        draw_w (W), fan_rpm, temperature_c, throttle (share of its link that it takes)."""
        state: dict[str, Any] = self._here("module_state").module_state(module)
        return state

    def serve_ethernet(
        self, address: str = "127.0.0.1", port: int = 54545, *, anywhere: bool = False
    ) -> Ethernet:
        """Serves the vendor's management protocol, switch k at address + k, until what is
        returned is closed or dropped. port 0: any free one. anywhere: not only loopback."""
        from fabcore._core import Ethernet

        return Ethernet(self._here("serve_ethernet"), address, port, anywhere=anywhere)

    def _slots(self, handles: ArrayLike) -> NDArray[np.int64]:
        return np.asarray(handles, dtype=np.int64) & ((1 << SLOT_BITS) - 1)

    def _workload(self, what: str) -> Any:
        self._must_emulate(what)
        return self.functions

    def _here(self, what: str) -> Any:
        if self._emulator is None:
            raise FabricError(f"{what} needs an emulated node in this process")
        return self._emulator

    def _must_emulate(self, what: str) -> None:
        if not self.emulates:
            raise FabricError(f"{what}: only an emulated node can; this one is hardware")
