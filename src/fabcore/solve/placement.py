"""Placement: which VM goes onto which modules, what that is worth, and the limit of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fabcore.errors import FabricError, TopologyError
from fabcore.solve import packing as pk
from fabcore.solve.bound import bound
from fabcore.solve.reasons import why_not
from fabcore.solve.request import SLICES, Request, check

if TYPE_CHECKING:
    from fabcore.topology import Topology

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
BOOL = NDArray[np.bool_]

FITS = 1e-12  # floors may exceed a link by this share of it: rounding of sums


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Where every request went.

    module (n, k) int32 padded with -1, all -1 where there was no place; lanes (n,) int32 first
    dedicated lane on its modules, -1 without; host (n,) int32; value: the sum of what was placed;
    bound: no placement is worth more; gap: (bound - value) / bound; reasons: "" where placed, else
    what lacked and how much.
    """

    module: I32
    lanes: I32
    host: I32
    value: float
    bound: float
    gap: float
    reasons: tuple[str, ...]


class Problem:
    """Requests and node as the arrays that the packing works on, and the state of one packing."""

    def __init__(self, requests: Sequence[Request], topology: Topology, current: Any) -> None:
        self.requests = requests
        self.topology = topology
        n, modules = len(requests), len(topology.module_ports)
        check(requests, modules, len(topology.host_ports))
        self.path = topology.path_table.copy()  # kernels take no read-only arrays
        self.capacity: F64 = np.array(topology.capacity)
        groups = {r.group: k for k, r in enumerate(requests) if r.group is not None}
        names = {group: k for k, group in enumerate(groups)}
        self.wish = np.full((n, pk.WISHES), -1, dtype=np.int32)
        for i, r in enumerate(requests):
            host = -1 if r.host is None else r.host
            group = -1 if r.group is None else names[r.group]
            self.wish[i, : pk.CURRENT] = (round(r.share * SLICES), r.modules, r.lanes, host, group)
        self.wish[:, pk.CURRENT] = _current(current, n, modules)
        self.rate = np.array([(r.up, r.down) for r in requests], dtype=np.float64).reshape(n, 2)
        self.value = np.array([r.value for r in requests], dtype=np.float64)
        self.priority = np.array([r.priority for r in requests], dtype=np.float64)
        self.allowed = self._allowed()
        self.width = max((r.modules for r in requests), default=1)
        self.groups = len(names)
        self.empty()

    def _allowed(self) -> BOOL:
        """(n, M): not forbidden, and the dedicated lanes exist there and carry the floors."""
        from fabcore import pcie

        topology = self.topology
        allowed = np.ones((len(self.requests), len(topology.module_ports)), dtype=np.bool_)
        for i, r in enumerate(self.requests):
            allowed[i, list(r.forbid)] = False
        for m, port in enumerate(topology.module_ports):
            for lanes in (4, 8, 16):
                rows = self.wish[:, pk.LANES] == lanes
                rate = 0.0
                if lanes <= port.lanes:
                    rate = pcie.payload_rate(port.gen, lanes, topology.mps, topology.mrrs)
                allowed[rows, m] &= self.rate[rows].max(axis=1, initial=0.0) <= rate
                if rate == 0.0:
                    allowed[rows, m] = False
        return allowed

    def empty(self) -> None:
        """The state before anybody is placed."""
        ports, specs = self.topology.module_ports, self.topology.module_specs
        self.free = np.array(
            [(SLICES, s.vfs, p.lanes, 0, p.lanes) for p, s in zip(ports, specs, strict=True)],
            dtype=np.int32,
        )
        self.room = self.capacity * (1.0 + FITS)
        self.grouped = np.zeros((self.groups, len(ports)), dtype=np.bool_)
        self.module = np.full((len(self.requests), self.width), -1, dtype=np.int32)
        self.host = np.full(len(self.requests), -1, dtype=np.int32)

    def pack(self, order: NDArray[np.int64]) -> float:
        """Packs the empty node in that order; the value of what found a place."""
        self.empty()
        pk.pack(
            order, self.wish, self.rate, self.allowed, self.path, self.capacity, self.free,
            self.room, self.grouped, self.module, self.host,
        )  # fmt: skip
        return float(self.value[self.host >= 0].sum())

    def possible(self) -> BOOL:
        """(n,): which requests fit into the empty node by themselves."""
        at = np.where(self.path >= 0, self.path, 0)
        narrow = np.where(self.path >= 0, self.capacity[at], np.inf).min(axis=3)  # (2, M, H)
        count = self.wish[:, pk.MODULES]
        spec = np.array([s.vfs > 0 for s in self.topology.module_specs])
        fits = (self.allowed & spec)[:, :, None] & (
            (self.rate[:, 0, None, None] <= narrow[0] * (1.0 + FITS))
            & (self.rate[:, 1, None, None] <= narrow[1] * (1.0 + FITS))
        )
        hosts = fits.sum(axis=1) >= count[:, None]  # (n, H)
        asked = self.wish[:, pk.HOST]
        fixed = np.arange(hosts.shape[1]) == asked[:, None]
        result: BOOL = (hosts & (fixed | (asked < 0)[:, None])).any(axis=1)
        return result

    def resources(self) -> tuple[F64, F64]:
        """Needs (R, n) and totals (R,) of the aggregated node: bound rows."""
        topology, count = self.topology, self.wish[:, pk.MODULES].astype(np.float64)
        modules, hosts = len(topology.module_ports), len(topology.host_ports)
        up, down = self.rate.T * count
        c, asked = self.capacity, self.wish[:, pk.HOST]
        h = 2 * modules
        rows = [
            (self.wish[:, pk.SLICES] * count, float(SLICES * modules)),
            (self.wish[:, pk.LANES] * count, float(sum(p.lanes for p in topology.module_ports))),
            (count, float(sum(s.vfs for s in topology.module_specs))),
            (up, min(c[:modules].sum(), c[h : h + hosts].sum())),
            (down, min(c[modules:h].sum(), c[h + hosts : h + 2 * hosts].sum())),
        ]
        for k in range(hosts):
            rows.append((np.where(asked == k, up, 0.0), c[h + k]))
            rows.append((np.where(asked == k, down, 0.0), c[h + hosts + k]))
        needs, totals = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
        scale = np.where(totals > 0.0, totals, 1.0)
        return needs / scale[:, None], totals / scale * (1.0 + FITS)


