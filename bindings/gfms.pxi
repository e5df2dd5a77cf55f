# By FAB_GFMS_*: names of events, of what a function is.
_GFMS_EVENTS = (
    "host-up", "host-down", "device-added", "device-removed", "fabric-up", "fabric-down", "bound",
    "unbound", "database-changed", "hvd-enabled", "hvd-disabled", "port-removed", "port-added", "aer",
)
_GFMS_KINDS = {0: "vf", 1: "pf", 3: "sriov-pf"}


cdef dict _gfms_event(fab_gfms_event *e):
    """An event as a dict: code, name, switch, and what its data says."""
    cdef bytes data = (<char *>e.data)[:e.bytes]
    cdef object said = {"code": e.code, "switch": e.sw}
    said["name"] = _GFMS_EVENTS[e.code] if e.code < len(_GFMS_EVENTS) else f"event {e.code}"
    if e.code in (6, 7, 8) and e.bytes >= 6:
        said.update(host_switch=data[0], host_port=data[1], logical=data[2],
                    pdfid=int.from_bytes(data[4:6], "little"))
    elif e.code in (9, 10) and e.bytes >= 2:
        said.update(hvd=data[0], port=data[1])
    elif e.bytes:
        said["port"] = data[0]
    if e.code in (2, 3) and e.bytes >= 4:
        said["functions"] = int.from_bytes(data[2:4], "little")
    if e.code == 13 and e.bytes >= 8:
        said.update(dpc=bool(data[2] & 2), correctable=bool(data[2] & 4),
                    status=int.from_bytes(data[4:8], "little"))
    return said


@cython.final
cdef class Gfms:
    """The fabric's database and events as one PAX keeps them: `Switch.gfms`.

    FabricError on another family. Each call reads the switch; one thread at a time.
    """

    cdef Switch _switch

    def __cinit__(self, Switch switch not None):
        self._switch = switch

    def pax(self) -> dict:
        """pax, swfid, ports, hosts, devices, functions; id ranges [first, last]; bitmaps of ports by use."""
        self._switch._check()
        cdef fab_gfms_pax pax
        rc = fab_switch_gfms_pax(self._switch._sw, &pax)
        if rc < 0:
            self._switch._fail(rc, "GFMS database")
        cdef object said = pax
        return said

    def functions(self) -> list:
        """A dict per function behind this switch's ports: pdfid, function, port, kind ("pf", "sriov-pf", "vf"), vfs, bound, host_switch, host_port, logical, vendor, device, subsystem_vendor, subsystem_device, class_code, bars [(BAR, type bits, bytes)]."""
        self._switch._check()
        cdef fab_gfms_function *rows = NULL
        cdef int n = 0, room
        while True:
            room = n
            free(rows)
            rows = <fab_gfms_function *>calloc(room + 1, sizeof(fab_gfms_function))
            if rows is NULL:
                raise MemoryError
            n = fab_switch_gfms_functions(self._switch._sw, rows, room)
            if n <= room:
                break
        try:
            if n < 0:
                self._switch._fail(n, "GFMS database")
            return [self._function(&rows[k]) for k in range(n)]
        finally:
            free(rows)

    cdef dict _function(self, fab_gfms_function *f):
        cdef object said = f[0]
        del said["bar_type"], said["bar_log2"]  # arrays of bytes would end at a zero
        said["bars"] = [(k, f.bar_type[k], 1 << f.bar_log2[k]) for k in range(6) if f.bar_log2[k]]
        said["kind"] = _GFMS_KINDS.get(f.kind, f"kind {f.kind}")
        said["bound"] = bool(f.bound)
        return said

    def hosts(self) -> list:
        """A dict per host (HVD) on this switch: hvd, port, hfid, logical_ports, bindings [(logical, slot, pdfid)]."""
        self._switch._check()
        cdef fab_gfms_host hosts[FAB_MAX_PORTS]
        cdef fab_gfms_binding bindings[1024]
        cdef int n, m
        n = fab_switch_gfms_hosts(self._switch._sw, hosts, FAB_MAX_PORTS)
        m = fab_switch_gfms_bindings(self._switch._sw, bindings, 1024) if n >= 0 else n
        if m < 0:
            self._switch._fail(m, "GFMS database")
        found = []
        for k in range(min(n, FAB_MAX_PORTS)):
            rows = [(bindings[i].logical, bindings[i].slot, bindings[i].pdfid)
                    for i in range(min(m, 1024)) if bindings[i].port == hosts[k].port]
            found.append({"hvd": hosts[k].hvd, "port": hosts[k].port, "hfid": hosts[k].hfid,
                          "logical_ports": hosts[k].logical_ports, "bindings": rows})
        return found

    def events(self, bint clear=False) -> list:
        """The events that the switch still has, the oldest first, as dicts: code, name, switch (where it happened), and by code port, functions, hvd, host_switch, host_port, logical, pdfid, status; clear: forget them."""
        self._switch._check()
        cdef fab_gfms_event rows[256]
        cdef int n = fab_switch_gfms_events(self._switch._sw, rows, 256, NULL, NULL)
        if n < 0:
            self._switch._fail(n, "GFMS events")
        cdef int rc = fab_switch_gfms_clear(self._switch._sw) if clear else 0
        if rc < 0:
            self._switch._fail(rc, "clearing GFMS events")
        return [_gfms_event(&rows[k]) for k in range(n)]
