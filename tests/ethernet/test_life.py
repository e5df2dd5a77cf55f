"""Commands that never complete, switches that vanish, nodes that close and start again."""

from __future__ import annotations

import socket

import pytest
from channels import ECHO, alive
from served import Served
from wire import LOCAL, OPEN, Channel, header, mrpc_packet

from fabcore import FabricError, ResourceNode
from fabcore._core import Ethernet


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


def test_a_node_that_is_controlled_here_is_served_until_it_closes() -> None:
    with ResourceNode.emulated() as node:
        server = node.serve_ethernet(port=0)
        channel = Channel.opened(server.addresses[3])
        assert channel.mrpc(LOCAL | 0x81, wanted=1) == (0, b"\3")
        with pytest.raises(FabricError, match="--listen-any"):
            node.serve_ethernet("10.1.2.3")
        dropped = node.serve_ethernet("127.0.0.9", 0).addresses[0]  # kept by nobody
        with pytest.raises(ConnectionRefusedError):
            Channel(dropped)
    assert channel.at_end()
    channel.close()
    with pytest.raises(FabricError, match="closed"):
        server.counters()
