"""The policies that a replay compares: what each programs before a step, from history only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fabcore.node import Controller, ResourceNode
    from fabcore.topology import Topology

Floats = NDArray[np.float64]
SHARE = 1 / 32  # of a module: one of 32 functions
FIT = 1 + 1e-9  # peaks may pass a link by this share: rounding


@dataclass(frozen=True, slots=True)
class Scene:
    """What every policy is given: n VMs named and seated, and the trace's peaks (n, 2) B/s up,
    down (only static_peak may look at those)."""

    node: ResourceNode
    names: tuple[str, ...]
    module: NDArray[np.int64]
    host: NDArray[np.int64]
    peaks: Floats
    period_s: float
    seed: int


class Policy(Protocol):
    """One policy on one node. `handles` (n,) int64 are its VMs in the order of the scene."""

    handles: NDArray[np.int64]
    ticks_ns: list[int]

    def before_step(self, observed: Floats) -> None:
        """Programs the coming step; observed (n, 2) B/s is what the VMs wanted in the last one."""
        ...

    def reserved(self) -> Floats:
        """(n, 2) B/s that are set aside for each VM in the coming step, up and down."""
        ...

    def floors(self) -> Floats:
        """(n,) B/s in each direction that each VM is promised in the coming step."""
        ...

    def fit(self) -> int:
        """VMs that have what the policy gives to those it takes in."""
        ...

    def enforcement(self) -> dict[str, int]:
        """How many VMs are held by which mechanism."""
        ...

    def close(self) -> None: ...


def paths(topology: Topology, module: NDArray[np.int64], host: NDArray[np.int64]) -> NDArray:
    """(n, 2, p) int32 link ids of the VMs' up and down paths, -1 padded."""
    return np.stack((topology.paths_up(module, host), topology.paths_down(module, host)), axis=1)


def equal_shares(capacity: Floats, path: NDArray) -> Floats:
    """(n, 2) B/s: for each flow the smallest capacity / (flows on the link) on its path.

    capacity (L,) B/s; path (n, 2, p). The shares of all flows fit on every link.
    """
    used = path >= 0
    flows = np.bincount(path[used], minlength=capacity.size)
    share = capacity / np.maximum(flows, 1)
    result: Floats = np.where(used, share[np.where(used, path, 0)], np.inf).min(axis=2)
    return result


def admitted_peaks(capacity: Floats, path: NDArray, peaks: Floats, seed: int) -> NDArray[np.bool_]:
    """(n,): which VMs are taken in when each must fit with its peaks, in seeded order.

    A VM that does not fit is passed over; smaller ones after it may still fit.
    """
    load, taken = np.zeros(capacity.size), np.zeros(len(path), bool)
    for vm in np.random.default_rng(seed).permutation(len(path)).tolist():
        more = np.zeros(capacity.size)
        for way in (0, 1):
            links = path[vm, way][path[vm, way] >= 0]
            more[links] += peaks[vm, way]
        wanted = more > 0
        if (load[wanted] + more[wanted] <= capacity[wanted] * FIT).all():
            load += more
            taken[vm] = True
    return taken


class _Loop:
    """The controller's whole loop, ticking once before each step."""

    name: str

    def __init__(self, scene: Scene) -> None:
        from fabcore.node import Controller

        self._node = scene.node
        self.ctl: Controller = Controller(
            scene.node,
            self.name,
            period_s=scene.period_s,
            shapes=len(scene.names),  # steps are long enough for every shaper
        )
        self.handles = np.array(
            [
                self.ctl.add_vm(name, host=int(h), module=int(m), share=SHARE)
                for name, m, h in zip(scene.names, scene.module, scene.host, strict=True)
            ],
            np.int64,
        )
        self._slot = np.array([scene.node.vms.get(int(h)).slot for h in self.handles])
        self._accepted = np.zeros(self.handles.size, bool)
        self.ticks_ns: list[int] = []

    def before_step(self, observed: Floats) -> None:
        self._accepted = self.ctl.allocate_many(self.handles, self.requests(observed))
        self.ticks_ns.append(self.ctl.tick().total_ns)

    def requests(self, observed: Floats) -> Floats:
        raise NotImplementedError

    def reserved(self) -> Floats:
        grants, rows = self.ctl.grants, self._node.vms.capacity
        return np.stack((grants[self._slot], grants[rows + self._slot]), axis=1)

    def floors(self) -> Floats:
        floors: Floats = self._node.vms.floor[self._slot]
        return floors

    def fit(self) -> int:
        return int(np.count_nonzero(self._accepted))

    def enforcement(self) -> dict[str, int]:
        return dict(sorted(Counter(self._node.enforcement(int(h)) for h in self.handles).items()))

    def close(self) -> None:
        self.ctl.close()


