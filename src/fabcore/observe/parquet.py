"""A folder of Parquet files that telemetry is written to: a file is either whole or absent."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from fabcore.errors import FabricError

ROW_GROUP = 131_072  # rows: what readers skip or load at once
_COMPRESSIONS = ("none", "snappy", "gzip", "brotli", "lz4", "zstd")


class ParquetWriter:
    """Writes batches to `folder`, a new file every `rotate_bytes` or `rotate_s`, whichever is first.

    A file grows under a hidden name and gets its own (PREFIX-START-SEQUENCE.parquet, START in UTC)
    once it is complete and on disk; a process that is killed leaves nothing that looks like a file,
    and what it left is removed by the next writer of the same folder and prefix. Several writers
    may share a folder. One thread at a time. Files have mode 0600, a folder made here 0700.

    Attributes, in rows: rows, in finished files; pending, in the file under way; dropped, given but
    gone with a file that could not be finished. rows + pending + dropped = all that was given.
    files, the number of finished ones; last, the path of the newest.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        rotate_bytes: int = 128 << 20,
        rotate_s: float = 300.0,
        prefix: str = "telemetry",
        compression: str = "zstd",
    ) -> None:
        if not rotate_bytes > 0 or not rotate_s > 0:
            raise FabricError(f"rotation at {rotate_bytes} bytes or {rotate_s} s: both must be > 0")
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", prefix):
            raise FabricError(f"prefix {prefix!r}: use up to 64 letters, digits, '.', '_' and '-'")
        if compression not in _COMPRESSIONS or not (
            compression == "none" or pa.Codec.is_available(compression)
        ):
            raise FabricError(f"compression {compression!r} is not in this pyarrow: use 'none'")
        self.folder = Path(folder)
        self.rows = self.pending = self.dropped = self.files = 0
        self.last: Path | None = None
        self._rotate_bytes, self._rotate_s = rotate_bytes, rotate_s
        self._prefix, self._compression = prefix, compression
        self._sequence = 0
        self._start = datetime.fromtimestamp(0, UTC)
        self._open: _Growing | None = None
        self._closed = False
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _remove_leftovers(self.folder, prefix)
        except OSError as error:
            raise FabricError(f"folder {self.folder}: {error.strerror}") from error

    def write(self, batch: pa.RecordBatch, lost: int = 0) -> None:
        """Adds a batch; lost: records that its reader lost since the batch before.

        The sum over a file stands in its metadata as "fabcore.lost". FabricError: another schema
        than the file's, or the disk: then the file under way is removed and its rows are counted
        as dropped; the next write starts a new one.
        """
        if self._closed:
            raise FabricError(f"the Parquet writer of {self.folder} is closed")
        growing = self._open
        if growing is not None and growing.schema != batch.schema:
            raise FabricError(
                f"{self.folder}: the batch has another schema than the file under way"
            )
        if growing is None and not batch.num_rows and not lost:
            return
        self.pending += batch.num_rows
        with self._dropping():
            if self._open is None:
                self._open = self._begin(batch.schema)
            self._open.add(batch, lost)
        self.poll()

    def poll(self) -> None:
        """Finishes the file under way if it is old or large enough; for times without a write."""
        growing = self._open
        if growing is not None and (
            growing.bytes >= self._rotate_bytes
            or time.monotonic() - growing.began_s >= self._rotate_s
        ):
            self.rotate()

    def rotate(self) -> Path | None:
        """Finishes the file under way now; its path, or None when there is none."""
        growing = self._open
        if growing is None:
            return None
        with self._dropping():
            growing.finish()
            self._open = None
            self.rows += self.pending
            self.pending = 0
            self.files += 1
            self.last = growing.path
            _sync_folder(self.folder)
        return growing.path

    def close(self) -> None:
        """Finishes the file under way. Again: nothing."""
        if not self._closed:
            self._closed = True
            self.rotate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _begin(self, schema: pa.Schema) -> _Growing:
        """Whoever holds the temporary name owns the final one, unless that is there already."""
        # Never earlier than the file before, so that names sort as they were written.
        self._start = max(datetime.now(UTC), self._start)
        while True:
            start = f"{self._start:%Y%m%dT%H%M%S.%fZ}"
            path = self.folder / f"{self._prefix}-{start}-{self._sequence:06d}.parquet"
            temporary = path.with_name(f".{path.name}.tmp")
            file = _create(temporary)
            if file is not None and not path.exists():
                self._sequence += 1
                return _Growing(path, temporary, file, schema, self._compression)
            if file is not None:
                temporary.unlink()
                file.close()
            self._start += timedelta(microseconds=1)

    @contextlib.contextmanager
    def _dropping(self) -> Any:
        """Whatever interrupts a write leaves no half file behind and its rows counted."""
        try:
            yield
        except BaseException as error:
            if self._open is not None:
                self._open.discard()
                self._open = None
            rows, self.pending = self.pending, 0
            self.dropped += rows
            if isinstance(error, (OSError, pa.ArrowException)):
                reason = getattr(error, "strerror", None) or error
                raise FabricError(
                    f"{self.folder}: {reason}; {rows} rows of the file under way are dropped: "
                    "make room, then go on writing"
                ) from error
            raise


