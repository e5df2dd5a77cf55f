"""Prepares every kernel of the package ahead of time: loaded from the cache, or compiled and kept."""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from fabcore.errors import FabricError

_NUMBA = re.compile(r"^\s*from fabcore.compiled import njit\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Prepared:
    """One kernel: how long it took, whether it had to be compiled, the folder it is kept in."""

    name: str
    seconds: float
    compiled: bool
    folder: str


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


def prepare_all(progress: Callable[[Prepared, int], None] | None = None) -> list[Prepared]:
    """Loads or compiles every kernel; afterwards no call in this process waits for one.

    progress is told each kernel that is done, and how many there are in all.
    """
    for name in kernel_modules():
        importlib.import_module(name)
    from fabcore.compiled import KERNELS

    done: list[Prepared] = []
    for kernel in KERNELS:
        start = time.perf_counter()
        kernel.prepare()
        seconds = round(time.perf_counter() - start, 4)
        folder = kernel.cache.folder if kernel.cache is not None else ""
        done.append(Prepared(kernel.name, seconds, kernel.compiled, folder))
        if progress is not None:
            progress(done[-1], len(KERNELS))
    return done


def report(done: list[Prepared]) -> dict[str, object]:
    """The JSON document of `fabcore warm --json`: seconds in all, folders, kernels in order.

    FabricError: a kernel could not be kept, so the next process would compile it again.
    """
    if any(not kernel.folder for kernel in done):
        from fabcore.compiled import KERNELS

        why = next((k.cache.problem for k in KERNELS if k.cache and not k.cache.folder), "")
        raise FabricError(
            f"the kernels cannot be kept ({why}): set NUMBA_CACHE_DIR to a writable folder"
        )
    seconds = round(sum(kernel.seconds for kernel in done), 3)
    folders = sorted({kernel.folder for kernel in done})
    return {"seconds": seconds, "folders": folders, "kernels": [asdict(k) for k in done]}
