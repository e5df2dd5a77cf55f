"""What keeps others off a chassis: the owner of its switches, access control around its bindings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabcore.errors import FabricError

if TYPE_CHECKING:
    from fabcore._core import Switch

Place = tuple[int, str, int]  # switch index, "port" or "function", port id or pdfid


class Owner:
    """The lease on all switches of a chassis: all of them or none."""

    def __init__(self, switches: list[Switch]) -> None:
        self._switches = switches
        self.name: str | None = None  # None: nobody asked
        self.before: list[tuple[int, int, str]] = []  # taken over: (switch, pid, name)

    def take(self, name: str, lease_s: float = 10.0) -> None:
        """Owns every switch, in order; OwnerError, and none is owned, when another holds one."""
        if self.name is not None:
            return
        taken: list[Switch] = []
        try:
            for k, switch in enumerate(self._switches):
                before = switch.own(name, lease_s)
                taken.append(switch)
                if before is not None:
                    self.before.append((k, before["pid"], before["name"]))
        except FabricError:
            for switch in taken:
                switch.disown()
            self.before.clear()
            raise
        self.name = name


class Isolation:
    """Access control on the places that a binding depends on, set once for each."""

    def __init__(self, switches: list[Switch]) -> None:
        self._switches = switches
        self._done: set[Place] = set()
        self.missing: dict[Place, tuple[str, ...]] = {}  # protections that a place does not offer

    def cover(self, switch: int, port: int, physical: int, function: int) -> None:
        """A module's port, its PF and the function that is bound, both by pdfid."""
        self._set((switch, "port", port))
        self._set((switch, "function", physical))
        self._set((switch, "function", function))

    def _set(self, place: Place) -> None:
        if place in self._done:
            return
        switch, kind, number = place
        driver = self._switches[switch]
        lacks = driver.isolate(port=number) if kind == "port" else driver.isolate(pdfid=number)
        self._done.add(place)
        if lacks:
            self.missing[place] = lacks

    def forget(self, switch: int) -> None:
        """A switch or a module on it has been reset: what was set there may be gone."""
        self._done = {place for place in self._done if place[0] != switch}
        self.missing = {k: v for k, v in self.missing.items() if k[0] != switch}
