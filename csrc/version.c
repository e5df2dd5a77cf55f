/* What the library says about itself: its version and the layout number of what it shares. */
#include "fabcore.h"

uint32_t fab_layout(void) {
    return FAB_LAYOUT;
}

const char *fab_version(void) {
    return "0.1.0";
}
