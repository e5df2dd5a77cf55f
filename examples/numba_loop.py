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

from fabcore import RECORD, ResourceNode
from fabcore._embed import ffi, lib
from fabcore.symbols import address, fab_bar_read32, fab_reader_read, fab_ring_publish

DEVICE_ID = 0x2000  # GAS_DEVICE_ID, docs/registers.md
READS = 100_000


# nogil: other Python threads run meanwhile. A failed call is a negative number, handed back.
@njit(cache=True, nogil=True)
def sample(
    bar: int, offset: int, ring: int, record: NDArray[Any], value: NDArray[np.uint32], n: int
) -> int:
    """Reads a register n times and publishes a record for each; how many, or -errno."""
    for i in range(n):
        rc = fab_bar_read32(bar, offset, value.ctypes.data)
        if rc < 0:
            return rc
        record[0].time_ns = i
        record[0].aux = value[0]
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


def opened(open_it: Any, kind: str, *arguments: Any) -> Any:
    """A handle of the C API: what `open_it` stores behind its last argument."""
    out = ffi.new(f"{kind} **")
    rc = open_it(*arguments, out)
    if rc < 0:
        raise OSError(-rc, f"cannot open a {kind}")
    return out[0]


def main() -> None:
    name = f"numba-loop-{uuid.uuid4().hex[:8]}"
    node = ResourceNode.emulated(shm=name, realtime=True)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = str(Path(folder, "ring")).encode()
        bar = opened(lib.fab_bar_open, "fab_bar", f"shm:{name}/0".encode())
        ring = opened(lib.fab_ring_create, "fab_ring", path, 1 << 17, 64, lib.FAB_ONE_WRITER)
        reader = opened(lib.fab_reader_open, "fab_reader", ring, lib.FAB_FROM_OLDEST)
        record, value = np.zeros(1, RECORD), np.zeros(1, np.uint32)

        done = sample(address(bar), DEVICE_ID, address(ring), record, value, READS)
        count, total = follow(address(reader), np.zeros(4096, RECORD))
        print(f"{done} reads, {count} records, register 0x{total // max(count, 1):08x}")
        print(f"out of bounds: {sample(address(bar), 1 << 30, address(ring), record, value, 1)}")

        lib.fab_reader_close(reader)
        lib.fab_ring_close(ring)
        lib.fab_bar_close(bar)
    node.close()
    hits = sum(sum(kernel.stats.cache_hits.values()) for kernel in (sample, follow))
    misses = sum(sum(kernel.stats.cache_misses.values()) for kernel in (sample, follow))
    print(f"from the cache: {hits} of {hits + misses} kernels")


if __name__ == "__main__":
    main()
