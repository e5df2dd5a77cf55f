"""Starting: import, the first tick from a warm cache, each kernel's first call. Fresh processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

ROUNDS = 15

BARE = "import time; start = time.perf_counter()\n{}\nprint(time.perf_counter() - start)"

# Where the call of a kernel is the first one in its process, numba's own start is in it.
FIRST_TICK = """
import json, time
import fabcore
import fabcore.node, fabcore.emulated, fabcore.warm
from fabcore.compiled import KERNELS, Kernel

calls = {}
def timed(kernel, *args, _first=Kernel._compile_for_args):
    start = time.perf_counter()
    ready = _first(kernel, *args)
    calls[kernel.name] = time.perf_counter() - start
    return ready
Kernel._compile_for_args = timed

node = fabcore.ResourceNode.emulated(seed=5)
ctl = fabcore.Controller(node)
for k in range(256):
    ctl.add_vm(f"vm{k}", host=(k // 8) % 8, module=k % 8, share=1 / 32)
for k in range(256):
    node.offer(f"vm{k}", 1e9, 1e9)
node.advance(1e-3)
begin = time.perf_counter()
ctl.tick()
first = time.perf_counter() - begin
node.advance(1e-3)
begin = time.perf_counter()
ctl.tick()
second = time.perf_counter() - begin
compiled = sum(kernel.compiled for kernel in KERNELS)
print(json.dumps({"first": first, "second": second, "compiled": compiled, "calls": len(calls),
                  "slowest": max(calls.values(), default=0.0)}))
"""

# Every kernel in a process of its own: the machine code is loaded, which is all of a first call
# but microseconds. Our imports are excluded; the modules that numba itself imports when it starts
# to work are not. CPU time beside it says how much of the wall clock was waiting for a core.
FIRST_CALL = """
import importlib, sys, time
from fabcore.warm import kernel_modules
for name in kernel_modules():
    importlib.import_module(name)
from fabcore.compiled import KERNELS
kernel = KERNELS[int(sys.argv[1])]
start, cpu = time.perf_counter(), time.process_time()
kernel.prepare()
print(time.perf_counter() - start, time.process_time() - cpu, int(kernel.compiled), kernel.name)
"""


def fresh(script: str, *args: str) -> str:
    """What a new interpreter prints."""
    command = [sys.executable, "-c", script, *args]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def rounds(benchmark, measure: Callable[[], float], n: int = ROUNDS) -> None:
    """Hands figures that other processes measured to the benchmark, as its rounds."""
    benchmark.pedantic(lambda: None, rounds=1)
    stats = benchmark.stats.stats
    stats.data.clear()
    for _ in range(n):
        stats.update(measure())


@pytest.fixture(scope="module", autouse=True)
def warm() -> int:
    """The number of kernels, all of them in the cache."""
    command = [sys.executable, "-m", "fabcore", "warm", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return len(json.loads(done.stdout)["kernels"])


@pytest.mark.benchmark(group="import, the interpreter's own start excluded")
@pytest.mark.parametrize("statement", ["import numpy", "import fabcore", "import fabcore.node"])
def test_import(benchmark, statement: str) -> None:
    rounds(benchmark, lambda: float(fresh(BARE.format(statement))))
    benchmark.extra_info["what"] = f"`{statement}`"
    if statement == "import numpy":
        benchmark.extra_info["peer"] = True


@pytest.mark.benchmark(
    group="256 VMs on the default node, kernels from a warm cache, imports excluded"
)
@pytest.mark.parametrize("which", ["second", "first"])
def test_first_tick(benchmark, which: str) -> None:
    seen = []

    def measure() -> float:
        seen.append(json.loads(fresh(FIRST_TICK)))
        assert seen[-1]["compiled"] == 0
        return seen[-1][which]

    rounds(benchmark, measure)
    benchmark.extra_info["what"] = f"the {which} tick"
    if which == "second":
        benchmark.extra_info["peer"] = True
        return
    slowest = sorted(s["slowest"] for s in seen)
    benchmark.extra_info |= {
        "kernels called": seen[-1]["calls"],
        "slowest first call ms (median)": round(slowest[len(slowest) // 2] * 1e3, 1),
    }


@pytest.mark.benchmark(
    group="first call of a kernel from a warm cache, the better of two processes each"
)
def test_slowest_first_call(benchmark, warm: int) -> None:
    found: list[tuple[float, float, str]] = []
    for k in range(warm):
        tries = [fresh(FIRST_CALL, str(k)).split() for _ in range(2)]
        assert all(compiled == "0" for _, _, compiled, _ in tries)
        found.append(min((float(wall), float(cpu), name) for wall, cpu, _, name in tries))
    times = iter(found)
    rounds(benchmark, lambda: next(times)[0], len(found))
    slowest, _, name = max(found)
    benchmark.extra_info |= {
        "what": f"{len(found)} kernels",
        "slowest ms": round(slowest * 1e3, 1),
        "slowest": name,
        "most CPU ms": round(max(cpu for _, cpu, _ in found) * 1e3, 1),
    }
