# The rest of Switch, by noun: its handle in handle.pxi, functions and tables in tables.pxi, places
# and links in link.pxi, bindings and owners in bind.pxi.


@cython.final
cdef class Switch(_SwitchBindings):
    """The driver of one switch over its Bar (kept alive). One thread at a time."""

    @property
    def firmware(self) -> Firmware:
        """Its partitions, update, toggle, security."""
        return Firmware(self)

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
            self._refused(rc, command, code, self.bar.target)
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

    def port_control(self, uint8_t port, action):
        """action: "disable", "enable", "retrain" or "hot-reset"."""
        self._check()
        actions = ("disable", "enable", "retrain", "hot-reset")
        if action not in actions:
            raise FabricError(f"port action {action!r}: use one of {', '.join(actions)}")
        rc = fab_switch_port_control(self._sw, port, actions.index(action))
        if rc < 0:
            self._fail(rc, f"{action} of port {port}")

    @property
    def gfms(self) -> Gfms:
        """The fabric's database and events (PAX)."""
        return Gfms(self)
