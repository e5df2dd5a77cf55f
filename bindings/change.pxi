# Change: several operations, all of them or none.
@cython.final
cdef class Change:
    """Several operations on some switches, all of them or none: `with Change([switch]): ...`.

    Leaving the block commits. Where an operation failed, or the block raises, everything is taken
    back, newest first, and the error goes on; FabricError says where that failed too. `report` is
    then a dict: steps, failed, error, rolled_back. A plan and a hot reset are refused meanwhile.
    """

    cdef fab_change *_change
    cdef list _switches
    cdef readonly object report

    def __cinit__(self, switches, size_t steps=256):
        self._change = NULL
        self._switches = list(switches)
        rc = fab_change_open(steps, &self._change)
        if rc < 0:
            _raise(rc, f"change of {steps} steps")

    def __enter__(self):
        cdef fab_switch *handles[FAB_MAX_SWITCHES]
        cdef Switch sw
        if not 1 <= len(self._switches) <= FAB_MAX_SWITCHES:
            raise FabricError(f"a change is over 1 to {FAB_MAX_SWITCHES} switches")
        for k, one in enumerate(self._switches):
            sw = one
            sw._check()
            handles[k] = sw._sw
        rc = fab_change_begin(self._change, handles, len(self._switches))
        if rc == -errno.EBUSY:
            raise FabricError("change: one is open on this switch already; end it first")
        if rc < 0:
            sw = self._switches[0]
            sw._fail(rc, "change")
        self.report = None
        return self

    def __exit__(self, kind, error, trace):
        cdef fab_change_report report
        cdef int rc
        if kind is None:
            rc = fab_change_commit(self._change, &report)
        else:
            rc = fab_change_roll_back(self._change, &report)
        self.report = report
        if report.rolled_back < 0:
            raise FabricError(
                "change: not everything could be taken back; look at the devices before going on"
            ) from error
        if rc < 0:
            _raise(rc, f"change: {report.rolled_back} steps taken back")
        return False

    def __dealloc__(self):
        fab_change_close(self._change)
