/* A driver that gives up soon, for tests in which something never happens. */
#ifndef FAB_QUICK_SWITCH_H
#define FAB_QUICK_SWITCH_H

#include "check.h"
#include "fabcore.h"

#define QUICK_NS 200000

static inline fab_switch *open_quick(fab_bar *bar) {
    fab_switch *sw = NULL;
    CHECK_EQ(fab_switch_open(bar, &sw), 0);
    fab_switch_set_timeout(sw, QUICK_NS);
    return sw;
}

#endif
