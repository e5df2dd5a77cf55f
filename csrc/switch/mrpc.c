/* Firmware commands through the mailbox: input, doorbell, status, output; and bounded waiting. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <time.h>

#include "driver.h"
#include "now.h"

enum { EAGER_LOOKS = 64 };               /* before the first sleep */
#define SHORTEST_SLEEP_NS 20000          /* doubles from here */
#define LONGEST_SLEEP_NS 1000000         /* as the vendor's library polls */
#define MRPC_NO_PAX UINT32_C(0xFFFC0000) /* PSX and PFX: what the vendor's library sends */

void fab_sleep_ns(uint64_t ns) {
    struct timespec left = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

int fab_wait_next(struct fab_wait *wait) {
    if (wait->late) {
        if (wait->sw) wait->sw->failed = 0;
        return -ETIMEDOUT;
    }
    uint64_t now = now_ns(CLOCK_MONOTONIC);
    if (wait->looks == 0)
        wait->deadline_ns = now + wait->limit_ns < now ? UINT64_MAX : now + wait->limit_ns;
    if (now >= wait->deadline_ns) {
        wait->late = true;
        return 0;
    }
    if (++wait->looks > EAGER_LOOKS) {
        uint32_t doublings = wait->looks - EAGER_LOOKS - 1;
        uint64_t sleep = SHORTEST_SLEEP_NS << (doublings < 6 ? doublings : 6);
        if (sleep > LONGEST_SLEEP_NS) sleep = LONGEST_SLEEP_NS;
        if (sleep > wait->deadline_ns - now) sleep = wait->deadline_ns - now;
        fab_sleep_ns(sleep);
    }
    return 0;
}

void fab_switch_set_timeout(fab_switch *sw, uint64_t timeout_ns) {
    sw->timeout_ns = timeout_ns;
}

/* The doorbell's value. A PAX names itself by its index once that is known; Gen6 has no PAX. */
static int command_word(const fab_switch *sw, uint32_t command, int pax, uint32_t *word) {
    if (command > 0xFFFF || pax < -1 || pax >= (int)MRPC_PAX_LOCAL) return -EINVAL;
    bool gen6 = sw->device_id >> 12 == 6;
    if (sw->family != FAMILY_PAX) {
        if (pax >= 0) return -EOPNOTSUPP;
        *word = gen6 ? command : MRPC_NO_PAX | command;
        return 0;
    }
    uint32_t index = pax >= 0                 ? (uint32_t)pax
                     : sw->pax == PAX_UNKNOWN ? MRPC_PAX_LOCAL
                                              : (uint32_t)sw->pax;
    *word = index << MRPC_PAX_SHIFT | command;
    return 0;
}

/* Waits until the status says more than "in progress". A firmware that has not even picked the
 * command up (status still 0) is waited for as well. */
static int wait_done(fab_switch *sw, uint32_t *status) {
    struct fab_wait wait = {.limit_ns = sw->timeout_ns};
    for (;;) {
        int rc = fab_bar_read32(sw->bar, GAS_MRPC_STATUS, status);
        if (rc < 0) return rc;
        switch (*status) {
            case MRPC_DONE:
            case MRPC_ERROR:
                return 0;
            case MRPC_INTERRUPTED:
                return -EINTR;
            case ALL_ONES:
                return -ENODEV;
            default:
                break;
        }
        rc = fab_wait_next(&wait);
        if (rc < 0) return rc;
    }
}

static void remember(fab_switch *sw, uint32_t command, uint32_t answer) {
    sw->failed = command;
    sw->refusal = answer;
}

/* The firmware may still be at the command of one who died: its input must stay until then. As
 * after a command that timed out, the next one is sent all the same: the doorbell is all that is
 * left to try on a firmware that hangs. */
static int wait_abandoned(fab_switch *sw) {
    uint32_t status;
    int rc = wait_done(sw, &status);
    return rc == -ETIMEDOUT || rc == -EINTR ? 0 : rc;
}

/* One command, the mailbox being this one's. */
static int exchange(fab_switch *sw, uint32_t word, const void *in, size_t in_bytes, void *out,
                    size_t out_bytes, uint32_t *code) {
    uint32_t status = 0, result, command = word & 0xFFFF;
    int rc = 0;
    if (in_bytes) rc = fab_bar_write_block(sw->bar, GAS_MRPC_IN, in, in_bytes);
    if (rc >= 0) rc = fab_bar_write32(sw->bar, GAS_MRPC_CMD, word);
    if (rc >= 0) rc = wait_done(sw, &status);
    if (rc == -ETIMEDOUT || rc == -EINTR) {
        remember(sw, command, status);
        *code = status;
    }
    if (rc >= 0) rc = fab_bar_read32(sw->bar, GAS_MRPC_RETURN, &result);
    if (rc < 0) return rc;
    if (result == ALL_ONES) rc = fab_switch_gone(sw, 0);
    if (rc < 0) return rc;
    *code = result;
    if (status == MRPC_ERROR || result != 0) {
        remember(sw, command, result);
        return -EREMOTEIO;
    }
    if (out_bytes) rc = fab_bar_read_block(sw->bar, GAS_MRPC_OUT, out, out_bytes);
    return rc < 0 ? rc : 0;
}

int fab_switch_mrpc(fab_switch *sw, uint32_t command, int pax, const void *in, size_t in_bytes,
                    void *out, size_t out_bytes, uint32_t *code) {
    uint32_t word, answer = 0;
    if (code) *code = 0;
    if (in_bytes > GAS_MRPC_BYTES || out_bytes > GAS_MRPC_BYTES || (in_bytes && !in) ||
        (out_bytes && !out))
        return -EINVAL;
    int rc = command_word(sw, command, pax, &word);
    if (rc < 0) return rc;
    rc = fab_mailbox_take(sw);
    if (rc == -ETIMEDOUT) remember(sw, command, 0);
    if (rc < 0) return rc;
    if (rc == 1) rc = wait_abandoned(sw);
    if (rc >= 0) rc = exchange(sw, word, in, in_bytes, out, out_bytes, &answer);
    fab_mailbox_give(sw);
    if (code) *code = answer;
    return rc;
}

int fab_switch_command(fab_switch *sw, uint32_t command, const void *in, size_t in_bytes, void *out,
                       size_t out_bytes) {
    return fab_switch_mrpc(sw, command, -1, in, in_bytes, out, out_bytes, NULL);
}

uint32_t fab_switch_refusal(const fab_switch *sw, uint32_t *command) {
    if (command) *command = sw->failed;
    return sw->refusal;
}

uint32_t fab_switch_mailbox_holder(const fab_switch *sw) {
    return sw->holder;
}
