"""The emulated switch as a PCI device in a guest: the fabcore driver through sysfs and VFIO."""

from __future__ import annotations

import pytest
from guest import Guest, cases, require_vfio_user, shared_memory, vfio_user

import fabcore

SECONDS = 150  # ten times what it takes on a quiet machine
CASES = cases("vfio_user_guest.py")
PORT_ARBITRATION = 0x300  # of a port's config space: the Virtual Channel capability
TABLE_OFFSET = PORT_ARBITRATION + 0x13  # in units of 16 bytes

pytestmark = pytest.mark.timeout(SECONDS + 30)


def table_of(node: fabcore.ResourceNode, port: int) -> bytes:
    """The port arbitration table that the node's config space holds for VC0."""
    space = node.config_space(0, port)
    at = PORT_ARBITRATION + 16 * space[TABLE_OFFSET]
    return space[at : at + 256]


@pytest.fixture(scope="module")
def programmed() -> dict[int, tuple[str, str]]:
    """Per port: the table that the guest said it has loaded, and the one that the node holds."""
    return {}


@pytest.fixture(scope="module")
def guest(
    tmp_path_factory: pytest.TempPathFactory, programmed: dict[int, tuple[str, str]]
) -> Guest:
    qemu = require_vfio_user()
    scratch = tmp_path_factory.mktemp("guest")
    socket = scratch / "switch0"
    slot = ["-device", "pcie-root-port,id=slot1,chassis=1,slot=1"]
    with fabcore.ResourceNode.emulated(realtime=True) as node, node.serve_vfio_user(socket):

        def see(port: str, table: str) -> None:
            programmed[int(port)] = (table, table_of(node, int(port)).hex())

        guest = Guest(
            scratch,
            "vfio_user_guest.py",
            [*shared_memory(), *slot, *vfio_user(socket, "slot1")],
            seconds=SECONDS,
            asked={"programmed": see, "fault": lambda kind, port: node.fault(0, kind, int(port))},
            qemu=qemu,
        )
        guest.run()
    return guest


@pytest.mark.parametrize("case", CASES)
def test_driver_in_the_guest(guest: Guest, case: str) -> None:
    guest.passed(case)


def test_guest_ran_to_its_end(guest: Guest) -> None:
    guest.ended(CASES)


def test_node_holds_the_tables_that_the_guest_loaded(
    guest: Guest, programmed: dict[int, tuple[str, str]]
) -> None:
    assert sorted(programmed) == [16, 24], guest.console
    for loaded, held in programmed.values():
        assert loaded == held