class _Growing:
    """A file under its temporary name. Small batches wait until they make a row group."""

    def __init__(
        self, path: Path, temporary: Path, file: IO[bytes], schema: pa.Schema, compression: str
    ) -> None:
        self.path, self.schema = path, schema
        self._temporary = temporary
        self.began_s = time.monotonic()
        self._file = file
        self._lost = 0
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = self._waiting_bytes = 0
        self._writer = pq.ParquetWriter(file, schema, compression=compression)

    @property
    def bytes(self) -> int:
        """Written, and waiting as it lies in memory: the file will not be larger by much."""
        return self._file.tell() + self._waiting_bytes

    def add(self, batch: pa.RecordBatch, lost: int) -> None:
        self._lost += lost
        if batch.num_rows:
            self._waiting.append(batch)
            self._waiting_rows += batch.num_rows
            self._waiting_bytes += batch.nbytes
        if self._waiting_rows >= ROW_GROUP:
            self._flush()

    def finish(self) -> None:
        self._flush()
        self._writer.add_key_value_metadata({"fabcore.lost": str(self._lost)})
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._temporary.rename(self.path)
        self._file.close()

    def discard(self) -> None:
        """Also after part of `finish`: a name that is gone is fine."""
        self._writer.is_open = False  # its destructor would write a footer
        self._waiting.clear()
        with contextlib.suppress(OSError):
            self._temporary.unlink()
        with contextlib.suppress(OSError):  # what is buffered cannot be written: closed anyhow
            self._file.close()

    def _flush(self) -> None:
        if self._waiting:
            table = pa.Table.from_batches(self._waiting).unify_dictionaries()
            self._writer.write_table(table, row_group_size=ROW_GROUP)
            self._waiting.clear()
            self._waiting_rows = self._waiting_bytes = 0


def _create(path: Path) -> IO[bytes] | None:
    """A new file, locked for as long as this process has it open; None: the name is taken.

    The kernel drops the lock when its process dies, however it dies: that tells leftovers apart.
    """
    try:
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return None
    file = open(fd, "wb", buffering=1 << 20)  # noqa: SIM115
    fcntl.flock(fd, fcntl.LOCK_EX)
    if os.fstat(fd).st_nlink:
        return file
    file.close()  # another writer took it for a leftover before it was locked
    return None


def _remove_leftovers(folder: Path, prefix: str) -> None:
    pattern = re.compile(rf"\.{re.escape(prefix)}-\d{{8}}T\d{{6}}\.\d{{6}}Z-\d+\.parquet\.tmp")
    for name in os.listdir(folder):
        path = folder / name
        if not pattern.fullmatch(name) or not stat.S_ISREG(path.lstat().st_mode):
            continue
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(fd)


def _sync_folder(folder: Path) -> None:
    """The new name itself is on disk only when its folder is."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
