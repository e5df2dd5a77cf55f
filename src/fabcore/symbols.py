"""The C functions as symbols for compiled kernels: called without Python, cacheable on disk.

    from numba import njit
    from fabcore.symbols import address, fab_bar_get32

    @njit(cache=True, nogil=True)
    def poll(bar, offset): ...  # fab_bar_get32(bar, offset)

    poll(address(bar), 0)

Each name of `SIGNATURES` is an attribute of this module: a numba.types.ExternalFunction that takes
handles, addresses and sizes as uint64 and returns what the C function returns, a count or -errno;
a kernel cannot raise for it, so it looks. A compiled call holds the name alone, and naming one here
loads libfabcore into the process first, so machine code that comes from the disk cache finds it.

A kernel that has a handle does not keep it open: the caller holds the object meanwhile. One thread
at a time per handle holds for kernels too, with nogil=True in particular.
"""

from __future__ import annotations

from typing import Any

from fabcore.errors import FabricError
from fabcore.paths import get_library

# C prototypes as Numba writes them; pointers and size_t are uint64 (fabcore.h says what they mean).
SIGNATURES = {
    "fab_bar_read8": "int32(uint64, uint64, uint64)",  # bar, offset, address of the value
    "fab_bar_read16": "int32(uint64, uint64, uint64)",
    "fab_bar_read32": "int32(uint64, uint64, uint64)",
    "fab_bar_read64": "int32(uint64, uint64, uint64)",
    "fab_bar_get32": "int64(uint64, uint64)",  # bar, offset: the value, or -errno
    "fab_bar_write8": "int32(uint64, uint64, uint8)",  # bar, offset, value
    "fab_bar_write16": "int32(uint64, uint64, uint16)",
    "fab_bar_write32": "int32(uint64, uint64, uint32)",
    "fab_bar_write64": "int32(uint64, uint64, uint64)",
    "fab_bar_read_block": "int32(uint64, uint64, uint64, uint64)",  # bar, offset, address, bytes
    "fab_bar_write_block": "int32(uint64, uint64, uint64, uint64)",
    "fab_bar_flush": "int32(uint64)",
    "fab_ring_publish": "int64(uint64, uint64, uint64)",  # ring, address, records
    "fab_ring_published": "uint64(uint64)",
    "fab_reader_read": "int64(uint64, uint64, uint64)",  # reader, address, room
    "fab_reader_lost": "uint64(uint64)",
    "fab_reader_position": "uint64(uint64)",
    "fab_index_claim": "int64(uint64, uint64, uint64)",  # ring, elements, address of a pointer
    "fab_index_publish": "int64(uint64, uint64)",  # ring, elements
    "fab_index_peek": "int64(uint64, uint64, uint64)",
    "fab_index_release": "int64(uint64, uint64)",
    "fab_index_push": "int64(uint64, uint64, uint64)",  # ring, address, elements
    "fab_index_pop": "int64(uint64, uint64, uint64)",
    "fab_index_published": "uint64(uint64)",
    "fab_index_released": "uint64(uint64)",
}

__all__ = ["SIGNATURES", "address"]


def _symbol(name: str) -> Any:
    from llvmlite.binding import load_library_permanently
    from numba import types
    from numba.core.sigutils import normalize_signature

    load_library_permanently(get_library())  # again: nothing happens
    arguments, result = normalize_signature(SIGNATURES[name])
    return types.ExternalFunction(name, result(*arguments))


def __getattr__(name: str) -> Any:
    if name not in SIGNATURES:
        raise AttributeError(f"module 'fabcore.symbols' has no attribute {name!r}")
    value = globals()[name] = _symbol(name)
    return value


def address(handle: Any) -> int:
    """The number that a kernel takes for `handle`.

    handle: an open Ring, Reader, Bar or other object of fabcore that has an `address`, or a pointer
    of fabcore._embed. FabricError: anything else, or NULL. Keep `handle` as long as the number.
    """
    number = getattr(handle, "address", None)
    if number is None:
        from fabcore._embed import ffi

        if not isinstance(handle, ffi.CData) or ffi.typeof(handle).kind != "pointer":
            raise FabricError(f"{handle!r} has no address: pass a Ring, Reader, Bar or C pointer")
        number = ffi.cast("uintptr_t", handle)
    if not int(number):
        raise FabricError("the handle is NULL: it was never opened, or is closed")
    return int(number)
