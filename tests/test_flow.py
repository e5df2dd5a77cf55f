"""The whole circle: what is offered, programmed and delivered, by the node's own counters."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import fabcore

LINK = fabcore.pcie.payload_rate(5, 16)
MODULES = ((0, 0), (0, 8))  # (switch, port) of modules 0 and 1
HOST0 = (0, 16)


@pytest.fixture
def node() -> Iterator[fabcore.ResourceNode]:
    with fabcore.ResourceNode.emulated(seed=1) as made:
        yield made


def up_shares(node: fabcore.ResourceNode, ctl: fabcore.Controller, seconds: float) -> list[float]:
    """Shares of the bytes that entered at the two modules' ports, by the port counters."""
    before = node.port_counters()
    ctl.run(rate_hz=1000, seconds=seconds)
    after = node.port_counters()
    moved = [after[p][1] - before[p][1] for p in MODULES]
    out = after[HOST0][0] - before[HOST0][0]
    assert sum(moved) == out  # what entered at the modules left at the host, to the byte
    assert out == pytest.approx(LINK * seconds, rel=0.01)  # and filled the link
    return [m / sum(moved) for m in moved]


def test_two_vms_share_a_full_link_by_weight_and_follow_a_change(
    node: fabcore.ResourceNode,
) -> None:
    with fabcore.Controller(node) as ctl:
        for k, weight in enumerate((1.0, 3.0)):
            ctl.add_vm(f"vm{k}", host=0, module=k, weight=weight)
            node.offer(f"vm{k}", 60e9, 0.0)
        ctl.run(rate_hz=1000, seconds=0.05)
        assert up_shares(node, ctl, 0.3) == pytest.approx([0.25, 0.75], abs=0.01)
        assert ctl.report.violation <= 1e-9
        ctl.set_weight("vm0", 3.0)
        ctl.set_weight("vm1", 1.0)
        ctl.tick()
        assert up_shares(node, ctl, 0.3) == pytest.approx([0.75, 0.25], abs=0.01)
        assert [node.enforcement(f"vm{k}") for k in range(2)] == ["port-arbitration"] * 2


def test_a_floor_holds_against_a_heavier_neighbour(node: fabcore.ResourceNode) -> None:
    with fabcore.Controller(node) as ctl:
        ctl.add_vm("small", module=0, weight=1.0)
        ctl.add_vm("heavy", module=1, weight=9.0)
        assert ctl.allocate_pci_bandwidth("small", 0.4 * LINK)
        for name in ("small", "heavy"):
            node.offer(name, 60e9, 0.0)
        ctl.run(rate_hz=1000, seconds=0.05)
        assert up_shares(node, ctl, 0.3) == pytest.approx([0.4, 0.6], abs=0.01)
        assert ctl.decision("small").throttled == ("heavy",)


def test_idle_bandwidth_is_lent(node: fabcore.ResourceNode) -> None:
    with fabcore.Controller(node) as ctl:
        ctl.add_vm("idle", module=0, weight=9.0)
        ctl.add_vm("busy", module=1, weight=1.0)
        assert ctl.allocate_pci_bandwidth("idle", 0.5 * LINK)
        node.offer("busy", 60e9, 0.0)
        ctl.run(rate_hz=1000, seconds=0.05)
        assert up_shares(node, ctl, 0.2) == pytest.approx([0.0, 1.0], abs=0.001)


@pytest.mark.parametrize(
    ("modules", "enforced"), [((0, 0), "function-arbitration"), ((3, 3), "vf-shaper")]
)
def test_vms_of_one_module_are_told_apart(
    node: fabcore.ResourceNode, modules: tuple[int, int], enforced: str
) -> None:
    with fabcore.Controller(node) as ctl:
        host = 0 if modules[0] == 0 else 2
        for k, module in enumerate(modules):
            ctl.add_vm(f"vm{k}", host=host, module=module, weight=(1.0, 3.0)[k])
            node.offer(f"vm{k}", 60e9, 60e9)
        ctl.run(rate_hz=1000, seconds=0.3)
        before = np.array([node.delivered(f"vm{k}") for k in range(2)])
        ctl.run(rate_hz=1000, seconds=0.3)
        moved = np.array([node.delivered(f"vm{k}") for k in range(2)]) - before
        assert moved[1] / moved.sum(axis=0) == pytest.approx([0.75, 0.75], abs=0.02)
        assert node.enforcement("vm0") == enforced


def test_delivered_bytes_agree_with_the_ports_to_the_byte(node: fabcore.ResourceNode) -> None:
    rng = np.random.default_rng(7)
    with fabcore.Controller(node) as ctl:
        names = [f"vm{k}" for k in range(32)]
        for k, name in enumerate(names):
            ctl.add_vm(name, host=int(rng.integers(8)), module=k % 8)
            node.offer(name, *rng.uniform(0, 8e9, 2))
        ctl.run(rate_hz=1000, seconds=0.1)
        delivered = np.array([node.delivered(name) for name in names]).sum(axis=0)
        ports = node.port_counters()
        topology = node.topology
        up = sum(ports[p.switch, p.port][1] for p in topology.module_ports)
        down = sum(ports[p.switch, p.port][0] for p in topology.module_ports)
        assert (up, down) == tuple(delivered.tolist())


