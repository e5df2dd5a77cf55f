"""Traces: merged by time, gaps kept, faults named with their line, memory bounded."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabcore.errors import TraceError
from fabcore.observe import RECORD
from fabcore.observe.sources import SOURCE_TRACE
from fabcore.observe.trace import Trace, TraceCollector

Row = tuple[str, float, float, float]
SHARED = Path(__file__).parents[3] / "shared" / "traces"
HEADER = "vm,time_s,up,down\n"


def write_csv(path: Path, rows: list[Row]) -> Path:
    path.write_text(HEADER + "".join(f"{v},{t!r},{u!r},{d!r}\n" for v, t, u, d in rows))
    return path


def write_parquet(path: Path, rows: list[Row], group: int = 7) -> Path:
    vm, time, up, down = zip(*rows, strict=True)
    table = pa.table({"vm": pa.array(vm), "time_s": time, "up": up, "down": down})
    pq.write_table(table, path, row_group_size=group)
    return path


def replay(trace: Trace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    times, up, down = zip(*trace.steps_iter(), strict=True)
    return np.array(times), np.array(up), np.array(down)


@st.composite
def regular_traces(draw: st.DrawFn) -> tuple[float, list[Row]]:
    """A few VMs on a common grid, each with its own span and gaps, interleaved at random."""
    period = draw(st.sampled_from([1.0, 0.5, 300.0, 0.1]))
    series: list[list[Row]] = []
    for v in range(draw(st.integers(1, 5))):
        present = draw(st.lists(st.booleans(), min_size=1, max_size=12))
        start = draw(st.integers(0, 3))
        rate = st.integers(0, 10**9).map(float)
        steps = [k for k, here in enumerate(present, start) if here]
        series.append([(f"vm{v}", k * period, draw(rate), draw(rate)) for k in steps])
    # The period is the median distance: let one VM run without gaps and settle it.
    series.append([("whole", k * period, 1.0, float(k)) for k in range(40)])
    rows: list[Row] = []
    random = draw(st.randoms(use_true_random=False))
    by_vm = draw(st.booleans())
    while any(series):
        pick = next(s for s in series if s) if by_vm else random.choice([s for s in series if s])
        rows.append(pick.pop(0))
    return period, rows


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(case=regular_traces(), kind=st.sampled_from(["csv", "parquet"]))
def test_rows_in_any_order_between_vms_merge_by_time(
    tmp_path: Path, case: tuple[float, list[Row]], kind: str
) -> None:
    period, rows = case
    path = (write_csv if kind == "csv" else write_parquet)(tmp_path / f"t.{kind}", rows)
    with Trace.open(path) as trace:
        assert trace.names == tuple(sorted({row[0] for row in rows}))
        assert trace.rows == len(rows)
        assert trace.period_s == pytest.approx(period)
        times, up, down = replay(trace)
        peaks = trace.peaks()
    expected = np.full((2, trace.steps, len(trace.names)), np.nan)
    for vm, time, *rates in rows:
        expected[:, round(time / period), trace.names.index(vm)] = rates
    np.testing.assert_array_equal(up, expected[0])
    np.testing.assert_array_equal(down, expected[1])
    np.testing.assert_allclose(times, np.arange(trace.steps) * period)
    np.testing.assert_array_equal(peaks, np.nanmax(expected, axis=1))


@pytest.mark.parametrize(("distance", "absent"), [(1.4, False), (1.5, False), (1.6, True)])
def test_a_gap_of_more_than_one_and_a_half_periods_is_absence(
    tmp_path: Path, distance: float, absent: bool
) -> None:
    times = [0.0, 1.0, 2.0, 3.0, 3.0 + distance, 4.0 + distance, 5.0 + distance]
    trace = Trace.open(write_csv(tmp_path / "t.csv", [("a", t, 5.0, 6.0) for t in times]))
    up = replay(trace)[1]
    assert np.isnan(up).any() == absent


def test_rounded_and_jittering_times_lose_no_step(tmp_path: Path) -> None:
    jitter = np.random.default_rng(3).uniform(-0.012, 0.012, 20_000)
    times = (np.arange(20_000) * 0.1 + jitter).astype(np.float32)
    rows = [("a", float(t), 1.0, 2.0) for t in times]
    trace = Trace.open(write_parquet(tmp_path / "t.parquet", rows, 5000))
    assert trace.period_s == pytest.approx(0.1, rel=1e-4)
    assert trace.steps == pytest.approx(20_000, abs=2)
    assert not np.isnan(replay(trace)[1]).any()


def test_a_vm_with_another_phase_keeps_all_its_rows(tmp_path: Path) -> None:
    rows = [
        (vm, k + phase, float(k), 0.0) for vm, phase in (("a", 0), ("b", 0.5)) for k in range(9)
    ]
    up = replay(Trace.open(write_csv(tmp_path / "t.csv", rows)))[1]
    for column in up.T:
        assert column[~np.isnan(column)].tolist() == list(range(9))


def test_of_several_rows_in_one_period_the_last_counts(tmp_path: Path) -> None:
    rows = [("a", t, u, 0.0) for t, u in ((0, 1.0), (1, 2.0), (1, 3.0), (2, 4.0), (3, 5.0))]
    assert replay(Trace.open(write_csv(tmp_path / "t.csv", rows)))[1].T.tolist() == [[1, 3, 4, 5]]


def test_selection_follows_the_seed_and_not_the_order_of_the_file(tmp_path: Path) -> None:
    rows = [(f"v{v}", float(k), v + k / 8, 0.0) for v in range(20) for k in range(4)]
    one = Trace.open(write_csv(tmp_path / "a.csv", rows), vms=6, seed=5)
    two = Trace.open(
        write_csv(tmp_path / "b.csv", sorted(rows, key=lambda r: r[1:])), vms=6, seed=5
    )
    assert one.selected == two.selected
    assert len(set(one.selected)) == 6
    np.testing.assert_array_equal(replay(one)[1], replay(two)[1])
    assert one.select(6, seed=6) == (6, 0)
    assert one.selected != two.selected
    assert replay(one)[1][0].tolist() == [float(name[1:]) for name in one.selected]


def test_replicas_are_the_same_series_from_another_moment_on(tmp_path: Path) -> None:
    rows = [
        (v, float(k), float(k + 1), 2.0) for v in ("a", "b", "b~1") for k in range(50) if k != 7
    ]
    trace = Trace.open(write_parquet(tmp_path / "t.parquet", rows))
    assert trace.select(9, seed=1) == (3, 6)
    assert trace.selected[:3] == ("a", "b", "b~1")
    assert set(trace.selected[3:]) == {"a~1", "a~2", "b~2", "b~3", "b~1~1", "b~1~2"}
    _, up, down = replay(trace)
    for column in up.T[3:]:
        shift = next(s for s in range(1, 50) if np.array_equal(np.roll(up[:, 0], -s), column, True))
        assert shift
    assert np.array_equal(trace.peaks(), [[50.0] * 9, [2.0] * 9])
    assert np.nanmax(down) == 2.0


def test_a_trace_replays_the_same_twice_and_after_close(tmp_path: Path) -> None:
    rows = [(v, float(k), float(k), 2.0) for v in ("a", "b") for k in range(50)]
    trace = Trace.open(write_csv(tmp_path / "t.csv", rows))
    first = replay(trace)
    for again in (replay(trace), trace.close() or replay(trace)):
        for one, other in zip(first, again, strict=True):
            np.testing.assert_array_equal(one, other)


BAD_CSV = {
    "missing column": ("vm,time_s,up\na,0,1\n", "no column down .*columns found vm,time_s,up"),
    "twice a column": ("vm,time_s,up,down,up\n", "more than one column up"),
    "another schema": ("run,time,sm\nx,1,2\n", "columns found run,time,sm; expected vm,time_s"),
    "nan": (HEADER + "a,0,1,2\n\na,1,nan,2\n", "line 4: up is nan"),
    "infinite": (HEADER + "a,0,1,2\na,1,1,inf\n", "line 3: down is inf"),
    "infinite time": (HEADER + "a,-inf,1,2\n", "line 2: time_s is -inf"),
    "negative": (HEADER + "a,0,1,2\na,1,-3,2\n", "line 3: up is -3"),
    "absurd": (HEADER + "a,0,1,1e300\n", "line 2: down is 1e\\+300"),
    "missing value": (HEADER + "a,0,1,2\na,1,,2\n", "line 3: up is missing"),
    "missing vm": (HEADER + ",0,1,2\n", "vm"),
    "words": (HEADER + "a,0,1,2\n\na,1,much,2\n", "line 4: .*'much'"),
    "short line": (HEADER + "a,0,1,2\na,1,2\n", "line 3: Expected 4 columns, got 3"),
    "backwards": (
        HEADER + "a,0,1,2\nb,9,1,2\na,5,1,2\na,4,1,2\n",
        "line 5: .*backwards for a: 4 s after 5",
    ),
    "empty": ("", "empty"),
    "no rows": (HEADER, "no rows"),
    "nanoseconds": (HEADER + "a,0,1,2\na,1,1,2\na,2,1,2\nb,1e18,1,2\n", "is time_s in seconds"),
    "binary": ("\x00\x01\x02\x03\x04", "neither Parquet nor CSV"),
}


@pytest.mark.parametrize("case", BAD_CSV)
def test_a_bad_csv_is_refused_with_one_line_that_names_the_place(tmp_path: Path, case: str) -> None:
    text, match = BAD_CSV[case]
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(TraceError, match=match) as caught:
        Trace.open(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "values", "match"),
    [
        ("up", [1.0, math.nan, 1.0], "row 1 .*up is nan"),
        ("down", [1.0, 1.0, -1.0], "row 2 .*down is -1"),
        ("up", [1.0, None, 1.0], "row 1 .*up is missing"),
        ("vm", ["a", None, "a"], "row 1 .*vm is missing"),
        ("time_s", [0.0, 2.0, 1.0], "row 2 .*backwards for a: 1 s after 2"),
        ("vm", [1, 2, 3], "column vm of type int64, expected a string"),
        ("up", ["1", "2", "3"], "column up of type string, expected a number"),
        ("up", [True, False, True], "column up of type bool, expected a number"),
    ],
)
def test_a_bad_parquet_is_refused_with_its_row(
    tmp_path: Path, column: str, values: list[object], match: str
) -> None:
    good: dict[str, list[object]] = {
        "vm": ["a"] * 3,
        "time_s": [0.0, 1.0, 2.0],
        "up": [1.0] * 3,
        "down": [1.0] * 3,
    }
    pq.write_table(pa.table(good | {column: values}), tmp_path / "bad.parquet", row_group_size=2)
    with pytest.raises(TraceError, match=match):
        Trace.open(tmp_path / "bad.parquet")


def test_time_that_runs_backwards_across_batches_is_found(tmp_path: Path) -> None:
    n = 70_000
    time = np.arange(n, dtype=float)
    time[-1] = 5.0
    table = pa.table({"vm": ["a"] * n, "time_s": time, "up": time, "down": time})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(TraceError, match=f"row {n - 1} .*5 s after {n - 2} s"):
        Trace.open(tmp_path / "t.parquet")


@pytest.mark.parametrize("keep", [6, 200, -1])
def test_a_truncated_parquet_is_refused(tmp_path: Path, keep: int) -> None:
    whole = write_parquet(
        tmp_path / "t", [("a", float(k), 1.0, 2.0) for k in range(99)]
    ).read_bytes()
    path = tmp_path / "cut.parquet"
    path.write_bytes(whole[:keep])
    with pytest.raises(TraceError, match="unreadable or truncated"):
        Trace.open(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="No such file"):
        Trace.open(tmp_path / "none.csv")
    with pytest.raises(TraceError, match="Is a directory"):
        Trace.open(tmp_path)


def test_a_file_that_changed_after_opening_is_refused_before_the_first_step(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", [("a", float(k), 1.0, 2.0) for k in range(9)])
    trace = Trace.open(path)
    with path.open("a") as stream:
        stream.write("b,0,1,2\n")
    with pytest.raises(TraceError, match="changed since"):
        trace.steps_iter()


def test_selecting_no_vm_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", [("a", 0.0, 1.0, 2.0)])
    with pytest.raises(TraceError, match="cannot select 0"):
        Trace.open(path, vms=0)


def test_records_carry_counters_that_add_up_and_a_start_after_each_absence() -> None:
    nan = math.nan
    collector = TraceCollector([7, 9], period_s=0.5, start_ns=1000)
    steps = [([3.0, nan], [1.0, nan]), ([4.0, 8.0], [1.0, 2.0]), ([nan, 8.0], [nan, 2.0])]
    steps.append(([2.0, 8.0], [1.0, 2.0]))
    batches = [collector.step(k / 2, *map(np.array, rates)) for k, rates in enumerate(steps)]
    records = np.concatenate(batches)
    assert records.dtype == RECORD
    assert set(records["source"].tolist()) == {SOURCE_TRACE}
    assert (np.diff(records["time_ns"].astype(np.int64)) >= 0).all()
    seven = records[records["vm"] == 7][["time_ns", "up_bytes"]].tolist()
    # 1.5 bytes in the first period: the half is carried into the second.
    assert seven == [
        (1000, 0),
        (500_001_000, 1),
        (1_000_001_000, 3),
        (1_500_001_000, 3),
        (2_000_001_000, 4),
    ]
    nine = records[records["vm"] == 9]["down_bytes"].tolist()
    assert nine == [0, 1, 2, 3]


BOUNDED = """
import json, resource, sys, threading
import numpy as np
from fabcore.observe.trace import Trace
import pyarrow.parquet as pq, pyarrow.csv as pc
def rss():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
# Touch every library once, so that only what the file costs is measured.
with Trace.open(sys.argv[1]) as warm:
    sum(1 for _ in warm.steps_iter())
