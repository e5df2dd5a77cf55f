"""Compiles every kernel of the package ahead of time, module by module."""

from __future__ import annotations

import importlib
import importlib.util
import re
import time
from collections.abc import Callable
from pathlib import Path

_NUMBA = re.compile(r"^\s*from fabcore.compiled import njit\b", re.MULTILINE)


def kernel_modules() -> list[str]:
    """Names of the package's modules that hold numba kernels, in the order data flows."""
    root = Path(__file__).parent
    order = ("observe", "predict", "solve", "switch")
    found = []
    for path in root.rglob("*.py"):
        parts = path.relative_to(root.parent).with_suffix("").parts
        if path != Path(__file__) and _NUMBA.search(path.read_text(encoding="utf-8")):
            found.append(".".join(p for p in parts if p != "__init__"))
    stage = {name: k for k, name in enumerate(order)}
    return sorted(found, key=lambda name: (stage.get(name.split(".")[1], len(order)), name))


def compile_all(progress: Callable[[str], None] | None = None) -> list[dict[str, object]]:
    """Imports each module, which compiles its kernels or loads them from numba's cache.

    progress is told each module before its turn. Returns [{"name", "seconds"}].
    """
    done: list[dict[str, object]] = []
    for name in kernel_modules():
        if progress is not None:
            progress(name)
        start = time.perf_counter()
        importlib.import_module(name)
        done.append({"name": name, "seconds": round(time.perf_counter() - start, 3)})
    return done
