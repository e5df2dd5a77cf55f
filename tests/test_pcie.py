"""The payload rate of a link agrees with the published model and refuses impossible links."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from fabcore import pcie
from fabcore.errors import TopologyError


def test_worked_numbers_of_a_gen5_x16_link() -> None:
    assert pcie.raw_rate(5, 16) / 1e9 == pytest.approx(63.02, abs=0.005)
    assert pcie.tlp_rate(5, 16, 256) / 1e9 == pytest.approx(56.85, abs=0.005)
    assert pcie.payload_rate(5, 16) / 1e9 == pytest.approx(51.98, abs=0.005)
    assert pcie.payload_rate(5, 16, kind="read") / 1e9 == pytest.approx(52.73, abs=0.005)


def test_eight_x16_links_carry_831_gb_per_second_both_ways() -> None:
    assert 16 * pcie.payload_rate(5, 16) / 1e9 == pytest.approx(831, abs=1)


def test_raw_rate_of_eight_optical_links_exceeds_800_gb_per_second() -> None:
    assert 16 * pcie.raw_rate(5, 16) / 1e9 == pytest.approx(1008, abs=0.5)


@pytest.mark.parametrize(
    ("gen", "lanes", "mps", "limit", "raw_gb"),
    [
        (1, 1, 128, 237, 0.25),
        (2, 8, 512, 137, 4.0),
        (3, 8, 256, 203, 7.877),
        (4, 4, 4096, 1146, 7.877),
    ],
)
def test_tlp_rate_follows_the_specification_tables(
    gen: int, lanes: int, mps: int, limit: int, raw_gb: float
) -> None:
    expected = raw_gb * (1 - 16 / limit - 4 / 1538)
    assert pcie.tlp_rate(gen, lanes, mps) / 1e9 == pytest.approx(expected, rel=1e-4)


def test_rates_order_as_raw_tlp_payload_on_every_link() -> None:
    for gen, lanes, mps in itertools.product(pcie.GENERATIONS, pcie.WIDTHS, pcie.PAYLOAD_SIZES):
        raw, tlp = pcie.raw_rate(gen, lanes), pcie.tlp_rate(gen, lanes, mps)
        for kind in pcie.KINDS:
            assert 0 < pcie.payload_rate(gen, lanes, mps, 512, kind) < tlp < raw


def test_twice_the_generation_or_width_carries_more() -> None:
    for gen, lanes in itertools.product(pcie.GENERATIONS[:-1], pcie.WIDTHS[:-1]):
        assert pcie.payload_rate(gen + 1, lanes) > 1.5 * pcie.payload_rate(gen, lanes)
        assert pcie.payload_rate(gen, 2 * lanes) > 1.5 * pcie.payload_rate(gen, lanes)


def test_a_completion_is_cut_at_the_smaller_of_mps_and_mrrs() -> None:
    small = pcie.payload_rate(5, 16, 512, 128, "read")
    assert small == pytest.approx(pcie.tlp_rate(5, 16, 512) * 128 / 148)
    assert pcie.payload_rate(5, 16, 256, 256, "read") == pcie.payload_rate(5, 16, 256, 4096, "read")


def test_gen6_follows_the_flit_layout() -> None:
    wire = 64e9 * 16 / 8
    assert pcie.raw_rate(6, 16) == pytest.approx(wire * 242 / 256)
    assert pcie.tlp_rate(6, 16) == pytest.approx(wire * 236 / 256 * (1 - 4 / 1538))


@pytest.mark.parametrize(
    "arguments",
    [
        {"gen": 0}, {"gen": 7}, {"gen": True}, {"gen": 4.5}, {"lanes": 0}, {"lanes": 3},
        {"lanes": 12}, {"lanes": True}, {"mps": 64}, {"mps": 300}, {"mps": 8192}, {"mrrs": 0},
        {"mrrs": 1000}, {"kind": "atomic"},
    ],
)  # fmt: skip
def test_an_impossible_link_is_refused_in_one_line(arguments: dict[str, Any]) -> None:
    with pytest.raises(TopologyError) as refused:
        pcie.payload_rate(**{"gen": 5, "lanes": 16, **arguments})
    assert "\n" not in str(refused.value)
