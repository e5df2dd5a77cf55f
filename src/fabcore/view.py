"""What a running controller shows: the live view, a line per second, or a JSON object."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table
    from rich.text import Text

    from fabcore.events import Event
    from fabcore.snapshot import LinkState, Snapshot, VMState
    from fabcore.topology import Topology

_KEPT_TICKS = 4096
_BAR = 16  # characters


class TickTimes:
    """Durations of the latest ticks, in a fixed array."""

    def __init__(self) -> None:
        self._ns = np.zeros(_KEPT_TICKS, np.int64)
        self.count = 0

    def add(self, ns: int) -> None:
        self._ns[self.count % _KEPT_TICKS] = ns
        self.count += 1

    def percentiles_us(self) -> tuple[float, float]:
        """(p50, p99) in us over the latest ticks; zeros before the first."""
        if not self.count:
            return 0.0, 0.0
        p50, p99 = np.percentile(self._ns[: min(self.count, _KEPT_TICKS)], (50, 99)) / 1e3
        return float(p50), float(p99)


@dataclass(frozen=True, slots=True)
class Frame:
    """One moment: the controller's snapshot and what stands around it."""

    snapshot: Snapshot
    elapsed_s: float
    source: str
    policy: str
    rate_hz: float
    tick_us: tuple[float, float]  # p50, p99
    late: int  # ticks that began a period or more behind
    events: tuple[Event, ...]  # the newest, oldest first


def rate(value: float) -> str:
    """B/s for people: three figures and a unit; NaN is what nobody knows yet."""
    if value != value:
        return "?"
    for unit in ("B/s", "kB/s", "MB/s", "GB/s"):
        if abs(value) < 999.5 or unit == "GB/s":
            return f"{value:.3g} {unit}" if abs(value) < 999.5 else f"{value:.0f} {unit}"
        value /= 1e3
    raise AssertionError


def total(pair: tuple[float, float]) -> float:
    """Both directions together; what is not known yet counts as nothing."""
    return sum(value for value in pair if value == value)


def line(frame: Frame) -> str:
    """The frame in one line, for logs."""
    vms = frame.snapshot.vms
    p50, p99 = frame.tick_us
    parts = [
        f"{frame.elapsed_s:.0f} s",
        f"tick {frame.snapshot.tick}",
        f"{len(vms)} VMs",
        f"demand {rate(sum(total(v.demand) for v in vms))}",
        f"granted {rate(sum(total(v.grant) for v in vms))}",
        f"delivered {rate(sum(total(v.delivered) for v in vms))}",
        f"tick p50 {p50:.0f} us p99 {p99:.0f} us",
    ]
    return "  ".join(parts)


def document(frame: Frame) -> dict[str, Any]:
    """The frame as a JSON-ready object; rates in B/s, a bound that is infinite is null."""
    shot = frame.snapshot
    return {
        "time_ns": shot.time_ns,
        "elapsed_s": round(frame.elapsed_s, 3),
        "tick": shot.tick,
        "policy": frame.policy,
        "source": frame.source,
        "tick_us": {"p50": round(frame.tick_us[0], 1), "p99": round(frame.tick_us[1], 1)},
        "late_ticks": frame.late,
        "vms": [_vm_document(vm) for vm in shot.vms],
        "links": [
            {
                "name": link.name,
                "capacity": float(link.capacity),
                "reserved": float(link.reserved),
                "granted": float(link.granted),
                "used": float(link.used),
            }
            for link in shot.links
        ],
        "events": [
            {"event": e.kind, "time_ns": e.time_ns, **{k: _plain(v) for k, v in e.detail.items()}}
            for e in frame.events
        ],
    }


def _vm_document(vm: VMState) -> dict[str, Any]:
    return {
        "name": vm.name,
        "module": vm.module,
        "host": vm.host,
        "share": float(vm.share),
        "weight": float(vm.weight),
        "floor": float(vm.floor),
        **{key: _ways(getattr(vm, key)) for key in ("demand", "reservation", "grant", "delivered")},
        "enforcement": vm.enforcement,
        "accepted": vm.accepted,
        "reason": vm.reason,
    }


def _ways(pair: tuple[float, float]) -> dict[str, float | None]:
    return {"up": _plain(pair[0]), "down": _plain(pair[1])}


def _plain(value: Any) -> Any:
    """A value that JSON has: no numpy scalar, no infinity or NaN."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value if isinstance(value, str | int | bool | None) else str(value)


class LiveView:
    """The latest frame, drawn to the terminal's size whenever Rich asks for it."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._events: deque[Event] = deque(maxlen=8)
        self.frame: Frame | None = None

    def show(self, frame: Frame) -> None:
        """Makes it the frame that is drawn next; a frame's events stay on for a while."""
        self._events.extend(frame.events)
        self.frame = replace(frame, events=tuple(self._events))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.frame is None:
            yield "starting ..."
            return
        rows = options.height or console.height
        yield from screen(self.frame, self._topology, rows)


