# What hinders opening a target, by its kind, and what helps; the rest stands in errors.pxi.
_OPEN_TEXT = {
    "pci": {
        errno.ENODEV: "no such PCI device; `lspci -D` lists those that are there",
        errno.ENOENT: "the device has no memory BAR of that number; its `resource` file shows those that it has",
        errno.ENXIO: "its memory decoding is off; write 1 to the device's `enable` file, or bind a driver",
        errno.EACCES: "no right to open it; run as root, or give the resource file to this user's group",
    },
    "vfio": {
        errno.EINVAL: "malformed; write vfio:DDDD:BB:DD.F or vfio:DDDD:BB:DD.F:BAR, BAR 0 to 5",
        errno.ENODEV: "no such PCI device; `lspci -D` lists those that are there",
        errno.ENOENT: "the device has no memory BAR of that number; `lspci -vs` shows those that it has",
        errno.ENOSYS: "no IOMMU stands before it; boot with intel_iommu=on or amd_iommu=on, and switch VT-d or AMD-Vi on in the firmware",
        errno.EUNATCH: "the device is not bound to vfio-pci; write vfio-pci to its `driver_override`, unbind its driver, and write its address to /sys/bus/pci/drivers_probe",
        errno.EPERM: "its IOMMU group is not viable: a host driver holds another device of the group (see the device's iommu_group/devices); bind that one to vfio-pci too",
        errno.EBUSY: "its IOMMU group is open already; close the other Bar, or the process that has it",
        errno.ENOTSUP: "this BAR cannot be mapped through VFIO; open the device's resource file in /sys instead",
        errno.EACCES: "no right to open its group; run as root, or give /dev/vfio/GROUP to this user",
    },
    "uio": {
        errno.EINVAL: "malformed; write uio:N for /dev/uioN",
        errno.ENODEV: "no such UIO device; /sys/class/uio lists those that are there",
        errno.ENOENT: "its UIO driver exports no memory; open the device's resource file in /sys or vfio:... instead",
        errno.EACCES: "no right to open it; run as root, or give /dev/uioN to this user",
    },
    "shm": {
        errno.EINVAL: "malformed; write shm:NAME or shm:NAME/SWITCH",
        errno.ENODEV: "no emulated node of that name; start it with `fabcore emulate --shm NAME`",
        errno.EACCES: "it belongs to another user; whoever may write it programs the switch",
    },
    "file": {
        errno.ENODEV: "no such file",
        errno.EACCES: "no right to read and write it",
    },
}


cdef int _raise_open(long long rc, str target, bint combining) except -1:
    kind = target.partition(":")[0]
    if kind not in ("vfio", "uio", "shm"):
        name = os.path.basename(target)
        folder = target.startswith("/sys/") or os.path.isdir(target)
        kind = "pci" if folder or name.startswith("resource") else "file"
    if combining and rc == -errno.ENOTSUP:
        raise BarError(
            f"{target}: no write-combining here: only a prefetchable BAR of a PCI device in /sys has it; "
            "open it without write_combining"
        )
    text = _OPEN_TEXT[kind].get(-rc)
    if text is None:
        _raise_bar(rc, target)
    raise BarError(f"{target}: {text}")


