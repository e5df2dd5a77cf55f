"""The parts of a topology as values: switches, ports, links, modules, hops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["module", "host", "fabric", "management"]
Arbitration = Literal["mfvc", "shaper", "none"]
Direction = Literal["up", "down"]


@dataclass(frozen=True)
class Port:
    """One switch port; `port` is its physical id (8 x stack + index within the stack).

    `index` is the module's or host's number; for fabric and management ports it means nothing.
    `layout` is the bifurcation; the link of a port with several groups runs at the first group's
    width. `phases` is the length of the port's arbitration table.
    """

    switch: int
    port: int
    kind: Kind
    index: int
    gen: int
    lanes: int
    layout: str
    phases: int

    @property
    def width(self) -> int:
        """Lanes of the link that trains on the port: those of the layout's first group."""
        return int(self.layout.split("x")[1])


@dataclass(frozen=True)
class Link:
    """A fabric link between two fabric ports, each given as (switch, port)."""

    a: tuple[int, int]
    b: tuple[int, int]


@dataclass(frozen=True)
class ModuleSpec:
    """One accelerator module: arbitration among its functions, VFs, supply in W (0: unknown)."""

    index: int
    arbitration: Arbitration
    vfs: int
    supply_w: float


GEN6_LARGE = {0x44: 144, 0x60: 160}  # lanes by the low byte, which has no room for a hundred


@dataclass(frozen=True)
class SwitchSpec:
    """One switch chip; the device id's low byte tells its lanes."""

    id: int
    device_id: int

    @property
    def lanes(self) -> int:
        """The chip's lanes: as the low byte reads, except for 00 = 100 and, of Gen6, 44 and 60."""
        low = self.device_id & 0xFF
        above_100 = GEN6_LARGE if self.device_id >> 12 == 6 else {0x00: 100}
        return above_100[low] if low in above_100 else int(f"{low:x}")


@dataclass(frozen=True)
class Hop:
    """One arbitration point: in at a port of the switch, out at another, onto a directed link."""

    switch: int
    ingress_port: int
    egress_port: int
    link: int
