"""The plan on the emulated node: applied is what was meant, a failure leaves what was there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fabcore
from fabcore._core import SHAPE, Plan

INGRESS = np.array([0, 8, 16, 24, 32, 40], np.uint8)
TARGETS = [(0, 0, 16, 0, 256), (0, 0, 32, 0, 256), (0, 1, 24, 0, 256), (1, 0, 0, 0, 128)]


@pytest.fixture(scope="module")
def node() -> Iterator[fabcore.ResourceNode]:
    with fabcore.ResourceNode.emulated() as made:
        for switch in made.chassis.switches:
            switch.set_timeout(0.02)
        yield made


def held(node: fabcore.ResourceNode) -> list[list[int]]:
    """The tables in force, read from the registers."""
    switches = node.chassis.switches
    return [
        (
            switches[sw].port_table(port) if kind == 0 else switches[sw].function_table(pdfid)
        ).tolist()
        for kind, sw, port, pdfid, _ in TARGETS
    ]


def random_tables(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    tables = rng.choice(INGRESS, (len(TARGETS), 256))
    tables[3] = rng.integers(0, 8, 256)
    return tables.astype(np.uint8)


flags = st.lists(st.booleans(), min_size=4, max_size=4)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 2**31), flags)
def test_what_is_applied_is_read_back_and_costs_only_what_differs(
    node: fabcore.ResourceNode, seed: int, changed: list[bool]
) -> None:
    plan = Plan(node.chassis.switches, TARGETS)
    tables, before = random_tables(seed), held(node)
    rc, _, loaded, failed, _ = plan.apply(tables, np.array(changed, np.uint8))
    assert (rc, failed) == (0, -1)
    for k, (old, new) in enumerate(zip(before, held(node), strict=True)):
        want = tables[k, : TARGETS[k][4]].tolist() if changed[k] else old
        assert new == want
    rc, writes, loaded, _, _ = plan.apply(tables, np.array(changed, np.uint8))
    assert (rc, writes, loaded) == (0, 0, 0)  # nothing differs any more
    plan.close()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 2**31), st.integers(0, 2), st.sampled_from(["vc-stuck", "torn-write"]))
def test_a_failure_anywhere_leaves_every_table_as_it_was(
    node: fabcore.ResourceNode, seed: int, at: int, fault: str
) -> None:
    plan = Plan(node.chassis.switches, TARGETS)
    every = np.ones(len(TARGETS), np.uint8)
    assert plan.apply(random_tables(seed), every)[0] == 0
    before = held(node)
    _, sw, port, _, _ = TARGETS[at]
    node.fault(sw, fault, port, 1)
    shape = np.zeros(1, SHAPE)
    shape["pdfid"], shape["up_min"], shape["up_max"], shape["down_max"] = (
        3 << 6 | 1,
        2e9,
        np.inf,
        np.inf,
    )
    shape["sw"] = 1
    rc, _, _, failed, back = plan.apply(random_tables(seed + 1), every, shape)
    assert rc < 0
    assert failed == at
    assert back >= 0
    assert held(node) == before
    assert plan.apply(random_tables(seed + 1), every)[0] == 0  # and the plan is still true
    assert held(node) != before
    plan.close()


def test_one_entry_costs_one_register_and_the_handshake(node: fabcore.ResourceNode) -> None:
    plan = Plan(node.chassis.switches, TARGETS)
    tables = random_tables(1)
    every, first = np.ones(4, np.uint8), np.array([1, 0, 0, 0], np.uint8)
    plan.apply(tables, every)
    tables[0, 17] = 40 if tables[0, 17] != 40 else 0
    rc, writes, loaded, _, _ = plan.apply(tables, first)
    assert (rc, writes, loaded) == (0, 2, 1)  # the dword, and Load
    plan.close()


def test_a_vanished_switch_is_gone_not_numbers(node: fabcore.ResourceNode) -> None:
    switch = node.chassis.switches[2]
    node.fault(2, "gone")
    try:
        with pytest.raises(fabcore.BarError, match="surprise removal"):
            switch.bar.read32(0x2000)
        assert switch.bar.gone
        for ask in (
            switch.identify,
            switch.ports,
            switch.link_events,
            lambda: switch.counters([0]),
        ):
            with pytest.raises(fabcore.BarError, match="gone"):
                ask()
        with pytest.raises(fabcore.BarError, match="gone"):
            switch.mrpc(0x41, b"\0\0\0\0", 4)
    finally:
        node.fault(2, "back")
        node.advance(0.5)  # its links train
    assert not switch.bar.gone
    assert switch.identify()["device_id"] == 0x5200


def test_firmware_errors_carry_command_and_code(node: fabcore.ResourceNode) -> None:
    switch = node.chassis.switches[0]
    assert switch.mrpc(0x41, b"\x01\x02\x03\x04", 4) == b"\xfe\xfd\xfc\xfb"
    with pytest.raises(fabcore.FirmwareError) as refused:
        switch.mrpc(0x7FF, b"", 4)
    assert (refused.value.id, refused.value.code) == (0x7FF, 0x64005)
    node.fault(0, "mrpc-stuck")
    with pytest.raises(fabcore.FirmwareError, match="never completed"):
        switch.mrpc(0x41, b"\0\0\0\0", 4)
    assert switch.mrpc(0x41, b"\0\0\0\0", 4, pax=2) == b"\xff" * 4


def test_a_bound_function_is_not_bound_twice(node: fabcore.ResourceNode) -> None:
    switch = node.chassis.switches[0]
    switch.bind(0, 16, 200, 5)
    with pytest.raises(fabcore.FabricError):
        switch.bind(0, 24, 200, 5)
    with pytest.raises(fabcore.FabricError):
        switch.bind(0, 16, 200, 6)
    switch.unbind(0, 16, 200, 5)
    switch.bind(0, 24, 200, 5)
    switch.unbind(0, 24, 200, 5)
