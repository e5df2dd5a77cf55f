"""The errors that fabcore raises: one class and its few children."""

from __future__ import annotations

from fabcore.firmware_codes import meaning


class FabricError(Exception):
    """Anything that fabcore refuses or fails at; the message names the culprit and the cure."""


class BarError(FabricError):
    """A BAR that cannot be opened, is accessed out of bounds or unaligned, or has vanished."""


class FirmwareError(FabricError):
    """A firmware (MRPC) command that failed.

    Attributes: id, the MRPC command id (16 bits); end, how it ended: "refused", "timeout" (it never
    completed), "interrupted", or "busy" (it was not sent: another one kept the mailbox); code, the
    firmware's return code (32 bits) of one that was refused, of "busy" the pid of the process that
    has the mailbox, else the mailbox status (1 in progress, 0 never taken up, 0x100 interrupted).
    """

    def __init__(self, id: int, code: int, detail: str = "", end: str = "refused") -> None:
        self.id = id
        self.code = code
        self.end = end
        super().__init__(": ".join(filter(None, (_ending(id, code, end), detail))))


def _ending(id: int, code: int, end: str) -> str:
    if end == "timeout":
        return f"MRPC 0x{id:x} never completed (mailbox status 0x{code:x}): the firmware hangs"
    if end == "interrupted":
        return f"MRPC 0x{id:x} was interrupted (mailbox status 0x{code:x}); send it again"
    if end == "busy":
        return (
            f"MRPC 0x{id:x} was not sent: process {code} is inside another command and did not let "
            "go of the mailbox in time; stop it, or wait longer (set_timeout)"
        )
    words = meaning(id, code)
    return f"MRPC 0x{id:x} failed with code 0x{code:x}" + (f" ({words})" if words else "")


class OwnerError(FabricError):
    """A switch that another controller owns.

    Attributes: pid, its process; name, what it calls itself; since_ns, from when on (UTC).
    """

    def __init__(self, message: str, pid: int = 0, name: str = "", since_ns: int = 0) -> None:
        super().__init__(message)
        self.pid = pid
        self.name = name
        self.since_ns = since_ns


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
