/* fabcore for C++17: the C API (fabcore.h, whose caveats hold) as move-only classes that close what
 * they opened.
 *
 * What is on a hot path is noexcept, costs what the inline C function costs, and returns a count or
 * -errno as that does. Everything else throws fab::Error, whose what() names the culprit. get()
 * hands out the C handle for whatever has no member here; a class that was moved from has none.
 */
#ifndef FABCORE_HPP
#define FABCORE_HPP

#include "fab_error.hpp"
#include "fab_index.hpp"
#include "fab_node.hpp"
#include "fab_request.hpp"
#include "fab_ring.hpp"
#include "fab_span.hpp"
#include "fab_switch.hpp"
#include "fabcore.h"

#endif
