/* How functions leave the library: exported, and the hot ones inline in the headers too.
 *
 * A FAB_INLINE function is compiled into its C or C++ callers; exactly one .c file of the library
 * declares it again with `extern`, which makes C emit the exported body of the same name that
 * callers without a C compiler (Numba, dlsym) call by its symbol.
 */
#ifndef FAB_INLINE_H
#define FAB_INLINE_H

#define FAB_API __attribute__((visibility("default")))
#ifdef __cplusplus
#define FAB_INLINE FAB_API inline
#else
#define FAB_INLINE FAB_API inline
#endif

#endif
