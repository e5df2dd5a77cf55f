"""A replay counts what the node moved: on traces so small that every share can be worked out."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fabcore import pcie, replay_plot, replay_report
from fabcore.errors import FabricError
from fabcore.replay import Course, Replay, Tally
from fabcore.replay_policies import POLICIES, Nothing, admitted_peaks, equal_shares, paths
from fabcore.topology import Topology

NODE = Topology.default()
C = pcie.payload_rate(5, 16)  # B/s, of every link of the default node
needs_core = pytest.mark.skipif(
    find_spec("fabcore._core") is None, reason="the compiled core is not built"
)
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a trace: per VM the up rates in units of C, a step of 1 s each; None = absent."""

    def write(**vms: Sequence[float | None]) -> Path:
        path = tmp_path / "trace.csv"
        rows = [
            f"{vm},{step},{rate * C},0"
            for vm, rates in vms.items()
            for step, rate in enumerate(rates)
            if rate is not None
        ]
        path.write_text("\n".join(["vm,time_s,up,down", *rows, ""]))
        return path

    return write


def run(path: Path, *policies: str, **given: Any) -> dict[str, Any]:
    replay = Replay.open(path, **given)
    try:
        return replay.run(policies)
    finally:
        replay.close()


# -- what needs no node ----------------------------------------------------------------------


