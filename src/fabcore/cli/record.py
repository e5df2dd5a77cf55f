"""`fabcore record`: a ring's records into Parquet files until a signal ends it."""

from __future__ import annotations

import time
from pathlib import Path

from fabcore.cli.base import emit, emit_json, note, until_stopped, working
from fabcore.errors import FabricError

BATCH = 131_072  # records at most in one step: a row group
PROGRESS_S = 1.0


def record_command(
    ring: Path,
    out: Path,
    start: str,
    rotate_mib: float,
    rotate_s: float,
    prefix: str,
    interval_s: float,
    json: bool,
) -> None:
    """Runs the command with its options as given; returns when a signal has ended it."""
    if not interval_s > 0:
        raise FabricError(f"--interval {interval_s:g}: use more than 0 seconds")
    if start not in ("oldest", "now"):
        raise FabricError(f"--start {start!r}: use 'oldest' or 'now'")
    if not 0 < rotate_mib < 1 << 40:
        raise FabricError(f"--rotate-mib {rotate_mib:g}: use more than 0")
    import fabcore
    from fabcore.observe.parquet import ParquetWriter

    with until_stopped() as stop, fabcore.Ring.open(ring) as opened:
        reader = opened.reader("oldest" if start == "oldest" else "now")
        writer = ParquetWriter(
            out, rotate_bytes=int(rotate_mib * 2**20), rotate_s=rotate_s, prefix=prefix
        )
        lost, shown, end = 0, time.monotonic(), None
        with working():
            try:
                note(f"recording {ring} into {out}; Ctrl-C ends it")
                while end is None or reader.position < end:
                    if stop.is_set() and end is None:
                        end = opened.published  # what was there when the signal came is in
                    batch = reader.to_arrow(BATCH)
                    before, lost = lost, reader.lost
                    writer.write(batch, lost - before)
                    if time.monotonic() - shown >= PROGRESS_S:
                        shown = time.monotonic()
                        note(
                            f"{writer.rows + writer.pending} rows, {lost} lost, {writer.files} files"
                        )
                    if batch.num_rows < BATCH and end is None:
                        writer.poll()
                        stop.wait(interval_s)
                writer.close()
            finally:
                reader.close()
        report = {"rows": writer.rows, "lost": lost, "files": writer.files, "folder": str(out)}
    if json:
        emit_json(report)
    else:
        emit(f"{writer.rows} rows in {writer.files} files, {lost} lost")
