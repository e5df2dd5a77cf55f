"""Records become Arrow columns without losing a bit."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fabcore
from fabcore._core import ColumnPool
from fabcore.observe import RECORD
from fabcore.observe.arrow import records_to_batch, schema


def random_records(count: int, seed: int) -> np.ndarray:
    records = np.zeros(count, RECORD)
    words = records.view(np.uint64).reshape(count, 8)
    words[:] = np.random.default_rng(seed).integers(0, 1 << 64, (count, 8), np.uint64)
    records["time_ns"] >>= np.uint64(1)  # timestamps are signed
    return records


@given(count=st.integers(0, 10_000), seed=st.integers(0, 1 << 30), spread=st.sampled_from([8, 32]))
def test_every_field_comes_through_unchanged(count: int, seed: int, spread: int) -> None:
    records = random_records(count, seed)
    records["vm"] >>= np.uint32(32 - spread)
    batch = records_to_batch(records)
    batch.validate(full=True)
    assert batch.num_rows == count
    assert batch.column("vm").to_pylist() == [str(h) for h in records["vm"].tolist()]
    times = batch.column("time").cast(pa.int64()).to_numpy(zero_copy_only=False)
    np.testing.assert_array_equal(times.astype(np.uint64), records["time_ns"])
    for name in ("seq", "source", "flags", "up_bytes", "down_bytes", "up_backlog", "down_backlog"):
        column = batch.column(name).to_numpy(zero_copy_only=False)
        assert column.dtype == records[name].dtype
        np.testing.assert_array_equal(column, records[name])
    np.testing.assert_array_equal(
        batch.column("aux").to_numpy(zero_copy_only=False), records["aux"]
    )


def test_types_are_a_utc_timestamp_and_a_dictionary_of_names() -> None:
    batch = records_to_batch(np.zeros(3, RECORD))
    assert batch.schema.field("time").type == pa.timestamp("ns", "UTC")
    assert batch.schema.field("vm").type == pa.dictionary(pa.int32(), pa.string())


def test_handles_are_named_and_an_unnamed_one_keeps_its_digits() -> None:
    records = np.zeros(4, RECORD)
    records["vm"] = [7, 2, 7, 9]
    batch = records_to_batch(records, {7: "trainer", 2: "web"})
    assert batch.column("vm").to_pylist() == ["trainer", "web", "trainer", "9"]


def test_every_other_record_of_a_view_is_read_not_its_neighbours() -> None:
    records = random_records(9000, 1)[::2]
    up = records_to_batch(records).column("up_bytes").to_numpy()
    np.testing.assert_array_equal(up, records["up_bytes"])


def test_columns_outlive_the_records_they_came_from() -> None:
    records = random_records(5000, 2)
    wanted = records["aux"].copy()
    batch = records_to_batch(records)
    records[:] = 0
    del records
    np.testing.assert_array_equal(batch.column("aux").to_numpy(), wanted)


@pytest.mark.parametrize("wrong", [np.zeros(3), np.zeros((2, 2), RECORD)])
def test_anything_but_a_row_of_records_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(TypeError, match="expected RECORD"):
        records_to_batch(wrong)


def address(batch: pa.RecordBatch, column: str = "up_bytes") -> int:
    return int(batch.column(column).buffers()[1].address)


@pytest.fixture
def ring(tmp_path: Path) -> fabcore.Ring:
    with fabcore.Ring.create(tmp_path / "ring", 4096) as made:
        yield made


def publish(ring: fabcore.Ring, count: int) -> np.ndarray:
    """`count` records whose fields all follow from their index; returns their up_bytes."""
    records = np.zeros(count, RECORD)
    index = ring.published + np.arange(count, dtype=np.uint64)
    records["up_bytes"] = index * 3
    records["time_ns"] = index
    records["vm"] = index % 5
    ring.publish(records)
    return records["up_bytes"]


def test_released_columns_are_written_again_and_live_ones_never(ring: fabcore.Ring) -> None:
    reader = ring.reader()
    wanted = publish(ring, 1000)
    live = reader.to_arrow(1000)
    seen = set()
    for _ in range(8):
        publish(ring, 1000)
        batch = reader.to_arrow(1000)
        assert address(batch) != address(live)
        seen.add(address(batch))
        del batch
        gc.collect()
    assert len(seen) == 1
    np.testing.assert_array_equal(live.column("up_bytes").to_numpy(), wanted)
    first = address(live)
    del live
    publish(ring, 1000)
    publish(ring, 1000)
    batches = [reader.to_arrow(1000), reader.to_arrow(1000)]
    assert {address(b) for b in batches} == {first} | seen


def test_a_slice_of_one_column_keeps_its_values_when_all_else_is_gone(tmp_path: Path) -> None:
    ring = fabcore.Ring.create(tmp_path / "ring", 4096)
    reader = ring.reader()
    wanted = publish(ring, 500)[100:110].copy()
    piece = reader.to_arrow(500).column("up_bytes")[100:110]
    for _ in range(20):
        publish(ring, 500)
        reader.to_arrow(500)
    reader.close()
    ring.close()
    del reader, ring
    gc.collect()
    np.testing.assert_array_equal(piece.to_numpy(), wanted)


def test_batches_released_by_other_threads_come_back(ring: fabcore.Ring) -> None:
    reader = ring.reader()
    handed: list[pa.RecordBatch] = []
    wrong: list[int] = []
    more, done = threading.Semaphore(0), threading.Semaphore(4)

    def consume() -> None:
        for _ in range(150):
            more.acquire()
            batch = handed.pop()
            index = batch.column("time").cast(pa.int64()).to_numpy()
            if not (batch.column("up_bytes").to_numpy() == index * 3).all():
                wrong.append(int(index[0]))
            del batch, index
            done.release()

    threads = [threading.Thread(target=consume) for _ in range(2)]
    for thread in threads:
        thread.start()
    for turn in range(300):
        done.acquire()
        publish(ring, 100 + turn)
        handed.append(reader.to_arrow(4096))
        more.release()
    for thread in threads:
        thread.join()
    assert not wrong and reader.position == ring.published


def test_consecutive_batches_share_their_dictionary(ring: fabcore.Ring) -> None:
    reader = ring.reader()
    batches = []
    for _ in range(2):
        publish(ring, 100)
        batches.append(reader.to_arrow(100, {1: "one"}))
    values = [b.column("vm").dictionary.buffers()[2].address for b in batches]
    assert values[0] == values[1]
    assert batches[1].column("vm").dictionary.to_pylist() == ["0", "one", "2", "3", "4"]
    assert (
        pa.Table.from_batches(batches).column("vm").to_pylist() == ["0", "one", "2", "3", "4"] * 40
    )


@pytest.mark.parametrize(
    "names", [{1: 7}, {1: None}, {1: "\ud800"}, {"one": "x"}, {1 << 32: "x"}, {-1: "x"}]
)
def test_names_that_are_none_are_refused_before_anything_is_read(
    ring: fabcore.Ring, names: dict
) -> None:
    reader = ring.reader()
    publish(ring, 10)
    with pytest.raises(fabcore.FabricError, match="names"):
        reader.to_arrow(10, names)
    with pytest.raises(fabcore.FabricError, match="-1"):
        reader.to_arrow(-1)
    assert reader.to_arrow(10).num_rows == 10


def test_names_of_every_alphabet_and_length_come_through(ring: fabcore.Ring) -> None:
    reader = ring.reader()
    names = {0: "", 1: "a\0b", 2: "Größe 計算機 🙂", np.uint32(3): "x" * 5000}
    publish(ring, 5)
    vm = reader.to_arrow(5, names).column("vm")
    assert vm.to_pylist() == ["", "a\0b", "Größe 計算機 🙂", "x" * 5000, "4"]


def test_schema_is_that_of_every_batch_with_or_without_rows(ring: fabcore.Ring) -> None:
    reader = ring.reader()
    empty = reader.to_arrow(10)
    empty.validate(full=True)
    assert empty.num_rows == 0 and empty.schema == schema()
    publish(ring, 3)
    batch = reader.to_arrow(10)
    batch.validate(full=True)
    assert batch.schema == schema() == records_to_batch(random_records(2, 1)).schema
    assert batch.schema.names == [
        "seq", "time", "vm", "source", "flags",
        "up_bytes", "down_bytes", "up_backlog", "down_backlog", "aux",
    ]  # fmt: skip


def test_a_dictionary_of_records_at_rest_holds_their_handles_only() -> None:
    pool = ColumnPool(1)
    records = np.zeros(3, RECORD)
    records["vm"] = [8, 9, 8]
    records_to_batch(records, pool=pool)
    records["vm"] = [5, 5, 6]
    assert records_to_batch(records, pool=pool).column("vm").dictionary.to_pylist() == ["5", "6"]


@pytest.mark.parametrize("keep", [0, -1, 17, 1 << 40])
def test_pools_of_an_impossible_size_are_refused(keep: int) -> None:
    with pytest.raises(fabcore.FabricError, match="sets"):
        ColumnPool(keep)
