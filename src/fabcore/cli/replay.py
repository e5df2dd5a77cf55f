"""`fabcore replay`: options checked first, then progress, then the report in every form asked."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fabcore.cli.base import emit_json, note, stderr_console, working
from fabcore.errors import FabricError

if TYPE_CHECKING:
    from fabcore.replay import Progress

POLICY_NAMES = ("adaptive", "literal", "static_equal", "static_peak", "none")


def replay_command(
    file: Path,
    policies: list[str],
    vms: int,
    scale: float,
    seed: int,
    out: Path | None,
    plot: Path | None,
    json: bool,
) -> None:
    """Runs the command with its options as given. A signal ends it without a report."""
    for name in policies:
        if name not in POLICY_NAMES:
            raise FabricError(f"--policy {name!r} is unknown: use {', '.join(POLICY_NAMES)}")
    chosen = list(dict.fromkeys(policies or POLICY_NAMES))
    for option, path in (("--out", out), ("--plot", plot)):
        if path is not None:
            _check_target(option, path)
    if plot is not None:
        from fabcore import replay_plot

        replay_plot.check(plot)
    from fabcore import replay_report
    from fabcore.replay import Replay

    with contextlib.closing(Replay.open(file, vms=vms, scale=scale, seed=seed)) as replay:
        if replay.replicas:
            note(f"{replay.series} series; {replay.replicas} phase-shifted replicas fill up")
        with working():
            busy = replay.busiest() if plot is not None else None
            with _progress(chosen, replay.trace.steps) as progress:
                report = replay.run(chosen, progress, busy)
            if out is not None:
                replay_report.write(report, out)
            if plot is not None and busy is not None:
                replay_plot.draw(report, replay.courses, replay.trace.selected[busy], plot)
    if json:
        emit_json(report)
    else:
        from rich.console import Console

        Console(width=None if sys.stdout.isatty() else 160).print(replay_report.table(report))


def _check_target(option: str, path: Path) -> None:
    """What could not be written after minutes of work is refused before them."""
    folder = path.parent
    if path.is_dir() or not folder.is_dir():
        reason = "is a folder" if path.is_dir() else f"there is no folder {folder}"
        raise FabricError(f"{option} {path}: {reason}")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise FabricError(f"{option} {path}: no permission to write there")


@contextlib.contextmanager
def _progress(policies: list[str], steps: int) -> Iterator[Progress]:
    """A bar on a terminal, else a line for each policy that is done; both on stderr."""
    console = stderr_console()
    if not console.is_terminal:
        started = time.monotonic()

        def log(policy: str, step: int) -> None:
            if step == steps:
                note(f"{policy}: {steps} steps, {time.monotonic() - started:.1f} s so far")

        yield log
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("replay", total=steps * len(policies))

        def advance(policy: str, step: int) -> None:
            if step % 16 == 0 or step == steps:
                done = policies.index(policy) * steps + step
                bar.update(task, description=policy, completed=done)

        yield advance
