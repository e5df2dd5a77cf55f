"""Telemetry records as Arrow columns: the rows are read once and the columns written once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fabcore._core import ColumnPool
from fabcore.observe import RECORD


def records_to_batch(
    records: NDArray[np.void],
    names: Mapping[int, str] | None = None,
    pool: ColumnPool | None = None,
) -> pa.RecordBatch:
    """Records (k,) RECORD as columns, in the order of the record's fields.

    `time` is timestamp[ns, UTC]; `vm` a dictionary of strings (int32 indices), values in the order
    of first appearance: the name of each handle, or its decimal digits where `names` is None or
    has none; `source` and `flags` uint16; the rest uint64. Columns come from `pool`, or from one
    that the process shares: fresh pages cost more than the transpose itself.
    """
    if records.dtype != RECORD or records.ndim != 1:
        raise TypeError(f"records have {records.ndim}-d {records.dtype}, expected RECORD (k,)")
    return (pool or _shared()).batch(np.ascontiguousarray(records), names)


def schema() -> pa.Schema:
    """What every batch of telemetry looks like."""
    batch: pa.RecordBatch = records_to_batch(np.empty(0, RECORD))
    return batch.schema


@cache
def _shared() -> ColumnPool:
    return ColumnPool(2)
