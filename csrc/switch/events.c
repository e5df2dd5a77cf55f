/* Events: what has happened in the switch, its partitions and its ports; clearing and enabling. */
#include <errno.h>

#include "driver.h"

enum {
    PARTITIONS_MAX = 48,
    HEADER_BYTES = 4 + 4 * EVENT_DATA_WORDS,
    FIRST_OF_PARTITION = FAB_EVENT_PART_RESET,
    FIRST_OF_PORT = FAB_EVENT_AER_IN_P2P
};
_Static_assert((int)FIRST_OF_PARTITION == (int)GLOBAL_EVENTS, "numbers follow the headers");
_Static_assert((int)FIRST_OF_PORT == GLOBAL_EVENTS + (int)PART_EVENTS, "numbers follow them");
_Static_assert((int)FAB_EVENTS == FIRST_OF_PORT + (int)PFF_EVENTS, "numbers follow the headers");
_Static_assert((FAB_EVENT_LOG | FAB_EVENT_CLI | FAB_EVENT_IRQ | FAB_EVENT_FATAL) == EVENT_ENABLES,
               "as they stand in a header");

/* The headers of the switch, of one partition or of one PFF. */
struct block {
    uint64_t summary, headers;
    uint8_t first, events; /* numbers */
    uint8_t index, pff;    /* as in struct fab_event */
};

/* Visits a header; the count that it adds, or -errno. */
typedef int (*visitor)(fab_switch *sw, const struct block *block, unsigned k, void *context);

static int partitions_of(fab_switch *sw, unsigned *n) {
    uint8_t count;
    int rc = fab_bar_read8(sw->bar, GAS_PARTITION_COUNT, &count);
    if (rc < 0) return rc;
    *n = count ? count : 1;
    return *n > PARTITIONS_MAX ? fab_switch_gone(sw, -EPROTO) : 0;
}

/* Block i of a switch with so many partitions; false behind the last. */
static bool block_at(const fab_switch *sw, unsigned partitions, unsigned i, struct block *out) {
    if (i == 0) {
        *out = (struct block){GAS_EVENT_GLOBAL, GLOBAL_EVENT_HEADERS, 0, GLOBAL_EVENTS, 0, 0xFF};
        return true;
    }
    if (--i < partitions) {
        uint64_t base = GAS_PART_CFG + (uint64_t)GAS_PART_STRIDE * i;
        *out = (struct block){base + PART_EVENT_SUMMARY,
                              base + PART_EVENT_HEADERS,
                              FIRST_OF_PARTITION,
                              PART_EVENTS,
                              (uint8_t)i,
                              0xFF};
        return true;
    }
    i -= partitions;
    if (i >= sw->pffs) return false;
    uint64_t base = GAS_PFF + (uint64_t)GAS_PFF_STRIDE * i;
    *out = (struct block){base + PFF_EVENT_SUMMARY,
                          base + PFF_EVENT_HEADERS,
                          FIRST_OF_PORT,
                          PFF_EVENTS,
                          sw->port_of_pff[i],
                          (uint8_t)i};
    return true;
}

/* Every header of an event and index, or of all; -ENOENT when there is none. */
static int visit(fab_switch *sw, unsigned event, unsigned index, visitor each, void *context) {
    struct block block;
    unsigned partitions;
    int sum = 0, found = 0, rc = fab_switch_scan(sw, false);
    if (rc == 0) rc = partitions_of(sw, &partitions);
    if (rc < 0) return rc;
    for (unsigned i = 0; block_at(sw, partitions, i, &block); i++) {
        if (index != FAB_EVENT_ALL && index != block.index) continue;
        for (unsigned k = 0; k < block.events; k++) {
            if (event != FAB_EVENT_ALL && event != block.first + k) continue;
            found = 1;
            rc = each(sw, &block, k, context);
            if (rc < 0) return rc;
            sum += rc;
        }
    }
    return found ? sum : -ENOENT;
}

static uint64_t header_at(const struct block *block, unsigned k) {
    return block->headers + (uint64_t)PFF_EVENT_STRIDE * k;
}

/* A header that the chip has: 1, none such: 0. */
static int read_header(fab_switch *sw, uint64_t at, uint32_t *header) {
    int rc = fab_bar_read32(sw->bar, at, header);
    if (rc < 0) return rc;
    if (*header == ALL_ONES) return fab_switch_gone(sw, -EPROTO);
    return !(*header & EVENT_NOT_SUPPORTED);
}

/* ---- what is pending ---- */

