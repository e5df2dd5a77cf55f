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

#endif
