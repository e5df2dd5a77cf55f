/* The few macros of the C tests: a failed check prints where and what, and the test goes on to
 * count; main returns CHECK_RESULT. Exit code 77 means skipped. */
#ifndef FAB_CHECK_H
#define FAB_CHECK_H

#include <stdio.h>

static int check_failures;

#define CHECK(cond)                                                            \
    do {                                                                       \
        if (!(cond)) {                                                         \
            check_failures++;                                                  \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #cond); \
        }                                                                      \
    } while (0)

#define CHECK_EQ(a, b)                                                                            \
    do {                                                                                          \
        long long a_ = (long long)(a), b_ = (long long)(b);                                       \
        if (a_ != b_) {                                                                           \
            check_failures++;                                                                     \
            fprintf(stderr, "%s:%d: %s = %lld, expected %s = %lld\n", __FILE__, __LINE__, #a, a_, \
                    #b, b_);                                                                      \
        }                                                                                         \
    } while (0)

#define CHECK_NEAR(a, b, tolerance)                                                         \
    do {                                                                                    \
        double a_ = (a), b_ = (b), t_ = (tolerance);                                        \
        if (!(a_ - b_ <= t_ && b_ - a_ <= t_)) {                                            \
            check_failures++;                                                               \
            fprintf(stderr, "%s:%d: %s = %.9g, expected %s = %.9g within %.3g\n", __FILE__, \
                    __LINE__, #a, a_, #b, b_, t_);                                          \
        }                                                                                   \
    } while (0)

#define CHECK_RESULT (check_failures ? 1 : 0)

#endif
