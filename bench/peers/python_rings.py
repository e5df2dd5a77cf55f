"""One Python transport from one process to another: 64-byte records, checked, ns per record.

python bench/peers/python_rings.py NAME RECORDS     a JSON line; NAME as in TRANSPORTS
"""

from __future__ import annotations

import json
import mmap
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any

import numpy as np

import fabcore

BLOCK = 1024
CAPACITY = 1 << 16
PRODUCER_CPU, CONSUMER_CPU = 1, 0
WORDS = np.dtype([("word", np.uint64, 8)])  # word 0 is left to the transport


def blocks(records: int) -> Iterator[np.ndarray]:
    """The same buffer again and again, word 1 of each record its number."""
    block = np.zeros((BLOCK, 8), np.uint64)
    numbers = np.arange(BLOCK, dtype=np.uint64)
    for first in range(0, records, BLOCK):
        np.add(numbers, first, out=block[:, 1])
        yield block


class Check:
    """Counts the records received and looks at every number."""

    def __init__(self) -> None:
        self.received = 0
        self._numbers = np.arange(CAPACITY, dtype=np.uint64)

    def __call__(self, rows: np.ndarray) -> None:
        numbers = rows.reshape(-1, 8)[:, 1]
        if not np.array_equal(numbers - np.uint64(self.received), self._numbers[: len(numbers)]):
            sys.exit(f"records wrong or out of order: {numbers[:3]}.. for {self.received}")
        self.received += len(numbers)


# A transport: (folder, records) -> what the two processes do. `send` runs in the child.
Ends = tuple[Callable[[], Callable[[], None]], Callable[[Check], None]]


def fabcore_ring(folder: str, records: int) -> Ends:
    """The followed ring; its writer never waits, so the reader says how far it has come."""
    path, come = f"{folder}/ring", np.frombuffer(mmap.mmap(-1, mmap.PAGESIZE), np.uint64)
    fabcore.Ring.create(path, CAPACITY).close()

    def send() -> Callable[[], None]:
        ring = fabcore.Ring.create(path, CAPACITY)

        def go() -> None:
            sent = 0
            for block in blocks(records):
                while sent + BLOCK > int(come[0]) + CAPACITY:
                    time.sleep(0)
                sent += ring.publish(block.reshape(-1).view(fabcore.RECORD))

        return go

    def receive(check: Check) -> None:
        reader = fabcore.Ring.open(path).reader()
        into = np.empty(4 * BLOCK, fabcore.RECORD)
        while check.received < records:
            n = reader.read_into(into)
            if n:
                check(into[:n].view(np.uint64))
                come[0] = check.received
        if reader.lost:
            sys.exit("records were lost")

    return send, receive


def fabcore_index(folder: str, records: int) -> Ends:
    """The index ring, pushed and looked at in place."""
    path = f"{folder}/index"
    index: Any = fabcore.IndexRing  # type: ignore[attr-defined]

    def send() -> Callable[[], None]:
        ring = index.create(path, CAPACITY, WORDS, "producer")

        def go() -> None:
            for block in blocks(records):
                rows, done = block.reshape(-1).view(WORDS), 0
                while done < BLOCK:
                    done += ring.push(rows[done:])

        return go

    ring = index.create(path, CAPACITY, WORDS, "consumer")

    def receive(check: Check) -> None:
        while check.received < records:
            run = ring.peek(4 * BLOCK)
            if len(run):
                check(run.view(np.uint64))
                ring.release(len(run))

    return send, receive


