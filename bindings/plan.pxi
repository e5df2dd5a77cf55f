# Plan: the tables and shapers that a tick changes, all of them or none.
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
