_KINDS = ("map", "key", "riot", "bl2", "cfg", "img", "nvlog", "cert", "debug", "vendor")
_SECURE = {0: "uninitialized", 1: "unsecured", 2: "secured"}
_ATTESTATION = {1: "none", 2: "dice"}
_UPDATE = {
    errno.ENOEXEC: "not a whole firmware image",
    errno.EXDEV: "an image of another generation of switches",
    errno.EFBIG: "larger than its partition",
    errno.EACCES: "its partition is read-only",
    errno.EBUSY: "another download is in progress; wait for it, or take over with force=True",
    errno.EOPNOTSUPP: "not known for this generation of switches",
    errno.ETIMEDOUT: "the switch did not take a block in time",
}


cdef class _Progress:
    """A Python callable on its way through C, and what it raised."""

    cdef object call
    cdef object raised


cdef int _firmware_progress(void *context, size_t done, size_t total) noexcept with gil:
    progress = <_Progress>context
    try:
        PyErr_CheckSignals()
        if progress.call is not None:
            progress.call(done, total)
    except BaseException as error:
        progress.raised = error
        return 1
    return 0


@cython.final
cdef class Firmware:
    """The firmware of a switch: its flash partitions, updates, and what the chip says of itself."""

    cdef readonly Switch switch

    def __cinit__(self, Switch switch not None):
        self.switch = switch

    def partitions(self) -> list:
        """A dict per partition: kind, index, valid, active, running, read_only, signed, version
        ("6.02 B0B0"), version_number, secure_version, crc, length, start, size (bytes), name.

        active: runs after the next reset. Kinds: map, key, riot, bl2, cfg, img, nvlog, cert,
        debug, vendor. FirmwareError when the firmware refuses.
        """
        self.switch._check()
        cdef fab_firmware_partition rows[FAB_FIRMWARE_MAX]
        cdef int n
        with nogil:
            n = fab_switch_firmware_partitions(self.switch._sw, rows, FAB_FIRMWARE_MAX)
        if n < 0:
            self.switch._fail(n, "firmware partitions")
        return [
            {
                "kind": _KINDS[rows[i].kind], "index": rows[i].index, "valid": bool(rows[i].valid),
                "active": bool(rows[i].active), "running": bool(rows[i].running),
                "read_only": bool(rows[i].read_only), "signed": bool(rows[i].is_signed),
                "version": (<bytes>rows[i].text).decode("latin-1"),
                "version_number": rows[i].version, "secure_version": rows[i].secure_version,
                "crc": rows[i].crc, "length": rows[i].length, "start": rows[i].start,
                "size": rows[i].size, "name": (<bytes>rows[i].name).decode("latin-1").rstrip(),
            }
            for i in range(n)
        ]

    def boot_phase(self) -> int:
        """1 or 2: a boot loader, which waits because it has no image to go on with; 3: the firmware."""
        self.switch._check()
        phase = fab_switch_boot_phase(self.switch._sw)
        if phase < 0:
            self.switch._fail(phase, "boot phase")
        return phase

    def update(self, image, activate=True, progress=None, force=False):
        """Sends an image (a path or its bytes) to the partition of its kind that does not run.

        It runs after a reset; with activate=False it only waits there. progress(done, total) is
        told the bytes sent and may raise to stop. force: take over from a download that was never
        finished. FabricError: the image is none for this switch, nothing was sent. FirmwareError:
        the switch refused it; code is its download status.
        """
        self.switch._check()
        if not isinstance(image, (bytes, bytearray, memoryview)):
            with open(image, "rb") as file:
                image = file.read()
        cdef const unsigned char[::1] data = bytes(image)
        cdef size_t n = data.shape[0]
        cdef const unsigned char *p = &data[0] if n else <const unsigned char *>b""
        cdef uint32_t status = 0, flags = 0
        cdef int rc
        if not activate:
            flags |= FAB_FIRMWARE_KEEP
        if force:
            flags |= FAB_FIRMWARE_FORCE
        told = _Progress()
        told.call = progress
        cdef void *context = <void *>told
        with nogil:
            rc = fab_switch_firmware_update(self.switch._sw, p, n, flags, _firmware_progress, context, &status)
        if told.raised is not None:
            raise told.raised
        what = f"{self.switch.bar.target}: firmware update"
        if rc == -errno.EIO:
            raise FirmwareError(5, status, f"{what}: {fab_firmware_text(status).decode()}")
        if -rc in _UPDATE:
            raise FabricError(f"{what}: {_UPDATE[-rc]}")
        if rc < 0:
            self.switch._fail(rc, "firmware update")

    def toggle(self, *kinds):
        """The other partition of each kind (img, cfg, bl2, key, riot) runs after the next reset."""
        self.switch._check()
        cdef uint32_t bits = 0
        for kind in kinds:
            if kind not in ("img", "cfg", "bl2", "key", "riot"):
                raise FabricError(f"firmware kind {kind!r}: use one of img, cfg, bl2, key, riot")
            bits |= 1 << _KINDS.index(kind)
        if not bits:
            raise FabricError("toggle what? Name one of img, cfg, bl2, key, riot")
        rc = fab_switch_firmware_toggle(self.switch._sw, bits)
        if rc == -errno.ENOEXEC:
            raise FabricError(f"{self.switch.bar.target}: toggle of {', '.join(kinds)}: the other partition holds no image; update it first")
        if rc == -errno.EOPNOTSUPP:
            raise FabricError(f"{self.switch.bar.target}: this generation has no such partition: {', '.join(kinds)}")
        if rc < 0:
            self.switch._fail(rc, f"toggle of {', '.join(kinds)}")

    def security(self) -> dict:
        """serial (hex), secure_state ("uninitialized", "unsecured", "secured", None = not told),
        attestation ("none", "dice", None = not supported), debug_mode, secure versions (key, riot,
        bl2, main, unlock) and key_hashes (64 bytes each).
        """
        self.switch._check()
        cdef fab_security found
        cdef int rc
        with nogil:
            rc = fab_switch_security(self.switch._sw, &found)
        if rc < 0:
            self.switch._fail(rc, "security")
        # as a number: the firmware gives its least significant byte first
        serial = (<char *>found.serial)[:found.serial_bytes][::-1].hex()
        return {
            "serial": serial,
            "secure_state": _SECURE.get(found.secure_state),
            "attestation": _ATTESTATION.get(found.attestation),
            "debug_mode": found.debug_mode,
            "versions": {
                "key": found.key_version, "riot": found.riot_version, "bl2": found.bl2_version,
                "main": found.main_version, "unlock": found.unlock_version,
            },
            "key_hashes": [(<char *>found.key_hash[i])[:64] for i in range(found.keys)],
        }
