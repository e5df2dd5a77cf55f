cdef object _layout_of(object dtype, size_t bytes, what):
    """The dtype of a followed ring's records: `dtype`, or by their size when it is None."""
    if dtype is None:
        return RECORD if bytes == 64 else np.dtype([("seq", "<u8"), ("words", "<u8", (bytes // 8 - 1,))])
    dtype = np.dtype(dtype)
    first = dtype.fields.get("seq") if dtype.fields else None
    if first is None or first[0] != np.dtype("<u8") or first[1] != 0:
        raise FabricError(f"{what}: the first field of a record is seq, a little-endian uint64; got {dtype}")
    if bytes and dtype.itemsize != bytes:
        raise FabricError(f"{what}: its records have {bytes} bytes, {dtype} has {dtype.itemsize}")
    return dtype


cdef str _name_of(object dtype):
    return "fabcore.RECORD" if dtype == RECORD else str(dtype)


cdef object _capacity(object capacity, what):
    if not isinstance(capacity, int) or not 2 <= capacity <= 1 << 30 or capacity & (capacity - 1):
        raise FabricError(f"{what}: capacity {capacity!r} is no power of two from 2 to 2**30")
    return capacity


@cython.final
cdef class Ring:
    """A followed telemetry ring in a file (use a tmpfs); `create` writes, `open` reads.

    Any number of readers in any number of processes; a writer never waits, a reader that is lapped
    learns how many records it lost. One writer, or with `many_writers` up to 64: each creates the
    ring for itself, and one that finds its slot still owned by another drops the record and counts
    it. One thread at a time per Ring and per reader; after fork() the child opens its own. The file
    has mode 0600.
    """

    cdef fab_ring *_ring
    cdef readonly str path
    cdef readonly object dtype  # of a record; its first field is seq, set by publish
    cdef int _readers  # open ones: the C handle outlives them
    cdef bint _closed

    def __cinit__(self):
        self._ring = NULL
        self._readers = 0
        self._closed = False

    @staticmethod
    def create(path, capacity, dtype=None, *, many_writers=False):
        """The ring at `path` for writing: made, taken over from a dead writer, or joined.

        capacity: records, a power of two from 2 to 2**30. dtype: of a record, fabcore.RECORD by
        default; any with a first field seq (uint64) and 16 to 4096 bytes, a multiple of 8.
        FabricError: a live writer holds it, it has 64 live writers, another layout, capacity or
        record size, a file that is no ring.
        """
        cdef Ring self = Ring.__new__(Ring)
        cdef bytes name = os.fsencode(path)
        self.path = os.fspath(path)
        _capacity(capacity, f"ring {self.path}")
        self.dtype = _layout_of(RECORD if dtype is None else dtype, 0, f"ring {self.path}")
        cdef size_t size = self.dtype.itemsize
        if size % 8 or not 16 <= size <= 4096:
            raise FabricError(f"ring {self.path}: a record of {size} bytes; it takes 16 to 4096, a multiple of 8")
        cdef int writers = FAB_MANY_WRITERS if many_writers else FAB_ONE_WRITER
        rc = fab_ring_create(name, capacity, size, writers, &self._ring)
        if rc == -errno.EUSERS:
            raise FabricError(f"ring {self.path}: it has 64 live writers already")
        if rc < 0:
            _raise(rc, f"ring {self.path}")
        return self

    @staticmethod
    def open(path, dtype=None):
        """The ring at `path` for reading. FabricError: no ring, another layout, truncated, other records."""
        cdef Ring self = Ring.__new__(Ring)
        cdef bytes name = os.fsencode(path)
        self.path = os.fspath(path)
        rc = fab_ring_open(name, &self._ring)
        if rc < 0:
            _raise(rc, f"ring {self.path}" + (": no ring" if rc == -errno.EINVAL else ""))
        self.dtype = _layout_of(dtype, fab_ring_record_bytes(self._ring), f"ring {self.path}")
        return self

    def publish(self, records) -> int:
        """Publishes records (k,) of the ring's dtype; their seq is set on the way.

        The number written: with one writer always all, with many less those dropped.
        """
        self._check()
        if not isinstance(records, np.ndarray) or records.dtype != self.dtype or records.ndim != 1:
            raise FabricError(f"publish takes an array (k,) of {_name_of(self.dtype)}")
        if not records.flags.c_contiguous:
            records = np.ascontiguousarray(records)
        cdef size_t n = len(records)
        if n == 0:
            return 0
        cdef size_t address = _address(records)
        cdef int64_t rc
        if n < 64:
            rc = fab_ring_publish(self._ring, <void *>address, n)
        else:
            with nogil:
                rc = fab_ring_publish(self._ring, <void *>address, n)
        if rc < 0:
            _raise(rc, f"ring {self.path}")
        return rc

    def reader(self, start="oldest"):
        """A reader from the oldest record still there, or from "now"."""
        self._check()
        if start not in ("oldest", "now"):
            raise FabricError(f"start {start!r}: use 'oldest' or 'now'")
        cdef Reader reader = Reader.__new__(Reader)
        rc = fab_reader_open(self._ring, 0 if start == "oldest" else 1, &reader._reader)
        if rc < 0:
            _raise(rc, f"ring {self.path}")
        reader._owner = self
        self._readers += 1
        return reader

    @property
    def capacity(self) -> int:
        self._check()
        return fab_ring_capacity(self._ring)

    @property
    def published(self) -> int:
        """Records published since the ring was made, those dropped included."""
        self._check()
        return fab_ring_published(self._ring)

    @property
    def dropped(self) -> int:
        """Records that its many writers gave up, all of them together; readers count them as lost."""
        self._check()
        return fab_ring_dropped(self._ring)

    @property
    def many_writers(self) -> bool:
        self._check()
        return fab_ring_writers(self._ring) == FAB_MANY_WRITERS

    @property
    def address(self) -> int:
        """Of the C handle (fab_ring *), for compiled kernels; valid until close."""
        self._check()
        return <size_t>self._ring

    cdef int _check(self) except -1:
        if self._closed or self._ring is NULL:
            raise FabricError(f"ring {self.path} is closed")
        return 0

    cdef void _release(self) noexcept:
        if self._closed and self._readers == 0 and self._ring is not NULL:
            fab_ring_close(self._ring)
            self._ring = NULL

    def close(self):
        """Gives the ring back, once its readers are closed; the file stays for a successor."""
        self._closed = True
        self._release()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def __dealloc__(self):
        if self._ring is not NULL:
            fab_ring_close(self._ring)  # its readers hold a reference: none is left


@cython.final
cdef class Reader:
    """One reader's place in a ring (Ring.reader). One thread at a time."""

    cdef fab_reader *_reader
    cdef Ring _owner
    cdef ColumnPool _columns  # made by the first to_arrow

    def __cinit__(self):
        self._reader = NULL

    def read(self, max):
        """A copy of up to `max` records (k,) of the ring's dtype, empty when there is nothing new."""
        self._check()
        cdef Py_ssize_t room = max
        if room < 0:
            raise FabricError(f"cannot read {max} records")
        cdef uint64_t ahead = (
            fab_ring_published(self._owner._ring) - fab_reader_position(self._reader)
        )
        if ahead > fab_ring_capacity(self._owner._ring):
            ahead = fab_ring_capacity(self._owner._ring)  # older ones are lost
        if ahead < <uint64_t>room:
            room = <Py_ssize_t>ahead
        out = np.empty(room, self._owner.dtype)
        cdef Py_ssize_t n = self._read(_address(out), room) if room else 0
        return out if n == room else out[:n].copy()

    def read_into(self, out) -> int:
        """Fills `out` (k,) of the ring's dtype from the front; how many records it now holds."""
        self._check()
        if not isinstance(out, np.ndarray) or out.dtype != self._owner.dtype or not out.flags.carray:
            raise FabricError(
                f"read_into takes a writable C-contiguous array (k,) of {_name_of(self._owner.dtype)}"
            )
        return self._read(_address(out), len(out))

    cdef Py_ssize_t _read(self, size_t address, size_t room) except -1:
        cdef int64_t n
        if room < 64:
            n = fab_reader_read(self._reader, <void *>address, room)
        else:
            with nogil:
                n = fab_reader_read(self._reader, <void *>address, room)
        if n < 0:
            _raise(n, f"ring {self._owner.path}")
        return n

    def to_arrow(self, max, names=None):
        """Up to `max` new records as a pyarrow.RecordBatch: time as timestamp[ns, UTC], vm as dictionary.

        names: handle -> VM name for the dictionary; a handle without one stands as digits. Rows
        are read once, into columns that come from the reader's own pool: a batch keeps its columns
        for as long as it or any array of it lives, and only then are they written again.
        FabricError: a negative max, a name that is no str, a ring of other records than
        fabcore.RECORD; nothing has been read then.
        """
        self._check()
        if self._owner.dtype != RECORD:
            raise FabricError(f"ring {self._owner.path}: to_arrow knows fabcore.RECORD, not {self._owner.dtype}")
        cdef Py_ssize_t room = max
        if room < 0:
            raise FabricError(f"cannot read {max} records")
        cdef uint64_t ahead = (
            fab_ring_published(self._owner._ring) - fab_reader_position(self._reader)
        )
        if ahead > fab_ring_capacity(self._owner._ring):
            ahead = fab_ring_capacity(self._owner._ring)  # older ones are lost
        if ahead < <uint64_t>room:
            room = <Py_ssize_t>ahead
        if self._columns is None:
            self._columns = ColumnPool()
        return self._columns._read(self._reader, room, names, f"ring {self._owner.path}")

    @property
    def lost(self) -> int:
        """Records overwritten before this reader came to them."""
        self._check()
        return fab_reader_lost(self._reader)

    @property
    def position(self) -> int:
        """Index of the next record."""
        self._check()
        return fab_reader_position(self._reader)

    @property
    def address(self) -> int:
        """Of the C handle (fab_reader *), for compiled kernels; valid until close."""
        self._check()
        return <size_t>self._reader

    cdef int _check(self) except -1:
        if self._reader is NULL:
            raise FabricError("the reader is closed")
        return 0

    cpdef close(self):
        """Gives up the place in the ring."""
        if self._reader is not NULL:
            fab_reader_close(self._reader)
            self._reader = NULL
            self._owner._readers -= 1
            self._owner._release()

    def __dealloc__(self):
        if self._reader is not NULL:
            fab_reader_close(self._reader)
            self._owner._readers -= 1
            self._owner._release()
