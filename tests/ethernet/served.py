"""An emulated node of one identity with its management protocol open on free ports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from wire import COMMAND, EVENT, LOCAL, Channel, bind

from fabcore._core import Ethernet, Functions
from fabcore.emulated import emulated_node, of_chips
from fabcore.topology import Topology


@dataclass(frozen=True)
class Identity:
    """A kind of switch, and what tells it apart on the wire."""

    device_id: int
    generation: int
    pax: bool


IDENTITIES = {
    "PAX": Identity(0x5200, 5, True),
    "PSX": Identity(0x5100, 5, False),
    "PFX": Identity(0x5000, 5, False),
    "PAX4": Identity(0x4200, 4, True),
    "PSX6": Identity(0x6160, 6, False),
}


class Served:
    """The default node, all of its chips of one identity, with its management protocol open."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.node: Any = emulated_node(of_chips(Topology.default(), identity.device_id))
        self.server = Ethernet(self.node, "127.0.0.1", 0)
        self._channels: list[Channel] = []

    def command(self, switch: int = 0) -> Channel:
        return self._keep(Channel.opened(self.server.addresses[switch], COMMAND))

    def event(self, switch: int = 0, receive_bytes: int | None = None) -> Channel:
        return self._keep(Channel.opened(self.server.addresses[switch], EVENT, receive_bytes))

    def connect(self, switch: int = 0) -> Channel:
        """A connection that has not opened anything."""
        return self._keep(Channel(self.server.addresses[switch]))

    def _keep(self, channel: Channel) -> Channel:
        self._channels.append(channel)
        return channel

    def word(self, command: int, switch: int = 0) -> int:
        """The command word as a client of this identity sends it once it knows the switch: bits
        18 to 22 are the PAX id, all ones from bit 18 on where there is none, nothing on Gen6."""
        if self.identity.generation == 6:
            return command
        return (switch << 18 if self.identity.pax else 0xFFFC0000) | command

    def traffic(self, seconds: float) -> None:
        """Moves 2 GB/s up and 1 GB/s down between module 0 and host 0, both on switch 0."""
        assert self.command().mrpc(LOCAL | 0x84, bind(0, 16, 1, 0), 4)[0] == 0
        functions = Functions([self.node.bar(k) for k in range(4)])
        functions.set(0, 1, 0, 0, 0)
        functions.offer(np.zeros(1, np.int64), np.array([2e9]), np.array([1e9]))
        self.node.advance(seconds)

    def close(self) -> None:
        for channel in self._channels:
            channel.close()
        self.node.close()
