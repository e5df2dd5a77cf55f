"""Ports that go down and come up: links lose or regain capacity, VMs find another module."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from fabcore import pcie
from fabcore.errors import BarError, FabricError
from fabcore.seating import candidates

if TYPE_CHECKING:
    from fabcore.events import EventLog
    from fabcore.resource_node import ResourceNode


class Watch:
    """Follows the link state of every port by the switches' own events."""

    def __init__(self, node: ResourceNode, events: EventLog) -> None:
        self._node = node
        self._events = events
        self.gone: set[int] = set()  # switches that do not answer
        self._down: set[tuple[int, int]] = set()
        self._forgot: set[tuple[int, int]] = set()  # module ports to be told anew
        ports = node.topology.module_ports
        self._unread = {ports[module].switch for module in node.chassis.absent}
        for module, reason in node.chassis.absent.items():
            events.emit("module_absent", node.time_ns, module=module, reason=reason)

    def poll(self, now_ns: int) -> bool:
        """Looks at every switch; True when a link's capacity has changed."""
        changed = False
        for k, switch in enumerate(self._node.chassis.switches):
            try:
                # A switch that is back is read whole: what it reported meanwhile is lost.
                again = k in self.gone or k in self._unread
                infos = switch.ports() if switch.link_events() or again else []
            except BarError as error:
                changed |= self._lose(k, str(error), now_ns)
                continue
            if infos:
                self._unread.discard(k)
            if infos and k in self.gone:
                self.gone.discard(k)
                self._node.chassis.answers(k, True)
                self._events.emit("switch_back", now_ns, switch=k)
            for info in infos:
                changed |= self._update(k, info, now_ns)
        if self._forgot or self._node.chassis.absent:
            self._restore(now_ns)
        if changed:
            self._reseat(now_ns)
        return changed

    def _lose(self, k: int, error: str, now_ns: int) -> bool:
        if k in self.gone:
            return False
        self.gone.add(k)
        self._node.chassis.answers(k, False)
        self._events.emit("switch_gone", now_ns, switch=k, error=error)
        for port in self._node.topology.ports:
            if port.switch == k:
                for link in self._node.topology.links_of(k, port.port):
                    self._node.set_capacity(link, 0.0)
        return True

    def _update(self, k: int, info: dict[str, int], now_ns: int) -> bool:
        """Sets what a port's links carry now; True when that is something else than before."""
        node, where = self._node, (k, info["port"])
        links = node.topology.links_of(*where)
        if not links:
            return False
        rate = 0.0
        if info["up"]:
            rate = pcie.payload_rate(
                info["gen"], info["neg_lanes"], node.topology.mps, node.topology.mrrs
            )
        far = node.topology.peer.get(where)
        if far in self._down or (far is not None and far[0] in self.gone):
            rate = 0.0  # the other end of a fabric link is down
        if not info["up"] and where not in self._down:
            self._down.add(where)
            self._events.emit("port_down", now_ns, switch=k, port=info["port"])
        elif info["up"] and where in self._down:
            self._down.discard(where)
            self._events.emit("port_up", now_ns, switch=k, port=info["port"])
            self._forgot.add(where)
        changed = False
        for link in links:
            limit = min(rate, float(node.topology.capacity[link]))
            if node.capacity[link] != limit:
                node.set_capacity(link, limit)
                changed = True
        return changed

    def _restore(self, now_ns: int) -> None:
        """Modules whose link was down have been reset by that, and forgot what they were told.

        One that fails, since its link is down again, has its turn when that is back. One that was
        never seen yet is taken into use.
        """
        node = self._node
        for port in node.topology.module_ports:
            where = (port.switch, port.port)
            absent = port.index in node.chassis.absent
            if not (absent or where in self._forgot) or where in self._down:
                continue
            if absent and port.switch not in self.gone:
                with contextlib.suppress(FabricError):
                    node.chassis.join(port.index)
                    self._events.emit("module_joined", now_ns, module=port.index)
            if where not in self._forgot:
                continue
            own = {v.slot: v.function for v in node.vms.all() if v.function.module == port.index}
            with contextlib.suppress(FabricError):
                node.chassis.restore(port.index, own)
                self._forgot.discard(where)
        self._forgot &= {(port.switch, port.port) for port in node.topology.module_ports}

    def _reseat(self, now_ns: int) -> None:
        """Moves every VM whose path is cut to a module that still reaches its host, or says so."""
        node = self._node
        for vm in node.vms.all():
            if all(node.capacity[link] > 0 for link in vm.up + vm.down):
                continue
            was = vm.function.module
            for module in candidates(node, vm.function.host, vm.share, vm.floor):
                try:
                    node.move(vm, module)
                except FabricError:
                    continue
                self._events.emit("vm_replaced", now_ns, vm=vm.name, was=was, module=module)
                break
            else:
                cut = [node.topology.link_names[x] for x in vm.up + vm.down if not node.capacity[x]]
                self._events.emit("vm_stranded", now_ns, vm=vm.name, module=was, links=cut)
