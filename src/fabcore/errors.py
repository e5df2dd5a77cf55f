"""The errors that fabcore raises: one class and its few children."""

from __future__ import annotations


class FabricError(Exception):
    """Anything that fabcore refuses or fails at; the message names the culprit and the cure."""


class BarError(FabricError):
    """A BAR that cannot be opened, is accessed out of bounds or unaligned, or has vanished."""


class FirmwareError(FabricError):
    """A firmware (MRPC) command that failed.

    Attributes: id, the MRPC command id (16 bits); code, the firmware's return code (32 bits),
    or the mailbox status when the command was interrupted or never completed.
    """

    def __init__(self, id: int, code: int, detail: str = "") -> None:
        self.id = id
        self.code = code
        text = f"MRPC 0x{id:x} failed with code 0x{code:x}"
        super().__init__(f"{text}: {detail}" if detail else text)


class CapacityError(FabricError):
    """Floors that do not fit.

    Attributes: links, the ids of the overbooked links; shortfall, B/s missing on each of them;
    vms, the indices of the VMs whose floors meet there.
    """

    def __init__(
        self,
        message: str,
        links: tuple[int, ...] = (),
        shortfall: tuple[float, ...] = (),
        vms: tuple[int, ...] = (),
    ) -> None:
        super().__init__(message)
        self.links = links
        self.shortfall = shortfall
        self.vms = vms


class TopologyError(FabricError):
    """A topology that cannot be built, or a switch, port, module or function that is not there."""


class TraceError(FabricError):
    """A trace file that is unreadable, of another schema, or holds an impossible value."""
