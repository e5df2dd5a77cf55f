"""Why a request found no place: the resource that lacked, and how much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fabcore.solve import packing as pk
from fabcore.solve.request import SLICES

if TYPE_CHECKING:
    from fabcore.solve.placement import Problem


def why_not(problem: Problem, i: int, possible: bool) -> str:
    """One line on request i: resources are looked at in turn, modules that lack one drop out."""
    wish, request = problem.wish[i], problem.requests[i]
    wanted = int(wish[pk.MODULES])
    left = problem.allowed[i].copy()
    if left.sum() < wanted:
        return _nowhere(problem, i, wanted)
    if wish[pk.GROUP] >= 0:
        left &= ~problem.grouped[wish[pk.GROUP]]
        if left.sum() < wanted:
            return f"group {request.group!r}: {_count(left, wanted)} free of its other members"
    free = problem.free
    most = int(free[left, pk.FREE_SLICES].max(initial=0))
    left &= free[:, pk.FREE_SLICES] >= wish[pk.SLICES]
    if left.sum() < wanted:
        if wanted > 1:
            return f"slices: {_count(left, wanted)} wholly free"
        return f"slices: needs {wish[pk.SLICES]}/{SLICES}, at most {most}/{SLICES} are free"
    left &= free[:, pk.FREE_FUNCTIONS] > 0
    if left.sum() < wanted:
        return f"functions: {_count(left, wanted)} with a free VF"
    needed = np.full(len(left), wish[pk.LANES])
    if wish[pk.LANES] == 0:
        common = np.minimum(pk.SHARED_LANES, free[:, pk.ALL_LANES])
        needed = np.where(free[:, pk.SHARED] > 0, 0, common)
    widest = int(free[left, pk.FREE_LANES].max(initial=0))
    left &= free[:, pk.FREE_LANES] >= needed
    if left.sum() < wanted:
        return f"lanes: needs {needed.max()}, at most {widest} are free"
    return _link(problem, i, left, possible)


def _nowhere(problem: Problem, i: int, wanted: int) -> str:
    request, left = problem.requests[i], problem.allowed[i]
    rest = len(left) - len(set(request.forbid))
    if rest < wanted:
        return f"modules: needs {wanted}, {rest} are not forbidden"
    return (
        f"lanes: {_count(left, wanted)} whose x{request.lanes} group exists and carries "
        f"{max(request.up, request.down):g} B/s"
    )


def _count(left: np.ndarray, wanted: int) -> str:
    return f"needs {wanted} module(s), has {int(left.sum())}"


def _link(problem: Problem, i: int, left: np.ndarray, possible: bool) -> str:
    """The link that lacks least on the best route: the one to relieve first."""
    asked = int(problem.wish[i, pk.HOST])
    hosts = range(problem.path.shape[2]) if asked < 0 else (asked,)
    modules = np.flatnonzero(left)
    count = int(problem.wish[i, pk.MODULES])
    best = (np.inf, 0, 0.0)
    for m in modules:
        for h in hosts:
            worst = (-np.inf, 0, 0.0)
            for way in range(2):
                need = float(problem.rate[i, way])
                for link in problem.path[way, m, h]:
                    if link >= 0:
                        room = float(problem.room[link])
                        worst = max(worst, (need - room, int(link), room))
            best = min(best, worst)
    short, link, room = best
    if short <= 0.0:
        where = "any host" if asked < 0 else f"host {asked}"
        return f"links: the floors to {count} modules do not fit together for {where}"
    empty = "" if possible else "; not even an empty node has it"
    return (
        f"link {problem.topology.link_names[link]!r}: lacks {short:g} B/s, {max(room, 0.0):g} B/s "
        f"are free{empty}"
    )
