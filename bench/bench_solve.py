"""Benchmarks of solve: divide, certify, quantise and place, and peers on the same instances.

Run: PYTHONPATH=src python -m pytest bench/bench_solve.py --benchmark-enable
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numba import njit

from fabcore.solve import Division, PortQuantiser, Request, certify, max_min, place, quantise
from fabcore.topology import Topology

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "solve"))

Problem = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
LINK = 53e9  # B/s
SIZES = [(1, 16), (1, 64), (1, 256), (13, 2_000), (1_000, 100_000)]  # nodes of 8 modules, VMs
IDS = ["8x16", "8x64", "8x256", "104x2k", "8000x100k"]


def fleet(nodes: int, vms: int, seed: int = 0) -> Problem:
    """One direction: VMs on 8 modules, 8 hosts and an uplink of 6.5 ports per node."""
    rng = np.random.default_rng(seed)
    node = rng.integers(0, nodes, vms)
    module, host = (node * 8 + rng.integers(0, 8, vms) for _ in range(2))
    path = np.stack([module, 8 * nodes + host, 16 * nodes + node], 1).astype(np.int32)
    capacity = np.concatenate([np.full(16 * nodes, LINK), np.full(nodes, 6.5 * LINK)])
    share = 8 * nodes * LINK / vms
    cap = rng.lognormal(0, 1, vms) * share
    floor = np.minimum(rng.random(vms) * 0.3 * share, cap)
    load = np.bincount(path.ravel(), weights=np.repeat(floor, 3), minlength=len(capacity))
    floor *= np.minimum(1.0, capacity / np.maximum(load, 1.0))[path].min(axis=1)
    return floor, cap, rng.integers(1, 9, vms).astype(float), path, capacity


def default_node(vms: int) -> Problem:
    """Both directions of the default node, jointly, as the loop divides them."""
    rng, node = np.random.default_rng(1), Topology.default()
    module, host = rng.integers(0, 8, vms), rng.integers(0, 8, vms)
    path = np.concatenate([node.paths_up(module, host), node.paths_down(module, host)])
    share = 8 * LINK / vms
    cap = rng.lognormal(0, 1, 2 * vms) * share
    floor = np.minimum(rng.random(2 * vms) * 0.1 * share, cap)
    return floor, cap, rng.integers(1, 9, 2 * vms).astype(float), path, node.capacity.copy()


def changing(problem: Problem) -> Callable[[], Problem]:
    """The problem with other demands at every call."""
    floor, cap, *rest = problem
    rng = np.random.default_rng(2)
    caps = [np.maximum(floor, cap * rng.uniform(0.5, 1.5, len(cap))) for _ in range(7)]
    turn = itertools.cycle(caps)
    return lambda: (floor, next(turn), *rest)


@pytest.mark.parametrize(("nodes", "vms"), SIZES, ids=IDS)
def test_divide(benchmark, nodes: int, vms: int) -> None:
    problem = changing(fleet(nodes, vms))
    division = Division(vms, 17 * nodes, 3)
    benchmark(lambda: division.divide(*problem()))
    last = problem()
    division.divide(*last)
    assert division.certify(*last) <= 1e-9


@pytest.mark.parametrize("vms", [64, 256])
def test_divide_both_directions_of_the_default_node(benchmark, vms: int) -> None:
    problem = changing(default_node(vms))
    first = problem()
    division = Division(2 * vms, len(first[4]), first[3].shape[1])
    benchmark(lambda: division.divide(*problem()))


@pytest.mark.parametrize(("nodes", "vms"), SIZES, ids=IDS)
def test_certify(benchmark, nodes: int, vms: int) -> None:
    problem = fleet(nodes, vms)
    division = Division(vms, 17 * nodes, 3)
    division.divide(*problem)
    assert benchmark(division.certify, *problem) <= 1e-9


@pytest.mark.parametrize(("nodes", "vms"), SIZES[2:], ids=IDS[2:])
def test_max_min_with_its_checks(benchmark, nodes: int, vms: int) -> None:
    problem = fleet(nodes, vms)
    assert certify(benchmark(max_min, *problem), *problem) <= 1e-9


def test_peer_iterated_lp_8x256(benchmark) -> None:
    from solve_reference import iterated_lp

    problem = fleet(1, 256)
    rates, lps = benchmark.pedantic(iterated_lp, problem, rounds=2)
    benchmark.extra_info["lps"] = lps
    exact = max_min(*problem)
    assert np.abs(rates - exact).max() <= 1e-9 * LINK


@njit(error_model="numpy")
def one_pass(floor, cap, weight, path, capacity):
    """Water-filling in one pass: every link's level as if alone, the smallest on the path holds."""
    n, links = len(floor), len(capacity)
    level = np.zeros(links)
    room = capacity.copy()
    active = np.zeros(links)
    for _ in range(2):  # the level without caps, then what capped flows leave on top
        active[:] = 0.0
        room[:] = capacity
        for i in range(n):
            for link in path[i]:
                want = weight[i] * level[link]
                if level[link] > 0.0 and want >= cap[i]:
                    room[link] -= cap[i]
                elif level[link] > 0.0 and want <= floor[i]:
                    room[link] -= floor[i]
                else:
                    active[link] += weight[i]
        for link in range(links):
            level[link] = max(room[link], 0.0) / active[link] if active[link] > 0.0 else np.inf
    rates = np.empty(n)
    for i in range(n):
        least = np.inf
        for link in path[i]:
            least = min(least, level[link])
        rates[i] = min(max(weight[i] * least, floor[i]), cap[i])
    return rates


