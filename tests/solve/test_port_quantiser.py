"""PortQuantiser: full tables, exact long-run shares, written only when they must be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solve_reference import deviation

from fabcore import FabricError
from fabcore.solve import PortQuantiser

seeds = st.integers(0, 2**32 - 1)


class Inputs:
    """The arrays of a run, random but valid."""

    def __init__(self, rng: np.random.Generator, targets: int, width: int) -> None:
        self.columns = rng.integers(1, width + 1, targets).astype(np.int32)
        valid = np.arange(width) < self.columns[:, None]
        self.used = (rng.random((targets, width)) < 0.7) & valid
        self.rates = rng.lognormal(20, 2, (targets, width)) * self.used
        self.rates[rng.random((targets, width)) < 0.2] = 0.0
        self.capacity = np.full(targets, 1e9)
        self.phases = rng.choice([32, 64, 128, 256], targets).astype(np.int32)
        self.entries = np.array(
            [rng.permutation(64)[:width] for _ in range(targets)], dtype=np.uint8
        )

    def run(self, quantiser: PortQuantiser) -> int:
        return quantiser.run(
            self.rates, self.used, self.columns, self.capacity, self.phases, self.entries
        )

    def ideal(self, t: int) -> np.ndarray:
        """The reference for one target: shares that fill the table, one slot at least if used."""
        rate, least, n = self.rates[t], self.used[t].astype(float), float(self.phases[t])
        if rate.sum() == 0:
            return n * least / least.sum()
        low, high = 0.0, 2.0 * n / rate[rate > 0].min()
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (
                (middle, high) if np.maximum(least, middle * rate).sum() < n else (low, middle)
            )
        return np.maximum(least, low * rate)


class Slow:
    """The rule in plain Python: keep the slots while nobody is owed one, else round by debt."""

    def __init__(self, width: int, slack: float) -> None:
        self.carry, self.slots, self.slack = np.zeros(width), None, slack

    def run(self, ideal: np.ndarray, phases: int) -> np.ndarray:
        self.carry[ideal == 0] = 0.0
        if self.slots is None or (np.abs(self.carry + ideal - self.slots) >= self.slack).any():
            self.slots = np.floor(ideal + 1e-9).astype(int)
            owed = np.where(self.slots < ideal - 1e-9, self.carry + ideal - self.slots, -np.inf)
            up = np.argsort(-owed, kind="stable")[: phases - self.slots.sum()]
            self.slots[up] += 1
        self.carry += ideal - self.slots
        return self.slots


@settings(deadline=None, max_examples=40)
@given(seed=seeds, targets=st.integers(1, 6), width=st.integers(1, 10))
def test_tables_are_full_and_name_the_columns_as_often_as_slots_say(
    seed: int, targets: int, width: int
) -> None:
    rng = np.random.default_rng(seed)
    inputs, quantiser = Inputs(rng, targets, width), PortQuantiser(targets, width)
    for _ in range(6):
        inputs.run(quantiser)
        for t in range(targets):
            busy = inputs.used[t].any() or inputs.rates[t, : inputs.columns[t]].any()
            assert quantiser.slots[t].sum() == (inputs.phases[t] if busy else 0)
            assert (quantiser.slots[t][inputs.used[t]] >= 1).all()
            assert not quantiser.slots[t][inputs.columns[t] :].any()
            if busy:
                table = quantiser.tables[t, : inputs.phases[t]]
                owner = np.array([(inputs.entries[t] == e).argmax() for e in table])
                assert np.bincount(owner, minlength=width).tolist() == quantiser.slots[t].tolist()
                assert deviation(owner, quantiser.slots[t]) < 1.6
        inputs.rates *= rng.uniform(0.5, 1.5, inputs.rates.shape)


@settings(deadline=None, max_examples=25)
@given(seed=seeds, width=st.integers(1, 8), slack=st.sampled_from([1.0, 2.0, 4.0]))
def test_slots_follow_the_plain_rule(seed: int, width: int, slack: float) -> None:
    rng = np.random.default_rng(seed)
    inputs, quantiser = Inputs(rng, 3, width), PortQuantiser(3, width, slack)
    inputs.used[:, 0] = True
    inputs.rates *= np.arange(width) < inputs.columns[:, None]
    slow = [Slow(width, slack) for _ in range(3)]
    for run in range(12):
        inputs.run(quantiser)
        for t in range(3):
            expected = slow[t].run(inputs.ideal(t), int(inputs.phases[t]))
            assert quantiser.carry[t] == pytest.approx(slow[t].carry, abs=1e-6)
            assert quantiser.slots[t].tolist() == expected.tolist()
        if run % 4 == 3:
            inputs.rates *= rng.uniform(0.5, 1.5, inputs.rates.shape)


@settings(deadline=None, max_examples=20)
@given(seed=seeds, slack=st.sampled_from([1.0, 3.0]))
def test_steady_rates_get_exact_shares_without_a_new_table_every_run(
    seed: int, slack: float
) -> None:
    rng = np.random.default_rng(seed)
    inputs, quantiser = Inputs(rng, 4, 3), PortQuantiser(4, 3, slack)
    inputs.used[:] = np.arange(3) < inputs.columns[:, None]
    inputs.rates = np.where(inputs.used, rng.lognormal(20, 1, (4, 3)), 0.0)
    total, runs, changes = np.zeros((4, 3)), 200, np.zeros(4)
    for _ in range(runs):
        inputs.run(quantiser)
        total += quantiser.slots
        changes += quantiser.changed
    for t in range(4):
        error = np.abs(total[t] / runs - inputs.ideal(t)).max()
        assert error <= (slack + 1) / runs
    assert changes.mean() < 0.8 * runs


def test_shares_that_are_whole_slots_are_written_once() -> None:
    inputs, quantiser = Inputs(np.random.default_rng(1), 3, 4), PortQuantiser(3, 4)
    inputs.columns[:], inputs.phases[:], inputs.used[:] = 4, 64, True
    inputs.rates = np.array([[1.0, 1, 1, 1], [1, 2, 4, 1], [0, 0, 0, 0]]) * 1e9
    assert [inputs.run(quantiser) for _ in range(50)] == [3] + [0] * 49
    assert quantiser.slots.tolist() == [[16] * 4, [8, 16, 32, 8], [16] * 4]
    inputs.rates *= 3.0  # only proportions fill a table
    assert inputs.run(quantiser) == 0


def test_a_target_that_nobody_uses_keeps_its_table() -> None:
    inputs, quantiser = Inputs(np.random.default_rng(1), 2, 4), PortQuantiser(2, 4)
    inputs.columns[:], inputs.used[:], inputs.rates[:] = 4, False, 0.0
    assert inputs.run(quantiser) == 0
    inputs.used[0, 1] = True
    assert inputs.run(quantiser) == 1
    assert quantiser.changed.tolist() == [1, 0]
    table = quantiser.tables.copy()
    inputs.used[0, 1] = False
    assert inputs.run(quantiser) == 0
    assert np.array_equal(table, quantiser.tables)


def test_who_comes_gets_a_slot_at_once_and_who_leaves_gives_all_up() -> None:
    inputs, quantiser = Inputs(np.random.default_rng(1), 1, 3), PortQuantiser(1, 3)
    inputs.columns[:], inputs.phases[:], inputs.used[:] = 3, 32, [[True, True, False]]
    inputs.rates[:] = [[1.0, 1.0, 0.0]]
    inputs.run(quantiser)
    inputs.used[0, 2] = True
    assert inputs.run(quantiser) == 1
    assert quantiser.slots[0, 2] == 1
    inputs.used[0, 0], inputs.rates[0, 0] = False, 0.0
    assert inputs.run(quantiser) == 1
    assert quantiser.slots[0].tolist() == [0, 31, 1]


def test_new_entries_or_a_reset_rewrite_an_unchanged_share() -> None:
    inputs, quantiser = Inputs(np.random.default_rng(1), 2, 2), PortQuantiser(2, 2)
    inputs.columns[:], inputs.phases[:], inputs.used[:], inputs.rates[:] = 2, 32, True, 1.0
    assert inputs.run(quantiser) == 2
    inputs.entries[1, 0] ^= 32
    assert inputs.run(quantiser) == 1
    assert quantiser.changed.tolist() == [0, 1]
    assert set(quantiser.tables[1, :32]) == set(inputs.entries[1])
    quantiser.reset(0)
    assert inputs.run(quantiser) == 1
    assert quantiser.changed.tolist() == [1, 0]
    assert inputs.run(quantiser) == 0


def test_rates_that_are_no_rates_count_as_none() -> None:
    inputs, quantiser = Inputs(np.random.default_rng(1), 1, 3), PortQuantiser(1, 3)
    inputs.columns[:], inputs.phases[:], inputs.used[:] = 3, 32, True
    inputs.rates[:] = [[np.nan, np.inf, -5.0]]
    inputs.run(quantiser)
    assert sorted(quantiser.slots[0]) == [10, 11, 11]
    inputs.rates[:] = [[1e308, 1e308, 1e308]]
    inputs.run(quantiser)
    assert quantiser.slots[0].sum() == 32


def test_more_used_columns_than_phases_share_what_there_is() -> None:
    inputs, quantiser = Inputs(np.random.default_rng(1), 1, 40), PortQuantiser(1, 40)
    inputs.columns[:], inputs.phases[:], inputs.used[:], inputs.rates[:] = 40, 32, True, 0.0
    inputs.run(quantiser)
    assert quantiser.slots.sum() == 32
    inputs.rates[:] = 1.0
    total = np.zeros(40)
    for _ in range(50):
        inputs.run(quantiser)
        total += quantiser.slots[0]
    assert total == pytest.approx([40.0] * 40, abs=3)


def test_bad_shapes_are_refused_before_anything_changes() -> None:
    inputs, quantiser = Inputs(np.random.default_rng(1), 2, 3), PortQuantiser(2, 3)
    inputs.phases[1] = 300
    with pytest.raises(FabricError, match="phases"):
        inputs.run(quantiser)
    assert not quantiser.changed.any()
    inputs.phases[1] = 32
    inputs.columns[0] = 4
    with pytest.raises(FabricError, match="columns"):
        inputs.run(quantiser)
    with pytest.raises(FabricError, match="do not match"):
        Inputs(np.random.default_rng(1), 3, 3).run(quantiser)
    inputs.columns[0], inputs.rates = 3, inputs.rates.astype(np.float32)
    with pytest.raises(FabricError, match="contiguous"):
        inputs.run(quantiser)
    with pytest.raises(FabricError, match="target 2"):
        quantiser.reset(2)
    for arguments in ((-1, 1), (1, 0), (1, 1, 0.5)):
        with pytest.raises(FabricError):
            PortQuantiser(*arguments)
