/* The ordering primitives of fabcore; nothing else in csrc orders memory.
 *
 * They wrap the compiler's __atomic built-ins, which C11 and C++17 compilers both have and which
 * work on objects in memory shared between processes. Every use states at the struct who pairs
 * with whom: a release store publishes everything before it to the acquire load that reads it.
 */
#ifndef FAB_ATOMIC_H
#define FAB_ATOMIC_H

#define fab_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define fab_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define fab_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define fab_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define fab_fence_acquire() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define fab_fence_release() __atomic_thread_fence(__ATOMIC_RELEASE)
#define fab_fence_full() __atomic_thread_fence(__ATOMIC_SEQ_CST)
/* Stores that gather in the core (write-combining memory) have left it. */
#if defined(__x86_64__) || defined(__i386__)
#define fab_fence_stores() __builtin_ia32_sfence()
#elif defined(__aarch64__)
#define fab_fence_stores() __asm__("dsb st" ::: "memory")
#else
#define fab_fence_stores() fab_fence_full()
#endif
#define fab_fetch_add(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)
#define fab_fetch_or(p, v) __atomic_fetch_or((p), (v), __ATOMIC_ACQ_REL)
#define fab_exchange(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
/* Compare and swap: true if *p was *expected and is now v; else *expected holds what it was. */
#define fab_cas(p, expected, v) \
    __atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)

/* Asks for a line that is about to be written; a hint. (For x86-64-v2 the built-in would only fetch
 * it for reading: prefetchw is older than that level but not in it, and does nothing where
 * unknown.) */
#if defined(__x86_64__)
#define fab_fetch_for_writing(p) __asm__("prefetchw %0" : : "m"(*(const char *)(p)))
#else
#define fab_fetch_for_writing(p) __builtin_prefetch((p), 1)
#endif

/* Told to the core between two looks of a spinning wait. */
#if defined(__x86_64__) || defined(__i386__)
#define fab_pause() __builtin_ia32_pause()
#else
#define fab_pause() fab_fence_acquire()
#endif

#endif
