"""njit for the kernels: one declared signature each, compiled or loaded when first needed.

Numba compiles a declared signature at once, which would be at import. A Kernel waits for its first
call (or for `prepare`, or for a kernel that calls it), and then takes that signature and no other:
an argument that does not fit raises TypeError instead of starting the compiler. From then on it is
a plain dispatcher: a call costs what it costs without this module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import config
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import CPUDispatcher

from fabcore.kernel_cache import KernelCache

__all__ = ["KERNELS", "Kernel", "njit"]

F = TypeVar("F", bound=Callable[..., Any])
KERNELS: list[Kernel] = []  # all that have been imported, in the order of their definition


class Kernel(CPUDispatcher):
    """A numba dispatcher with one signature; `declared` is what njit was given."""

    declared: Any = None

    def prepare(self) -> None:
        """Loads the machine code from the cache, or compiles and keeps it; once is enough."""
        with global_compiler_lock:
            if self._can_compile:
                self.compile(self.declared)
                self.disable_compile()

    @property
    def cache(self) -> KernelCache | None:
        """Where its machine code is kept, if it is."""
        return self._cache if isinstance(self._cache, KernelCache) else None

    @property
    def compiled(self) -> bool:
        """True when this process had to compile it, False when it was loaded or is not there yet."""
        return bool(self.stats.cache_misses)

    @property
    def name(self) -> str:
        """Module and name, as users import it."""
        return f"{self.py_func.__module__}.{self.py_func.__qualname__}"

    def enable_caching(self) -> None:
        self._cache = KernelCache(self.py_func)

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Another kernel that calls this one is being compiled."""
        self.prepare()
        return super().get_call_template(args, kws)

    def _compile_for_args(self, *args: Any, **kws: Any) -> Any:
        """The first call: whatever its arguments are, they meet the declared signature."""
        self.prepare()
        return self  # numba calls it with the arguments

    def _reduce_states(self) -> Any:
        self.prepare()  # a copy elsewhere gets the signature from the overload
        return super()._reduce_states()


def njit(signature: Any, *, cache: bool = False, **options: Any) -> Callable[[F], F]:
    """numba.njit with a signature (required), which is compiled on first use, not at import."""

    def wrap(py_func: F) -> F:
        if config.DISABLE_JIT:
            return py_func
        kernel = Kernel(py_func, targetoptions={"nopython": True, "boundscheck": None, **options})
        kernel.declared = signature
        if cache:
            kernel.enable_caching()
        KERNELS.append(kernel)
        return cast(F, kernel)

    return wrap
