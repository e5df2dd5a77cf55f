"""predict: what each VM will need next, from what it moved so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fabcore.predict.engine import ProfilingEngine
    from fabcore.predict.predictor import QPredictor

# name -> module that holds it; resolved on first use, since the kernels start a compiler.
_HOME = {"ProfilingEngine": "engine", "QPredictor": "predictor"}

__all__ = ["ProfilingEngine", "QPredictor"]


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOME:
        raise AttributeError(f"module 'fabcore.predict' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"fabcore.predict.{_HOME[name]}"), name)
    globals()[name] = value
    return value
