"""The live view: a frame drawn to the size of a terminal."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fabcore.view import Frame, plain, rate, total

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table
    from rich.text import Text

    from fabcore.events import Event
    from fabcore.snapshot import LinkState, VMState
    from fabcore.topology import Topology

_BAR = 16  # characters


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
        detail = "  ".join(f"{k}={plain(v)}" for k, v in event.detail.items())
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
