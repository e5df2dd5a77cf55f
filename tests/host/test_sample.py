"""Which instances are shown, that counters only grow, and the records made of them."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fabcore.host.sample import Instances, to_records
from fabcore.observe import RECORD
from fabcore.observe.sources import SOURCE_LIVE

counters = st.tuples(st.integers(0, 1 << 62), st.integers(0, 1 << 62))
reads = st.lists(st.dictionaries(st.sampled_from("abcdef"), counters), max_size=12)


@given(reads=reads, limit=st.integers(1, 4))
def test_a_shown_counter_never_decreases_while_it_stays(
    reads: list[dict[str, tuple[int, int]]], limit: int
) -> None:
    instances = Instances(limit)
    before: dict[str, tuple[int, int]] = {}
    for raw in reads:
        # Sums beyond 64 bits cannot be had from 12 reads of real counters.
        raw = {name: (up >> 4, down >> 4) for name, (up, down) in raw.items()}
        sample = instances.update(raw, 0)
        assert len(sample.names) == len(set(sample.names)) == min(limit, len(raw))
        assert set(sample.names) <= raw.keys()
        pairs = zip(sample.up_bytes.tolist(), sample.down_bytes.tolist(), strict=True)
        now = dict(zip(sample.names, pairs, strict=True))
        for name in now.keys() & before.keys():
            assert now[name][0] >= before[name][0]
            assert now[name][1] >= before[name][1]
        before = now


def test_a_counter_that_restarts_goes_on_from_where_it_was() -> None:
    instances = Instances(4)
    ups = [instances.update({"a": (raw, 0)}, 0).up_bytes[0] for raw in (100, 150, 20, 30)]
    assert ups == [100, 150, 170, 180]


def test_the_busiest_take_the_places_and_equals_do_not_flap() -> None:
    instances = Instances(2)
    rates = {"slow": 10, "one": 1000, "two": 1100, "three": 1200}
    shown = []
    for k in range(1, 30):
        raw = {name: (rate * k * (1 + k % 2), 0) for name, rate in rates.items()}
        raw = {
            name: (up + (10_000 if name == "slow" and k == 1 else 0), 0)
            for name, (up, _) in raw.items()
        }
        shown.append(set(instances.update(raw, k).names))
    assert "slow" in shown[0]  # the first reading knows totals only
    assert "slow" not in shown[-1]
    changes = sum(a != b for a, b in itertools.pairwise(shown))
    assert changes == 1


def test_a_place_is_free_again_when_its_instance_ends() -> None:
    instances = Instances(2)
    assert instances.update({"a": (9, 0), "b": (8, 0), "c": (7, 0)}, 0).names == ["a", "b"]
    assert instances.update({"b": (8, 0), "c": (7, 0)}, 1).names == ["b", "c"]


def test_records_hold_the_known_names_only() -> None:
    sample = Instances(4).update({"a": (1, 2), "b": (3, 4), "c": (5, 1 << 63)}, 77)
    records = to_records(sample, {"c": 9, "a": 4})
    assert records.dtype == RECORD
    by_vm = {int(r["vm"]): r for r in records}
    assert by_vm.keys() == {4, 9}
    assert by_vm[9][["time_ns", "source", "up_bytes", "down_bytes"]].tolist() == (
        77,
        SOURCE_LIVE,
        5,
        1 << 63,
    )
    assert not np.any(records["seq"])