before, peak, done = rss(), 0, threading.Event()
def watch():
    global peak
    while not done.wait(0.005):
        peak = max(peak, rss())
watcher = threading.Thread(target=watch); watcher.start()
cells = 0
with Trace.open(sys.argv[2]) as trace:
    for _, up, _ in trace.steps_iter():
        cells += int(np.isfinite(up).sum())
done.set(); watcher.join()
print(json.dumps({"grown": max(peak, rss()) - before, "cells": cells, "rows": trace.rows}))
"""


@pytest.mark.parametrize("sort", ["vm", "time"])
def test_memory_stays_bounded_however_long_the_file(tmp_path: Path, sort: str) -> None:
    vms, steps = 100, 50_000
    rng = np.random.default_rng(0)
    schema = pa.schema(
        [
            ("vm", pa.string()),
            ("time_s", pa.float64()),
            ("up", pa.float64()),
            ("down", pa.float64()),
        ]
    )
    path = tmp_path / "large.parquet"
    names = np.array([f"machine-{v}" for v in range(vms)])
    # One row group of everything: the case in which a careless reader holds it all.
    vm = np.repeat(np.arange(vms), steps) if sort == "vm" else np.tile(np.arange(vms), steps)
    time = np.tile(np.arange(steps), vms) if sort == "vm" else np.repeat(np.arange(steps), vms)
    columns = [pa.DictionaryArray.from_arrays(vm.astype(np.int32), names), time.astype(float)]
    columns += [rng.random(vms * steps) * 1e9 for _ in range(2)]
    table = pa.table(dict(zip(schema.names, columns, strict=True)))
    pq.write_table(table, path, row_group_size=vms * steps, compression="none")
    small = write_parquet(
        tmp_path / "small.parquet", [("a", float(k), 1.0, 2.0) for k in range(99)]
    )
    ran = subprocess.run(
        [sys.executable, "-c", BOUNDED, str(small), str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    report = json.loads(ran.stdout)
    assert report["cells"] == report["rows"] == vms * steps
    assert path.stat().st_size > 80 << 20
    assert report["grown"] < 64 << 20  # of which decoding any file takes about 30


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared traces are not on this machine")
class TestSharedTraces:
    def test_every_series_of_the_cluster_trace_replays(self) -> None:
        with Trace.open(SHARED / "a100_nic_1s.parquet", vms=256, seed=3) as trace:
            assert (trace.period_s, trace.rows, len(trace.names)) == (1.0, 1_614_186, 483)
            _, up, down = replay(trace)
            for peak, rates in zip(trace.peaks(), (up, down), strict=True):
                np.testing.assert_array_equal(peak, np.nanmax(rates, axis=0))
            whole = pq.read_table(SHARED / "a100_nic_1s.parquet").to_pydict()
        name = trace.selected[17]
        rows = [k for k, vm in enumerate(whole["vm"]) if vm == name]
        times = [round(whole["time_s"][k]) for k in rows]
        assert up[times, 17].tolist() == [whole["up"][k] for k in rows]
        assert np.isnan(up[:, 17]).sum() == trace.steps - len(rows)

    @pytest.mark.parametrize(
        "name", ["nvidia_dmon_pcie_1hz.csv", "openb/openb_pod_list_default.csv"]
    )
    def test_files_of_another_schema_are_refused_with_a_hint(self, name: str) -> None:
        with pytest.raises(TraceError, match=r"hint: columns found .*expected vm,time_s,up,down"):
            Trace.open(SHARED / name)
