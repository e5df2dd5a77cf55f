"""The BARs that a node's target stands for: one per switch."""

from __future__ import annotations

from pathlib import Path

from fabcore.errors import BarError, FabricError


def targets_of(target: str | list[str]) -> list[str]:
    """One target, a list of them, or "shm:NAME" for all switches of a shared node.

    BarError: no node of that name is running; FabricError: the list is empty.
    """
    targets = [target] if isinstance(target, str) else list(target)
    if not targets:
        raise FabricError("no target given: name one BAR per switch")
    if len(targets) > 1 or not targets[0].startswith("shm:") or "/" in targets[0]:
        return targets
    name = targets[0][4:]
    folder = Path("/dev/shm") / name
    files = sorted((f for f in folder.glob("*") if f.name.isdigit()), key=lambda f: int(f.name))
    if not files:
        raise BarError(
            f"{targets[0]}: no node of that name is running; "
            f"start one with `fabcore emulate --shm {name}`"
        )
    return [f"shm:{name}/{f.name}" for f in files]