class Adaptive(_Loop):
    """Each VM asks for its prediction as its floor, at most its equal share of its tightest link
    (so that all floors fit); grants follow the loop. fit: VMs whose last request was accepted."""

    name = "adaptive"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        path = paths(scene.node.topology, scene.module, scene.host)
        self._share = equal_shares(scene.node.capacity, path).min(axis=1)

    def requests(self, observed: Floats) -> Floats:
        predict = self.ctl.engine.predict_bandwidth
        predicted = np.array([predict(h) for h in self.handles.tolist()])
        floors: Floats = np.minimum(np.nan_to_num(predicted), self._share)
        return floors


class Literal(_Loop):
    """Each VM asks again for what it last wanted in its busier direction; the published rule
    decides. fit: VMs whose last request was accepted."""

    name = "literal"

    def requests(self, observed: Floats) -> Floats:
        busier: Floats = observed.max(axis=1)
        return busier


class _NoLoop:
    """VMs that are bound and left to the tables that the switches start with."""

    ticks_ns: list[int]

    def __init__(self, scene: Scene) -> None:
        self._node = scene.node
        self._n = len(scene.names)
        self.handles = np.array(
            [
                scene.node.admit(name, int(m), int(h), SHARE, 1.0, 0.0, np.inf, 0).handle
                for name, m, h in zip(scene.names, scene.module, scene.host, strict=True)
            ],
            np.int64,
        )
        self.ticks_ns = []

    def before_step(self, observed: Floats) -> None:
        """Nothing changes from step to step."""

    def reserved(self) -> Floats:
        return np.zeros((self._n, 2))

    def floors(self) -> Floats:
        return np.zeros(self._n)

    def fit(self) -> int:
        return self._n

    def enforcement(self) -> dict[str, int]:
        return {"advisory": self._n}

    def close(self) -> None:
        """The node is the caller's."""


class Nothing(_NoLoop):
    """Programs nothing and holds nothing back: what the switches do by themselves. fit: all VMs,
    since none is refused; enforcement: advisory for all, since nothing is enforced."""


class _Ceilings(_NoLoop):
    """Hard host-side ceilings (token buckets before the node), set once."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        path = paths(scene.node.topology, scene.module, scene.host)
        self._ceiling = self.ceilings(scene, path)
        scene.node.ceiling_all(self.handles, self._ceiling[:, 0], self._ceiling[:, 1])

    def ceilings(self, scene: Scene, path: NDArray) -> Floats:
        raise NotImplementedError

    def reserved(self) -> Floats:
        return self._ceiling

    def enforcement(self) -> dict[str, int]:
        return {"host-shaper": self._n}


class StaticEqual(_Ceilings):
    """Every VM may use its equal share of the tightest link of its path. fit: all VMs."""

    def ceilings(self, scene: Scene, path: NDArray) -> Floats:
        return equal_shares(scene.node.capacity, path)


class StaticPeak(_Ceilings):
    """Every VM is given its own peak of the whole trace, while the peaks fit; one that is not
    taken in moves nothing. fit: VMs taken in."""

    def ceilings(self, scene: Scene, path: NDArray) -> Floats:
        self._taken = admitted_peaks(scene.node.capacity, path, scene.peaks, scene.seed)
        return np.where(self._taken[:, None], scene.peaks, 0.0)

    def fit(self) -> int:
        return int(np.count_nonzero(self._taken))


POLICIES: dict[str, type] = {
    "adaptive": Adaptive,
    "literal": Literal,
    "static_equal": StaticEqual,
    "static_peak": StaticPeak,
    "none": Nothing,
}
