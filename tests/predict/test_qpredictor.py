"""QPredictor: what comes out, what stands still, what is refused, what survives a restart."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabcore.errors import FabricError
from fabcore.predict import QPredictor


def on_off(steps: int, n: int, seed: int = 0, high: float = 4e9) -> np.ndarray:
    """(steps, n) B/s: VMs that move `high` (give or take) for some samples, then next to nothing."""
    rng = np.random.default_rng(seed)
    period, phase = rng.integers(6, 12, n), rng.integers(0, 12, n)
    on = (np.arange(steps)[:, None] + phase) % period < period // 2
    return np.where(on, high * rng.uniform(0.9, 1.1, (steps, n)), 0.001 * high)


def held(predictor: QPredictor, demand: np.ndarray) -> np.ndarray:
    return np.array([predictor.step(d) for d in demand])


def cost(demand: np.ndarray, reservation: np.ndarray, under: float = 10.0) -> float:
    """The byte newsvendor's, of what was held against what came next."""
    after, r = demand[1:], reservation[:-1]
    short, idle = np.maximum(after - r, 0).sum(), np.maximum(r - after, 0).sum()
    return float((under * short + idle) / after.sum())


def test_same_demands_give_the_same_reservations_whatever_the_seed():
    demand = on_off(300, 5)
    first = held(QPredictor(5, seed=1), demand)
    assert first.tobytes() == held(QPredictor(5, seed=1), demand).tobytes()
    assert first.tobytes() == held(QPredictor(5, seed=2), demand).tobytes()


def test_rows_do_not_influence_each_other():
    demand = on_off(200, 4)
    together = held(QPredictor(4), demand)
    for i in range(4):
        alone = held(QPredictor(1), demand[:, i : i + 1])
        assert alone[:, 0].tobytes() == together[:, i].tobytes()


def test_an_absent_vm_stands_still_to_the_last_bit_and_its_result_is_nan():
    demand = on_off(120, 3)
    gap = np.insert(demand, [50] * 40, np.nan, axis=0)
    gap[50:90, 0] = demand[50, 0]  # the others: VM 0 goes on, VM 1 and 2 are away
    got, through = held(QPredictor(3), gap), held(QPredictor(3), demand)
    assert np.isnan(got[50:90, 1:]).all() and np.isfinite(got[:, 0]).all()
    assert np.delete(got, np.s_[50:90], axis=0)[:, 1:].tobytes() == through[:, 1:].tobytes()


@pytest.mark.parametrize("horizon", [1, 4])
def test_a_refused_sample_changes_nothing(horizon):
    demand = on_off(80, 3)
    disturbed, quiet = QPredictor(3, horizon=horizon), QPredictor(3, horizon=horizon)
    for d in demand:
        for bad in (-1.0, math.inf, -math.inf, 1e300):
            wrong = d.copy()
            wrong[2] = bad
            with pytest.raises(FabricError, match="VM 2"):
                disturbed.step(wrong)
        with pytest.raises(FabricError, match="shape"):
            disturbed.step(d[:2])
        with pytest.raises(FabricError, match="numbers"):
            disturbed.step(["a", "b", "c"])
        assert disturbed.step(d).tobytes() == quiet.step(d).tobytes()


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.just(0.0), st.just(math.nan), st.floats(0, 1e18), st.floats(0, 1e-6), st.just(1e12)
        ),
        min_size=1,
        max_size=120,
    ),
    st.integers(1, 5),
    st.sampled_from([(10.0, 1.0), (1.0, 10.0), (1e6, 1.0)]),
)
def test_any_rates_give_finite_reservations_within_bounds(rates, horizon, costs):
    predictor = QPredictor(1, *costs, horizon)
    peak = 0.0
    for rate in rates * 3:
        got = predictor.step([rate])[0]
        if math.isnan(rate):
            assert math.isnan(got)
        else:
            peak = max(peak, rate)
            assert 0.0 <= got <= 10.0 * peak * (1 + 1e-12)


@pytest.mark.parametrize("shift", [1e12, 1.0, 1e-9])
def test_one_vm_may_go_from_one_scale_to_any_other(shift):
    predictor = QPredictor(1)
    rng = np.random.default_rng(0)
    held(predictor, rng.uniform(0.5, 1.5, (200, 1)) * 1e6)
    after = rng.uniform(0.5, 1.5, (1500, 1)) * shift
    got = held(predictor, after)
    assert np.isfinite(got).all() and (got >= 0).all()
    late = slice(1200, None)
    if shift > 1e6:
        assert cost(after[late], got[late]) < 1.0
    else:  # next to nothing now: what is still set aside is a trifle of what once was needed
        assert got[late].max() < 1e-3 * 1e6


def test_a_vm_that_never_moves_anything_reserves_nothing_for_ever():
    assert (held(QPredictor(2), np.zeros((3000, 2))) == 0.0).all()


def test_a_vm_that_went_idle_is_let_go():
    predictor = QPredictor(1)
    held(predictor, on_off(300, 1))
    idle = held(predictor, np.zeros((3000, 1)))
    assert np.isfinite(idle).all() and idle[-1, 0] < 0.01 * 4e9


@settings(max_examples=6, deadline=None)
@given(st.floats(1e-6, 1e6))
def test_k_times_the_demand_gives_k_times_the_reservation(k):
    demand = on_off(250, 6, high=1e6)
    np.testing.assert_allclose(
        held(QPredictor(6), k * demand)[50:], k * held(QPredictor(6), demand)[50:], rtol=1e-3
    )


