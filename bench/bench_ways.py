"""The ways into an emulated node from outside: the management protocol over TCP."""

from __future__ import annotations

import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fabcore._core import Ethernet
from fabcore.emulated import emulated_node
from fabcore.topology import Topology

HEADER = ">4sBBBBBBHHH"
GAS_READ, MRPC = 2, 1
DUMP_READS, READ_BYTES = 8192, 512
ECHOES = 2000


def header(function: int, kind: int, body: int = 0, wanted: int = 0, service: int = 0) -> bytes:
    return struct.pack(HEADER, b"mlss", 1, 0, function, kind, 0, service, body, wanted, 0)


def gas_read(offset: int, n: int) -> bytes:
    return header(GAS_READ, 0xB2, 12) + struct.pack("<IIHH", 0x1001, offset, n, 0)


def echo() -> bytes:
    return header(MRPC, 0xB2, 8, 4) + struct.pack("<II", 0x007C0041, 0x12345678)


def connected(address: tuple[str, int]) -> socket.socket:
    made = socket.create_connection(address)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def exchange(channel: socket.socket, requests: list[bytes], answer: int) -> None:
    """One request at a time, as the vendor's tool asks."""
    buffer = memoryview(bytearray(answer))
    send, take = channel.sendall, channel.recv_into
    for request in requests:
        send(request)
        got = take(buffer)
        while got < answer:
            got += take(buffer[got:])


@pytest.fixture
def management() -> Iterator[socket.socket]:
    node = emulated_node(Topology.default())
    node.start()
    server = Ethernet(node, "127.0.0.1", 0)
    channel = connected(server.addresses[0])
    exchange(channel, [header(1, 0xB1, service=1)], 16)
    yield channel
    channel.close()
    node.close()


def answering(folder: Path, request: int, answer: int) -> tuple[Any, socket.socket]:
    """A process that does nothing but take and answer so many bytes (tcp_answer.c)."""
    program = folder / "tcp_answer"
    source = Path(__file__).with_name("tcp_answer.c")
    subprocess.run(["cc", "-O2", source, "-o", program], check=True)
    process = subprocess.Popen([program, str(request), str(answer)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    return process, connected(("127.0.0.1", int(process.stdout.readline())))


class Asked:
    """A benchmark of requests to the node, and of as many bytes each way to the bare peer."""

    requests: list[bytes]
    answer: int
    what: str

    def test_peer(self, benchmark: Any, tmp_path: Path) -> None:
        process, channel = answering(tmp_path, len(self.requests[0]), self.answer)
        benchmark(lambda: exchange(channel, self.requests, self.answer))
        channel.close()
        process.wait()
        self.tell(benchmark, "peer: a C program that answers as many bytes", peer=True)

    def test_node(self, benchmark: Any, management: socket.socket) -> None:
        benchmark(lambda: exchange(management, self.requests, self.answer))
        self.tell(benchmark, self.what)

    def tell(self, benchmark: Any, what: str, **more: object) -> None:
        per_second = len(self.requests) / benchmark.stats.stats.median
        benchmark.extra_info |= {"what": what, "requests_per_s": per_second, **more}


@pytest.mark.benchmark(group="gas dump of one switch over TCP: 8192 reads of 512 bytes")
class TestDump(Asked):
    requests = [gas_read(READ_BYTES * k, READ_BYTES) for k in range(DUMP_READS)]  # noqa: RUF012
    answer, what = 20 + READ_BYTES, "the whole window, 4 MiB"


@pytest.mark.benchmark(group="2000 firmware commands over TCP, one after the other")
class TestEcho(Asked):
    requests = [echo()] * ECHOES
    answer, what = 24, "MRPC echo"
