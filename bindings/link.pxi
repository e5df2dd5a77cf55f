# Places of a switch (ports and functions): capabilities, config space, isolation; and links.
_PROTECTIONS = {
    FAB_ACS_SOURCE_VALIDATION: "source validation",
    FAB_ACS_TRANSLATION_BLOCKING: "translation blocking",
    FAB_ACS_REQUEST_REDIRECT: "request redirect",
    FAB_ACS_COMPLETION_REDIRECT: "completion redirect",
    FAB_ACS_UPSTREAM_FORWARDING: "upstream forwarding",
}
cdef enum:
    MOST_CAPABILITIES = 1024  # a config space has no room for more


cdef uint64_t _nanoseconds(double seconds) except? 0xFFFFFFFFFFFFFFFF:
    if not 0 <= seconds <= 3600:
        raise FabricError(f"a wait of {seconds!r} s is not in 0 to 3600")
    return <uint64_t>(seconds * 1e9)


cdef class _SwitchLinks(_SwitchTables):
    def capabilities(self, *, port=None, pdfid=None) -> list:
        """A dict per capability, as the lists have them: id, offset, version, extended, name.

        FabricError when a list bites its own tail or points at nothing. A port's list ends where
        its window does, at 0x800.
        """
        self._check()
        cdef uint32_t where = _place(port, pdfid)
        cdef fab_capability found[MOST_CAPABILITIES]
        cdef int n
        with nogil:
            n = fab_switch_capabilities(self._sw, where, found, MOST_CAPABILITIES)
        if n == -errno.EPROTO:
            raise FabricError(
                f"{self.bar.target}: the capability list of {_name(port, pdfid)} is broken: "
                "it bites its own tail or points at nothing"
            )
        if n < 0:
            self._fail(n, f"capabilities of {_name(port, pdfid)}")
        return [_capability(&found[i]) for i in range(n)]

    def config_read(self, uint16_t addr, uint8_t bytes=4, *, port=None, pdfid=None) -> int:
        """1, 2 or 4 aligned bytes of config space: a port's below 0x800, a function's below 0x1000."""
        self._check()
        cdef uint32_t value = 0
        rc = fab_switch_config_read(self._sw, _place(port, pdfid), addr, bytes, &value)
        if rc < 0:
            self._refuse(rc, "read", addr, bytes, port, pdfid)
        return value

    def config_write(self, uint16_t addr, uint32_t value, uint8_t bytes=4, *, port=None, pdfid=None):
        """Writes 1, 2 or 4 aligned bytes of config space, as `config_read` reads them."""
        self._check()
        rc = fab_switch_config_write(self._sw, _place(port, pdfid), addr, bytes, value)
        if rc < 0:
            self._refuse(rc, "write", addr, bytes, port, pdfid)

    cdef int _refuse(self, long long rc, str verb, int addr, int bytes, port, pdfid) except -1:
        what = f"config {verb} of {bytes} bytes at 0x{addr:x} of {_name(port, pdfid)}"
        if rc == -errno.EINVAL:
            raise FabricError(f"{self.bar.target}: {what}: use 1, 2 or 4 bytes, aligned to as many")
        if rc == -errno.ERANGE:
            reach = (
                "a port's config space is reached below 0x800 only" if port is not None
                else "config space ends at 0x1000"
            )
            raise FabricError(f"{self.bar.target}: {what}: {reach}")
        self._fail(rc, what)

    def isolate(self, *, port=None, pdfid=None) -> tuple:
        """Sets access control so that peers cannot reach around a binding; names what is not offered.

        A downstream port: source validation, translation blocking, request and completion redirect,
        upstream forwarding; a function: the redirects. () = everything is in force.
        """
        self._check()
        rc = fab_switch_isolate(self._sw, _place(port, pdfid))
        if rc < 0:
            self._fail(rc, f"access control of {_name(port, pdfid)}")
        return tuple(name for bit, name in _PROTECTIONS.items() if rc & bit)

    def link(self, uint8_t port) -> dict:
        """max_lanes, max_gen, target_gen, lanes, gen, up, training, active, disabled, cfg_lanes, ltssm."""
        self._check()
        cdef fab_link found
        rc = fab_switch_link(self._sw, port, &found)
        if rc < 0:
            self._fail(rc, f"link of port {port}")
        return found

    def wait_link(self, uint8_t port, double seconds=1.0):
        """Returns when the link is up and not training."""
        self._check()
        cdef uint64_t limit = _nanoseconds(seconds)
        cdef int rc
        with nogil:
            rc = fab_switch_link_wait(self._sw, port, limit)
        if rc < 0:
            self._fail(rc, f"training of port {port}")

    def set_link_speed(self, uint8_t port, uint8_t gen, double seconds=1.0):
        """Sets the target speed (a generation), retrains and waits; `link` tells what came of it."""
        self._check()
        cdef uint64_t limit = _nanoseconds(seconds)
        cdef int rc
        with nogil:
            rc = fab_switch_link_speed(self._sw, port, gen, limit)
        if rc == -errno.ERANGE:
            raise FabricError(f"{self.bar.target}: port {port} has no speed of generation {gen}")
        if rc < 0:
            self._fail(rc, f"speed of port {port}")

    def disable_link(self, uint8_t port, bint disable=True):
        """Disables a port's link, or enables it again; enabling does not wait for the training."""
        self._check()
        rc = fab_switch_link_disable(self._sw, port, disable)
        if rc < 0:
            self._fail(rc, f"link of port {port}")


cdef object _capability(const fab_capability *one):
    cdef const char *name = fab_capability_name(one.id, one.extended)
    return {
        "id": one.id, "offset": one.offset, "version": one.version, "extended": bool(one.extended),
        "name": name.decode() if name is not NULL else "",
    }
