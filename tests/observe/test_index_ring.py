"""The index ring from Python: a model, views in place, roles, types, two processes."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections import deque
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import fabcore
from fabcore import IndexRing

FOLDER = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
PAIR = np.dtype([("a", "<u8"), ("b", "<f8")])


class IndexModel(RuleBasedStateMachine):
    """A deque of numbers; every element is its number in every word."""

    @initialize(power=st.integers(1, 6), words=st.sampled_from([1, 3, 8]))
    def create(self, power: int, words: int) -> None:
        self.folder = tempfile.TemporaryDirectory(dir=FOLDER)
        self.file, self.words = Path(self.folder.name, "ring"), words
        self.dtype = np.dtype(("<u8", (words,)) if words > 1 else "<u8")
        self.capacity = 1 << power
        self.producer = IndexRing.create(self.file, self.capacity, self.dtype)
        self.consumer = IndexRing.open(self.file, dtype=self.dtype)
        self.held: deque[int] = deque()
        self.next = 0

    def elements(self, n: int) -> np.ndarray:
        numbers = np.arange(self.next, self.next + n, dtype=np.uint64)
        return np.repeat(numbers, self.words).reshape((n, *self.dtype.shape))

    def expect(self, got: np.ndarray) -> None:
        wanted = [self.held.popleft() for _ in range(len(got))]
        rows = got.reshape(len(got), self.words)
        assert (rows == np.array(wanted, np.uint64)[:, None]).all()

    @rule(n=st.integers(0, 80))
    def push(self, n: int) -> None:
        fits = min(n, self.capacity - len(self.held))
        assert self.producer.push(self.elements(n)) == fits
        self.held.extend(range(self.next, self.next + fits))
        self.next += fits

    @rule(n=st.integers(0, 80), given=st.integers(0, 80))
    def claim(self, n: int, given: int) -> None:
        run = self.producer.claim(n)
        room = self.capacity - len(self.held)
        assert len(run) == min(n, room, self.capacity - self.next % self.capacity)
        given = min(given, len(run))
        run[:given] = self.elements(given)
        assert self.producer.publish(given) == given
        self.held.extend(range(self.next, self.next + given))
        self.next += given

    @rule(n=st.integers(0, 80))
    def pop(self, n: int) -> None:
        got = self.consumer.pop(n)
        assert len(got) == min(n, len(self.held))
        self.expect(got)

    @rule(n=st.integers(0, 80), taken=st.integers(0, 80))
    def peek(self, n: int, taken: int) -> None:
        run = self.consumer.peek(n)
        assert len(run) <= min(n, len(self.held))
        assert len(run) or not n or not self.held
        taken = min(taken, len(run))
        self.expect(run[:taken].copy())
        assert self.consumer.release(taken) == taken

    @rule(which=st.booleans())
    def hand_over(self, which: bool) -> None:
        """A side leaves, and a successor goes on."""
        if which:
            self.producer.close()
            self.producer = IndexRing.create(self.file, self.capacity, self.dtype)
        else:
            self.consumer.close()
            self.consumer = IndexRing.open(self.file, dtype=self.dtype)

    @invariant()
    def counts(self) -> None:
        if hasattr(self, "producer"):
            assert self.producer.published == self.next
            assert self.producer.published - self.consumer.released == len(self.held)

    def teardown(self) -> None:
        if hasattr(self, "producer"):
            self.producer.close()
            self.consumer.close()
            self.folder.cleanup()


TestIndexModel = IndexModel.TestCase
TestIndexModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ring"


def test_runs_are_the_rings_own_memory(path: Path) -> None:
    with IndexRing.create(path, 8, PAIR) as producer, IndexRing.open(path, dtype=PAIR) as consumer:
        run = producer.claim(3)
        run["a"], run["b"] = [1, 2, 3], [0.5, 1.5, 2.5]
        producer.publish(2)
        seen = consumer.peek(8)
        assert seen["a"].tolist() == [1, 2]
        assert not seen.flags.writeable
        with pytest.raises(fabcore.FabricError, match="more than were taken"):
            producer.publish(2)
        del run, seen


def test_close_refuses_while_views_are_in_use(path: Path) -> None:
    ring = IndexRing.create(path, 8)
    run = ring.claim(4)
    with pytest.raises(fabcore.FabricError, match="views of its elements"):
        ring.close()
    run["aux"] = 7  # the memory is still there
    assert ring.claim(4)["aux"].tolist() == [7] * 4
    del run
    ring.close()
    with pytest.raises(fabcore.FabricError, match="closed"):
        ring.claim(1)


def test_view_outlives_a_ring_that_was_forgotten(path: Path) -> None:
    ring = IndexRing.create(path, 8)
    run = ring.claim(4)
    del ring
    run["aux"] = 9
    assert run["aux"].tolist() == [9] * 4


def test_bad_input_is_refused_and_named(path: Path) -> None:
    for capacity in (0, 3, True, 1 << 31, 8.0):
        with pytest.raises(fabcore.FabricError, match="power of two"):
            IndexRing.create(path, capacity)
    for dtype in ("<u4", "<f4", object, np.dtype(("u1", 65544))):
        with pytest.raises(fabcore.FabricError, match="an element takes"):
            IndexRing.create(path, 8, dtype)
    with pytest.raises(fabcore.FabricError, match="'producer' or 'consumer'"):
        IndexRing.create(path, 8, role="both")
    assert not path.exists()
    with pytest.raises(fabcore.FabricError, match="there is none"):
        IndexRing.open(path)
    with IndexRing.create(path, 8) as ring, IndexRing.open(path) as other:
        assert other.dtype == fabcore.RECORD
        with pytest.raises(fabcore.FabricError, match=r"fabcore\.RECORD"):
            ring.push(np.zeros(3))
        with pytest.raises(fabcore.FabricError, match="the other side's"):
            other.push(np.zeros(3, fabcore.RECORD))
        with pytest.raises(fabcore.FabricError, match="live process holds it"):
            IndexRing.open(path)
        with pytest.raises(fabcore.FabricError, match="another layout"):
            IndexRing.create(path, 16)
    with pytest.raises(fabcore.FabricError, match="64 bytes"):
        IndexRing.open(path, dtype="<u8")
    path.write_bytes(b"hello")
    with pytest.raises(fabcore.FabricError, match="no index ring"):
        IndexRing.open(path)


def _produce(path: str, count: int) -> None:
    with IndexRing.create(path, 256, "<u8") as ring:
        number = 0
        while number < count:
            run = ring.claim(64)
            n = min(len(run), count - number)
            run[:n] = np.arange(number, number + n, dtype=np.uint64)
            ring.publish(n)
            number += n
            del run


def test_elements_cross_processes_in_order(path: Path) -> None:
    count, got = 50_000, 0
    consumer = IndexRing.create(path, 256, "<u8", role="consumer")
    process = multiprocessing.get_context("spawn").Process(target=_produce, args=(str(path), count))
    process.start()
    while got < count:
        block = consumer.pop(100)
        assert (block == np.arange(got, got + len(block), dtype=np.uint64)).all()
        got += len(block)
        if not len(block):
            assert process.is_alive() or consumer.published > got or got == count
    process.join(30)
    assert process.exitcode == 0 and consumer.released == count
    consumer.close()
