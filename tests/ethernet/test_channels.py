"""Connections: the handshake, packets that come in any pieces, and what is refused without harm."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable

import pytest
from served import Served
from wire import CMD, LOCAL, OPEN, Channel, gas_read_packet, header, mrpc_packet

from fabcore import FabricError
from fabcore._core import Ethernet

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
    request, sent = gas_read_packet(0x2000, 1024) * 64, 0
    slow.socket.setblocking(False)
    for _ in range(100_000):
        try:
            sent += slow.socket.send(request[sent % 28 :])
        except BlockingIOError:
            alive(other)
            time.sleep(0.02)
            try:
                sent += slow.socket.send(request[sent % 28 :])
            except BlockingIOError:
                break  # both directions are full, and stay so
    else:
        pytest.fail("the server reads without end for a client that takes nothing")
    alive(other)
    served_before = served.server.counters()["commands"]
    time.sleep(0.1)
    assert served.server.counters()["commands"] == served_before
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


def test_a_stuck_command_gets_no_answer_and_blocks_nobody(served: Served) -> None:
    channel, other = served.command(), served.command()
    served.node.fault(0, "mrpc-stuck", count=1)
    channel.send(mrpc_packet(LOCAL | ECHO, bytes(4), 4))
    assert channel.silent(0.2)
    alive(other)
    alive(channel)


def test_a_switch_that_is_gone_closes_its_connections_and_takes_none(served: Served) -> None:
    there, gone, events = served.command(1), served.command(0), served.event(0)
    served.node.fault(0, "gone")
    for channel in (gone, events):
        assert channel.exactly(16) == header(4, OPEN)
        assert channel.at_end()
    late = served.connect(0)
    assert late.ask_open(1) == header(3, OPEN, wanted=3, service=1)
    assert late.at_end()
    alive(there)
    served.node.fault(0, "back")
    alive(served.command(0))


def test_a_node_that_closes_ends_its_connections_and_frees_its_ports(served: Served) -> None:
    channel, addresses = served.command(), list(served.server.addresses)
    alive(channel)
    served.server.close()
    assert channel.at_end()
    with pytest.raises(ConnectionRefusedError):
        Channel(addresses[0])
    with Ethernet(served.node, *addresses[0]) as again, Channel.opened(addresses[0]) as channel:
        assert again.addresses[0] == addresses[0]
        alive(channel)


def test_an_address_in_use_is_named_with_its_switch_and_nothing_is_left(served: Served) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.9.3", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            FabricError, match=rf"^127\.0\.9\.3:{port} \(switch 2\): another process"
        ):
            Ethernet(served.node, "127.0.9.1", port)
    with Ethernet(served.node, "127.0.9.1", port) as server:
        assert server.addresses == [(f"127.0.9.{1 + k}", port) for k in range(4)]


# -- events -------------------------------------------------------------------------------------

LINK_STATE_OF_PORT_0 = 0x134000 + 0xC10 + 0x18 * 12


def enable(channel: Channel) -> None:
    channel.write32(LINK_STATE_OF_PORT_0, 9)


def flap(served: Served, switch: int = 0) -> None:
    served.node.fault(switch, "link-down", port=0)
    served.node.fault(switch, "link-up", port=0)


def settled(served: Served, seconds: float = 0.1) -> None:
    """Links may take a while of virtual time to train."""
    served.node.advance(seconds)


def test_an_event_without_its_interrupt_enabled_is_not_pushed(served: Served) -> None:
    events = served.event()
    flap(served)
    settled(served)
    assert events.silent(0.1)


def test_every_event_channel_of_that_switch_is_told_and_no_other(served: Served) -> None:
    channel = served.command()
    enable(channel)
    here, elsewhere = [served.event() for _ in range(3)], served.event(1)
    served.node.fault(0, "link-down", port=0)
    for events in here:
        events.wait_event()
    assert channel.read32(0x134000 + 0xC00) & 1 << 12, "the summary that the client then reads"
    assert elsewhere.silent(0.1)
    channel.write32(LINK_STATE_OF_PORT_0, 9)
    assert channel.read32(LINK_STATE_OF_PORT_0) == 8
    settled(served)
    served.node.fault(0, "link-up", port=0)
    settled(served)
    for events in here:
        events.wait_event()


def test_an_event_channel_that_is_not_read_takes_no_more_than_the_kernel_holds(
    served: Served,
) -> None:
    enable(served.command())
    events = served.event(receive_bytes=2048)
    seen, still = -1, 0
    for _ in range(2000):
        for _ in range(20):
            flap(served)
            settled(served, 0.2)
        pushed = served.server.counters()["events"]
        still = still + 1 if pushed == seen else 0
        seen = pushed
        if still == 10:
            break
    assert still == 10, "pushes without end"
    read = 0
    while not events.silent(0.2):
        events.wait_event()
        read += 1
    # the last of them stands for all that had no room
    assert seen < read == served.server.counters()["events"] <= seen + 2
    flap(served)
    settled(served)
    events.wait_event()


def test_a_request_that_raises_an_event_is_answered_and_told(served: Served) -> None:
    """The mailbox completes with MRPC_COMP, which the client has enabled for its interrupt."""
    channel, events = served.command(), served.event()
    channel.write32(0x4000 + 0x13C, 9)
    channel.write32(0, 0x12345678)
    channel.write32(0x800, LOCAL | ECHO)
    assert [channel.read32(at) for at in (0x804, 0x808, 0x400)] == [2, 0, 0xEDCBA987]
    events.wait_event()


def test_events_come_while_the_command_channel_is_busy(served: Served) -> None:
    channel, events = served.command(), served.event()
    enable(channel)
    channel.send(mrpc_packet(LOCAL | ECHO, b"abcd", 4)[:-1])  # in the middle of a request
    served.node.fault(0, "link-down", port=0)
    events.wait_event()
    channel.send(b"d")
    assert channel.mrpc_reply(4) == (0, inverse(b"abcd"))
