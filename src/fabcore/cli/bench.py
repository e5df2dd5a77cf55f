"""`fabcore bench`: the repository's benchmarks in a checkout, else a few of the core's own."""

from __future__ import annotations

import json as jsonlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fabcore.cli.base import Failed, emit, emit_json, note, working

_SECONDS = 0.5  # for each built-in measurement
_BATCHES = 20  # whose median counts

Row = dict[str, Any]  # name, median_us, per: what one is


def bench_command(json: bool) -> None:
    """Runs the command; one line per benchmark, or {"source", "benchmarks": [...]}."""
    folder = checkout_bench()
    if folder is not None and find_spec("pytest_benchmark") is not None:
        source, rows = str(folder), _run_checkout(folder)
    else:
        if folder is not None:
            note("pytest-benchmark is not installed: only the built-in benchmarks run")
        with working():
            source, rows = "built-in", _run_builtin()
    if json:
        emit_json({"source": source, "benchmarks": rows})
        return
    for row in rows:
        emit(f"{row['median_us']:12.3f} us  {row['name']}  ({row['per']})")


def checkout_bench() -> Path | None:
    """bench/ of the checkout that this package is imported from, when it holds benchmarks."""
    folder = Path(__file__).resolve().parents[3] / "bench"
    return folder if any(folder.glob("bench_*.py")) else None


def _run_checkout(folder: Path) -> list[Row]:
    """Every benchmark as pytest-benchmark reports it; its own tables go to stderr."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch, "bench.json")
        command = [
            sys.executable, "-m", "pytest", "-q", "--benchmark-enable", "--benchmark-only",
            "--benchmark-disable-gc", f"--benchmark-json={out}", "-o", "python_files=bench_*.py",
            "--timeout=1200", str(folder),
        ]  # fmt: skip
        status = subprocess.run(
            command, cwd=folder.parent, stdout=sys.stderr, check=False
        ).returncode
        if status != 0 or not out.is_file():
            raise Failed(f"the benchmarks of {folder} ended with status {status}")
        found = jsonlib.loads(out.read_text(encoding="utf-8"))["benchmarks"]
    return [_row(one) for one in found]


def _row(one: dict[str, Any]) -> Row:
    """extra_info of the repository's benchmarks: what (a name for people), per (calls in one)."""
    extra = dict(one.get("extra_info") or {})
    per = extra.pop("per", 1)
    return {
        "name": extra.pop("what", one["name"]),
        "median_us": one["stats"]["median"] * 1e6 / per,
        "per": one.get("group") or "call",
        "extra": extra,
    }


def _run_builtin() -> list[Row]:
    import numpy as np

    from fabcore import solve
    from fabcore._core import Bar, Ring
    from fabcore.node import Controller, ResourceNode
    from fabcore.observe import RECORD

    rows: list[Row] = []

    def measure(name: str, per: str, call: Callable[[], object], count: int = 1) -> None:
        median = median_us(call) / count
        rows.append({"name": name, "median_us": median, "per": per, "extra": {}})

    with tempfile.TemporaryDirectory() as scratch:
        ring = Ring.create(str(Path(scratch, "ring")), 1 << 14)
        reader, records = ring.reader(), np.zeros(1024, RECORD)

        def pass_on() -> None:
            ring.publish(records)
            reader.read(1024)

        measure("ring publish and read", "record, 1024 at a time", pass_on, 1024)
        ring.close()
    bar = Bar.from_buffer(bytearray(1 << 22))
    measure("bar read32 from Python", "read", lambda: bar.read32(0x40))
    bar.close()
    with ResourceNode.emulated() as node:
        ctl = Controller(node)
        vms = [
            ctl.add_vm(f"vm{i}", host=i // 8 % 8, module=i % 8, share=1 / 32) for i in range(256)
        ]
        vm = np.arange(256)
        path = node.topology.paths_up(vm % 8, vm // 8 % 8)
        floor, cap, weight = np.zeros(256), np.full(256, np.inf), 1.0 + vm % 4
        measure(
            "divide one direction", "256 VMs on 8 modules",
            lambda: solve.max_min(floor, cap, weight, path, node.capacity),
        )  # fmt: skip
        handles = np.array(vms)
        turn = [0]

        def tick() -> None:
            turn[0] += 1
            node.offer_all(handles, np.full(256, 1e9 + turn[0] % 7 * 1e8), np.full(256, 1e8))
            node.advance(1e-3)
            ctl.tick()

        measure("tick with its step of traffic", "256 VMs on the default node", tick)
        ctl.close()
    return rows


def median_us(call: Callable[[], object]) -> float:
    """The median over _BATCHES batches of the mean time of a call, us."""
    start = time.perf_counter()
    call()
    once = max(time.perf_counter() - start, 1e-7)
    count = max(1, round(_SECONDS / _BATCHES / once))
    times = []
    for _ in range(_BATCHES):
        start = time.perf_counter()
        for _ in range(count):
            call()
        times.append((time.perf_counter() - start) / count)
    return sorted(times)[_BATCHES // 2] * 1e6
