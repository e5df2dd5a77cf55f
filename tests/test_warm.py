"""Kernels at start-up: nothing compiled at import, one signature each, a cache that is never stale."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import fabcore

PACKAGE = Path(fabcore.__file__).parent
NOWHERE = "/proc/nowhere"

# A process of its own: the package copy in argv[1] instead of the installed one, every compilation
# and every load of a kernel counted.
PROLOGUE = """
import importlib, json, sys
import numba.core.event as event

sys.meta_path[:] = [f for f in sys.meta_path if "Editable" not in type(f).__name__
                    and "Redirect" not in type(f).__name__]
sys.path.insert(0, sys.argv[1])
compiled = event.RecordingListener()
event.register("numba:compile", compiled)

def report(**values):
    print(json.dumps({"compiled": sum(e.is_start for _, e in compiled.buffer), **values}))
"""
CALL = """
from fabcore.solve.caller import twice
report(value=twice(10.0), folder=twice.cache.folder, problem=twice.cache.problem)
"""
CALLEE = """
from fabcore.compiled import njit

@njit("float64(float64)", cache=True)
def add(x):
    return x + {term}
"""
CALLER = """
from fabcore.compiled import njit
from fabcore.solve.callee import add

@njit("float64(float64)", cache=True)
def twice(x):
    return 2.0 * add(x)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with a copy of the package (sources only) and two kernels, one calling the other."""
    copy = tmp_path / "site" / "fabcore"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    (copy / "solve" / "callee.py").write_text(CALLEE.format(term="1.0"))
    (copy / "solve" / "caller.py").write_text(CALLER)
    return copy


def run(package: Path, script: str, *before: str, **env: str) -> dict:
    """What the script reports, run on that copy; `before`: the command that wraps the process."""
    home = {"XDG_CACHE_HOME": str(package.parent.parent / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    clean = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    command = [*before, sys.executable, "-c", PROLOGUE + textwrap.dedent(script)]
    done = subprocess.run(
        [*command, str(package.parent)], capture_output=True, text=True, env=clean | home | env
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_import_of_fabcore_brings_in_nothing_heavy() -> None:
    script = "import sys, fabcore; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "fabcore" in loaded
    assert not loaded & {"numba", "llvmlite", "pyarrow", "numpy", "typer", "rich"}


def test_import_of_every_kernel_module_compiles_and_loads_nothing(package: Path) -> None:
    found = run(
        package,
        """
        from fabcore.warm import kernel_modules
        for name in kernel_modules():
            importlib.import_module(name)
        from fabcore.compiled import KERNELS
        report(kernels=len(KERNELS), modules=len(kernel_modules()),
               ready=[k.name for k in KERNELS if k.overloads])
        """,
    )
    assert found["compiled"] == 0
    assert found["ready"] == []
    assert found["kernels"] > found["modules"] > 5
    assert not (package / "__pycache__").exists()


def test_every_kernel_declares_its_signature_and_is_cached() -> None:
    from numba.core import sigutils

    from fabcore.compiled import KERNELS
    from fabcore.warm import kernel_modules

    for name in kernel_modules():
        __import__(name)
    for kernel in KERNELS:
        arguments, result = sigutils.normalize_signature(kernel.declared)
        assert len(arguments) == kernel.py_func.__code__.co_argcount, kernel.name
        assert result is not None, kernel.name
        assert kernel.cache is not None, kernel.name


def test_kernel_takes_its_declared_signature_and_compiles_no_other(package: Path) -> None:
    found = run(
        package,
        """
        import numpy as np
        from fabcore.solve.caller import twice
        errors = 0
        for wrong in (np.zeros(3), "x", 1j):
            try:
                twice(wrong)
            except TypeError:
                errors += 1
        report(value=twice(10), errors=errors, signatures=len(twice.signatures))
        """,
    )
    assert found == {"compiled": 2, "value": 22.0, "errors": 3, "signatures": 1}


def test_threads_that_call_a_kernel_first_at_once_compile_it_once(package: Path) -> None:
    found = run(
        package,
        """
        from concurrent.futures import ThreadPoolExecutor
        from fabcore.solve.caller import twice
        with ThreadPoolExecutor(8) as pool:
            values = set(pool.map(twice, [10.0] * 64))
        report(values=list(values))
        """,
    )
    assert found == {"compiled": 2, "values": [22.0]}


def test_kernel_survives_pickling(package: Path) -> None:
    found = run(
        package,
        """
        import pickle
        from fabcore.solve.caller import twice
        data = pickle.dumps(twice)
        twice.__class__._memo.clear()
        again = pickle.loads(data)
        try:
            again("x")
        except TypeError:
            report(value=again(10.0), same=again is twice)
        """,
    )
    assert (found["value"], found["same"]) == (22.0, False)


def test_second_process_finds_the_kernel_compiled(package: Path) -> None:
    first, second = run(package, CALL), run(package, CALL)
    assert (first["compiled"], first["value"]) == (2, 22.0)
    assert (second["compiled"], second["value"]) == (0, 22.0)
    assert Path(second["folder"]).parent == package / "__pycache__"


@pytest.mark.parametrize("where", ["beside", "NUMBA_CACHE_DIR"])
def test_change_of_a_callee_alone_reaches_its_caller(package: Path, where: str) -> None:
    env = {} if where == "beside" else {where: str(package.parent / "cache")}
    before = run(package, CALL, **env)
    (package / "solve" / "callee.py").write_text(CALLEE.format(term="2.0"))
    after = run(package, CALL, **env)
    assert (before["value"], after["value"]) == (22.0, 24.0)
    assert after["folder"] != before["folder"]
    # Beside the sources what is stale goes; another folder may serve other installations, too.
    assert Path(before["folder"]).exists() == (where != "beside")
    (package / "solve" / "callee.py").write_text(CALLEE.format(term="1.0"))
    assert run(package, CALL, **env)["compiled"] == (0 if where != "beside" else 2)


def test_chosen_folder_is_written_and_wins(package: Path) -> None:
    chosen = str(package.parent / "cache")
    found = run(package, CALL, NUMBA_CACHE_DIR=chosen)
    assert Path(found["folder"]).parent == Path(chosen)
    assert not (package / "__pycache__").exists()
    assert run(package, CALL, NUMBA_CACHE_DIR=chosen)["compiled"] == 0


def test_chosen_folder_gets_what_another_place_has(package: Path) -> None:
    run(package, CALL)
    chosen = str(package.parent / "cache")
    assert run(package, CALL, NUMBA_CACHE_DIR=chosen)["compiled"] == 2
    shutil.rmtree(package / "__pycache__")
    assert run(package, CALL, NUMBA_CACHE_DIR=chosen)["compiled"] == 0


def test_chosen_folder_that_cannot_be_written_is_passed_over(package: Path) -> None:
    found = run(package, CALL, NUMBA_CACHE_DIR=NOWHERE)
    assert Path(found["folder"]).parent == package / "__pycache__"
    assert run(package, CALL, NUMBA_CACHE_DIR=NOWHERE)["compiled"] == 0


def test_package_that_cannot_be_written_uses_the_user_cache(package: Path) -> None:
    (package / "__pycache__").write_text("in the way of a folder")
    first, second = run(package, CALL), run(package, CALL)
    assert (first["compiled"], second["compiled"]) == (2, 0)
    assert Path(second["folder"]).parent == package.parent.parent / "home" / "fabcore"


def read_only(package: Path) -> list[str]:
    """A command prefix under which the package is mounted read-only; skips where it cannot be."""
    site = str(package.parent)
    mount = f'mount --bind "{site}" "{site}" && mount -o remount,bind,ro "{site}" && exec "$@"'
    prefix = ["unshare", "-rm", "sh", "-c", mount, "sh"]
    probe = subprocess.run([*prefix, "touch", f"{site}/probe"], capture_output=True, text=True)
    if "Read-only file system" not in probe.stderr:
        pytest.skip(f"no read-only mount here: {probe.stderr.strip()}")
    return prefix


def test_read_only_package_uses_the_user_cache(package: Path) -> None:
    prefix = read_only(package)
    first, second = run(package, CALL, *prefix), run(package, CALL, *prefix)
    assert (first["compiled"], first["problem"]) == (2, "")
    assert (second["compiled"], second["value"]) == (0, 22.0)
    assert Path(second["folder"]).parent == package.parent.parent / "home" / "fabcore"


def test_read_only_package_brings_its_warm_cache_along(package: Path) -> None:
    prefix = read_only(package)
    run(package, CALL)
    found = run(package, CALL, *prefix, XDG_CACHE_HOME=NOWHERE)
    assert (found["compiled"], found["value"]) == (0, 22.0)
    assert Path(found["folder"]).parent == package / "__pycache__"


def test_kernel_works_where_nothing_can_be_kept(package: Path) -> None:
    (package / "__pycache__").write_text("in the way of a folder")
    found = run(package, CALL, XDG_CACHE_HOME=NOWHERE, NUMBA_CACHE_DIR=NOWHERE)
    assert (found["compiled"], found["value"], found["folder"]) == (2, 22.0, "")
    assert NOWHERE in found["problem"]


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("content", [b"", b"\x80\x04garbage"])
def test_damaged_cache_is_compiled_anew(package: Path, kind: str, content: bytes) -> None:
    folder = Path(run(package, CALL)["folder"])
    (damaged,) = folder.glob(f"solve.caller.twice-*.{kind}")
    damaged.write_bytes(content)
    assert run(package, CALL)["value"] == 22.0
    assert run(package, CALL)["compiled"] == 0


def test_warm_says_where_and_the_next_process_compiles_nothing(tmp_path: Path) -> None:
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "fabcore", "warm"]
    warm = subprocess.run([*command, "--json"], capture_output=True, text=True, env=env)
    assert warm.returncode == 0, warm.stderr
    document = json.loads(warm.stdout)
    assert set(document) == {"seconds", "folders", "kernels"}
    assert all(set(k) == {"name", "seconds", "compiled", "folder"} for k in document["kernels"])
    names = {kernel["name"] for kernel in document["kernels"]}
    assert {"fabcore.solve.waterfill.divide", "fabcore.predict.series.take_in"} <= names
    assert document["seconds"] == pytest.approx(
        sum(k["seconds"] for k in document["kernels"]), abs=1e-3
    )
    (folder,) = document["folders"]
    assert Path(folder).parent == tmp_path
    again = subprocess.run(command, capture_output=True, text=True, env=env)
    *lines, last = again.stdout.splitlines()
    assert len(lines) == len(document["kernels"])
    assert all(" loaded " in line for line in lines)
    assert last.endswith(f"kernels, 0 compiled; kept in {folder}")


def test_warm_that_cannot_keep_anything_fails_and_says_why(package: Path) -> None:
    (package / "__pycache__").write_text("in the way of a folder")
    found = run(
        package,
        """
        from fabcore import warm
        from fabcore.errors import FabricError
        warm.kernel_modules = lambda: ["fabcore.solve.caller"]
        try:
            warm.report(warm.prepare_all())
        except FabricError as error:
            report(error=str(error))
        """,
        XDG_CACHE_HOME=NOWHERE,
    )
    assert NOWHERE in found["error"]
    assert "NUMBA_CACHE_DIR" in found["error"]
