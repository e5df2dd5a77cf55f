"""The rings and the request queue beside their peers; prints the section `rings` of docs/numbers.md.

Every program runs in PROCESSES fresh processes, and in each of them the rounds of all queues are
taken in turn. A process's figure is its best round: the median moves with whoever else is at work.
A row shows the least and the median over the processes; a ratio is taken within each process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))

import tables

from build import build

PROCESSES = 5
BATCHES, CAPACITIES = (1, 8, 64, 256), (1024, 16384)
PYTHON = (  # transport, records
    ("followed ring", 1 << 20),
    ("index ring", 1 << 20),
    ("multiprocessing.Queue, blocks", 1 << 18),
    ("multiprocessing.Queue, one by one", 1 << 13),
    ("faster-fifo, blocks", 1 << 18),
    ("faster-fifo, put_many of 64", 1 << 15),
    ("pyzmq ipc, blocks", 1 << 18),
    ("pyzmq ipc, one by one", 1 << 14),
    ("iceoryx2, blocks", 1 << 20),
)

# What one process printed: queue -> its line.
Lines = dict[str, dict[str, Any]]


def main() -> None:
    before, start = os.getloadavg(), time.monotonic()
    rings, request = build("rings"), build("request")
    runs: dict[str, list[Lines]] = {}

    def run(name: str, program: Path, *arguments: object) -> None:
        runs.setdefault(name, []).append(lines(program, *arguments))

    for _ in range(PROCESSES):
        run("limits", rings, "limits", 9)
        for capacity in CAPACITIES:
            for batch in BATCHES:
                run(f"pair {batch} {capacity}", rings, "pair", batch, capacity, 12)
        run("latency", rings, "latency", 1024, 15)
        for batch in (1, 64):
            run(f"one writer {batch}", rings, "one-writer", batch, 1024, 5)
            run(f"two writers {batch}", rings, "writers", 0, batch, 32768, 5)
            run(f"crowded {batch}", rings, "writers", 1, batch, 16384, 2)
        for readers in (1, 2, 4):
            run(f"readers {readers} 0", rings, "readers", readers, 256, 16384, 0)
            run(f"readers {readers} 1", rings, "readers", readers, 64, 65536, 64000)
        run("request 0", request, 10, 0)
        run("request 1", request, 2, 2_000_000)
        runs.setdefault("python", []).append(python())
    text = (
        f"\n## rings\n\n`python bench/run.py --only rings`: {PROCESSES} processes of each program, "
        f"rounds of all queues in turn, {time.monotonic() - start:.0f} s. Load "
        f"{load(before)} before, {load(os.getloadavg())} after, on {os.cpu_count()} cores: rounds "
        "in which the kernel took a core away are put aside.\n"
    )
    text += tables.pairs(runs, BATCHES, CAPACITIES) + tables.limits(runs, BATCHES)
    text += tables.latency(runs["latency"]) + tables.writers(runs) + tables.readers(runs)
    print(text + tables.requests(runs) + tables.python(runs["python"]))


def load(average: tuple[float, float, float]) -> str:
    return ", ".join(f"{x:.2f}" for x in average)


def lines(program: Path, *arguments: object) -> Lines:
    """One process of a program; its JSON lines by the name of the queue."""
    command = [str(program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {line.get("name", "followed ring"): line for line in found}


def python() -> Lines:
    """A process of each Python transport; one whose package is missing stays away."""
    script = Path(__file__).resolve().parent / "peers" / "python_rings.py"
    found: Lines = {}
    for name, records in PYTHON:
        command = [sys.executable, str(script), name, str(records)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode == 0:
            found[name] = json.loads(done.stdout)
        elif "ModuleNotFoundError" not in done.stderr:
            sys.exit(f"{name}: {done.stderr.strip()}")
    return found


if __name__ == "__main__":
    main()
