"""Runs every bench_*.py and writes docs/numbers.md: medians, and each as a ratio to its group's peer."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NUMBERS = ROOT / "docs" / "numbers.md"
TRACE = ROOT.parent / "shared" / "traces" / "a100_nic_1s.parquet"
STAGES = ("observe", "rings", "predict", "solve", "switch", "ways", "tick", "start")
SCRIPTS = ("rings",)  # stages whose bench_*.py is a program that prints its own section


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=STAGES, help="one stage; numbers.md is not written")
    parser.add_argument("--no-replay", action="store_true", help="leave the long replay out")
    args = parser.parse_args()
    found = run_benchmarks([args.only] if args.only else list(STAGES))
    scripts = {s: script_section(s) for s in SCRIPTS if args.only in (None, s)}
    text = header() + "".join(scripts.get(s) or section(s, rows) for s, rows in found.items())
    if args.only:
        print(text)
        return 0
    if not args.no_replay and TRACE.exists():
        text += replay_section()
    text += soak_section()
    NUMBERS.write_text(text, encoding="utf-8")
    print(f"wrote {NUMBERS.relative_to(ROOT)}", file=sys.stderr)
    return 0


def run_benchmarks(stages: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Stage -> its benchmarks as pytest-benchmark reports them; one process per stage."""
    found = {}
    for stage in stages:
        if stage in SCRIPTS:
            found[stage] = []
            continue
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder, "out.json")
            command = [
                sys.executable, "-m", "pytest", str(ROOT / "bench" / f"bench_{stage}.py"), "-q",
                "--benchmark-enable", "--benchmark-only", f"--benchmark-json={out}",
                "--benchmark-disable-gc", "-o", "python_files=bench_*.py", "--timeout=1200",
            ]  # fmt: skip
            code = subprocess.run(command, cwd=ROOT, stdout=sys.stderr).returncode
            if code not in (0, 5):
                raise SystemExit(f"bench_{stage}.py failed ({code})")
            found[stage] = json.loads(out.read_text())["benchmarks"] if out.exists() else []
    return found


def script_section(stage: str) -> str:
    """What bench_STAGE.py prints."""
    command = [sys.executable, str(ROOT / "bench" / f"bench_{stage}.py")]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"bench_{stage}.py failed ({done.returncode})")
    return done.stdout


def header() -> str:
    import numba
    import numpy as np

    load = ", ".join(f"{x:.2f}" for x in os.getloadavg())
    return (
        "# Numbers\n\n"
        f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {cpu()}, "
        f"{os.cpu_count()} cores, load {load} at the end; Python {platform.python_version()}, "
        f"NumPy {np.__version__}, Numba {numba.__version__}.\n"
        "One process per stage, rounds of a group one after the other. The machine is small and "
        "shared: read the ratios, not the times. \"x peer\" is the median over the median of the "
        "row marked as the group's peer in the same run; what a peer is stands in its name.\n"
    )  # fmt: skip


def cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def section(stage: str, rows: list[dict[str, Any]]) -> str:
    """One stage's tables, a group each; figures that a benchmark measured itself in the last column."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["group"] or stage].append(row)
    text = f"\n## {stage}\n\n`python bench/run.py --only {stage}`\n"
    for group, members in groups.items():
        peer = next((m for m in members if m["extra_info"].get("peer")), None)
        text += f"\n**{group}**\n\n| what | min | median | x peer | more |\n"
        text += "| --- | ---: | ---: | ---: | --- |\n"
        for m in members:
            per = m["extra_info"].get("per", 1)
            low, mid = m["stats"]["min"] / per, m["stats"]["median"] / per
            ratio = (
                f"{mid / (peer['stats']['median'] / peer['extra_info'].get('per', 1)):.2f}"
                if peer
                else ""
            )
            more = ", ".join(
                f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}"
                for k, v in m["extra_info"].items()
                if k not in ("peer", "per", "what")
            )
            name = m["extra_info"].get("what", m["name"])
            text += f"| {name} | {seconds(low)} | {seconds(mid)} | {ratio} | {more} |\n"
    return text


def seconds(value: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def soak_section() -> str:
    """The last run of `make soak`."""
    file = ROOT / "docs" / "soak.json"
    if not file.exists():
        return ""
    r = json.loads(file.read_text())
    rss, fds = r["rss_mib"], r["descriptors"]
    return (
        f"\n## soak\n\n`make soak`: `fabcore run` on live input for {r['seconds']:.0f} s, "
        f"{r['ticks']} ticks, {r['cores_used']} of a core. Median resident memory of the second and "
        f"the last quarter: {rss[0]:.1f} and {rss[1]:.1f} MiB; most descriptors {fds[0]} and "
        f"{fds[1]}. After Ctrl-C: exit {r['exit']}, files left in /dev/shm: "
        f"{len(r['left_in_shm'])}.\n"
    )


def replay_section() -> str:
    """The buyer's question on the a100 trace, through the registers of the emulated node."""
    text = "\n## replay\n"
    for scale in ("1", "0.25"):
        command = ["replay", str(TRACE), "--json", "--scale", scale]
        done = subprocess.run(
            [sys.executable, "-m", "fabcore", *command], capture_output=True, text=True, check=True
        )
        report = json.loads(done.stdout)
        text += (
            f"\n`fabcore replay ../shared/traces/{TRACE.name} --json --scale {scale}`: "
            f"{report['steps']} steps of {report['period_s']:g} s, {report['vms']} VMs "
            f"({report['series_from_trace']} series, {report['replicas']} replicas), "
            f"seed {report['seed']}; bytes as the emulated node counted them.\n\n"
            "| policy | demanded TB | delivered | throttled | idle of reserved | "
            "floors violated | VMs fit | tick p50 / p99 us |\n"
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        )
        for name, p in report["policies"].items():
            text += (
                f"| {name} | {p['demanded_bytes'] / 1e12:.1f} | {p['delivered_share']:.4%} | "
                f"{p['throttled_share']:.4%} | {p['idle_reserved_share']:.1%} | "
                f"{p['floor_violation_share']:.3%} | {p['vms_fit']} | "
                f"{p['tick_us']['p50']:.0f} / {p['tick_us']['p99']:.0f} |\n"
            )
    return text


if __name__ == "__main__":
    raise SystemExit(main())
