"""Event channels: who is told of what, and what happens to one that nobody reads."""

from __future__ import annotations

from served import Served
from wire import LOCAL, Channel, mrpc_packet

ECHO = 0x41

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
    assert channel.mrpc_reply(4) == (0, bytes(0xFF ^ b for b in b"abcd"))
