"""Connections: the handshake, packets that come in any pieces, and what is refused without harm."""

from __future__ import annotations

import socket
import struct
import threading
import time

import pytest
from channels import ECHO, alive, inverse, until
from served import Served
from wire import CMD, LOCAL, OPEN, Channel, gas_read_packet, header, mrpc_packet


def test_both_channels_open_with_the_exact_answer(served: Served) -> None:
    alive(served.command())
    assert served.event().silent(0.05)
    assert served.server.counters()["connections"] == 2


@pytest.mark.parametrize(
    ("instance", "service", "code"), [(1, 1, 1), (255, 2, 1), (0, 0, 2), (0, 3, 2), (0, 255, 2)]
)
def test_an_unknown_instance_or_service_is_rejected(
    served: Served, instance: int, service: int, code: int
) -> None:
    channel = served.connect()
    reply = channel.ask_open(service, instance)
    assert reply == header(3, OPEN, wanted=code, instance=instance, service=service)
    assert channel.at_end()
    until(lambda: served.server.counters()["refused"] == 1)
    alive(served.command())


def test_packets_may_come_byte_by_byte(served: Served) -> None:
    channel = served.connect()
    stream = header(1, OPEN, 0xFFFF, service=1) + mrpc_packet(LOCAL | ECHO, b"abcd", 4)
    stream += gas_read_packet(0x2000, 4)
    for k in range(len(stream)):
        channel.send(stream[k : k + 1])
    assert channel.exactly(16)[6] == 2
    assert channel.mrpc_reply(4) == (0, inverse(b"abcd"))
    assert channel.packet()[1] == struct.pack("<II", 0, 0x5200)


def test_many_packets_may_come_in_one_segment(served: Served) -> None:
    channel = served.connect()
    words = [struct.pack("<I", k * 0x00801003) for k in range(500)]
    requests = b"".join(mrpc_packet(LOCAL | ECHO, w, 4) for w in words)
    channel.send(header(1, OPEN, service=1) + requests)
    assert channel.exactly(16)[6] == 2
    assert [channel.mrpc_reply(4) for _ in words] == [(0, inverse(w)) for w in words]


def test_the_longest_requests_and_answers_pass(served: Served) -> None:
    channel = served.command()
    assert channel.mrpc(served.word(ECHO), b"\xf0" * 1024, 1024) == (0, b"\x0f" * 4 + bytes(1020))
    data = bytes(k % 251 for k in range(1024))
    assert channel.gas_write(0, data) == 0
    assert channel.gas_read(0, 1024) == data
    assert channel.gas_read(0x3FFC00, 1024) == bytes(1024)
    assert channel.gas_read(0, 0) == b""
    assert channel.gas_write(0, b"") == 0


@pytest.mark.parametrize("offset", [0x400000, 0x3FFFFF, 0xFFFFFFFF])
def test_registers_outside_the_window_answer_ones_in_full_length(
    served: Served, offset: int
) -> None:
    channel = served.command()
    result, data = channel.gas_read_result(offset, 8)
    assert (result, data) == (0x64006, b"\xff" * 8)
    assert channel.gas_write(offset, bytes(8)) == 0x64006
    alive(channel)


