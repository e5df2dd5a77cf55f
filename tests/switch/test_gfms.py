"""The fabric's database and events, read by the driver from the emulated node."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import fabcore
from fabcore.emulated import emulated_node
from fabcore.errors import BarError, FabricError
from fabcore.switch.discover import Pdfids, read_pdfids
from fabcore.topology import Topology


@pytest.fixture
def node() -> Iterator[fabcore.ResourceNode]:
    with fabcore.ResourceNode.emulated() as made:
        yield made


def test_functions_say_where_they_are_and_to_whom_they_belong(node: fabcore.ResourceNode) -> None:
    switches = node.chassis.switches
    function = node.chassis.attach(3, 6)
    found = switches[1].gfms.functions()
    assert [f["pdfid"] for f in found] == [m << 6 | k for m in (2, 3) for k in range(33)]
    assert {f["port"] for f in found} == {0, 8}
    assert [f["kind"] for f in found[:2]] == ["sriov-pf", "vf"]
    assert found[0]["bars"] == [(0, 0xC, 1 << 24)]
    (bound,) = [f for f in found if f["bound"]]
    assert bound["pdfid"] == function.pdfid
    assert (bound["host_switch"], bound["host_port"]) == (3, 16)
    assert bound["logical"] == function.logical


def test_hosts_list_what_is_bound_to_them(node: fabcore.ResourceNode) -> None:
    gfms = node.chassis.switches[0].gfms
    first, second = node.chassis.attach(0, 1), node.chassis.attach(7, 1)
    hosts = gfms.hosts()
    assert [(h["hvd"], h["port"], h["logical_ports"]) for h in hosts] == [(0, 16, 32), (1, 24, 32)]
    assert hosts[0]["bindings"] == []
    assert hosts[1]["bindings"] == [
        (first.logical, 0, first.pdfid),
        (second.logical, 0, second.pdfid),
    ]
    node.chassis.detach(first)
    assert gfms.hosts()[1]["bindings"] == [(second.logical, 0, second.pdfid)]


def test_the_pax_in_short(node: fabcore.ResourceNode) -> None:
    pax = node.chassis.switches[2].gfms.pax()
    assert (pax["pax"], pax["hosts"], pax["devices"], pax["functions"]) == (2, 2, 2, 66)
    assert pax["module_ports"] == 1 << 0 | 1 << 8
    assert pax["host_ports"] == 1 << 16 | 1 << 24
    assert list(pax["pdfid"]) == [4 << 6, 5 << 6 | 32]


def test_events_are_read_again_until_they_are_cleared(node: fabcore.ResourceNode) -> None:
    gfms = node.chassis.switches[2].gfms
    gfms.events(clear=True)
    function = node.chassis.attach(0, 0)
    names = [e["name"] for e in gfms.events()]
    assert names == ["bound", "database-changed"]
    bound = gfms.events(clear=True)[0]
    assert bound["switch"] == 0
    assert bound["pdfid"] == function.pdfid
    assert (bound["host_port"], bound["logical"]) == (16, function.logical)
    assert gfms.events() == []
    node.chassis.switches[1].port_control(8, "disable")
    names = [(e["name"], e["port"]) for e in gfms.events() if "port" in e]
    assert names == [("device-removed", 8), ("port-removed", 8)]
    assert len(node.chassis.switches[1].gfms.functions()) == 33


def test_other_families_have_none() -> None:
    text = Topology.default().dumps().replace("0x5200", "0x5100")
    node = emulated_node(Topology.load(text))
    switch = fabcore.Switch(node.bar(0))
    with pytest.raises(FabricError, match="not supported"):
        switch.gfms.pax()
    switch.close()
    with pytest.raises(BarError, match="closed"):
        switch.gfms.functions()
    node.close()


def test_the_chassis_takes_pdfids_from_the_database(node: fabcore.ResourceNode) -> None:
    switches, topology = node.chassis.switches, node.topology
    known = read_pdfids(switches[1])
    assert known == {(8 * m, f): (2 + m) << 6 | f for m in range(2) for f in range(33)}
    pf = known[8, 0]
    sriov = 0x160
    switches[1].function_write(pf, sriov + 8, 0, 2)  # VF Enable off: the database forgets them
    assert read_pdfids(switches[1]).keys() == {(0, f) for f in range(33)} | {(8, 0)}
    assert Pdfids(switches, topology).of(3, 5) == 3 << 6 | 5  # then it is the modelled one
