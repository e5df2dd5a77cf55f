@cython.final
cdef class Switch:
    """The driver of one switch over its Bar (kept alive). One thread at a time."""

    cdef fab_switch *_sw
    cdef readonly Bar bar

    def __cinit__(self, Bar bar not None):
        self._sw = NULL
        bar._check()
        self.bar = bar
        rc = fab_switch_open(bar._bar, &self._sw)
        if rc == -errno.EPROTO:
            raise BarError(f"{bar.target}: no Switchtec device answers here")
        if rc < 0:
            _raise_bar(rc, bar.target)

    @property
    def firmware(self) -> Firmware:
        """Its partitions, update, toggle, security."""
        return Firmware(self)

    cdef int _check(self) except -1:
        if self._sw is NULL:
            raise BarError(f"{self.bar.target}: the switch is closed")
        return self.bar._check()

    cdef int _fail(self, long long rc, str what) except -1:
        cdef uint32_t command = 0, code
        if rc == -errno.ENODEV:
            _raise_bar(rc, self.bar.target)
        if rc == -errno.EREMOTEIO:
            code = fab_switch_refusal(self._sw, &command)
            raise FirmwareError(command, code, f"{self.bar.target}: {what}")
        _raise(rc, f"{self.bar.target}: {what}")

    def identify(self) -> dict:
        """device_id, device_version, fw_version, generation, pax_id, lanes, product."""
        self._check()
        cdef fab_switch_info info
        rc = fab_switch_identify(self._sw, &info)
        if rc < 0:
            self._fail(rc, "identify")
        cdef object found = info
        found["product"] = (<bytes>info.product).decode("latin-1").rstrip()
        return found

    def mrpc(self, unsigned int command, payload, size_t reply_len, pax=None) -> bytes:
        """One firmware command: the reply's `reply_len` bytes.

        command: 16-bit id without PAX bits; pax: None = this switch, else the PAX index it goes
        to. FirmwareError(id, code) when the firmware refuses; BarError when the switch is gone.
        """
        self._check()
        cdef const unsigned char[::1] data = bytes(payload)
        cdef size_t n = data.shape[0]
        if command > 0xFFFF:
            raise FabricError(f"MRPC command 0x{command:x} has more than 16 bits; pass pax= instead")
        if n > 1024 or reply_len > 1024:
            raise FabricError("an MRPC command carries at most 1024 bytes each way")
        if pax is not None and not 0 <= pax <= 30:
            raise FabricError(f"PAX index {pax!r} is not in 0 to 30")
        cdef int to = -1 if pax is None else pax
        cdef uint32_t code = 0
        cdef bytes out = PyBytes_FromStringAndSize(NULL, reply_len)
        cdef char *p = PyBytes_AS_STRING(out)
        cdef const unsigned char *q = &data[0] if n else NULL
        cdef int rc
        with nogil:
            rc = fab_switch_mrpc(self._sw, command, to, q, n, p, reply_len, &code)
        if rc < 0:
            _raise_mrpc(rc, command, code, self.bar.target)
        return out

    def set_timeout(self, double seconds):
        """How long a firmware command may take before it counts as never completed (1 s)."""
        self._check()
        if not 0 < seconds <= 3600:
            raise FabricError(f"timeout of {seconds!r} s is not in 0 to 3600")
        fab_switch_set_timeout(self._sw, <uint64_t>(seconds * 1e9))

    def ports(self) -> list:
        """A dict per port: port, kind, index, pff, cfg_lanes, neg_lanes, gen, up, peer_switch, peer_port, ltssm, phases, vc_offset."""
        self._check()
        cdef fab_port_info infos[FAB_MAX_PORTS]
        cdef int n
        with nogil:
            n = fab_switch_ports(self._sw, infos, FAB_MAX_PORTS)
        if n < 0:
            self._fail(n, "ports")
        return [infos[i] for i in range(n)]

    def routes(self) -> list:
        """Fabric port toward each switch, 255 = itself or no way."""
        self._check()
        cdef uint8_t out[FAB_MAX_SWITCHES]
        n = fab_switch_routes(self._sw, out, FAB_MAX_SWITCHES)
        if n < 0:
            self._fail(n, "routes")
        return [out[i] for i in range(n)]

    counters = property(lambda self: Counters(self), doc="The switch's counters; counters(ports) reads bytes.")
    events = property(lambda self: Events(self), doc="The switch's events.")

    def temperature(self) -> tuple:
        """Die temperature in degrees Celsius, one value a sensor."""
        self._check()
        cdef double celsius[4]
        n = fab_switch_temperature(self._sw, celsius, 4)
        if n < 0:
            self._fail(n, "temperature")
        return tuple(celsius[k] for k in range(n))

    def gas_read(self, int pax, uint32_t off, size_t n) -> bytes:
        """n bytes of the registers of the fabric's switch `pax`, by firmware command."""
        self._check()
        cdef bytes out = PyBytes_FromStringAndSize(NULL, n)
        cdef char *p = PyBytes_AS_STRING(out)
        cdef int rc
        with nogil:
            rc = fab_switch_gas_read(self._sw, pax, off, p, n)
        if rc < 0:
            self._fail(rc, f"registers of PAX {pax} at 0x{off:x}")
        return out

    def gas_write(self, int pax, uint32_t off, const unsigned char[::1] data):
        """Writes registers of the fabric's switch `pax`, by firmware command; not its mailbox."""
        self._check()
        cdef size_t n = data.shape[0]
        cdef const unsigned char *p = &data[0] if n else NULL
        cdef int rc
        with nogil:
            rc = fab_switch_gas_write(self._sw, pax, off, p, n)
        if rc < 0:
            self._fail(rc, f"registers of PAX {pax} at 0x{off:x}")

    def hard_reset(self):
        """Resets the switch: it answers, then forgets its registers and tables, and its links
        train again. Wait, `identify` it anew, and make plans anew."""
        self._check()
        rc = fab_switch_hard_reset(self._sw)
        if rc < 0:
            self._fail(rc, "hard reset")

    def link_events(self) -> list:
        """Physical ports whose link state changed since the last call."""
        self._check()
        cdef uint8_t ports[FAB_MAX_PORTS]
        n = fab_switch_link_events(self._sw, ports, FAB_MAX_PORTS)
        if n < 0:
            self._fail(n, "link events")
        return [ports[i] for i in range(n)]

    def bind(self, uint8_t host_switch, uint8_t host_port, uint8_t logical, uint16_t pdfid):
        """Binds a function to a host port's logical port (GFMS)."""
        self._check()
        rc = fab_switch_bind(self._sw, host_switch, host_port, logical, pdfid)
        if rc < 0:
            self._fail(rc, f"bind of function 0x{pdfid:x} to port {host_switch}:{host_port}")

    def unbind(self, uint8_t host_switch, uint8_t host_port, uint8_t logical, uint16_t pdfid):
        """Undoes `bind`."""
        self._check()
        rc = fab_switch_unbind(self._sw, host_switch, host_port, logical, pdfid)
        if rc < 0:
            self._fail(rc, f"unbind of function 0x{pdfid:x} from port {host_switch}:{host_port}")

    def port_control(self, uint8_t port, action):
        """action: "disable", "enable", "retrain" or "hot-reset"."""
        self._check()
        actions = ("disable", "enable", "retrain", "hot-reset")
        if action not in actions:
            raise FabricError(f"port action {action!r}: use one of {', '.join(actions)}")
        rc = fab_switch_port_control(self._sw, port, actions.index(action))
        if rc < 0:
            self._fail(rc, f"{action} of port {port}")

    def function_read(self, uint16_t pdfid, uint16_t addr, uint8_t bytes=4) -> int:
        """1, 2 or 4 bytes of a module function's config space."""
        self._check()
        cdef uint32_t value = 0
        rc = fab_switch_function_read(self._sw, pdfid, addr, bytes, &value)
        if rc < 0:
            self._fail(rc, f"config read of function 0x{pdfid:x} at 0x{addr:x}")
        return value

    def function_write(self, uint16_t pdfid, uint16_t addr, uint32_t value, uint8_t bytes=4):
        """Writes 1, 2 or 4 bytes of a module function's config space."""
        self._check()
        rc = fab_switch_function_write(self._sw, pdfid, addr, bytes, value)
        if rc < 0:
            self._fail(rc, f"config write of function 0x{pdfid:x} at 0x{addr:x}")

    def function_probe(self, uint16_t pdfid) -> dict:
        """What a PF offers: vendor, device, total_vfs, num_vfs, arbitration (0 none, 1 MFVC, 2 shaper), groups, phases."""
        self._check()
        cdef fab_function_info info
        rc = fab_switch_function_probe(self._sw, pdfid, &info)
        if rc < 0:
            self._fail(rc, f"probe of function 0x{pdfid:x}")
        return info

    def function_group(self, uint16_t pdfid, uint8_t group):
        """Puts a function into an MFVC function group, 0 to 7."""
        self._check()
        rc = fab_switch_function_group(self._sw, pdfid, group)
        if rc < 0:
            self._fail(rc, f"group {group} for function 0x{pdfid:x}")

    def function_shape(self, uint16_t pdfid, double up_min, double down_min, double up_max, double down_max):
        """Per-VF shaper: committed and peak rates in B/s; peak inf = none."""
        self._check()
        rc = fab_switch_function_shape(self._sw, pdfid, up_min, down_min, up_max, down_max)
        if rc < 0:
            self._fail(rc, f"shaper of function 0x{pdfid:x}")

    def load_port_table(self, uint8_t port, const unsigned char[::1] entries) -> int:
        """Loads an egress port's arbitration table (phases,) of ingress port ids; register writes."""
        self._check()
        rc = fab_switch_load_port_table(self._sw, port, &entries[0], entries.shape[0])
        if rc < 0:
            self._fail(rc, f"arbitration table of port {port}")
        return rc

    def port_table(self, uint8_t port) -> object:
        """The table in force (phases,) uint8; empty when the arbitration is fixed."""
        self._check()
        out = np.zeros(256, np.uint8)
        cdef unsigned char[::1] view = out
        n = fab_switch_port_table(self._sw, port, &view[0], 256)
        if n < 0:
            self._fail(n, f"arbitration table of port {port}")
        return out[:n].copy()

    def load_function_table(self, uint16_t pdfid, const unsigned char[::1] entries) -> int:
        """Loads an MFVC function arbitration table (phases,) of function groups; register writes."""
        self._check()
        rc = fab_switch_load_function_table(self._sw, pdfid, &entries[0], entries.shape[0])
        if rc < 0:
            self._fail(rc, f"arbitration table of function 0x{pdfid:x}")
        return rc

    def function_table(self, uint16_t pdfid) -> object:
        """The MFVC table in force (phases,) uint8; empty when the arbitration is fixed."""
        self._check()
        out = np.zeros(256, np.uint8)
        cdef unsigned char[::1] view = out
        n = fab_switch_function_table(self._sw, pdfid, &view[0], 256)
        if n < 0:
            self._fail(n, f"arbitration table of function 0x{pdfid:x}")
        return out[:n].copy()

    @property
    def gfms(self) -> Gfms:
        """The fabric's database and events (PAX)."""
        return Gfms(self)

    def close(self):
        if self._sw is not NULL:
            fab_switch_close(self._sw)
            self._sw = NULL

    def __dealloc__(self):
        if self._sw is not NULL:
            fab_switch_close(self._sw)


