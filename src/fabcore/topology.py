"""The Resource Node's topology: switches, ports, links and modules, and the paths between them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fabcore import pcie
from fabcore.errors import TopologyError
from fabcore.topology_parts import (
    Arbitration,
    Direction,
    Hop,
    Kind,
    Link,
    ModuleSpec,
    Port,
    SwitchSpec,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Arbitration",
    "Direction",
    "Hop",
    "Kind",
    "Link",
    "ModuleSpec",
    "Port",
    "SwitchSpec",
    "Topology",
]


@dataclass(frozen=True)
class Topology:
    """An immutable Resource Node; TopologyError if it cannot be built.

    Directed links are numbered: modules up, modules down, hosts up, hosts down, then every
    fabric link in both directions (a to b, b to a). Up is module to host. A fabric direction can
    carry one VM's up and another VM's down traffic, so both must be divided together.
    """

    name: str
    mps: int
    mrrs: int
    switches: tuple[SwitchSpec, ...]
    ports: tuple[Port, ...]
    links: tuple[Link, ...]
    modules: tuple[ModuleSpec, ...]

    def __post_init__(self) -> None:
        from fabcore.topology_check import check

        check(self)

    @classmethod
    def default(cls) -> Topology:
        """The default node: 4 PAX Gen5 switches in a ring, 8 modules, 8 hosts."""
        from fabcore.topology_file import default

        return default()

    @classmethod
    def load(cls, source: str | os.PathLike[str]) -> Topology:
        """Read a topology file, or TOML text (a str that holds a line break).

        TopologyError, one line with file and line number, for anything that cannot be built.
        """
        from fabcore.topology_file import parse

        if isinstance(source, str) and "\n" in source:
            return parse(source, "<text>")
        try:
            text = Path(source).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise TopologyError(f"{os.fspath(source)!r} cannot be read: {reason}") from error
        return parse(text, str(source))

    def dumps(self) -> str:
        """The topology as TOML text; `Topology.load` of it gives an equal topology."""
        from fabcore.topology_file import dumps

        return dumps(self)

    # -- what the file says, by number -----------------------------------------------------------

    @cached_property
    def by_id(self) -> dict[tuple[int, int], Port]:
        """(switch, port id) -> Port."""
        return {(p.switch, p.port): p for p in self.ports}

    @cached_property
    def module_ports(self) -> tuple[Port, ...]:
        """The port of every module, by module number."""
        return self._numbered("module")

    @cached_property
    def host_ports(self) -> tuple[Port, ...]:
        """The port of every host, by host number."""
        return self._numbered("host")

    def _numbered(self, kind: str) -> tuple[Port, ...]:
        return tuple(sorted((p for p in self.ports if p.kind == kind), key=lambda p: p.index))

    @cached_property
    def module_specs(self) -> tuple[ModuleSpec, ...]:
        """The modules, by module number (the file's order may differ)."""
        return tuple(sorted(self.modules, key=lambda m: m.index))

    def port(self, switch: int, port: int) -> Port:
        """The port with that physical id; TopologyError if there is none."""
        try:
            return self.by_id[switch, port]
        except KeyError:
            raise TopologyError(f"switch {switch} of {self.name!r} has no port {port}") from None

    # -- directed links --------------------------------------------------------------------------

    @cached_property
    def link_names(self) -> tuple[str, ...]:
        """A name for every directed link, by link id."""
        ends = [f"{kind} {p.index}" for kind, p in self._port_links]
        both = (pair for link in self.links for pair in ((link.a, link.b), (link.b, link.a)))
        fabric = [f"fabric {x[0]}:{x[1]} to {y[0]}:{y[1]}" for x, y in both]
        return tuple(ends + fabric)

    @cached_property
    def _port_links(self) -> list[tuple[str, Port]]:
        both = ("module", self.module_ports), ("host", self.host_ports)
        return [(f"{kind} {way}", p) for kind, ps in both for way in ("up", "down") for p in ps]

    @cached_property
    def capacity(self) -> NDArray[np.float64]:
        """(L,) write payload rate of every directed link, B/s; read-only.

        A link runs at the smaller generation and width of its two ends.
        """
        rates = [self._rate(p.gen, p.width) for _, p in self._port_links]
        for link in self.links:
            a, b = self.by_id[link.a], self.by_id[link.b]
            rates += [self._rate(min(a.gen, b.gen), min(a.width, b.width))] * 2
        values = np.array(rates, dtype=np.float64)
        values.flags.writeable = False
        return values

    def _rate(self, gen: int, lanes: int) -> float:
        return pcie.payload_rate(gen, lanes, self.mps, self.mrrs, "write")

    @cached_property
    def egress_link(self) -> dict[tuple[int, int], int]:
        """(switch, port id) -> id of the directed link that leaves the switch there."""
        m, h = len(self.module_ports), len(self.host_ports)
        out = {(p.switch, p.port): m + p.index for p in self.module_ports}
        out |= {(p.switch, p.port): 2 * m + p.index for p in self.host_ports}
        for k, link in enumerate(self.links):
            out[link.a] = 2 * m + 2 * h + 2 * k
            out[link.b] = 2 * m + 2 * h + 2 * k + 1
        return out

    def links_of(self, switch: int, port: int) -> tuple[int, ...]:
        """Directed link ids at a port: out of the switch, and into it; none on a management port."""
        where = (switch, port)
        if where not in self.ingress_link:
            return ()  # management, or a fabric port without a link
        return self.egress_link[where], self.ingress_link[where]

    @cached_property
    def ingress_link(self) -> dict[tuple[int, int], int]:
        """(switch, port id) -> id of the directed link that enters the switch there."""
        m, h = len(self.module_ports), len(self.host_ports)
        into = {(p.switch, p.port): p.index for p in self.module_ports}
        into |= {(p.switch, p.port): 2 * m + h + p.index for p in self.host_ports}
        return into | {here: self.egress_link[there] for here, there in self.peer.items()}

    def link_bytes(self, counters: dict[tuple[int, int], tuple[int, int]]) -> dict[int, int]:
        """Bytes by link id from the ports' (egress, ingress) byte counters."""
        found = {}
        for where, (egress, ingress) in counters.items():
            if where in self.egress_link:
                found[self.egress_link[where]] = egress
            if where in self.ingress_link:
                found[self.ingress_link[where]] = ingress
        return found

    @cached_property
    def peer(self) -> dict[tuple[int, int], tuple[int, int]]:
        """(switch, fabric port id) -> the (switch, port id) at the other end of its link."""
        return {x: y for link in self.links for x, y in ((link.a, link.b), (link.b, link.a))}

    # -- routes ----------------------------------------------------------------------------------

    @cached_property
    def route_port(self) -> tuple[tuple[int, ...], ...]:
        """[switch][destination switch] -> fabric port id for up traffic; -1: here, or no way.

        Shortest route; among equals the smallest port id at every switch (on the default ring:
        clockwise). Down traffic takes the exact reverse of the up path: see `hops`.
        """
        from fabcore.topology_check import routes

        return routes(len(self.switches), self.peer)

    def hops(self, module: int, host: int, direction: Direction = "up") -> tuple[Hop, ...]:
        """The arbitration points between a module and a host, in the order traffic meets them."""
        if direction not in ("up", "down"):
            raise TopologyError(f"direction {direction!r} is unknown: use 'up' or 'down'")
        first, last = self._end("module", module), self._end("host", host)
        at, entry, hops = first.switch, first.port, []
        while at != last.switch:
            leave = self.route_port[at][last.switch]
            hops.append((at, entry, leave))
            at, entry = self.peer[at, leave]
        hops.append((at, entry, last.port))
        if direction == "down":
            hops = [(switch, leave, entry) for switch, entry, leave in reversed(hops)]
        return tuple(Hop(s, entry, leave, self.egress_link[s, leave]) for s, entry, leave in hops)

    def path_up(self, module: int, host: int) -> tuple[int, ...]:
        """Directed link ids from a module to a host: module port, fabric links, host port."""
        return (module, *(hop.link for hop in self.hops(module, host, "up")))

    def path_down(self, module: int, host: int) -> tuple[int, ...]:
        """Directed link ids from a host to a module: host port, fabric links, module port."""
        entry = 2 * len(self.module_ports) + len(self.host_ports) + host
        return (entry, *(hop.link for hop in self.hops(module, host, "down")))

    def distance(self, module: int, host: int) -> int:
        """Fabric links between a module and a host; 0 on the same switch."""
        return len(self.hops(module, host)) - 1

    @cached_property
    def path_width(self) -> int:
        """Links on the longest path: the column count of path arrays."""
        counts = len(self.module_ports), len(self.host_ports)
        return max(len(self.path_up(m, h)) for m, h in np.ndindex(counts))

    @cached_property
    def path_table(self) -> NDArray[np.int32]:
        """(2, modules, hosts, path_width) int32: up (0) and down (1) paths, -1 padded; read-only."""
        counts = len(self.module_ports), len(self.host_ports)
        table = np.full((2, *counts, self.path_width), -1, dtype=np.int32)
        for m, h in np.ndindex(counts):
            for way, path in enumerate((self.path_up(m, h), self.path_down(m, h))):
                table[way, m, h, : len(path)] = path
        table.flags.writeable = False
        return table

    def paths_up(self, module: ArrayLike, host: ArrayLike) -> NDArray[np.int32]:
        """Up paths of pairs: module (n,), host (n,) -> (n, path_width) int32, -1 padded."""
        return self._paths(0, module, host)

    def paths_down(self, module: ArrayLike, host: ArrayLike) -> NDArray[np.int32]:
        """Down paths of pairs: module (n,), host (n,) -> (n, path_width) int32, -1 padded."""
        return self._paths(1, module, host)

    def _paths(self, way: int, module: ArrayLike, host: ArrayLike) -> NDArray[np.int32]:
        modules, hosts = np.asarray(module, dtype=np.intp), np.asarray(host, dtype=np.intp)
        for kind, ids in (("module", modules), ("host", hosts)):
            for extreme in (ids.min(initial=0), ids.max(initial=0)):
                self._end(kind, int(extreme))
        return np.ascontiguousarray(self.path_table[way, modules, hosts])

    def _end(self, kind: str, index: int) -> Port:
        ports = self.module_ports if kind == "module" else self.host_ports
        if not 0 <= index < len(ports):
            raise TopologyError(f"there is no {kind} {index}: the node has 0 to {len(ports) - 1}")
        return ports[index]