def seats(n: int) -> np.ndarray:
    vm = np.arange(n)
    return paths(NODE, vm % 8, vm // 8 % 8)


def test_equal_shares_of_all_flows_fit_every_link_and_fill_the_tightest() -> None:
    path = seats(256)
    share = equal_shares(NODE.capacity, path)
    load = np.zeros(NODE.capacity.size)
    for vm, way in np.ndindex(256, 2):
        links = path[vm, way][path[vm, way] >= 0]
        load[links] += share[vm, way]
    assert (load <= NODE.capacity * (1 + 1e-12)).all()
    assert load.max() == pytest.approx(C)
    assert (share > 0).all()


def test_equal_shares_of_two_vms_toward_one_host_are_halves() -> None:
    assert equal_shares(NODE.capacity, seats(2)) == pytest.approx(np.full((2, 2), C / 2))
    assert equal_shares(NODE.capacity, seats(1)) == pytest.approx(np.full((1, 2), C))


def test_peaks_are_admitted_while_they_fit_in_either_direction() -> None:
    path = seats(3)
    fit = admitted_peaks(NODE.capacity, path, np.array([[0.5, 0], [0.5, 0], [0, 1.0]]) * C, 0)
    assert fit.all()
    small_last = np.array([[0.6, 0.0], [0.6, 0.0], [0.3, 0.0]]) * C
    for seed in range(4):
        taken = admitted_peaks(NODE.capacity, path, small_last, seed)
        assert taken[2]
        assert taken[:2].sum() == 1


def test_the_seed_decides_which_of_two_peaks_is_admitted() -> None:
    peaks = np.full((2, 2), 0.9 * C)
    first = [bool(admitted_peaks(NODE.capacity, seats(2), peaks, seed)[0]) for seed in range(16)]
    assert len(set(first)) == 2


def test_a_vm_without_demand_takes_nothing_from_a_full_link() -> None:
    taken = admitted_peaks(NODE.capacity, seats(3), np.array([[1, 1], [0, 0], [0, 0]]) * C, 0)
    assert taken.all()


def test_tally_counts_idle_dropped_and_broken_floors() -> None:
    tally = Tally()
    words = np.array([[60, 0], [100, 0], [0, 0]], np.uint64)
    tally.add(
        demand=np.array([[100.0, 0.0], [100.0, 0.0], [0.0, 0.0]]), delivered=words,
        dropped=np.array([[40, 0], [0, 0], [0, 0]], np.uint64),
        reserved=np.array([[80.0, 20.0], [50.0, 0.0], [50.0, 0.0]]),
        floor=np.array([70.0, 50.0, 50.0]),
    )  # fmt: skip
    policy = SimpleNamespace(
        ticks_ns=[1000, 3000], fit=lambda: 2, enforcement=lambda: {"advisory": 3}
    )
    report = tally.report(policy)  # type: ignore[arg-type]
    assert report == {
        "demanded_bytes": 200, "delivered_bytes": 160, "delivered_share": 0.8,
        "throttled_share": 0.2, "idle_reserved_share": (20 + 20 + 50) / 200,
        "floor_violation_share": 1 / 3, "vms_fit": 2, "enforcement": {"advisory": 3},
        "tick_us": {"p50": 2.0, "p99": 2.98},
    }  # fmt: skip


def test_tally_forgives_rounding_and_no_more() -> None:
    for delivered, broken in ((99_900, 0), (99_890, 1)):
        tally = Tally()
        moved, none = np.array([[delivered, 0]], np.uint64), np.zeros((1, 2), np.uint64)
        tally.add(np.array([[2e5, 0.0]]), moved, none, np.zeros((1, 2)), np.array([1e5]))
        assert (tally.floor_steps, tally.violations) == (1, broken)


def test_nothing_demanded_gives_shares_of_zero_not_nan() -> None:
    policy = SimpleNamespace(ticks_ns=[], fit=lambda: 0, enforcement=dict)
    report = Tally().report(policy)  # type: ignore[arg-type]
    json.dumps(report, allow_nan=False)
    assert report["delivered_share"] == report["floor_violation_share"] == 0.0


@pytest.mark.parametrize(
    "given", [{"vms": 0}, {"vms": 257}, {"scale": 0.0}, {"scale": float("nan")}, {"seed": -1}]
)
def test_impossible_settings_are_refused(make: Make, given: dict[str, Any]) -> None:
    with pytest.raises(FabricError):
        Replay.open(make(a=[0.1]), **given)


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    replay_report.write({"a": 1}, path)
    with pytest.raises(ValueError, match="JSON"):
        replay_report.write({"a": float("nan")}, path)
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


# -- through the emulated node ---------------------------------------------------------------

KEYS = {
    "schema", "trace", "seed", "scale", "period_s", "steps", "vms", "series_from_trace",
    "replicas", "policies",
}  # fmt: skip
POLICY_KEYS = {
    "demanded_bytes", "delivered_bytes", "delivered_share", "throttled_share",
    "idle_reserved_share", "floor_violation_share", "vms_fit", "enforcement", "tick_us",
}  # fmt: skip


@needs_core
def test_report_has_the_documented_keys_and_every_byte_is_somewhere(make: Make) -> None:
    path = make(a=[0.2, 0.9, 0.4], b=[0.9, 0.2, None])
    report = run(path, *POLICIES, vms=4, seed=3)
    assert set(report) == KEYS
    assert list(report["policies"]) == list(POLICIES)
    facts = {key: report[key] for key in KEYS - {"policies", "trace"}}
    assert facts == {
        "schema": 1, "seed": 3, "scale": 1.0, "period_s": 1.0, "steps": 3, "vms": 4,
        "series_from_trace": 2, "replicas": 2,
    }  # fmt: skip
    assert report["trace"] == str(path)
    for name, values in report["policies"].items():
        assert set(values) == POLICY_KEYS, name
        assert set(values["tick_us"]) == {"p50", "p99"}
        assert values["demanded_bytes"] == pytest.approx(2 * 2.6 * C)
        assert values["delivered_share"] + values["throttled_share"] == pytest.approx(1.0)
        assert values["delivered_bytes"] == pytest.approx(
            values["delivered_share"] * values["demanded_bytes"]
        )
        assert sum(values["enforcement"].values()) == 4
        ticking = name in ("adaptive", "literal")
        assert (values["tick_us"]["p50"] > 0) is ticking
    json.dumps(report, allow_nan=False)


@needs_core
def test_two_vms_that_overload_one_host_link(make: Make) -> None:
    """Both want 3/4 of the link that they share: 1.5 C, of which C can pass."""
    report = run(make(a=[0.75] * 6, b=[0.75] * 6), *POLICIES, vms=2)["policies"]
    for name in ("none", "static_equal", "adaptive", "literal"):
        assert report[name]["delivered_share"] == pytest.approx(2 / 3, rel=1e-3), name
    assert report["static_peak"]["delivered_share"] == pytest.approx(1 / 2, rel=1e-6)
    assert report["static_peak"]["vms_fit"] == 1
    assert report["static_peak"]["idle_reserved_share"] == pytest.approx(0.0, abs=1e-6)
    assert report["static_equal"]["vms_fit"] == report["none"]["vms_fit"] == 2
    # Half a link up, used in full, and half a link down, not used at all.
    assert report["static_equal"]["idle_reserved_share"] == pytest.approx(1 / 2, rel=1e-6)
    assert report["static_equal"]["enforcement"] == {"host-shaper": 2}
    assert report["none"]["enforcement"] == {"advisory": 2}
    assert report["none"]["idle_reserved_share"] == 0.0
    assert report["adaptive"]["vms_fit"] == 2
    assert report["adaptive"]["enforcement"] == {"port-arbitration": 2}
    assert all(values["floor_violation_share"] == 0.0 for values in report.values())


@needs_core
def test_static_ceilings_waste_what_the_loop_passes_on(make: Make) -> None:
    """0.9 and 0.1 of a link: all of it fits, but not under two halves."""
    report = run(make(a=[0.85] * 5, b=[0.1] * 5), *POLICIES, vms=2)["policies"]
    assert report["static_equal"]["delivered_share"] == pytest.approx(0.6 / 0.95, rel=1e-3)
    for name in ("adaptive", "literal", "none", "static_peak"):
        assert report[name]["delivered_share"] == pytest.approx(1.0, rel=1e-6), name


@needs_core
def test_peaks_are_those_of_the_whole_trace(make: Make) -> None:
    """Peaks of 0.9 at different times: only one VM is admitted, though both would often fit."""
    report = run(make(a=[0.9, 0.05], b=[0.05, 0.9]), "static_peak", "none", vms=2)["policies"]
    assert report["static_peak"]["vms_fit"] == 1
    assert report["static_peak"]["delivered_share"] == pytest.approx(0.5, rel=1e-6)
    assert report["none"]["delivered_share"] == pytest.approx(1.0, rel=1e-6)


@needs_core
def test_scale_multiplies_rates_and_peaks(make: Make) -> None:
    path = make(a=[0.4] * 3, b=[0.4] * 3)
    small, large = (run(path, "static_peak", vms=2, scale=s)["policies"] for s in (1.0, 2.0))
    assert small["static_peak"]["delivered_share"] == pytest.approx(1.0, rel=1e-6)
    assert large["static_peak"]["demanded_bytes"] == pytest.approx(4.8 * C)
    assert large["static_peak"]["delivered_share"] == pytest.approx(0.5, rel=1e-6)


@needs_core
def test_same_seed_same_report(make: Make) -> None:
    rng = np.random.default_rng(0)
    path = make(**{f"v{k}": rng.uniform(0, 0.6, 12).tolist() for k in range(12)})

    def told(seed: int) -> dict[str, Any]:
        report = run(path, "adaptive", "literal", "static_peak", vms=10, seed=seed)
        for values in report["policies"].values():
            del values["tick_us"]
        return report

    assert told(5) == told(5)
    assert told(5) != told(6)


@needs_core
def test_policies_know_the_steps_before_and_never_the_one_to_come(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    class Spy(Nothing):
        def before_step(self, observed: np.ndarray) -> None:
            seen.append(float(observed[0, 0]) / C)

    monkeypatch.setitem(POLICIES, "none", Spy)
    run(make(a=[0.1, 0.7, 1.4, 0.3]), "none", vms=1)
    # 1.4 is more than the link: what was dropped was wanted, too.
    assert seen == pytest.approx([0.0, 0.1, 0.7, 1.4], rel=1e-6)


@needs_core
def test_refusals_of_a_replay_do_not_flood_the_log(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    level = logging.getLogger("fabcore.events").level
    run(make(a=[0.9] * 5, b=[0.9] * 5), "literal", vms=2)
    assert not caplog.records
    assert logging.getLogger("fabcore.events").level == level


@needs_core
def test_literal_asks_again_for_what_was_last_wanted(make: Make) -> None:
    """Demand that falls step by step stays below its prediction, so the last request is granted."""
    report = run(make(a=[0.5 - 0.02 * k for k in range(20)]), "literal", vms=1)
    assert report["policies"]["literal"]["vms_fit"] == 1
    assert report["policies"]["literal"]["floor_violation_share"] == 0.0


@needs_core
def test_courses_follow_one_vm_and_the_plot_shows_them(make: Make, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    replay = Replay.open(make(a=[0.5, 0.8, 0.2], b=[0.1, 0.1, 0.1]), vms=2)
    vm = replay.busiest()
    assert replay.trace.selected[vm] == "a"
    report = replay.run(("static_equal", "none"), course_of=vm)
    replay.close()
    course = replay.courses["static_equal"]
    assert course.demand / C == pytest.approx([0.5, 0.8, 0.2])
    assert course.delivered / C == pytest.approx([0.5, 0.5, 0.2], rel=1e-6)
    assert course.reserved / C == pytest.approx([1.0, 1.0, 1.0])
    path = tmp_path / "report.png"
    replay_plot.draw(report, replay.courses, "a$b", path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_long_course_is_thinned_to_means() -> None:
    course = Course.of(0, 5000)
    course.demand[:] = np.arange(5000)
    time, values = replay_plot._thin(course.demand, 2.0)
    assert time.size == values.size <= 1200
    assert (time[1], values[0], values[-1]) == (10.0, 2.0, 4997.0)


def test_table_has_a_row_for_every_policy() -> None:
    from rich.console import Console

    values = {
        "delivered_share": 0.5, "throttled_share": 0.5, "idle_reserved_share": 0.25,
        "floor_violation_share": 0.0, "vms_fit": 7, "enforcement": {"advisory": 3, "width": 4},
        "tick_us": {"p50": 50.0, "p99": 90.0},
    }  # fmt: skip
    report = {
        "trace": "t.csv", "vms": 7, "steps": 3, "period_s": 1.0, "replicas": 0, "scale": 2.0,
        "policies": {"adaptive": values, "none": values},
    }  # fmt: skip
    console = Console(width=140)
    with console.capture() as captured:
        console.print(replay_report.table(report))
    lines = captured.get().splitlines()
    assert "7 VMs, 3 steps of 1 s, rates x 2" in lines[0]
    assert [line.split()[0] for line in lines[2:]] == ["adaptive", "none"]
    assert "25.000 %" in lines[2]
    assert "width 4, advisory 3" in lines[2]
