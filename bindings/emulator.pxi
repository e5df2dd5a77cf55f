_FAULTS = {
    "link-down": 1, "link-up": 2, "mrpc-stuck": 3, "vc-stuck": 4, "torn-write": 5, "gone": 6,
    "back": 7, "link-flap": 8, "width": 9, "speed": 10, "removed": 11, "inserted": 12,
    "mrpc-interrupted": 13, "all-ones": 14, "correctable": 15, "nonfatal": 16, "fatal": 17,
    "heat": 18, "event-lost": 19, "firmware-torn": 20, "reset": 21, "supply-lost": 22,
    "supply-back": 23,
}


_TRAFFIC = {"fluid": 0, "tlp": 1}


cdef int _fault_number(kind) except -1:
    if kind not in _FAULTS:
        raise FabricError(f"fault {kind!r}: use one of {', '.join(_FAULTS)}")
    return _FAULTS[kind]


cdef uint32_t _fault_count(kind, count) except? 0xFFFFFFFF:
    # An error's count is a bit of its status register, and 0 a typical one.
    if count is None:
        return 0 if kind in ("correctable", "nonfatal", "fatal") else 1
    if not 0 <= count < 0xFFFFFFFF:
        raise FabricError(f"fault {kind}: a count of {count!r} is impossible")
    return count


cdef int _check_fault(int rc, where, kind, count) except -1:
    if rc == -errno.ENOENT:
        raise TopologyError(f"fault {kind} on {where}: there is no such port, or no module's")
    if rc == -errno.EINVAL:
        raise FabricError(f"fault {kind} on {where}: a count of {count} is impossible")
    if rc == -errno.ENOLINK:
        raise FabricError(f"fault {kind} on {where}: no module is linked that could report it")
    if rc == -errno.ENOSPC:
        raise FabricError(f"fault {kind} on {where}: too many faults wait for their time")
    if rc < 0:
        raise FabricError(f"fault {kind} on {where}: {_text(rc)}")
    return 0