# A per-VF shaper setting as rows of an array: what Plan.apply takes.
SHAPE = np.dtype(
    [("sw", "u1"), ("pad", "u1"), ("pdfid", "<u2"), ("pad2", "<u4"), ("up_min", "<f8"),
     ("down_min", "<f8"), ("up_max", "<f8"), ("down_max", "<f8")]
)
assert SHAPE.itemsize == sizeof(fab_shape)


@cython.final
cdef class Plan:
    """The arbitration tables and shapers that a tick may change: all of a call's changes, or none.

    targets: tuples (kind 0 port / 1 function, switch index, port, pdfid, phases).
    """

    cdef fab_plan *_plan
    cdef list _switches
    cdef readonly Py_ssize_t size

    def __cinit__(self, switches, targets):
        self._plan = NULL
        self._switches = list(switches)
        self.size = len(targets)
        cdef Switch sw
        cdef fab_switch **handles = <fab_switch **>calloc(len(self._switches) + 1, sizeof(fab_switch *))
        cdef fab_target *rows = <fab_target *>calloc(self.size + 1, sizeof(fab_target))
        if handles is NULL or rows is NULL:
            free(handles)
            free(rows)
            raise MemoryError
        try:
            for k, one in enumerate(self._switches):
                sw = one
                sw._check()
                handles[k] = sw._sw
            for k, (kind, index, port, pdfid, phases) in enumerate(targets):
                rows[k].kind = kind
                rows[k].sw = index
                rows[k].port = port
                rows[k].pdfid = pdfid
                rows[k].phases = phases
            rc = fab_plan_open(handles, len(self._switches), rows, self.size, &self._plan)
        finally:
            free(handles)
            free(rows)
        if rc == -errno.ENODEV:
            _raise_bar(rc, "plan")
        if rc < 0:
            _raise(rc, "plan")

    def apply(self, const unsigned char[:, ::1] tables, const unsigned char[::1] changed, shapes=None):
        """(rc, writes, loaded, failed, rolled_back): rc 0, or -errno after everything is back.

        tables (n, 256) uint8; changed (n,): the rows to look at; shapes (k,) SHAPE.
        """
        if self._plan is NULL:
            raise FabricError("the plan is closed")
        if tables.shape[0] != self.size or tables.shape[1] != 256 or changed.shape[0] != self.size:
            raise FabricError(f"plan of {self.size} targets takes tables (n, 256) and changed (n,)")
        cdef fab_plan_report report
        cdef size_t address = 0, n = 0
        if shapes is not None and len(shapes):
            if shapes.dtype != SHAPE or not shapes.flags.c_contiguous:
                raise FabricError("shapes must be a contiguous array (k,) of SHAPE")
            n = len(shapes)
            address = _address(shapes)
        cdef int rc
        cdef const unsigned char *first = &tables[0, 0] if self.size else NULL
        cdef const unsigned char *flags = &changed[0] if self.size else NULL
        with nogil:
            rc = fab_plan_apply(self._plan, first, flags, <fab_shape *>address, n, &report)
        return rc, report.writes, report.loaded, report.failed, report.rolled_back

    def close(self):
        if self._plan is not NULL:
            fab_plan_close(self._plan)
            self._plan = NULL

    def __dealloc__(self):
        if self._plan is not NULL:
            fab_plan_close(self._plan)
