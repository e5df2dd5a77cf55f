"""Where the kernels' machine code is kept on disk, under the digest of every source it came from.

Numba's own cache looks at the file that a kernel stands in, not at the files of the kernels that it
calls, whose code is built into it: after an upgrade that changed only the callee, the old callee
would go on running inside the caller. Here a folder holds what one set of sources was compiled to
and is named after it, so other sources never look into it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

from numba import config
from numba.core.caching import CompileResultCacheImpl, FunctionCache

from fabcore import __version__

__all__ = ["KernelCache", "folders", "places", "writable_place"]

_HOME = Path(__file__).parent
_STAGES = (_HOME, _HOME / "predict", _HOME / "solve", _HOME / "switch")


@cache
def digest() -> str:
    """Of every module that holds kernels or the constants that are built into them."""
    sha = hashlib.sha256()
    for folder in _STAGES:
        for file in sorted(folder.glob("*.py")):
            sha.update(f"{folder.name}/{file.name}\0".encode())
            sha.update(file.read_bytes())
    return sha.hexdigest()


def places() -> list[Path]:
    """Where machine code may be: NUMBA_CACHE_DIR if it is set, beside the sources, the user's
    cache."""
    name = _name()
    found = [_HOME / "__pycache__" / name]
    if config.CACHE_DIR:
        found.insert(0, Path(config.CACHE_DIR) / name)
    with contextlib.suppress(RuntimeError):  # nobody's home
        user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        found.append(Path(user) / "fabcore" / name)
    return found


def writable_place() -> Path | None:
    """The place that new machine code would go to; None when none can be written."""
    for place in places():
        there = next(p for p in (place, *place.parents) if p.exists())
        if there.is_dir() and os.access(there, os.W_OK):
            return place
    return None


@cache
def folders() -> list[Path]:
    """Where to look: the places up to the first that can be written, which gets what is missing.

    So a read-only package may bring machine code along, and whoever chooses a folder has all in it.
    """
    found = []
    for place in places():
        found.append(place)
        with contextlib.suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=place).close()
            break
    return found


def _name() -> str:
    return f"fabcore-{__version__}-{digest()[:16]}"


@cache
def _drop_stale() -> None:
    """Machine code beside these sources that other sources were compiled to is of no more use."""
    for folder in (_HOME / "__pycache__").glob("fabcore-*"):
        if folder.name != _name():
            shutil.rmtree(folder, ignore_errors=True)


class _Folder:
    """A numba cache locator: one kernel's files in one of the folders."""

    def __init__(self, path: Path, py_func: Any) -> None:
        self._path = str(path)
        self._py_file = py_func.__code__.co_filename
        self._line = py_func.__code__.co_firstlineno

    def ensure_cache_path(self) -> None:
        os.makedirs(self._path, exist_ok=True)

    def get_cache_path(self) -> str:
        return self._path

    def get_source_stamp(self) -> str:
        return digest()

    def get_disambiguator(self) -> str:
        return str(self._line)


class _Reader(CompileResultCacheImpl):
    """Numba's (un)pickling of machine code, without its search for a folder of its own."""

    def __init__(self, path: Path, py_func: Any) -> None:
        self._lineno = py_func.__code__.co_firstlineno
        self._locator = _Folder(path, py_func)
        name = f"{py_func.__module__}.{py_func.__qualname__}".removeprefix("fabcore.")
        self._filename_base = self.get_filename_base(name, sys.abiflags)


class _Files(FunctionCache):
    """Numba's cache of one kernel in one folder."""

    def __init__(self, path: Path, py_func: Any) -> None:
        self._impl_class = partial(_Reader, path)
        super().__init__(py_func)


class KernelCache:
    """One kernel's machine code in all folders: what a numba dispatcher asks of its cache.

    It never fails: what cannot be read is compiled, what cannot be written is not kept (`problem`
    then says why). `folder` is where the code was found or put, "" while it is nowhere.
    """

    def __init__(self, py_func: Any) -> None:
        self._py_func = py_func
        self.folder = self.problem = ""

    @cached_property
    def _files(self) -> list[_Files]:
        """Not before the first use: nothing is made on disk at import."""
        return [_Files(folder, self._py_func) for folder in folders()]

    @property
    def cache_path(self) -> str:
        return self.folder or str(places()[0])

    def load_overload(self, signature: Any, target: Any) -> Any:
        """The compiled kernel from the first folder that has it, or None."""
        for files in self._files:
            try:
                found = files.load_overload(signature, target)
            except Exception:  # a damaged file may raise anything; it is written anew
                with contextlib.suppress(OSError):
                    files.flush()
                continue
            if found is not None:
                self.folder = str(files.cache_path)
                return found
        return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keeps it in the first folder that can be written."""
        problems = []
        for files in self._files:
            try:
                files.save_overload(signature, compiled)
            except OSError as error:
                problems.append(f"{files.cache_path}: {error.strerror}")
                continue
            self.folder = str(files.cache_path)
            _drop_stale()
            return
        self.problem = "; ".join(problems)

    def flush(self) -> None:
        """Forgets the kernel where that can be written."""
        for files in self._files:
            with contextlib.suppress(OSError):
                files.flush()

    def enable(self) -> None:
        for files in self._files:
            files.enable()

    def disable(self) -> None:
        for files in self._files:
            files.disable()
