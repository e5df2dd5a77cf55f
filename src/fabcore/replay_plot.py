"""A replay's report as a picture: the policies side by side, and one busy VM over time."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fabcore.errors import FabricError

if TYPE_CHECKING:
    from fabcore.replay import Course
    from fabcore.replay_policies import Floats

FORMATS = (".png", ".svg", ".pdf")
_POINTS = 1200  # per line; more would only be drawn over each other
_SHARES = (
    ("delivered_share", "delivered, of demand"),
    ("throttled_share", "throttled, of demand"),
    ("idle_reserved_share", "idle, of reserved"),
)


def check(path: Path) -> None:
    """FabricError unless a picture can be drawn under that name; asked before the work starts."""
    if path.suffix.lower() not in FORMATS:
        raise FabricError(f"--plot {path}: the name must end in {', '.join(FORMATS)}")
    if find_spec("matplotlib") is None:
        raise FabricError("--plot needs matplotlib: pip install 'fabcore[plot]'")


def draw(report: dict[str, Any], courses: dict[str, Course], vm_name: str, path: Path) -> None:
    """Writes the picture; courses: by policy, the VM's course through it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4 + 2.2 * len(courses)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        1 + len(courses), 1, squeeze=False, height_ratios=[1.6] + [1.0] * len(courses)
    )[:, 0]
    _bars(axes[0], report)
    for axis, (policy, course) in zip(axes[1:], courses.items(), strict=True):
        _lines(axis, policy, course, report["period_s"], vm_name)
    axes[-1].set_xlabel("s from the start of the trace")
    figure.savefig(path, dpi=110)


def _bars(axis: Any, report: dict[str, Any]) -> None:
    names = list(report["policies"])
    place = np.arange(len(names))
    width = 0.8 / len(_SHARES)
    for k, (key, label) in enumerate(_SHARES):
        heights = [100 * report["policies"][name][key] for name in names]
        bars = axis.bar(place + (k - 1) * width, heights, width, label=label)
        axis.bar_label(bars, fmt="%.3g", fontsize=8)
    axis.set_xticks(place, names)
    axis.set_ylabel("%")
    axis.set_ylim(0, 115)
    axis.set_title(f"{Path(report['trace']).name}: {report['vms']} VMs, {report['steps']} steps")
    axis.legend(ncols=len(_SHARES), loc="upper right", fontsize=8)


def _lines(axis: Any, policy: str, course: Course, period_s: float, vm_name: str) -> None:
    top = 1e-9  # an axis needs a height even where nothing moves
    for values, label, style in (
        (course.demand, "demand", {"color": "0.6"}),
        (course.reserved, "reserved", {"color": "tab:blue", "linestyle": "--"}),
        (course.delivered, "delivered", {"color": "tab:green"}),
    ):
        time, thinned = _thin(values, period_s)
        top = max(top, float(thinned.max()) / 1e9)
        axis.plot(time, thinned / 1e9, label=label, linewidth=1, **style)
    axis.set_ylim(0, 1.25 * top)
    axis.set_ylabel("GB/s")
    # A name from outside may hold "$", which would start mathematics.
    title = f"{policy}: VM {vm_name}".replace("$", r"\$")
    axis.set_title(title, loc="left", fontsize=9)
    axis.legend(loc="upper right", ncols=3, fontsize=8)


def _thin(values: Floats, period_s: float) -> tuple[Floats, Floats]:
    """(time, values) with at most _POINTS points: means over equal stretches."""
    stretch = -(-values.size // _POINTS)
    starts = np.arange(0, values.size, stretch)
    counts = np.diff(np.append(starts, values.size))
    time = np.asarray(starts * period_s, dtype=np.float64)
    return time, np.add.reduceat(values, starts) / counts
