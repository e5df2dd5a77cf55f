"""Request: one VM's wish for modules, and the checks that a list of them makes sense."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fabcore.errors import FabricError, TopologyError

SLICES = 32  # a module is shared in this many parts
MOST_VALUE = 1e290  # so that the values of all requests have a sum
LANE_GROUPS = (0, 4, 8, 16)  # dedicated lanes; 0: the x4 group that VMs without share


@dataclass(frozen=True, slots=True)
class Request:
    """What a VM asks for.

    share: of each module, in multiples of 1/32; modules: how many, whole ones if more than one;
    lanes: dedicated lanes on each, 0, 4, 8 or 16; up, down: floors per module, B/s; host: whose
    links they take, None for any; value: what admitting it is worth; priority: higher goes first;
    group: no two of a group on one module; forbid: modules it must not be on.
    """

    name: str
    share: float
    modules: int = 1
    lanes: int = 0
    up: float = 0.0
    down: float = 0.0
    host: int | None = None
    value: float = 1.0
    priority: int = 0
    group: str | int | None = None
    forbid: tuple[int, ...] = ()


def check(requests: Sequence[Request], modules: int, hosts: int) -> None:
    """FabricError for the first request that no node like this could mean."""
    for request in requests:
        if not isinstance(request, Request):
            raise FabricError(f"{request!r} is not a solve.Request")
        fault = _fault(request)
        if fault:
            raise FabricError(f"request {request.name!r}: {fault}")
        if request.host is not None and not 0 <= request.host < hosts:
            raise TopologyError(
                f"request {request.name!r}: there is no host {request.host}: the node has 0 to "
                f"{hosts - 1}"
            )
        for module in request.forbid:
            if not 0 <= module < modules:
                raise TopologyError(
                    f"request {request.name!r}: there is no module {module} to forbid: the node "
                    f"has 0 to {modules - 1}"
                )


def _fault(r: Request) -> str:
    slices = r.share * SLICES
    if not (math.isfinite(slices) and 1 <= round(slices) <= SLICES):
        return f"share {r.share} is not within 1/32 and 1"
    if abs(slices - round(slices)) > 1e-9:
        return f"share {r.share} is no multiple of 1/32: take {math.ceil(slices)}/32"
    if r.modules < 1 or r.modules != int(r.modules):
        return f"modules {r.modules} must be a whole number of 1 or more"
    if r.modules > 1 and round(slices) != SLICES:
        return f"{r.modules} modules are given whole: share must be 1, not {r.share}"
    if r.lanes not in LANE_GROUPS:
        return f"lanes {r.lanes} cannot be dedicated: use one of {LANE_GROUPS}"
    for name in ("up", "down"):
        rate = getattr(r, name)
        if not (math.isfinite(rate) and rate >= 0):
            return f"{name} {rate} must be a finite rate of 0 or more, in B/s"
    if not 0 <= r.value <= MOST_VALUE:
        return f"value {r.value} must be a number from 0 to {MOST_VALUE:g}"
    if not math.isfinite(r.priority):
        return f"priority {r.priority} must be a finite number"
    return ""
