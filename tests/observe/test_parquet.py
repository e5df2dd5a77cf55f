"""A Parquet file of telemetry is whole or absent, whatever happens to its writer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fabcore
from fabcore.observe import RECORD
from fabcore.observe.arrow import records_to_batch, schema
from fabcore.observe.parquet import ParquetWriter


def batch_of(first: int, count: int, noise: bool = False) -> pa.RecordBatch:
    records = np.zeros(count, RECORD)
    records["seq"] = np.arange(first, first + count)
    records["vm"] = records["seq"] % 7 + first
    if noise:  # does not compress
        records["aux"] = np.random.default_rng(first).integers(0, 1 << 64, count, np.uint64)
    return records_to_batch(records)


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def hidden_in(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.startswith(".")]


def sequence(folder: Path) -> list[int]:
    """seq of every row of every file, in the order of the names."""
    return [seq for f in files_of(folder) for seq in pq.read_table(f).column("seq").to_pylist()]


def test_what_was_written_is_read_back_with_its_types_names_and_loss(tmp_path: Path) -> None:
    with ParquetWriter(tmp_path / "new" / "folder") as writer:
        writer.write(batch_of(1, 1000), lost=2)
        writer.write(batch_of(1001, 500))
        writer.write(batch_of(1501, 0), lost=3)
        assert (writer.rows, writer.pending, writer.files) == (0, 1500, 0)
        assert files_of(writer.folder) == []
    assert (writer.rows, writer.pending, writer.dropped, writer.files) == (1500, 0, 0, 1)
    file = pq.ParquetFile(writer.last)
    assert file.schema_arrow.remove_metadata() == schema()
    assert file.metadata.metadata[b"fabcore.lost"] == b"5"
    wanted = pa.Table.from_batches([batch_of(1, 1000), batch_of(1001, 500)])
    got = file.read()
    for name in schema().names:
        assert got.column(name).to_pylist() == wanted.column(name).to_pylist()
    assert writer.last.stat().st_mode & 0o777 == 0o600
    assert writer.folder.stat().st_mode & 0o777 == 0o700
    assert hidden_in(writer.folder) == []


def test_small_batches_make_one_row_group(tmp_path: Path) -> None:
    with ParquetWriter(tmp_path) as writer:
        for i in range(300):
            writer.write(batch_of(1 + 10 * i, 10))
    assert pq.ParquetFile(writer.last).num_row_groups == 1
    assert sequence(tmp_path) == list(range(1, 3001))


def test_files_are_turned_by_size_and_their_names_sort_as_written(tmp_path: Path) -> None:
    with ParquetWriter(tmp_path, rotate_bytes=100_000) as writer:
        for i in range(50):
            writer.write(batch_of(1 + 1000 * i, 1000, noise=True))
    assert writer.files == len(files_of(tmp_path)) > 10
    assert writer.last == files_of(tmp_path)[-1]
    assert sequence(tmp_path) == list(range(1, 50_001))


def test_files_are_turned_by_age_without_a_write(tmp_path: Path) -> None:
    with ParquetWriter(tmp_path, rotate_s=1e-6) as writer:
        writer._rotate_s = 1e9
        writer.write(batch_of(1, 5))
        writer.poll()
        assert writer.files == 0
        writer._rotate_s = 1e-6
        writer.poll()
        assert writer.files == 1 and sequence(tmp_path) == [1, 2, 3, 4, 5]
        writer.poll()
    assert writer.files == 1


def test_writers_share_a_folder(tmp_path: Path) -> None:
    with ParquetWriter(tmp_path) as a:
        a.write(batch_of(1, 3))
        with ParquetWriter(tmp_path) as b:  # does not take the other's file for a leftover
            b.write(batch_of(4, 2))
            assert len(hidden_in(tmp_path)) == 2
    assert sorted(sequence(tmp_path)) == [1, 2, 3, 4, 5]
    assert a.last != b.last


def test_another_schema_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    with ParquetWriter(tmp_path) as writer:
        writer.write(batch_of(1, 3))
        with pytest.raises(fabcore.FabricError, match="schema"):
            writer.write(batch_of(4, 3).select(["seq"]))
        writer.write(batch_of(4, 3))
    assert sequence(tmp_path) == [1, 2, 3, 4, 5, 6]
    with pytest.raises(fabcore.FabricError, match="closed"):
        writer.write(batch_of(7, 1))


@pytest.mark.parametrize(
    "wrong",
    [{"rotate_bytes": 0}, {"rotate_s": -1}, {"rotate_s": float("nan")}, {"prefix": "../x"},
     {"prefix": ""}, {"prefix": ".a"}, {"compression": "bz2"}, {"compression": "zip"}],
)  # fmt: skip
def test_bad_settings_are_refused_before_a_folder_is_made(tmp_path: Path, wrong: dict) -> None:
    with pytest.raises(fabcore.FabricError):
        ParquetWriter(tmp_path / "new", **wrong)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(fabcore.FabricError, match="file: "):
        ParquetWriter(tmp_path / "file")


# Imports once, then forks a writer that is killed, again and again: sys.argv = folder, rounds.
KILLED = """
    import os, random, signal, sys, time
    from pathlib import Path
    import numpy as np
    import fabcore
    from fabcore.observe.parquet import ParquetWriter

    def record(folder, round):
        ring = fabcore.Ring.create(f"{folder}/ring", 1024)
        reader = ring.reader("now")
        os.write(1, b"")
        with ParquetWriter(folder, rotate_bytes=30_000, prefix=f"round{round:03d}") as writer:
            while True:
                records = np.zeros(200, fabcore.RECORD)
                records["aux"] = np.random.default_rng().integers(0, 1 << 64, 200, np.uint64)
                ring.publish(records)
                writer.write(reader.to_arrow(200))

    folder, rounds = sys.argv[1], int(sys.argv[2])
    random.seed(5)
    for round in range(rounds):
        pid = os.fork()
        if pid == 0:
            record(folder, round)
        while not list(Path(folder).glob(f"round{round:03d}-*.parquet")):
            time.sleep(0.001)
        time.sleep(random.random() * 0.05)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
