"""Division: exact against iterated LP, proved by the certificate, bad input refused first."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solve_reference import instance, iterated_lp

from fabcore import CapacityError, FabricError
from fabcore.solve import Division, certify, max_min

seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, n=st.integers(1, 24), links=st.integers(1, 8), hops=st.integers(1, 4))
def test_rates_are_those_of_the_iterated_lp(seed: int, n: int, links: int, hops: int) -> None:
    problem = instance(np.random.default_rng(seed), n, links, hops)
    rates = max_min(*problem)
    reference, _ = iterated_lp(*problem)
    scale = max(problem[4].max(), 1.0)
    assert np.abs(rates - reference).max() <= 1e-9 * scale
    assert certify(rates, *problem) <= 1e-9


@pytest.mark.parametrize("seed", range(4))
def test_a_node_of_modules_and_hosts_is_divided_as_the_lp_does(seed: int) -> None:
    problem = instance(np.random.default_rng(seed), 80, 20, 4, hard=False)
    reference, _ = iterated_lp(*problem)
    assert np.abs(max_min(*problem) - reference).max() <= 1e-9 * problem[4].max()


@settings(max_examples=60, deadline=None)
@given(seed=seeds, n=st.integers(1, 200), links=st.integers(1, 30), hops=st.integers(1, 5))
def test_every_division_is_certified(seed: int, n: int, links: int, hops: int) -> None:
    rng = np.random.default_rng(seed)
    problem = instance(rng, n, links, hops, hard=bool(seed & 1))
    assert certify(max_min(*problem), *problem) <= 1e-9


@settings(max_examples=60, deadline=None)
@given(seed=seeds, n=st.integers(2, 40), links=st.integers(1, 8))
def test_a_feasible_change_of_one_percent_is_rejected(seed: int, n: int, links: int) -> None:
    rng = np.random.default_rng(seed)
    floor, cap, _, path, capacity = problem = instance(rng, n, links, 3)
    rates = max_min(*problem)
    for i in rng.permutation(n)[:5]:
        less = rates.copy()
        less[i] -= 0.01 * (rates[i] - floor[i])
        if rates[i] - less[i] <= 1e-6 * capacity[path[i][path[i] >= 0]].min():
            continue
        assert certify(less, *problem) > 1e-9
        # What was taken goes to a flow that shares a full link: feasible, but not fair.
        for j in range(n):
            shared = np.intersect1d(path[i][path[i] >= 0], path[j][path[j] >= 0])
            more = less.copy()
            more[j] = min(cap[j], rates[j] + 0.01 * (rates[i] - floor[i]))
            if j != i and len(shared) and more[j] - rates[j] > 1e-6 * capacity[shared].max():
                assert certify(more, *problem) > 1e-9


def test_certificate_measures_what_is_wrong() -> None:
    problem = ([10.0, 0.0], [100.0, 100.0], [1.0, 1.0], [[0], [0]], [100.0])
    assert certify([50.0, 50.0], *problem) == 0.0
    assert certify([50.0, 40.0], *problem) == pytest.approx(0.2)  # the level of its full link
    assert certify([60.0, 50.0], *problem) == pytest.approx(0.1 + 1 / 15)  # 1 - 50 / 60 unfair
    assert certify([9.0, 91.0], *problem) == pytest.approx(1.0 - 9 / 91)
    assert certify([-5.0, 50.0], *problem) >= 0.15
    over = ([0.0, 0.0], [10.0, 10.0], [1.0, 1.0], [[0], [0]], [100.0])
    assert certify([10.0, 12.0], *over) == pytest.approx(0.02)


def test_floor_is_inside_the_share_not_added_to_it() -> None:
    rates = max_min([40.0, 0.0, 0.0], [np.inf] * 3, [1, 1, 2], [[0]] * 3, [100.0])
    assert rates == pytest.approx([40.0, 20.0, 40.0])


def test_second_bottleneck_gets_what_the_first_leaves() -> None:
    rates = max_min([0] * 3, [np.inf] * 3, [1] * 3, [[0, 1], [0, -1], [1, -1]], [10.0, 100.0])
    assert rates == pytest.approx([5.0, 5.0, 95.0])


def test_no_flows_and_dead_links_are_no_special_case() -> None:
    assert max_min([], [], [], np.zeros((0, 2), int), [1.0]).shape == (0,)
    rates = max_min([0, 0], [5, np.inf], [1, 1], [[0], [1]], [0.0, 7.0])
    assert rates == pytest.approx([0.0, 7.0])
    assert certify(rates, [0, 0], [5, np.inf], [1, 1], [[0], [1]], [0.0, 7.0]) == 0.0


GOOD = {
    "floor": [1.0, 1.0],
    "cap": [5.0, np.inf],
    "weight": [1.0, 2.0],
    "path": [[0, -1], [1, 0]],
    "capacity": [10.0, 10.0],
}


@pytest.mark.parametrize(
    ("change", "culprit"),
    [
        ({"floor": [np.nan, 1]}, r"floor\[0\]"),
        ({"floor": [1, -1]}, r"floor\[1\]"),
        ({"floor": [1, np.inf]}, r"floor\[1\]"),
        ({"floor": [1, 1, 1]}, "cap has shape"),
        ({"floor": [[1, 1]]}, "floor has shape"),
        ({"floor": [6, 1]}, r"floor\[0\].*above its cap"),
        ({"cap": [np.nan, 5]}, r"cap\[0\]"),
        ({"cap": [5, -5]}, r"cap\[1\]"),
        ({"weight": [0, 1]}, r"weight\[0\]"),
        ({"weight": [1, np.nan]}, r"weight\[1\]"),
        ({"weight": [1]}, "weight has shape"),
        ({"capacity": [10, np.nan]}, r"capacity\[1\]"),
        ({"capacity": [-1, 10]}, r"capacity\[0\]"),
        ({"path": [[0, -1], [2, 0]]}, r"path\[1, 0\]"),
        ({"path": [[0, -2], [1, 0]]}, r"path\[0, 1\]"),
        ({"path": [[-1, -1], [1, 0]]}, r"path\[0\] is empty"),
        ({"path": [[-1, 0], [1, 0]]}, r"path\[0\] has -1 before"),
        ({"path": [0, 1]}, "path has shape"),
        ({"path": [[0.5, 1.0], [1.0, 0.0]]}, "integers"),
        ({"path": np.zeros((2, 0), int)}, "no columns"),
        ({"floor": "ab"}, "floor"),
    ],
)
def test_bad_input_is_refused_and_named(change: dict[str, object], culprit: str) -> None:
    arguments = {**GOOD, **change}
    with pytest.raises(FabricError, match=culprit):
        max_min(**arguments)
    with pytest.raises(FabricError, match=culprit):
        certify([1.0, 1.0], **arguments)


def test_rates_that_are_no_rates_are_refused() -> None:
    for rates, culprit in (([1.0], "rates has shape"), ([1.0, np.nan], r"rates\[1\]")):
        with pytest.raises(FabricError, match=culprit):
            certify(rates, **GOOD)


def test_read_only_and_strided_arrays_are_accepted_and_left_alone() -> None:
    floor = np.array([1.0, 0.0, 1.0, 0.0])[::2]
    capacity = np.array(GOOD["capacity"])
    capacity.flags.writeable = False
    path = np.asfortranarray(np.array(GOOD["path"], dtype=np.int64))
    rates = max_min(floor, GOOD["cap"], GOOD["weight"], path, capacity)
    assert np.array_equal(rates, max_min(**GOOD))
    assert certify(rates, floor, GOOD["cap"], GOOD["weight"], path, capacity) <= 1e-12


def test_floors_that_do_not_fit_say_where_how_much_and_whose() -> None:
    with pytest.raises(CapacityError, match="link 1") as caught:
        max_min([4, 7, 0, 2], [9] * 4, [1] * 4, [[1, 0], [1, -1], [1, -1], [0, -1]], [100.0, 8.0])
    assert caught.value.links == (1,)
    assert caught.value.shortfall == pytest.approx((3.0,))
    assert caught.value.vms == (0, 1)
    for values in (caught.value.links, caught.value.shortfall, caught.value.vms):
        assert isinstance(values, tuple)


def test_floors_that_fill_a_link_to_the_last_bit_fit() -> None:
    capacity = 0.1 * 49e9 * 3
    rates = max_min([0.1 * 49e9] * 3, [1e12] * 3, [1, 5, 9], [[0]] * 3, [capacity])
    assert rates == pytest.approx([0.1 * 49e9] * 3)


# -- the workspace of the loop ----------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(seed=seeds, n=st.integers(1, 60), links=st.integers(1, 12), hops=st.integers(1, 4))
def test_a_reused_workspace_divides_like_a_fresh_one(
    seed: int, n: int, links: int, hops: int
) -> None:
    rng = np.random.default_rng(seed)
    division = Division(64, 12, 4)
    for _ in range(4):
        problem = instance(rng, n, links, hops)
        for _ in range(2):  # once with a new index, once with other demands over the same one
            rates = division.divide(*problem)
            fresh = max_min(*problem)
            assert np.allclose(rates, fresh, rtol=1e-12, atol=1e-12 * problem[4].max())
            assert division.certify(*problem) <= 1e-9
            assert division.infeasible == 0
            problem = (problem[0], np.maximum(problem[0], problem[1] * rng.random(n)), *problem[2:])


def test_levels_tell_the_rates() -> None:
    rng = np.random.default_rng(5)
    floor, cap, weight, path, _ = problem = instance(rng, 100, 10, 3, hard=False)
    division = Division(100, 10, 3)
    rates = division.divide(*problem)
    level = np.where(path >= 0, division.level[path], np.inf).min(axis=1)
    assert np.isfinite(division.level).any()
    assert rates == pytest.approx(np.clip(weight * level, floor, cap), rel=1e-9)


def test_a_lost_link_scales_its_floors_down_and_says_so() -> None:
    division = Division(4, 3, 2)
    floor, cap, weight = np.array([30.0, 10.0, 5.0, 0.0]), np.full(4, 80.0), np.ones(4)
    path = np.array([[0, 1], [0, -1], [1, -1], [2, 1]], dtype=np.int32)
    rates = division.divide(floor, cap, weight, path, np.array([100.0, 100.0, 100.0]))
    assert division.infeasible == 0
    assert rates[0] >= 30.0
    capacity = np.array([20.0, 100.0, 0.0])
    rates = division.divide(floor, cap, weight, path, capacity)
    assert division.infeasible == 1
    assert rates == pytest.approx([15.0, 5.0, 80.0, 0.0])
    assert division.certify(floor, cap, weight, path, capacity) == pytest.approx(15.0 / 20.0)
    capacity[1] = 0.0
    assert division.divide(floor, cap, weight, path, capacity) == pytest.approx([0, 20, 0, 0])
    assert division.infeasible == 2
    assert division.certify(floor, cap, weight, path, capacity) == np.inf


@settings(max_examples=40, deadline=None)
@given(seed=seeds, n=st.integers(1, 60), links=st.integers(1, 12))
def test_no_link_is_overloaded_whatever_the_floors(seed: int, n: int, links: int) -> None:
    rng = np.random.default_rng(seed)
    floor, cap, weight, path, capacity = instance(rng, n, links, 3)
    capacity = capacity * rng.uniform(0, 0.3, links)
    division = Division(n, links, 3)
    rates = division.divide(floor, cap, weight, path, capacity)
    load = np.zeros(links)
    for q in range(3):
        np.add.at(load, path[path[:, q] >= 0, q], rates[path[:, q] >= 0])
    assert (load <= capacity * (1 + 1e-9)).all()
    assert (rates >= 0).all()
    over = np.zeros(links)
    for q in range(3):
        np.add.at(over, path[path[:, q] >= 0, q], floor[path[:, q] >= 0])
    assert division.infeasible == (over > capacity * (1 + 1e-9)).sum()


def test_free_rows_take_nothing_and_a_floor_wins_over_a_lower_cap() -> None:
    division = Division(6, 2, 2)
    floor, cap = np.array([0.0, 0, 20, 0]), np.array([0.0, 50, 10, 0])
    path = np.array([[0, -1], [0, 1], [0, -1], [0, -1]], dtype=np.int32)
    rates = division.divide(floor, cap, np.ones(4), path, np.array([60.0, 60.0]))
    assert rates == pytest.approx([0, 40, 20, 0])


def test_nonsense_in_the_loop_neither_hangs_nor_overloads_a_link() -> None:
    division = Division(4, 1, 1)
    path = np.zeros((4, 1), dtype=np.int32)
    bad = np.array([np.nan, np.inf, 1.0, 0.0])
    rates = division.divide(np.zeros(4), bad, np.array([1.0, 1, 0, np.inf]), path, np.array([5.0]))
    assert rates.shape == (4,)


def test_workspace_refuses_what_it_has_no_room_for() -> None:
    division = Division(2, 2, 1)
    one, path = np.ones(2), np.zeros((2, 1), dtype=np.int32)
    with pytest.raises(FabricError, match="exceed Division"):
        division.divide(np.ones(3), np.ones(3), np.ones(3), np.zeros((3, 1), np.int32), one)
    with pytest.raises(FabricError, match="do not match"):
        division.divide(np.ones(1), one, one, path, one)
    with pytest.raises(FabricError, match=r"path\[1, 0\] is 7"):
        division.divide(one, one, one, np.array([[0], [7]], dtype=np.int32), one)
    with pytest.raises(FabricError, match="contiguous"):
        division.divide(np.ones(2, np.float32), one, one, path, one)
    with pytest.raises(FabricError, match="counts"):
        Division(-1, 2, 1)
    assert division.divide(np.zeros(2), one, one, path, one) == pytest.approx([0.5, 0.5])


def test_importing_the_stage_starts_no_compiler() -> None:
    code = "import sys, fabcore.solve; assert 'numba' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
