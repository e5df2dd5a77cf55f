"""Two processes and two rings: one that a slow reader loses records from, and one that waits.

The producer publishes the same records into a followed ring, whose writer never waits, and into an
index ring, whose producer finds it full and tries again. The consumer is late on purpose: it has
to account for what the followed ring no longer holds, and misses nothing of the index ring.

    python examples/two_processes.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from fabcore import RECORD, IndexRing, Ring

RECORDS, BLOCK, CAPACITY = 100_000, 250, 1024


def produce(folder: Path) -> None:
    """Publishes numbered records into both rings, block by block."""
    index = IndexRing.create(folder / "index", CAPACITY)
    with Ring.create(folder / "followed", CAPACITY) as followed, index:
        print("ready", flush=True)
        sys.stdin.readline()  # the reader is there: what it does not get, it counts as lost
        for first in range(0, RECORDS, BLOCK):
            block = np.zeros(BLOCK, RECORD)
            block["aux"] = np.arange(first, first + BLOCK)
            followed.publish(block)  # never waits
            pushed = index.push(block)
            while pushed < BLOCK:  # full: wait for the consumer, nothing may be lost
                if not index.other_alive:
                    sys.exit("the consumer is gone: nobody will make room")
                time.sleep(1e-4)
                pushed += index.push(block[pushed:])


def take_all(index: IndexRing, producer: subprocess.Popen[str]) -> tuple[int, int]:
    """Everything that the producer pushes: how many records, and the sum of what they carry."""
    received = total = 0
    while received < RECORDS:
        run = index.peek(4096)  # in place: the ring's own memory, until it is released
        total += int(run["aux"].sum())
        received += index.release(len(run))
        if not len(run):
            if producer.poll():
                sys.exit("the producer has failed")
            time.sleep(1e-4)
    return received, total


def consume(folder: Path) -> None:
    """Reads both rings and prints what came, what was lost and whether it adds up."""
    index = IndexRing.create(folder / "index", CAPACITY, role="consumer")  # whoever comes first
    # A process of its own, not a fork: a handle does not survive fork().
    with subprocess.Popen(
        [sys.executable, __file__, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as producer:
        assert producer.stdin is not None and producer.stdout is not None
        if producer.stdout.readline() != "ready\n":
            sys.exit("the producer has failed")
        with Ring.open(folder / "followed") as followed:
            reader = followed.reader("oldest")
            producer.stdin.write("go\n")
            producer.stdin.flush()
            received, total = take_all(index, producer)
            read = 0
            while len(records := reader.read(4096)):  # late on purpose: most of it is gone
                read += len(records)
            lost, published = reader.lost, followed.published
            reader.close()
    index.close()
    sums = "as sent" if total == RECORDS * (RECORDS - 1) // 2 else "WRONG"
    print(f"index ring: {received} of {RECORDS} received, their sum {sums}")
    print(f"followed ring: {read} read + {lost} lost = {published} published")


def main() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:  # a tmpfs: memory, not a disk
        consume(Path(folder))


if __name__ == "__main__":
    if len(sys.argv) == 2:
        produce(Path(sys.argv[1]))
    else:
        main()
