"""What an installed wheel must be able to do; run by tests/wheel.sh and by cibuildwheel."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import fabcore

HOME = Path(fabcore.__file__).parent


def command(*args: str) -> str:
    """What `python -m fabcore ...` prints; it must succeed."""
    run = [sys.executable, "-m", "fabcore", *args]
    return subprocess.run(run, check=True, capture_output=True, text=True).stdout


def installed() -> None:
    """The package that runs is the wheel's, with everything an embedder looks for inside it."""
    assert "site-packages" in HOME.parts, f"not the installed package: {HOME}"
    include, library = Path(fabcore.get_include()), Path(fabcore.get_library())
    assert include.parent == library.parent == HOME
    for file in ("fabcore.h", "fab_atomic.h", "fab_layout.h"):
        assert (include / file).is_file(), file
    for file in ("pkgconfig/fabcore.pc", "cmake/fabcoreConfig.cmake", "py.typed", "_core.pyi"):
        assert (HOME / file).is_file(), file
    flags = command("--cflags", "--libs").split()
    assert f"-I{include}" in flags and "-lfabcore" in flags, flags
    from fabcore import _core, _embed

    layout = ctypes.CDLL(str(library)).fab_layout
    layout.restype = ctypes.c_uint32
    assert _core.layout() == _embed.lib.fab_layout() == layout()
    checks = {c["name"]: c for c in json.loads(command("doctor", "--json"))["checks"]}
    for name in ("python", "numpy", "numba", "pyarrow", "compiled modules", "library", "layout"):
        assert checks[name]["ok"], checks[name]


def ring() -> None:
    """Records go through shared memory and come out as rows and as Arrow columns."""
    records = np.zeros(100, fabcore.RECORD)
    records["vm"] = np.arange(100) % 7
    records["up_bytes"] = np.arange(100)
    with (
        tempfile.TemporaryDirectory() as folder,
        fabcore.Ring.create(f"{folder}/ring", 128) as made,
    ):
        rows, columns = made.reader(), made.reader()
        assert made.publish(records) == 100
        back = rows.read(1000)
        assert (back["up_bytes"] == records["up_bytes"]).all() and rows.lost == 0
        batch = columns.to_arrow(1000)
        assert batch.num_rows == 100
        assert batch.column("up_bytes").to_pylist() == list(range(100))
        rows.close()
        columns.close()


def bar() -> None:
    """Registers in ordinary memory."""
    memory = bytearray(64)
    with fabcore.Bar.from_buffer(memory) as registers:
        registers.write32(8, 0x12345678)
        registers.write_block(16, b"fabcore!")
        assert registers.read32(8) == 0x12345678
        assert registers.read_block(16, 8) == b"fabcore!"
    assert memory[8:12] == b"\x78\x56\x34\x12"


def circle() -> str:
    """Telemetry, prediction, division and programming share a link 1 : 3."""
    node = fabcore.ResourceNode.emulated()
    ctl = fabcore.Controller(node)
    for k, weight in enumerate((1.0, 3.0)):
        ctl.add_vm(f"vm{k}", module=k, weight=weight)
        node.offer(f"vm{k}", 60e9, 0.0)
    ctl.run(rate_hz=1000, seconds=0.2)
    before = [node.delivered(f"vm{k}")[0] for k in range(2)]
    ctl.run(rate_hz=1000, seconds=0.2)
    moved = [node.delivered(f"vm{k}")[0] - before[k] for k in range(2)]
    share = moved[1] / sum(moved)
    assert abs(share - 0.75) < 0.01, share
    ctl.close()
    node.close()
    return f"{sum(moved) / 1e9:.2f} GB shared {1 - share:.3f} : {share:.3f}"


if __name__ == "__main__":
    installed()
    ring()
    bar()
    print(f"wheel: {circle()}, Python {sys.version.split()[0]}")
