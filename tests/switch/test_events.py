"""What a switch tells of itself beside its ports' bytes: events, counters, latency, temperature."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import fabcore
from fabcore._core import Switch


@pytest.fixture
def node() -> Iterator[fabcore.ResourceNode]:
    with fabcore.ResourceNode.emulated() as made:
        yield made


@pytest.fixture
def switch(node: fabcore.ResourceNode) -> Switch:
    found: Switch = node.chassis.switches[0]
    found.events.clear()
    return found


def moving(node: fabcore.ResourceNode) -> None:
    controller = fabcore.Controller(node)
    controller.add_vm("writer", host=0, module=0)
    node.offer("writer", 2e9, 1e9)
    node.advance(0.05)


def test_an_event_is_pending_until_it_is_cleared(
    node: fabcore.ResourceNode, switch: Switch
) -> None:
    node.fault(0, "link-down", port=8)
    node.advance(0.2)
    links = [e for e in switch.events.pending() if e["event"] == "link-state"]
    assert [(e["scope"], e["index"], e["data"]) for e in links] == [("port", 8, (0,) * 5)]
    assert links[0]["count"] >= 1
    assert switch.events.clear("link-state", 8) == 1
    assert switch.events.clear("link-state", 8) == 0
    assert not [e for e in switch.events.pending() if e["event"] == "link-state"]


def test_enabling_shows_in_the_header_and_in_what_is_pending(
    node: fabcore.ResourceNode, switch: Switch
) -> None:
    assert switch.events.enable("link-state") == 7
    assert switch.events.enable("link-state", 16, "fatal") == 1
    assert switch.bar.read32(0x136D30) & 0x1E == 0x18
    assert switch.events.disable("link-state", 16) == 1
    assert switch.bar.read32(0x136D30) & 0x1E == 0x10
    node.fault(0, "link-down", port=16)
    node.advance(0.2)
    (link,) = [e for e in switch.events.pending() if e["event"] == "link-state"]
    assert link["enabled"] == ("fatal",)


def test_what_is_no_event_or_no_port_is_refused_by_name(switch: Switch) -> None:
    with pytest.raises(fabcore.FabricError, match=r"'nope'.*link-state"):
        switch.events.clear("nope")
    with pytest.raises(fabcore.TopologyError, match="no dpc at index 33"):
        switch.events.clear("dpc", 33)
    with pytest.raises(fabcore.FabricError, match="'poll'"):
        switch.events.enable("dpc", what="poll")  # type: ignore[arg-type]
    with pytest.raises(fabcore.FabricError, match="-1 is no port"):
        switch.events.clear("dpc", -1)
    assert len(set(switch.events.NAMES)) == 32


def test_event_counters_count_what_the_byte_counters_moved(
    node: fabcore.ResourceNode, switch: Switch
) -> None:
    switch.counters.setup_event(0, 5, [0], ["posted"])
    switch.counters.setup_event(0, 6, [0], ["bad-tlp", "nak"], egress=True, threshold=3)
    moving(node)
    (bytes_moved,) = switch.counters([0])[:, 4]  # ingress posted
    posted, errors = switch.counters.events(0, clear=True)
    assert posted["counter"] == 5 and posted["types"] == ("posted",) and not posted["egress"]
    assert posted["value"] * 256 >= bytes_moved > 0  # MaxPayloadSize 256
    assert errors == {
        "counter": 6,
        "ports": (0,),
        "types": ("bad-tlp", "nak"),
        "egress": True,
        "threshold": 3,
        "value": 0,
    }
    assert switch.counters.events(0)[0]["value"] == 0
    switch.counters.setup_event(0, 5, [], [])
    assert [c["counter"] for c in switch.counters.events(0)] == [6]


def test_a_threshold_raises_its_event_at_the_ports_it_watches(
    node: fabcore.ResourceNode, switch: Switch
) -> None:
    switch.counters.setup_event(0, 0, [0], ["posted", "nonposted"], threshold=1000)
    assert not [e for e in switch.events.pending() if e["event"] == "thresh"]
    moving(node)
    (event,) = [e for e in switch.events.pending() if e["event"] == "thresh"]
    assert (event["scope"], event["index"], event["count"]) == ("port", 0, 1)


def test_counters_refuse_what_they_cannot_count(switch: Switch) -> None:
    with pytest.raises(fabcore.FabricError, match=r"'crc'.*bad-tlp"):
        switch.counters.setup_event(0, 0, [0], ["crc"])
    with pytest.raises(fabcore.FabricError, match="ports 0 to 7, not 8"):
        switch.counters.setup_event(0, 0, [8], ["ecrc"])
    with pytest.raises(fabcore.FirmwareError) as refused:
        switch.counters.setup_event(8, 0, [0], ["ecrc"])
    assert (refused.value.id, refused.value.code) == (0x07, 0x100001)
    with pytest.raises(fabcore.FirmwareError) as refused:
        switch.counters.latency(17)
    assert refused.value.code == 0x100002


def test_latency_is_least_and_most_nanoseconds_to_a_port(
    node: fabcore.ResourceNode, switch: Switch
) -> None:
    assert switch.counters.latency(16) == (0, 0)  # not set up
    switch.counters.setup_latency(16, ingress=0)
    moving(node)
    least, most = switch.counters.latency(16)
    assert 0 < least <= most < 65536


def test_calling_the_counters_reads_bytes(node: fabcore.ResourceNode, switch: Switch) -> None:
    moving(node)
    table = switch.counters(np.array([0, 16], np.uint8))
    assert table.shape == (2, 7) and table.dtype == np.uint64
    assert table[0, 4] == table[1, 1] > 0  # into the module's port, out of the host's


def test_temperature_and_another_switchs_registers(switch: Switch) -> None:
    assert len(switch.temperature()) == 4
    assert all(20 < t < 125 for t in switch.temperature())
    assert switch.gas_read(2, 0x2000, 4) == b"\x00\x52\x00\x00"
    assert len(switch.gas_read(2, 0x134000, 5000)) == 5000
    switch.gas_write(2, 0x134018, b"\x01\x02\x03\x00")
    assert switch.gas_read(2, 0x134018, 4) == b"\x01\x02\x03\x00"
    with pytest.raises(fabcore.FirmwareError, match="PAX 2 at 0x800"):
        switch.gas_write(2, 0x800, b"\x34\x00\x00\x00")
    with pytest.raises(fabcore.FabricError, match="outside"):
        switch.gas_read(2, 0x3FFFFF, 2)


def test_a_hard_reset_is_an_event_and_a_fresh_start(
    node: fabcore.ResourceNode, switch: Switch
) -> None:
    switch.counters.setup_event(0, 0, [0], ["posted"])
    switch.events.enable("link-state")
    switch.hard_reset()
    node.advance(0.5)
    assert switch.identify()["pax_id"] == 0
    assert "sys-reset" in {e["event"] for e in switch.events.pending()}
    assert switch.counters.events(0) == []
    assert switch.bar.read32(0x134D30) & 0x8 == 0
