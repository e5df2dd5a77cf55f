"""fabcore: the control-plane core of a PCIe fabric. Names only; nothing heavy is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fabcore.errors import (
    BarError,
    CapacityError,
    FabricError,
    FirmwareError,
    OwnerError,
    TopologyError,
    TraceError,
)

if TYPE_CHECKING:
    from fabcore import pcie, predict, solve
    from fabcore._core import Bar, Change, IndexRing, RequestQueue, Ring, Switch
    from fabcore.node import Controller, Decision, ResourceNode, TickReport
    from fabcore.observe import RECORD
    from fabcore.paths import get_include, get_library

__version__ = "0.1.0"

# name -> module that holds it; resolved on first use so that `import fabcore` stays light.
_HOME = {
    "Bar": "fabcore._core",
    "Change": "fabcore._core",
    "IndexRing": "fabcore._core",
    "RequestQueue": "fabcore._core",
    "Ring": "fabcore._core",
    "Switch": "fabcore._core",
    "RECORD": "fabcore.observe",
    "Controller": "fabcore.node",
    "Decision": "fabcore.node",
    "ResourceNode": "fabcore.node",
    "TickReport": "fabcore.node",
    "get_include": "fabcore.paths",
    "get_library": "fabcore.paths",
}
_STAGES = ("observe", "predict", "solve", "switch", "pcie", "host")

__all__ = [
    "RECORD",
    "Bar",
    "BarError",
    "CapacityError",
    "Change",
    "Controller",
    "Decision",
    "FabricError",
    "FirmwareError",
    "IndexRing",
    "OwnerError",
    "RequestQueue",
    "ResourceNode",
    "Ring",
    "Switch",
    "TickReport",
    "TopologyError",
    "TraceError",
    "get_include",
    "get_library",
    "pcie",
    "predict",
    "solve",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name in _STAGES:
        return importlib.import_module(f"fabcore.{name}")
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'fabcore' has no attribute {name!r}")
