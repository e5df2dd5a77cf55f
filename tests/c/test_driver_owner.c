/* Who owns a switch: one at a time, by a lease, told by name; a file of this host that all the ways
 * to the device share. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "control_image.h"

#define SHORT_NS UINT64_C(150000000)
#define LONG_NS UINT64_C(20000000000)

static char folder[] = "/tmp/fabcore-owner-XXXXXX";
static char device[sizeof folder + 16];

static void doze(unsigned ms) {
    struct timespec left = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep(&left, &left) < 0 && errno == EINTR) {
    }
}

/* A register image in a file, as a device kept on disk: any process may open it. */
static void make_device(void) {
    uint8_t *gas = calloc(1, FAB_GAS_BYTES);
    put(gas + GAS_DEVICE_ID, 4, 0x5200);
    put(gas + GAS_MRPC_STATUS, 4, MRPC_DONE); /* a firmware that has done everything already */
    put(gas + GAS_PFF, 4, PFF_VENDOR | 0x5200u << 16);
    int file = open(device, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK_EQ(write(file, gas, FAB_GAS_BYTES), FAB_GAS_BYTES);
    close(file);
    free(gas);
}

struct handle {
    fab_bar *bar;
    fab_switch *sw;
};
static struct handle opened(const char *target) {
    struct handle h = {0};
    CHECK_EQ(fab_bar_open(target, &h.bar), 0);
    CHECK_EQ(fab_switch_open(h.bar, &h.sw), 0);
    return h;
}
static void closed(struct handle *h) {
    fab_switch_close(h->sw);
    fab_bar_close(h->bar);
}
static int change_something(struct handle *h) {
    return fab_switch_config_write(h->sw, 0, 0x0C, 1, 1);
}

static void the_second_is_refused_and_told_who_holds_it(void) {
    struct handle a = opened(device), b = opened(device);
    struct fab_switch_owner who;
    CHECK_EQ(fab_switch_owner(b.sw, &who), 0);
    CHECK_EQ(fab_switch_own(a.sw, "first", 0), 0);
    CHECK_EQ(fab_switch_own(b.sw, "second", 0), -EBUSY);
    CHECK_EQ(fab_switch_owner(b.sw, &who), 1);
    CHECK_EQ(who.pid, (uint64_t)getpid());
    CHECK_EQ(strcmp(who.name, "first"), 0);
    CHECK(who.alive && !who.mine && who.before_pid == 0);
    CHECK(who.left_ns > 8000000000 && who.left_ns <= 10100000000);
    CHECK(who.since_ns / 1000000000 - (uint64_t)time(NULL) + 2 <= 3);
    CHECK_EQ(fab_switch_owner(a.sw, &who), 1);
    CHECK(who.mine);
    CHECK_EQ(change_something(&a), 0);
    CHECK_EQ(change_something(&b), 0);                   /* it never asked: advisory */
    CHECK_EQ(fab_switch_own(a.sw, "first", LONG_NS), 0); /* asked again: the lease is longer */
    CHECK_EQ(fab_switch_own(b.sw, "", 0), -EINVAL);
    CHECK_EQ(fab_switch_own(b.sw, NULL, 0), -EINVAL);
    CHECK_EQ(fab_switch_own(b.sw, "a name of more than forty-seven characters is refused", 0),
             -EINVAL);
    CHECK_EQ(fab_switch_own(b.sw, "b", 1000), -EINVAL); /* no lease: a busy host would lose it */
    CHECK_EQ(fab_switch_disown(a.sw), 0);
    CHECK_EQ(fab_switch_owner(a.sw, &who), 0);
    CHECK_EQ(fab_switch_own(b.sw, "second", 0), 0); /* free: nobody is taken over */
    CHECK_EQ(fab_switch_owner(b.sw, &who), 1);
    CHECK_EQ(who.before_pid, 0);
    fab_switch_close(b.sw); /* gives it up */
    CHECK_EQ(fab_switch_own(a.sw, "third", 0), 0);
    closed(&a);
    fab_bar_close(b.bar);
    CHECK_EQ(rmdir(folder), -1); /* the image is still there, */
    CHECK_EQ(errno, ENOTEMPTY);
}

static void a_lease_that_ran_out_is_taken_over_and_its_holder_stopped(void) {
    struct handle a = opened(device), b = opened(device);
    struct fab_switch_owner who;
    fab_change *change;
    CHECK_EQ(fab_switch_own(a.sw, "slow", SHORT_NS), 0);
    doze(400);
    CHECK_EQ(fab_switch_renew(a.sw), 0); /* nobody has taken it: it goes on */
    CHECK_EQ(fab_switch_own(b.sw, "eager", 0), -EBUSY);
    CHECK_EQ(fab_change_open(4, &change), 0);
    CHECK_EQ(fab_change_begin(change, &a.sw, 1), 0);
    CHECK_EQ(change_something(&a), 0);
    doze(400);
    CHECK_EQ(fab_switch_own(b.sw, "eager", 0), 1);
    CHECK_EQ(fab_switch_owner(b.sw, &who), 1);
    CHECK_EQ(strcmp(who.name, "eager"), 0);
    CHECK_EQ(strcmp(who.before, "slow"), 0);
    CHECK_EQ(who.before_pid, (uint64_t)getpid());
    uint64_t writes = fab_bar_writes(a.bar);
    CHECK_EQ(change_something(&a), -ESTALE);
    CHECK_EQ(fab_switch_renew(a.sw), -ESTALE);
    CHECK_EQ(fab_change_commit(change, NULL), -ESTALE); /* nor does it put anything back */
    CHECK_EQ(fab_change_begin(change, &a.sw, 1), -ESTALE);
    CHECK_EQ(fab_switch_bind(a.sw, 0, 16, 0, 0), -ESTALE);
    CHECK_EQ(fab_switch_port_control(a.sw, 0, FAB_PORT_DISABLE), -ESTALE);
    CHECK_EQ(fab_bar_writes(a.bar), writes);
    CHECK_EQ(fab_switch_own(a.sw, "slow", 0), -EBUSY);
    CHECK_EQ(fab_switch_disown(a.sw), 0); /* not its own any more: changes nothing */
    CHECK_EQ(fab_switch_owner(b.sw, &who), 1);
    CHECK(who.mine);
    fab_change_close(change);
    closed(&a);
    CHECK_EQ(fab_switch_renew(b.sw), 0);
    closed(&b);
}

static void a_plan_is_refused_when_the_switch_has_another_owner(void) {
    struct handle a = opened(device), b = opened(device);
    struct fab_plan_report report;
    fab_plan *plan;
    CHECK_EQ(fab_plan_open(&a.sw, 1, NULL, 0, &plan), 0);
    CHECK_EQ(fab_switch_own(a.sw, "slow", SHORT_NS), 0);
    CHECK_EQ(fab_plan_apply(plan, NULL, NULL, NULL, 0, &report), 0);
    doze(100); /* more than half of it is over: the plan renews */
    CHECK_EQ(fab_plan_apply(plan, NULL, NULL, NULL, 0, &report), 0);
    doze(100);
    CHECK_EQ(fab_switch_own(b.sw, "eager", 0), -EBUSY);
    doze(200);
    CHECK_EQ(fab_switch_own(b.sw, "eager", 0), 1);
    CHECK_EQ(fab_plan_apply(plan, NULL, NULL, NULL, 0, &report), -ESTALE);
    CHECK_EQ(report.error, -ESTALE);
    CHECK_EQ(report.failed, -1);
    fab_plan_close(plan);
    closed(&a);
    closed(&b);
}

/* Owns the device in a child until it is killed or told to end. */
static pid_t other_process(const char *name, int *end) {
    int ready[2], told[2];
    char byte = 0;
    CHECK_EQ(pipe(ready), 0);
    CHECK_EQ(pipe(told), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(told[1]);
        struct handle h = opened(device);
        char rc = (char)-fab_switch_own(h.sw, name, LONG_NS);
        if (write(ready[1], &rc, 1) != 1) _exit(1);
        if (read(told[0], &byte, 1) != 0) _exit(1);
        closed(&h);
        _exit(0);
    }
    close(told[0]);
    close(ready[1]);
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    CHECK_EQ(byte, 0);
    close(ready[0]);
    *end = told[1];
    return pid;
}

static void a_dead_holder_is_taken_over_at_once(void) {
    struct handle a = opened(device);
    struct fab_switch_owner who;
    int end;
    pid_t pid = other_process("victim", &end);
    CHECK_EQ(fab_switch_own(a.sw, "heir", 0), -EBUSY);
    CHECK_EQ(fab_switch_owner(a.sw, &who), 1);
    CHECK_EQ(who.pid, (uint64_t)pid);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    CHECK_EQ(fab_switch_owner(a.sw, &who), 1);
    CHECK(!who.alive && who.left_ns > 0);
    CHECK_EQ(fab_switch_own(a.sw, "heir", 0), 1);
    CHECK_EQ(fab_switch_owner(a.sw, &who), 1);
    CHECK_EQ(who.before_pid, (uint64_t)pid);
    CHECK_EQ(strcmp(who.before, "victim"), 0);
    close(end);
    closed(&a);
    pid = other_process("orderly", &end); /* and the other way: the file is gone with its owner */
    close(end);
    waitpid(pid, NULL, 0);
    a = opened(device);
    CHECK_EQ(fab_switch_own(a.sw, "next", 0), 0);
    closed(&a);
}

static void a_forked_child_does_not_give_it_away(void) {
    struct handle a = opened(device);
    struct fab_switch_owner who;
    CHECK_EQ(fab_switch_own(a.sw, "parent", 0), 0);
    pid_t pid = fork();
    if (pid == 0) {
        fab_switch_close(a.sw);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    CHECK_EQ(fab_switch_owner(a.sw, &who), 1);
    CHECK(who.mine && who.alive);
    closed(&a);
}

static void every_name_of_a_device_leads_to_one_owner(void) {
    char link[sizeof device + 8];
    struct fab_switch_owner who;
    snprintf(link, sizeof link, "%s.link", device);
    CHECK_EQ(mkdir(link, 0700), 0); /* the same file by another path */
    char other[sizeof link + 16];
    snprintf(other, sizeof other, "%s/../image", link);
    struct handle a = opened(device), b = opened(other);
    CHECK_EQ(fab_switch_own(a.sw, "one", 0), 0);
    CHECK_EQ(fab_switch_own(b.sw, "two", 0), -EBUSY);
    closed(&b);
    closed(&a);
    rmdir(link);
    struct control *c = control_create(0x5200); /* memory of this process: no file, everybody's */
    fab_switch *sw, *twin;
    CHECK_EQ(fab_switch_open(c->bar, &sw), 0);
    CHECK_EQ(fab_switch_open(c->bar, &twin), 0);
    CHECK_EQ(fab_switch_own(sw, "one", 0), 0);
    CHECK_EQ(fab_switch_own(twin, "two", 0), 0);
    CHECK_EQ(fab_switch_owner(sw, &who), 0);
    CHECK_EQ(fab_switch_renew(sw), 0);
    fab_switch_close(sw);
    fab_switch_close(twin);
    control_free(c);
}

static void a_file_of_something_else_is_refused(void) {
    struct handle a = opened(device);
    struct stat st;
    char path[256];
    CHECK_EQ(stat(device, &st), 0);
    CHECK_EQ(stat(device, &st), 0);
    snprintf(path, sizeof path, "%s/file-%lx-%lu.owner", folder, (unsigned long)st.st_dev,
             (unsigned long)st.st_ino);
    CHECK_EQ(fab_switch_own(a.sw, "one", 0), 0);
    CHECK_EQ(stat(path, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    fab_switch_disown(a.sw);
    CHECK_EQ(stat(path, &st), -1); /* and it is gone with its owner */
    int file = open(path, O_WRONLY | O_CREAT, 0600);
    CHECK_EQ(write(file, "not such a file", 15), 15);
    close(file);
    CHECK_EQ(fab_switch_own(a.sw, "one", 0), -EPROTO);
    unlink(path);
    CHECK_EQ(symlink("/dev/null", path), 0);
    CHECK_EQ(fab_switch_own(a.sw, "one", 0), -ELOOP);
    unlink(path);
    CHECK_EQ(fab_switch_own(a.sw, "one", 0), 0);
    unlink(path); /* somebody takes it away: the next one cannot see the first */
    struct handle b = opened(device);
    CHECK_EQ(fab_switch_own(b.sw, "two", 0), 0);
    CHECK_EQ(fab_switch_disown(a.sw), 0); /* does not take the other one's file along */
    CHECK_EQ(stat(path, &st), 0);
    closed(&a);
    closed(&b);
}

int main(void) {
    if (!mkdtemp(folder)) return 1;
    snprintf(device, sizeof device, "%s/image", folder);
    setenv("FABCORE_RUN", folder, 1);
    make_device();
    the_second_is_refused_and_told_who_holds_it();
    a_lease_that_ran_out_is_taken_over_and_its_holder_stopped();
    a_plan_is_refused_when_the_switch_has_another_owner();
    a_dead_holder_is_taken_over_at_once();
    a_forked_child_does_not_give_it_away();
    every_name_of_a_device_leads_to_one_owner();
    a_file_of_something_else_is_refused();
    unlink(device);
    CHECK_EQ(rmdir(folder), 0); /* nothing is left behind */
    return CHECK_RESULT;
}
