"""The payload rate of a link agrees with the published model and refuses impossible links."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from fabcore import _embed, pcie
from fabcore.errors import TopologyError

# The published model (pcie-bench, SIGCOMM'18) as its text states it, written down apart from the
# code under test. Bytes per ACK DLLP, and per flow-control DLLP, by generation and width, for
# MaxPayloadSize 128 to 4096: base specification 5.0, tables 2-46..2-48 and 3-7..3-9.
LIMITS = {
    (1, 1): "237 416 559 1071 2095 4143", (1, 2): "128 217 289 545 1057 2081",
    (1, 4): "73 118 154 282 538 1050", (1, 8): "67 107 86 150 278 534",
    (1, 16): "48 72 86 150 278 534", (2, 1): "288 467 610 1122 2146 4194",
    (2, 2): "179 268 340 596 1108 2132", (2, 4): "124 169 205 333 589 1101",
    (2, 8): "118 158 137 201 329 585", (2, 16): "99 123 137 201 329 585",
    (3, 1): "333 512 655 1167 2191 4239", (3, 2): "224 313 385 641 1153 2177",
    (3, 4): "169 214 250 378 634 1146", (3, 8): "163 203 182 246 374 630",
    (3, 16): "144 168 182 246 374 630",
}  # fmt: skip
LANE = {
    1: 0.25e9,
    2: 0.5e9,
    3: 8e9 * 128 / 130 / 8,
    4: 16e9 * 128 / 130 / 8,
    5: 32e9 * 128 / 130 / 8,
}
MPS = (128, 256, 512, 1024, 2048, 4096)


def published(gen: int, lanes: int, mps: int, transfer: int, kind: str) -> float:
    """Payload B/s of back-to-back transfers: their bytes over what they put on the wire."""
    limit = int(LIMITS[min(gen, 3), lanes].split()[MPS.index(mps)])
    tlp = LANE[gen] * lanes * (1 - 8 / limit - 8 / limit - 4 / 1538)
    beside = {"write": 2 + 2 + 16 + 4, "read": 2 + 2 + 12 + 4}[kind]
    packets = -(-transfer // mps)
    return tlp * transfer / (transfer + packets * beside)


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


@pytest.mark.parametrize("kind", ["write", "read"])
@pytest.mark.parametrize("mps", MPS)
@pytest.mark.parametrize("gen", [1, 2, 3, 4, 5])
def test_every_link_agrees_with_the_published_model(gen: int, mps: int, kind: str) -> None:
    for lanes, mrrs in itertools.product((1, 2, 4, 8, 16), (s for s in MPS if s >= mps)):
        for transfer in (4096, 16 * mps):
            expected = published(gen, lanes, mps, transfer, kind)
            assert pcie.payload_rate(gen, lanes, mps, mrrs, kind) == pytest.approx(
                expected, rel=0.01
            )


def test_the_core_computes_the_same_rates() -> None:
    for gen, lanes, mps, mrrs in itertools.product(range(1, 7), (1, 2, 4, 8, 16), MPS, MPS):
        for code, kind in enumerate(pcie.KINDS):
            core = _embed.lib.fab_payload_rate(gen, lanes, mps, mrrs, code)
            assert core == pytest.approx(pcie.payload_rate(gen, lanes, mps, mrrs, kind), rel=1e-14)


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


@pytest.mark.parametrize("kind", ["write", "read"])
def test_gen6_carries_what_236_of_256_flit_bytes_leave_beside_headers(kind: str) -> None:
    header = {"write": 16, "read": 12}[kind]
    for lanes, mps in itertools.product((1, 2, 4, 8, 16), MPS):
        tlp = 64e9 * lanes / 8 * 236 / 256 * (1 - 4 / 1538)
        expected = tlp * mps / (mps + header)
        assert pcie.payload_rate(6, lanes, mps, 4096, kind) == pytest.approx(expected)


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
