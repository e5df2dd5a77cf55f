"""`fabcore doctor` and `fabcore warm`: is all there, and is all compiled?"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from fabcore.cli.base import Failed, emit, emit_json, stderr_console, working

if TYPE_CHECKING:
    from fabcore.warm import Prepared


def doctor_command(strict: bool, json: bool) -> None:
    """Runs all checks; Failed with --strict when one fails."""
    from fabcore.doctor import report, run_checks

    checks = run_checks()
    if json:
        emit_json(report(checks))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            mark = "ok  " if check.ok else "FAIL"
            emit(f"{mark} {check.name:{width}}  {check.detail}")
            if check.fix:
                emit(f"     {'':{width}}  -> {check.fix}")
    bad = [check.name for check in checks if not check.ok]
    if strict and bad:
        raise Failed(f"{len(bad)} of {len(checks)} checks failed: {', '.join(bad)}")


def warm_command(json: bool) -> None:
    """Prepares every kernel: a line for each as it is done, or with JSON a bar on stderr."""
    from fabcore.warm import prepare_all, report

    def line(kernel: Prepared, _: int) -> None:
        verb = "compiled" if kernel.compiled else "loaded"
        emit(f"{kernel.seconds:8.3f} s  {verb:8}  {kernel.name}")

    with working():
        if json:
            with _bar() as advance:
                done = prepare_all(advance)
            emit_json(report(done))
            return
        done = prepare_all(line)
        found = report(done)
    compiled = sum(kernel.compiled for kernel in done)
    where = ", ".join(sorted({kernel.folder for kernel in done}))
    emit(f"{found['seconds']:8.3f} s  {len(done)} kernels, {compiled} compiled; kept in {where}")


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[Prepared, int], None]]:
    """Progress on stderr, where that is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    console = stderr_console()
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task("warm", total=None)

        def advance(kernel: Prepared, total: int) -> None:
            bar.update(task, description=kernel.name, total=total, advance=1)

        yield advance