static int take_event(fab_switch *sw, const struct block *block, unsigned k,
                      struct fab_event *out) {
    uint32_t words[HEADER_BYTES / 4];
    int rc = fab_bar_read_block(sw->bar, header_at(block, k), words, sizeof words);
    if (rc < 0) return rc;
    if (words[0] == ALL_ONES) return fab_switch_gone(sw, -EPROTO);
    if (words[0] & EVENT_NOT_SUPPORTED || !(words[0] & EVENT_OCCURRED)) return 0;
    *out = (struct fab_event){.event = (uint8_t)(block->first + k),
                              .index = block->index,
                              .pff = block->pff,
                              .enabled = (uint8_t)(words[0] & EVENT_ENABLES),
                              .count = (words[0] & EVENT_COUNT_MASK) >> EVENT_COUNT_SHIFT};
    for (unsigned i = 0; i < EVENT_DATA_WORDS; i++) out->data[i] = words[1 + i];
    return 1;
}

int fab_switch_events(fab_switch *sw, struct fab_event *out, size_t max) {
    struct block block;
    unsigned partitions;
    size_t n = 0;
    int rc = fab_switch_scan(sw, false);
    if (rc == 0) rc = partitions_of(sw, &partitions);
    if (rc < 0) return rc;
    for (unsigned i = 0; n < max && block_at(sw, partitions, i, &block); i++) {
        uint32_t summary;
        rc = fab_bar_read32(sw->bar, block.summary, &summary);
        if (rc < 0) return rc;
        if (summary == ALL_ONES) return fab_switch_gone(sw, -EPROTO);
        for (unsigned k = 0; k < block.events && n < max; k++) {
            if (!(summary >> k & 1)) continue;
            rc = take_event(sw, &block, k, &out[n]);
            if (rc < 0) return rc;
            n += (size_t)rc;
        }
    }
    return (int)n;
}

/* ---- clearing and enabling ---- */

static int clear_one(fab_switch *sw, const struct block *block, unsigned k, void *context) {
    uint32_t header;
    (void)context;
    int rc = read_header(sw, header_at(block, k), &header);
    if (rc <= 0 || !(header & EVENT_OCCURRED)) return rc < 0 ? rc : 0;
    header &= EVENT_OCCURRED | EVENT_ENABLES;
    rc = fab_bar_write32(sw->bar, header_at(block, k), header);
    return rc < 0 ? rc : 1;
}

int fab_switch_event_clear(fab_switch *sw, unsigned event, unsigned index) {
    if (event >= FAB_EVENTS && event != FAB_EVENT_ALL) return -EINVAL;
    return visit(sw, event, index, clear_one, NULL);
}

struct enabling {
    uint32_t set, clear;
};

/* Bit 0 is written as 0: what has occurred stays so. */
static int enable_one(fab_switch *sw, const struct block *block, unsigned k, void *context) {
    const struct enabling *change = context;
    uint32_t header;
    int rc = read_header(sw, header_at(block, k), &header);
    if (rc <= 0) return rc;
    header = ((header & EVENT_ENABLES) | change->set) & ~change->clear;
    rc = fab_bar_write32(sw->bar, header_at(block, k), header);
    return rc < 0 ? rc : 1;
}

int fab_switch_event_enable(fab_switch *sw, unsigned event, unsigned index, unsigned enables,
                            int on) {
    struct enabling change = {.set = on ? enables : 0, .clear = on ? 0 : enables};
    if (event >= FAB_EVENTS && event != FAB_EVENT_ALL) return -EINVAL;
    if (enables & ~(unsigned)EVENT_ENABLES) return -EINVAL;
    int n = visit(sw, event, index, enable_one, &change);
    return n == 0 ? -EOPNOTSUPP : n;
}

const char *fab_event_name(unsigned event) {
    static const char *const names[FAB_EVENTS] = {"stack-error",
                                                  "ppu-error",
                                                  "isp-error",
                                                  "sys-reset",
                                                  "fw-exc",
                                                  "fw-nmi",
                                                  "fw-non-fatal",
                                                  "fw-fatal",
                                                  "twi-mrpc-comp",
                                                  "twi-mrpc-comp-async",
                                                  "cli-mrpc-comp",
                                                  "cli-mrpc-comp-async",
                                                  "gpio-int",
                                                  "gfms",
                                                  "part-reset",
                                                  "mrpc-comp",
                                                  "mrpc-comp-async",
                                                  "dyn-part-bind-comp",
                                                  "intercomm-notify",
                                                  "aer-in-p2p",
                                                  "aer-in-vep",
                                                  "dpc",
                                                  "cts",
                                                  "uec",
                                                  "hotplug",
                                                  "ier",
                                                  "thresh",
                                                  "power-mgmt",
                                                  "tlp-throttling",
                                                  "force-speed",
                                                  "credit-timeout",
                                                  "link-state"};
    return event < FAB_EVENTS ? names[event] : NULL;
}
