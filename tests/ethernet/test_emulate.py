"""`fabcore emulate --listen`: the ready line, the protocol's own port, the end, and chips of any kind."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from channels import alive
from table import u32
from wire import EVENT, LOCAL, Channel

PORT = 54545


@pytest.fixture
def address() -> str:
    """A loopback address that other runs of the tests do not take."""
    pid = os.getpid()
    return f"127.{64 + pid % 64}.{pid >> 6 & 0xFF}.{1 + 8 * (pid >> 14 & 7)}"


def after(address: str, k: int) -> str:
    head, last = address.rsplit(".", 1)
    return f"{head}.{int(last) + k}"


@contextlib.contextmanager
def emulate(*args: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A node in another process, and its first line."""
    command = [sys.executable, "-m", "fabcore", "emulate", *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline()
        finally:
            process.kill()


def test_switch_k_answers_at_the_address_plus_k_once_ready_is_said(address: str) -> None:
    with emulate("--listen", address) as (process, line):
        ways = [f"tcp:{after(address, k)}:{PORT}" for k in range(4)]
        assert line == f"ready {' '.join(ways)} switches 4\n"
        for k in range(4):
            with Channel.opened((after(address, k), PORT)) as channel:
                assert channel.mrpc(LOCAL | 0x81, wanted=1) == (0, bytes([k]))
        process.terminate()
        assert process.wait(30) == 0
        with pytest.raises(ConnectionRefusedError):
            Channel((address, PORT))


def test_shared_memory_and_tcp_are_the_same_registers(address: str) -> None:
    from fabcore import Bar

    name = f"fabcore-test-{os.getpid()}-tcp"
    with emulate("--shm", name, "--listen", address, "--json") as (process, line):
        ready = json.loads(line)
        assert ready["event"] == "ready" and ready["target"] == f"shm:{name}"
        assert ready["ways"] == [f"shm:{name}"] + [
            f"tcp:{after(address, k)}:{PORT}" for k in range(4)
        ]
        bar = Bar.open(f"shm:{name}/2")
        with (
            Channel.opened((after(address, 2), PORT)) as channel,
            Channel.opened((after(address, 2), PORT), EVENT) as events,
        ):
            bar.write32(0x413C, 8)
            bar.read32(0x75000)
            assert channel.read32(0x413C) == 8
            channel.write32(0x1830, 2)
            assert bar.read32(0x1830) == 2
            bar.write32(0x0, 7)
            bar.write32(0x800, LOCAL | 0x41)  # completes with the event that was enabled
            events.wait_event()
            assert channel.gas_read(0x400, 4) == u32(0xFFFFFFF8)
        bar.close()
        process.terminate()
        assert process.wait(30) == 0


@pytest.mark.parametrize(
    ("device_id", "generation"),
    [("0x5100", 5), ("0x5000", 5), ("0x4200", 4), ("0x6160", 6), ("4100", 4)],
)
def test_any_chip_starts_although_no_controller_could_drive_it(
    address: str, device_id: str, generation: int
) -> None:
    with (
        emulate("--listen", address, "--device-id", device_id) as (_, line),
        Channel.opened((address, PORT)) as channel,
    ):
        assert line.startswith("ready ")
        assert channel.read32(0x2000) == int(device_id, 16)
        code, out = channel.mrpc(LOCAL | 0x100, u32(1), 8)
        assert (code, out[1] >> 4) == (0, generation - 4)


def test_a_node_takes_its_port_again_at_once(address: str) -> None:
    for _ in range(3):
        with (
            emulate("--listen", address) as (process, line),
            Channel.opened((address, PORT)) as channel,
        ):
            assert line.startswith("ready ")
            alive(channel)  # and it stays connected, so the server's end is the one that waits
            process.terminate()
            assert process.wait(30) == 0


def test_a_taken_address_is_named_and_no_way_is_left_open(address: str) -> None:
    name = f"fabcore-test-{os.getpid()}-taken"
    with socket.socket() as other:
        other.bind((after(address, 1), PORT))
        other.listen()
        command = [sys.executable, "-m", "fabcore", "emulate", "--shm", name, "--listen", address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{after(address, 1)}:{PORT} (switch 1): another process listens there" in done.stderr
    assert not os.path.exists(f"/dev/shm/{name}")
