"""ProfilingEngine: records to demand, turns spread over the period, slots and handles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabcore.errors import FabricError
from fabcore.observe import RECORD
from fabcore.predict import ProfilingEngine, QPredictor

MS = 1_000_000
PERIOD = 100 * MS
GENERATION = 1 << 20


def record(vm, time_ns, up=0, down=0, up_backlog=0, down_backlog=0):
    r = np.zeros(1, RECORD)
    r["vm"], r["time_ns"], r["up_bytes"], r["down_bytes"] = vm, time_ns, up, down
    r["up_backlog"], r["down_backlog"] = up_backlog, down_backlog
    return r


def engine_with(slot=0, handle=None, capacity=4, **kwargs):
    engine = ProfilingEngine(capacity, **kwargs)
    engine.adopt(slot, slot if handle is None else handle)
    return engine


def after(engine, *records):
    """Tell the engine all of it, then give every row its turn."""
    for r in records:
        engine.observe(r)
    engine.decide(int(records[-1]["time_ns"][0]) + 2 * PERIOD)
    return engine


def test_demand_is_bytes_moved_and_backlog_grown_over_the_time_in_the_records():
    engine = after(
        engine_with(1),
        record(1, 10 * MS, 1000, 500, 300, 900),
        record(1, 60 * MS, 51_000, 500, 400, 100),
    )
    assert engine.demand[1] == pytest.approx((50_000 + 100) / 0.05)
    assert engine.demand[4 + 1] == 0.0  # the backlog shrank by more than was moved: never below 0
    assert engine.backlog[1] == 400 and engine.backlog[5] == 100


def test_samples_of_any_spacing_add_up_to_the_same_rate():
    engine = engine_with()
    rng = np.random.default_rng(0)
    time, seen = 0, []
    engine.observe(record(0, 0))
    for _ in range(400):
        time += int(rng.integers(1, 40)) * MS
        engine.observe(record(0, time, time * 3, time))  # 3 and 1 bytes a ns
        if engine.decide(time):
            seen.append((engine.demand[0], engine.demand[4]))
    assert len(seen) > 50
    np.testing.assert_allclose(seen, [(3e9, 1e9)] * len(seen), rtol=1e-12)


def test_a_counter_that_was_reset_counts_from_zero():
    engine = after(
        engine_with(), record(0, 0, 10**15), record(0, 50 * MS, 10**15 + 7000),
        record(0, 100 * MS, 3000),
    )  # fmt: skip
    assert engine.demand[0] == pytest.approx((7000 + 3000) / 0.1)


def test_counters_near_the_top_of_64_bits_lose_nothing():
    big = 2**64 - 5000
    engine = after(engine_with(), record(0, 0, big), record(0, 100 * MS, big + 4000))
    assert engine.demand[0] == pytest.approx(4000 / 0.1)


def test_time_that_runs_backwards_starts_the_sample_anew():
    engine = after(
        engine_with(), record(0, 900 * MS, 0), record(0, 100 * MS, 50_000),
        record(0, 200 * MS, 60_000),
    )  # fmt: skip
    assert engine.demand[0] == pytest.approx(10_000 / 0.1)


def test_one_record_alone_is_no_sample():
    engine = engine_with()
    engine.observe(record(0, 5 * MS, 10**12))
    assert engine.decide(10 * PERIOD) == 0
    assert engine.predict_bandwidth(0) == 0.0


def test_a_vm_that_falls_silent_stands_still_and_is_named():
    engine = after(engine_with(2), record(2, 0), record(2, 100 * MS, 10**8))
    kept = engine.reservation.copy()
    assert kept[2] > 0
    assert engine.decide(100 * PERIOD) == 0
    np.testing.assert_array_equal(engine.reservation, kept)
    assert list(engine.silent(1_100 * MS, 0.9)) == [2]
    assert list(engine.silent(900 * MS, 0.9)) == []


def test_a_gap_counts_once_with_its_whole_length():
    engine = after(engine_with(), record(0, 0), record(0, 100 * MS, 10**6))
    after(engine, record(0, 2_100 * MS, 3 * 10**6))
    assert engine.demand[0] == pytest.approx(2e6 / 2)


def test_records_of_strangers_and_old_generations_are_counted_and_change_nothing():
    engine = engine_with(1, handle=GENERATION | 1)
    for stranger in (1, 2 * GENERATION | 1, 3, 0xFFF00000, 999):
        engine.observe(record(stranger, MS, 10**9, 10**9, 10**9, 10**9))
    assert engine.unknown == 5
    assert not engine.backlog.any() and not engine.demand.any()
    engine.observe(record(GENERATION | 1, MS))
    assert engine.unknown == 5


def test_a_forgotten_slot_starts_fresh_for_the_next_vm():
    engine = after(engine_with(), record(0, 0), record(0, 100 * MS, 10**9))
    assert engine.predict_bandwidth(0) > 0
    engine.forget(0)
    with pytest.raises(FabricError, match="unknown VM"):
        engine.predict_bandwidth(0)
    engine.adopt(0, GENERATION)
    engine.observe(record(0, 200 * MS, 10**12))
    assert engine.unknown == 1 and engine.predict_bandwidth(GENERATION) == 0.0
    twin = after(engine_with(handle=GENERATION), record(GENERATION, 0), record(GENERATION, MS, 500))
    after(engine, record(GENERATION, 0), record(GENERATION, MS, 500))
    assert engine.reservation[0] == twin.reservation[0]


def test_a_slot_taken_over_without_farewell_is_the_new_vms_alone():
    engine = engine_with()
    engine.adopt(0, GENERATION)
    with pytest.raises(FabricError, match="unknown VM"):
        engine.predict_bandwidth(0)
    assert engine.predict_bandwidth(GENERATION) == 0.0


def test_predict_bandwidth_is_the_larger_direction_and_unknown_vms_raise():
    engine = after(engine_with(), record(0, 0), record(0, 100 * MS, 10**6, 10**8))
    assert engine.predict_bandwidth(0) == max(engine.reservation[0], engine.reservation[4]) > 0
    for stranger in (1, GENERATION, 77, -1):
        with pytest.raises(FabricError, match="unknown VM"):
            engine.predict_bandwidth(stranger)


def test_a_vms_cap_bounds_what_is_reserved_for_it():
    engine = ProfilingEngine(2)
    engine.adopt(0, 0, cap=1e6)
    engine.adopt(1, 1)
    for k in range(1, 30):
        for vm in (0, 1):
            engine.observe(record(vm, k * PERIOD, k * 10**8, k * 10**8))
        engine.decide(k * PERIOD + PERIOD // 2)
    assert engine.reservation[0] <= 1e6 and engine.reservation[1] > 1e8


def test_every_row_learns_exactly_once_a_period_and_no_call_carries_them_all():
    n = 128
    engine = ProfilingEngine(n)
    for slot in range(n):
        engine.adopt(slot, slot)
    records = np.zeros(n, RECORD)
    records["vm"] = np.arange(n)
    counts = []
    for ms in range(1, 1001):
        records["time_ns"] = ms * MS
        records["up_bytes"] += 10**6
        engine.observe(records)
        counts.append(engine.decide(ms * MS))
    per_period = np.array(counts[200:]).reshape(-1, 100)
    assert (per_period.sum(axis=1) == 2 * n).all()
    assert per_period.max() <= 0.05 * 2 * n
    learned = [int(row[0]) for row in engine._learner.state[:, _seen()][:, None]]
    assert max(learned) - min(learned) <= 1


def _seen() -> int:
    from fabcore.predict import layout

    return layout.SEEN


def test_a_call_a_whole_period_late_lets_every_row_learn_once():
    n = 16
    engine = ProfilingEngine(n)
    for slot in range(n):
        engine.adopt(slot, slot)
    for k in range(1, 6):
        for vm in range(n):
            engine.observe(record(vm, k * 7 * PERIOD, k * 1000))
        assert engine.decide(k * 7 * PERIOD) == (2 * n if k > 1 else 0)


def test_growing_keeps_what_each_row_knows():
    small, large = ProfilingEngine(2), ProfilingEngine(8)
    for engine in (small, large):
        engine.adopt(1, GENERATION | 1, cap=5e9)
    rng = np.random.default_rng(1)
    up = down = 0
    for k in range(1, 80):
        up, down = up + int(rng.integers(0, 10**9)), down + int(rng.integers(0, 10**8))
        for engine in (small, large):
            engine.observe(record(GENERATION | 1, k * PERIOD, up, down, k, 2 * k))
            engine.decide(k * PERIOD + PERIOD // 2)
        if k == 40:
            small.resize(8)
    for name in ("reservation", "demand", "backlog"):
        np.testing.assert_array_equal(getattr(small, name), getattr(large, name))
    assert small.reservation[1] > 0 and small.reservation[9] > 0


def test_the_engine_reserves_what_the_predictor_would():
    engine, predictor = engine_with(capacity=1), QPredictor(2)
    rng = np.random.default_rng(5)
    moved = np.zeros(2, np.int64)
    engine.observe(record(0, 0))
    for k in range(1, 150):
        step = rng.integers(0, 10**8, 2)
        moved += step
        engine.observe(record(0, k * PERIOD, *moved))
        assert engine.decide(k * PERIOD + PERIOD - 1) == 2
        np.testing.assert_allclose(engine.reservation, predictor.step(step / 0.1), rtol=1e-9)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2**62), *[st.integers(0, 2**64 - 1)] * 4),
        max_size=30,
    )
)
def test_no_record_however_odd_makes_a_rate_negative_or_infinite(rows):
    engine = ProfilingEngine(2)
    engine.adopt(0, 0)
    engine.adopt(1, 1)
    now = 0
    for row in rows:
        engine.observe(record(*row))
        now += PERIOD
        engine.decide(now)
    known = engine.reservation[~np.isnan(engine.reservation)]
    for values in (engine.demand, engine.backlog, known):
        assert np.isfinite(values).all() and (values >= 0).all()


def test_what_cannot_be_is_refused():
    with pytest.raises(FabricError, match="period_s"):
        ProfilingEngine(4, period_s=0.0)
    with pytest.raises(FabricError, match="cost_under"):
        ProfilingEngine(4, cost_under=math.inf)
    with pytest.raises(FabricError, match="slot"):
        ProfilingEngine(4).adopt(4, 4)
    with pytest.raises(FabricError, match="shrink"):
        ProfilingEngine(4).resize(2)
