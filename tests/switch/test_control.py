"""The driver's operations on the emulated node: capabilities, config space, isolation, changes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest

import fabcore
from fabcore.errors import FirmwareError


@pytest.fixture
def node() -> Iterator[fabcore.ResourceNode]:
    with fabcore.ResourceNode.emulated() as made:
        for switch in made.chassis.switches:
            switch.set_timeout(0.02)
        yield made


def test_capabilities_have_names_and_places(node: fabcore.ResourceNode) -> None:
    switch = node.chassis.switches[0]
    port = {c["name"]: c for c in switch.capabilities(port=0)}
    for name in ("PCI Express", "Advanced Error Reporting", "Access Control Services"):
        assert name in port
    assert port["Virtual Channel"]["id"] == 2 and port["Virtual Channel"]["extended"]
    assert port["Downstream Port Containment"]["version"] == 1
    found = {c["name"] for c in switch.capabilities(pdfid=0)}
    assert {"Alternative Routing-ID", "Single Root I/O Virtualization"} <= found
    assert "Multi-Function Virtual Channel" in found
    offsets = [c["offset"] for c in switch.capabilities(port=16)]
    space = node.config_space(0, 16)
    for c in switch.capabilities(port=16):
        assert space[c["offset"]] == c["id"] & 0xFF
    assert len(set(offsets)) == len(offsets)
    with pytest.raises(fabcore.FabricError, match="either port= or pdfid="):
        switch.capabilities()
    with pytest.raises(fabcore.FabricError, match="pdfid 65536 is not in 0 to 65535"):
        switch.capabilities(pdfid=65536)
    with pytest.raises(FirmwareError, match="a parameter is invalid"):
        switch.capabilities(pdfid=0xFFF)


def test_config_space_says_how_far_it_reaches(node: fabcore.ResourceNode) -> None:
    switch = node.chassis.switches[0]
    assert switch.config_read(0, 2, port=0) == 0x11F8
    assert switch.config_read(2, 2, pdfid=1) == 0xFAB1
    switch.config_write(0x0C, 0x10, 1, port=0)
    assert switch.config_read(0x0C, 1, port=0) == 0x10
    with pytest.raises(fabcore.FabricError, match="below 0x800 only"):
        switch.config_read(0x800, port=0)
    with pytest.raises(fabcore.FabricError, match="ends at 0x1000"):
        switch.config_read(0x1000, pdfid=0)
    with pytest.raises(fabcore.FabricError, match="1, 2 or 4 bytes, aligned"):
        switch.config_write(1, 0, 2, port=0)


def test_a_binding_is_isolated_from_its_peers(node: fabcore.ResourceNode) -> None:
    with fabcore.Controller(node) as ctl:
        ctl.add_vm("a", host=0, module=0)
        vm = node.vms.get("a").function
        switch = node.chassis.switches[vm.switch]
        (acs,) = (c for c in switch.capabilities(port=vm.port) if c["id"] == 0xD and c["extended"])
        assert switch.config_read(acs["offset"] + 6, 2, port=vm.port) == 0x1F
        for pdfid in (0, vm.pdfid):
            (acs,) = (c for c in switch.capabilities(pdfid=pdfid) if c["id"] == 0xD)
            assert switch.config_read(acs["offset"] + 6, 2, pdfid=pdfid) == 0x0C
        assert node.chassis.isolation.missing == {}
        writes = switch.bar.writes
        node.chassis.isolation.cover(vm.switch, vm.port, node.chassis.pdfids.of(0, 0), vm.pdfid)
        assert switch.bar.writes == writes  # once is enough
    (host,) = (p for p in node.topology.host_ports if (p.switch, p.index) == (0, 0))
    lacks = switch.isolate(port=host.port)  # an upstream port has no use for most of it
    assert "source validation" in lacks and "request redirect" not in lacks


def test_commands_reach_every_switch_by_its_pax_index(node: fabcore.ResourceNode) -> None:
    for switch in node.chassis.switches:
        for pax in range(4):
            assert switch.mrpc(0x81, b"", 4, pax=pax)[0] == pax
        with pytest.raises(FirmwareError, match="no way to the PAX") as refused:
            switch.mrpc(0x81, b"", 4, pax=9)
        assert refused.value.code == 0xFFFF0001


def test_a_change_is_all_or_nothing(node: fabcore.ResourceNode) -> None:
    switch, other = node.chassis.switches[:2]
    table = np.full(128, 8, np.uint8)
    with fabcore.Change([switch, other]) as change:
        switch.config_write(0x0C, 0x20, 1, port=0)
        other.load_port_table(16, table)
    assert change.report == {"steps": 2, "failed": -1, "error": 0, "rolled_back": 0}
    assert other.port_table(16).tolist() == table.tolist()
    change = fabcore.Change([switch, other])

    def fails_at_the_end() -> None:
        with change:
            switch.config_write(0x0C, 0x40, 1, port=0)
            other.load_port_table(16, np.full(128, 24, np.uint8))
            switch.isolate(port=8)
            switch.bind(0, 0, 1, 5)  # a module's port is no host

    def raises() -> None:
        with change:
            switch.config_write(0x0C, 0x44, 1, port=0)
            raise ZeroDivisionError

    def goes_on_after_a_failure() -> None:
        with change:
            with contextlib.suppress(FirmwareError):
                switch.bind(0, 0, 1, 5)
            switch.config_write(0x0C, 0x50, 1, port=0)

    with pytest.raises(FirmwareError):
        fails_at_the_end()
    assert change.report is not None
    assert (change.report["failed"], change.report["rolled_back"]) == (3, 3)
    assert other.port_table(16).tolist() == table.tolist()
    with pytest.raises(ZeroDivisionError):
        raises()
    with pytest.raises(fabcore.FabricError, match="earlier operation"):
        goes_on_after_a_failure()
    assert switch.config_read(0x0C, 1, port=0) == 0x20
    with change, pytest.raises(fabcore.FabricError, match="open on this switch"):
        fabcore.Change([switch]).__enter__()


def test_bifurcation_is_checked_before_it_is_sent(node: fabcore.ResourceNode) -> None:
    switch = node.chassis.switches[0]
    widths = switch.bifurcation(0)
    assert widths[0] == 16
    for bad in ([8, 0, 0, 8, 0, 0, 0, 0], [3] + [0] * 7, [16, 1] + [0] * 6):
        writes = switch.bar.writes
        with pytest.raises(fabcore.FabricError, match="multiple of w / 2"):
            switch.set_bifurcation(0, bad)
        assert switch.bar.writes == writes
    with pytest.raises(fabcore.FabricError, match="8 ports"):
        switch.set_bifurcation(0, [16])
    switch.set_bifurcation(0, widths)  # as it is: nothing to send but the question
    with pytest.raises(FirmwareError, match="no such stack"):
        switch.bifurcation(7)


def test_links_and_channels_are_read_back(node: fabcore.ResourceNode) -> None:
    switch = node.chassis.switches[0]
    link = switch.link(0)
    assert (link["gen"], link["lanes"], link["max_lanes"], link["up"]) == (5, 16, 16, 1)
    assert link["ltssm"] == 0x0103
    switch.wait_link(0, 0.5)
    switch.disable_link(0)
    down = switch.link(0)
    assert (down["disabled"], down["lanes"], down["up"]) == (1, 0, 0)
    with pytest.raises(fabcore.FabricError, match=r"training of port 0.*never completed"):
        switch.wait_link(0, 0.01)
    switch.disable_link(0, False)
    node.advance(0.5)  # training takes the node's time
    switch.wait_link(0, 1.0)
    with pytest.raises(fabcore.FabricError, match="no speed of generation 6"):
        switch.set_link_speed(0, 6)
    channels = switch.vcs(port=0)
    assert channels[0]["enabled"] and channels[0]["tcs"] & 1
    switch.map_vcs(channels, port=0)
    with pytest.raises(fabcore.FabricError, match="channel 0 is enabled"):
        switch.map_vcs([(0, 0, 0)] * len(channels), port=0)


def test_every_end_of_a_command_has_its_words(node: fabcore.ResourceNode) -> None:
    switch = node.chassis.switches[0]
    with pytest.raises(FirmwareError, match="does not know the command") as refused:
        switch.mrpc(0x7FF, b"", 4)
    assert (refused.value.code, refused.value.end) == (0x64005, "refused")
    node.fault(0, "mrpc-stuck")
    with pytest.raises(FirmwareError, match=r"never completed.*hangs") as hung:
        switch.mrpc(0x41, b"\0\0\0\0", 4)
    assert (hung.value.code, hung.value.end, hung.value.id) == (1, "timeout", 0x41)
    node.fault(0, "mrpc-stuck")
    with pytest.raises(FirmwareError, match="MRPC 0xb never completed") as hung:
        switch.bifurcation(0)  # as well where an operation sends it
    text = str(FirmwareError(0x0C, 0xA, "there"))
    assert (
        text == "MRPC 0xc failed with code 0xa (its link is active; disable the link first): there"
    )
    assert "is bound" in str(FirmwareError(0x0B, 0x54043))
    assert "interrupted" in str(FirmwareError(0x41, 0x100, end="interrupted"))
    assert str(FirmwareError(0x41, 0x77)) == "MRPC 0x41 failed with code 0x77"
