"""`fabcore doctor` and `fabcore warm`: is all there, and is all compiled?"""

from __future__ import annotations

from fabcore.cli.base import Failed, emit, emit_json, stderr_console, working


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
    """Compiles every kernel, with a bar on stderr."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    from fabcore.warm import compile_all, kernel_modules

    console = stderr_console()
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    quiet = not console.is_terminal
    with working(), Progress(*columns, console=console, transient=True, disable=quiet) as bar:
        task = bar.add_task("warm", total=len(kernel_modules()))

        def tell(name: str) -> None:
            bar.update(task, description=name, advance=0 if name == first else 1)

        first = next(iter(kernel_modules()), "")
        done = compile_all(tell)
    if json:
        emit_json({"modules": done})
        return
    for module in done:
        emit(f"{module['seconds']:8.2f} s  {module['name']}")
