# Arrow batches through the C Data Interface: the buffers that C wrote are those that pyarrow reads.

cdef object _columns_schema = None


cdef object _arrow_schema():
    """The schema of every batch; importing pyarrow is left to the first who wants one."""
    global _columns_schema
    cdef ArrowSchema schema
    if _columns_schema is None:
        import pyarrow

        rc = fab_columns_schema(&schema)
        if rc < 0:
            _raise(rc, "Arrow schema")
        _columns_schema = pyarrow.Schema._import_from_c(<size_t>&schema)
    return _columns_schema


cdef object _arrow_batch(ArrowArray *array):
    """The batch as pyarrow's: it has moved the struct and will call its release."""
    import pyarrow

    try:
        return pyarrow.RecordBatch._import_from_c(<size_t>array, _columns_schema)
    finally:
        if array.release != NULL:
            array.release(array)


@cython.final
cdef class _Names:
    """Names as C takes them; holds their texts, which other threads may drop meanwhile."""

    cdef fab_vm_name *_table
    cdef size_t _count
    cdef list _texts

    def __cinit__(self, names):
        cdef Py_ssize_t bytes
        self._texts = []
        pairs = list(names.items()) if names else []
        self._table = <fab_vm_name *>calloc(len(pairs) + 1, sizeof(fab_vm_name))
        if self._table is NULL:
            raise MemoryError
        for handle, text in pairs:
            if not isinstance(text, str):
                raise FabricError(f"names: {text!r} for VM {handle!r} is no str")
            try:
                self._table[self._count].vm = operator.index(handle)
                self._table[self._count].name = PyUnicode_AsUTF8AndSize(text, &bytes)
            except (TypeError, OverflowError, UnicodeEncodeError) as error:
                raise FabricError(f"names: {text!r} for VM {handle!r}: {error}") from None
            if bytes > 0x7FFFFFFF:
                raise FabricError(f"names: VM {handle!r}: longer than 2 GiB")
            self._table[self._count].bytes = <uint32_t>bytes
            self._texts.append(text)
            self._count += 1

    def __dealloc__(self):
        free(self._table)


@cython.final
cdef class ColumnPool:
    """Column sets for Arrow batches, written again as soon as nobody holds them.

    A batch owns its columns until the last of its arrays is gone, on whichever thread, even after
    the pool; a set that is still held is never written to. keep: sets that wait for reuse, 1-16.
    """

    cdef fab_columns_pool *_pool
    cdef object _lock

    def __cinit__(self, keep=4):
        self._pool = NULL
        self._lock = threading.Lock()
        rc = fab_columns_pool_open(keep if 0 < keep < 1 << 30 else 0, &self._pool)
        if rc < 0:
            _raise(rc, f"column pool of {keep} sets")

    def batch(self, records, names=None):
        """Records (k,) RECORD, C-contiguous, as a pyarrow.RecordBatch with a dictionary of its own."""
        if not isinstance(records, np.ndarray) or records.dtype != RECORD or not records.flags.c_contiguous:
            raise FabricError("batch takes a C-contiguous array (k,) of fabcore.RECORD")
        _arrow_schema()
        cdef _Names table = _Names.__new__(_Names, names)
        cdef ArrowArray array
        cdef size_t n = records.size, address = _address(records) if n else 0
        cdef int64_t rc
        with self._lock:
            with nogil:
                fab_columns_forget(self._pool)
                rc = fab_columns_fill(self._pool, <fab_record *>address, n, table._table,
                                      table._count, &array)
        if rc < 0:
            _raise(rc, f"{n} records to columns (at most {FAB_COLUMNS_ROWS_MAX}, names below 2 GiB)")
        return _arrow_batch(&array)

    cdef object _read(self, fab_reader *reader, size_t max, names, what):
        _arrow_schema()
        cdef _Names table = _Names.__new__(_Names, names)
        cdef ArrowArray array
        cdef int64_t rc
        if max > FAB_COLUMNS_ROWS_MAX:
            max = FAB_COLUMNS_ROWS_MAX
        with nogil:
            rc = fab_columns_read(self._pool, reader, max, table._table, table._count, &array)
        if rc < 0:
            _raise(rc, what)
        return _arrow_batch(&array)

    def __dealloc__(self):
        fab_columns_pool_close(self._pool)
