def _event_names():
    return tuple((<bytes>fab_event_name(k)).decode() for k in range(FAB_EVENTS))


_EVENTS = _event_names()
_EVENT_SCOPES = ("switch",) * 14 + ("partition",) * 5 + ("port",) * 13
_ENABLES = {"log": FAB_EVENT_LOG, "cli": FAB_EVENT_CLI, "irq": FAB_EVENT_IRQ, "fatal": FAB_EVENT_FATAL}


cdef unsigned _event_number(event) except? 0xFFFF:
    if event is None:
        return FAB_EVENT_ALL
    if event not in _EVENTS:
        raise FabricError(f"event {event!r}: use one of {', '.join(_EVENTS)}")
    return _EVENTS.index(event)


cdef unsigned _event_index(index) except? 0xFFFF:
    if index is None:
        return FAB_EVENT_ALL
    if not 0 <= index < FAB_EVENT_ALL:
        raise FabricError(f"event index {index!r} is no port and no partition; None means all")
    return index


@cython.final
cdef class Events:
    """What has happened in a switch, its partitions and its ports: `Switch.events`.

    An event is named as in `NAMES`; its index is its partition or physical port, None = all.
    """

    cdef Switch _switch
    NAMES = _EVENTS

    def __cinit__(self, Switch switch not None):
        self._switch = switch

    def pending(self) -> list:
        """A dict per event that occurred and was not cleared: event, scope ("switch", "partition",
        "port"), index, count (modulo 256), enabled, data (5 words)."""
        self._switch._check()
        cdef fab_event found[256]
        cdef int n
        with nogil:
            n = fab_switch_events(self._switch._sw, found, 256)
        if n < 0:
            self._switch._fail(n, "events")
        return [
            {
                "event": _EVENTS[found[k].event],
                "scope": _EVENT_SCOPES[found[k].event],
                "index": found[k].index,
                "count": found[k].count,
                "enabled": tuple(name for name, bit in _ENABLES.items() if found[k].enabled & bit),
                "data": tuple(found[k].data[i] for i in range(5)),
            }
            for k in range(n)
        ]

    def clear(self, event=None, index=None) -> int:
        """Clears an event, or all; returns how many had occurred."""
        self._switch._check()
        rc = fab_switch_event_clear(self._switch._sw, _event_number(event), _event_index(index))
        if rc < 0:
            self._fail(rc, event, index)
        return rc

    def enable(self, event, index=None, what="irq") -> int:
        """Lets an event raise an interrupt ("irq"), or "log", "cli", "fatal"; returns how many did."""
        return self._set(event, index, what, True)

    def disable(self, event, index=None, what="irq") -> int:
        """Undoes `enable`."""
        return self._set(event, index, what, False)

    cdef object _set(self, event, index, what, bint on):
        self._switch._check()
        if what not in _ENABLES:
            raise FabricError(f"an event can {', '.join(_ENABLES)}, not {what!r}")
        rc = fab_switch_event_enable(
            self._switch._sw, _event_number(event), _event_index(index), _ENABLES[what], on)
        if rc < 0:
            self._fail(rc, event, index)
        return rc

    cdef int _fail(self, long long rc, event, index) except -1:
        if rc == -errno.ENOENT:
            raise TopologyError(f"{self._switch.bar.target}: no {event or 'event'} at index {index}")
        self._switch._fail(rc, f"event {event or 'all'}")
