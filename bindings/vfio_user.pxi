_SOCKET_TEXT = {
    errno.ENOENT: "its folder does not exist; make it first",
    errno.ENOTDIR: "its folder is none",
    errno.EINVAL: "an empty path; name a file",
    errno.EEXIST: "something that is no socket is there; choose another name or remove it",
    errno.EBUSY: "a live server listens there; stop it or choose another name",
    errno.ENAMETOOLONG: "longer than the 107 bytes that a socket's path may have",
}


@cython.final
cdef class VfioUser:
    """One switch of an emulated node as a PCI device for a guest, served at a Unix socket.

    function: True sets the multi-function bit in the header. dma: False offers no MRPC by DMA.
    Close it before the node; an object that is dropped closes itself.
    """

    cdef fab_vfio_user *_server
    cdef EmulatedNode _node
    cdef readonly str path
    cdef object __weakref__

    def __cinit__(self, EmulatedNode node, size_t switch, path, *, bint multifunction=False, bint dma=True):
        cdef fab_vfio_user_options options
        cdef bytes where = os.fsencode(path)
        cdef const char *text = where
        cdef int rc
        node._check()
        self._node, self.path = node, os.fsdecode(where)
        options.multifunction, options.no_dma = multifunction, not dma
        with nogil:
            rc = fab_vfio_user_open(node._node, switch, text, &options, &self._server)
        if rc == -errno.ENOENT and switch >= <size_t>node.switches:
            raise TopologyError(f"there is no switch {switch}")
        if rc == -errno.EALREADY:
            raise FabricError(f"switch {switch} is served over vfio-user already: one server each")
        if rc < 0:
            raise FabricError(f"socket {self.path}: {_SOCKET_TEXT.get(-rc) or _text(rc)}")
        node._ways.append(weakref.ref(self))

    def close(self):
        """Ends the client's session, removes the socket."""
        cdef fab_vfio_user *server = self._server
        self._server = NULL
        with nogil:
            fab_vfio_user_close(server)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def __dealloc__(self):
        fab_vfio_user_close(self._server)
