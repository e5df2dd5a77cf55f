"""`fabcore emulate --vfio-user` as a client of its sockets sees it; whole guests are in tests/guest."""

from __future__ import annotations

import signal
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fabcore

VERSION, REGION_READ, REGION_WRITE = 1, 9, 10
BAR0, CONFIG = 0, 7
ECHO = 0x41


class Client:
    """The few requests of vfio-user that a look at the registers takes."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        self._socket.connect(str(path))
        self.request(VERSION, b"\0\0\1\0{}\0")

    def request(self, command: int, body: bytes) -> bytes:
        self._socket.sendall(struct.pack("<HHIII", 7, command, 16 + len(body), 0, 0) + body)
        number, answered, size, flags, error = struct.unpack("<HHIII", self._take(16))
        assert (number, answered, flags, error) == (7, command, 1, 0)
        return self._take(size - 16)

    def _take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            assert piece, "the server hung up"
            data += piece
        return data

    def read(self, region: int, offset: int, count: int) -> bytes:
        return self.request(REGION_READ, struct.pack("<QII", offset, region, count))[16:]

    def write(self, offset: int, data: bytes) -> None:
        self.request(REGION_WRITE, struct.pack("<QII", offset, BAR0, len(data)) + data)

    def close(self) -> None:
        self._socket.close()


def sockets(folder: Path) -> list[Path]:
    return [folder / "switch", *(folder / f"switch.{k}" for k in (1, 2, 3))]


@pytest.fixture
def emulated(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "fabcore", "emulate", "--vfio-user", str(tmp_path / "switch")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline()
        process.kill()


def test_ready_names_a_private_socket_per_switch(
    emulated: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    process, ready = emulated
    paths = sockets(tmp_path)
    assert ready == f"ready {' '.join(f'vfio-user:{p}' for p in paths)} switches 4\n"
    assert {stat.S_IMODE(p.stat().st_mode) for p in paths} == {0o600}
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert list(tmp_path.iterdir()) == []


def test_each_socket_is_its_own_switch(
    emulated: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    for k, path in enumerate(sockets(tmp_path)):
        client = Client(path)
        assert client.read(CONFIG, 0, 4) == bytes.fromhex("f8110052")
        client.write(0x800, struct.pack("<I", 0x007C0081))  # its index in the fabric
        assert client.read(BAR0, 0x400, 1)[0] == k
        client.write(0, b"\x01\x02\x03\x04")
        client.write(0x800, struct.pack("<I", ECHO | 0x007C0000))
        assert client.read(BAR0, 0x400, 4) == b"\xfe\xfd\xfc\xfb"
        client.close()


def test_node_in_this_process_serves_a_switch_once(tmp_path: Path) -> None:
    path = tmp_path / "switch"
    with fabcore.ResourceNode.emulated(realtime=True) as node:
        with node.serve_vfio_user(path, 2) as server:
            assert server.path == str(path)
            with pytest.raises(fabcore.FabricError, match="switch 2 is served"):
                node.serve_vfio_user(tmp_path / "other", 2)
            with pytest.raises(fabcore.FabricError, match="a live server listens there"):
                node.serve_vfio_user(path, 1)
            with pytest.raises(fabcore.TopologyError, match="no switch 9"):
                node.serve_vfio_user(path, 9)
            client = Client(path)
            client.write(0, b"here")
            assert client.read(BAR0, 0, 4) == b"here"
            client.close()
        assert not path.exists()
        kept = node.serve_vfio_user(path, 2)
    assert not path.exists()  # the node ends what serves it
    kept.close()
