"""Trace files: Parquet or CSV of one schema, read in batches and refused with file and line."""

from __future__ import annotations

import contextlib
import csv
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from fabcore.errors import TraceError

COLUMNS = ("vm", "time_s", "up", "down")
BATCH_ROWS = 1 << 15  # rows decoded at a time: what bounds a reader's memory
RATE_LIMIT = 1e15  # B/s; far above any link, and below what would wrap a byte counter in an hour
_BLOCK_BYTES = 1 << 20

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows in file order: the first one's number from 0; vm (k,) codes into TraceFile.names;
    time (k,) in s; up, down (k,) in B/s, finite and not negative."""

    row: int
    vm: NDArray[np.int32]
    time: Floats
    up: Floats
    down: Floats


@dataclass(slots=True)
class TraceFile:
    """A trace as batches of checked values; every fault is a TraceError of one line.

    Checked here: readable, the schema, nothing missing, finite numbers, rates in 0..RATE_LIMIT.
    `names` fills in the order of first appearance as batches are read.
    """

    path: str
    names: list[str] = field(default_factory=list)
    is_csv: bool = False
    _codes: dict[str, int] = field(default_factory=dict)
    _stamp: tuple[int, int] = (0, 0)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> TraceFile:
        """Look at the header only: that the file is there, and of which format and schema."""
        file = cls(os.fspath(path))
        try:
            with open(file.path, "rb") as stream:
                file._stamp = _stamp(stream.fileno())
                magic = stream.read(4)
        except OSError as error:
            raise file._refuse(f"cannot be read: {error.strerror}") from None
        if not magic:
            raise file._refuse("is empty")
        file.is_csv = magic != b"PAR1"
        if file.is_csv:
            file._check_csv_header()
        else:
            with file._decoding(), file._parquet() as parquet:
                file._check_parquet_schema(parquet.schema_arrow)
        return file

    def batches(self) -> Iterator[Batch]:
        """Every row once, in file order, at most BATCH_ROWS (CSV: 1 MiB of text) at a time."""
        self._check_unchanged()
        with self._decoding():
            reader = self._csv_batches() if self.is_csv else self._parquet_batches()
            row = 0
            previous: tuple[Any, NDArray[np.int32]] | None = None
            for batch in reader:
                vm = batch.column(0)
                if pa.types.is_dictionary(vm.type):
                    vm = vm.cast(pa.dictionary(pa.int32(), pa.string()))
                else:
                    vm = vm.cast(pa.string()).dictionary_encode()
                self._check_present(vm, "vm", row)
                # Batches of one row group share their dictionary: look its names up once.
                if previous is None or not previous[0].equals(vm.dictionary):
                    previous = (vm.dictionary, self._lookup(vm.dictionary))
                codes = previous[1][vm.indices.to_numpy(zero_copy_only=False)]
                time, up, down = (self._numbers(batch, i, row) for i in (1, 2, 3))
                yield Batch(row, codes, time, up, down)
                row += batch.num_rows
        self._check_unchanged()

    def _check_unchanged(self) -> None:
        try:
            same = self._stamp == _stamp(self.path)
        except OSError:
            same = False
        if not same:
            raise self._refuse("changed since it was opened; replay a file that is complete")

    def where(self, row: int) -> str:
        """How to find a row: the line of a CSV file (from 1), the row of a Parquet file (from 0)."""
        return f"line {self._line(row + 2)}" if self.is_csv else f"row {row} (the first is 0)"

    def fault(self, row: int, what: str) -> TraceError:
        """The error to raise for one row."""
        return self._refuse(f"{self.where(row)}: {what}", colon=True)

    def _refuse(self, what: str, colon: bool = False) -> TraceError:
        return TraceError(f"{self.path}{':' if colon else ''} {what}")

    def _parquet(self) -> Any:
        # A buffer makes column chunks stream; without one a whole row group would be held.
        return pa.parquet.ParquetFile(
            self.path, read_dictionary=["vm"], buffer_size=_BLOCK_BYTES, pre_buffer=False
        )

    def _parquet_batches(self) -> Iterator[Any]:
        with self._parquet() as parquet:
            yield from parquet.iter_batches(BATCH_ROWS, columns=list(COLUMNS), use_threads=False)

    def _csv_batches(self) -> Iterator[Any]:
        types = dict.fromkeys(COLUMNS, pa.float64()) | {
            "vm": pa.dictionary(pa.int32(), pa.string())
        }
        reader = pa.csv.open_csv(
            self.path,
            read_options=pa.csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
            convert_options=pa.csv.ConvertOptions(
                include_columns=list(COLUMNS), column_types=types, null_values=[""]
            ),
        )
        with reader:
            for batch in reader:
                for start in range(0, batch.num_rows, BATCH_ROWS):
                    yield batch.slice(start, BATCH_ROWS)

    def _check_csv_header(self) -> None:
        try:
            with open(self.path, encoding="utf-8-sig", newline="") as stream:
                line = stream.readline(_BLOCK_BYTES)
        except UnicodeDecodeError:
            line = "\0"
        if "\0" in line:
            raise self._refuse("is neither Parquet nor CSV text")
        self._check_names(next(csv.reader([line.rstrip("\r\n")]), []))

    def _check_parquet_schema(self, schema: Any) -> None:
        self._check_names(schema.names)
        for name in COLUMNS:
            kind = schema.field(name).type
            if name == "vm":
                inner = kind.value_type if pa.types.is_dictionary(kind) else kind
                right = pa.types.is_string(inner) or pa.types.is_large_string(inner)
            else:
                right = pa.types.is_integer(kind) or pa.types.is_floating(kind)
            if not right:
                wanted = "a string" if name == "vm" else "a number"
                raise self._refuse(f"has a column {name} of type {kind}, expected {wanted}")

    def _check_names(self, found: list[str]) -> None:
        for name in COLUMNS:
            if found.count(name) != 1:
                fault = "has no column" if name not in found else "has more than one column"
                listed = ",".join(found[:12]) + (",..." if len(found) > 12 else "")
                raise self._refuse(
                    f"{fault} {name} (hint: columns found {listed[:200]};"
                    f" expected {','.join(COLUMNS)})"
                )

    def _check_present(self, column: Any, name: str, row: int) -> None:
        if column.null_count:
            missing = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
            raise self.fault(row + missing, f"{name} is missing")

    def _numbers(self, batch: Any, index: int, row: int) -> Floats:
        """One column as float64, refusing what no counter can have measured."""
        name, column = COLUMNS[index], batch.column(index)
        self._check_present(column, name, row)
        values: Floats = np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
        if name == "time_s":
            bad = ~np.isfinite(values)
        else:
            bad = ~((values >= 0.0) & (values <= RATE_LIMIT))
        if bad.any():
            first = int(np.argmax(bad))
            limits = "a finite number" if name == "time_s" else f"between 0 and {RATE_LIMIT:g} B/s"
            raise self.fault(row + first, f"{name} is {values[first]:g}, expected {limits}")
        return values

    def _lookup(self, dictionary: Any) -> NDArray[np.int32]:
        codes = np.empty(len(dictionary), np.int32)
        for i, name in enumerate(dictionary.to_pylist()):
            if not name:
                raise self._refuse("has a vm without a name")
            if name not in self._codes:
                self._codes[name] = len(self.names)
                self.names.append(name)
            codes[i] = self._codes[name]
        return codes

    def _line(self, ordinal: int) -> int:
        """The line that holds the `ordinal`-th row of text, header included: readers skip empty
        lines. Reads the file again, so it is for errors only."""
        with open(self.path, "rb") as stream:
            for number, line in enumerate(stream, 1):
                ordinal -= bool(line.strip(b"\r\n"))
                if ordinal == 0:
                    return number
        return 0

    @contextlib.contextmanager
    def _decoding(self) -> Iterator[None]:
        """Whatever the decoder throws, as one line that names the place where it tells it."""
        try:
            yield
        except (pa.ArrowException, OSError, UnicodeError) as error:
            text = " ".join(str(error).split())[:240]
            row = re.search(r"Row #(\d+): *(.*)", text)
            if self.is_csv and row:
                what = f"line {self._line(int(row[1]))}: {row[2]}"
                raise self._refuse(what, colon=True) from None
            raise self._refuse(f"is unreadable or truncated: {text}") from None


def _stamp(file: int | str) -> tuple[int, int]:
    status = os.stat(file)
    return status.st_size, status.st_mtime_ns
