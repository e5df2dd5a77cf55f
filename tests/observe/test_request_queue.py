"""The request queue from Python: threads, processes, what is refused, a server that dies."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import fabcore
from fabcore import FabricError, RequestQueue


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue"


def echo(queue: RequestQueue, count: int) -> None:
    """Answers `count` requests with their bytes reversed; "fail" with an error."""
    while count:
        request = queue.take()
        if request is None:
            queue.wait(10.0)
        elif request.data == b"fail":
            assert queue.reply(request, error=errno.ENOSPC)
            count -= 1
        else:
            assert queue.reply(request, request.data[::-1])
            count -= 1


def test_many_threads_get_their_own_answers(path: Path) -> None:
    with RequestQueue.create(path, slots=4) as server, RequestQueue.open(path) as client:
        serving = threading.Thread(target=echo, args=(server, 301))
        serving.start()
        with ThreadPoolExecutor(8) as pool:
            texts = [f"request {k}".encode() for k in range(300)]
            assert list(pool.map(lambda t: client.call(t, 30.0), texts)) == [t[::-1] for t in texts]
        with pytest.raises(FabricError, match="no space"):
            client.call(b"fail", 30.0)
        serving.join()


def test_request_knows_its_client_and_is_answered_once(path: Path) -> None:
    with RequestQueue.create(path) as server, RequestQueue.open(path) as client:
        with ThreadPoolExecutor(1) as pool:
            called = pool.submit(client.call, b"x", 30.0)
            assert server.wait(10.0)
            request = server.take()
            assert request is not None and request.pid == os.getpid() and request.data == b"x"
            with pytest.raises(FabricError, match="longer than"):
                server.reply(request, b"y" * 257)
            assert server.reply(request, b"")
            assert called.result() == b""
        with pytest.raises(FabricError, match="answered"):
            server.reply(request, b"again")


def test_call_that_nobody_answers_ends_in_time(path: Path) -> None:
    with RequestQueue.create(path) as server, RequestQueue.open(path) as client:
        with pytest.raises(FabricError, match=r"no reply within 0\.05 s"):
            client.call(b"x", 0.05)
        assert server.take() is None
    with RequestQueue.open(path) as client, pytest.raises(FabricError, match="no live server"):
        client.call(b"x", 30.0)


def test_bad_input_is_refused_and_named(path: Path) -> None:
    with pytest.raises(FabricError, match="there is none"):
        RequestQueue.open(path)
    for bad in ({"slots": 3}, {"slots": 2048}, {"request_bytes": 0}, {"reply_bytes": 1 << 20}):
        with pytest.raises(FabricError, match=str(next(iter(bad.values())))):
            RequestQueue.create(path, **bad)
    assert not path.exists()
    with RequestQueue.create(path, request_bytes=8) as server, RequestQueue.open(path) as client:
        with pytest.raises(FabricError, match="longer than"):
            client.call(b"123456789")
        with pytest.raises(FabricError, match="timeout"):
            client.call(b"1", float("nan"))
        with pytest.raises(FabricError, match="take is the server's"):
            client.take()
        with pytest.raises(FabricError, match="live process holds it"):
            RequestQueue.create(path, request_bytes=8)
        assert (server.request_bytes, client.reply_bytes) == (8, 256)
        assert path.stat().st_mode & 0o777 == 0o600


def _serve(path: str) -> None:
    echo(RequestQueue.create(path), -1)


def test_killed_server_is_noticed_and_replaced(path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    first = spawn.Process(target=_serve, args=(str(path),))
    first.start()
    while not path.exists():
        time.sleep(0.01)
    with RequestQueue.open(path) as client:
        assert client.call(b"abc", 30.0) == b"cba"
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
        first.join()
        with pytest.raises(FabricError, match="no live server"):
            client.call(b"abc", 30.0)
        second = spawn.Process(target=_serve, args=(str(path),))
        second.start()
        answer, end = b"", time.monotonic() + 30
        while not answer and time.monotonic() < end:
            try:
                answer = client.call(b"abc", 30.0)
            except FabricError:
                time.sleep(0.02)
        assert answer == b"cba"
        second.kill()
        second.join()


def test_close_refuses_while_a_call_is_under_way(path: Path) -> None:
    with RequestQueue.create(path) as server, ThreadPoolExecutor(1) as pool:
        client = RequestQueue.open(path)
        called = pool.submit(client.call, b"x", 30.0)
        assert server.wait(10.0)
        with pytest.raises(FabricError, match="under way"):
            client.close()
        request = server.take()
        assert request is not None
        server.reply(request, b"y")
        assert called.result() == b"y"
    client.close()
    with pytest.raises(FabricError, match="closed"):
        client.call(b"x")
    assert fabcore.RequestQueue is RequestQueue
