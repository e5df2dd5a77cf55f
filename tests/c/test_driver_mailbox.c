/* One firmware command at a time in a mailbox, of whatever process, thread or handle. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "control_image.h"
#include "default_node.h"

enum { ECHOES = 2000, THREADS = 4, KILLS = 40, ECHO = MRPC_PING, MS = 1000000 };

static char folder[] = "/tmp/fabcore-mailbox-XXXXXX";
static char device[sizeof folder + 16];
static char target[64];

struct handle {
    fab_bar *bar;
    fab_switch *sw;
};
static struct handle opened(const char *what) {
    struct handle h = {0};
    CHECK_EQ(fab_bar_open(what, &h.bar), 0);
    CHECK_EQ(fab_switch_open(h.bar, &h.sw), 0);
    return h;
}
static void closed(struct handle *h) {
    fab_switch_close(h->sw);
    fab_bar_close(h->bar);
}
static void doze(unsigned ms) {
    struct timespec left = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep(&left, &left) < 0 && errno == EINTR) {
    }
}

/* How many of n echoes were not answered with their own complement. */
static unsigned wrong_echoes(fab_switch *sw, uint32_t seed, unsigned n) {
    unsigned wrong = 0;
    for (unsigned k = 0; k < n; k++) {
        uint32_t in = seed * UINT32_C(2654435761) + k, out[2] = {0};
        int rc = fab_switch_mrpc(sw, ECHO, -1, &in, sizeof in, out, sizeof out, NULL);
        wrong += rc != 0 || out[1] != ~in;
    }
    return wrong;
}

/* What this process is answered while the other one, which says how it went, uses the mailbox. */
static void echo_beside(fab_switch *sw, pid_t other) {
    int status = 1;
    CHECK_EQ(wrong_echoes(sw, 3, ECHOES), 0);
    CHECK_EQ(waitpid(other, &status, 0), other);
    CHECK_EQ(status, 0);
}

static void two_processes_get_their_own_answers(void) {
    struct handle mine = opened(target);
    pid_t pid = fork();
    if (pid == 0) {
        struct handle h = opened(target);
        unsigned wrong = wrong_echoes(h.sw, 7, ECHOES);
        closed(&h);
        _exit(wrong != 0);
    }
    echo_beside(mine.sw, pid);
    CHECK_EQ(wrong_echoes(mine.sw, 3, 10), 0); /* the other one took the file away */
    closed(&mine);
}

static void handles_that_come_and_go_do_not_let_others_in(void) {
    struct handle mine = opened(target);
    pid_t pid = fork();
    if (pid == 0) {
        unsigned wrong = 0;
        for (uint32_t k = 0; k < 200; k++) {
            struct handle h = opened(target);
            wrong += wrong_echoes(h.sw, k, 10);
            closed(&h);
        }
        _exit(wrong != 0);
    }
    echo_beside(mine.sw, pid);
    closed(&mine);
}

static void a_process_killed_at_any_time_keeps_nobody_waiting(void) {
    struct handle mine = opened(target);
    for (unsigned k = 0; k < KILLS; k++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct handle h = opened(target);
            for (;;) wrong_echoes(h.sw, k, 100);
        }
        CHECK_EQ(wrong_echoes(mine.sw, k, 50), 0);
        doze(1 + k % 5);
        kill(pid, SIGKILL);
        CHECK_EQ(wrong_echoes(mine.sw, k, 50), 0);
        CHECK_EQ(waitpid(pid, NULL, 0), pid);
    }
    closed(&mine);
}

/* A register image in a file, whose firmware is at a command for ever until told otherwise. */
static void make_device(uint32_t status) {
    uint8_t *gas = calloc(1, FAB_GAS_BYTES);
    put(gas + GAS_DEVICE_ID, 4, 0x5200);
    put(gas + GAS_MRPC_STATUS, 4, status);
    int file = open(device, O_WRONLY | O_CREAT, 0600);
    CHECK_EQ(write(file, gas, FAB_GAS_BYTES), FAB_GAS_BYTES);
    close(file);
    free(gas);
}

static void the_holder_is_named_and_its_death_ends_the_wait(void) {
    uint32_t in = 1, failed = 0;
    make_device(1);
    pid_t pid = fork();
    if (pid == 0) {
        struct handle h = opened(device);
        fab_switch_set_timeout(h.sw, UINT64_C(60000) * MS);
        fab_switch_mrpc(h.sw, ECHO, -1, &in, sizeof in, NULL, 0, NULL);
        _exit(1);
    }
    struct handle mine = opened(device);
    uint32_t rung = 0;
    while (rung == 0) { /* the child is inside its command */
        CHECK_EQ(fab_bar_read32(mine.bar, GAS_MRPC_CMD, &rung), 0);
        doze(1);
    }
    uint64_t before = fab_bar_writes(mine.bar);
    fab_switch_set_timeout(mine.sw, UINT64_C(100) * MS);
    CHECK_EQ(fab_switch_mrpc(mine.sw, 0x42, -1, &in, sizeof in, NULL, 0, NULL), -ETIMEDOUT);
    CHECK_EQ(fab_switch_mailbox_holder(mine.sw), (uint32_t)pid);
    CHECK_EQ(fab_switch_refusal(mine.sw, &failed), 0);
    CHECK_EQ(failed, 0x42);
    CHECK_EQ(fab_bar_writes(mine.bar), before); /* nothing was sent */
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    /* The firmware is still at the dead one's command: it is waited for, then tried all the same.
     */
    CHECK_EQ(fab_switch_mrpc(mine.sw, 0x42, -1, &in, sizeof in, NULL, 0, NULL), -ETIMEDOUT);
    CHECK_EQ(fab_switch_mailbox_holder(mine.sw), 0);
    CHECK_EQ(fab_bar_writes(mine.bar), before + 2);
    CHECK_EQ(fab_bar_write32(mine.bar, GAS_MRPC_STATUS, MRPC_DONE), 0);
    CHECK_EQ(fab_switch_mrpc(mine.sw, 0x42, -1, &in, sizeof in, NULL, 0, NULL), 0);
    closed(&mine);
    CHECK_EQ(unlink(device), 0);
}

