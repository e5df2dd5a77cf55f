"""The TOML form of a topology: the default node, reading with line numbers, and writing."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from fabcore.errors import TopologyError
from fabcore.topology import Link, ModuleSpec, Port, SwitchSpec, Topology
from fabcore.topology_check import Fault

if TYPE_CHECKING:
    from fabcore.topology import Arbitration, Kind

# table -> key -> type; "end" is a pair [switch, port]. `index` may be left out where it means
# nothing, that is for fabric and management ports.
_KEYS: Final[dict[str, dict[str, str]]] = {
    "node": {"name": "str", "mps": "int", "mrrs": "int"},
    "switch": {"id": "int", "device_id": "int"},
    "port": {
        "switch": "int",
        "port": "int",
        "kind": "str",
        "index": "int",
        "gen": "int",
        "lanes": "int",
        "layout": "str",
        "phases": "int",
    },
    "link": {"a": "end", "b": "end"},
    "module": {"index": "int", "arbitration": "str", "vfs": "int", "supply_w": "float"},
}
_WORDS: Final = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "end": "[switch, port]",
}

# port id, kind, number among its kind on the switch, how many of the kind a switch has, lanes
_DEFAULT_PORTS: Final[tuple[tuple[int, Kind, int, int, int], ...]] = (
    (0, "module", 0, 2, 16),
    (8, "module", 1, 2, 16),
    (16, "host", 0, 2, 16),
    (24, "host", 1, 2, 16),
    (32, "fabric", 0, 0, 16),
    (40, "fabric", 1, 0, 16),
    (48, "management", 0, 0, 4),
)


def default() -> Topology:
    """The default node; port 32 of switch k leads to port 40 of switch (k + 1) % 4."""
    kinds: tuple[Arbitration, ...] = ("mfvc",) * 3 + ("shaper",) * 3 + ("none",) * 2
    return Topology(
        name="default",
        mps=256,
        mrrs=512,
        switches=tuple(SwitchSpec(k, 0x5200) for k in range(4)),
        ports=tuple(
            Port(k, port, kind, per_switch * k + nth, 5, lanes, f"x{lanes}", 256)
            for k in range(4)
            for port, kind, nth, per_switch, lanes in _DEFAULT_PORTS
        ),
        links=tuple(Link((k, 32), ((k + 1) % 4, 40)) for k in range(4)),
        modules=tuple(ModuleSpec(m, kinds[m], 32, 350.0) for m in range(8)),
    )


def parse(text: str, source: str) -> Topology:
    """Build a topology from TOML text; TopologyError names source and line."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+)", str(error))
        line = int(found[1]) if found else len(text.splitlines())
        reason = str(error).split(" (at ")[0]
        raise TopologyError(f"{source}:{line}: not TOML: {reason}") from error
    except ValueError as error:  # a number of more digits than Python converts
        raise TopologyError(f"{source}:1: not TOML: {str(error).split(';')[0]}") from error
    except RecursionError as error:
        raise TopologyError(f"{source}:1: nested too deeply to be a topology") from error
    try:
        return _build(document)
    except Fault as fault:
        line = line_of(text, fault)
        raise TopologyError(f"{source}:{line}: {fault}") from fault


def _build(document: dict[str, Any]) -> Topology:
    for table in document:
        if table not in _KEYS:
            raise Fault(f"unknown table {table!r}: use {', '.join(_KEYS)}", table)
    node = document.get("node")
    if not isinstance(node, dict):
        raise Fault("the table [node] is missing or no table", "node")
    _check_entry("node", 0, node)
    rows = {table: _rows(document, table) for table in _KEYS if table != "node"}
    return Topology(
        **node,
        switches=tuple(SwitchSpec(**row) for row in rows["switch"]),
        ports=tuple(Port(**{"index": 0, **row}) for row in rows["port"]),
        links=tuple(Link(tuple(row["a"]), tuple(row["b"])) for row in rows["link"]),
        modules=tuple(ModuleSpec(**row) for row in rows["module"]),
    )


def _rows(document: dict[str, Any], table: str) -> list[dict[str, Any]]:
    rows = document.get(table, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Fault(f"{table} must be written as [[{table}]] tables", table)
    for entry, row in enumerate(rows):
        _check_entry(table, entry, row)
        if table == "module":
            row["supply_w"] = _watts(row["supply_w"], entry)
    return rows


def _check_entry(table: str, entry: int, row: dict[str, Any]) -> None:
    keys = _KEYS[table]
    for key, value in row.items():
        if key not in keys:
            message = f"unknown key {key!r} in {table}: use {', '.join(keys)}"
            raise Fault(message, table, entry, key)
        if not _is(keys[key], value):
            message = f"{table} {key} must be {_WORDS[keys[key]]}, not {value!r}"
            raise Fault(message, table, entry, key)
    for key in keys:
        needless = key == "index" and row.get("kind") in ("fabric", "management")
        if key not in row and not needless:
            raise Fault(f"{table} lacks the key {key!r}", table, entry)


def _watts(value: float, entry: int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise Fault("supply_w is beyond any number of watts", "module", entry, "supply_w") from None


def _is(kind: str, value: object) -> bool:
    if kind == "str":
        return isinstance(value, str)
    if kind == "end":
        return isinstance(value, list) and len(value) == 2 and all(_is("int", v) for v in value)
    if isinstance(value, bool):  # bool is an int to Python, but not to the reader of the file
        return False
    return isinstance(value, int if kind == "int" else (int, float))


def line_of(text: str, fault: Fault) -> int:
    """The line that a fault points at: its key's, else its table's header, else the last one.

    tomllib keeps no positions, so the n-th [[table]] header is found in the text again.
    """
    lines = text.splitlines()
    name = rf"\s*(?:{re.escape(fault.table)}|\"{re.escape(fault.table)}\")\s*"
    header = re.compile(rf"\s*\[\[?{name}\]")
    starts = [n for n, line in enumerate(lines) if header.match(line)]
    if not starts:
        # `port = [{...}]` is a table too, but only above the first header: below it is a key.
        first = next((n for n, line in enumerate(lines) if line.lstrip().startswith("[")), None)
        inline = re.compile(rf"{name}[=.]")
        starts = [n for n, line in enumerate(lines[:first]) if inline.match(line)]
    if not starts:
        return max(len(lines), 1)
    start = starts[min(fault.entry, len(starts) - 1)]
    key = re.compile(rf"\s*\"?{re.escape(fault.key)}\"?\s*=")
    for n in range(start + 1, len(lines) if fault.key else 0):
        if lines[n].lstrip().startswith("["):
            break
        if key.match(lines[n]):
            return n + 1
    return start + 1


def dumps(topology: Topology) -> str:
    """TOML text of a topology; parsing it gives an equal one."""
    node = {key: getattr(topology, key) for key in _KEYS["node"]}
    parts = [_table("[node]", node)]
    for name, rows in (
        ("switch", topology.switches),
        ("port", topology.ports),
        ("link", topology.links),
        ("module", topology.modules),
    ):
        for row in rows:
            values = {field.name: getattr(row, field.name) for field in fields(row)}
            parts.append(_table(f"[[{name}]]", values))
    return "\n".join(parts)


def _table(header: str, values: dict[str, Any]) -> str:
    return "\n".join([header, *(f"{key} = {_value(key, v)}" for key, v in values.items())]) + "\n"


def _value(key: str, value: object) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, tuple):
        return f"[{value[0]}, {value[1]}]"
    if key == "device_id":
        return f"0x{value:04x}"
    return repr(value)