@cython.final
cdef class EmulatedNode:
    """The emulated Resource Node: switches' registers, config spaces, traffic, faults.

    switches: device ids; ports: tuples (switch, port, kind, index, gen, cfg_lanes, lanes,
    peer_switch, peer_port, phases, capacity B/s); routes[from][to] fabric port or 255; modules:
    (arbitration, vfs, supply_w) by index; shm: also under /dev/shm/NAME/K; secure_state of
    the chips: 0 uninitialised, 1 unsecured, 2 secured. Calls lock the node.
    """

    cdef fab_node *_node
    cdef readonly int switches
    cdef readonly bint realtime
    cdef list _bars
    cdef list _ways  # weak references to what else serves it: they end before it does

    def __cinit__(self, *, switches, ports, routes, modules, mps=256, mrrs=512, seed=0, name="node", shm=None, secure_state=0):
        cdef fab_node_config config
        cdef fab_node_port *rows
        self._node = NULL
        self.switches = len(switches)
        if len(switches) > FAB_MAX_SWITCHES or len(modules) > FAB_SWITCH_MODULES:
            raise TopologyError("an emulated node has at most 16 switches and 8 modules")
        memset(&config, 0, sizeof(config))
        config.switches = len(switches)
        config.ports = len(ports)
        config.mps, config.mrrs, config.seed = mps, mrrs, seed & 0xFFFFFFFFFFFFFFFF
        config.secure_state = secure_state
        for k, device_id in enumerate(switches):
            config.device_id[k] = device_id
            for j in range(len(switches)):
                config.route[k][j] = routes[k][j]
        for k, (arbitration, vfs, supply_w) in enumerate(modules):
            config.modules[k].arbitration = arbitration
            config.modules[k].vfs = vfs
            config.modules[k].supply_w = supply_w
        cdef bytes text = name.encode()[:63]
        strncpy(config.name, text, 63)
        rows = <fab_node_port *>calloc(len(ports) + 1, sizeof(fab_node_port))
        if rows is NULL:
            raise MemoryError
        cdef bytes where = b"" if shm is None else shm.encode()
        try:
            for k, p in enumerate(ports):
                (rows[k].sw, rows[k].port, rows[k].kind, rows[k].index, rows[k].gen,
                 rows[k].cfg_lanes, rows[k].lanes, rows[k].peer_switch, rows[k].peer_port,
                 rows[k].phases, rows[k].capacity) = p
            rc = fab_node_create(&config, rows, NULL if shm is None else <const char *>where, &self._node)
        finally:
            free(rows)
        if rc < 0:
            _raise_bar(rc, f"shm:{shm}" if shm is not None else "emulated node")
        self._bars, self._ways = [], []

    def bar(self, k):
        """The Bar of switch k; it belongs to the node."""
        self._check()
        cdef fab_bar *bar = fab_node_bar(self._node, k) if 0 <= k < self.switches else NULL
        if bar is NULL:
            raise TopologyError(f"there is no switch {k}")
        made = Bar.borrow(bar, self, f"emulated switch {k}")
        self._bars.append(made)
        return made

    def advance(self, double seconds):
        """Moves virtual time."""
        self._check()
        cdef int rc
        with nogil:
            rc = fab_node_advance(self._node, seconds)
        if rc == -errno.EBUSY:
            raise FabricError("the node runs in real time: its time cannot be advanced")
        if rc < 0:
            raise FabricError(f"cannot advance by {seconds!r} seconds")

    def set_step(self, double seconds):
        """The longest step in which traffic is moved (1 ms)."""
        self._check()
        if fab_node_set_step(self._node, seconds) < 0:
            raise FabricError(f"a step of {seconds!r} s is impossible")

    def set_drop(self, bint drop):
        """True: load that a step could not carry is dropped and counted."""
        self._check()
        fab_node_set_drop(self._node, drop)

    def set_traffic(self, mode):
        """How traffic is computed: "fluid" (by rates) or "tlp" (one TLP after the other)."""
        self._check()
        if mode not in _TRAFFIC:
            raise FabricError(f"traffic {mode!r}: use one of {', '.join(_TRAFFIC)}")
        cdef int code = _TRAFFIC[mode]
        with nogil:
            code = fab_node_set_mode(self._node, code)
        if code == -errno.EBUSY:
            raise FabricError("the node runs in real time, TLP by TLP takes longer: use advance")

    def start(self):
        """Real time from now on: a thread moves traffic by the wall clock."""
        self._check()
        rc = fab_node_start(self._node)
        if rc < 0:
            _raise(rc, "emulated node: start")
        self.realtime = True

    def stop(self):
        """Ends real time."""
        self._check()
        cdef int rc
        with nogil:
            rc = fab_node_stop(self._node)
        if rc < 0:
            _raise(rc, "emulated node: stop")
        self.realtime = False

    @property
    def time_ns(self) -> int:
        self._check()
        return fab_node_time_ns(self._node)

    def config_space(self, switch, port, function=-1) -> bytes:
        """4096 bytes of a port's config space, or of a function behind a module port."""
        self._check()
        cdef uint8_t space[4096]
        if not (0 <= switch < self.switches and 0 <= port < 256 and -1 <= function < 256):
            raise TopologyError(f"there is no port {switch}:{port} with function {function}")
        rc = fab_node_config_space(self._node, switch, port, function, space)
        if rc < 0:
            behind = "" if function < 0 else f" with a function {function} behind it"
            raise TopologyError(f"there is no port {switch}:{port}{behind}")
        return (<char *>space)[:4096]

    def fault(self, switch, kind, port=0, count=None):
        """Makes something fail; the kinds and what `count` means for each: docs/faults.md."""
        self._check()
        cdef int number = _fault_number(kind)
        cdef uint32_t n = _fault_count(kind, count)
        if not (0 <= switch < self.switches and 0 <= port < 256):
            raise TopologyError(f"fault {kind}: there is no port {switch}:{port}")
        _check_fault(fab_node_fault(self._node, switch, number, port, n), f"port {switch}:{port}", kind, n)

    def fault_at(self, at_s, switch, kind, port=0, count=None):
        """`fault` when `moved_s` reaches `at_s`, exactly; at once if it has. At most 1024 wait."""
        self._check()
        cdef int number = _fault_number(kind)
        cdef uint32_t n = _fault_count(kind, count)
        if not 0 <= at_s < 1e9:
            raise FabricError(f"fault {kind}: {at_s!r} s is no time")
        if not (0 <= switch < self.switches and 0 <= port < 256):
            raise TopologyError(f"fault {kind}: there is no port {switch}:{port}")
        rc = fab_node_fault_at(self._node, <uint64_t>round(at_s * 1e9), switch, number, port, n)
        _check_fault(rc, f"port {switch}:{port}", kind, n)

    @property
    def moved_s(self) -> float:
        """Seconds that the node's time has moved since it was made, virtual or real."""
        self._check()
        return fab_node_moved_ns(self._node) / 1e9

    def module_state(self, module):
        """A module's slot, link, power and heat, by name."""
        self._check()
        cdef fab_module_state state
        if not 0 <= module < FAB_SWITCH_MODULES or fab_node_module_state(self._node, module, &state) < 0:
            raise TopologyError(f"there is no module {module}")
        return {
            "present": bool(state.present), "powered": bool(state.powered),
            "link_up": bool(state.link_up), "neg_lanes": state.neg_lanes,
            "neg_gen": state.neg_gen, "draw_w": state.draw_w, "fan_rpm": state.fan_rpm,
            "temperature_c": state.temperature_c, "throttle": state.throttle,
        }

    cdef int _check(self) except -1:
        if self._node is NULL:
            raise FabricError("the emulated node is closed")
        return 0

    def close(self):
        """Stops the node; its Bars end with it and its files are removed."""
        cdef fab_node *node = self._node
        if node is NULL:
            return
        for way in [reference() for reference in self._ways]:
            if way is not None:
                way.close()
        self._node = NULL
        for bar in self._bars:
            bar.close()
        self._bars, self._ways = [], []
        with nogil:
            fab_node_close(node)

    def __dealloc__(self):
        if self._node is not NULL:
            fab_node_close(self._node)
