"""Every kind of BAR in a QEMU guest: sysfs, write-combining, UIO, VFIO, and devices that go away."""

from __future__ import annotations

from pathlib import Path

import pytest
from guest import Guest, cases, require_guest

SECONDS = 150  # ten times what it takes on a quiet machine
MEMORY_BYTES = 1 << 20
EDU_SLOTS = {
    "edu": 1, "unplugged": 3, "pulled": 4, "pulled_uio": 5, "pulled_vfio": 6, "held": 7,
}  # fmt: skip
MEMORY_SLOT, BRIDGE_SLOT = 2, 8
CASES = cases("bar_guest.py")

pytestmark = pytest.mark.timeout(SECONDS + 30)


def devices(scratch: Path) -> list[str]:
    """A root port per slot, and on bus 0 the memory that answers for devices that are gone."""
    shared, ones = scratch / "shared", scratch / "ones"
    shared.write_bytes(b"from host".ljust(MEMORY_BYTES, b"\0"))
    ones.write_bytes(b"\xff" * MEMORY_BYTES)
    args = []
    for slot in range(1, 9):
        args += ["-device", f"pcie-root-port,id=slot{slot},chassis={slot},slot={slot}"]
    for name, slot in EDU_SLOTS.items():
        args += ["-device", f"edu,id={name},bus=slot{slot}"]
    args += ["-device", f"pcie-pci-bridge,id=bridge,bus=slot{BRIDGE_SLOT}"]
    args += ["-device", "edu,bus=bridge,addr=1", "-device", "edu,bus=bridge,addr=2"]
    for name, file, place in (("shared", shared, f",bus=slot{MEMORY_SLOT}"), ("ones", ones, "")):
        backend = f"memory-backend-file,id={name},share=on,mem-path={file},size={MEMORY_BYTES}"
        args += ["-object", backend, "-device", f"ivshmem-plain,memdev={name}{place}"]
    return args


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Guest:
    require_guest()
    scratch = tmp_path_factory.mktemp("guest")
    guest = Guest(scratch, "bar_guest.py", devices(scratch), seconds=SECONDS)
    guest.run()
    return guest


@pytest.mark.parametrize("case", CASES)
def test_bar(guest: Guest, case: str) -> None:
    guest.passed(case)


def test_guest_ran_to_its_end(guest: Guest) -> None:
    guest.ended(CASES)
    shared = (guest.scratch / "shared").read_bytes()
    assert shared[4096:4106] == b"from guest"