def test_the_same_seed_gives_the_same_bytes() -> None:
    def run() -> list[tuple[int, int]]:
        with fabcore.ResourceNode.emulated(seed=3) as node, fabcore.Controller(node) as ctl:
            for k in range(8):
                ctl.add_vm(f"vm{k}", host=k % 3, module=k, weight=1.0 + k)
                node.offer(f"vm{k}", 9e9 * k, 1e9 * k)
            ctl.run(rate_hz=500, seconds=0.1)
            return [node.delivered(f"vm{k}") for k in range(8)]

    assert run() == run()


def test_tick_never_moves_time_and_run_does(node: fabcore.ResourceNode) -> None:
    with fabcore.Controller(node) as ctl:
        ctl.tick()
        assert node.time_ns == 0
        ctl.run(rate_hz=100, seconds=0.5)
        assert node.time_ns == 500_000_000


@pytest.mark.parametrize("fault", ["vc-stuck", "torn-write"])
def test_a_failed_load_leaves_the_old_table_and_the_loop_goes_on(
    node: fabcore.ResourceNode, fault: str
) -> None:
    with fabcore.Controller(node) as ctl:
        for k, weight in enumerate((1.0, 3.0)):
            ctl.add_vm(f"vm{k}", host=0, module=k, weight=weight)
            node.offer(f"vm{k}", 60e9, 0.0)
        ctl.run(rate_hz=1000, seconds=0.05)
        switch = node.chassis.switches[0]
        old = switch.port_table(16).tolist()
        assert old.count(8) == pytest.approx(0.75 * len(old), abs=1)
        switch.set_timeout(0.02)
        ctl.set_weight("vm0", 3.0)
        node.fault(0, fault, 16, 1)
        ctl.tick()
        assert ctl.events.counts["tick_failed"] == 1
        assert "port 0:16" in ctl.events.recent(1)[0].detail["error"]
        assert switch.port_table(16).tolist() == old
        ctl.tick()  # the fault is over
        new = switch.port_table(16).tolist()
        assert new.count(8) == pytest.approx(0.5 * len(new), abs=1)


def test_a_module_port_that_goes_down_has_its_vms_placed_anew(node: fabcore.ResourceNode) -> None:
    with fabcore.Controller(node) as ctl:
        ctl.add_vm("vm", host=0, module=1)
        node.offer("vm", 5e9, 0.0)
        ctl.run(rate_hz=1000, seconds=0.05)
        before = node.delivered("vm")[0]
        node.fault(0, "link-down", 8)
        ctl.run(rate_hz=1000, seconds=0.1)
        assert ctl.events.counts["port_down"] == 1
        moved = [e for e in ctl.events if e.kind == "vm_replaced"]
        assert [e.detail["vm"] for e in moved] == ["vm"]
        assert node.vms.get("vm").function.module != 1
        assert node.delivered("vm")[0] - before >= 5e9 * 0.08  # its traffic goes on
        assert ctl.engine.demand[node.vms.get("vm").slot] == pytest.approx(5e9, rel=0.2)


def test_a_host_port_that_goes_down_strands_its_vms_and_says_so(node: fabcore.ResourceNode) -> None:
    with fabcore.Controller(node) as ctl:
        ctl.add_vm("vm", host=0, module=1, floor=1e9)
        ctl.run(rate_hz=1000, seconds=0.05)
        node.fault(0, "link-down", 16)
        ctl.run(rate_hz=1000, seconds=0.05)
        stranded = [e for e in ctl.events if e.kind == "vm_stranded"]
        assert stranded and stranded[0].detail["vm"] == "vm"
        assert node.get_available_bandwidth(0) == 0.0
        assert node.vms.get("vm").floor == 1e9  # kept until released
        node.fault(0, "link-up", 16)
        ctl.run(rate_hz=1000, seconds=0.05)
        assert ctl.events.counts["port_up"] == 1
        assert node.get_available_bandwidth(0) == pytest.approx(LINK - 1e9)


def test_a_switch_that_vanishes_is_reported_as_gone_not_as_numbers(
    node: fabcore.ResourceNode,
) -> None:
    with fabcore.Controller(node) as ctl:
        ctl.add_vm("here", host=0, module=0)
        ctl.add_vm("there", host=4, module=4)
        node.offer("there", 1e9, 0.0)
        ctl.run(rate_hz=1000, seconds=0.05)
        node.fault(0, "gone")
        ctl.run(rate_hz=1000, seconds=0.1)
        assert ctl.events.counts["switch_gone"] == 1
        assert ctl.events.counts["vm_stranded"] == 1
        at = node.delivered("there")[0]
        ctl.set_weight("there", 5.0)
        ctl.run(rate_hz=1000, seconds=0.05)
        assert node.delivered("there")[0] > at  # the other switches work on
        node.fault(0, "back")
        ctl.run(rate_hz=1000, seconds=0.05)
        assert ctl.events.counts["switch_back"] == 1