MALFORMED = {
    "signature": header(1, CMD, 8, 4, signature=b"mlsS") + bytes(8),
    "version": header(1, CMD, 8, 4, version=2) + bytes(8),
    "type": header(1, 0xB3, 8, 4) + bytes(8),
    "function 0": header(0, CMD, 8, 4) + bytes(8),
    "an answer": header(3, CMD, 8, 4) + bytes(8),
    "an event": header(4, CMD),
    "no command word": header(1, CMD, 3, 4) + bytes(3),
    "no body": header(1, CMD, 0, 4),
    "input too long": header(1, CMD, 4 + 1025, 4),
    "output too long": header(1, CMD, 8, 1025) + bytes(8),
    "longest of all": header(1, CMD, 0xFFFF, 0xFFFF),
    "GAS without a count": header(2, CMD, 11) + bytes(11),
    "GAS too long": header(2, CMD, 12 + 1025),
    "GAS read of too much": gas_read_packet(0, 1025),
    "GAS read with data": header(2, CMD, 16) + struct.pack("<IIHHI", 0x1001, 0, 4, 0, 0),
    "GAS write shorter than it says": header(2, CMD, 14)
    + struct.pack("<IIHHH", 0x1002, 0, 4, 0, 0),
    "GAS write longer than it says": header(2, CMD, 16) + struct.pack("<IIHHI", 0x1002, 0, 2, 0, 0),
    "GAS command": header(2, CMD, 12) + struct.pack("<IIHH", 0x1003, 0, 4, 0),
    "a second open": header(1, OPEN, service=1),
    "an accept": header(2, OPEN, service=1),
    "garbage": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("packet", MALFORMED.values(), ids=MALFORMED)
def test_what_the_protocol_does_not_allow_closes_that_connection_only(
    served: Served, packet: bytes
) -> None:
    other, channel = served.command(), served.command()
    alive(channel)
    channel.send(packet)
    assert channel.at_end()
    until(lambda: served.server.counters()["malformed"] == 1)
    alive(other)
    alive(served.command())


def test_commands_before_the_handshake_and_on_event_channels_are_refused(served: Served) -> None:
    for channel in (served.connect(), served.event()):
        channel.send(mrpc_packet(LOCAL | ECHO, bytes(4), 4))
        assert channel.at_end()
    until(lambda: served.server.counters()["malformed"] == 2)
    assert served.server.counters()["commands"] == 0


def test_a_waiting_client_is_told_of_the_close(served: Served) -> None:
    channel = served.command()
    channel.send(header(1, CMD, 0xFFFF, 4))
    assert channel.exactly(16) == header(4, OPEN), "function 4, type B1: the client's own error"
    assert channel.at_end()


def test_a_close_packet_ends_the_connection_without_complaint(served: Served) -> None:
    channel = served.command()
    channel.send(header(4, OPEN))
    assert channel.at_end()
    until(lambda: served.server.counters()["open"] == 0)
    assert served.server.counters()["malformed"] == 0


def test_a_client_that_dies_within_a_packet_costs_nothing(served: Served) -> None:
    other = served.command()
    whole = mrpc_packet(LOCAL | ECHO, bytes(4), 4)
    for n in range(1, len(whole)):
        dying = served.command()
        dying.send(whole[:n])
        if n % 2:  # by a reset instead of an orderly end
            linger = struct.pack("ii", 1, 0)
            dying.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        dying.close()
    until(lambda: served.server.counters()["open"] == 1)
    alive(other)


def test_answers_are_sent_although_the_client_said_its_last(served: Served) -> None:
    channel = served.command()
    channel.send(mrpc_packet(LOCAL | ECHO, b"last", 4))
    channel.socket.shutdown(socket.SHUT_WR)
    assert channel.mrpc_reply(4) == (0, inverse(b"last"))
    assert channel.at_end()


def test_a_client_that_reads_nothing_is_not_read_any_more_and_holds_up_nobody(
    served: Served,
) -> None:
    slow, other = served.command(), served.command()
    request, sent, full = gas_read_packet(0x2000, 1024) * 64, 0, False
    slow.socket.setblocking(False)
    while not full:
        assert sent < 1 << 26, "the server reads without end for a client that takes nothing"
        try:
            sent += slow.socket.send(request[sent % 28 :])
        except BlockingIOError:
            before = served.server.counters()["commands"]
            alive(other)
            time.sleep(0.2)
            full = served.server.counters()["commands"] == before + 1
    alive(other)
    slow.socket.settimeout(20)
    expected = struct.pack("<II", 0, 0x5200)
    for _ in range(sent // 28):  # and it gets all of its answers in the end
        head, body = slow.packet()
        assert (head.function, head.body, body[:8]) == (5, 1028, expected)
    slow.send(request[sent % 28 : 28] if sent % 28 else b"")
    if sent % 28:
        assert slow.packet()[1][:8] == expected
    alive(slow)


def test_two_hundred_clients_get_their_own_answers(served: Served) -> None:
    clients = [served.command(k % 4) for k in range(200)]
    for turn in range(20):
        words = [struct.pack("<I", turn << 16 | k) for k in range(len(clients))]
        for client, w in zip(clients, words, strict=True):
            client.send(mrpc_packet(LOCAL | ECHO, w, 4))
        for client, w in reversed(list(zip(clients, words, strict=True))):
            assert client.mrpc_reply(4) == (0, inverse(w))
    assert served.server.counters()["open"] == 200
    for client in clients:
        client.close()
    until(lambda: served.server.counters()["open"] == 0)


def test_answers_are_never_mixed_among_threads(served: Served) -> None:
    wrong: list[object] = []

    def talk(k: int) -> None:
        with Channel.opened(served.server.addresses[k % 4]) as channel:
            for turn in range(150):
                data = struct.pack("<HH", k, turn)
                if channel.mrpc(LOCAL | ECHO, data, 4) != (0, inverse(data)):
                    wrong.append((k, turn))
                n = 1 + (k * 37 + turn * 11) % 512
                if channel.gas_read(0x2000, n)[:4] != struct.pack("<I", 0x5200)[:n]:
                    wrong.append((k, turn, n))
                if channel.mrpc(LOCAL | 0x81, wanted=1) != (0, bytes([k % 4])):
                    wrong.append((k, turn, "pax"))

    threads = [threading.Thread(target=talk, args=(k,)) for k in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert served.server.counters()["commands"] == 12 * 150 * 3


def test_clients_that_never_open_are_limited_and_the_oldest_goes(served: Served) -> None:
    working = served.command()
    idle = [served.connect() for _ in range(300)]
    until(lambda: served.server.counters()["connections"] == 301)
    assert served.server.counters()["open"] == 1 + 256
    assert idle[0].at_end()
    assert idle[-1].ask_open(1)[6] == 2
    alive(working)


def test_connections_beyond_the_limit_are_refused_until_some_leave(served: Served) -> None:
    clients = [served.command() for _ in range(512)]
    assert served.connect().at_end()
    until(lambda: served.server.counters()["refused"] == 1)
    alive(clients[0])
    clients.pop().close()
    until(lambda: served.server.counters()["open"] == 511)
    alive(served.command())
