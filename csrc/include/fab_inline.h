/* How a function is exported, and how a hot one is inline for C and C++ and yet has a body of its
 * name in libfabcore.so, for those who call by symbol (compiled Python kernels, dlsym).
 *
 * C99's rule: an `inline` definition makes no body, except in the one translation unit that
 * declares it `extern` (csrc/bodies.c, csrc/switch/bar.c); a call that is not inlined reaches that
 * one. C++ makes a weak body where it needs one.
 */
#ifndef FAB_INLINE_H
#define FAB_INLINE_H

#define FAB_API __attribute__((visibility("default")))
#define FAB_INLINE FAB_API inline

/* For code that hardly ever runs, so that it does not stand in the way of what does. */
#define FAB_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Around branches for one record size: where a caller's array is of shorter records, gcc cannot see
 * that they are never taken, and would warn the caller of the bounds.
 * (-Wpragmas: an older gcc lacks one of them.) */
#if defined(__GNUC__) && !defined(__clang__)
#define FAB_ONE_SIZE_BEGIN                                                         \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wpragmas\"") \
        _Pragma("GCC diagnostic ignored \"-Warray-bounds\"")                       \
            _Pragma("GCC diagnostic ignored \"-Wstringop-overread\"")              \
                _Pragma("GCC diagnostic ignored \"-Wstringop-overflow\"")
#define FAB_ONE_SIZE_END _Pragma("GCC diagnostic pop")
#else
#define FAB_ONE_SIZE_BEGIN
#define FAB_ONE_SIZE_END
#endif

#endif
