"""solve: place VMs on modules, divide every link's bandwidth, turn shares into table entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fabcore.solve.division import Division, certify, max_min
    from fabcore.solve.placement import Placement, place
    from fabcore.solve.portquantiser import PortQuantiser
    from fabcore.solve.quantiser import arbitration_table, quantise
    from fabcore.solve.request import Request

# name -> module that holds it; resolved on first use, since the kernels' modules start a compiler.
_HOME = {
    "Division": "division",
    "certify": "division",
    "max_min": "division",
    "Placement": "placement",
    "place": "placement",
    "PortQuantiser": "portquantiser",
    "arbitration_table": "quantiser",
    "quantise": "quantiser",
    "Request": "request",
}

__all__ = [
    "Division",
    "Placement",
    "PortQuantiser",
    "Request",
    "arbitration_table",
    "certify",
    "max_min",
    "place",
    "quantise",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOME:
        raise AttributeError(f"module 'fabcore.solve' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"fabcore.solve.{_HOME[name]}"), name)
    globals()[name] = value
    return value
