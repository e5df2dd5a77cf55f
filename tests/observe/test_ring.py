"""The followed ring against a model, across threads of control and processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import fabcore

FOLDER = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def records(first: int, n: int) -> np.ndarray:
    """n records that can be told apart and checked for tears: every word derives from the number."""
    made = np.zeros(n, fabcore.RECORD)
    number = np.arange(first, first + n, dtype=np.uint64)
    made["time_ns"], made["vm"] = number, number.astype(np.uint32)
    for k, name in enumerate(("up_bytes", "down_bytes", "up_backlog", "down_backlog", "aux")):
        made[name] = number * np.uint64(k + 3)
    return made


def whole(got: np.ndarray) -> bool:
    """True when every record is one that `records` made, none mixed with another."""
    number = got["time_ns"]
    same = got["vm"] == number.astype(np.uint32)
    for k, name in enumerate(("up_bytes", "down_bytes", "up_backlog", "down_backlog", "aux")):
        same &= got[name] == number * np.uint64(k + 3)
    return bool(same.all()) and np.array_equal(got["seq"], number + np.uint64(1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ring"


class RingModel(RuleBasedStateMachine):
    """A list of everything published, and for each reader how far it has come."""

    @initialize(power=st.integers(1, 6))
    def create(self, power: int) -> None:
        import tempfile

        self.folder = tempfile.TemporaryDirectory(dir=FOLDER)
        self.file = Path(self.folder.name, "ring")
        self.capacity = 1 << power
        self.ring = fabcore.Ring.create(self.file, self.capacity)
        self.published = 0
        self.readers: list[list] = []  # [reader, ring it came from, start, returned]

    @rule(n=st.integers(0, 100))
    def publish(self, n: int) -> None:
        assert self.ring.publish(records(self.published, n)) == n
        self.published += n

    @rule(start=st.sampled_from(["oldest", "now"]), other=st.booleans())
    def follow(self, start: str, other: bool) -> None:
        ring = fabcore.Ring.open(self.file) if other else self.ring
        at = self.published if start == "now" else 0  # what was overwritten before counts as lost
        self.readers.append([ring.reader(start), ring, at, 0])

    @rule(which=st.integers(0, 5), most=st.integers(0, 100))
    def read(self, which: int, most: int) -> None:
        if not self.readers:
            return
        entry = self.readers[which % len(self.readers)]
        reader, _, start, returned = entry
        got = reader.read(most)
        assert len(got) <= most
        assert whole(got)
        if len(got):
            first = int(got["time_ns"][0])
            assert np.array_equal(got["time_ns"], np.arange(first, first + len(got)))
            assert first == start + returned + reader.lost
        entry[3] += len(got)
        unread = self.published - reader.position
        assert start + entry[3] + reader.lost == self.published - unread
        if most and not len(got):
            assert unread == 0

    @rule()
    def hand_over(self) -> None:
        """The writer leaves, a successor goes on with the same file."""
        if all(ring is not self.ring for _, ring, _, _ in self.readers):
            self.ring.close()
            self.ring = fabcore.Ring.create(self.file, self.capacity)

    @invariant()
    def counts(self) -> None:
        if hasattr(self, "ring"):
            assert self.ring.published == self.published

    def teardown(self) -> None:
        if hasattr(self, "ring"):
            for reader, *_ in self.readers:
                reader.close()
            self.ring.close()
            self.folder.cleanup()


TestRingModel = RingModel.TestCase
TestRingModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def _write(path: str, ready: Event) -> None:
    ring = fabcore.Ring.create(path, 256)
    first = ring.published
    ready.set()
    while True:
        ring.publish(records(first, 64))
        first += 64


def test_a_killed_writer_leaves_whole_records_and_a_successor_goes_on(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    total = 0
    for _ in range(3):
        ready = context.Event()
        writer = context.Process(target=_write, args=(str(path), ready))
        writer.start()
        assert ready.wait(30)
        with fabcore.Ring.open(path) as ring:
            reader = ring.reader("oldest")
            returned = 0  # "oldest" counts from the very first record
            deadline = time.monotonic() + 30
            while ring.published <= total + 1000 and time.monotonic() < deadline:
                got = reader.read(100)
                assert whole(got)
                returned += len(got)
            with pytest.raises(fabcore.FabricError, match="live process"):
                fabcore.Ring.create(path, 256)
            assert writer.pid is not None
            os.kill(writer.pid, signal.SIGKILL)
            writer.join()
            while len(got := reader.read(1000)):
                assert whole(got)
                returned += len(got)
            assert returned + reader.lost == ring.published
            assert ring.published > total
            total = ring.published
            reader.close()


def test_bad_files_are_refused(tmp_path: Path) -> None:
    good = tmp_path / "good"
    fabcore.Ring.create(good, 8).close()
    assert good.stat().st_mode & 0o777 == 0o600
    image = good.read_bytes()
    other = bytearray(image)
    other[8] ^= 1  # the layout number
    cases = {
        "missing": None, "empty": b"", "text": b"hello" * 100, "truncated": image[:-64],
        "header only": image[:256], "other layout": bytes(other),
    }  # fmt: skip
    for name, content in cases.items():
        file = tmp_path / name
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(fabcore.FabricError, match=str(file)):
            fabcore.Ring.open(file)
        if content:
            with pytest.raises(fabcore.FabricError, match=str(file)):
                fabcore.Ring.create(file, 8)
            assert file.read_bytes() == content  # refused and not touched
    with pytest.raises(fabcore.FabricError):
        fabcore.Ring.create(good, 16)  # another capacity


@pytest.mark.parametrize("capacity", [0, 1, 3, -8, 1 << 31, 2.0, "8"])
def test_an_impossible_capacity_is_refused(path: Path, capacity: object) -> None:
    with pytest.raises(fabcore.FabricError, match="capacity"):
        fabcore.Ring.create(path, capacity)  # type: ignore[arg-type]
    assert not path.exists()


def test_a_reader_cannot_publish_and_wrong_arrays_are_refused(path: Path) -> None:
    ring = fabcore.Ring.create(path, 8)
    other = fabcore.Ring.open(path)
    with pytest.raises(fabcore.FabricError, match="reading"):
        other.publish(records(0, 1))
    for wrong in (np.zeros(4), np.zeros((2, 2), fabcore.RECORD), [1, 2], None):
        with pytest.raises(fabcore.FabricError):
            ring.publish(wrong)  # type: ignore[arg-type]
    ring.close()
    with pytest.raises(fabcore.FabricError, match="closed"):
        ring.publish(records(0, 1))


def test_records_become_arrow_columns(path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    ring = fabcore.Ring.create(path, 64)
    ring.publish(records(0, 40))
    batch = ring.reader("oldest").to_arrow(100, {3: "three"})
    assert batch.num_rows == 40
    assert batch.schema.field("time").type == pa.timestamp("ns", "UTC")
    assert batch.column("vm")[3].as_py() == "three"
    assert batch.column("up_bytes").to_pylist() == [3 * k for k in range(40)]
