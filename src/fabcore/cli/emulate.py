"""`fabcore emulate`: an emulated node, open by the ways that were asked for, until a signal ends it."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fabcore.cli.base import emit, emit_json, note, until_stopped
from fabcore.errors import FabricError

if TYPE_CHECKING:
    from fabcore.faults import ScriptFault
    from fabcore.topology import Topology


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways in, as the options name them; None: not that one."""

    shm: str | None
    listen: str | None
    listen_any: bool
    vfio_user: str | None


def emulate_command(
    topology: Path | None,
    device_id: str | None,
    ways: Ways,
    seed: int,
    print_topology: bool,
    json: bool,
    faults: Path | None = None,
) -> None:
    """Runs the command with its options as given; returns when a signal has ended it."""
    from fabcore.faults import load_faults
    from fabcore.topology import Topology

    node = Topology.default() if topology is None else Topology.load(topology)
    if device_id is not None:
        node = _of_chips(node, device_id)
    script = () if faults is None else load_faults(faults, node)
    if print_topology:
        _print(node, json)
        return
    _check(ways)
    with until_stopped() as stop, contextlib.ExitStack() as opened:
        if stop.is_set():
            return
        names = _open(node, seed, ways, script, opened)
        if json:
            ready = {"event": "ready", "target": names[0], "ways": names}
            emit_json({**ready, "switches": len(node.switches)})
        else:
            emit(f"ready {' '.join(names)} switches {len(node.switches)}")
        stop.wait()
        note(f"{names[0]} has ended")


def _open(
    topology: Topology,
    seed: int,
    ways: Ways,
    script: tuple[ScriptFault, ...],
    opened: contextlib.ExitStack,
) -> list[str]:
    """Starts the node and opens every way in, or none; returns their names.

    The switches may be of any family: a controller's view, which takes a PAX, is not needed.
    """
    from fabcore.emulated import emulated_node
    from fabcore.faults import play

    node = opened.enter_context(contextlib.closing(emulated_node(topology, seed, ways.shm)))
    node.start()
    play(node, script)
    names = [] if ways.shm is None else [f"shm:{ways.shm}"]
    if ways.listen is not None:
        names += _listen(node, ways.listen, ways.listen_any, opened)
    if ways.vfio_user is not None:
        names += _serve_guests(node, ways.vfio_user, opened)
    return names


def _listen(node: Any, address: str, anywhere: bool, opened: contextlib.ExitStack) -> list[str]:
    from fabcore._core import Ethernet

    try:
        server = opened.enter_context(Ethernet(node, address, anywhere=anywhere))
    except FabricError as error:
        raise FabricError(f"--listen {error}") from None
    if not address.startswith("127."):
        note(
            f"warning: {address} can be reached by other machines and the management protocol has "
            "neither authentication nor encryption: whoever connects programs the switches"
        )
    return [f"tcp:{host}:{port}" for host, port in server.addresses]


def _serve_guests(node: Any, socket: str, opened: contextlib.ExitStack) -> list[str]:
    """Switch 0 at the socket's path, switch k at the path with .k behind it."""
    from fabcore._core import VfioUser

    names = []
    for k in range(node.switches):
        path = f"{socket}.{k}" if k else socket
        try:
            opened.enter_context(VfioUser(node, k, path))
        except FabricError as error:
            raise FabricError(f"--vfio-user {error}") from None
        names.append(f"vfio-user:{path}")
    return names


def _of_chips(topology: Topology, device_id: str) -> Topology:
    from fabcore.emulated import of_chips

    if not re.fullmatch("(0[xX])?[0-9a-fA-F]{4}", device_id):
        raise FabricError(f"--device-id {device_id!r}: use four hex digits, as 0x5100")
    return of_chips(topology, int(device_id, 16))


def _print(topology: Topology, json: bool) -> None:
    text = topology.dumps()
    if json:
        emit_json({"topology": text})
    else:
        emit(text.rstrip("\n"))


def _check(ways: Ways) -> None:
    """Refuses what can be refused before anything is made."""
    if ways.shm is None and ways.listen is None and ways.vfio_user is None:
        raise FabricError(
            "nobody could reach the node: use --shm NAME, --listen 127.0.0.1 or --vfio-user SOCKET"
        )
    if ways.listen_any and ways.listen is None:
        raise FabricError("--listen-any needs --listen ADDR")
    if ways.shm is not None:
        _check_name(ways.shm)


def _check_name(name: str) -> None:
    """A name must be one plain file name, since the node makes a folder of it in /dev/shm."""
    if not name or name.startswith(".") or "/" in name or not name.isprintable() or len(name) > 64:
        raise FabricError(f"--shm {name!r}: use up to 64 printable characters without '/'")
