"""A compiled loop that reads registers and publishes records in C, without Python in between.

The kernel calls the C functions by symbol, so its machine code can be kept on disk: the second
process that runs this loads it instead of compiling it (see the last line that it prints).

    python examples/numba_loop.py
"""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fabcore import RECORD, Bar, ResourceNode, Ring
from fabcore.symbols import address, fab_bar_get32, fab_reader_read, fab_ring_publish

DEVICE_ID = 0x2000  # GAS_DEVICE_ID, docs/registers.md
READS = 100_000


# nogil: other Python threads run meanwhile. A failed call is a negative number, handed back.
@njit(cache=True, nogil=True)
def sample(bar: int, offset: int, ring: int, record: NDArray[Any], n: int) -> int:
    """Reads a register n times and publishes a record for each; how many, or -errno."""
    for i in range(n):
        value = fab_bar_get32(bar, offset)
        if value < 0:
            return value
        record[0].time_ns = i
        record[0].aux = value
        rc = fab_ring_publish(ring, record.ctypes.data, 1)
        if rc < 0:
            return rc
    return n


@njit(cache=True, nogil=True)
def follow(reader: int, block: NDArray[Any]) -> tuple[int, int]:
    """All that is there: records, and the sum of what they carry."""
    count, total = 0, 0
    while True:
        n = fab_reader_read(reader, block.ctypes.data, len(block))
        if n <= 0:
            return count, total
        count += n
        for i in range(n):
            total += block[i].aux


def main() -> None:
    name = f"numba-loop-{uuid.uuid4().hex[:8]}"
    node = ResourceNode.emulated(shm=name, realtime=True)
    record = np.zeros(1, RECORD)
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as folder,
        Ring.create(Path(folder, "ring"), 1 << 17) as ring,
        Bar.open(f"shm:{name}/0") as bar,
    ):
        reader = ring.reader()
        done = sample(address(bar), DEVICE_ID, address(ring), record, READS)
        count, total = follow(address(reader), np.zeros(4096, RECORD))
        print(f"{done} reads, {count} records, register 0x{total // max(count, 1):08x}")
        print(f"out of bounds: {sample(address(bar), 1 << 30, address(ring), record, 1)}")
        reader.close()
    node.close()
    hits = sum(sum(kernel.stats.cache_hits.values()) for kernel in (sample, follow))
    misses = sum(sum(kernel.stats.cache_misses.values()) for kernel in (sample, follow))
    print(f"from the cache: {hits} of {hits + misses} kernels")


if __name__ == "__main__":
    main()