def mp_queue(size: int) -> Callable[[str, int], Ends]:
    def transport(folder: str, records: int) -> Ends:
        queue: Any = multiprocessing.get_context("fork").Queue(CAPACITY // size)

        def send() -> Callable[[], None]:
            return lambda: each(records, size, queue.put)

        return send, lambda check: drain(check, records, queue.get)

    return transport


def faster(size: int) -> Callable[[str, int], Ends]:
    def transport(folder: str, records: int) -> Ends:
        import faster_fifo

        queue = faster_fifo.Queue(64 * CAPACITY, loads=bytes, dumps=bytes)

        def send() -> Callable[[], None]:
            def go() -> None:
                for block in blocks(records):
                    raw = block.tobytes()
                    if size == BLOCK:
                        queue.put(raw, timeout=60.0)
                        continue
                    rows = [raw[i : i + 64] for i in range(0, len(raw), 64)]
                    for i in range(0, BLOCK, 64):
                        queue.put_many(rows[i : i + 64], timeout=60.0)

            return go

        def receive(check: Check) -> None:
            while check.received < records:
                many = queue.get_many(timeout=60.0, max_messages_to_get=BLOCK)
                check(np.frombuffer(b"".join(many), np.uint64))

        return send, receive

    return transport


def zmq_ipc(size: int) -> Callable[[str, int], Ends]:
    def transport(folder: str, records: int) -> Ends:
        import zmq

        def send() -> Callable[[], None]:
            socket = zmq.Context().socket(zmq.PUSH)
            socket.linger = 0  # all has been received when it is closed
            socket.connect(f"ipc://{folder}/zmq")
            return lambda: each(records, size, socket.send)

        socket = zmq.Context().socket(zmq.PULL)
        socket.bind(f"ipc://{folder}/zmq")
        return send, lambda check: drain(check, records, socket.recv)

    return transport


def iceoryx(folder: str, records: int) -> Ends:
    """Samples of BLOCK records, loaned and looked at in place.

    Its writer gives up on a full buffer after a while, so the reader says how far it has come.
    """
    import ctypes

    import iceoryx2 as iox2

    iox2.set_log_level(iox2.LogLevel.Error)

    def service() -> Any:
        node = iox2.NodeBuilder.new().create(iox2.ServiceType.Ipc)
        name = iox2.ServiceName.new(f"fabcore-bench-{Path(folder).name}")
        builder = node.service_builder(name).publish_subscribe(iox2.Slice[ctypes.c_uint64])
        return node, builder.enable_safe_overflow(False).subscriber_max_buffer_size(
            CAPACITY // BLOCK
        ).open_or_create()

    def send() -> Callable[[], None]:
        node, made = service()
        wait = iox2.BackpressureStrategy.RetryUntilDelivered
        builder = made.publisher_builder().initial_max_slice_len(8 * BLOCK)
        publisher = builder.backpressure_strategy(wait).create()

        def go() -> None:
            for k, block in enumerate(blocks(records)):
                while (k + 1) * BLOCK > int(come[0]) + CAPACITY:
                    time.sleep(0)
                sample = publisher.loan_slice_uninit(8 * BLOCK)
                address = sample.payload_ptr
                ctypes.memmove(address, block.ctypes.data, block.nbytes)
                sample.assume_init().send()

        go.node = node  # type: ignore[attr-defined]  # lives as long
        return go

    kept, come = service(), np.frombuffer(mmap.mmap(-1, mmap.PAGESIZE), np.uint64)
    subscriber = kept[1].subscriber_builder().create()

    def receive(check: Check) -> None:
        while check.received < records:
            sample = subscriber.receive()
            if sample is not None:
                array = (ctypes.c_uint64 * (8 * BLOCK)).from_address(sample.payload_ptr)
                check(np.frombuffer(array, np.uint64))
                sample.delete()
                come[0] = check.received

    return send, receive


def each(records: int, size: int, put: Callable[[bytes], Any]) -> None:
    """Puts the records in messages of `size`."""
    for block in blocks(records):
        raw = block.tobytes()
        for i in range(0, len(raw), 64 * size):
            put(raw[i : i + 64 * size])


def drain(check: Check, records: int, get: Callable[[], bytes]) -> None:
    while check.received < records:
        check(np.frombuffer(get(), np.uint64))


TRANSPORTS: dict[str, Callable[[str, int], Ends]] = {
    "followed ring": fabcore_ring,
    "index ring": fabcore_index,
    "multiprocessing.Queue, blocks": mp_queue(BLOCK),
    "multiprocessing.Queue, one by one": mp_queue(1),
    "faster-fifo, blocks": faster(BLOCK),
    "faster-fifo, put_many of 64": faster(64),
    "pyzmq ipc, blocks": zmq_ipc(BLOCK),
    "pyzmq ipc, one by one": zmq_ipc(1),
    "iceoryx2, blocks": iceoryx,
}


def run(name: str, records: int) -> float:
    """ns per record, from the start of both ends to the last record checked."""
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="fab-bench-") as folder:
        send, receive = TRANSPORTS[name](folder, records)
        ready, received = context.Barrier(2), context.Event()
        child = context.Process(target=_child, args=(send, ready, received))
        child.start()
        os.sched_setaffinity(0, {CONSUMER_CPU})
        ready.wait()
        start = time.perf_counter_ns()
        receive(Check())
        ns = time.perf_counter_ns() - start
        received.set()
        child.join()
        if child.exitcode:
            sys.exit(f"{name}: the sender failed")
    return ns / records


def _child(send: Callable[[], Callable[[], None]], ready: Barrier, received: Event) -> None:
    os.sched_setaffinity(0, {PRODUCER_CPU})
    go = send()
    ready.wait()
    go()
    received.wait(60)  # what a peer has not delivered yet goes with its sender


if __name__ == "__main__":
    print(json.dumps({"name": sys.argv[1], "ns": run(sys.argv[1], int(sys.argv[2]))}))
    sys.stdout.flush()
    os._exit(0)
