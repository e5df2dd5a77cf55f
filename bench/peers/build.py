"""Compiles the C++ measurements against this tree's headers and library, with the peers it finds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fabcore

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OUT = ROOT / "build" / "bench"
FLAGS = ["-std=c++17", "-O2", "-Wall", "-Wextra", "-pthread", f"-I{ROOT / 'csrc' / 'include'}"]


def build(name: str) -> Path:
    """The program made of NAME.cpp, compiled anew when anything that it is made of is newer."""
    target, library = OUT / name, Path(fabcore.get_library())
    sources = [*HERE.glob("*.h"), HERE / f"{name}.cpp", *(ROOT / "csrc" / "include").glob("*.h")]
    newest = max(f.stat().st_mtime for f in [*sources, library, Path(__file__)])
    if target.exists() and target.stat().st_mtime > newest:
        return target
    OUT.mkdir(parents=True, exist_ok=True)
    compiler = os.environ.get("CXX", "c++")
    linked = [f"-L{library.parent}", f"-Wl,-rpath,{library.parent}", "-lfabcore"]
    before, behind = dpdk()
    # The core's own flag for the machine: DPDK's needs SSSE3 at least.
    machine = ["-march=x86-64-v2"] if os.uname().machine == "x86_64" else []
    command = [compiler, *FLAGS, *machine, *before, str(HERE / f"{name}.cpp"), "-o", str(target)]
    done = subprocess.run(command + linked + behind, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"bench: {name}.cpp does not compile:\n{done.stderr}")
    return target


def dpdk() -> tuple[list[str], list[str]]:
    """Flags for DPDK's ring without its EAL, before and behind the source; none if it is missing."""
    asked = ["pkg-config", "--cflags-only-I", "libdpdk"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True)
    except FileNotFoundError:
        return [], []
    if done.returncode:
        return [], []
    folders = [f"-isystem{flag[2:]}" for flag in done.stdout.split()]
    define = ["-DHAVE_DPDK", "-DALLOW_EXPERIMENTAL_API", "-include", "rte_config.h"]
    return define + folders, ["-lrte_ring", "-lrte_eal"]
