"""Register access, loading tables and moving traffic on the emulated node."""

from __future__ import annotations

import importlib.util
import mmap
import struct
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
import numba.extending
import numpy as np
import pytest
from llvmlite import ir

import fabcore
from fabcore import _embed
from fabcore._core import Plan, Switch


def build_noop(folder: Path) -> Any:
    """bench/noop.pyx compiled as the binding is: the peer of one call."""
    name = Path(__file__).with_name("noop.pyx")
    source, module = folder / "noop.c", folder / "noop.so"
    include = sysconfig.get_path("include")
    subprocess.run([sys.executable, "-m", "cython", "-3", "-o", source, name], check=True)
    subprocess.run(
        ["cc", "-O2", "-fPIC", "-shared", f"-I{include}", source, "-o", module], check=True
    )
    spec = importlib.util.spec_from_file_location("noop", module)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.mark.benchmark(group="one 32-bit register read from Python")
class TestRead:
    per = 1000

    def test_noop(self, benchmark, tmp_path: Path) -> None:
        noop, per = build_noop(tmp_path).Noop(), self.per

        def loop() -> None:
            for _ in range(per):
                noop.nop(64)

        benchmark(loop)
        benchmark.extra_info |= {
            "what": "peer: a method of the same binding that does nothing",
            "peer": True,
            "per": per,
        }

    def test_read32(self, benchmark) -> None:
        bar, per = fabcore.Bar.from_buffer(mmap.mmap(-1, 1 << 16)), self.per

        def loop() -> None:
            for _ in range(per):
                bar.read32(64)

        benchmark(loop)
        benchmark.extra_info |= {"what": "Bar.read32", "per": per}

    def test_struct(self, benchmark) -> None:
        memory, per, unpack = mmap.mmap(-1, 1 << 16), self.per, struct.Struct("<I").unpack_from

        def loop() -> None:
            for _ in range(per):
                unpack(memory, 64)

        benchmark(loop)
        benchmark.extra_info |= {"what": "struct.unpack_from of an mmap (not volatile)", "per": per}


@numba.extending.intrinsic
def volatile_load(typing, address):  # type: ignore[no-untyped-def]
    """A 32-bit load that the compiler neither merges nor moves, as C's volatile."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        pointer = builder.inttoptr(args[0], ir.IntType(32).as_pointer())
        load = builder.load(pointer)
        load.volatile = True
        return builder.zext(load, ir.IntType(64))

    return numba.int64(numba.uint64), generate


@pytest.mark.benchmark(group="one 32-bit register read in a compiled loop (Numba)")
class TestLoop:
    per = 100_000

    def test_load(self, benchmark) -> None:
        memory = np.zeros(1024, np.uint32)

        @numba.njit
        def loop(address: int, n: int) -> int:
            total = 0
            for i in range(n):
                total += volatile_load(address + np.uint64(4 * (i & 1023)))
            return total

        benchmark(loop, np.uint64(memory.ctypes.data), self.per)
        benchmark.extra_info |= {
            "what": "peer: the volatile load itself",
            "peer": True,
            "per": self.per,
        }

    def test_get32(self, benchmark) -> None:
        llvmlite.binding.load_library_permanently(fabcore.get_library())
        signature = numba.int64(numba.uint64, numba.uint64)
        get32 = numba.types.ExternalFunction("fab_bar_get32", signature)
        memory = np.zeros(1024, np.uint32)
        out = _embed.ffi.new("fab_bar **")
        address = _embed.ffi.cast("void *", memory.ctypes.data)
        assert _embed.lib.fab_bar_from_buffer(address, memory.nbytes, out) == 0
        bar = np.uint64(int(_embed.ffi.cast("uintptr_t", out[0])))

        @numba.njit
        def loop(bar: int, n: int) -> int:
            total = 0
            for i in range(n):
                total += get32(bar, np.uint64(4 * (i & 1023)))
            return total

        benchmark(loop, bar, self.per)
        _embed.lib.fab_bar_close(out[0])
        benchmark.extra_info |= {"what": "fab_bar_get32 by its symbol", "per": self.per}


@pytest.mark.benchmark(group="one firmware command (echo) through the mailbox of the emulated node")
def test_mrpc(benchmark) -> None:
    with fabcore.ResourceNode.emulated() as node:
        switch = node.chassis.switches[0]
        benchmark(switch.mrpc, 0x41, b"\1\2\3\4", 4)


@pytest.mark.benchmark(group="a plan of 8 port tables of 256 phases")
@pytest.mark.parametrize("changed", [0, 1, 8])
def test_plan(benchmark, changed: int) -> None:
    with fabcore.ResourceNode.emulated() as node:
        switches: list[Switch] = node.chassis.switches
        plan = Plan(switches, [(0, k // 2, 16 + 8 * (k % 2), 0, 256) for k in range(8)])
        rng = np.random.default_rng(1)
        tables = rng.choice(np.array([0, 8, 32, 40], np.uint8), (2, 8, 256))
        flags = np.array([1] * changed + [0] * (8 - changed), np.uint8)
        turn = [0]

        def apply() -> None:
            turn[0] ^= 1
            assert plan.apply(tables[turn[0]], flags)[0] == 0

        benchmark(apply)
        benchmark.extra_info["what"] = f"{changed} tables changed throughout"


@contextmanager
def loaded_node() -> Iterator[tuple[fabcore.ResourceNode, Callable[[], None]]]:
    """The default node under full load, every table programmed; and what draws new loads."""
    rng = np.random.default_rng(1)
    with fabcore.ResourceNode.emulated() as node, fabcore.Controller(node) as ctl:
        handles = []
        for k in range(256):
            ctl.add_vm(f"vm{k}", host=(k // 8) % 8, module=k % 8, share=1 / 32)
            handles.append(node.vms.get(f"vm{k}").handle)

        def offer() -> None:
            node.offer_all(handles, *rng.uniform(1.5e9, 4.5e9, (2, 256)))

        offer()
        ctl.run(rate_hz=1000, seconds=0.05)
        yield node, offer


@pytest.mark.benchmark(
    group="traffic of the emulated node: 256 functions, all links full both ways, steps of 1 ms"
)
class TestTraffic:
    def advance(self, benchmark, what: str, step: float, new_loads: bool, **mode: Any) -> None:
        with loaded_node() as (node, offer):
            node.set_drop(mode.get("drop", False))
            node.set_traffic(mode.get("traffic", "fluid"))
            node.advance(step)
            setup = {"setup": offer} if new_loads else {}
            rounds = 20 if "traffic" in mode else 3000
            benchmark.pedantic(node.advance, (step,), rounds=rounds, iterations=1, **setup)
        benchmark.extra_info |= {
            "what": what,
            "virtual s per wall s": step / benchmark.stats.stats.median,
        }

    def test_standing(self, benchmark) -> None:
        self.advance(benchmark, "fluid, loads as they were", 1e-3, False)

    def test_new_loads(self, benchmark) -> None:
        self.advance(benchmark, "fluid, new loads every step", 1e-3, True)

    def test_new_loads_dropped(self, benchmark) -> None:
        what = "fluid, new loads every step, what it cannot carry dropped"
        self.advance(benchmark, what, 1e-3, True, drop=True)

    def test_tlps(self, benchmark) -> None:
        self.advance(benchmark, "TLP by TLP, a step of 10 us", 1e-5, False, traffic="tlp")
