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


# Lanes by the low byte of the device id, by generation (its first digit). The second digit is the
# family: Gen4 and Gen5 PFX, PSX, PAX and their -A variants, Gen6 PFXs, PSXs, PFX, PSX.
_GEN45 = {0x00: 100, 0x84: 84, 0x68: 68, 0x52: 52, 0x36: 36, 0x28: 28}
_LANES = {4: _GEN45, 5: _GEN45, 6: {0x48: 48, 0x64: 64, 0x44: 144, 0x60: 160}}
_FAMILIES = {4: 6, 5: 6, 6: 4}


def chip_lanes(device_id: int) -> int:
    """The lanes of the Switchtec chip with that device id; 0: there is no such chip."""
    generation, family = device_id >> 12, device_id >> 8 & 0xF
    if family >= _FAMILIES.get(generation, 0):
        return 0
    return _LANES[generation].get(device_id & 0xFF, 0)


@dataclass(frozen=True)
class SwitchSpec:
    """One switch chip; its device id tells generation, family and lanes."""

    id: int
    device_id: int

    @property
    def lanes(self) -> int:
        """The chip's lanes."""
        return chip_lanes(self.device_id)

    @property
    def generation(self) -> int:
        """The fastest PCIe generation of the chip's ports."""
        return self.device_id >> 12


@dataclass(frozen=True)
class Hop:
    """One arbitration point: in at a port of the switch, out at another, onto a directed link."""

    switch: int
    ingress_port: int
    egress_port: int
    link: int