@cython.final
cdef class Bar:
    """The registers of one switch; which kind of memory is behind them nothing above can tell.

    Offsets are bytes from the start, accesses aligned to their width. Writes are posted; a read
    through the same Bar pushes them. All ones are returned only after the device's config space has
    confirmed that it is there; otherwise, and for every access from then on, BarError says "surprise
    removal". (Buffers and files have no config space: their ones are ones.) One thread at a time;
    after fork() the child opens its own.
    """

    cdef fab_bar *_bar
    cdef object _owner  # what the memory belongs to, if not to the bar itself
    cdef bint _borrowed
    cdef readonly str target

    def __cinit__(self):
        self._bar = NULL
        self._borrowed = False

    @staticmethod
    def open(target, bint write_combining=False):
        """Opens "/sys/bus/pci/devices/BDF" (BAR 0) or its resourceN, "vfio:BDF[:BAR]", "uio:N", "shm:NAME[/K]" or a file.

        write_combining: stores gather in the core on their way, for streaming into a prefetchable
        BAR; a read or flush() puts a fence behind them.
        """
        cdef Bar self = Bar.__new__(Bar)
        cdef bytes name = os.fsencode(target)
        self.target = os.fspath(target)
        rc = fab_bar_open_wc(name, &self._bar) if write_combining else fab_bar_open(name, &self._bar)
        if rc < 0:
            _raise_open(rc, os.fsdecode(name), write_combining)
        return self

    @staticmethod
    def from_buffer(obj):
        """Registers in writable memory that `obj` exports; it is kept alive."""
        cdef Bar self = Bar.__new__(Bar)
        cdef unsigned char[::1] view
        try:
            view = obj
        except (ValueError, TypeError, BufferError) as error:
            raise BarError(f"from_buffer takes writable contiguous bytes: {error}") from None
        self.target = "buffer"
        if view.shape[0] == 0:
            raise BarError("from_buffer: the buffer is empty")
        self._owner = view
        rc = fab_bar_from_buffer(&view[0], view.shape[0], &self._bar)
        if rc < 0:
            _raise_bar(rc, "buffer")
        return self

    @staticmethod
    cdef Bar borrow(fab_bar *bar, object owner, str target):
        cdef Bar self = Bar.__new__(Bar)
        self._bar = bar
        self._owner = owner
        self._borrowed = True
        self.target = target
        return self

    cdef int _fail(self, long long rc, unsigned long long off, int width, str verb) except -1:
        if self._bar is NULL:
            raise BarError(f"{self.target}: the BAR is closed")
        what = f"{self.target}: {verb} of {width} bytes at 0x{off:x}"
        if rc == -errno.EINVAL:
            raise BarError(f"{what} is not aligned")
        if rc == -errno.ERANGE:
            raise BarError(f"{what} is outside the {fab_bar_bytes(self._bar)} bytes")
        _raise_bar(rc, what)

    def read8(self, uint64_t off):
        cdef uint8_t v = 0
        cdef int rc = -1 if self._bar is NULL else fab_bar_read8(self._bar, off, &v)
        if rc < 0:
            self._fail(rc, off, 1, "read")
        return v

    def read16(self, uint64_t off):
        cdef uint16_t v = 0
        cdef int rc = -1 if self._bar is NULL else fab_bar_read16(self._bar, off, &v)
        if rc < 0:
            self._fail(rc, off, 2, "read")
        return v

    def read32(self, uint64_t off):
        cdef uint32_t v = 0
        cdef int rc = -1 if self._bar is NULL else fab_bar_read32(self._bar, off, &v)
        if rc < 0:
            self._fail(rc, off, 4, "read")
        return v

    def read64(self, uint64_t off):
        cdef uint64_t v = 0
        cdef int rc = -1 if self._bar is NULL else fab_bar_read64(self._bar, off, &v)
        if rc < 0:
            self._fail(rc, off, 8, "read")
        return v

    def write8(self, uint64_t off, uint8_t v):
        cdef int rc = -1 if self._bar is NULL else fab_bar_write8(self._bar, off, v)
        if rc < 0:
            self._fail(rc, off, 1, "write")

    def write16(self, uint64_t off, uint16_t v):
        cdef int rc = -1 if self._bar is NULL else fab_bar_write16(self._bar, off, v)
        if rc < 0:
            self._fail(rc, off, 2, "write")

    def write32(self, uint64_t off, uint32_t v):
        cdef int rc = -1 if self._bar is NULL else fab_bar_write32(self._bar, off, v)
        if rc < 0:
            self._fail(rc, off, 4, "write")

    def write64(self, uint64_t off, uint64_t v):
        cdef int rc = -1 if self._bar is NULL else fab_bar_write64(self._bar, off, v)
        if rc < 0:
            self._fail(rc, off, 8, "write")

    def read_block(self, uint64_t off, size_t n) -> bytes:
        """n bytes from `off`, moved in 4-byte accesses."""
        self._check()
        if off > fab_bar_bytes(self._bar) or n > fab_bar_bytes(self._bar) - off:
            self._fail(-errno.ERANGE, off, n, "read")
        cdef bytes out = PyBytes_FromStringAndSize(NULL, n)
        cdef char *p = PyBytes_AS_STRING(out)
        cdef int rc
        with nogil:
            rc = fab_bar_read_block(self._bar, off, p, n)
        if rc < 0:
            self._fail(rc, off, n, "read")
        return out

    def write_block(self, uint64_t off, const unsigned char[::1] data):
        """Writes the bytes from `off` on, in 4-byte accesses."""
        self._check()
        cdef size_t n = data.shape[0]
        if n == 0:
            return
        cdef int rc
        with nogil:
            rc = fab_bar_write_block(self._bar, off, &data[0], n)
        if rc < 0:
            self._fail(rc, off, n, "write")

    def flush(self):
        """Returns when all posted writes have taken effect."""
        self._check()
        cdef int rc
        with nogil:
            rc = fab_bar_flush(self._bar)
        if rc < 0:
            _raise_bar(rc, f"{self.target}: flush")

    def interrupts(self, events):
        """Routes MSI-X vectors 0, 1, ... to these event descriptors (os.eventfd), in place of those
        of the last call; none: off. They stay the caller's. Only through "vfio:..."."""
        self._check()
        cdef int fds[64]
        given = list(events)
        if len(given) > 64:
            raise BarError(f"{self.target}: {len(given)} vectors are more than 64")
        for k, event in enumerate(given):
            fds[k] = event
        rc = fab_bar_interrupts(self._bar, fds, len(given))
        if rc == -errno.ENOTSUP:
            raise BarError(f"{self.target}: no interrupts here: open the device as vfio:BDF")
        if rc == -errno.ERANGE:
            raise BarError(f"{self.target}: the device has fewer than {len(given)} MSI-X vectors")
        if rc < 0:
            _raise_bar(rc, f"{self.target}: interrupts")

    @property
    def gone(self) -> bool:
        """Whether the device was removed, or its node has left; asks it now."""
        self._check()
        return fab_bar_gone(self._bar) != 0

    @property
    def writes(self) -> int:
        """Register writes through this Bar so far."""
        self._check()
        return fab_bar_writes(self._bar)

    @property
    def bytes(self) -> int:
        """Size of the register space."""
        self._check()
        return fab_bar_bytes(self._bar)

    @property
    def has_page(self) -> bool:
        """True for an emulated node's BAR: a page with its workload's cells lies behind it."""
        self._check()
        return fab_bar_page_of(self._bar) is not NULL

    @property
    def realtime(self) -> bool:
        """True when the emulated node behind it moves by the wall clock."""
        self._check()
        cdef fab_bar_page *page = fab_bar_page_of(self._bar)
        return page is not NULL and page.realtime != 0

    @property
    def address(self) -> int:
        """Of the C handle (fab_bar *), for compiled kernels; valid until close."""
        self._check()
        return <size_t>self._bar

    cdef int _check(self) except -1:
        if self._bar is NULL:
            raise BarError(f"{self.target}: the BAR is closed")
        return 0

    def close(self):
        """Unmaps the registers."""
        if self._bar is not NULL and not self._borrowed:
            fab_bar_close(self._bar)
        self._bar = NULL
        self._owner = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def __dealloc__(self):
        if self._bar is not NULL and not self._borrowed:
            fab_bar_close(self._bar)
