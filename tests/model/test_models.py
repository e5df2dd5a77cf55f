"""The rings' models hold in every interleaving, and each of their mutations is found."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("model", ["index", "follow", "writers", "request"])
def test_model_holds_and_each_mutation_of_it_is_found(model: str) -> None:
    if missing := [tool for tool in ("spin", "gcc") if not shutil.which(tool)]:
        text = f"no {' and no '.join(missing)} (Debian: the packages of that name)"
        if os.environ.get("FABCORE_CI"):
            pytest.fail(text)
        pytest.skip(text)
    run = subprocess.run([HERE / "run.sh", model], capture_output=True, text=True, timeout=240)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{model}, MUTATE_" in run.stdout
