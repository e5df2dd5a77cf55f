"""Asking a controller for bandwidth from another process, through the request queue."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import fabcore
from fabcore.desk import DeskClient


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "desk"


CLIENT = """
import sys
from fabcore.desk import DeskClient
with DeskClient(sys.argv[1]) as desk:
    free = desk.get_available_bandwidth(0)
    assert desk.allocate_pci_bandwidth("a", 5e9)
    assert abs(free - desk.get_available_bandwidth(0) - 5e9) < 1.0, free
    assert not desk.allocate_pci_bandwidth("a", 1e12)
    assert desk.reason, "a refusal says why"
    desk.release_pci_bandwidth("a")
    desk.allocate_pci_bandwidth("a", 7e9)
    try:
        desk.allocate_pci_bandwidth("nobody", 1e9)
    except Exception as error:
        print(type(error).__name__, error)
"""


def test_another_process_allocates_and_releases(path: Path) -> None:
    with fabcore.ResourceNode.emulated() as node, fabcore.Controller(node) as ctl:
        ctl.add_vm("a", host=0, module=0)
        ctl.open_desk(path)
        client = subprocess.Popen(
            [sys.executable, "-c", CLIENT, str(path)], stdout=subprocess.PIPE, text=True
        )
        while client.poll() is None:
            ctl.tick()
            ctl.pause(0.005)
        assert client.returncode == 0
        out = client.stdout.read() if client.stdout else ""
        assert "FabricError" in out and "nobody" in out
        assert node.vms.get("a").floor == pytest.approx(7e9, abs=1.0)
        assert ctl.desk is not None and ctl.desk.answered == 7


def test_run_answers_between_ticks_on_a_virtual_node(path: Path) -> None:
    with fabcore.ResourceNode.emulated() as node, fabcore.Controller(node) as ctl:
        ctl.add_vm("a", host=0, module=0)
        ctl.open_desk(path)
        with pytest.raises(fabcore.FabricError, match="a desk already"):
            ctl.open_desk(path)
        with ThreadPoolExecutor(1) as pool, DeskClient(path, 30.0) as desk:
            asked = pool.submit(desk.allocate_pci_bandwidth, "a", 2e9)
            asked.add_done_callback(lambda _: ctl.stop())
            ctl.run(rate_hz=1000)
            assert asked.result() is True
    with DeskClient(path) as desk, pytest.raises(fabcore.FabricError, match="no live server"):
        desk.release_pci_bandwidth("a")


def test_command_serves_requests(path: Path) -> None:
    run = subprocess.Popen(
        [sys.executable, "-m", "fabcore", "run", "--json", "--requests", str(path), "--rate", "50"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ),
    )  # fmt: skip
    try:
        end = time.monotonic() + 60
        while not path.exists() and time.monotonic() < end:
            time.sleep(0.05)
        with DeskClient(path, 30.0) as desk:
            assert desk.get_available_bandwidth() > 1e9
    finally:
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=60)
    assert run.returncode == 0, said
