"""A client of the management protocol, written from its description and from nothing in fabcore."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Self

COMMAND, EVENT = 1, 2  # service types of the opening packet
OPEN, CMD = 0xB1, 0xB2  # packet types
LOCAL = 0x1F << 18  # PAX bits of a client that does not know its switch yet
TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Header:
    """The 16 bytes before every body, as received."""

    signature: bytes
    version: int
    function: int
    kind: int
    instance: int
    service: int
    body: int
    code: int


def header(
    function: int, kind: int, body: int = 0, wanted: int = 0, *, instance: int = 0,
    service: int = 0, garbage: int = 0, signature: bytes = b"mlss", version: int = 1,
) -> bytes:  # fmt: skip
    """A header; `garbage` fills what real clients leave uninitialised."""
    return struct.pack(
        ">4sBBBBBBHHH",
        signature, version, garbage, function, kind, instance or garbage * (kind == CMD),
        service or garbage * (kind == CMD), body, wanted, garbage << 8 | garbage,
    )  # fmt: skip


class Channel:
    """One TCP connection; `opened` does the handshake."""

    def __init__(self, address: tuple[str, int], receive_bytes: int | None = None) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(TIMEOUT_S)
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def opened(
        cls, address: tuple[str, int], service: int = COMMAND, receive_bytes: int | None = None
    ) -> Self:
        channel = cls(address, receive_bytes)
        reply = channel.ask_open(service)
        assert reply == bytes.fromhex(f"6d6c7373010002b1000{service}000000000000")
        return channel

    def ask_open(self, service: int, instance: int = 0) -> bytes:
        """Sends the opening packet as clients do, its body length being garbage."""
        self.send(header(1, OPEN, 0xDEAD, 0xBEEF, instance=instance, service=service))
        return self.exactly(16)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def exactly(self, n: int) -> bytes:
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            assert more, f"closed after {len(data)} of {n} bytes"
            data += more
        return data

    def packet(self) -> tuple[Header, bytes]:
        """The next packet, header checked for what every answer has in common."""
        raw = self.exactly(16)
        signature, version, _, function, kind, instance, service, body, code, _ = struct.unpack(
            ">4sBBBBBBHHH", raw
        )
        head = Header(signature, version, function, kind, instance, service, body, code)
        assert (head.signature, head.version) == (b"mlss", 1)
        return head, self.exactly(0 if kind == OPEN else body)

    def at_end(self) -> bool:
        """Whether the server has closed: at most a close packet, then the end."""
        try:
            rest = self.socket.recv(4096)
            if rest:
                assert rest == header(4, OPEN)
                rest = self.socket.recv(1)
        except ConnectionResetError:
            return True
        return rest == b""

    # -- requests ----------------------------------------------------------------------------

    def mrpc(
        self, command: int, payload: bytes = b"", wanted: int = 0, *, garbage: int = 0xA5
    ) -> tuple[int, bytes]:
        """One firmware command by its whole word: (return code, `wanted` bytes of output)."""
        self.send(mrpc_packet(command, payload, wanted, garbage=garbage))
        return self.mrpc_reply(wanted)

    def mrpc_reply(self, wanted: int) -> tuple[int, bytes]:
        head, body = self.packet()
        assert (head.function, head.kind, head.body) == (3, CMD, 4 + wanted)
        return struct.unpack_from("<I", body)[0], body[4:]

    def gas_read(self, offset: int, n: int, *, garbage: int = 0xA5) -> bytes:
        result, data = self.gas_read_result(offset, n, garbage=garbage)
        assert result == 0
        return data

    def gas_read_result(self, offset: int, n: int, *, garbage: int = 0) -> tuple[int, bytes]:
        self.send(gas_read_packet(offset, n, garbage=garbage))
        head, body = self.packet()
        assert (head.function, head.kind, head.body) == (5, CMD, 4 + n)
        return struct.unpack_from("<I", body)[0], body[4:]

    def gas_write(self, offset: int, data: bytes, *, garbage: int = 0xA5) -> int:
        """The result word: 0 = taken."""
        body = struct.pack("<IIHH", 0x1002, offset, len(data), 0) + data
        self.send(header(2, CMD, len(body), garbage << 8, garbage=garbage) + body)
        head, answer = self.packet()
        assert (head.function, head.kind, head.body) == (5, CMD, 4)
        return int(struct.unpack("<I", answer)[0])

    def read32(self, offset: int) -> int:
        return int(struct.unpack("<I", self.gas_read(offset, 4))[0])

    def write32(self, offset: int, value: int) -> None:
        assert self.gas_write(offset, struct.pack("<I", value)) == 0

    def wait_event(self) -> None:
        """The next push of an event channel: a header without a body."""
        assert self.exactly(16) == bytes.fromhex("6d6c7373010004b20000000000000000")

    def silent(self, seconds: float) -> bool:
        """Whether nothing comes for so long."""
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(TIMEOUT_S)
        return False

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def mrpc_packet(command: int, payload: bytes = b"", wanted: int = 0, *, garbage: int = 0) -> bytes:
    body = struct.pack("<I", command) + payload
    return header(1, CMD, len(body), wanted, garbage=garbage) + body


def gas_read_packet(offset: int, n: int, *, garbage: int = 0) -> bytes:
    body = struct.pack("<IIHH", 0x1001, offset, n, garbage << 8 | garbage)
    return header(2, CMD, len(body), garbage << 8, garbage=garbage) + body


def bind(switch: int, port: int, logical: int, *pdfids: int) -> bytes:
    """Slots behind the last are stack garbage, as the client sends them."""
    slots = [struct.pack("<HBB", p, k + 1 < len(pdfids), 0xCC) for k, p in enumerate(pdfids)]
    return bytes([1, switch, port, logical]) + b"".join(slots).ljust(32, b"\xa5")


def unbind(switch: int, port: int, logical: int) -> bytes:
    return struct.pack("<BBBBHBB", 2, switch, port, logical, 0xA5A5, 2, 0)
