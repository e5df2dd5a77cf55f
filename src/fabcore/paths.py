"""Where an embedder finds the headers and the library inside the installed package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from fabcore.errors import FabricError


def _home() -> Path:
    """The folder that holds the compiled parts (an editable install keeps them elsewhere)."""
    spec = find_spec("fabcore._core")
    if spec is None or spec.origin is None:
        raise FabricError("the compiled core is missing: install with `pip install .`")
    return Path(spec.origin).resolve().parent


def get_include() -> str:
    """Directory of fabcore.h and its companions."""
    return str(_home() / "include")


def get_library() -> str:
    """Path of libfabcore.so."""
    return str(_home() / "libfabcore.so")


def cflags() -> str:
    """Compiler flags for embedders."""
    return f"-I{get_include()}"


def libs() -> str:
    """Linker flags for embedders, with an rpath so that the library is found at run time."""
    home = _home()
    return f"-L{home} -Wl,-rpath,{home} -lfabcore"
