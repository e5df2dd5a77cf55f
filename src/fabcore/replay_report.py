"""A replay's report for people: a table of the policies; and its file, whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

# key of the report, heading
_SHARES = (
    ("delivered_share", "delivered"),
    ("throttled_share", "throttled"),
    ("idle_reserved_share", "idle of reserved"),
    ("floor_violation_share", "floors broken"),
)


def table(report: dict[str, Any]) -> Table:
    """One row per policy."""
    from rich.table import Table

    steps, vms = report["steps"], report["vms"]
    title = f"{report['trace']}: {vms} VMs, {steps} steps of {report['period_s']:g} s"
    if report["replicas"]:
        title += f", {report['replicas']} replicas"
    if report["scale"] != 1.0:
        title += f", rates x {report['scale']:g}"
    result = Table(title=title, title_justify="left", box=None, pad_edge=False)
    result.add_column("policy")
    for _, heading in _SHARES:
        result.add_column(heading, justify="right")
    result.add_column("VMs fit", justify="right")
    result.add_column("tick p50 / p99 us", justify="right")
    result.add_column("held by")
    for name, values in report["policies"].items():
        held = sorted(values["enforcement"].items(), key=lambda item: -item[1])
        tick = values["tick_us"]
        result.add_row(
            name,
            *(f"{100 * values[key]:.3f} %" for key, _ in _SHARES),
            f"{values['vms_fit']}",
            f"{tick['p50']:.0f} / {tick['p99']:.0f}" if tick["p50"] else "-",
            ", ".join(f"{kind} {count}" for kind, count in held),
        )
    return result


def write(report: dict[str, Any], path: Path) -> None:
    """The report as JSON under that name; a reader never sees half of it. OSError as it comes."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(report, stream, indent=1, allow_nan=False)
            stream.write("\n")
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # as open() would have made it
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
