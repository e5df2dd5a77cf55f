"""quantise and arbitration_table: slots that fit, the least unmet, exact in the long run."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from solve_reference import deviation

from fabcore import FabricError
from fabcore.solve import arbitration_table, quantise

seeds = st.integers(0, 2**32 - 1)
phase_counts = st.sampled_from([32, 64, 128, 256])


@given(seed=seeds, k=st.integers(1, 40), phases=phase_counts, load=st.floats(0.05, 1.0))
def test_slots_fit_the_table_and_carry_is_what_was_rounded(
    seed: int, k: int, phases: int, load: float
) -> None:
    rates = np.random.default_rng(seed).lognormal(0, 1.5, k)
    capacity = rates.sum() / load
    carry = None
    for _ in range(20):
        before = np.zeros(k) if carry is None else carry
        slots, carry = quantise(rates, capacity, phases, carry)
        assert slots.dtype == np.int32
        assert slots.sum() <= phases
        assert slots.min() >= 0
        assert carry == pytest.approx(rates / capacity * phases + before - slots, abs=1e-9)


@given(seed=seeds, k=st.integers(1, 32), phases=phase_counts)
def test_long_run_share_is_exact(seed: int, k: int, phases: int) -> None:
    rates = np.random.default_rng(seed).lognormal(0, 1.5, k)
    total, carry, runs = np.zeros(k), None, 64
    for _ in range(runs):
        slots, carry = quantise(rates, rates.sum(), phases, carry)
        total += slots
    assert np.abs(total / (phases * runs) - rates / rates.sum()).max() <= 2 / (phases * runs)


def test_below_one_percent_unmet_over_16_ticks_at_32_phases() -> None:
    rng = np.random.default_rng(3)
    unmet = []
    for _ in range(20):
        rates = rng.lognormal(0, 1.0, 32)
        served, carry = np.zeros(32), None
        for _ in range(16):
            slots, carry = quantise(rates, rates.sum(), 32, carry)
            served += slots / 32 * rates.sum() / 16
        unmet.append(np.maximum(rates - served, 0).sum() / rates.sum())
    assert np.mean(unmet) < 0.01


@given(
    ideal=st.lists(st.floats(0, 4), min_size=1, max_size=4),
    minimum=st.integers(0, 1),
)
def test_no_other_slots_leave_less_unmet(ideal: list[float], minimum: int) -> None:
    phases = 8
    rates = np.array(ideal)
    if np.maximum(rates, minimum).sum() > phases:
        return
    slots, _ = quantise(rates, 8.0, phases, min_slots=minimum)

    def unmet(x: tuple[int, ...]) -> float:
        return float(np.maximum(rates - np.array(x), 0).sum())

    every = itertools.product(range(minimum, 6), repeat=len(ideal))
    assert unmet(tuple(slots)) <= min(unmet(x) for x in every if sum(x) <= phases) + 1e-8


@given(seed=seeds, k=st.integers(1, 32), phases=phase_counts)
def test_minimum_is_kept_without_winding_up_debt(seed: int, k: int, phases: int) -> None:
    rates = np.random.default_rng(seed).lognormal(0, 3, k)
    carry = None
    for _ in range(40):
        slots, carry = quantise(rates, rates.sum(), phases, carry, min_slots=1)
        assert slots.min() >= 1
        assert slots.sum() <= phases
    assert np.abs(carry).max() < 3
    one = np.zeros(k, dtype=int)
    one[0] = phases
    assert quantise(rates, rates.sum(), phases, min_slots=one)[0].tolist() == one.tolist()


def test_even_shares_need_no_rounding_and_too_much_is_scaled_down() -> None:
    slots, carry = quantise([1.0] * 4, 4.0, 32)
    assert slots.tolist() == [8] * 4
    assert carry == pytest.approx([0.0] * 4)
    assert quantise([6.0, 2.0], 4.0, 32)[0].tolist() == [24, 8]
    assert quantise([1.0, 0.0], 4.0, 32)[0].tolist() == [8, 0]
    assert quantise([], 4.0, 32)[0].shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (([np.nan], 1.0, 32), r"rates\[0\]"),
        (([-1.0], 1.0, 32), r"rates\[0\]"),
        (([np.inf], 1.0, 32), r"rates\[0\]"),
        (([[1.0]], 1.0, 32), "rates has shape"),
        (([1.0], 0.0, 32), "capacity is"),
        (([1.0], np.nan, 32), "capacity"),
        (([1.0], 1.0, 0), "phases is 0"),
        (([1.0], 1.0, 3.5), "phases is 3.5"),
        (([1.0], 1.0, 32, [0.0, 0.0]), "carry must be"),
        (([1.0], 1.0, 32, [np.nan]), "carry must be"),
        (([1.0], 1.0, 32, None, 33), "min_slots sum"),
        (([1.0], 1.0, 32, None, 0.5), "whole"),
        (([1.0], 1.0, 32, None, -1), r"min_slots\[0\]"),
        (([1.0], 1.0, 32, None, [1, 1]), "min_slots has shape"),
    ],
)
def test_bad_input_is_refused(arguments: tuple[object, ...], culprit: str) -> None:
    with pytest.raises(FabricError, match=culprit):
        quantise(*arguments)


@given(seed=seeds, k=st.integers(1, 40), phases=phase_counts, full=st.booleans())
def test_every_prefix_of_a_table_is_within_a_slot_of_its_share(
    seed: int, k: int, phases: int, full: bool
) -> None:
    rng = np.random.default_rng(seed)
    total = phases if full else int(rng.integers(0, phases + 1))
    slots = rng.multinomial(total, rng.dirichlet(np.full(k, 0.7)))
    table = arbitration_table(slots, phases)
    assert table.shape == (phases,)
    assert table.dtype == np.int32
    assert np.bincount(table[table >= 0], minlength=k).tolist() == slots.tolist()
    assert (table == -1).sum() == phases - total
    assert deviation(table, slots) < 1.0


def test_table_refuses_what_it_cannot_hold() -> None:
    for slots, culprit in (([20, 20], "sum to 40"), ([1.5], "whole"), ([-1], r"slots\[0\]")):
        with pytest.raises(FabricError, match=culprit):
            arbitration_table(slots, 32)
    with pytest.raises(FabricError, match="phases"):
        arbitration_table([1], -1)
    with pytest.raises(FabricError, match="one dimension"):
        arbitration_table([[1]], 32)
