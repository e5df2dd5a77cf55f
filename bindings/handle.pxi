# The handle of a switch: opening, closing, what a failed call raises.
cdef class _SwitchHandle:
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

    cdef int _check(self) except -1:
        if self._sw is NULL:
            raise BarError(f"{self.bar.target}: the switch is closed")
        return self.bar._check()

    cdef int _fail(self, long long rc, str what) except -1:
        cdef uint32_t command = 0, code
        if rc == -errno.ENODEV:
            _raise_bar(rc, self.bar.target)
        if rc == -errno.ENOSPC:
            raise FabricError(
                f"{self.bar.target}: {what}: the open change has no room for its way back; "
                "open one with more steps"
            )
        if rc == -errno.ESTALE:
            self._other(f"{what}: this controller's lease ran out, and ")
        if -rc in _ENDS:
            code = fab_switch_refusal(self._sw, &command)
            if command:
                self._refused(rc, command, code, f"{self.bar.target}: {what}")
        _raise(rc, f"{self.bar.target}: {what}")

    cdef int _refused(self, long long rc, uint32_t command, uint32_t code, what) except -1:
        """A firmware command that failed: how, or who kept it from being sent."""
        cdef uint32_t holder = fab_switch_mailbox_holder(self._sw)
        if rc == -errno.ETIMEDOUT and holder:
            raise FirmwareError(command, holder, what, "busy")
        _raise_mrpc(rc, command, code, what)

    cdef int _other(self, str why) except -1:
        """Another controller owns it: who."""
        cdef fab_switch_owner owner
        cdef int known = fab_switch_owner_of(self._sw, &owner)
        if known <= 0:
            raise OwnerError(f"{self.bar.target}: {why}another controller owns this switch")
        name = (<bytes>owner.name).decode("utf-8", "replace")
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(owner.since_ns // 1000000000))
        raise OwnerError(
            f"{self.bar.target}: {why}{name!r} (pid {owner.pid}) owns this switch since {since}; "
            f"stop it, or wait until its lease runs out ({max(owner.left_ns, 0) / 1e9:.1f} s left)",
            owner.pid, name, owner.since_ns,
        )

    def close(self):
        if self._sw is not NULL:
            fab_switch_close(self._sw)
            self._sw = NULL

    def __dealloc__(self):
        if self._sw is not NULL:
            fab_switch_close(self._sw)
