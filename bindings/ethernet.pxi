@cython.final
cdef class Ethernet:
    """The vendor's management protocol over TCP: switch k of a node at address + k.

    port: 54545 by that protocol, 0 = any free one. anywhere: also an address that other machines
    reach, although the protocol has neither authentication nor encryption. A thread serves all
    clients. Close it before the node; an object that is dropped closes itself.
    """

    cdef fab_ethernet *_server
    cdef EmulatedNode _node
    cdef readonly list addresses
    cdef object __weakref__

    def __cinit__(self, EmulatedNode node, str address="127.0.0.1", uint16_t port=54545, *, bint anywhere=False):
        cdef bytes text = address.encode()
        cdef const char *where = text
        cdef unsigned flags = FAB_ETHERNET_ANYWHERE if anywhere else 0
        cdef size_t failed = 0
        cdef int rc
        node._check()
        self._node = node
        with nogil:
            rc = fab_ethernet_open(node._node, where, port, flags, &self._server, &failed)
        if rc < 0:
            _raise_ethernet(rc, address, port, failed, node.switches)
        self.addresses = [
            (_address_after(address, k), fab_ethernet_port(self._server, k)) for k in range(node.switches)
        ]
        node._ways.append(weakref.ref(self))

    def counters(self) -> dict:
        """What came so far: connections, open (now), refused, malformed, commands, events."""
        cdef fab_ethernet_counters_t seen
        if self._server is NULL:
            raise FabricError("the management protocol is closed")
        fab_ethernet_counters(self._server, &seen)
        return seen

    def close(self):
        """Ends all connections and frees the addresses."""
        cdef fab_ethernet *server = self._server
        self._server = NULL
        with nogil:
            fab_ethernet_close(server)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def __dealloc__(self):
        fab_ethernet_close(self._server)


cdef str _address_after(str first, size_t k):
    import ipaddress

    return str(ipaddress.IPv4Address(first) + k)


cdef int _raise_ethernet(int rc, str address, port, size_t failed, int switches) except -1:
    if rc == -errno.EINVAL:
        raise FabricError(f"{address!r} is no IPv4 address: give it as four numbers, 127.0.0.1")
    if rc == -errno.EPERM:
        raise FabricError(
            f"{address} is no loopback address, and the protocol has neither authentication nor "
            "encryption: listen on 127.0.0.1, or ask for any address (--listen-any)"
        )
    if rc == -errno.ERANGE:
        raise FabricError(
            f"{address} leaves no room for {switches} switches: switch k listens on the address + k, "
            "which must stay in its network; give the address of switch 0, as 127.0.0.1"
        )
    where = f"{_address_after(address, failed)}:{port} (switch {failed})"
    if rc == -errno.EADDRINUSE:
        raise FabricError(f"{where}: another process listens there; stop it or choose another address, as 127.0.1.1")
    if rc == -errno.EADDRNOTAVAIL:
        raise FabricError(f"{where}: this machine has no such address; add it to an interface or use 127.0.0.1")
    _raise(rc, where)
