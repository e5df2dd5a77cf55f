"""switch: the drivers of a chassis, its bindings and arbitration tables, what holds each grant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fabcore.switch.chassis import Chassis, Function

__all__ = ["Chassis", "Function"]


def __getattr__(name: str) -> Any:
    import importlib

    if name not in __all__:
        raise AttributeError(f"module 'fabcore.switch' has no attribute {name!r}")
    return getattr(importlib.import_module("fabcore.switch.chassis"), name)
