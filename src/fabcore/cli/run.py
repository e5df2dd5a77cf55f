"""`fabcore run`: ticks at a steady rate, a feed of VMs and load, and a view of it all."""

from __future__ import annotations

import contextlib
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fabcore.cli.base import Stop, emit, emit_json, note, until_stopped, working
from fabcore.errors import FabricError
from fabcore.view import Frame, TickTimes, document, line, new_events

if TYPE_CHECKING:
    from fabcore.cli.feed import Feed
    from fabcore.node import Controller

POLICIES = ("adaptive", "literal")
MAX_RATE_HZ = 100_000.0
VIEW_S = 0.25  # between two frames on a terminal
LINE_S = 1.0  # between two lines
LIVE_VMS = 64
SIGNAL_S = 0.1  # how long a signal may go unheard while requests are waited for

Show = Callable[[Frame], None]


def run_command(
    targets: list[str],
    source: str,
    policy: str,
    rate: float,
    ticks: int | None,
    vms: int | None,
    topology: Path | None,
    seed: int,
    json: bool,
    requests: Path | None = None,
) -> None:
    """Runs the command with its options as given; returns at its end or when a signal came."""
    if policy not in POLICIES:
        raise FabricError(f"--policy {policy!r} is unknown: use {' or '.join(POLICIES)}")
    if not (math.isfinite(rate) and 0 < rate <= MAX_RATE_HZ):
        raise FabricError(f"--rate {rate:g}: use more than 0 and at most {MAX_RATE_HZ:g} Hz")
    if topology is not None and targets:
        raise FabricError("--topology describes an emulated node: leave it or --node out")
    # Slow to import, so before signals are deferred.
    from fabcore.cli.feed import LiveFeed, TraceFeed, open_trace
    from fabcore.host.live import LiveCollector
    from fabcore.node import Controller, ResourceNode
    from fabcore.topology import Topology
    from fabcore.warm import prepare_all

    prepare_all()  # here a signal still ends it at once, and no tick has to wait for the compiler
    with contextlib.ExitStack() as opened, until_stopped() as stop:
        wants = None if source == "live" else open_trace(source, vms, seed)
        if targets:
            node = ResourceNode.open(targets, owner="fabcore run")
        else:
            spec = Topology.default() if topology is None else Topology.load(topology)
            node = ResourceNode.emulated(spec, seed, realtime=True)
        opened.callback(node.close)
        ctl = Controller(node, policy)
        opened.callback(ctl.close)
        if requests is not None:
            ctl.open_desk(requests)
        feed: Feed
        if wants is None:
            limit = vms or LIVE_VMS
            feed = LiveFeed(ctl, node, limit, LiveCollector(max_instances=limit))
        else:
            feed = TraceFeed(ctl, node, wants)
        opened.callback(feed.close)
        with working(), _shown(node.topology, json) as (show, every):
            drive(ctl, feed, policy, rate, ticks, stop, show, every)
    note("ended")


def drive(
    ctl: Controller,
    feed: Feed,
    policy: str,
    rate: float,
    ticks: int | None,
    stop: Stop,
    show: Show,
    every_s: float,
) -> None:
    """Ticks at `rate` Hz until `ticks` are done, the feed ends or a stop; shows a frame every
    `every_s` and one at the end. A late tick moves the schedule: lost time is not caught up."""
    times, events, late = TickTimes(), new_events(), 0
    events.extend(ctl.events.recent())  # the VMs that the feed has brought so far
    ctl.events.listeners.append(events.append)
    period = 1.0 / rate
    start = due = time.monotonic()
    next_frame = start + every_s
    ctl.snapshot()  # rates of the first frame are counted from here

    def frame() -> Frame:
        taken = tuple(events)
        events.clear()
        return Frame(
            ctl.snapshot(), time.monotonic() - start, feed.describe(), policy, rate,
            times.percentiles_us(), late, taken,
        )  # fmt: skip

    while not stop.is_set() and feed.update(time.monotonic() - start):
        times.add(ctl.tick().total_ns)
        now = time.monotonic()
        if now >= next_frame:
            show(frame())
            next_frame = max(next_frame + every_s, now)
        if times.count == ticks:
            break
        due += period
        if due < now - period:
            late += 1
            due = now
        elif due > now and ctl.desk is None:
            stop.wait(due - now)
        while ctl.desk is not None and not stop.is_set() and (left := due - time.monotonic()) > 0:
            ctl.pause(min(left, SIGNAL_S))
    show(frame())


@contextlib.contextmanager
def _shown(topology: object, json: bool) -> Iterator[tuple[Show, float]]:
    """How frames are shown and how often: JSON lines, a live view on a terminal, or text lines."""
    if json:
        yield (lambda frame: emit_json(document(frame))), LINE_S
    elif not sys.stdout.isatty():
        yield (lambda frame: emit(line(frame))), LINE_S
    else:
        from rich.live import Live

        from fabcore.topology import Topology
        from fabcore.view_screen import LiveView

        assert isinstance(topology, Topology)
        view = LiveView(topology)
        with quiet_log(), Live(view, screen=True, refresh_per_second=1 / VIEW_S):
            yield view.show, VIEW_S
        if view.frame is not None:
            emit(line(view.frame))


@contextlib.contextmanager
def quiet_log() -> Iterator[None]:
    """Keeps the log off a terminal that the view draws on, which shows the events anyway; handlers
    that someone has set up still get every record."""
    log, nowhere = logging.getLogger("fabcore"), logging.NullHandler()
    if sys.stderr.isatty():
        log.addHandler(nowhere)
    try:
        yield
    finally:
        log.removeHandler(nowhere)
