"""Telemetry records as Arrow columns, by one pass of block transposes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fabcore.observe import RECORD

_BLOCK = 4096  # records; one block and its columns stay in the L2 cache
_WORDS = ("seq", "time", "", "up_bytes", "down_bytes", "up_backlog", "down_backlog", "aux")
_TABLE = 1 << 20  # handles below this are looked up in a table, others are sorted


T = TypeVar("T", bound=np.generic)


def records_to_batch(
    records: NDArray[np.void], names: Mapping[int, str] | None = None
) -> pa.RecordBatch:
    """Records (k,) RECORD as columns, in the order of the record's fields.

    `time` is timestamp[ns, UTC]; `vm` a dictionary of strings (int32 indices): the name of each
    handle, or its decimal digits where `names` is None or has none; `source` and `flags` uint16;
    the rest uint64. Rows are read once and the columns belong to Arrow's memory pool, which
    reuses pages: fresh ones cost more than the transpose itself.
    """
    if records.dtype != RECORD or records.ndim != 1:
        raise TypeError(f"records have {records.ndim}-d {records.dtype}, expected RECORD (k,)")
    k = records.size
    rows = np.ascontiguousarray(records).view(np.uint64).reshape(k, 8)
    words, word_buffer = _columns(8, k, np.dtype(np.uint64))
    handle, _ = _columns(1, k, np.dtype(np.uint32))
    halves, half_buffer = _columns(2, k, np.dtype(np.uint16))
    for start in range(0, k, _BLOCK):
        block = slice(start, min(start + _BLOCK, k))
        words[:, block] = rows[block].T
        mixed = words[2, block]  # vm, source and flags share the third word, still in cache
        handle[0, block] = mixed
        halves[0, block] = mixed >> np.uint64(32)
        halves[1, block] = mixed >> np.uint64(48)
    arrays = {
        name: pa.Array.from_buffers(
            pa.timestamp("ns", "UTC") if name == "time" else pa.uint64(),
            k,
            [None, word_buffer.slice(8 * k * i, 8 * k)],
        )
        for i, name in enumerate(_WORDS)
        if name
    }
    arrays["vm"] = _dictionary(handle[0], names or {})
    for i, name in enumerate(("source", "flags")):
        arrays[name] = pa.Array.from_buffers(
            pa.uint16(), k, [None, half_buffer.slice(2 * k * i, 2 * k)]
        )
    order = ["time" if name == "time_ns" else name for name in RECORD.names or ()]
    return pa.RecordBatch.from_arrays([arrays[name] for name in order], names=order)


def _columns(count: int, k: int, kind: np.dtype[T]) -> tuple[NDArray[T], pa.Buffer]:
    """(count, k) columns to write into, and the Arrow buffer that holds them one by one."""
    buffer = pa.allocate_buffer(count * k * kind.itemsize)
    return np.frombuffer(buffer, kind).reshape(count, k), buffer


def _dictionary(handle: NDArray[np.uint32], names: Mapping[int, str]) -> pa.DictionaryArray:
    """Handles (k,) uint32 as a dictionary array, values in ascending order of handle."""
    if handle.size and int(handle.max()) < _TABLE:
        used = np.zeros(int(handle.max()) + 1, bool)
        used[handle] = True
        values = np.flatnonzero(used).tolist()
        index = pa.array((np.cumsum(used, dtype=np.int32) - 1)[handle], pa.int32())
    else:
        unique, position = np.unique(handle, return_inverse=True)
        values, index = unique.tolist(), pa.array(position, pa.int32())
    strings = pa.array([names.get(h, str(h)) for h in values], pa.string())
    return pa.DictionaryArray.from_arrays(index, strings)
