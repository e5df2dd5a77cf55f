"""Firmware from Python: partitions, update, toggle, security, against emulated switches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fabcore
from fabcore._core import EmulatedNode, Switch

from ..firmware_image import make

PORTS = [
    (0, 0, 2, 0, 5, 16, 16, 255, 255, 256, 5e10),
    (0, 16, 3, 0, 5, 16, 16, 255, 255, 256, 5e10),
]


def emulated(device_id: int, secure_state: int = 0) -> EmulatedNode:
    return EmulatedNode(
        switches=[device_id],
        ports=PORTS,
        routes=[[255]],
        modules=[(0, 4, 350)],
        secure_state=secure_state,
    )


@pytest.fixture
def node() -> Iterator[EmulatedNode]:
    made = emulated(0x5200)
    yield made
    made.close()


@pytest.fixture
def switch(node: EmulatedNode) -> Iterator[Switch]:
    made = Switch(node.bar(0))
    yield made
    made.close()


def one(switch: Switch, kind: str, index: int) -> dict[str, Any]:
    (found,) = (p for p in switch.firmware.partitions() if (p["kind"], p["index"]) == (kind, index))
    return found


def test_partitions_are_named_and_versioned(switch: Switch) -> None:
    partitions = switch.firmware.partitions()
    assert len(partitions) == 21
    first = one(switch, "img", 0)
    assert first["running"] and first["active"] and first["valid"]
    assert first["version"] == "6.02 B0B0"
    assert first["version_number"] == switch.identify()["fw_version"]
    assert first["length"] < first["size"] == 8 << 20
    assert one(switch, "map", 1)["read_only"]
    assert not one(switch, "vendor", 0)["valid"]
    assert switch.firmware.boot_phase() == 3


def test_an_image_comes_from_a_path_or_bytes_and_tells_its_progress(
    switch: Switch, tmp_path: Path
) -> None:
    path = tmp_path / "image.pmc"
    path.write_bytes(make(minor=7))
    told: list[tuple[int, int]] = []
    switch.firmware.update(path, activate=False, progress=lambda *at: told.append(at))
    assert told[0] == (1008, 6024) and told[-1] == (6024, 6024) and len(told) == 6
    assert one(switch, "img", 0)["active"]
    assert one(switch, "img", 1)["version"] == "6.07 B123"
    switch.firmware.update(make(minor=8))
    assert one(switch, "img", 1)["version"] == "6.08 B123" and one(switch, "img", 1)["active"]
    switch.firmware.toggle("img", "cfg")
    assert one(switch, "img", 0)["active"] and one(switch, "cfg", 1)["active"]


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (b"", "not a whole"),
        (make()[:-1], "not a whole"),
        (b"x" + make()[1:], "not a whole"),
        (make(generation=6, kind=4), "another generation"),
        (make(kind=0), "read-only"),
        (make(body=bytes(9 << 20)), "larger"),
    ],
)
def test_what_cannot_run_is_refused(switch: Switch, image: bytes, why: str) -> None:
    before = switch.firmware.partitions()
    with pytest.raises(fabcore.FabricError, match=why):
        switch.firmware.update(image)
    assert switch.firmware.partitions() == before


def test_a_torn_update_is_told_in_words_and_the_old_one_runs(
    node: EmulatedNode, switch: Switch
) -> None:
    node.fault(0, "firmware-torn", count=1)
    with pytest.raises(fabcore.FirmwareError, match="header is incorrect") as caught:
        switch.firmware.update(make())
    assert (caught.value.id, caught.value.code) == (5, 2)
    image = bytearray(make())
    image[-1] ^= 1
    with pytest.raises(fabcore.FirmwareError, match="CRC is incorrect"):
        switch.firmware.update(image)
    assert not one(switch, "img", 1)["valid"] and one(switch, "img", 0)["active"]
    with pytest.raises(fabcore.FabricError, match="holds no image"):
        switch.firmware.toggle("img")


def test_progress_may_stop_an_update_and_another_takes_over(switch: Switch) -> None:
    def stop(done: int, total: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        switch.firmware.update(make(), progress=stop)
    with pytest.raises(fabcore.FabricError, match="force"):
        switch.firmware.update(make())
    switch.firmware.update(make(), force=True)
    assert one(switch, "img", 1)["valid"]


def test_bad_names_and_closed_switches_are_refused(switch: Switch) -> None:
    firmware = switch.firmware
    with pytest.raises(fabcore.FabricError, match="img, cfg"):
        firmware.toggle("map")  # type: ignore[arg-type]
    with pytest.raises(fabcore.FabricError):
        firmware.toggle()
    switch.close()
    with pytest.raises(fabcore.BarError):
        firmware.partitions()


@pytest.mark.parametrize(
    ("device_id", "state", "name", "attestation", "digits"),
    [
        (0x5200, 0, "uninitialized", "none", 8),
        (0x5100, 2, "secured", "none", 8),
        (0x4200, 1, "unsecured", None, 8),
        (0x6160, 1, None, None, 128),
    ],
)
def test_security_tells_serial_state_and_keys(
    device_id: int, state: int, name: str | None, attestation: str | None, digits: int
) -> None:
    node = emulated(device_id, state)
    switch = Switch(node.bar(0))
    found = switch.firmware.security()
    assert found["secure_state"] == name and found["attestation"] == attestation
    assert len(found["serial"]) == digits and int(found["serial"], 16)
    assert [len(k) for k in found["key_hashes"]] == [64] * (4 if state else 0)
    assert found["versions"]["main"] == 0
    if state == 2:
        with pytest.raises(fabcore.FirmwareError, match="header"):
            switch.firmware.update(make())  # not signed
    node.close()


def test_an_update_runs_after_a_hard_reset(node: EmulatedNode, switch: Switch) -> None:
    switch.firmware.update(make(minor=9))
    assert switch.identify()["fw_version"] == 0x060200B0
    switch.mrpc(0x1B, bytes(4), 0)
    node.advance(0.1)
    assert switch.identify()["fw_version"] == 0x06090123
    assert one(switch, "img", 1)["running"] and not one(switch, "img", 0)["running"]
