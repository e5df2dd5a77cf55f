"""Admission: what each policy grants, refuses and says; bad requests change nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

import fabcore

LINK = fabcore.pcie.payload_rate(5, 16)


@pytest.fixture
def node() -> Iterator[fabcore.ResourceNode]:
    with fabcore.ResourceNode.emulated() as made:
        yield made


def busy(ctl: fabcore.Controller, name: str, rate: float, seconds: float = 3.0) -> None:
    """Lets the predictor see a steady demand."""
    ctl.node.offer(name, rate, 0.0)
    ctl.run(rate_hz=100, seconds=seconds)


def test_literal_allocates_only_below_the_prediction(node: fabcore.ResourceNode) -> None:
    with fabcore.Controller(node, policy="literal") as ctl:
        ctl.add_vm("vm", module=0)
        busy(ctl, "vm", 10e9)
        predicted = ctl.engine.predict_bandwidth(node.vms.get("vm").handle)
        assert predicted == pytest.approx(10e9, rel=0.3)
        assert ctl.allocate_pci_bandwidth("vm", 0.5 * predicted)
        assert not ctl.allocate_pci_bandwidth("vm", 1.5 * predicted)
        decision = ctl.decision("vm")
        assert not decision.accepted and decision.reason.startswith("warning")
        assert node.vms.get("vm").floor == 0.5 * predicted  # a refusal changes nothing
        assert ctl.events.counts["rejected"] == 1


def test_adaptive_grants_above_the_prediction_and_rejects_only_what_cannot_be_kept(
    node: fabcore.ResourceNode,
) -> None:
    with fabcore.Controller(node) as ctl:
        ctl.add_vm("a", module=0)
        ctl.add_vm("b", module=1)
        assert ctl.allocate_pci_bandwidth("a", 0.7 * LINK)
        assert not ctl.allocate_pci_bandwidth("b", 0.4 * LINK)
        decision = ctl.decision("b")
        assert decision.shortfall == pytest.approx(0.1 * LINK)
        assert "host" in decision.reason
        assert ctl.allocate_pci_bandwidth("b", 0.3 * LINK)  # exactly full
        assert node.get_available_bandwidth(0) == pytest.approx(0.0, abs=1.0)
        assert ctl.allocate_pci_bandwidth("a", 0.2 * LINK)  # replaces, does not add
        assert node.get_available_bandwidth(0) == pytest.approx(0.5 * LINK)


def test_release_is_idempotent(node: fabcore.ResourceNode) -> None:
    with fabcore.Controller(node) as ctl:
        ctl.add_vm("a", module=0)
        ctl.allocate_pci_bandwidth("a", 1e9)
        for _ in range(2):
            ctl.release_pci_bandwidth("a")
            assert node.get_available_bandwidth() == pytest.approx(LINK)


@pytest.mark.parametrize("rate", [math.nan, -1.0, math.inf, "fast", None, True])
def test_an_impossible_rate_is_refused_before_anything_changes(
    node: fabcore.ResourceNode, rate: object
) -> None:
    with fabcore.Controller(node) as ctl:
        ctl.add_vm("a", module=0)
        ctl.allocate_pci_bandwidth("a", 1e9)
        with pytest.raises(fabcore.FabricError, match="'a'"):
            ctl.allocate_pci_bandwidth("a", rate)  # type: ignore[arg-type]
        with pytest.raises(fabcore.FabricError, match="'a'"):
            node.allocate_bandwidth("a", rate)  # type: ignore[arg-type]
        assert node.vms.get("a").floor == 1e9


def test_more_than_the_link_is_refused_with_the_shortfall(node: fabcore.ResourceNode) -> None:
    with fabcore.Controller(node) as ctl:
        ctl.add_vm("a", module=0)
        assert not ctl.allocate_pci_bandwidth("a", 2 * LINK)
        assert ctl.decision("a").shortfall == pytest.approx(LINK)
        with pytest.raises(fabcore.CapacityError) as refused:
            node.allocate_bandwidth("a", 2 * LINK)
        assert max(refused.value.shortfall) == pytest.approx(LINK)
        assert node.topology.path_up(0, 0)[0] in refused.value.links


@pytest.mark.parametrize(
    "bad",
    [
        {"name": "a"}, {"name": ""}, {"host": 8}, {"host": -1}, {"module": 8}, {"share": 0.3},
        {"share": 0.0}, {"share": 2.0}, {"weight": 0.0}, {"weight": math.nan}, {"floor": -1.0},
        {"floor": math.inf}, {"floor": 2e9, "cap": 1e9}, {"floor": 1e12}, {"priority": 1.5},
    ],
)  # fmt: skip
def test_an_impossible_vm_changes_nothing(
    node: fabcore.ResourceNode, bad: dict[str, object]
) -> None:
    with fabcore.Controller(node) as ctl:
        ctl.add_vm("a", module=0)
        before = (node.room(0), node.chassis.free_functions(0), node.get_available_bandwidth())
        with pytest.raises(fabcore.FabricError):
            ctl.add_vm(**{"name": "b", "module": 0, **bad})  # type: ignore[arg-type]
        assert before == (
            node.room(0),
            node.chassis.free_functions(0),
            node.get_available_bandwidth(),
        )
        assert [vm.name for vm in node.vms.all()] == ["a"]


def test_a_module_takes_shares_until_it_is_full(node: fabcore.ResourceNode) -> None:
    with fabcore.Controller(node) as ctl:
        for k in range(8):
            ctl.add_vm(f"vm{k}", module=2)
        with pytest.raises(fabcore.CapacityError, match="share"):
            ctl.add_vm("one more", module=2)
        ctl.remove_vm("vm3")
        ctl.add_vm("one more", module=2)


def test_a_vm_that_wants_a_guarantee_sits_where_hardware_holds_it(
    node: fabcore.ResourceNode,
) -> None:
    with fabcore.Controller(node) as ctl:
        ctl.add_vm("sure", host=6, floor=1e9)
        ctl.add_vm("near", host=6)
        assert node.vms.get("sure").function.module not in (6, 7)
        assert node.vms.get("near").function.module in (6, 7)


def test_handles_are_not_reused(node: fabcore.ResourceNode) -> None:
    with fabcore.Controller(node) as ctl:
        first = ctl.add_vm("a")
        ctl.remove_vm(first)
        assert ctl.add_vm("b") != first
        with pytest.raises(fabcore.FabricError, match="unknown VM"):
            ctl.release_pci_bandwidth(first)


def test_many_vms_come_and_go_and_leave_nothing(node: fabcore.ResourceNode) -> None:
    with fabcore.Controller(node) as ctl:
        for _ in range(2):
            for k in range(200):
                ctl.add_vm(f"vm{k}", host=k % 8, share=1 / 32, floor=1e8)
            ctl.tick()
            for k in range(200):
                ctl.remove_vm(f"vm{k}")
            ctl.tick()
        assert node.get_available_bandwidth() == pytest.approx(LINK)
        assert all(node.room(m) == pytest.approx(1.0) for m in range(8))
        assert not node.chassis.tables.used.any()


def test_an_unknown_policy_is_refused(node: fabcore.ResourceNode) -> None:
    with pytest.raises(fabcore.FabricError, match="adaptive or literal"):
        fabcore.Controller(node, policy="greedy")
