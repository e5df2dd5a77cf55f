"""Markdown of the rings' measurements: each queue's figures, and ours as a ratio to the best peer's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

Lines = dict[str, dict[str, Any]]
Runs = dict[str, list[Lines]]

MISSING = "not installed (`make bench-deps`)"
INDEX = ("index ring, in place", "index ring, copy")
FOLLOWED, MANY = "followed ring", "followed ring, many writers"
PEERS = (
    "rte_ring SP/SC, zero copy", "rte_ring SP/SC, elem", "Boost spsc_queue",
    "moodycamel readerwriterqueue", "rigtorp's design (our rewrite)",
)  # fmt: skip
MULTI_PEERS = (
    "rte_ring MP/SC, elem", "rte_ring MP HTS/SC, elem", "rte_ring MP HTS/SC, zero copy",
    "rte_ring MP RTS/SC, elem", "moodycamel concurrentqueue", "moodycamel concurrentqueue, tokens",
)  # fmt: skip
PYTHON_PEERS = (
    "multiprocessing.Queue, blocks", "multiprocessing.Queue, one by one", "faster-fifo, blocks",
    "faster-fifo, put_many of 64", "pyzmq ipc, blocks", "pyzmq ipc, one by one", "iceoryx2, blocks",
)  # fmt: skip
SOCKETS = (
    "Unix stream socket",
    "Unix seqpacket socket",
    "Unix stream socket, both sides spin",
)


def best(lines: Lines, names: Iterable[str], key: str = "min") -> float:
    return min((float(lines[n][key]) for n in names if n in lines), default=float("nan"))


def ratio(
    processes: list[Lines], ours: Iterable[str], peers: Iterable[str], key: str = "min"
) -> str:
    """Best peer over ours, above 1 = ours is faster: median [least, greatest] over the processes."""
    ours, peers = tuple(ours), tuple(peers)
    each = [best(p, peers, key) / best(p, ours, key) for p in processes]
    return f"{median(each):.2f} [{min(each):.2f}, {max(each):.2f}]"


def cell(processes: list[Lines], name: str, key: str = "min", form: str = ".1f") -> str:
    """The least over the processes and their median; what is not there is named as missing."""
    values = [float(p[name][key]) for p in processes if name in p]
    return f"{min(values):{form}} ({median(values):{form}})" if values else MISSING


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n" + "".join(f"| {' | '.join(row)} |\n" for row in lines)


def grid(
    columns: dict[str, list[Lines]], names: Iterable[str], key: str = "min", form: str = ".1f"
) -> list[list[str]]:
    return [[n, *(cell(c, n, key, form) for c in columns.values())] for n in names]


def pairs(runs: Runs, batches: tuple[int, ...], capacities: tuple[int, ...]) -> str:
    text = (
        "\n**One producer, one consumer, 64-byte records**: ns per record, best process (median "
        "process). Producer on cpu 1, consumer on cpu 0; the consumer reads all 64 bytes and checks "
        "every number; four pauses after a miss. The followed ring's writer is held back by its "
        "reader here, so that no record is lost. Ratios: best peer over the better of the index "
        "ring's two forms, in the same process; median [least, greatest], above 1 = ours is faster.\n"
    )
    for capacity in capacities:
        columns = {f"batch {b}": runs[f"pair {b} {capacity}"] for b in batches}
        rows = grid(columns, (*INDEX, *PEERS, FOLLOWED))
        rows.append(
            ["**index ring to best peer**", *(ratio(c, INDEX, PEERS) for c in columns.values())]
        )
        text += table([f"{capacity} slots", *columns], rows)
    return text


def limits(runs: Runs, batches: tuple[int, ...]) -> str:
    """The index ring of 16 K slots as a share of what the machine can do."""
    found = runs["limits"]
    blocks = [n for n in found[0] if n.startswith("hand-off")]
    hand, copy = (best_of(found, names) for names in (blocks, ["memcpy in L2"]))
    text = (
        "\n**Limits**: blocks of 64 KiB handed from core to core, filled and checked like the "
        f"records: {hand:.2f} ns per record (best of "
        + ", ".join(f"{n.split(',')[1].strip()} {cell(found, n, form='.2f')}" for n in blocks)
        + f"); memcpy in L2: {copy:.2f} ns.\n"
    )
    rows = []
    for name in (*INDEX, "rte_ring SP/SC, zero copy", "Boost spsc_queue"):
        row = [name]
        for b in batches:
            here = runs[f"pair {b} 16384"]
            if name not in here[0]:
                row.append(MISSING)
                continue
            low = best_of(here, [name])
            each = [best(f, blocks) / best(h, [name]) for f, h in zip(found, here, strict=True)]
            row.append(f"{hand / low:.2f} (median {median(each):.2f}), {copy / low:.2f}")
        rows.append(row)
    return text + table(
        ["16384 slots: x hand-off, x memcpy", *(f"batch {b}" for b in batches)], rows
    )


def best_of(processes: list[Lines], names: Iterable[str]) -> float:
    names = tuple(names)
    return min(best(p, names) for p in processes)


def latency(processes: list[Lines]) -> str:
    keys = ("min", "p25", "p50", "p99", "p999")
    others = (*INDEX, *PEERS, *MULTI_PEERS)
    rows = [
        [n, *(cell(processes, n, k, ".0f") for k in keys)]
        for n in (FOLLOWED, MANY, *INDEX, *PEERS, *MULTI_PEERS)
    ]
    rows.append(
        [
            "**followed ring to best peer**",
            *(ratio(processes, [FOLLOWED], (*PEERS, *MULTI_PEERS), k) for k in keys),
        ]
    )
    rows.append(
        ["followed ring to best other", *(ratio(processes, [FOLLOWED], others, k) for k in keys)]
    )
    return (
        "\n**One-way latency**: half a round trip through two queues of 1024 slots, both sides "
        "polling; ns, best process (median process).\n"
    ) + table(["queue", "least", "p25", "p50", "p99", "p99.9"], rows)


def writers(runs: Runs) -> str:
    names = {
        "one writer": "one writer, one reader, 1024 slots",
        "two writers": "two writers fill at once",
        "crowded": "two writers and a reader",
    }
    columns = {f"{t}, batch {b}": runs[f"{k} {b}"] for k, t in names.items() for b in (1, 64)}
    rows = grid(columns, (MANY, *MULTI_PEERS))
    rows.append(
        ["**ours to best peer**", *(ratio(c, [MANY], MULTI_PEERS) for c in columns.values())]
    )
    return (
        "\n**Many writers**: ns per record. The ring's writers never wait, so they are held back by "
        "its reader here, as by a full peer. Two writers fill at once: a core each, half of 32768 "
        "slots, no reader meanwhile. Two writers and a reader: three threads on two cores, 16384 "
        "slots, who waits yields: this one is the scheduler's more than the queues'.\n"
    ) + table(["queue", *columns], rows)


def readers(runs: Runs) -> str:
    rows = []
    for paced, what in ((0, "as fast as it can"), (1, "1 M/s")):
        for n in (1, 2, 4):
            found = [p[FOLLOWED] for p in runs[f"readers {n} {paced}"]]
            rates = [f"{median([f[k] for f in found]) / 1e6:.2f}" for k in ("published", "read")]
            lost = sorted(float(f["lost"]) for f in found)
            share = f"{lost[0]:.2%} ({median(lost):.2%})"
            rows.append([f"{n}, writer {what}", *rates, share])
    return (
        "\n**Readers of one followed ring**: the writer has cpu 1 to itself and never waits, all "
        "readers share cpu 0 (two cores: four readers are four on one). As fast as it can: 16384 "
        "slots, batches of 256; 1 M/s: 65536 slots, 64 records every 64 us. Every gap is counted.\n"
    ) + table(["readers", "published M/s", "read by each M/s", "lost, best (median) process"], rows)


def requests(runs: Runs) -> str:
    text = (
        "\n**Request queue**: question and answer, 64 bytes each, between two processes; us, best "
        "process (median process). Idle: 2 ms before each question, so that the server sleeps.\n"
    )
    head, rows = ["way", "p50", "p99", "idle: p50", "idle: p99"], []
    both = [_microseconds(runs[f"request {k}"]) for k in (0, 1)]
    for name in ("request queue", *SOCKETS):
        row = [cell(p, name, k, ".1f") for p in both for k in ("p50", "p99")]
        rows.append([name, *("" if c == MISSING else c for c in row)])
    row = [ratio(p, ["request queue"], SOCKETS[:2], k) for p in both for k in ("p50", "p99")]
    return text + table(head, [*rows, ["**queue to best socket that sleeps**", *row]])


def _microseconds(processes: list[Lines]) -> list[Lines]:
    change: Callable[[Any], Any] = lambda v: v / 1e3 if isinstance(v, float | int) else v  # noqa: E731
    return [
        {n: {k: change(v) for k, v in line.items()} for n, line in p.items()} for p in processes
    ]


def python(processes: list[Lines]) -> str:
    ours = ("followed ring", "index ring")
    blocks = [n for n in PYTHON_PEERS if n.endswith("blocks")]
    rows = [[n, cell(processes, n, "ns", ".0f")] for n in (*ours, *PYTHON_PEERS)]
    rows += [
        [f"**{n} to best peer in blocks**", ratio(processes, [n], blocks, "ns")]
        for n in ours
        if n in processes[0]
    ]
    return (
        "\n**Between two Python processes**: ns per 64-byte record, blocks of 1024, made and checked "
        "in NumPy on both sides; best process (median process).\n"
    ) + table(["transport", "ns per record"], rows)
