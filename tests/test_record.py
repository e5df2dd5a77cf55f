"""`fabcore record` writes what a ring gets into Parquet files and says what it lost."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import fabcore
from fabcore.cli import app


def publish(ring: fabcore.Ring, count: int) -> None:
    records = np.zeros(count, fabcore.RECORD)
    records["time_ns"] = ring.published + np.arange(count)
    records["vm"] = np.arange(count) % 9
    ring.publish(records)


def recording(*args: object) -> subprocess.Popen[str]:
    """The command once it has opened the ring."""
    command = [sys.executable, "-m", "fabcore", "record", *map(str, args)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip
    assert process.stderr.readline().startswith("fabcore: recording")
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_every_record_is_in_a_file_or_counted_as_lost(tmp_path: Path, number: int) -> None:
    out = tmp_path / "out"
    with fabcore.Ring.create(tmp_path / "ring", 1 << 10) as ring:
        publish(ring, 3000)  # 1976 are gone before the recorder comes
        process = recording(
            tmp_path / "ring", "--out", out, "--json", "--rotate-mib", 0.05, "--interval", 0.001
        )
        for _ in range(100):
            publish(ring, 100)
            time.sleep(0.002)
        publish(ring, 5000)  # at once: more than the ring holds
        process.send_signal(number)
        stdout, _ = process.communicate(timeout=60)
        published = ring.published
    assert process.returncode == 0
    said = json.loads(stdout)
    files = sorted(out.iterdir())
    tables = [pq.ParquetFile(f) for f in files]
    seqs = [s for t in tables for s in t.read().column("seq").to_pylist()]
    assert seqs == sorted(set(seqs))
    assert said["rows"] == len(seqs) and said["files"] == len(files) > 1
    assert said["rows"] + said["lost"] == published and said["lost"] >= 1976 + 5000 - 1024
    assert sum(int(t.metadata.metadata[b"fabcore.lost"]) for t in tables) == said["lost"]
    assert all(f.suffix == ".parquet" for f in files)


@pytest.mark.parametrize(
    ("extra", "word"),
    [
        (["--start", "then"], "--start"),
        (["--rotate-mib", "0"], "--rotate-mib"),
        (["--rotate-mib", "inf"], "--rotate-mib"),
        (["--rotate-s", "nan"], "rotation"),
        (["--interval", "0"], "--interval"),
        (["--prefix", "a/b"], "prefix"),
    ],
)
def test_bad_options_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], word: str
) -> None:
    fabcore.Ring.create(tmp_path / "ring", 16).close()
    with pytest.raises(SystemExit) as ended:
        app(["record", str(tmp_path / "ring"), "--out", str(tmp_path / "out"), *extra])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and word in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_ring_that_is_none_is_refused_and_no_folder_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        app(["record", str(tmp_path / "none"), "--out", str(tmp_path / "out")])
    assert ended.value.code == 2 and "none" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
