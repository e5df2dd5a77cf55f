"""The followed ring against a model, across threads of control and processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
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

    @initialize(power=st.integers(1, 6), many=st.booleans())
    def create(self, power: int, many: bool) -> None:
        self.folder = tempfile.TemporaryDirectory(dir=FOLDER)
        self.file = Path(self.folder.name, "ring")
        self.capacity, self.many = 1 << power, many
        self.ring = fabcore.Ring.create(self.file, self.capacity, many_writers=many)
        self.second = (
            fabcore.Ring.create(self.file, self.capacity, many_writers=True) if many else None
        )
        self.published = 0
        self.readers: list[list] = []  # [reader, ring it came from, start, returned]

    @rule(n=st.integers(0, 100), second=st.booleans())
    def publish(self, n: int, second: bool) -> None:
        ring = self.second if second and self.second is not None else self.ring
        assert ring.publish(records(self.published, n)) == n
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
            self.ring = fabcore.Ring.create(self.file, self.capacity, many_writers=self.many)

    @invariant()
    def counts(self) -> None:
        if hasattr(self, "ring"):
            assert self.ring.published == self.published

    def teardown(self) -> None:
        if hasattr(self, "ring"):
            for reader, *_ in self.readers:
                reader.close()
            self.ring.close()
            if self.second is not None:
                self.second.close()
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


SMALL = np.dtype([("seq", "<u8"), ("value", "<f8"), ("source", "<u8")])


def test_records_of_any_size_have_their_seq_first(path: Path) -> None:
    with fabcore.Ring.create(path, 8, SMALL) as ring, fabcore.Ring.open(path, SMALL) as other:
        made = np.zeros(3, SMALL)
        made["value"] = [1.5, 2.5, 3.5]
        assert ring.publish(made) == 3
        got = other.reader().read(8)
        assert got["seq"].tolist() == [1, 2, 3]
        assert got["value"].tolist() == [1.5, 2.5, 3.5]
        with fabcore.Ring.open(path) as plain:
            assert plain.reader().read(1)["words"].shape == (1, 2)
        with pytest.raises(fabcore.FabricError, match="to_arrow knows"):
            other.reader().to_arrow(8)
        with pytest.raises(fabcore.FabricError, match="publish takes"):
            ring.publish(np.zeros(1, fabcore.RECORD))
        with pytest.raises(fabcore.FabricError, match="24 bytes"):
            fabcore.Ring.open(path, fabcore.RECORD)
    for bad in (np.dtype("<u8"), np.dtype([("value", "<f8"), ("seq", "<u8")])):
        with pytest.raises(fabcore.FabricError, match="first field"):
            fabcore.Ring.create(path.with_name("bad"), 8, bad)
    with pytest.raises(fabcore.FabricError, match="16 to 4096"):
        fabcore.Ring.create(path.with_name("bad"), 8, np.dtype([("seq", "<u8"), ("x", "u1")]))
    assert not path.with_name("bad").exists()


def test_many_writers_in_many_processes_lose_nothing_uncounted(path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    with fabcore.Ring.create(path, 1 << 12, many_writers=True) as ring:
        reader = ring.reader()
        jobs = [spawn.Process(target=_write_many, args=(str(path), k)) for k in range(3)]
        for job in jobs:
            job.start()
        blocks, alive = [], True
        while alive or reader.position < ring.published:
            alive = any(job.is_alive() for job in jobs)
            blocks.append(reader.read(1000))
        got = np.concatenate(blocks)
        assert [job.exitcode for job in jobs] == [0, 0, 0]
        assert len(got) and len(got) + reader.lost == ring.published == 3 * 20_000
        assert reader.lost >= ring.dropped
        assert (np.diff(got["seq"].astype(np.int64)) > 0).all()
        for k in range(3):  # each writer's own order stays
            mine = got["time_ns"][got["vm"] == k].astype(np.int64)
            assert (np.diff(mine) > 0).all()


def _write_many(path: str, number: int) -> None:
    with fabcore.Ring.create(path, 1 << 12, many_writers=True) as ring:
        for first in range(0, 20_000, 100):
            block = np.zeros(100, fabcore.RECORD)
            block["vm"], block["time_ns"] = number, np.arange(first, first + 100)
            ring.publish(block)
