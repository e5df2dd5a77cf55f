"""A topology as the emulator wants it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fabcore.topology import Topology

KIND_IDS = {"fabric": 1, "module": 2, "host": 3, "management": 4}
ARBITRATION_IDS = {"none": 0, "mfvc": 1, "shaper": 2}


def emulated_node(topology: Topology, seed: int = 0, shm: str | None = None) -> Any:
    """The emulator (fabcore._core.EmulatedNode) of a topology."""
    from fabcore._core import EmulatedNode

    link, capacity = topology.egress_link, topology.capacity
    ports = []
    for p in topology.ports:
        peer = topology.peer.get((p.switch, p.port), (0xFF, 0xFF))
        rate = float(capacity[link[p.switch, p.port]]) if (p.switch, p.port) in link else 0.0
        ports.append(
            (p.switch, p.port, KIND_IDS[p.kind], p.index, p.gen, p.lanes, p.width, *peer, p.phases,
             rate)
        )  # fmt: skip
    return EmulatedNode(
        switches=[s.device_id for s in topology.switches],
        ports=ports,
        routes=[[q if q >= 0 else 0xFF for q in row] for row in topology.route_port],
        modules=[
            (ARBITRATION_IDS[m.arbitration], m.vfs, int(m.supply_w)) for m in topology.module_specs
        ],
        mps=topology.mps,
        mrrs=topology.mrrs,
        seed=seed,
        name=topology.name,
        shm=shm,
    )


def of_chips(topology: Topology, device_id: int) -> Topology:
    """The same node made of other chips; no port is faster than its chip's generation."""
    return replace(
        topology,
        switches=tuple(replace(s, device_id=device_id) for s in topology.switches),
        ports=tuple(replace(p, gen=min(p.gen, device_id >> 12)) for p in topology.ports),
    )
