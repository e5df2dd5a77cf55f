"""Records become Arrow columns without losing a bit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabcore.observe import RECORD
from fabcore.observe.arrow import records_to_batch


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
