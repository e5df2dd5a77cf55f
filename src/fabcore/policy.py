"""Admission: the published algorithm to the letter, and the one that keeps every floor instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from fabcore.errors import FabricError

if TYPE_CHECKING:
    from fabcore.resource_node import ResourceNode
    from fabcore.vms import VM


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided of a VM's last request; rates in B/s.

    accepted; reason ("" when accepted without a remark); predicted, the larger direction of the
    prediction at that moment; requested; shortfall, what the tightest link lacked; granted (up,
    down), what the VM holds now; throttled, the VMs that hold less because of its floor;
    enforcement, the weakest mechanism on its path.
    """

    accepted: bool
    reason: str
    predicted: float
    requested: float
    shortfall: float
    granted: tuple[float, float]
    throttled: tuple[str, ...]
    enforcement: str


class Verdict(NamedTuple):
    """The part of a decision that is fixed when it is made; floor_before is the amount replaced."""

    accepted: bool
    reason: str
    predicted: float
    requested: float
    shortfall: float
    floor_before: float


Policy = Callable[["ResourceNode", "VM", float, float], Verdict]


def literal(node: ResourceNode, vm: VM, requested: float, predicted: float) -> Verdict:
    """The published algorithm: allocate when predicted > requested and available >= requested.

    Everything else is refused, with a warning when the prediction is at or below the request.
    """
    before = vm.floor
    if not predicted > requested:
        reason = f"warning: predicted {predicted:.4g} B/s is not above the request"
        return Verdict(False, reason, predicted, requested, 0.0, before)
    short, link = node.shortfall(vm, requested)
    if short > 0.0:
        reason = f"available bandwidth on link {node.topology.link_names[link]} is too small"
        return Verdict(False, reason, predicted, requested, short, before)
    node.book(vm, requested)
    return Verdict(True, "", predicted, requested, 0.0, before)


def adaptive(node: ResourceNode, vm: VM, requested: float, predicted: float) -> Verdict:
    """Admits whenever every floor still fits: others are throttled down toward their floors first.

    Below the request the prediction is no reason to refuse: the reservation follows it.
    """
    before = vm.floor
    short, link = node.shortfall(vm, requested)
    if short > 0.0:
        reason = f"floors on link {node.topology.link_names[link]} leave {short:.4g} B/s too little"
        return Verdict(False, reason, predicted, requested, short, before)
    node.book(vm, requested)
    reason = "" if predicted >= requested else "predicted below the request: it follows the demand"
    return Verdict(True, reason, predicted, requested, 0.0, before)


POLICIES: dict[str, Policy] = {"adaptive": adaptive, "literal": literal}


def policy_of(name: str) -> Policy:
    """The policy of that name; FabricError lists the names."""
    try:
        return POLICIES[name]
    except KeyError:
        raise FabricError(f"policy {name!r}: use {' or '.join(POLICIES)}") from None
