"""The fault script: what fails in an emulated node at which time, as TOML that is checked whole."""

from __future__ import annotations

import math
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fabcore.errors import FabricError
from fabcore.topology_check import Fault as Culprit
from fabcore.topology_file import line_of

if TYPE_CHECKING:
    from fabcore.topology import Topology

MOST = 1024  # that a node remembers for later (NODE_FAULTS); a duration takes two
LONGEST_S = 1e6
CORRECTABLE_BITS, UNCORRECTABLE_BITS = 0xF1C1, 0x047FF031  # of the AER status registers
_KEYS: Final = ("at_s", "kind", "switch", "port", "count", "for_s")


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of fault takes. count: lowest and highest, None = it takes none."""

    target: str  # "switch", "port" or "module": whether it names a port, and which
    count: tuple[int, int] | None = None
    default: int = 1
    undo: str | None = None  # the kind that ends it (with count 0), so that it may last for a time
    bits: int = 0  # an error's count: a bit of this status register, or 0 = a typical one


KINDS: Final[dict[str, Kind]] = {
    "link-down": Kind("port", undo="link-up"),
    "link-up": Kind("port"),
    "link-flap": Kind("port", (1, 255)),
    "width": Kind("port", (0, 16), undo="width"),
    "speed": Kind("port", (0, 6), undo="speed"),
    "removed": Kind("module", undo="inserted"),
    "inserted": Kind("module"),
    "supply-lost": Kind("module", undo="supply-back"),
    "supply-back": Kind("module"),
    "heat": Kind("module", (0, 10_000), 200, undo="heat"),
    "correctable": Kind("port", (0, 31), 0, bits=CORRECTABLE_BITS),
    "nonfatal": Kind("port", (0, 31), 0, bits=UNCORRECTABLE_BITS),
    "fatal": Kind("port", (0, 31), 0, bits=UNCORRECTABLE_BITS),
    "all-ones": Kind("port", (1, 3_600_000_000), 1000),
    "vc-stuck": Kind("port", (0, 1_000_000)),
    "torn-write": Kind("port", (0, 1_000_000)),
    "mrpc-stuck": Kind("switch", (0, 1_000_000)),
    "mrpc-interrupted": Kind("switch", (0, 1_000_000)),
    "event-lost": Kind("switch", (0, 1_000_000)),
    "firmware-torn": Kind("switch", (0, 1_000_000)),
    "gone": Kind("switch", undo="back"),
    "back": Kind("switch"),
    "reset": Kind("switch"),
}


@dataclass(frozen=True, slots=True)
class ScriptFault:
    """One fault: at `at_s` seconds of node time, for `for_s` (None: for good, or as `count` says)."""

    at_s: float
    kind: str
    switch: int = 0
    port: int = 0
    count: int = 1
    for_s: float | None = None


def load_faults(
    script: str | os.PathLike[str], topology: Topology | None = None
) -> tuple[ScriptFault, ...]:
    """The faults of a TOML file in order of time; FabricError names file, line and field."""
    try:
        text = Path(script).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FabricError(f"fault script {script}: {error}") from error
    return parse_faults(text, str(script), topology)


def parse_faults(
    text: str, source: str, topology: Topology | None = None
) -> tuple[ScriptFault, ...]:
    """The faults of TOML text in order of time; with a topology its switches and ports must be."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        found = re.search(r"\(at line (\d+)", str(error))
        line = int(found[1]) if found else max(len(text.splitlines()), 1)
        raise FabricError(f"{source}:{line}: not TOML: {str(error).split(' (at ')[0]}") from error
    try:
        faults = _build(document, topology)
    except Culprit as culprit:
        raise FabricError(f"{source}:{line_of(text, culprit)}: {culprit}") from culprit
    return tuple(sorted(faults, key=lambda fault: fault.at_s))


def play(emulator: Any, faults: tuple[ScriptFault, ...]) -> int:
    """Hands faults to a fabcore._core.EmulatedNode, times counted from now; how many."""
    start = emulator.moved_s
    for f in faults:
        emulator.fault_at(start + f.at_s, f.switch, f.kind, f.port, f.count)
        kind = KINDS[f.kind]
        if f.for_s is not None and kind.undo is not None:
            emulator.fault_at(start + f.at_s + f.for_s, f.switch, kind.undo, f.port, 0)
    return len(faults)


def _build(document: dict[str, Any], topology: Topology | None) -> list[ScriptFault]:
    for table in document:
        if table != "fault":
            raise Culprit(f"unknown table {table!r}: use [[fault]]", table)
    rows = document.get("fault")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise Culprit("faults must be written as [[fault]] tables, at least one", "fault")
    faults = [_entry(row, k, topology) for k, row in enumerate(rows)]
    waiting = sum(2 if f.for_s is not None else 1 for f in faults)
    if waiting > MOST:
        raise Culprit(
            f"{waiting} faults and ends of faults: a node remembers {MOST}", "fault", len(rows) - 1
        )
    return faults


def _entry(row: dict[str, Any], entry: int, topology: Topology | None) -> ScriptFault:
    for key in row:
        if key not in _KEYS:
            raise Culprit(f"unknown key {key!r}: use {', '.join(_KEYS)}", "fault", entry, key)
    name = row.get("kind")
    if not isinstance(name, str) or name not in KINDS:
        raise Culprit(f"kind {name!r}: use one of {', '.join(KINDS)}", "fault", entry, "kind")
    at_s = _seconds(row, entry, "at_s")
    if at_s is None:
        raise Culprit(f"{name} lacks at_s, the time in seconds", "fault", entry)
    switch, port = _place(row, entry, name, topology)
    count, for_s = _count(row, entry, name), _seconds(row, entry, "for_s")
    if for_s is None:
        return ScriptFault(at_s, name, switch, port, count)
    _check_lasting(row, entry, name, for_s)
    if name == "all-ones":
        return ScriptFault(at_s, name, switch, port, max(1, round(for_s * 1e6)))
    return ScriptFault(at_s, name, switch, port, count, for_s)


def _check_lasting(row: dict[str, Any], entry: int, name: str, for_s: float) -> None:
    """for_s is for faults that something else ends; all-ones counts microseconds otherwise."""
    counts = "count" in row
    if for_s <= 0:
        raise Culprit("for_s must be above 0 seconds", "fault", entry, "for_s")
    if name == "all-ones" and counts:
        raise Culprit("all-ones takes for_s or count (microseconds), not both", "fault", entry)
    if counts and row["count"] == 0 and KINDS[name].undo is not None:
        message = f"for_s: {name} with count 0 is the end of one and cannot last"
        raise Culprit(message, "fault", entry, "for_s")
    if KINDS[name].undo is None and name != "all-ones":
        lasting = ", ".join([k for k, v in KINDS.items() if v.undo is not None] + ["all-ones"])
        message = f"for_s: {name} does not last; {lasting} do"
        raise Culprit(message, "fault", entry, "for_s")


def _place(
    row: dict[str, Any], entry: int, name: str, topology: Topology | None
) -> tuple[int, int]:
    """Switch and port; a switch's own faults take no port."""
    needs_port = KINDS[name].target != "switch"
    if "port" in row and not needs_port:
        raise Culprit(f"port: {name} is the whole switch's: leave it out", "fault", entry, "port")
    if "port" not in row and needs_port:
        raise Culprit(f"{name} lacks port, a physical port id", "fault", entry)
    found = []
    for key, most in (("switch", 15), ("port", 63)):
        value = row.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            message = f"{key} must be a whole number from 0 to {most}, not {value!r}"
            raise Culprit(message, "fault", entry, key)
        found.append(value)
    if topology is not None:
        _check_there(topology, found[0], found[1], entry, name)
    return found[0], found[1]


def _check_there(topology: Topology, switch: int, port: int, entry: int, name: str) -> None:
    if switch >= len(topology.switches):
        last = len(topology.switches) - 1
        message = f"switch {switch}: this node has switches 0 to {last}"
        raise Culprit(message, "fault", entry, "switch")
    target = KINDS[name].target
    if target == "switch":
        return
    there = [
        p.port
        for p in topology.ports
        if p.switch == switch and (target == "port" or p.kind == "module")
    ]
    if port not in there:
        message = (
            f"port {switch}:{port} is no {'module port' if target == 'module' else 'port'}: "
            f"switch {switch} has {', '.join(map(str, sorted(there)))}"
        )
        raise Culprit(message, "fault", entry, "port")


def _count(row: dict[str, Any], entry: int, name: str) -> int:
    kind = KINDS[name]
    if "count" not in row:
        return kind.default
    value = row["count"]
    if kind.count is None:
        # A count of 1 says nothing: such a fault happens once.
        if value is not True and value == 1:
            return 1
        raise Culprit(f"count: {name} takes none, leave it out", "fault", entry, "count")
    low, high = kind.count
    bits = [k for k in range(32) if kind.bits >> k & 1]
    if bits and (isinstance(value, bool) or value not in bits):
        message = f"count of {name} is a bit of its AER status, {', '.join(map(str, bits))}"
        raise Culprit(f"{message}; not {value!r}", "fault", entry, "count")
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        message = f"count of {name} must be a whole number from {low} to {high}, not {value!r}"
        raise Culprit(message, "fault", entry, "count")
    return value


def _seconds(row: dict[str, Any], entry: int, key: str) -> float | None:
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Culprit(f"{key} must be a number of seconds, not {value!r}", "fault", entry, key)
    if not (math.isfinite(value) and 0 <= value <= LONGEST_S):
        message = f"{key} must be from 0 to {LONGEST_S:g} seconds, not {value!r}"
        raise Culprit(message, "fault", entry, key)
    return float(value)