"""


def test_killed_writers_leave_whole_files_only_and_no_row_between_them_is_missing(
    tmp_path: Path,
) -> None:
    rounds = 25
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path), str(rounds)],
        check=True, timeout=120,
    )  # fmt: skip
    left = hidden_in(tmp_path)
    files = 0
    for turn in range(rounds):
        names = sorted(tmp_path.glob(f"round{turn:03d}-*.parquet"))
        rows = [s for f in names for s in pq.read_table(f).column("seq").to_pylist()]
        assert rows == list(range(rows[0], rows[0] + len(rows)))
        files += len(names)
    assert files > 2 * rounds and left  # they were killed in the middle of something
    for turn in range(rounds):
        with ParquetWriter(tmp_path, prefix=f"round{turn:03d}") as writer:
            writer.write(batch_of(1, 1))
    assert hidden_in(tmp_path) == []


def test_leftovers_of_others_and_files_of_users_are_not_touched(tmp_path: Path) -> None:
    ours = ".telemetry-20260101T000000.000000Z-000000.parquet.tmp"
    others = [".other-20260101T000000.000000Z-000000.parquet.tmp", ".telemetry-notes.tmp", ".x"]
    for name in [ours, *others]:
        (tmp_path / name).write_text("half")
    (tmp_path / ".telemetry-20260101T000000.000001Z-000000.parquet.tmp").symlink_to(tmp_path / ".x")
    ParquetWriter(tmp_path).close()
    assert not (tmp_path / ours).exists()
    assert sorted(hidden_in(tmp_path)) == sorted(
        [*others, ".telemetry-20260101T000000.000001Z-000000.parquet.tmp"]
    )


# Fills the disk, then goes on once there is room: sys.argv = folder. Prints its accounts.
FULL = """
    import json, os, resource, signal, sys
    sys.path.insert(0, sys.argv[2])
    from pathlib import Path
    import fabcore
    from test_parquet import batch_of, ParquetWriter

    folder = Path(sys.argv[1])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if sys.argv[3] == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))
    given, error = 0, ""
    writer = ParquetWriter(folder, rotate_bytes=1 << 30)
    writer.write(batch_of(1, 100)); writer.rotate(); given += 100
    try:
        for i in range(200):
            given += 20_000
            writer.write(batch_of(1 + given, 20_000, noise=True))
    except fabcore.FabricError as failed:
        error = str(failed)
    hidden = [n for n in os.listdir(folder) if n.startswith(".")]
    after = (writer.rows, writer.pending, writer.dropped)
    writer.write(batch_of(1 << 40, 100)); given += 100
    writer.close()
    print(json.dumps({"given": given, "error": error, "hidden": hidden, "after": after,
                      "rows": writer.rows, "dropped": writer.dropped}))
"""


@pytest.mark.parametrize("how", ["limit", "tmpfs"])
def test_a_full_disk_is_named_leaves_no_half_file_and_is_accounted_for(
    tmp_path: Path, how: str
) -> None:
    import json

    if how == "tmpfs":
        command = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(tmp_path)]
        if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting is not allowed here")
    try:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(FULL), str(tmp_path), str(Path(__file__).parent), how],
            check=True, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        said = json.loads(done.stdout)
        reason = "No space left" if how == "tmpfs" else "File too large"
        assert reason in said["error"] and str(tmp_path) in said["error"]
        assert said["hidden"] == []
        assert said["after"] == [100, 0, said["dropped"]]
        assert said["rows"] == 200 and said["rows"] + said["dropped"] == said["given"]
        assert [pq.read_table(f).num_rows for f in files_of(tmp_path)] == [100, 100]
        assert done.stderr == ""
    finally:
        if how == "tmpfs":
            subprocess.run(["umount", str(tmp_path)], check=True)
