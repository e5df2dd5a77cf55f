from typing import Any

ffi: Any  # cffi.FFI of the whole C API (fabcore.h)
lib: Any  # its functions and constants
