"""observe: what every VM moves over PCIe, as 64-byte records in lock-free rings."""

from __future__ import annotations

import numpy as np

# One telemetry record (contract.md section 4); counters are cumulative bytes, time is UTC ns.
RECORD = np.dtype(
    [
        ("seq", "<u8"),
        ("time_ns", "<u8"),
        ("vm", "<u4"),
        ("source", "<u2"),
        ("flags", "<u2"),
        ("up_bytes", "<u8"),
        ("down_bytes", "<u8"),
        ("up_backlog", "<u8"),
        ("down_backlog", "<u8"),
        ("aux", "<u8"),
    ]
)
assert RECORD.itemsize == 64

__all__ = ["RECORD"]