static void a_stopped_process_is_waited_for_no_longer_than_a_command_may_take(void) {
    make_device(1);
    pid_t pid = fork();
    if (pid == 0) {
        struct handle h = opened(device);
        fab_switch_set_timeout(h.sw, UINT64_C(60000) * MS);
        _exit(fab_switch_mrpc(h.sw, ECHO, -1, NULL, 0, NULL, 0, NULL) != 0);
    }
    struct handle mine = opened(device);
    uint32_t rung = 0;
    while (rung == 0) {
        CHECK_EQ(fab_bar_read32(mine.bar, GAS_MRPC_CMD, &rung), 0);
        doze(1);
    }
    kill(pid, SIGSTOP);
    CHECK_EQ(fab_bar_write32(mine.bar, GAS_MRPC_STATUS, MRPC_DONE), 0);
    fab_switch_set_timeout(mine.sw, UINT64_C(50) * MS);
    CHECK_EQ(fab_switch_mrpc(mine.sw, ECHO, -1, NULL, 0, NULL, 0, NULL), -ETIMEDOUT);
    CHECK_EQ(fab_switch_mailbox_holder(mine.sw), (uint32_t)pid);
    kill(pid, SIGCONT);
    fab_switch_set_timeout(mine.sw, UINT64_C(10000) * MS);
    CHECK_EQ(fab_switch_mrpc(mine.sw, ECHO, -1, NULL, 0, NULL, 0, NULL), 0);
    int status = 1;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    closed(&mine);
    CHECK_EQ(unlink(device), 0);
}

struct job {
    fab_bar *bar;
    uint32_t seed;
    unsigned wrong;
};
static void *in_thread(void *argument) {
    struct job *job = argument;
    fab_switch *sw;
    job->wrong = fab_switch_open(job->bar, &sw) != 0;
    if (job->wrong) return NULL;
    job->wrong = wrong_echoes(sw, job->seed, ECHOES);
    fab_switch_close(sw);
    return NULL;
}

static void threads_with_handles_of_their_own_get_their_own_answers(const char *shared) {
    struct default_node shape;
    struct job jobs[THREADS];
    pthread_t threads[THREADS];
    fab_node *node;
    default_node_fill(&shape);
    CHECK_EQ(fab_node_create(&shape.config, shape.ports, shared, &node), 0);
    for (uint32_t k = 0; k < THREADS; k++) {
        jobs[k] = (struct job){fab_node_bar(node, 0), k, 0};
        CHECK_EQ(pthread_create(&threads[k], NULL, in_thread, &jobs[k]), 0);
    }
    for (unsigned k = 0; k < THREADS; k++) {
        pthread_join(threads[k], NULL);
        CHECK_EQ(jobs[k].wrong, 0);
    }
    fab_node_close(node);
}

static void without_a_folder_commands_still_work(void) {
    setenv("FABCORE_RUN", "/proc/no-such-folder", 1);
    make_device(MRPC_DONE);
    struct handle a = opened(device), b = opened(device);
    CHECK_EQ(fab_switch_mrpc(a.sw, ECHO, -1, NULL, 0, NULL, 0, NULL), 0);
    CHECK_EQ(fab_switch_mrpc(b.sw, ECHO, -1, NULL, 0, NULL, 0, NULL), 0);
    closed(&a);
    closed(&b);
    unlink(device);
    setenv("FABCORE_RUN", folder, 1);
}

/* Shares a node from a process of its own until the pipe closes. */
static pid_t share_node(int *end) {
    int ready[2], told[2];
    char byte = 0;
    const char *name = strchr(target, ':') + 1;
    CHECK_EQ(pipe(ready) | pipe(told), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct default_node shape;
        fab_node *node = NULL;
        close(told[1]);
        default_node_fill(&shape);
        int rc = fab_node_create(&shape.config, shape.ports, name, &node);
        if (rc == 0) rc = fab_node_start(node);
        if (rc == 0 && write(ready[1], "r", 1) != 1) rc = -EIO;
        while (rc == 0 && read(told[0], &byte, 1) > 0) {
        }
        fab_node_close(node);
        _exit(rc != 0);
    }
    close(told[0]);
    close(ready[1]);
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    *end = told[1];
    return pid;
}

int main(void) {
    int end;
    if (!mkdtemp(folder)) return 1;
    snprintf(device, sizeof device, "%s/image", folder);
    snprintf(target, sizeof target, "shm:fabcore-mailbox-%d", getpid());
    setenv("FABCORE_RUN", folder, 1);
    pid_t node = share_node(&end);
    two_processes_get_their_own_answers();
    handles_that_come_and_go_do_not_let_others_in();
    a_process_killed_at_any_time_keeps_nobody_waiting();
    close(end);
    CHECK_EQ(waitpid(node, NULL, 0), node);
    the_holder_is_named_and_its_death_ends_the_wait();
    a_stopped_process_is_waited_for_no_longer_than_a_command_may_take();
    threads_with_handles_of_their_own_get_their_own_answers(NULL);
    threads_with_handles_of_their_own_get_their_own_answers(strchr(target, ':') + 1);
    without_a_folder_commands_still_work();
    CHECK_EQ(rmdir(folder), 0); /* nothing is left behind */
    return CHECK_RESULT;
}
