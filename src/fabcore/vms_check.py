"""What a VM may ask for: everything is checked before anything changes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fabcore.errors import FabricError, TopologyError

if TYPE_CHECKING:
    from fabcore.resource_node import ResourceNode
    from fabcore.vms import VM

SLICES = 32  # of a module: the quantum of shares


def check_vm(
    node: ResourceNode, name: str, host: int, module: int | None, share: float, weight: float,
    floor: float, cap: float, priority: int,
) -> None:  # fmt: skip
    """FabricError or TopologyError for the first argument of add_vm that is impossible."""
    who = f"VM {name!r}"
    if not isinstance(name, str) or not name or not name.isprintable():
        raise FabricError(f"{who}: a name is printable text")
    if name in node.vms.by_key:
        raise FabricError(f"{who} exists already: names are used once")
    for what, index, ports in (
        ("host", host, node.topology.host_ports),
        ("module", module, node.topology.module_ports),
    ):
        if index is None and what == "module":
            continue
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(ports):
            raise TopologyError(f"{who}: there is no {what} {index!r}, only 0 to {len(ports) - 1}")
    _number(who, "share", share)
    if not (0 < share <= 1 and math.isclose(share * SLICES, round(share * SLICES), abs_tol=1e-9)):
        raise FabricError(
            f"{who}: share {share!r} is no multiple of 1/{SLICES} from 1/{SLICES} to 1"
        )
    for what, value in (("weight", weight), ("floor", floor), ("cap", cap)):
        _number(who, what, value)
    if not (weight > 0 and math.isfinite(weight)):
        raise FabricError(f"{who}: weight {weight!r} must be finite and above 0")
    if not (floor >= 0 and math.isfinite(floor)):
        raise FabricError(f"{who}: floor {floor!r} B/s must be finite and not negative")
    if not cap >= floor:
        raise FabricError(f"{who}: cap {cap!r} B/s is below the floor of {floor!r} B/s")
    if isinstance(priority, bool) or not isinstance(priority, int):
        raise FabricError(f"{who}: priority {priority!r} is no whole number")


def _number(who: str, what: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise FabricError(f"{who}: {what} {value!r} is no number")


def check_floor(vm: VM, floor: float) -> None:
    """Refuses what can be no floor of the VM: no rate, or above its cap."""
    if type(floor) is not float or not 0.0 <= floor < math.inf:  # the usual case passes at once
        check_rate(floor, f"bandwidth for VM {vm.name!r}")
    if floor > vm.cap:
        raise FabricError(
            f"bandwidth for VM {vm.name!r}: {floor:.4g} B/s is above its cap of {vm.cap:.4g} B/s"
        )


def check_rate(value: float, what: str) -> None:
    """Refuses what is no finite rate of at least 0."""
    number = isinstance(value, int | float | np.floating | np.integer) and type(value) is not bool
    if not number or not math.isfinite(value):
        raise FabricError(f"{what}: {value!r} is no rate; give finite B/s")
    if value < 0:
        raise FabricError(f"{what}: {value!r} B/s is negative")
