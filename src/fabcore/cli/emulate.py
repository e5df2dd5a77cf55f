"""`fabcore emulate`: an emulated node in shared memory until a signal ends it."""

from __future__ import annotations

from pathlib import Path

from fabcore.cli.base import emit, emit_json, note, until_stopped
from fabcore.errors import FabricError


def emulate_command(
    topology: Path | None,
    shm: str | None,
    listen: str | None,
    vfio_user: str | None,
    seed: int,
    print_topology: bool,
    json: bool,
    faults: Path | None = None,
) -> None:
    """Runs the command with its options as given; returns when a signal has ended it."""
    for option, value in (("--listen", listen), ("--vfio-user", vfio_user)):
        if value is not None:
            raise FabricError(f"{option} is not available yet: use --shm NAME")
    from fabcore.topology import Topology

    node_topology = Topology.default() if topology is None else Topology.load(topology)
    if faults is not None:
        from fabcore.faults import load_faults

        load_faults(faults, node_topology)  # what is wrong with it is said before anything starts
    if print_topology:
        text = node_topology.dumps()
        if json:
            emit_json({"topology": text})
        else:
            emit(text.rstrip("\n"))
        return
    if shm is None:
        raise FabricError("nobody could reach the node: name it with --shm NAME")
    _check_name(shm)
    from fabcore.resource_node import ResourceNode

    with until_stopped() as stop:
        if stop.is_set():
            return
        with ResourceNode.emulated(node_topology, seed, realtime=True, shm=shm) as node:
            if faults is not None:
                node.play_faults(faults)
            count = len(node_topology.switches)
            if json:
                emit_json({"event": "ready", "target": f"shm:{shm}", "switches": count})
            else:
                emit(f"ready shm:{shm} switches {count}")
            stop.wait()
        note(f"shm:{shm} has ended")


def _check_name(name: str) -> None:
    """A name must be one plain file name, since the node makes a folder of it in /dev/shm."""
    if not name or name.startswith(".") or "/" in name or not name.isprintable() or len(name) > 64:
        raise FabricError(f"--shm {name!r}: use up to 64 printable characters without '/'")
