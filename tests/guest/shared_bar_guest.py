"""Runs in a guest (test_shared_bar.py boots it): an emulated switch as memory shared with the host.

Slot 1 holds the file of switch 0 as an ivshmem device's BAR 2: no access traps, writes travel through
the queue behind the registers, and the node's process is one of another kernel.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from machine import ask_host, at, case, failure, measured, run, wait

import fabcore

SLOT, BAR_BYTES = 1, 8 << 20
ECHO = 0x41
MODULE_PORTS, HOST_PORT = (0, 8), 16
MAILBOX_HALF = 0x200  # the host writes below it, the guest from it on


def resource() -> Path:
    folder = at(SLOT)
    (folder / "enable").write_text("1")
    return folder / "resource2"


@case
def bar_finds_the_node_behind_the_registers() -> None:
    start, end, _ = (at(SLOT) / "resource").read_text().splitlines()[2].split()
    assert int(end, 16) - int(start, 16) + 1 == BAR_BYTES
    with fabcore.Bar.open(resource()) as bar:
        assert bar.has_page
        assert bar.bytes == 4 << 20
        assert not bar.gone
        assert fabcore.Switch(bar).identify()["device_id"] == 0x5200


@case
def driver_programs_a_table_through_the_queue() -> None:
    with fabcore.Bar.open(resource()) as bar:
        switch = fabcore.Switch(bar)
        assert {p["port"]: p["phases"] for p in switch.ports()}[HOST_PORT] == 256
        table = bytes(MODULE_PORTS[k % 5 == 0] for k in range(256))
        assert switch.load_port_table(HOST_PORT, table) > 0
        assert bytes(switch.port_table(HOST_PORT)) == table
        ask_host("programmed", str(HOST_PORT), table.hex())


@case
def firmware_commands_run_through_the_queue() -> None:
    with fabcore.Bar.open(resource()) as bar:
        switch = fabcore.Switch(bar)
        start = time.perf_counter()
        for value in range(50):
            answer = switch.mrpc(ECHO, value.to_bytes(4, "little"), 4)
            assert int.from_bytes(answer, "little") == value ^ 0xFFFFFFFF
        measured("echo_us", (time.perf_counter() - start) / 50 * 1e6)


@case
def host_and_guest_write_at_once() -> None:
    """The queue's lock is taken by processes of two kernels; nothing of either's is lost."""
    with fabcore.Bar.open(resource()) as bar:
        ask_host("write")
        wait(lambda: bar.read32(0) != 0, "the host to write")
        for turn in range(1, 400):
            for k in range(8):
                bar.write32(MAILBOX_HALF + 4 * k, turn << 8 | k)
            held = [bar.read32(MAILBOX_HALF + 4 * k) for k in range(8)]
            assert held == [turn << 8 | k for k in range(8)], turn
        ask_host("stop")
        wait(lambda: bar.read32(MAILBOX_HALF - 4) == 0x0FF, "the host to stop")


@case
def killed_node_is_noticed_by_its_pulse() -> None:
    bar = fabcore.Bar.open(resource())
    assert not bar.gone
    ask_host("kill")
    wait(lambda: bar.gone, "the pulse to be missed")
    assert "surprise removal" in failure(lambda: bar.read32(0x2000))
    assert "surprise removal" in failure(lambda: bar.write32(0, 1))
    bar.close()
    assert "is dead" in failure(lambda: fabcore.Bar.open(resource()))


run()
