"""What makes a topology impossible, and the shortest routes between its switches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from fabcore import pcie
from fabcore.errors import TopologyError

if TYPE_CHECKING:
    from fabcore.topology import Topology

KINDS: Final = ("module", "host", "fabric", "management")
ARBITRATIONS: Final = ("mfvc", "shaper", "none")
PHASES: Final = (32, 64, 128, 256)
MAX_MODULES: Final = 8
MAX_VFS: Final = 32
MAX_PORT: Final = 63
# Aligned lane groups that a port of so many lanes can train.
LAYOUTS: Final = {
    16: ("x16", "x8x8", "x8x4x4", "x4x4x4x4"),
    8: ("x8", "x4x4"),
    4: ("x4",),
    2: ("x2",),
    1: ("x1",),
}


class Fault(TopologyError):
    """An impossible topology, with the table, the entry in it and the key that are to blame."""

    def __init__(self, message: str, table: str, entry: int = 0, key: str = "") -> None:
        super().__init__(message)
        self.table, self.entry, self.key = table, entry, key


def check(topology: Topology) -> None:
    """Raise Fault for the first thing that cannot be built; changes nothing."""
    _check_node(topology)
    _check_switches(topology)
    _check_ports(topology)
    _check_numbers(topology)
    _check_modules(topology)
    _check_links(topology)
    _check_reach(topology)


def _check_node(topology: Topology) -> None:
    if not topology.name or not topology.name.isprintable():
        raise Fault(f"name {topology.name!r} must be printable text", "node", 0, "name")
    for key in ("mps", "mrrs"):
        value = getattr(topology, key)
        if value not in pcie.PAYLOAD_SIZES:
            message = f"{key} {value} is not a power of two from 128 to 4096"
            raise Fault(message, "node", 0, key)


def _check_run(ids: Iterable[int], what: str, table: str, key: str, entries: list[int]) -> None:
    """Numbers must be 0, 1, 2 ... without repeats, since arrays are indexed by them."""
    seen: set[int] = set()
    listed = list(ids)
    for entry, value in zip(entries, listed, strict=True):
        if value in seen:
            raise Fault(f"{what} {value} appears twice: number them apart", table, entry, key)
        seen.add(value)
    for entry, value in zip(entries, listed, strict=True):
        if not 0 <= value < len(listed):
            message = f"{what} {value} leaves a gap: number them 0 to {len(listed) - 1}"
            raise Fault(message, table, entry, key)


def _check_switches(topology: Topology) -> None:
    switches = topology.switches
    if not switches:
        raise Fault("there is no switch: add a [[switch]]", "switch")
    _check_run((s.id for s in switches), "switch", "switch", "id", list(range(len(switches))))
    for entry, switch in enumerate(switches):
        if switch.lanes == 0:
            message = (
                f"device id 0x{switch.device_id:x} names no chip: use 0x5200 (PAX Gen5), 0x5100 "
                "(PSX), 0x5000 (PFX), 0x42ll, 0x41ll, 0x40ll (Gen4), with ll = 00 (100 lanes), "
                "84, 68, 52, 36 or 28, or 0x63ll, 0x62ll (Gen6 PSX, PFX), ll = 60, 44, 64 or 48"
            )
            raise Fault(message, "switch", entry, "device_id")


def _check_ports(topology: Topology) -> None:
    chips = {switch.id: switch for switch in topology.switches}
    lanes_left = {switch.id: switch.lanes for switch in topology.switches}
    seen: set[tuple[int, int]] = set()
    for entry, port in enumerate(topology.ports):
        name = f"port {port.switch}:{port.port}"
        if port.switch not in lanes_left:
            raise Fault(f"{name}: there is no switch {port.switch}", "port", entry, "switch")
        if not 0 <= port.port <= MAX_PORT:
            raise Fault(f"{name}: port ids run from 0 to {MAX_PORT}", "port", entry, "port")
        if (port.switch, port.port) in seen:
            raise Fault(f"{name} is used twice", "port", entry, "port")
        seen.add((port.switch, port.port))
        for key, choices in (
            ("kind", KINDS),
            ("gen", pcie.GENERATIONS),
            ("lanes", pcie.WIDTHS),
            ("layout", LAYOUTS.get(port.lanes, ())),
            ("phases", PHASES),
        ):
            value = getattr(port, key)
            if value not in choices:
                allowed = ", ".join(map(str, choices))
                where = f" on {port.lanes} lanes" if key == "layout" else ""
                message = f"{name}: {key} {value!r} is impossible{where}: use one of {allowed}"
                raise Fault(message, "port", entry, key)
        spec = chips[port.switch]
        if port.gen > spec.generation:
            message = (
                f"{name}: gen {port.gen} is too fast for switch {port.switch}, a Gen"
                f"{spec.generation} chip (0x{spec.device_id:x}): use gen {spec.generation} or "
                "lower, or another device_id"
            )
            raise Fault(message, "port", entry, "gen")
        lanes_left[port.switch] -= port.lanes
        if lanes_left[port.switch] < 0:
            message = f"{name} takes switch {port.switch} over the {spec.lanes} lanes of its chip"
            raise Fault(message, "port", entry, "lanes")


def _check_numbers(topology: Topology) -> None:
    for kind in ("module", "host"):
        entries = [k for k, p in enumerate(topology.ports) if p.kind == kind]
        if not entries:
            raise Fault(f"there is no {kind} port: add one", "port")
        numbers = [topology.ports[k].index for k in entries]
        if kind == "module" and len(entries) > MAX_MODULES:
            message = f"a node holds {MAX_MODULES} modules: there are {len(entries)} module ports"
            raise Fault(message, "port", entries[MAX_MODULES])
        _check_run(numbers, f"{kind} index", "port", "index", entries)


def _check_modules(topology: Topology) -> None:
    ported = {p.index: k for k, p in enumerate(topology.ports) if p.kind == "module"}
    seen: set[int] = set()
    for entry, module in enumerate(topology.modules):
        name = f"module {module.index}"
        if module.index in seen:
            raise Fault(f"{name} appears twice", "module", entry, "index")
        seen.add(module.index)
        if module.index not in ported:
            raise Fault(f"{name} has no port of kind module", "module", entry, "index")
        if module.arbitration not in ARBITRATIONS:
            message = f"{name}: arbitration {module.arbitration!r} is none of " + ", ".join(
                ARBITRATIONS
            )
            raise Fault(message, "module", entry, "arbitration")
        if not 0 <= module.vfs <= MAX_VFS:
            message = f"{name}: vfs {module.vfs} is not in 0 to {MAX_VFS}"
            raise Fault(message, "module", entry, "vfs")
        if not (math.isfinite(module.supply_w) and module.supply_w >= 0):
            message = f"{name}: supply_w {module.supply_w} is no number of watts (0: unknown)"
            raise Fault(message, "module", entry, "supply_w")
    for index, entry in ported.items():
        if index not in seen:
            raise Fault(f"module {index} has a port but no [[module]]", "port", entry, "index")


def _check_links(topology: Topology) -> None:
    by_id = {(p.switch, p.port): p for p in topology.ports}
    seen: set[tuple[int, int]] = set()
    for entry, link in enumerate(topology.links):
        for key, end in (("a", link.a), ("b", link.b)):
            name = f"port {end[0]}:{end[1]}"
            if end not in by_id:
                raise Fault(f"link to {name}, which does not exist", "link", entry, key)
            if by_id[end].kind != "fabric":
                message = f"link to {name}, which is a {by_id[end].kind} port, not a fabric port"
                raise Fault(message, "link", entry, key)
            if end in seen:
                raise Fault(f"link to {name}, which already has a link", "link", entry, key)
            seen.add(end)
        if link.a[0] == link.b[0]:
            message = f"link from switch {link.a[0]} to itself: join two switches"
            raise Fault(message, "link", entry, "b")


def _check_reach(topology: Topology) -> None:
    route = routes(len(topology.switches), topology.peer)
    for entry, module in enumerate(topology.ports):
        for host in topology.ports:
            if module.kind != "module" or host.kind != "host" or module.switch == host.switch:
                continue
            if route[module.switch][host.switch] < 0:
                message = (
                    f"module {module.index} on switch {module.switch} cannot reach host "
                    f"{host.index} on switch {host.switch}: join them with fabric links"
                )
                raise Fault(message, "port", entry)


def routes(
    switches: int, peer: Mapping[tuple[int, int], tuple[int, int]]
) -> tuple[tuple[int, ...], ...]:
    """[switch][destination] -> fabric port id of a shortest route, -1 for here or no way.

    peer maps (switch, port) to the far end of its link. A breadth-first search from each
    destination; among equally short ways the smallest port id wins at every switch.
    """
    table = [[-1] * switches for _ in range(switches)]
    for destination in range(switches):
        distance = {destination: 0}
        frontier = [destination]
        while frontier:
            reached = []
            for (at, port), (there, _) in sorted(peer.items()):
                if there not in frontier:
                    continue
                if at not in distance:
                    distance[at] = distance[there] + 1
                    table[at][destination] = port
                    reached.append(at)
            frontier = reached
    return tuple(map(tuple, table))
