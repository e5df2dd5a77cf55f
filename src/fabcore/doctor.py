"""Checks of an installation: each says what it found and, where something is wrong, the cure."""

from __future__ import annotations

import ctypes
import importlib
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from fabcore.errors import FabricError

_OLDEST = {"numpy": (2, 0), "numba": (0, 61), "pyarrow": (17, 0)}
_SHM = Path("/dev/shm")
_NEED_SHM = 64 << 20  # bytes: the default node's BARs and its rings


@dataclass(frozen=True, slots=True)
class Check:
    """One check's outcome; `fix` is empty when nothing needs doing."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


def run_checks() -> list[Check]:
    """All checks, in the order in which a cure helps the ones after it."""
    return [_guarded(name, check) for name, check in CHECKS.items()]


def report(checks: list[Check]) -> dict[str, list[dict[str, object]]]:
    """The JSON document of `fabcore doctor --json`."""
    return {"checks": [asdict(check) for check in checks]}


def _guarded(name: str, check: Callable[[str], Check]) -> Check:
    """A check that itself breaks has found something, too."""
    try:
        return check(name)
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return Check(name, False, text, "reinstall fabcore, or report this with the detail")


def _python(name: str) -> Check:
    detail = f"{platform.python_implementation()} {platform.python_version()}"
    good = sys.version_info >= (3, 11) and sys.implementation.name == "cpython"
    return Check(name, good, detail, "" if good else "use CPython 3.11 or later")


def _package(name: str) -> Check:
    wanted = ".".join(map(str, _OLDEST[name]))
    cure = f"pip install '{name}>={wanted}'"
    try:
        version = metadata.version(name)
        importlib.import_module(name)
    except (metadata.PackageNotFoundError, ImportError) as error:
        return Check(name, False, f"cannot be imported: {error}", cure)
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    good = numbers >= _OLDEST[name]
    return Check(name, good, version, "" if good else cure)


def _compiled(name: str) -> Check:
    missing = [m for m in ("fabcore._core", "fabcore._embed") if find_spec(m) is None]
    if missing:
        return Check(name, False, f"missing: {', '.join(missing)}", "pip install .")
    core = importlib.import_module("fabcore._core")
    importlib.import_module("fabcore._embed")
    return Check(name, True, f"_core and _embed, libfabcore {core.version()}")


def _library(name: str) -> Check:
    from fabcore.paths import get_include, get_library

    try:
        library, header = Path(get_library()), Path(get_include()) / "fabcore.h"
    except FabricError as error:
        return Check(name, False, str(error), "pip install .")
    missing = [str(p) for p in (library, header) if not p.is_file()]
    if missing:
        return Check(name, False, f"missing: {', '.join(missing)}", "pip install .")
    return Check(name, True, str(library))


def _layout(name: str) -> Check:
    """Processes share memory only when these agree, so a stale library must be found here."""
    from fabcore.observe import RECORD
    from fabcore.paths import get_library

    core, embed = (importlib.import_module(f"fabcore.{m}") for m in ("_core", "_embed"))
    library = ctypes.CDLL(get_library())
    library.fab_layout.restype = ctypes.c_uint32
    numbers = {
        "_core": core.layout(),
        "_embed": embed.lib.fab_layout(),
        "libfabcore.so": library.fab_layout(),
    }
    good = len(set(numbers.values())) == 1 and RECORD.itemsize == 64
    detail = ", ".join(f"{part} 0x{number:08x}" for part, number in numbers.items())
    return Check(name, good, detail, "" if good else "a part is stale: pip install --force .")


def _shm(name: str) -> Check:
    cure = "mount a tmpfs on /dev/shm (docker: --shm-size=256m)"
    try:
        with tempfile.NamedTemporaryFile(dir=_SHM, prefix="fabcore-doctor-") as file:
            file.write(b"x")
        space = os.statvfs(_SHM)
    except OSError as error:
        return Check(name, False, f"{_SHM} is not writable: {error.strerror}", cure)
    free = space.f_bavail * space.f_frsize
    detail = f"{free >> 20} MiB free in {_SHM}"
    return Check(name, free >= _NEED_SHM, detail, "" if free >= _NEED_SHM else cure)


def _cache(name: str) -> Check:
    """Where compiled kernels are kept."""
    from fabcore.kernel_cache import places, writable_place

    folder = writable_place()
    if folder is not None:
        return Check(name, True, str(folder))
    detail = f"not writable: {', '.join(map(str, places()))}"
    return Check(name, False, detail, "set NUMBA_CACHE_DIR to a writable folder")


def _libvirt(name: str) -> Check:
    from fabcore.host.libvirt import LibvirtSource

    try:
        source = LibvirtSource()
    except FabricError as error:
        return Check(name, True, f"optional, not used: {error}")
    source.close()
    return Check(name, True, f"answers at {source.uri}")


def _cgroups(name: str) -> Check:
    from fabcore.host.cgroup import CgroupSource

    source = CgroupSource.find()
    if source is None:
        return Check(name, True, "optional: no mounted hierarchy has the block I/O controller")
    found = source.read()
    detail = f"{source.describe()}, {len(found)} groups with traffic"
    if source.unreadable:
        detail += f", {source.unreadable} not permitted"
    return Check(name, True, detail)


def _matplotlib(name: str) -> Check:
    try:
        return Check(name, True, metadata.version("matplotlib"))
    except metadata.PackageNotFoundError:
        return Check(name, True, "optional, only for `replay --plot`: pip install 'fabcore[plot]'")


# What is optional never fails: `--strict` asks whether fabcore works, not whether all is there.
CHECKS: dict[str, Callable[[str], Check]] = {
    "python": _python,
    "numpy": _package,
    "numba": _package,
    "pyarrow": _package,
    "compiled modules": _compiled,
    "library": _library,
    "layout": _layout,
    "shared memory": _shm,
    "numba cache": _cache,
    "libvirt": _libvirt,
    "control groups": _cgroups,
    "matplotlib": _matplotlib,
}
