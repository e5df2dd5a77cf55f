"""predict: what each VM will need next, learned online from its own demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fabcore.predict.engine import ProfilingEngine
    from fabcore.predict.qpredictor import QPredictor

_HOME = {
    "ProfilingEngine": "fabcore.predict.engine",
    "QPredictor": "fabcore.predict.qpredictor",
}

__all__ = ["ProfilingEngine", "QPredictor"]


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOME:
        raise AttributeError(f"module 'fabcore.predict' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value
