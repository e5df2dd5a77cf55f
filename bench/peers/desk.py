"""A process that answers allocations: a controller at 1 kHz at its desk, or a Unix socket's echo.

desk.py desk PATH | desk.py socket PATH. Says "ready" and serves until its standard input ends.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading


def desk(path: str) -> None:
    import fabcore

    with (
        fabcore.ResourceNode.emulated(realtime=True) as node,
        fabcore.Controller(node) as ctl,
    ):
        ctl.add_vm("a", host=0, module=0)
        ctl.open_desk(path)
        ctl.run(rate_hz=1000, seconds=0.2)  # kernels are loaded before anybody asks
        print("ready", flush=True)
        threading.Thread(target=lambda: (sys.stdin.read(), ctl.stop()), daemon=True).start()
        ctl.run(rate_hz=1000)


def echo(path: str) -> None:
    """The least that a service behind a socket does: reads a request, writes a reply."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        print("ready", flush=True)
        peer = listening.accept()[0]
        with peer, contextlib.suppress(ConnectionError):
            while data := peer.recv(512):
                peer.sendall(data[:1])


if __name__ == "__main__":
    {"desk": desk, "socket": echo}[sys.argv[1]](sys.argv[2])
