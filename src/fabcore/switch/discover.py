"""A topology read from the switches themselves: ports, kinds, indices, links, routes, modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabcore.errors import TopologyError
from fabcore.topology import Link, ModuleSpec, Port, SwitchSpec, Topology

if TYPE_CHECKING:
    from fabcore._core import Switch

PAX_IDS = (0x42, 0x45, 0x52, 0x55)  # device ids without the lanes
ARBITRATION = ("none", "mfvc", "shaper")  # by FAB_ARBITRATION_*
KINDS = {1: "fabric", 2: "module", 3: "host", 4: "management"}  # by FAB_PORT_*
# What the registers do not tell: the power supply, which no arbitration depends on.
UNKNOWN_SUPPLY_W = 0.0


def pdfid(module: int, function: int) -> int:
    """The fabric-wide id of a module's function (modelled: docs/registers.md)."""
    return module << 6 | function


Found = dict[tuple[int, int], int]  # (port, function) -> pdfid, of one switch


def read_pdfids(switch: Switch) -> Found:
    """(port, function) -> pdfid, as the switch's GFMS database says; empty where there is none."""
    if switch.identify()["device_id"] >> 8 not in PAX_IDS:
        return {}
    return {(f["port"], f["function"]): f["pdfid"] for f in switch.gfms.functions()}


class Pdfids:
    """The fabric-wide ids of the modules' functions.

    From the GFMS database of a PAX; what it does not know (a device that is down, another family)
    has the id of the modelled encoding.
    """

    def __init__(
        self, switches: list[Switch], topology: Topology, found: list[Found] | None = None
    ) -> None:
        """found: what `read_pdfids` gave of each switch; None = read now."""
        self._known: dict[tuple[int, int], int] = {}
        if found is None:
            found = [read_pdfids(switch) for switch in switches]
        for port in topology.module_ports:
            self.learn(port, found[port.switch])

    def learn(self, port: Port, found: Found) -> None:
        """The ids of one module's functions, from what `read_pdfids` gives of its switch."""
        for (at, function), fid in found.items():
            if at == port.port:
                self._known[port.index, function] = fid

    def of(self, module: int, function: int) -> int:
        """A function's pdfid."""
        return self._known.get((module, function), pdfid(module, function))


def discover(
    switches: list[Switch], name: str = "node", found: list[Found] | None = None
) -> Topology:
    """Walks every port of every switch; TopologyError when what they say does not fit together.

    Module indices come from the physical slot numbers, host indices from the port configuration,
    fabric links from where each fabric port says that its link ends. found: as of `Pdfids`.
    """
    ports: list[Port] = []
    links: set[Link] = set()
    modules: list[ModuleSpec] = []
    specs: list[SwitchSpec] = []
    for k, switch in enumerate(switches):
        spec = SwitchSpec(k, switch.identify()["device_id"])
        specs.append(spec)
        pdfids = read_pdfids(switch) if found is None else found[k]
        for info in switch.ports():
            kind = KINDS.get(info["kind"])
            if kind is None:
                continue
            ports.append(_port(spec, kind, info))
            if kind == "module":
                fid = pdfids.get((info["port"], 0), pdfid(info["index"], 0))
                modules.append(_module(switch, info, fid))
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


def _port(spec: SwitchSpec, kind: str, info: dict[str, int]) -> Port:
    lanes = info["cfg_lanes"]
    index = info["index"] if info["index"] != 0xFF else 0
    gen = info["gen"] or spec.generation  # a link that is down has no negotiated rate
    phases = info["phases"] or 32
    return Port(spec.id, info["port"], kind, index, gen, lanes, f"x{lanes}", phases)  # type: ignore[arg-type]


def _module(switch: Switch, info: dict[str, int], fid: int) -> ModuleSpec:
    """What a module offers; one whose link is down offers nothing until it comes (Chassis.join)."""
    kind, vfs = "none", 0
    if info["up"]:
        probe = switch.function_probe(fid)
        kind, vfs = ARBITRATION[probe["arbitration"]], probe["num_vfs"]
    return ModuleSpec(info["index"], kind, vfs, UNKNOWN_SUPPLY_W)  # type: ignore[arg-type]
