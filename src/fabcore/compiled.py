"""njit for the kernels, after making sure that no cached machine code is older than its sources.

Numba's cache looks at the file that a kernel stands in, not at the files of the kernels that it
calls, whose code is built into it: after an upgrade that changed only the callee, the old callee
would go on running inside the caller. So the caches of all kernels are dropped when any of their
files has changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from numba import njit

__all__ = ["njit"]

_HOME = Path(__file__).parent
_STAGES = (_HOME, _HOME / "predict", _HOME / "solve", _HOME / "switch")
_STAMP = "kernels.sha256"


def _digest() -> str:
    """Of every module that may hold kernels."""
    sha = hashlib.sha256()
    for folder in _STAGES:
        for file in sorted(folder.glob("*.py")):
            sha.update(file.name.encode())
            sha.update(file.read_bytes())
    return sha.hexdigest()


def _drop_stale() -> None:
    """Removes machine code that other sources were compiled to; where that cannot be written,
    Numba does not keep it there either."""
    stamp = _HOME / "__pycache__" / _STAMP
    digest = _digest()
    with contextlib.suppress(OSError):
        if stamp.exists() and stamp.read_text() == digest:
            return
        for folder in _STAGES:
            for file in (folder / "__pycache__").glob("*.nb[ci]"):
                file.unlink(missing_ok=True)
        stamp.parent.mkdir(exist_ok=True)
        fresh = stamp.with_name(f"{_STAMP}.{os.getpid()}")
        fresh.write_text(digest)
        fresh.replace(stamp)


_drop_stale()
