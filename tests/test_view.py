"""The view shows what the controller says, in every form and size, whatever VMs are called."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest
from rich.console import Console

from fabcore.events import Event
from fabcore.snapshot import LinkState, Snapshot, VMState
from fabcore.topology import Topology
from fabcore.view import Frame, TickTimes, document, line, rate
from fabcore.view_screen import LiveView, bar, screen

NODE = Topology.default()


def vm(name: str, demand: float, **changed: object) -> VMState:
    values = {
        "name": name, "module": 1, "host": 2, "share": 1 / 32, "weight": 1.0, "floor": 1e9,
        "demand": (demand, 2e9), "reservation": (4e9, math.nan), "grant": (3e9, 1e9),
        "delivered": (demand, 1e9), "enforcement": "advisory", "accepted": None, "reason": "",
    }  # fmt: skip
    return VMState(**{**values, **changed})  # type: ignore[arg-type]


def frame(vms: tuple[VMState, ...], events: tuple[Event, ...] = ()) -> Frame:
    links = tuple(
        LinkState(name, 40e9, 20e9, 25e9, 10e9 if name == "host up 2" else 0.0)
        for name in NODE.link_names
    )
    report = SimpleNamespace(total_ns=50_000)
    shot = Snapshot(7, 123, report, links, vms)  # type: ignore[arg-type]
    return Frame(shot, 2.0, "libvirt, standing in for PCIe traffic", "adaptive", 1000.0,
                 (48.0, 97.0), 3, events)  # fmt: skip


def drawn(shown: Frame, height: int = 60, width: int = 160) -> str:
    console = Console(width=width, height=height, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    for part in screen(shown, NODE, height):
        console.print(part)
    console.file.close()
    return console.export_text()


def test_percentiles_come_from_the_latest_ticks_only() -> None:
    times = TickTimes()
    assert times.percentiles_us() == (0.0, 0.0)
    for _ in range(5000):
        times.add(1_000_000)
    for _ in range(4096):
        times.add(50_000)
    assert times.percentiles_us() == (50.0, 50.0)
    assert times.count == 9096


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0 B/s"), (999.0, "999 B/s"), (12_340.0, "12.3 kB/s"), (999_999.0, "1 MB/s"),
     (5.5e9, "5.5 GB/s"), (1.234e12, "1234 GB/s"), (math.nan, "?")],
)  # fmt: skip
def test_rates_have_three_figures_and_a_unit(value: float, text: str) -> None:
    assert rate(value) == text


def test_bar_tells_used_reserved_and_free_apart() -> None:
    text = bar(LinkState("x", 16e9, 8e9, 0.0, 4e9)).plain
    assert (text.count("█"), text.count("▒"), text.count("·")) == (4, 4, 8)
    assert "4 GB/s" in text
    assert "█" in bar(LinkState("x", 16e9, 0.0, 0.0, 1.0)).plain, "a little use is not none"
    over = bar(LinkState("x", 16e9, 32e9, 0.0, 20e9)).plain
    assert (over.count("█"), over.count("▒"), over.count("·")) == (16, 0, 0)
    assert bar(LinkState("x", 0.0, 0.0, 0.0, 0.0)).plain.startswith("down")


def test_screen_shows_source_vms_links_and_decisions() -> None:
    text = drawn(frame((
        vm("db", 5e9, accepted=True), vm("web", 9e9, accepted=False, reason="floors do not fit"),
        vm("idle", 0.0),
    ), (Event("throttled", 5, {"vm": "web"}),)))  # fmt: skip
    assert "standing in for PCIe traffic" in text
    assert "p50 48 us  p99 97 us" in text
    assert text.index("web") < text.index("db") < text.index("idle"), "busiest first"
    assert "floors do not fit" in text
    assert "floor 1 GB/s" in text
    assert "4 GB/s / ?" in text, "what is not known yet is not shown as a number"
    assert "throttled  vm=web" in text
    assert "0:32 to 1:40" in text
    assert "10 GB/s" in text


@pytest.mark.parametrize("height", [10, 24, 40, 100])
def test_screen_with_many_vms_keeps_to_a_small_terminal(height: int) -> None:
    many = tuple(vm(f"vm{k}", 1e9 * k) for k in range(200))
    text = drawn(frame(many), height)
    assert "vm199" in text
    shown = sum(line.startswith("vm") for line in text.splitlines())
    assert f"and {200 - shown} more" in text
    assert len(text.splitlines()) <= max(height, 24)


def test_hostile_names_change_nothing_but_their_own_cell() -> None:
    text = drawn(frame((vm("\x1b[2Jevil[red]\n", 1e9),)))
    assert "?[2Jevil[red]?" in text


def test_line_and_document_agree_with_the_snapshot() -> None:
    shown = frame((vm("a", 5e9), vm("b", 1e9)), (Event("rejected", 9, {"short": math.inf}),))
    assert "2 VMs  demand 10 GB/s  granted 8 GB/s  delivered 8 GB/s" in line(shown)
    found = json.loads(json.dumps(document(shown), allow_nan=False))
    assert set(found) == {
        "time_ns", "elapsed_s", "tick", "policy", "source", "tick_us", "late_ticks", "vms",
        "links", "events",
    }  # fmt: skip
    assert found["vms"][0]["reservation"] == {"up": 4e9, "down": None}
    assert found["events"] == [{"event": "rejected", "time_ns": 9, "short": None}]
    assert len(found["links"]) == len(NODE.link_names)


def test_live_view_keeps_the_last_events_and_no_more() -> None:
    view = LiveView(NODE)
    for k in range(100):
        view.show(frame((), (Event("throttled", k, {"vm": k}),)))
    assert view.frame is not None
    assert [e.time_ns for e in view.frame.events] == list(range(92, 100))
    console = Console(width=120, height=40, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(view)
    console.file.close()
    assert "vm=99" in console.export_text()
