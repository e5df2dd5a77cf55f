"""What tests of connections ask of a channel: that it answers, that something comes about."""

from __future__ import annotations

import time
from collections.abc import Callable

from wire import LOCAL, Channel

ECHO = 0x41


def inverse(data: bytes) -> bytes:
    return bytes(0xFF ^ b for b in data)


def until(condition: Callable[[], bool]) -> None:
    """Waits for what the server's thread does a moment later."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def alive(channel: Channel) -> None:
    assert channel.mrpc(LOCAL | ECHO, b"\1\2\3\4", 4) == (0, inverse(b"\1\2\3\4"))
