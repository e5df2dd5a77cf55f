@cython.final
cdef class Request:
    """A request that is being served: answer it with RequestQueue.reply."""

    cdef readonly object ticket
    cdef readonly bytes data
    cdef readonly int pid  # of the client

    def __repr__(self):
        return f"Request({len(self.data)} bytes from process {self.pid})"


@cython.final
cdef class RequestQueue:
    """A queue in a file (use a tmpfs) through which many client processes ask one server.

    `create` is the server's side: wait, take, reply, in one thread. `open` is a client's: call, from
    any number of threads. Each side spins for some microseconds and then sleeps in the kernel.
    After fork() the child opens its own. The file has mode 0600.
    """

    cdef fab_request_queue *_queue
    cdef int _calls  # inside call or wait just now, with the GIL released
    cdef readonly str path

    def __cinit__(self):
        self._queue = NULL

    @staticmethod
    def create(path, slots=64, request_bytes=256, reply_bytes=256):
        """The server's side, made or taken over from a dead server.

        slots: requests at a time, a power of two from 2 to 1024; request_bytes, reply_bytes: the
        longest, 1 to 65536. FabricError: a live server holds it, another layout or other sizes.
        """
        cdef RequestQueue self = RequestQueue.__new__(RequestQueue)
        cdef bytes name = os.fsencode(path)
        self.path = os.fspath(path)
        if not isinstance(slots, int) or not 2 <= slots <= FAB_REQUEST_SLOTS or slots & (slots - 1):
            raise FabricError(f"request queue {self.path}: {slots!r} slots; a power of two from 2 to 1024")
        for n in (request_bytes, reply_bytes):
            if not isinstance(n, int) or not 1 <= n <= 65536:
                raise FabricError(f"request queue {self.path}: {n!r} bytes; from 1 to 65536")
        rc = fab_request_create(name, slots, request_bytes, reply_bytes, &self._queue)
        if rc < 0:
            _raise(rc, f"request queue {self.path}")
        return self

    @staticmethod
    def open(path):
        """A client's side. FabricError: there is none, another layout, truncated."""
        cdef RequestQueue self = RequestQueue.__new__(RequestQueue)
        cdef bytes name = os.fsencode(path)
        self.path = os.fspath(path)
        rc = fab_request_open(name, &self._queue)
        if rc < 0:
            _raise(rc, f"request queue {self.path}" + (": no request queue" if rc == -errno.EINVAL else ""))
        return self

    def call(self, const unsigned char[::1] request, timeout=1.0) -> bytes:
        """Client: sends the request and returns the reply.

        timeout: seconds. FabricError: no live server, none that answered in time (the request will
        not be begun any more), a request that is too long, or the server's own error.
        """
        self._check()
        cdef size_t n = request.shape[0], room = fab_reply_bytes(self._queue)
        cdef const void *data = &request[0] if n else NULL
        cdef bytes reply = PyBytes_FromStringAndSize(NULL, room)
        cdef char *to = PyBytes_AS_STRING(reply)
        cdef uint64_t timeout_ns = _timeout_ns(timeout)
        cdef int64_t rc
        self._calls += 1
        try:
            with nogil:
                rc = fab_request_call(self._queue, data, n, to, room, timeout_ns)
        finally:
            self._calls -= 1
        if rc == -errno.EOWNERDEAD:
            raise FabricError(f"request queue {self.path}: no live server; start it")
        if rc == -errno.ETIMEDOUT:
            raise FabricError(f"request queue {self.path}: no reply within {timeout:g} s; it will not be begun any more")
        if rc < 0:
            _raise(rc, f"request queue {self.path}")
        return reply[:rc]

    def wait(self, timeout=1.0) -> bool:
        """Server: True as soon as something may have been submitted, False after `timeout` seconds."""
        self._check()
        cdef uint64_t left = _timeout_ns(timeout), slice
        cdef int rc = 0
        self._calls += 1
        try:
            while rc == 0:  # in slices, so that Ctrl-C is heard
                slice = min(left, <uint64_t>100_000_000)
                with nogil:
                    rc = fab_request_wait(self._queue, slice)
                PyErr_CheckSignals()
                left -= slice
                if left == 0:
                    break
        finally:
            self._calls -= 1
        if rc < 0:
            _raise(rc, f"request queue {self.path}: wait is the server's")
        return rc != 0

    def take(self):
        """Server: the next Request, or None."""
        self._check()
        cdef uint64_t ticket = 0, pid = 0
        cdef size_t room = fab_request_bytes(self._queue)
        cdef bytes data = PyBytes_FromStringAndSize(NULL, room)
        cdef int64_t n = fab_request_take(self._queue, PyBytes_AS_STRING(data), &ticket, &pid)
        if n == -errno.EAGAIN:
            return None
        if n < 0:
            _raise(n, f"request queue {self.path}: take is the server's")
        cdef Request request = Request.__new__(Request)
        request.ticket = ticket
        request.data = data[:n]
        request.pid = <int>pid
        return request

    def reply(self, Request request not None, const unsigned char[::1] data=None, *, int error=0) -> bool:
        """Server: answers with `data`, or with an errno that call raises as FabricError.

        False: the client has left. FabricError: too long, or answered before.
        """
        self._check()
        cdef int64_t n = -error if error > 0 else 0 if data is None else data.shape[0]
        cdef const void *p = &data[0] if n > 0 else NULL
        rc = fab_request_reply(self._queue, request.ticket, p, n)
        if rc == -errno.EPIPE:
            return False
        if rc == -errno.EINVAL:
            raise FabricError(f"request queue {self.path}: that request has been answered")
        if rc < 0:
            _raise(rc, f"request queue {self.path}: a reply of {n} bytes")
        return True

    @property
    def request_bytes(self) -> int:
        """The longest request."""
        self._check()
        return fab_request_bytes(self._queue)

    @property
    def reply_bytes(self) -> int:
        """The longest reply."""
        self._check()
        return fab_reply_bytes(self._queue)

    cdef int _check(self) except -1:
        if self._queue is NULL:
            raise FabricError(f"request queue {self.path} is closed")
        return 0

    def close(self):
        """Gives it back; the file stays. FabricError: a thread is inside call or wait."""
        if self._calls:
            raise FabricError(f"request queue {self.path}: a call is under way in another thread")
        if self._queue is not NULL:
            fab_request_close(self._queue)
            self._queue = NULL

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def __dealloc__(self):
        if self._queue is not NULL:
            fab_request_close(self._queue)


cdef uint64_t _timeout_ns(timeout) except? 1:
    if not timeout >= 0:
        raise FabricError(f"timeout {timeout!r}: seconds, zero or more")
    return <uint64_t>min(timeout * 1e9, 9e18)
