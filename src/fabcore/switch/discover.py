"""A topology read from the switches themselves: ports, kinds, indices, links, routes, modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabcore.errors import TopologyError
from fabcore.topology import Link, ModuleSpec, Port, SwitchSpec, Topology

if TYPE_CHECKING:
    from fabcore._core import Switch

ARBITRATION = ("none", "mfvc", "shaper")  # by FAB_ARBITRATION_*
KINDS = {1: "fabric", 2: "module", 3: "host", 4: "management"}  # by FAB_PORT_*
# What the registers do not tell: the power supply, which no arbitration depends on.
UNKNOWN_SUPPLY_W = 0.0


def pdfid(module: int, function: int) -> int:
    """The fabric-wide id of a module's function (modelled: docs/registers.md)."""
    return module << 6 | function


def discover(switches: list[Switch], name: str = "node") -> Topology:
    """Walks every port of every switch; TopologyError when what they say does not fit together.

    Module indices come from the physical slot numbers, host indices from the port configuration,
    fabric links from where each fabric port says that its link ends.
    """
    ports: list[Port] = []
    links: set[Link] = set()
    modules: list[ModuleSpec] = []
    specs: list[SwitchSpec] = []
    for k, switch in enumerate(switches):
        specs.append(SwitchSpec(k, switch.identify()["device_id"]))
        for info in switch.ports():
            kind = KINDS.get(info["kind"])
            if kind is None:
                continue
            ports.append(_port(k, kind, info))
            if kind == "module":
                modules.append(_module(switch, info["index"]))
            if kind == "fabric" and info["peer_switch"] != 0xFF:
                ends = sorted([(k, info["port"]), (info["peer_switch"], info["peer_port"])])
                links.add(Link(ends[0], ends[1]))
    if not any(port.kind == "module" for port in ports):
        raise TopologyError("no module port on any of the switches: is this a Resource Node?")
    return Topology(
        name=name,
        mps=256,
        mrrs=512,
        switches=tuple(specs),
        ports=tuple(ports),
        links=tuple(sorted(links, key=lambda link: (link.a, link.b))),
        modules=tuple(sorted(modules, key=lambda module: module.index)),
    )


def _port(k: int, kind: str, info: dict[str, int]) -> Port:
    lanes = info["cfg_lanes"]
    index = info["index"] if info["index"] != 0xFF else 0
    gen = info["gen"] or 5  # a link that is down has no negotiated rate
    phases = info["phases"] or 32
    return Port(k, info["port"], kind, index, gen, lanes, f"x{lanes}", phases)  # type: ignore[arg-type]


def _module(switch: Switch, index: int) -> ModuleSpec:
    probe = switch.function_probe(pdfid(index, 0))
    kind = ARBITRATION[probe["arbitration"]]
    return ModuleSpec(index, kind, probe["num_vfs"], UNKNOWN_SUPPLY_W)  # type: ignore[arg-type]
