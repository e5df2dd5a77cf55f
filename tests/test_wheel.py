"""What the wheels are configured to be: the same Pythons and the same trial wherever it is said."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def table(file: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / file).read_text(encoding="utf-8"))


def test_every_python_that_is_claimed_gets_a_wheel() -> None:
    project = table("pyproject.toml")
    prefix = "Programming Language :: Python :: 3."
    classifiers = project["project"]["classifiers"]
    minors = [int(c.removeprefix(prefix)) for c in classifiers if c.startswith(prefix)]
    assert project["project"]["requires-python"] == f">=3.{min(minors)}"
    built = project["tool"]["cibuildwheel"]["build"].split()
    assert {f"cp3{minor}-*" for minor in minors} <= set(built)
    loop = " ".join(name.removeprefix("cp3").removesuffix("-*") for name in built)
    assert f"for minor in {loop};" in (ROOT / "tests/wheels.sh").read_text()


def test_stable_abi_wheel_is_made_and_tried_like_the_others() -> None:
    one = table("pyproject.toml")["tool"]["cibuildwheel"]
    other = table(".cibuildwheel-abi3.toml")["tool"]["cibuildwheel"]
    floor = other.pop("config-settings")["wheel.py-api"]
    assert other.pop("build") == f"{floor}-*"
    assert other == {key: value for key, value in one.items() if key != "build"}
    assert f"wheel.py-api={floor}" in (ROOT / "tests/wheels.sh").read_text()


def test_trial_that_the_configuration_names_is_there() -> None:
    command = table("pyproject.toml")["tool"]["cibuildwheel"]["test-command"].split()
    assert Path(command[1].format(project=ROOT)).is_file()
