@cython.final
cdef class _Elements:
    """The mapped elements as a buffer; counts who looks into it, so that close can refuse."""

    cdef char *_base
    cdef Py_ssize_t _bytes
    cdef bint _writable
    cdef int exports

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self._base, self._bytes, not self._writable, flags)
        self.exports += 1

    def __releasebuffer__(self, Py_buffer *view):
        self.exports -= 1


@cython.final
cdef class IndexRing:
    """One side of an index ring in a file (use a tmpfs): one producer, one consumer, whole runs in place.

    The producer claims a run, fills it and publishes it, the consumer peeks and releases; push and
    pop copy. A side whose process died is taken over: what it had not published never happened,
    what it had not released is seen again. One thread at a time per IndexRing; after fork() the
    child opens its own. The file has mode 0600.
    """

    cdef fab_index *_ring
    cdef object _all  # (capacity,) view of the elements
    cdef _Elements _elements
    cdef readonly str path
    cdef readonly object dtype
    cdef readonly str role

    def __cinit__(self):
        self._ring = NULL

    @staticmethod
    def create(path, capacity, dtype=None, role="producer"):
        """Takes one side ("producer" or "consumer") of the ring at `path`, which is made if there is none.

        capacity: elements, a power of two from 2 to 2**30. dtype: of an element, fabcore.RECORD by
        default; 8 to 65536 bytes, a multiple of 8. FabricError: a live process holds that side,
        another layout, capacity or element size, a file that is no index ring.
        """
        cdef IndexRing self = IndexRing._new(path, role)
        cdef bytes name = os.fsencode(path)
        _capacity(capacity, f"index ring {self.path}")
        self.dtype = RECORD if dtype is None else np.dtype(dtype)
        cdef size_t size = self.dtype.itemsize
        if size % 8 or not 8 <= size <= 65536 or self.dtype.hasobject:
            raise FabricError(
                f"index ring {self.path}: {self.dtype} has {size} bytes; an element takes 8 to 65536, "
                "a multiple of 8, and no Python objects"
            )
        rc = fab_index_create(name, capacity, size, _role(role), &self._ring)
        if rc < 0:
            _raise(rc, f"index ring {self.path}, {role}")
        return self._view()

    @staticmethod
    def open(path, role="consumer", dtype=None):
        """Takes one side of a ring that is there. dtype: None = RECORD for 64 bytes, else words."""
        cdef IndexRing self = IndexRing._new(path, role)
        cdef bytes name = os.fsencode(path)
        rc = fab_index_open(name, _role(role), &self._ring)
        if rc < 0:
            _raise(rc, f"index ring {self.path}, {role}" + (": no index ring" if rc == -errno.EINVAL else ""))
        cdef size_t size = fab_index_element_bytes(self._ring)
        if dtype is None:
            dtype = RECORD if size == 64 else np.dtype(("<u8", (size // 8,)) if size > 8 else "<u8")
        self.dtype = np.dtype(dtype)
        if self.dtype.itemsize != size or self.dtype.hasobject:
            raise FabricError(f"index ring {self.path}: its elements have {size} bytes, {self.dtype} has {self.dtype.itemsize}")
        return self._view()

    @staticmethod
    cdef IndexRing _new(path, role):
        cdef IndexRing self = IndexRing.__new__(IndexRing)
        if role not in ("producer", "consumer"):
            raise FabricError(f"role {role!r}: use 'producer' or 'consumer'")
        self.path = os.fspath(path)
        self.role = role
        return self

    cdef IndexRing _view(self):
        cdef uint64_t capacity = fab_index_capacity(self._ring)
        self._elements = _Elements.__new__(_Elements)
        self._elements._base = self._ring.elements
        self._elements._bytes = capacity * fab_index_element_bytes(self._ring)
        self._elements._writable = self.role == "producer"
        self._all = np.frombuffer(self._elements, self.dtype.base).reshape((capacity, *self.dtype.shape))
        return self

    cdef object _run(self, int64_t n, void *run):
        if n < 0:
            _raise(n, f"index ring {self.path}, {self.role}" + (
                ": that is the other side's" if n == -errno.EPERM else ""))
        cdef size_t first = (<char *>run - self._ring.elements) // fab_index_element_bytes(self._ring) if n else 0
        return self._all[first:first + n]

    cdef int64_t _done(self, int64_t n, verb) except -1:
        if n == -errno.EINVAL:
            raise FabricError(f"index ring {self.path}: {verb} more than were taken")
        if n < 0:
            self._run(n, NULL)
        return n

    def claim(self, size_t n):
        """Producer: a view of the next free elements in place, up to n in one piece, empty when full.

        Fill it, then publish(k). The view is the ring's memory: don't write to it afterwards.
        """
        self._check()
        cdef void *run = NULL
        cdef int64_t got = fab_index_claim(self._ring, n, &run)
        return self._run(got, run)

    def publish(self, size_t n) -> int:
        """Producer: gives the first n claimed elements to the consumer."""
        self._check()
        return self._done(fab_index_publish(self._ring, n), "published")

    def peek(self, size_t n):
        """Consumer: a read-only view of the next elements in place, up to n in one piece, maybe empty.

        It is the ring's memory: after release(k) the producer overwrites it.
        """
        self._check()
        cdef void *run = NULL
        cdef int64_t got = fab_index_peek(self._ring, n, &run)
        return self._run(got, run)

    def release(self, size_t n) -> int:
        """Consumer: gives the first n peeked elements back."""
        self._check()
        return self._done(fab_index_release(self._ring, n), "released")

    def push(self, elements) -> int:
        """Producer: copies elements (k,) of the ring's dtype in; how many fitted."""
        self._check()
        elements = np.ascontiguousarray(elements)
        if elements.dtype != self.dtype.base or elements.shape[1:] != self.dtype.shape or elements.ndim == 0:
            raise FabricError(f"push takes an array (k,) of {_name_of(self.dtype)}")
        cdef size_t n = len(elements), address = _address(elements)
        cdef int64_t rc
        if n < 64:
            rc = fab_index_push(self._ring, <void *>address, n)
        else:
            with nogil:
                rc = fab_index_push(self._ring, <void *>address, n)
        return self._done(rc, "pushed")

    def pop(self, size_t max):
        """Consumer: a copy of up to `max` elements (k,), empty when there are none."""
        self._check()
        cdef size_t ready = fab_index_published(self._ring) - fab_index_released(self._ring)
        out = np.empty((min(max, ready), *self.dtype.shape), self.dtype.base)
        return out[:self.pop_into(out)]

    def pop_into(self, out) -> int:
        """Consumer: fills `out` (k,) of the ring's dtype from the front; how many elements it now holds."""
        self._check()
        if (not isinstance(out, np.ndarray) or out.dtype != self.dtype.base or not out.flags.carray
                or out.ndim == 0 or out.shape[1:] != self.dtype.shape):
            raise FabricError(f"pop_into takes a writable C-contiguous array (k,) of {_name_of(self.dtype)}")
        cdef size_t n = len(out), address = _address(out)
        cdef int64_t rc
        if n < 64:
            rc = fab_index_pop(self._ring, <void *>address, n)
        else:
            with nogil:
                rc = fab_index_pop(self._ring, <void *>address, n)
        return self._done(rc, "popped")

    @property
    def capacity(self) -> int:
        self._check()
        return fab_index_capacity(self._ring)

    @property
    def published(self) -> int:
        """Elements published since the ring was made."""
        self._check()
        return fab_index_published(self._ring)

    @property
    def released(self) -> int:
        """Elements released since the ring was made."""
        self._check()
        return fab_index_released(self._ring)

    @property
    def other_alive(self) -> bool:
        """Whether a live process holds the other side."""
        self._check()
        return fab_index_other_alive(self._ring) != 0

    @property
    def address(self) -> int:
        """Of the C handle (fab_index *), for compiled kernels; valid until close."""
        self._check()
        return <size_t>self._ring

    cdef int _check(self) except -1:
        if self._ring is NULL:
            raise FabricError(f"index ring {self.path} is closed")
        return 0

    def close(self):
        """Gives the side back; the file stays. FabricError: views of its memory are still in use."""
        if self._ring is NULL:
            return
        self._all = None
        if self._elements is not None and self._elements.exports:
            self._view()
            raise FabricError(f"index ring {self.path}: views of its elements are still in use; drop or copy them")
        self._elements = None
        fab_index_close(self._ring)
        self._ring = NULL

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def __dealloc__(self):
        # With views alive the mapping stays: better leaked than gone under them.
        if self._ring is not NULL and (self._elements is None or not self._elements.exports):
            fab_index_close(self._ring)


cdef int _role(role):
    return FAB_PRODUCER if role == "producer" else FAB_CONSUMER
