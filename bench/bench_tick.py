"""One tick of the default node, and admission from Python, in this process and from another."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import fabcore
from fabcore.desk import DeskClient


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


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The path that bench/peers/desk.py, a process of its own, serves in the given way."""
    path = str(Path("/dev/shm", f"fabcore-bench-{os.getpid()}-{request.param}"))
    script = Path(__file__).parent / "peers" / "desk.py"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, script, request.param, path], **pipes) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        yield path
        process.stdin.close()
        assert process.wait(30) == 0
    Path(path).unlink(missing_ok=True)


def _spread(benchmark) -> None:
    p50, p99 = np.percentile(benchmark.stats.stats.data, (50, 99)) * 1e6
    benchmark.extra_info |= {"p50 us": round(p50, 1), "p99 us": round(p99, 1)}


@pytest.mark.benchmark(group="allocate, asked from another process (both sides Python)")
class TestDesk:
    @pytest.mark.parametrize("server", ["socket"], indirect=True)
    def test_socket(self, benchmark, server: str) -> None:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(server)

            def ask() -> None:
                peer.sendall(b"x" * 24)
                assert peer.recv(512)

            benchmark.pedantic(ask, rounds=3000, warmup_rounds=50)
        benchmark.extra_info |= {"what": "peer: a Unix socket's echo, no work", "peer": True}
        _spread(benchmark)

    @pytest.mark.parametrize("server", ["desk"], indirect=True)
    def test_desk(self, benchmark, server: str) -> None:
        with DeskClient(server) as desk:
            benchmark.pedantic(
                desk.allocate_pci_bandwidth, ("a", 1e9), rounds=3000, warmup_rounds=50
            )
        benchmark.extra_info["what"] = "DeskClient, the controller ticks at 1 kHz beside it"
        _spread(benchmark)