def test_reservations_stay_below_each_vms_cap():
    demand = on_off(300, 3)
    cap = np.array([1e9, 2e9, math.inf])
    got = held(QPredictor(3, cap=cap), demand)
    assert (got <= cap).all() and (got[:, 0] == 1e9).any()
    assert (held(QPredictor(3, cap=0.0), demand) == 0.0).all()
    assert (held(QPredictor(3, cap=1.5e9), demand) <= 1.5e9).all()


def test_it_beats_the_last_value_on_traffic_that_goes_on_and_off():
    demand = on_off(1500, 8)
    got = held(QPredictor(8), demand)
    warm = slice(500, None)
    assert cost(demand[warm], got[warm]) < 0.6 * cost(demand[warm], demand[warm])


def test_it_learns_the_rhythm_that_no_constant_can_follow():
    demand = on_off(3000, 8)
    got = held(QPredictor(8), demand)
    late = slice(2000, None)
    constant = np.broadcast_to(np.quantile(demand[:2000], 10 / 11, axis=0), demand.shape)
    assert cost(demand[late], got[late]) < 0.7 * cost(demand[late], constant[late])


def test_a_dearer_shortage_reserves_more_per_vm():
    rng = np.random.default_rng(3)
    demand = np.repeat(rng.lognormal(20, 0.7, (1500, 1)), 3, axis=1)
    got = held(QPredictor(3, cost_under=[1.0, 4.0, 20.0]), demand)[500:].mean(axis=0)
    assert got[0] < got[1] < got[2]


def test_a_held_block_covers_more_than_one_sample_needs():
    demand = on_off(1500, 4)
    one, block = held(QPredictor(4), demand), held(QPredictor(4, horizon=12), demand)
    assert block[500:].mean() > one[500:].mean()
    starts = np.arange(500, 1488, 12)
    after = np.array([demand[s + 1 : s + 13] for s in starts])
    levels = {"block": block[starts], "one": one[starts]}
    paid = {
        name: (10 * np.maximum(after - r[:, None], 0) + np.maximum(r[:, None] - after, 0)).sum()
        for name, r in levels.items()
    }
    assert paid["block"] < paid["one"]


@pytest.mark.parametrize("horizon", [1, 5])
def test_a_saved_predictor_goes_on_as_if_nothing_had_happened(tmp_path, horizon):
    demand = on_off(260, 4)
    demand[100:120, 1] = np.nan
    predictor = QPredictor(
        4, [10, 4, 10, 2], horizon=horizon, seed=7, period_s=0.1, cap=[1e9, 3e9, math.inf, 2e9]
    )
    held(predictor, demand[:131])
    predictor.save(tmp_path / "state")
    again = QPredictor.load(tmp_path / "state")
    assert (again.n, again.horizon, again.seed, again.period_s) == (4, horizon, 7, 0.1)
    assert held(again, demand[131:]).tobytes() == held(predictor, demand[131:]).tobytes()


def test_saving_replaces_the_old_file_or_leaves_it(tmp_path):
    predictor = QPredictor(2)
    path = tmp_path / "state"
    predictor.save(path)
    predictor.step([1e9, 2e9])
    predictor.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["state"]
    with pytest.raises(FabricError, match="cannot write"):
        predictor.save(tmp_path / "missing" / "state")
    QPredictor.load(path)


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "state"
    predictor = QPredictor(1)
    predictor.step([1e9])
    predictor.save(path)
    good = path.read_bytes()
    for cut in (0, 5, 19, 20, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:cut])
        with pytest.raises(FabricError):
            QPredictor.load(path)
    for place in np.linspace(0, len(good) - 1, 60).astype(int):
        bad = bytearray(good)
        bad[place] ^= 0x10
        path.write_bytes(bad)
        with pytest.raises(FabricError):
            QPredictor.load(path)
    with pytest.raises(FabricError, match="cannot read"):
        QPredictor.load(tmp_path / "nothing")


def test_a_file_of_another_version_is_refused_by_that_name(tmp_path):
    path = tmp_path / "state"
    QPredictor(1).save(path)
    data = bytearray(path.read_bytes())
    data[7] += 1
    path.write_bytes(data)
    with pytest.raises(FabricError, match="another version"):
        QPredictor.load(path)


@pytest.mark.parametrize(
    ("kwargs", "word"),
    [
        ({"n": 0}, "n:"),
        ({"n": 2.5}, "n:"),
        ({"cost_under": 0.0}, "cost_under"),
        ({"cost_over": -1.0}, "cost_over"),
        ({"cost_under": math.nan}, "cost_under"),
        ({"cost_under": math.inf}, "finite"),
        ({"cost_under": [1.0, 2.0, 3.0]}, "shape"),
        ({"horizon": 0}, "horizon"),
        ({"horizon": 1.5}, "horizon"),
        ({"period_s": 0.0}, "period_s"),
        ({"cap": -1.0}, "cap"),
        ({"cap": math.nan}, "cap"),
        ({"cap": "wide"}, "cap"),
        ({"weights": "no such file"}, "no such file"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(kwargs, word):
    with pytest.raises(FabricError, match=word):
        QPredictor(**({"n": 2} | kwargs))