def screen(frame: Frame, topology: Topology, rows: int = 40) -> list[RenderableType]:
    """The frame as what fits `rows` lines: head, modules and hosts, fabric, VMs, events."""
    ends = _ends(frame, topology)
    fabric = _fabric(frame, topology, max(0, rows - ends.row_count - 18))
    used = 3 + ends.row_count + 2 + (fabric.row_count + 2 if fabric is not None else 0)
    events = _events(frame, 4)
    vms = _vms(frame, max(3, rows - used - len(events) - 4))
    parts: list[RenderableType] = [*_head(frame), ends]
    if fabric is not None:
        parts.append(fabric)
    return [*parts, vms, *events]


def _head(frame: Frame) -> list[Text]:
    from rich.text import Text

    p50, p99 = frame.tick_us
    first = Text("fabcore", style="bold")
    first.append(
        f"  {frame.policy}  {frame.rate_hz:g} Hz  tick {frame.snapshot.tick}"
        f"  p50 {p50:.0f} us  p99 {p99:.0f} us  late {frame.late}  {frame.elapsed_s:.0f} s",
        style="not bold",
    )
    # Which source it is must be readable: an emulated load is never passed off as PCIe counters.
    return [first, Text(f"source: {frame.source}", style="yellow", overflow="ellipsis")]


def _ends(frame: Frame, topology: Topology) -> Table:
    """Modules and hosts side by side, each with both directions of its link."""
    from rich.text import Text

    table = _grid("module", "kind", "VMs", "up", "down", "host", "up", "down")
    links = {link.name: link for link in frame.snapshot.links}
    modules, hosts = len(topology.module_ports), len(topology.host_ports)
    count = [0] * modules
    for vm in frame.snapshot.vms:
        count[vm.module] += 1
    for row in range(max(modules, hosts)):
        cells: list[Any] = [Text()] * 8
        if row < modules:
            kind = topology.module_specs[row].arbitration
            cells[:5] = [
                str(row),
                kind,
                str(count[row]),
                bar(links[f"module up {row}"]),
                bar(links[f"module down {row}"]),
            ]
        if row < hosts:
            cells[5:] = [str(row), bar(links[f"host up {row}"]), bar(links[f"host down {row}"])]
        table.add_row(*cells)
    return table


def _fabric(frame: Frame, topology: Topology, rows: int) -> Table | None:
    """Fabric links, the busiest first; None where there is no room or no fabric."""
    links = [link for link in frame.snapshot.links if link.name.startswith("fabric ")]
    if not links or rows < 3:
        return None
    links.sort(key=lambda link: -link.used / max(link.capacity, 1.0))
    pairs = links[: 2 * min(rows - 2, 4)]
    table = _grid("fabric", "load", "fabric", "load")
    for a, b in zip(pairs[::2], [*pairs[1::2], None], strict=False):
        right = [b.name.removeprefix("fabric "), bar(b)] if b is not None else ["", ""]
        table.add_row(a.name.removeprefix("fabric "), bar(a), *right)
    return table


def bar(link: LinkState) -> Text:
    """A link as a bar: used, reserved (floors) but unused, free; and the used rate."""
    from rich.text import Text

    if link.capacity <= 0:
        return Text("down".ljust(_BAR + 10), style="bold red")
    used = min(_BAR, round(_BAR * link.used / link.capacity))
    if link.used > 0:
        used = max(used, 1)
    held = min(_BAR, round(_BAR * link.reserved / link.capacity))
    text = Text("█" * used, style="green" if used < 0.9 * _BAR else "red")
    text.append("▒" * max(held - used, 0), style="blue")
    text.append("·" * (_BAR - max(used, held)), style="bright_black")
    return text.append(f" {rate(link.used):>9}", style="none")


def _vms(frame: Frame, rows: int) -> Table:
    """The busiest VMs: demand, prediction, grant and delivered, up / down."""
    from rich.text import Text

    table = _grid("VM", "at", "demand", "prediction", "grant", "delivered", "held by", "decision")
    ranked = sorted(frame.snapshot.vms, key=lambda v: (-total(v.demand), v.name))
    for vm in ranked[:rows]:
        table.add_row(
            Text(clean(vm.name)[:24]),
            f"m{vm.module} h{vm.host}",
            *(
                f"{rate(pair[0])} / {rate(pair[1])}"
                for pair in (vm.demand, vm.reservation, vm.grant, vm.delivered)
            ),
            vm.enforcement,
            _decision(vm),
        )
    if len(ranked) > rows:
        table.caption = f"and {len(ranked) - rows} more"
    return table


def _decision(vm: VMState) -> Text:
    from rich.text import Text

    if vm.accepted is None:
        return Text("-", style="bright_black")
    style = "green" if vm.accepted else "red"
    return Text("floor " + rate(vm.floor) if vm.accepted else clean(vm.reason), style=style)


def _events(frame: Frame, rows: int) -> list[Text]:
    from rich.text import Text

    texts = []
    for event in frame.events[-rows:]:
        detail = "  ".join(f"{k}={_plain(v)}" for k, v in event.detail.items())
        texts.append(Text(clean(f"{event.kind}  {detail}"), overflow="ellipsis", no_wrap=True))
    return texts


def _grid(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", caption_justify="left")
    for name in columns:
        table.add_column(name, no_wrap=True)
    return table


def clean(text: str) -> str:
    """Text from outside (a process may call itself anything) without control characters."""
    return "".join(c if c.isprintable() else "?" for c in text)


def new_events() -> deque[Event]:
    """Where a listener collects events between two frames: bounded, the oldest go first."""
    return deque(maxlen=256)