def test_a_vm_without_telemetry_keeps_its_floor(node: fabcore.ResourceNode) -> None:
    with fabcore.Controller(node) as ctl:
        ctl.add_vm("vm", host=0, module=0, floor=2e9)
        ctl.tick()
        node.functions.clear(node.vms.get("vm").slot)  # its counters are read no more
        node.advance(6.0)
        ctl.tick()
        ctl.tick()
        assert ctl.events.counts["vm_silent"] == 1
        assert node.get_available_bandwidth(0) == pytest.approx(LINK - 2e9)
        assert ctl.grants[node.vms.get("vm").slot] >= 2e9
        ctl.release_pci_bandwidth("vm")
        assert node.get_available_bandwidth(0) == pytest.approx(LINK)


def test_port_counters_are_published_for_whoever_follows_the_ring(
    node: fabcore.ResourceNode, tmp_path: Path
) -> None:
    with fabcore.Controller(node, ring=tmp_path / "ring") as ctl:
        ctl.add_vm("vm", host=0, module=0)
        node.offer("vm", 1e9, 0.0)
        follower = fabcore.Ring.open(tmp_path / "ring").reader("now")
        ctl.run(rate_hz=1000, seconds=0.25)
        records = follower.read(100_000)
        port = records[records["vm"] == 0xFFF00000 | 0 << 8 | 16]  # host 0: switch 0, port 16
        assert len(port) == 3
        assert port["up_bytes"][-1] == pytest.approx(2e8, rel=0.02)
        vm = records[records["vm"] == node.vms.get("vm").handle]
        assert len(vm) == 250


def test_records_that_were_overwritten_are_counted(node: fabcore.ResourceNode) -> None:
    with fabcore.Controller(node) as ctl:
        capacity = 1 << 14
        ctl.publish(np.zeros(capacity + 100, dtype=fabcore.RECORD))
        ctl.tick()
        overruns = [e for e in ctl.events if e.kind == "ring_overrun"]
        assert [e.detail["lost"] for e in overruns] == [100]


def test_node_and_controller_in_two_processes_over_shared_memory(tmp_path: Path) -> None:
    name = f"fabcore-test-{uuid.uuid4().hex[:8]}"
    emulate = subprocess.Popen(
        [sys.executable, "-m", "fabcore", "emulate", "--shm", name],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert emulate.stdout is not None
        assert emulate.stdout.readline().startswith("ready")
        with fabcore.ResourceNode.open(f"shm:{name}") as node:
            assert [m.arbitration for m in node.topology.module_specs].count("mfvc") == 3
            with fabcore.Controller(node) as ctl:
                for k, weight in enumerate((1.0, 3.0)):
                    ctl.add_vm(f"vm{k}", host=0, module=k, weight=weight)
                    node.offer(f"vm{k}", 60e9, 0.0)
                ctl.run(rate_hz=200, seconds=0.3)
                for weights in ((1.0, 3.0), (3.0, 1.0)):
                    for k in range(2):
                        ctl.set_weight(f"vm{k}", weights[k])
                    ctl.run(rate_hz=200, seconds=0.1)
                    before = node.port_counters()
                    ctl.run(rate_hz=200, seconds=0.5)
                    after = node.port_counters()
                    moved = [after[p][1] - before[p][1] for p in MODULES]
                    share = [m / sum(moved) for m in moved]
                    assert share == pytest.approx([w / 4 for w in weights], abs=0.01)
    finally:
        emulate.terminate()
        assert emulate.wait(20) == 0
        emulate.stdout.close()
    deadline = time.monotonic() + 5
    while Path("/dev/shm", name).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path("/dev/shm", name).exists()


def test_what_a_killed_controller_left_bound_is_passed_over(node: fabcore.ResourceNode) -> None:
    bars = [node.chassis.switches[k].bar for k in range(4)]
    earlier = fabcore.ResourceNode(bars, node.topology)
    with fabcore.Controller(earlier) as gone, fabcore.Controller(node) as ctl:
        for k in range(3):
            gone.add_vm(f"old{k}", host=0, module=0)
        ctl.add_vm("new", host=0, module=0)
        old = {vm.function.function for vm in earlier.vms.all()}
        new = node.vms.get("new").function
        assert new.function not in old
        assert new.logical == 3
        node.offer("new", 1e9, 0.0)
        ctl.run(rate_hz=1000, seconds=0.05)
        assert node.delivered("new")[0] == pytest.approx(5e7, rel=0.05)
