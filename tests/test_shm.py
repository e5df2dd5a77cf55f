"""A shared-memory name: held by the living, refused to strangers, inherited from the dead."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

LAYOUT_AT = 0x400000 + 8  # behind the image: magic, then the layout number (fab_layout.h)
EMULATE = [sys.executable, "-m", "fabcore", "emulate", "--shm"]


@pytest.fixture
def name() -> Iterator[str]:
    made = f"fabcore-test-{uuid.uuid4().hex[:8]}"
    yield made
    folder = Path("/dev/shm", made)
    for file in folder.glob("*"):
        file.unlink()
    if folder.exists():
        folder.rmdir()


def killed(name: str) -> None:
    """Leaves the files of a node that was killed."""
    with subprocess.Popen([*EMULATE, name], stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        assert node.stdout.readline().startswith("ready")
        again = subprocess.run([*EMULATE, name], capture_output=True, text=True)
        assert again.returncode == 2
        assert f"{name}: a live process holds it" in again.stderr
        node.kill()


def run_on(name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fabcore", "run", "--node", f"shm:{name}", "--ticks", "2"]
    return subprocess.run(command, capture_output=True, text=True)


def test_files_of_another_layout_are_refused_and_left_alone(name: str) -> None:
    killed(name)
    file = Path("/dev/shm", name, "0")
    image = bytearray(file.read_bytes())
    image[LAYOUT_AT] ^= 1
    file.write_bytes(image)
    for done in (subprocess.run([*EMULATE, name], capture_output=True, text=True), run_on(name)):
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert f"shm:{name}" in done.stderr
        assert "another layout" in done.stderr
    assert file.read_bytes() == image


def test_a_dead_node_is_named_and_its_successor_takes_the_name(name: str) -> None:
    killed(name)
    done = run_on(name)
    assert done.returncode == 2
    assert "the process that made it is dead" in done.stderr
    with subprocess.Popen([*EMULATE, name], stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        assert node.stdout.readline().startswith("ready")
        assert run_on(name).returncode == 0
        node.terminate()
        assert node.wait(20) == 0
    assert not Path("/dev/shm", name).exists()
