"""Which mechanism holds each VM's grant: the weakest hop of its path (design.md section 4)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fabcore.topology import Topology

# Strongest first; a VM's enforcement is the last of these that any hop of its path needs.
ENFORCEMENT = (
    "width",
    "port-arbitration",
    "function-arbitration",
    "virtual-channel",
    "vf-shaper",
    "host-shaper",
    "advisory",
)
_RANK = {name: rank for rank, name in enumerate(ENFORCEMENT)}


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a VM sits: its module, its host and, on an MFVC module, its function group."""

    module: int
    host: int
    group: int = 0


def enforcement(
    seats: Mapping[int, Seat],
    topology: Topology,
    arbitration: Mapping[int, str],
    weighted: Iterable[tuple[int, int]],
) -> dict[int, str]:
    """The mechanism that holds each VM, keyed like `seats`.

    arbitration: per module index what the module really offers, "mfvc", "shaper" or "none".
    weighted: the (switch, port) egress ports that offer weighted round robin.
    The hops are those of the up path. Down traffic is brought by the module's own reads, so the
    module's function arbitration paces it too; the host's root complex is outside the chassis.
    """
    ports = set(weighted)
    on_module: defaultdict[int, list[int]] = defaultdict(list)
    on_egress: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    on_pair: defaultdict[tuple[int, int, int], list[int]] = defaultdict(list)
    hops = {vm: topology.hops(seat.module, seat.host, "up") for vm, seat in seats.items()}
    for vm, seat in seats.items():
        on_module[seat.module].append(vm)
        for hop in hops[vm]:
            on_egress[hop.switch, hop.egress_port].append(vm)
            on_pair[hop.switch, hop.ingress_port, hop.egress_port].append(vm)
    at_module = {vm: _module_hop(seats, vm, on_module, arbitration) for vm in seats}

    result = {}
    for vm, seat in seats.items():
        worst = at_module[vm]
        for hop in hops[vm]:
            sharers = on_pair[hop.switch, hop.ingress_port, hop.egress_port]
            if len(sharers) == len(on_egress[hop.switch, hop.egress_port]):
                here = "width"
            elif (hop.switch, hop.egress_port) in ports:
                here = "port-arbitration"
            else:
                here = "advisory"
            if any(seats[other].module != seat.module for other in sharers):
                shaped = all(arbitration[seats[other].module] == "shaper" for other in sharers)
                here = "vf-shaper" if shaped else "advisory"
            worst = max(worst, here, key=_RANK.__getitem__)
        result[vm] = worst
    return result


def _module_hop(
    seats: Mapping[int, Seat],
    vm: int,
    on_module: Mapping[int, list[int]],
    arbitration: Mapping[int, str],
) -> str:
    """What tells the VM from the others on its module's own port."""
    seat = seats[vm]
    mates = on_module[seat.module]
    if len(mates) == 1:
        return "width"
    kind = arbitration[seat.module]
    if kind == "shaper":
        return "vf-shaper"
    if kind == "mfvc" and not any(o != vm and seats[o].group == seat.group for o in mates):
        return "function-arbitration"
    return "advisory"
