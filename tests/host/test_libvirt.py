"""libvirt domains: their statistics as bytes, and a real connection where the binding is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabcore.errors import FabricError
from fabcore.host.libvirt import LibvirtSource, domain_bytes
from fabcore.host.live import LiveCollector


def test_disks_and_interfaces_of_a_domain_add_up() -> None:
    stats = {
        "state.state": 1,
        "block.count": 2,
        "block.0.rd.reqs": 5,
        "block.0.rd.bytes": 4338176,
        "block.0.wr.bytes": 2097152,
        "block.1.rd.bytes": 1,
        "net.count": 1,
        "net.0.rx.bytes": 586,
        "net.0.tx.bytes": 516,
    }
    assert domain_bytes(stats) == (4338176 + 1 + 586, 2097152 + 516)


def test_a_domain_without_statistics_has_moved_nothing() -> None:
    assert domain_bytes({"state.state": 1, "net.count": 1}) == (0, 0)


def test_without_a_socket_no_connection_is_tried(tmp_path: Path) -> None:
    with pytest.raises(FabricError, match="no libvirt socket"):
        LibvirtSource(root=str(tmp_path))


class TestRealLibvirt:
    @pytest.fixture(autouse=True)
    def binding(self) -> None:
        pytest.importorskip("libvirt", reason="libvirt-python is not installed")

    def test_active_domains_are_instances_by_name(self) -> None:
        with LiveCollector(uri="test:///default") as live:
            assert live.kind == "libvirt"
            assert "libvirt domains (test:///default" in live.describe()
            assert live.sample().names == ["test"]

    def test_a_closed_collector_connects_again(self) -> None:
        live = LiveCollector("libvirt", uri="test:///default")
        live.close()
        assert live.sample().names == ["test"]
        live.close()

    def test_a_libvirt_that_is_not_there_is_named(self) -> None:
        with pytest.raises(FabricError, match=r"test:///none/such\.xml does not answer"):
            LiveCollector("libvirt", uri="test:///none/such.xml")
