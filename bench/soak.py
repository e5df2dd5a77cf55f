"""Runs `fabcore run` on live input and watches its memory, descriptors and threads; then Ctrl-C.

Exit 1 when memory grows by more than 5 % (and 8 MiB) between the second and the last quarter, when a
descriptor is left open, or when a process or a file in /dev/shm stays behind.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def sample(pid: int) -> tuple[float, int, int]:
    """(resident MiB, open descriptors, threads) of a process."""
    fields = dict(
        line.split(":", 1)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if ":" in line
    )
    return (
        int(fields["VmRSS"].split()[0]) / 1024,
        len(os.listdir(f"/proc/{pid}/fd")),
        int(fields["Threads"]),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--out", type=Path, help="also write the report here")
    args = parser.parse_args()
    shm = set(os.listdir("/dev/shm"))
    with tempfile.TemporaryFile("w+") as out:
        command = [sys.executable, "-m", "fabcore", "run", "--json", "--rate", str(args.rate)]
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        samples = []
        end = time.monotonic() + args.seconds
        while time.monotonic() < end and child.poll() is None:
            time.sleep(min(2.0, args.seconds / 40))
            samples.append(sample(child.pid))
        cpu = Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        used = (int(cpu[11]) + int(cpu[12])) / os.sysconf("SC_CLK_TCK")
        child.send_signal(signal.SIGINT)
        code = child.wait(20)
        out.seek(0)
        lines = [json.loads(line) for line in out]
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    rss = [statistics.median(s[0] for s in part) for part in (early, late)]
    fds = [max(s[1] for s in part) for part in (early, late)]
    left = set(os.listdir("/dev/shm")) - shm
    report = {
        "seconds": args.seconds, "exit": code, "objects": len(lines),
        "ticks": lines[-1].get("tick") if lines else 0, "rss_mib": rss, "descriptors": fds,
        "threads": [max(s[2] for s in part) for part in (early, late)],
        "cores_used": round(used / args.seconds, 3), "left_in_shm": sorted(left),
    }  # fmt: skip
    print(json.dumps(report, indent=1))
    if args.out:
        args.out.write_text(json.dumps(report, indent=1) + "\n")
    flat = rss[1] - rss[0] <= max(0.05 * rss[0], 8.0) and fds[1] <= fds[0]
    return 0 if flat and code == 0 and not left else 1


if __name__ == "__main__":
    raise SystemExit(main())
