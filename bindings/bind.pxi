# Bindings, bifurcation and the owner of a switch.
cdef class _SwitchBindings(_SwitchLinks):
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

    def bifurcation(self, uint8_t stack) -> list:
        """Lanes of each of a stack's eight ports, 0 = off."""
        self._check()
        cdef uint8_t widths[FAB_STACK_PORTS]
        rc = fab_switch_bifurcation(self._sw, stack, widths)
        if rc < 0:
            self._fail(rc, f"bifurcation of stack {stack}")
        return [widths[i] for i in range(FAB_STACK_PORTS)]

    def set_bifurcation(self, uint8_t stack, widths):
        """Divides a stack's lanes among its eight ports; a port of w lanes takes w / 2 places, aligned.

        [8, 0, 0, 0, 4, 0, 4, 0] = x8 at port 0, x4 at ports 4 and 6. Checked before anything is
        sent, read back, and undone on failure.
        """
        self._check()
        cdef uint8_t wish[FAB_STACK_PORTS]
        if len(widths) != FAB_STACK_PORTS:
            raise FabricError(f"a stack has {FAB_STACK_PORTS} ports: give the lanes of each, 0 = off")
        for i, one in enumerate(widths):
            wish[i] = one
        rc = fab_switch_bifurcation_set(self._sw, stack, wish)
        if rc == -errno.EINVAL:
            raise FabricError(
                f"{self.bar.target}: bifurcation {list(widths)} of stack {stack}: lanes are 0, 1, 2, 4, "
                "8 or 16; a port of w lanes stands at a multiple of w / 2 and takes as many places"
            )
        if rc < 0:
            self._fail(rc, f"bifurcation of stack {stack}")

    def port_bindings(self) -> list:
        """A dict per physical port: phys, partition, logical, bound, state (0 settled, 1 failed, 2 in progress)."""
        self._check()
        cdef fab_port_binding found[64]
        n = fab_switch_port_bindings(self._sw, found, 64)
        if n < 0:
            self._fail(n, "port bindings")
        return [found[i] for i in range(n)]

    def bind_port(self, uint8_t partition, uint8_t logical, uint8_t phys):
        """Gives a physical port to a partition as its logical port (PSX), and waits for the end of it."""
        self._check()
        rc = fab_switch_port_bind(self._sw, partition, logical, phys)
        if rc < 0:
            self._fail(rc, f"bind of port {phys} to {partition}:{logical}")

    def unbind_port(self, uint8_t partition, uint8_t logical):
        """Undoes `bind_port`."""
        self._check()
        rc = fab_switch_port_unbind(self._sw, partition, logical)
        if rc == -errno.ENOENT:
            raise FabricError(f"{self.bar.target}: nothing is bound to {partition}:{logical}")
        if rc < 0:
            self._fail(rc, f"unbind of {partition}:{logical}")

    def own(self, str name, double lease_s=10.0) -> dict | None:
        """Becomes the switch's owner: nobody else who asks may be until `disown` or close.

        The lease is renewed by every write operation, a plan's included, and by `renew`; one that
        ran out, or whose process died, may be taken over. Returns whom it was taken over from (pid,
        name), None = nobody. OwnerError: another controller holds it; the message says who.
        """
        self._check()
        cdef bytes text = name.encode()
        cdef fab_switch_owner owner
        if not 0.1 <= lease_s <= 86400:
            raise FabricError(f"a lease of {lease_s!r} s is not in 0.1 to 86400")
        if not 0 < len(text) < FAB_OWNER_NAME or "\0" in name:
            raise FabricError(f"an owner's name has 1 to {FAB_OWNER_NAME - 1} bytes")
        rc = fab_switch_own(self._sw, text, <uint64_t>(lease_s * 1e9))
        if rc == -errno.EBUSY:
            self._other("")
        if rc == -errno.EACCES:
            raise OwnerError(
                f"{self.bar.target}: the directory for owners' files cannot be written, or this switch's "
                "file belongs to another user; set FABCORE_RUN to a directory that both can write"
            )
        if rc < 0:
            self._fail(rc, "owner's file")
        if rc == 1 and fab_switch_owner_of(self._sw, &owner) == 1:
            return {"pid": owner.before_pid, "name": (<bytes>owner.before).decode("utf-8", "replace")}
        return None

    def disown(self):
        """Lets another controller own the switch."""
        self._check()
        fab_switch_disown(self._sw)

    def renew(self):
        """Keeps the lease; OwnerError when another controller has taken over."""
        self._check()
        rc = fab_switch_renew(self._sw)
        if rc < 0:
            self._fail(rc, "lease")

    def owner(self) -> dict | None:
        """Who owns the switch: pid, name, since_ns (UTC), left_s of the lease, alive, mine, before; None = nobody."""
        self._check()
        cdef fab_switch_owner found
        rc = fab_switch_owner_of(self._sw, &found)
        if rc < 0:
            self._fail(rc, "owner's file")
        if rc == 0:
            return None
        return {
            "pid": found.pid, "name": (<bytes>found.name).decode("utf-8", "replace"),
            "since_ns": found.since_ns, "left_s": found.left_ns / 1e9, "alive": bool(found.alive),
            "mine": bool(found.mine), "before": (<bytes>found.before).decode("utf-8", "replace"),
        }
