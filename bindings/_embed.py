"""Writes the C source of fabcore._embed: the whole C API through cffi (API mode), as the headers have it."""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

import cffi

# Object-like macros that callers need and the preprocessor swallows.
CONSTANTS = (
    "FAB_GAS_BYTES", "FAB_PAGE_BYTES", "FAB_BAR_BYTES", "FAB_QUEUE_SLOTS", "FAB_MAX_FUNCTIONS",
    "FAB_SWITCH_MODULES", "FAB_MAX_SWITCHES", "FAB_MAX_PORTS", "FAB_LINE",
    "FAB_MAX_VCS", "FAB_STACK_PORTS",
)  # fmt: skip


def declarations(cc: str, include: Path) -> str:
    """The headers as cffi reads them: macros expanded, attributes and assertions taken out."""
    with tempfile.TemporaryDirectory() as empty:
        for name in ("stddef.h", "stdint.h", "errno.h", "string.h"):  # cffi knows their types
            Path(empty, name).touch()
        text = subprocess.run(
            [cc, "-E", "-P", "-nostdinc", f"-I{empty}", f"-I{include}", str(include / "fab_arrow.h")],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    text = re.sub(r'__attribute__\(\(visibility\("default"\)\)\)', "", text)
    text = re.sub(r"^ *#pragma .*$", "", text, flags=re.M)
    text = re.sub(r"_Static_assert\(.*?\"\s*\);", "", text, flags=re.S)
    # Inline functions have exported bodies (fab_inline.h): their prototypes are enough for cffi.
    text = re.sub(r"\binline ([^;{}]*?)\s*\{.*?\n\}", r"\1;", text, flags=re.S)
    return text + "\n".join(f"#define {name} ..." for name in CONSTANTS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--include", type=Path, required=True)
    parser.add_argument("output")
    args = parser.parse_args()
    ffi = cffi.FFI()
    ffi.cdef(declarations(args.cc, args.include))
    ffi.set_source("fabcore._embed", '#include "fab_arrow.h"')
    ffi.emit_c_code(args.output)


if __name__ == "__main__":
    main()
