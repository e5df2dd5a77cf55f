_COUNT_TYPES = (
    "unsupported-request", "ecrc", "malformed", "receiver-overflow", "completer-abort", "poisoned",
    "surprise-down", "data-link-protocol", "header-log-overflow", "uncorrectable-internal",
    "replay-timeout", "replay-rollover", "bad-dllp", "bad-tlp", "receiver-error", "fatal",
    "nonfatal", "correctable", "nak", "rule-hit", "posted", "completion", "nonposted",
)


cdef uint32_t _count_mask(types) except? 0xFFFFFFFF:
    cdef uint32_t mask = 0
    for name in types:
        if name not in _COUNT_TYPES:
            raise FabricError(f"an event counter cannot count {name!r}: use {', '.join(_COUNT_TYPES)}")
        mask |= <uint32_t>1 << <int>_COUNT_TYPES.index(name)
    return mask


@cython.final
cdef class Counters:
    """A switch's counters, `Switch.counters`: calling it reads bytes; events and latency beside.

    Event counters, 64 a stack (8 physical ports, so port p is port p % 8 of stack p // 8), count
    what `TYPES` names.
    """

    cdef Switch _switch
    TYPES = _COUNT_TYPES

    def __cinit__(self, Switch switch not None):
        self._switch = switch

    def __call__(self, ports) -> object:
        """Cumulative payload bytes of physical ports (k,): (k, 7) uint64.

        Columns: time_us, egress posted, completion, nonposted, ingress posted, completion,
        nonposted.
        """
        self._switch._check()
        cdef const unsigned char[::1] ids = np.ascontiguousarray(ports, dtype=np.uint8)
        cdef size_t n = ids.shape[0]
        out = np.zeros((n, 7), np.uint64)
        if n == 0:
            return out
        cdef uint64_t[:, ::1] view = out
        cdef int rc
        with nogil:
            rc = fab_switch_counters(self._switch._sw, &ids[0], n, <fab_port_counters *>&view[0, 0])
        if rc < 0:
            self._switch._fail(rc, "counters")
        return out

    def setup_event(self, uint8_t stack, uint8_t counter, ports, types, *, bint egress=False, uint32_t threshold=0):
        """Lets event counter 0..63 of a stack count `types` at `ports` (0..7 of the stack), from 0.

        No types: it is off. A threshold raises the event "thresh" at those ports when it is
        reached.
        """
        self._switch._check()
        cdef fab_event_counter setup
        memset(&setup, 0, sizeof(setup))
        for port in ports:
            if not 0 <= port < 8:
                raise FabricError(f"a stack has ports 0 to 7, not {port!r}")
            setup.ports |= 1 << <int>port
        setup.types = _count_mask(types)
        setup.egress = egress
        setup.threshold = threshold
        rc = fab_switch_event_counter_setup(self._switch._sw, stack, counter, &setup)
        if rc < 0:
            self._switch._fail(rc, f"event counter {stack}:{counter}")

    def events(self, uint8_t stack, *, bint clear=False) -> list:
        """A dict per event counter of a stack that is set up: counter, ports, types, egress,
        threshold, value (modulo 2**32)."""
        self._switch._check()
        cdef fab_event_counter found[FAB_STACK_COUNTERS]
        cdef int n
        with nogil:
            n = fab_switch_event_counters(self._switch._sw, stack, 0, FAB_STACK_COUNTERS, clear, found)
        if n < 0:
            self._switch._fail(n, f"event counters of stack {stack}")
        return [
            {
                "counter": k,
                "ports": tuple(p for p in range(8) if found[k].ports >> p & 1),
                "types": tuple(t for i, t in enumerate(_COUNT_TYPES) if found[k].types >> i & 1),
                "egress": bool(found[k].egress),
                "threshold": found[k].threshold,
                "value": found[k].value,
            }
            for k in range(n) if found[k].types
        ]

    def setup_latency(self, uint8_t egress, ingress=None):
        """Lets a port's latency counter measure from `ingress` (None: any port), from now on."""
        self._switch._check()
        cdef uint8_t source = FAB_LATENCY_ALL if ingress is None else ingress
        cdef fab_latency dropped
        rc = fab_switch_latency_setup(self._switch._sw, &egress, &source, 1)
        if rc == 0:
            rc = fab_switch_latency(self._switch._sw, &egress, 1, True, &dropped)
        if rc < 0:
            self._switch._fail(rc, f"latency from port {'any' if ingress is None else ingress} to {egress}")

    def latency(self, uint8_t egress, *, bint clear=False) -> tuple:
        """(least, most) nanoseconds to an egress port since the clear; `setup_latency` first."""
        self._switch._check()
        cdef fab_latency found
        rc = fab_switch_latency(self._switch._sw, &egress, 1, clear, &found)
        if rc < 0:
            self._switch._fail(rc, f"latency to port {egress}")
        return found.min_ns, found.max_ns
