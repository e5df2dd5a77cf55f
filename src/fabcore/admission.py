"""What callers ask of a controller: VMs come and go, request and release bandwidth, ask why."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fabcore.errors import FabricError
from fabcore.events import EventLog
from fabcore.loop_kernels import bound_grants
from fabcore.policy import Decision, Policy, Verdict
from fabcore.predict import ProfilingEngine
from fabcore.resource_node import ResourceNode
from fabcore.seating import choose_module
from fabcore.solve import Division
from fabcore.vms import VM
from fabcore.vms_check import check_floor, check_vm

BACKLOG_S = 0.01  # bytes that wait are to be gone within this time, whatever was predicted


class Admission:
    """The part of Controller that admits VMs; it decides at once and leaves the switches alone."""

    node: ResourceNode
    engine: ProfilingEngine
    events: EventLog
    grants: NDArray[np.float64]
    _decide: Policy
    _verdicts: dict[int, Verdict]

    def _fit(self) -> None:
        raise NotImplementedError

    def _bound(self, cap: NDArray[np.float64]) -> None:
        """cap (2 x capacity,) = what divide may give each flow now, B/s."""
        engine, vms = self.engine, self.node.vms
        bound_grants(engine.reservation, engine.backlog, vms.floor, vms.limit, BACKLOG_S, cap)

    def add_vm(
        self, name: str, host: int = 0, module: int | None = None, share: float = 1 / 8,
        weight: float = 1.0, floor: float = 0.0, cap: float = math.inf, priority: int = 0,
    ) -> int:  # fmt: skip
        """Gives a VM a function of a module (None: the best one) toward its host; its handle.

        share: of the module, in 1/32; floor, cap: B/s per direction; see contract.md section 1.
        FabricError or CapacityError with nothing changed.
        """
        check_vm(self.node, name, host, module, share, weight, floor, cap, priority)
        if module is None:
            module = choose_module(self.node, name, host, share, floor)
        capacity = self.node.vms.capacity
        vm = self.node.admit(name, module, host, share, weight, floor, cap, priority)
        if self.node.vms.capacity != capacity:
            self._fit()
        self.engine.adopt(vm.slot, vm.handle, cap)
        self.events.emit("vm_added", self.node.time_ns, vm=name, module=module, host=host)
        return vm.handle

    def remove_vm(self, vm: str | int) -> None:
        """Releases a VM and gives its function back."""
        entry = self.node.vms.get(vm)
        self.node.remove(entry.handle)
        self.engine.forget(entry.slot)
        self._verdicts.pop(entry.handle, None)
        self.events.emit("vm_removed", self.node.time_ns, vm=entry.name)

    def set_weight(self, vm: str | int, weight: float) -> None:
        """Changes a VM's relative share; in force from the next tick on."""
        entry = self.node.vms.get(vm)
        if not (isinstance(weight, int | float) and weight > 0 and math.isfinite(weight)):
            raise FabricError(f"weight {weight!r} of VM {entry.name!r} must be finite and above 0")
        entry.weight = float(weight)
        self.node.vms.weight[[entry.slot, self.node.vms.capacity + entry.slot]] = weight

    def allocate_pci_bandwidth(self, vm: str | int, requested_bandwidth: float) -> bool:
        """Asks for a floor of `requested_bandwidth` B/s in place of the VM's present one."""
        entry = self.node.vms.get(vm)
        check_floor(entry, requested_bandwidth)
        predicted = self.engine.predict_bandwidth(entry.handle)
        verdict = self._decide(self.node, entry, requested_bandwidth, predicted)
        self._verdicts[entry.handle] = verdict
        if not verdict.accepted:
            self.events.emit(
                "rejected", self.node.time_ns, vm=entry.name, requested=requested_bandwidth,
                predicted=predicted, shortfall=verdict.shortfall, reason=verdict.reason,
            )  # fmt: skip
        return verdict.accepted

    def allocate_many(self, handles: ArrayLike, bandwidths: ArrayLike) -> NDArray[np.bool_]:
        """`allocate_pci_bandwidth` for many VMs in turn: handles (k,), bandwidths (k,) B/s -> (k,)."""
        pairs = zip(np.asarray(handles).tolist(), np.asarray(bandwidths).tolist(), strict=True)
        return np.array([self.allocate_pci_bandwidth(vm, rate) for vm, rate in pairs], dtype=bool)

    def release_pci_bandwidth(self, vm: str | int) -> None:
        """Gives the VM's floor back; idempotent."""
        self.node.release_bandwidth(vm)

    def decision(self, vm: str | int) -> Decision:
        """What became of the VM's last request; FabricError when it never made one."""
        entry = self.node.vms.get(vm)
        verdict = self._verdicts.get(entry.handle)
        if verdict is None:
            raise FabricError(
                f"VM {entry.name!r} has asked for nothing: allocate_pci_bandwidth first"
            )
        granted = (
            float(self.grants[entry.slot]),
            float(self.grants[self.node.vms.capacity + entry.slot]),
        )
        return Decision(
            verdict.accepted, verdict.reason, verdict.predicted, verdict.requested,
            verdict.shortfall, granted, self._throttled_by(entry, verdict),
            self.node.enforcement(entry.handle),
        )  # fmt: skip

    def verdict(self, vm: VM) -> Verdict | None:
        """The outcome of a VM's last request, None when it made none."""
        return self._verdicts.get(vm.handle)

    def _throttled_by(self, vm: VM, verdict: Verdict) -> tuple[str, ...]:
        """The VMs that hold less because this VM's floor is what it is, not what it was."""
        if not verdict.accepted or vm.floor <= verdict.floor_before:
            return ()
        vms, node = self.node.vms, self.node
        rows = [vm.slot, vms.capacity + vm.slot]
        cap = vms.cap.copy()
        self._bound(cap)
        trial = Division(2 * vms.capacity, len(node.capacity), vms.path_width)
        after = trial.divide(vms.floor, cap, vms.weight, vms.path, node.capacity).copy()
        floor = vms.floor.copy()
        floor[rows] = verdict.floor_before
        before = trial.divide(floor, cap, vms.weight, vms.path, node.capacity)
        less = after < before * (1 - 1e-9)
        return tuple(
            v.name
            for v in vms.all()
            if v.handle != vm.handle and (less[v.slot] or less[vms.capacity + v.slot])
        )
