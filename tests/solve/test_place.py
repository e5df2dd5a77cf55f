"""place: no limit is ever broken, the bound bounds, what can stay stays, refusals say why."""

from __future__ import annotations

import itertools
import types
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabcore import FabricError, TopologyError
from fabcore.solve import Placement, Request, place
from fabcore.topology import Topology

NODE = Topology.default()
UP = NODE.capacity[0]  # B/s of an x16 link

requests_of = st.lists(
    st.builds(
        Request,
        name=st.text("abc", min_size=1, max_size=3),
        share=st.sampled_from([1, 2, 3, 4, 8, 16, 32]).map(lambda s: s / 32),
        lanes=st.sampled_from([0, 0, 4, 8, 16]),
        up=st.floats(0, 0.5).map(lambda x: x * UP),
        down=st.floats(0, 0.5).map(lambda x: x * UP),
        host=st.sampled_from([None, 0, 0, 3, 7]),
        value=st.floats(0, 10),
        priority=st.integers(0, 2),
        group=st.sampled_from([None, None, None, "g", 1]),
        forbid=st.sampled_from([(), (), (0, 1), (7,)]),
    )
    | st.builds(
        Request,
        name=st.just("whole"),
        share=st.just(1.0),
        modules=st.integers(1, 3),
        up=st.floats(0, 0.4).map(lambda x: x * UP),
        host=st.sampled_from([None, 2]),
        group=st.sampled_from([None, "g"]),
        value=st.floats(0, 50),
    ),
    max_size=40,
)


def check(requests: list[Request], placement: Placement, node: Topology = NODE) -> None:
    """Every constraint, counted anew."""
    modules = range(len(node.module_ports))
    load = np.zeros(len(node.capacity))
    value = 0.0
    on: list[list[int]] = [[] for _ in modules]
    assert placement.module.dtype == placement.lanes.dtype == np.int32
    for i, request in enumerate(requests):
        where = placement.module[i][placement.module[i] >= 0]
        if placement.reasons[i]:
            assert len(where) == 0
            assert placement.lanes[i] == placement.host[i] == -1
            continue
        value += request.value
        assert len(where) == len(set(where)) == request.modules
        assert (placement.module[i][request.modules :] == -1).all()
        assert not set(where) & set(request.forbid)
        host = int(placement.host[i])
        assert request.host in (None, host)
        for m in where:
            on[m].append(i)
            load[list(node.path_up(int(m), host))] += request.up
            load[list(node.path_down(int(m), host))] += request.down
        assert (placement.lanes[i] >= 0) == (request.lanes > 0)
    assert (load <= node.capacity * (1 + 1e-9)).all()
    for m in modules:
        assert sum(requests[i].share for i in on[m]) <= 1
        assert len(on[m]) <= node.module_specs[m].vfs
        groups = [requests[i].group for i in on[m] if requests[i].group is not None]
        assert len(groups) == len(set(groups))
        lanes = np.zeros(node.module_ports[m].lanes, dtype=int)
        for i in on[m]:
            first, width = placement.lanes[i], requests[i].lanes
            if width:
                assert first % width == 0
                assert first + width <= len(lanes)
                lanes[first : first + width] += 1
        assert lanes.max() <= 1
        if any(not requests[i].lanes for i in on[m]):
            groups_of_4 = lanes.reshape(-1, min(4, len(lanes)))
            assert (groups_of_4.sum(axis=1) == 0).any()
    assert placement.value == pytest.approx(value)
    assert placement.value <= placement.bound <= sum(r.value for r in requests) + 1e-9
    if placement.bound:
        gap = (placement.bound - placement.value) / placement.bound
        assert placement.gap == pytest.approx(gap)


@settings(max_examples=120, deadline=None)
@given(requests=requests_of, data=st.data())
def test_no_limit_is_ever_broken(requests: list[Request], data: st.DataObject) -> None:
    where = st.lists(st.integers(-1, 7), min_size=len(requests), max_size=len(requests))
    current = data.draw(st.none() | where)
    check(requests, place(requests, NODE, current))


