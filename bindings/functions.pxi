@cython.final
cdef class Functions:
    """The functions that VMs own, by slot: their workload and counters on an emulated node.

    bars: one per switch, kept alive. Slots are rows of the loop's arrays. Counters start at 0 when
    a slot receives its function and go on when the slot is given another one in its place.
    """

    cdef list _bars
    cdef fab_bar *_raw[16]
    cdef size_t _n
    cdef fab_function_map *_map
    cdef fab_function_cell **_cell
    cdef fab_function_out *_base  # the cells' counters that stand for 0, per slot
    cdef Py_ssize_t _room
    cdef object _packed_base
    cdef object _packed  # the occupied slots' map rows, one after the other
    cdef object _records

    def __cinit__(self, bars):
        cdef Bar bar
        self._map = NULL
        self._cell = NULL
        self._base = NULL
        self._room = 0
        self._bars = list(bars)
        self._n = len(self._bars)
        if self._n > 16:
            raise FabricError("a node has at most 16 switches")
        for k, one in enumerate(self._bars):
            bar = one
            bar._check()
            self._raw[k] = bar._bar
        self._packed = np.zeros(0, np.uint64)
        self._records = np.zeros(0, RECORD)

    cdef int _grow(self, Py_ssize_t room) except -1:
        cdef fab_function_cell **cell = <fab_function_cell **>calloc(room, sizeof(fab_function_cell *))
        cdef fab_function_map *rows = <fab_function_map *>calloc(room, sizeof(fab_function_map))
        cdef fab_function_out *base = <fab_function_out *>calloc(room, sizeof(fab_function_out))
        if cell is NULL or rows is NULL or base is NULL:
            free(cell)
            free(rows)
            free(base)
            raise MemoryError
        for i in range(self._room):
            cell[i] = self._cell[i]
            rows[i] = self._map[i]
            base[i] = self._base[i]
        free(self._cell)
        free(self._map)
        free(self._base)
        self._cell, self._map, self._base, self._room = cell, rows, base, room
        return 0

    def set(self, Py_ssize_t slot, uint32_t vm, uint8_t sw, uint8_t port, uint8_t function):
        """Puts a function into a slot; its records will carry the handle `vm`."""
        cdef fab_function_cell *cell
        if sw >= self._n:
            raise TopologyError(f"there is no switch {sw}")
        rc = fab_function_cell_of(self._raw[sw], port, function, &cell)
        if rc < 0:
            raise TopologyError(f"there is no function {function} behind port {sw}:{port}")
        if slot >= self._room:
            self._grow(max(slot + 1, 2 * self._room))
        cdef fab_function_out base = cell.out
        cdef fab_function_cell *old = self._cell[slot]
        if old is not NULL:  # another function for the same VM: its counters go on
            base.up_bytes -= old.out.up_bytes - self._base[slot].up_bytes
            base.down_bytes -= old.out.down_bytes - self._base[slot].down_bytes
            base.up_dropped -= old.out.up_dropped - self._base[slot].up_dropped
            base.down_dropped -= old.out.down_dropped - self._base[slot].down_dropped
            cell.in_ = old.in_
            self._quiet(old)
        self._base[slot] = base
        self._cell[slot] = cell
        self._map[slot].vm = vm
        self._map[slot].sw = sw
        self._map[slot].port = port
        self._map[slot].function = function
        self._pack()

    def clear(self, Py_ssize_t slot):
        """Empties a slot; the function's workload ends."""
        self._quiet(self._cell_of(slot))
        self._cell[slot] = NULL
        self._pack()

    cdef void _quiet(self, fab_function_cell *cell) noexcept:
        cell.in_.offered_up = 0
        cell.in_.offered_down = 0
        cell.in_.ceiling_up = INFINITY
        cell.in_.ceiling_down = INFINITY
        cell.in_.traffic_class = 0

    cdef int _pack(self) except -1:
        cdef fab_function_out b
        rows, base = [], []
        for i in range(self._room):
            if self._cell[i] is not NULL:
                rows.append((<uint64_t *>&self._map[i])[0])
                b = self._base[i]
                base.append((b.up_bytes, b.down_bytes, b.up_dropped, b.down_dropped))
        self._packed = np.array(rows, np.uint64)
        self._packed_base = np.array(base, np.uint64).reshape(-1, 4)
        self._records = np.zeros(len(rows), RECORD)
        return 0

    cdef fab_function_cell *_cell_of(self, Py_ssize_t slot) except NULL:
        if slot < 0 or slot >= self._room or self._cell[slot] is NULL:
            raise FabricError(f"slot {slot} holds no function")
        return self._cell[slot]

    def records(self, uint64_t time_ns):
        """One record (k,) RECORD per occupied slot, from the functions' counters; overwritten by the next call."""
        cdef size_t n = len(self._packed)
        if n == 0:
            return self._records
        cdef size_t rows = _address(self._packed)
        cdef size_t out = _address(self._records)
        cdef int64_t rc = fab_function_records(
            self._raw, self._n, <fab_function_map *>rows, n, time_ns, <fab_record *>out
        )
        if rc < 0:
            _raise_bar(rc, "function counters")
        # A record's bytes are delivered + dropped (docs/flow.md); both count from the slot's base.
        cdef fab_record *record = <fab_record *>out
        cdef const uint64_t[:, ::1] base = self._packed_base
        cdef size_t i
        for i in range(n):
            record[i].up_bytes -= base[i, 0] + base[i, 2]
            record[i].down_bytes -= base[i, 1] + base[i, 3]
            record[i].aux -= base[i, 2] + base[i, 3]
        return self._records

    def offer(self, const long long[::1] slots, const double[::1] up, const double[::1] down):
        """From now on the slots' functions want to move `up` and `down` (k,) B/s."""
        cdef Py_ssize_t i
        cdef fab_function_cell *cell
        for i in range(slots.shape[0]):
            cell = self._cell_of(slots[i])
            cell.in_.offered_up = up[i]
            cell.in_.offered_down = down[i]

    def traffic_class(self, Py_ssize_t slot, uint32_t traffic_class):
        """From now on the slot's function moves its traffic in this class, 0 to 7."""
        self._cell_of(slot).in_.traffic_class = traffic_class

    def ceiling(self, const long long[::1] slots, const double[::1] up, const double[::1] down):
        """Host-side shapers of the slots' functions (k,) B/s; inf = none."""
        cdef Py_ssize_t i
        cdef fab_function_cell *cell
        for i in range(slots.shape[0]):
            cell = self._cell_of(slots[i])
            cell.in_.ceiling_up = up[i]
            cell.in_.ceiling_down = down[i]

    def counters(self, const long long[::1] slots):
        """(k, 6) uint64: up, down bytes; up, down backlog; up, down dropped bytes."""
        out = np.zeros((slots.shape[0], 6), np.uint64)
        cdef uint64_t[:, ::1] view = out
        cdef fab_function_cell *cell
        cdef fab_function_out *base
        cdef Py_ssize_t i
        for i in range(slots.shape[0]):
            cell = self._cell_of(slots[i])
            base = &self._base[slots[i]]
            view[i, 0] = cell.out.up_bytes - base.up_bytes
            view[i, 1] = cell.out.down_bytes - base.down_bytes
            view[i, 2] = cell.out.up_backlog
            view[i, 3] = cell.out.down_backlog
            view[i, 4] = cell.out.up_dropped - base.up_dropped
            view[i, 5] = cell.out.down_dropped - base.down_dropped
        return out

    def __dealloc__(self):
        free(self._map)
        free(self._cell)
        free(self._base)
