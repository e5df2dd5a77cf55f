"""Register access, loading tables and moving traffic on the emulated node."""

from __future__ import annotations

import mmap
import struct

import numpy as np
import pytest

import fabcore
from fabcore._core import Plan, Switch


@pytest.mark.benchmark(group="one 32-bit register read from Python")
class TestRead:
    per = 1000

    def test_noop(self, benchmark) -> None:
        call, per = fabcore.Bar.from_buffer(bytearray(4096)).__class__, self.per
        f = callable

        def loop() -> None:
            for _ in range(per):
                f(call)

        benchmark(loop)
        benchmark.extra_info |= {
            "what": "peer: a builtin call that does nothing",
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


@pytest.mark.benchmark(group="1 ms of traffic on the emulated node, 256 VMs offering both ways")
def test_traffic(benchmark) -> None:
    with fabcore.ResourceNode.emulated() as node, fabcore.Controller(node) as ctl:
        for k in range(256):
            ctl.add_vm(f"vm{k}", host=(k // 8) % 8, module=k % 8, share=1 / 32)
            node.offer(f"vm{k}", 3e9, 3e9)
        ctl.run(rate_hz=1000, seconds=0.05)
        benchmark(node.advance, 1e-3)