@settings(max_examples=25, deadline=None)
@given(
    wishes=st.lists(
        st.tuples(
            st.sampled_from([8, 16, 32]),
            st.sampled_from([0, 8]),
            st.floats(0.1, 1),
            st.floats(0, 9),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_no_placement_is_worth_more_than_the_bound(
    wishes: list[tuple[int, int, float, float]],
) -> None:
    node = small_node()
    requests = [
        Request(f"v{i}", share / 32, lanes=lanes, up=up * UP / 2, host=0, value=value)
        for i, (share, lanes, up, value) in enumerate(wishes)
    ]
    best = 0.0
    for seats in itertools.product([-1, 0, 1], repeat=len(requests)):
        kept = [(r, m) for r, m in zip(requests, seats, strict=True) if m >= 0]
        lanes = [
            sum(r.lanes for r, m in kept if m == k)
            + (4 if any(not r.lanes for r, m in kept if m == k) else 0)
            for k in (0, 1)
        ]
        if (
            all(sum(r.share for r, m in kept if m == k) <= 1 for k in (0, 1))
            and max(lanes) <= 16
            and sum(r.up for r, _ in kept) <= UP
            and all(r.up <= UP / 2 for r, _ in kept if r.lanes)
        ):
            best = max(best, sum(r.value for r, _ in kept))
    placement = place(requests, node)
    check(requests, placement, node)
    assert placement.bound >= best - 1e-9


def small_node() -> Topology:
    """One switch, two modules, one host."""
    text = "\n".join(
        [
            '[node]\nname = "small"\nmps = 256\nmrrs = 512',
            "[[switch]]\nid = 0\ndevice_id = 0x5200",
            *(
                f'[[port]]\nswitch = 0\nport = {port}\nkind = "{kind}"\nindex = {index}\ngen = 5\n'
                f'lanes = 16\nlayout = "x16"\nphases = 256'
                for port, kind, index in ((0, "module", 0), (8, "module", 1), (16, "host", 0))
            ),
            *(
                f'[[module]]\nindex = {m}\narbitration = "none"\nvfs = 3\nsupply_w = 350.0'
                for m in (0, 1)
            ),
        ]
    )
    return Topology.load(text + "\n")


def test_all_fit_when_there_is_room_and_the_gap_is_zero() -> None:
    requests = [Request(f"v{i}", 1 / 8, host=i % 8, up=1e9, down=1e9) for i in range(64)]
    for topology in (None, NODE, types.SimpleNamespace(topology=NODE)):
        placement = place(requests, topology)
        check(requests, placement)
        assert placement.reasons == ("",) * 64
        assert placement.gap == 0.0
        assert placement.module.shape == (64, 1)


def test_nothing_to_place_is_an_empty_placement() -> None:
    placement = place([], None)
    assert placement.module.shape == (0, 1)
    assert placement.reasons == ()
    assert placement.value == placement.bound == placement.gap == 0.0


def test_higher_priority_goes_first_then_value() -> None:
    ask = Request("a", 1.0, forbid=tuple(range(1, 8)))
    requests = [replace(ask, value=9.0), replace(ask, value=1.0, priority=1), ask]
    assert place(requests, NODE).reasons[1] == ""
    assert [r == "" for r in place([ask, requests[0]], NODE).reasons] == [False, True]


def test_current_is_kept_when_possible_and_left_when_not() -> None:
    requests = [Request(f"v{i}", 1 / 4, host=0) for i in range(8)]
    current = [7, 6, 5, 4, 3, 2, 1, 0]
    assert place(requests, NODE, current).module[:, 0].tolist() == current
    requests[0] = replace(requests[0], forbid=(7,))
    moved = place(requests, NODE, current).module[:, 0].tolist()
    assert moved[1:] == current[1:]
    assert moved[0] not in (-1, 7)
    newcomer = Request("new", 1.0, priority=9, value=99.0, forbid=tuple(range(1, 8)))
    placed = place([newcomer, Request("old", 1 / 32)], NODE, [-1, 0])
    assert placed.reasons[1] == ""
    assert placed.module[1, 0] == 0
    whole = place([Request("two", 1.0, modules=2, host=3)], NODE, [5])
    assert 5 in whole.module[0]


def test_host_is_chosen_near_the_module_and_where_there_is_room() -> None:
    only = tuple(range(1, 8))
    requests = [Request(f"v{i}", 1 / 8, up=0.45 * UP, forbid=only) for i in range(2)]
    placement = place(requests, NODE)
    assert set(placement.host.tolist()) <= {0, 1}  # the hosts on module 0's switch


def test_a_request_for_a_far_host_stays_within_the_fabric_links() -> None:
    requests = [Request(f"v{i}", 1 / 2, up=0.45 * UP, host=7) for i in range(3)]
    placement = place(requests, NODE)
    check(requests, placement)
    assert sum(r == "" for r in placement.reasons) == 2
    reason = next(r for r in placement.reasons if r)
    assert "host up 7" in reason
    assert "lacks" in reason


@pytest.mark.parametrize(
    ("requests", "reason"),
    [
        ([Request("a", 1.0, forbid=tuple(range(8)))], "modules: needs 1, 0 are not forbidden"),
        ([Request(f"v{i}", 1.0) for i in range(9)], "slices: needs 32/32, at most 0/32"),
        ([Request(f"v{i}", 17 / 32) for i in range(9)], "slices: needs 17/32, at most 15/32"),
        ([Request(f"v{i}", 1 / 32, lanes=16) for i in range(9)], "lanes: needs 16, at most 0"),
        ([Request("a", 1.0, modules=9)], "modules: needs 9, 8 are not forbidden"),
        ([Request("a", 1.0, modules=5), Request("b", 1.0, modules=4)], "slices: needs 5 module(s)"),
        ([Request(f"v{i}", 1 / 32, group="g") for i in range(9)], "group 'g'"),
        ([Request("a", 1 / 32, up=2 * UP)], "not even an empty node"),
        ([Request("a", 1 / 32, lanes=4, up=UP)], "x4 group"),
    ],
)
def test_a_refused_request_is_told_what_lacks(requests: list[Request], reason: str) -> None:
    placement = place(requests, NODE)
    check(requests, placement)
    assert sum(bool(r) for r in placement.reasons) == 1
    assert reason in next(r for r in placement.reasons if r)


def test_a_module_gives_no_more_functions_than_it_has() -> None:
    requests = [Request(f"v{i}", 1 / 32) for i in range(7)]
    placement = place(requests, small_node())
    check(requests, placement, small_node())
    assert [r for r in placement.reasons if r] == [
        "functions: needs 1 module(s), has 0 with a free VF"
    ]


@pytest.mark.parametrize(
    ("change", "culprit"),
    [
        ({"share": 0.0}, "share"),
        ({"share": 1.5}, "share"),
        ({"share": float("nan")}, "share"),
        ({"share": 0.04}, "multiple of 1/32"),
        ({"share": 0.5, "modules": 2}, "whole"),
        ({"modules": 0}, "modules 0"),
        ({"lanes": 3}, "lanes 3"),
        ({"up": -1.0}, "up -1"),
        ({"down": float("nan")}, "down nan"),
        ({"value": float("inf")}, "value inf"),
        ({"value": -1.0}, "value -1"),
        ({"host": 8}, "no host 8"),
        ({"forbid": (9,)}, "no module 9"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(change: dict[str, object], culprit: str) -> None:
    with pytest.raises(FabricError, match=culprit):
        place([Request("fine", 1.0), replace(Request("bad", 0.5), **change)], NODE)


def test_bad_current_and_topology_are_refused() -> None:
    one = [Request("a", 1.0)]
    for current in ([0, 1], [0.5], "x"):
        with pytest.raises(FabricError, match="current"):
            place(one, NODE, current)
    with pytest.raises(TopologyError, match="no module 8"):
        place(one, NODE, [8])
    with pytest.raises(TopologyError, match="int is no topology"):
        place(one, 5)
    with pytest.raises(FabricError, match=r"not a solve.Request"):
        place(["a"], NODE)