@pytest.mark.parametrize(("nodes", "vms"), SIZES[2:4], ids=IDS[2:4])
def test_peer_one_pass_water_filling(benchmark, nodes: int, vms: int) -> None:
    problem = fleet(nodes, vms)
    rates, exact = benchmark(one_pass, *problem), max_min(*problem)
    alike = np.minimum(rates / exact, exact / rates)
    benchmark.extra_info["fairness"] = float(np.exp(np.log(alike).mean()))
    benchmark.extra_info["carried"] = float(rates.sum() / exact.sum())


@pytest.mark.parametrize("busy", [8, 4, 2])
@pytest.mark.parametrize("how", ["all change", "steady", "none changes"])
def test_quantise_31_ports_of_8_columns(benchmark, how: str, busy: int) -> None:
    rng = np.random.default_rng(0)
    used = np.zeros((31, 8), dtype=np.bool_)
    used[:, :busy] = True
    rates = [rng.random((31, 8)) * used for _ in range(7 if how == "all change" else 1)]
    if how == "none changes":
        rates = [used * 1e9]
    turn = itertools.cycle(rates)
    quantiser = PortQuantiser(31, 8)
    rest = (
        used, np.full(31, 8, dtype=np.int32), np.ones(31), np.full(31, 256, dtype=np.int32),
        np.tile(np.arange(8, dtype=np.uint8), (31, 1)),
    )  # fmt: skip
    benchmark(lambda: quantiser.run(next(turn), *rest))
    changed = [quantiser.run(next(turn), *rest) for _ in range(50)]
    benchmark.extra_info["tables_changed"] = float(np.mean(changed))


@pytest.mark.parametrize("phases", [32, 256])
def test_quantise_one_port_of_32_vms(benchmark, phases: int) -> None:
    rates = np.random.default_rng(0).lognormal(0, 1, 32)
    total, served, carry = rates.sum(), np.zeros(32), None
    for _ in range(16):
        slots, carry = quantise(rates, total, phases, carry)
        served += slots * total / phases / 16
    benchmark.extra_info["unmet"] = float(np.maximum(rates - served, 0).sum() / total)
    benchmark(quantise, rates, total, phases, carry)


@pytest.mark.parametrize("anywhere", [False, True], ids=["hosts given", "any host"])
@pytest.mark.parametrize("load", [0.8, 1.2])
def test_place_on_one_node(benchmark, load: float, anywhere: bool) -> None:
    rng = np.random.default_rng(0)
    requests: list[Request] = []
    while sum(r.share for r in requests) < 8 * load:
        share = float(rng.choice([1, 2, 4, 8, 16, 32], p=[0.3, 0.25, 0.2, 0.15, 0.07, 0.03])) / 32
        lanes = int(rng.choice([0, 0, 0, 4, 8])) if share <= 0.5 else 0
        up, down = rng.uniform(0, 0.8, 2) * share * LINK
        host = None if anywhere else int(rng.integers(8))
        value = share * int(rng.integers(1, 5))
        requests.append(Request(f"vm{len(requests)}", share, 1, lanes, up, down, host, value))
    placement = benchmark(place, requests)
    benchmark.extra_info.update(vms=len(requests), gap=placement.gap)
