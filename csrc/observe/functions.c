/* The functions of an emulated node: their workload in, their counters out as telemetry records.
 *
 * A cell has one writer per line: whoever plays the workload writes `in`, the node writes `out`.
 * Values are independent 64-bit words, so relaxed accesses are enough: a record may mix two steps
 * of the node, as counters read one after the other from hardware do.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "fabcore.h"

int fab_function_cell(fab_bar *bar, uint8_t port, uint8_t function,
                      struct fab_function_cell **out) {
    struct fab_bar_page *page = fab_bar_page(bar);
    if (!page) return -ENOTSUP; /* hardware keeps its functions' counters elsewhere */
    if (function >= FAB_MAX_FUNCTIONS) return -ENOENT;
    for (unsigned k = 0; k < FAB_SWITCH_MODULES; k++)
        if (page->module_ports[k] == port && port != 0xFF) {
            *out = &page->cells[k][function];
            return 0;
        }
    return -ENOENT;
}

static void put(double *cell, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    fab_store_relaxed((uint64_t *)(void *)cell, bits);
}

static int set(fab_bar *bar, uint8_t port, uint8_t function, double up, double down, int ceiling) {
    struct fab_function_cell *cell;
    if (!(up >= 0 && down >= 0) || (!ceiling && (isinf(up) || isinf(down)))) return -EINVAL;
    int rc = fab_function_cell(bar, port, function, &cell);
    if (rc) return rc;
    put(ceiling ? &cell->in.ceiling_up : &cell->in.offered_up, up);
    put(ceiling ? &cell->in.ceiling_down : &cell->in.offered_down, down);
    return 0;
}

int fab_function_offer(fab_bar *bar, uint8_t port, uint8_t function, double up, double down) {
    return set(bar, port, function, up, down, 0);
}

int fab_function_ceiling(fab_bar *bar, uint8_t port, uint8_t function, double up, double down) {
    return set(bar, port, function, up, down, 1);
}

int64_t fab_function_records(fab_bar *const *bars, size_t n_bars,
                             const struct fab_function_map *map, size_t n, uint64_t time_ns,
                             struct fab_record *out) {
    for (size_t i = 0; i < n; i++) {
        struct fab_function_cell *cell;
        if (map[i].sw >= n_bars) return -ENOENT;
        int rc = fab_function_cell(bars[map[i].sw], map[i].port, map[i].function, &cell);
        if (rc) return rc;
        const struct fab_function_out *o = &cell->out;
        uint64_t up_dropped = fab_load_relaxed(&o->up_dropped);
        uint64_t down_dropped = fab_load_relaxed(&o->down_dropped);
        out[i] = (struct fab_record){
            .time_ns = time_ns,
            .vm = map[i].vm,
            .source = FAB_SOURCE_NODE,
            .up_bytes = fab_load_relaxed(&o->up_bytes) + up_dropped,
            .down_bytes = fab_load_relaxed(&o->down_bytes) + down_dropped,
            .up_backlog = fab_load_relaxed(&o->up_backlog),
            .down_backlog = fab_load_relaxed(&o->down_backlog),
            .aux = up_dropped + down_dropped,
        };
    }
    return (int64_t)n;
}
