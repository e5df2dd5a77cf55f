"""Which module a VM sits on: first the one where hardware can hold its guarantee, then the nearest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabcore.errors import CapacityError

if TYPE_CHECKING:
    from fabcore.resource_node import ResourceNode

# How well a kind of module tells its VMs apart; only a VM with a floor needs that.
_HOLDS = {"mfvc": 0, "shaper": 0, "none": 1}


def candidates(node: ResourceNode, host: int, share: float, floor: float) -> list[int]:
    """Modules that a VM of `host` fits on, best first: share free, floor fits, no link down."""
    topology = node.topology
    fitting = []
    for module in range(len(topology.module_ports)):
        links = topology.path_up(module, host) + topology.path_down(module, host)
        if node.room(module) + 1e-9 < share or not node.chassis.free_functions(module):
            continue
        if min(node.left(link) for link in links) * (1 + 1e-9) < floor:
            continue
        if all(node.capacity[link] > 0 for link in links):
            fitting.append(module)

    def rank(module: int) -> tuple[int, int, float, int]:
        kind = node.chassis.arbitration[module]
        holds = _HOLDS[kind] if floor > 0 else 0
        return holds, topology.distance(module, host), -node.room(module), module

    return sorted(fitting, key=rank)


def choose_module(node: ResourceNode, name: str, host: int, share: float, floor: float) -> int:
    """The best module for a VM; CapacityError says what every module lacks."""
    fitting = candidates(node, host, share, floor)
    if fitting:
        return fitting[0]
    count = len(node.topology.module_ports)
    rooms = ", ".join(f"{m}: {node.room(m):g}" for m in range(count))
    raise CapacityError(
        f"VM {name!r}: no module has a share of {share:g}, a function and {floor:.4g} B/s toward "
        f"host {host} left (free shares {rooms})"
    )