def place(requests: Sequence[Request], topology: Any = None, current: Any = None) -> Placement:
    """Places requests on the node's modules; never breaks a limit, a floor or an affinity.

    topology: a Topology, anything that has one as `.topology`, or None for the default node.
    current (n,) int32: the module a request is on (any of them, if several), or -1; those that can
    stay do, before anybody else is placed. Then by priority; among equals by value for what it
    takes, and the best of several such orders counts.
    """
    problem = Problem(tuple(requests), _topology(topology), current)
    n = len(problem.requests)
    possible = problem.possible()
    worth = np.where(possible, problem.value, 0.0)
    needs, totals = problem.resources()
    limit, prices = bound(worth, needs, totals)
    best = max(orders(problem, needs, prices), key=problem.pack, default=np.arange(n))
    value = problem.pack(best)
    limit = max(limit, value)
    reasons = tuple(
        "" if problem.host[i] >= 0 else why_not(problem, i, bool(possible[i])) for i in range(n)
    )
    gap = (limit - value) / limit if limit > 0.0 else 0.0
    return Placement(
        problem.module, _first_lanes(problem), problem.host, value, limit, gap, reasons
    )


def orders(problem: Problem, needs: F64, prices: F64) -> list[NDArray[np.int64]]:
    """The orders to try; every one goes by priority first."""
    size = needs[:5].max(axis=0, initial=0.0)
    price = prices @ needs if prices.any() else size
    density = problem.value / np.maximum(price, 1e-12)
    first = -problem.priority
    return [
        np.lexsort((-size, -density, first)),
        np.lexsort((-size, -problem.value / np.maximum(size, 1e-12), first)),
        np.lexsort((-size, -problem.value, first)),
        np.lexsort((-problem.value, -size, first)),
    ]


def _first_lanes(problem: Problem) -> I32:
    """Dedicated groups from lane 0 of each module, the widest first, so that all are aligned."""
    lanes = np.full(len(problem.requests), -1, dtype=np.int32)
    width = problem.wish[:, pk.LANES]
    for m in range(len(problem.free)):
        at = 0
        held = np.flatnonzero((problem.module == m).any(axis=1) & (width > 0))
        for i in held[np.argsort(-width[held], kind="stable")]:
            lanes[i] = at
            at += width[i]
    return lanes


def _topology(given: Any) -> Topology:
    from fabcore.topology import Topology

    if given is None:
        return Topology.default()
    found = given if isinstance(given, Topology) else getattr(given, "topology", None)
    if not isinstance(found, Topology):
        raise TopologyError(f"{type(given).__name__} is no topology and has none: pass a Topology")
    return found


def _current(current: Any, n: int, modules: int) -> I32:
    if current is None:
        return np.full(n, -1, dtype=np.int32)
    given = np.asarray(current)
    if given.shape != (n,) or (n and not np.issubdtype(given.dtype, np.integer)):
        raise FabricError(f"current must be ({n},) integers: a module, or -1 for each request")
    if n and (given.min() < -1 or given.max() >= modules):
        i = int(np.argmax((given < -1) | (given >= modules)))
        raise TopologyError(f"current[{i}]: there is no module {given[i]}: use -1 for none")
    return given.astype(np.int32)
