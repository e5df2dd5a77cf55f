# -errno to exceptions, in one place.

_TEXT = {
    errno.ENODEV: "surprise removal: the device is gone (its registers read all ones, or its owner has died)",
    errno.EPROTO: "another layout: it was made by another build of fabcore; restart its owner with this one",
    errno.EOWNERDEAD: "the process that made it is dead; start it again",
    errno.EBUSY: "a live process holds it; stop that one or choose another name",
    errno.EEXIST: "something else is there; choose another name or remove it",
    errno.EBADMSG: "its contents make no sense; remove it and let its owner make it again",
    errno.EMSGSIZE: "longer than the queue takes",
    errno.EPIPE: "the client has left",
    errno.ECONNRESET: "its server died while serving it: find out whether it was done",
    errno.ENOENT: "there is none; start its owner first",
    errno.ENODATA: "the file is truncated",
    errno.ERANGE: "the offset lies outside",
    errno.ETIMEDOUT: "it never completed",
    errno.EIO: "what was read back is not what was written",
    errno.EPERM: "not permitted: opened for reading only, or missing rights",
    errno.ENOTSUP: "not supported here",
    errno.ENOTRECOVERABLE: "it failed, and putting back what it had changed failed too; look at the device before going on",
    errno.ECANCELED: "an earlier operation of the open change failed; roll it back first",
}


cdef object _text(long long rc):
    return _TEXT.get(-rc) or os.strerror(<int>-rc).lower()


cdef int _raise_bar(long long rc, what) except -1:
    raise BarError(f"{what}: {_text(rc)}")


cdef int _raise(long long rc, what) except -1:
    raise FabricError(f"{what}: {_text(rc)}")


_ENDS = {errno.ETIMEDOUT: "timeout", errno.EINTR: "interrupted", errno.EREMOTEIO: "refused"}


cdef int _raise_mrpc(long long rc, unsigned int command, unsigned int code, what) except -1:
    if -rc in _ENDS:
        raise FirmwareError(command, code, what, _ENDS[-rc])
    if rc == -errno.ENODEV or rc == -errno.ERANGE:
        _raise_bar(rc, what)
    _raise(rc, what)
