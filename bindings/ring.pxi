@cython.final
cdef class Ring:
    """A followed telemetry ring in a file (use a tmpfs); `create` writes, `open` reads.

    One writer, any number of readers in any number of processes; the writer never waits, a reader
    that is lapped learns how many records it lost. One thread at a time per Ring and per reader;
    after fork() the child opens its own. The file has mode 0600.
    """

    cdef fab_ring *_ring
    cdef readonly str path
    cdef int _readers  # open ones: the C handle outlives them
    cdef bint _closed

    def __cinit__(self):
        self._ring = NULL
        self._readers = 0
        self._closed = False

    @staticmethod
    def create(path, capacity):
        """The ring at `path` for writing, made or taken over from a dead writer.

        capacity: records, a power of two from 2 to 2**30. FabricError: a live writer holds it,
        another layout or capacity, a file that is no ring.
        """
        cdef Ring self = Ring.__new__(Ring)
        cdef bytes name = os.fsencode(path)
        if not isinstance(capacity, int) or not 2 <= capacity <= 1 << 30 or capacity & (capacity - 1):
            raise FabricError(f"ring {os.fspath(path)}: capacity {capacity!r} is no power of two from 2 to 2**30")
        self.path = os.fspath(path)
        rc = fab_ring_create(name, capacity, &self._ring)
        if rc < 0:
            _raise(rc, f"ring {self.path}")
        return self

    @staticmethod
    def open(path):
        """The ring at `path` for reading. FabricError: no ring, another layout, truncated."""
        cdef Ring self = Ring.__new__(Ring)
        cdef bytes name = os.fsencode(path)
        self.path = os.fspath(path)
        rc = fab_ring_open(name, &self._ring)
        if rc < 0:
            _raise(rc, f"ring {self.path}" + (": no ring" if rc == -errno.EINVAL else ""))
        return self

    def publish(self, records) -> int:
        """Publishes records (k,) RECORD; their seq is set on the way. The number written: always all."""
        self._check()
        if not isinstance(records, np.ndarray) or records.dtype != RECORD or records.ndim != 1:
            raise FabricError("publish takes an array (k,) of fabcore.RECORD")
        if not records.flags.c_contiguous:
            records = np.ascontiguousarray(records)
        cdef size_t n = len(records)
        if n == 0:
            return 0
        cdef size_t address = _address(records)
        cdef int64_t rc
        if n < 64:
            rc = fab_ring_publish(self._ring, <fab_record *>address, n)
        else:
            with nogil:
                rc = fab_ring_publish(self._ring, <fab_record *>address, n)
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
        """Records published since the ring was made."""
        self._check()
        return fab_ring_published(self._ring)

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
        """A copy of up to `max` records (k,) RECORD, empty when there is nothing new."""
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
        out = np.empty(room, RECORD)
        cdef Py_ssize_t n = self._read(_address(out), room) if room else 0
        return out if n == room else out[:n].copy()

    def read_into(self, out) -> int:
        """Fills `out` (k,) RECORD from the front; how many records it now holds."""
        self._check()
        if not isinstance(out, np.ndarray) or out.dtype != RECORD or not out.flags.carray:
            raise FabricError("read_into takes a writable C-contiguous array (k,) of fabcore.RECORD")
        return self._read(_address(out), len(out))

    cdef Py_ssize_t _read(self, size_t address, size_t room) except -1:
        cdef int64_t n
        if room < 64:
            n = fab_reader_read(self._reader, <fab_record *>address, room)
        else:
            with nogil:
                n = fab_reader_read(self._reader, <fab_record *>address, room)
        if n < 0:
            _raise(n, f"ring {self._owner.path}")
        return n

    def to_arrow(self, max, names=None):
        """Up to `max` new records as a pyarrow.RecordBatch: time as timestamp[ns, UTC], vm as dictionary.

        names: handle -> VM name for the dictionary; a handle without one stands as digits. Rows
        are read once, into columns that come from the reader's own pool: a batch keeps its columns
        for as long as it or any array of it lives, and only then are they written again.
        FabricError: a negative max or a name that is no str; nothing has been read then.
        """
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
