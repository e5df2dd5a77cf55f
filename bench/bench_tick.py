"""One tick of the default node, and admission from Python."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import fabcore


class Loop:
    """A node with n VMs whose demand changes all the time, ready to tick."""

    def __init__(self, n: int) -> None:
        self.rng = np.random.default_rng(5)
        self.node = fabcore.ResourceNode.emulated(seed=5)
        self.ctl = fabcore.Controller(self.node)
        self.handles = np.array(
            [
                self.ctl.add_vm(f"vm{k}", host=(k // 8) % 8, module=k % 8, share=1 / 32)
                for k in range(n)
            ]
        )
        self.mean = self.rng.lognormal(21.0, 1.0, n)
        self.ctl.run(rate_hz=1000, seconds=0.3)
        self.reports: list[fabcore.TickReport] = []

    def load(self) -> None:
        """New demands and 1 ms of traffic between two ticks; not part of what is timed."""
        n = self.handles.size
        self.node.offer_all(
            self.handles,
            np.minimum(self.mean * self.rng.lognormal(0, 0.5, n), 2e10),
            np.minimum(self.mean * self.rng.lognormal(0, 0.5, n), 2e10),
        )
        self.node.advance(1e-3)

    def tick(self) -> None:
        self.reports.append(self.ctl.tick())

    def close(self) -> None:
        self.ctl.close()
        self.node.close()


@pytest.fixture(params=[16, 64, 256])
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    made = Loop(request.param)
    yield made
    made.close()


@pytest.mark.benchmark(group="one tick, demands changing every 1 ms (called from Python)")
def test_tick(benchmark, loop: Loop) -> None:
    benchmark.pedantic(loop.tick, setup=loop.load, rounds=1500, iterations=1, warmup_rounds=100)
    recent = loop.reports[-1500:]
    benchmark.extra_info["what"] = f"{loop.handles.size} VMs"
    for stage in ("observe", "predict", "solve", "switch"):
        value = float(np.median([getattr(r, f"{stage}_ns") for r in recent])) / 1e3
        benchmark.extra_info[f"{stage} us"] = round(value, 1)
    benchmark.extra_info["writes"] = int(np.median([r.writes for r in recent]))


@pytest.mark.benchmark(group="admission from Python")
def test_allocate_and_release(benchmark) -> None:
    loop = Loop(64)
    ctl, vm, per = loop.ctl, int(loop.handles[3]), 1000

    def pairs() -> None:
        for _ in range(per):
            ctl.allocate_pci_bandwidth(vm, 1e8)
            ctl.release_pci_bandwidth(vm)

    benchmark.pedantic(pairs, rounds=50, warmup_rounds=2)
    benchmark.extra_info |= {"what": "allocate + release", "per": per}
    loop.close()
