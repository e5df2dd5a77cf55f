# Module functions, arbitration tables and virtual channels of a switch.
cdef const unsigned char *_first(const unsigned char[::1] entries) noexcept:
    """The first entry, or nothing: a table without entries is refused by its length."""
    return &entries[0] if entries.shape[0] else NULL


cdef uint32_t _place(port, pdfid) except? 0xFFFFFFFF:
    """A port or a function, exactly one of them, as the driver names places."""
    if (port is None) == (pdfid is None):
        raise FabricError("name a place: either port= or pdfid=")
    what, value, limit = ("pdfid", pdfid, 0xFFFF) if port is None else ("port", port, 63)
    value = operator.index(value)
    if not 0 <= value <= limit:
        raise FabricError(f"{what} {value} is not in 0 to {limit}")
    return value if port is not None else FAB_AT_FUNCTION | value


cdef str _name(port, pdfid):
    return f"port {port}" if port is not None else f"function 0x{pdfid:x}"


cdef class _SwitchTables(_SwitchHandle):
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

    def load_port_table(self, uint8_t port, const unsigned char[::1] entries, uint8_t vc=0) -> int:
        """Loads an egress port's arbitration table (phases,) of ingress port ids; register writes.

        vc: which virtual channel's, by number.
        """
        self._check()
        rc = fab_switch_load_vc_port_table(self._sw, port, vc, _first(entries), entries.shape[0])
        if rc < 0:
            self._fail(rc, f"arbitration table of port {port}")
        return rc

    def port_table(self, uint8_t port, uint8_t vc=0) -> object:
        """The table in force (phases,) uint8; empty when the arbitration is fixed."""
        self._check()
        out = np.zeros(256, np.uint8)
        cdef unsigned char[::1] view = out
        n = fab_switch_vc_port_table(self._sw, port, vc, &view[0], 256)
        if n < 0:
            self._fail(n, f"arbitration table of port {port}")
        return out[:n].copy()

    def load_function_table(self, uint16_t pdfid, const unsigned char[::1] entries) -> int:
        """Loads an MFVC function arbitration table (phases,) of function groups; register writes."""
        self._check()
        rc = fab_switch_load_function_table(self._sw, pdfid, _first(entries), entries.shape[0])
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

    def vcs(self, *, port=None, pdfid=None) -> list:
        """A dict per virtual channel: id, enabled, tcs (bit = traffic class), negotiating, phases."""
        self._check()
        cdef fab_vc found[FAB_MAX_VCS]
        n = fab_switch_vcs(self._sw, _place(port, pdfid), found, FAB_MAX_VCS)
        if n < 0:
            self._fail(n, f"virtual channels of {_name(port, pdfid)}")
        return [found[i] for i in range(n)]

    def map_vcs(self, channels, *, port=None, pdfid=None):
        """Makes the channels carry the traffic classes of `channels`: all of `vcs`, as dicts or (id, enabled, tcs).

        Channel 0 is always enabled, has id 0 and carries class 0; no class is in two channels.
        """
        self._check()
        cdef fab_vc wish[FAB_MAX_VCS]
        cdef size_t n = len(channels)
        memset(wish, 0, sizeof(wish))
        if not 1 <= n <= FAB_MAX_VCS:
            raise FabricError(f"{n} virtual channels: there are 1 to {FAB_MAX_VCS}")
        for i, one in enumerate(channels):
            fields = [one[k] for k in ("id", "enabled", "tcs")] if isinstance(one, dict) else one
            wish[i].id, wish[i].enabled, wish[i].tcs = fields
        rc = fab_switch_vc_map(self._sw, _place(port, pdfid), wish, n)
        if rc == -errno.EINVAL:
            raise FabricError(
                f"{self.bar.target}: channels of {_name(port, pdfid)}: name all of them; channel 0 is "
                "enabled with id 0 and class 0, no id or class stands twice, none enabled is empty"
            )
        if rc < 0:
            self._fail(rc, f"virtual channels of {_name(port, pdfid)}")

    def wait_vcs(self, double seconds, *, port=None, pdfid=None):
        """Returns when no enabled channel negotiates with the other end of its link any more."""
        self._check()
        cdef uint32_t where = _place(port, pdfid)
        cdef uint64_t limit = _nanoseconds(seconds)
        cdef int rc
        with nogil:
            rc = fab_switch_vc_wait(self._sw, where, limit)
        if rc < 0:
            self._fail(rc, f"negotiation of the virtual channels of {_name(port, pdfid)}")

    def load_vc_table(self, const unsigned char[::1] entries, *, port=None, pdfid=None) -> int:
        """Loads the table that arbitrates between channels (phases,) of VC ids; register writes."""
        self._check()
        rc = fab_switch_load_vc_table(self._sw, _place(port, pdfid), _first(entries), entries.shape[0])
        if rc < 0:
            self._fail(rc, f"virtual channel table of {_name(port, pdfid)}")
        return rc

    def vc_table(self, *, port=None, pdfid=None) -> object:
        """The table in force between channels (phases,) uint8; empty when their order is fixed."""
        self._check()
        out = np.zeros(256, np.uint8)
        cdef unsigned char[::1] view = out
        n = fab_switch_vc_table(self._sw, _place(port, pdfid), &view[0], 256)
        if n < 0:
            self._fail(n, f"virtual channel table of {_name(port, pdfid)}")
        return out[:n].copy()
