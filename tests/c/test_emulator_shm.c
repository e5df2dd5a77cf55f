/* The emulated node in shared memory: another process programs it, its death, who holds a name. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "default_node.h"
#include "regs.h"

static struct default_node plan;
static char name[48], folder[64];

static void nap_ms(long ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static int files_in(const char *path) {
    int n = 0;
    DIR *d = opendir(path);
    if (!d) return -1;
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* A child that runs the node until the pipe closes; returns its pid when the node is up. */
static pid_t spawn_node(int *control) {
    int up[2], down[2];
    char ready = 0;
    CHECK_EQ(pipe(up) | pipe(down), 0);
    pid_t pid = fork();
    if (pid == 0) {
        fab_node *node = NULL;
        char c;
        close(up[0]);
        close(down[1]);
        int rc = fab_node_create(&plan.config, plan.ports, name, &node);
        if (rc == 0) rc = fab_node_start(node);
        if (rc == 0 && write(up[1], "r", 1) != 1) rc = -EIO;
        while (rc == 0 && read(down[0], &c, 1) > 0) {
        }
        fab_node_close(node);
        _exit(rc ? 1 : check_failures != 0);
    }
    close(up[1]);
    close(down[0]);
    CHECK_EQ(read(up[0], &ready, 1), 1);
    close(up[0]);
    *control = down[1];
    return pid;
}

static int64_t command(fab_bar *bar, uint32_t id, const void *in, size_t in_bytes, void *out,
                       size_t out_bytes) {
    uint32_t status = 0, code = 0;
    if (in_bytes) CHECK_EQ(fab_bar_write_block(bar, GAS_MRPC_IN, in, in_bytes), 0);
    CHECK_EQ(fab_bar_write32(bar, GAS_MRPC_CMD, MRPC_PAX_LOCAL << MRPC_PAX_SHIFT | id), 0);
    CHECK_EQ(fab_bar_read32(bar, GAS_MRPC_STATUS, &status), 0); /* pushes the posted writes */
    CHECK_EQ(status, MRPC_DONE);
    CHECK_EQ(fab_bar_read32(bar, GAS_MRPC_RETURN, &code), 0);
    if (out_bytes) CHECK_EQ(fab_bar_read_block(bar, GAS_MRPC_OUT, out, out_bytes), 0);
    return code;
}

/* Programs and reads through the bars as a client in another process does. */
static void use_as_client(fab_bar *bars[DEFAULT_SWITCHES]) {
    uint32_t in = 0x01234567, out = 0, value = 0;
    for (int k = 0; k < 200; k++) {
        in += (uint32_t)k;
        CHECK_EQ(command(bars[k % 4], MRPC_ECHO, &in, 4, &out, 4), 0);
        CHECK_EQ(out, ~in);
    }
    uint64_t vc = GAS_PFF + 2 * GAS_PFF_STRIDE + 0x300; /* the host port's; found by the driver */
    CHECK_EQ(fab_bar_read32(bars[0], vc, &value), 0);
    CHECK_EQ(value & 0xFFFF, EXT_CAP_VC);
    CHECK_EQ(fab_bar_read32(bars[0], vc + VC0_CAP, &value), 0);
    uint64_t table = vc + 16 * (value >> 24);
    for (uint32_t k = 0; k < 64; k++) fab_bar_write32(bars[0], table + 4 * k, 0x08080800);
    CHECK_EQ(fab_bar_read32(bars[0], vc + 0x18, &value), 0);
    CHECK_EQ(value >> 16 & 1, 1);
    uint32_t select = 0x800000FF | VC_ARB_WRR256 << VC_SELECT_SHIFT;
    CHECK_EQ(fab_bar_write32(bars[0], vc + VC0_CONTROL, select | VC_LOAD_PORT_TABLE), 0);
    CHECK_EQ(fab_bar_read32(bars[0], vc + 0x18, &value), 0);
    CHECK_EQ(value >> 16 & 1, 0);
    CHECK_EQ(fab_bar_read32(bars[0], vc + VC0_CONTROL, &value), 0);
    CHECK_EQ(value, select);
    for (uint8_t m = 0; m < 2; m++) {
        uint8_t bind[36] = {1, 0, 16, m, 1, 0};
        uint16_t pdfid = PDFID(m, 1);
        memcpy(bind + 4, &pdfid, 2);
        CHECK_EQ(command(bars[2], MRPC_GFMS_BIND, bind, sizeof bind, &out, 4), 0);
        CHECK_EQ(fab_function_offer(bars[0], 8 * m, 1, 1e11, 1e9), 0);
    }
}

static void check_traffic(fab_bar *bar) {
    struct fab_function_cell *a = NULL, *b = NULL;
    CHECK_EQ(fab_function_cell(bar, 0, 1, &a), 0);
    CHECK_EQ(fab_function_cell(bar, 8, 1, &b), 0);
    /* from when both flow: one of them was bound, and had the link for itself, a moment earlier */
    for (int k = 0; k < 1000 && !fab_load_acquire(&b->out.up_bytes); k++) nap_ms(1);
    uint64_t first_a = fab_load_acquire(&a->out.up_bytes);
    uint64_t first_b = fab_load_acquire(&b->out.up_bytes), enough = first_b + 2000000000;
    for (int k = 0; k < 500 && fab_load_acquire(&b->out.up_bytes) < enough; k++) nap_ms(10);
    double up = (double)(fab_load_acquire(&a->out.up_bytes) - first_a);
    double sum = up + (double)(fab_load_acquire(&b->out.up_bytes) - first_b);
    CHECK(sum > 1e9);
    CHECK_NEAR(up / sum, 0.25, 0.02);
    CHECK(fab_load_acquire(&a->out.down_bytes) > 0);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    double age = (double)now.tv_sec - (double)fab_bar_page(bar)->time_ns / 1e9;
    CHECK_NEAR(age, 0, 2);
}

static void test_another_process_programs_the_node(void) {
    int control, status = 1;
    fab_bar *bars[DEFAULT_SWITCHES] = {0};
    fab_node *second = NULL;
    pid_t pid = spawn_node(&control);
    struct stat st;
    CHECK_EQ(stat(folder, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0700);
    CHECK_EQ(files_in(folder), DEFAULT_SWITCHES);
    for (int k = 0; k < DEFAULT_SWITCHES; k++) {
        char target[128];
        snprintf(target, sizeof target, "%s/%d", folder, k);
        CHECK_EQ(stat(target, &st), 0);
        CHECK_EQ(st.st_mode & 0777, 0600);
        snprintf(target, sizeof target, "shm:%s/%d", name, k);
        CHECK_EQ(fab_bar_open(target, &bars[k]), 0);
        if (!bars[k]) return;
        CHECK_EQ(fab_bar_page(bars[k])->switch_index, k);
    }
    use_as_client(bars);
    check_traffic(bars[0]);
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, name, &second), -EBUSY);
    CHECK_EQ(files_in(folder), DEFAULT_SWITCHES);
    close(control); /* the node closes in an orderly way */
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(files_in(folder), -1);
    CHECK_EQ(fab_load_acquire(&fab_bar_page(bars[0])->state), FAB_NODE_GONE);
    for (int k = 0; k < DEFAULT_SWITCHES; k++) fab_bar_close(bars[k]);
}

static void test_a_killed_nodes_files_are_taken_over(void) {
    int control, status;
    char target[128];
    fab_bar *old = NULL, *bar = NULL;
    fab_node *node = NULL;
    pid_t pid = spawn_node(&control);
    snprintf(target, sizeof target, "shm:%s/0", name);
    CHECK_EQ(fab_bar_open(target, &old), 0);
    CHECK_EQ(kill(pid, SIGKILL), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    close(control);
    CHECK_EQ(files_in(folder), DEFAULT_SWITCHES);
    CHECK_EQ(fab_bar_open(target, &bar), -EOWNERDEAD);
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, name, &node), 0);
    if (!node) return;
    /* who still maps the dead node's memory is told, and the new one starts clean */
    CHECK_EQ(fab_load_acquire(&fab_bar_page(old)->state), FAB_NODE_GONE);
    CHECK_EQ(fab_node_start(node), 0);
    CHECK_EQ(fab_node_start(node), -EBUSY);
    CHECK_EQ(fab_node_advance(node, 0.001), -EBUSY);
    CHECK_EQ(fab_bar_open(target, &bar), 0);
    uint32_t in = 7, out = 0;
    if (bar) CHECK_EQ(command(bar, MRPC_ECHO, &in, 4, &out, 4), 0);
    CHECK_EQ(out, ~7u);
    CHECK_EQ(command(fab_node_bar(node, 0), MRPC_ECHO, &in, 4, &out, 4), 0);
    fab_bar_close(bar);
    fab_bar_close(old);
    CHECK_EQ(fab_node_stop(node), 0);
    CHECK_EQ(fab_node_stop(node), -EALREADY);
    CHECK_EQ(fab_node_advance(node, 0.001), 0);
    fab_node_close(node);
    CHECK_EQ(files_in(folder), -1);
}

struct worker {
    fab_node *node;
    uint8_t sw;
};

/* The real-time thread moves what a function offers, when it comes to it. */
static int moves(fab_bar *bar, unsigned function) {
    uint64_t *moved = &fab_bar_page(bar)->cells[0][function].out.up_bytes;
    uint64_t before = fab_load_relaxed(moved);
    for (int ms = 0; ms < 10000; ms++) {
        nap_ms(1);
        if (fab_load_relaxed(moved) != before) return 1;
    }
    return 0;
}

/* One switch's bar per thread: commands that all change the same wiring. */
static void *work(void *context) {
    struct worker *w = context;
    fab_bar *bar = fab_node_bar(w->node, w->sw);
    uint32_t out = 0, in = w->sw;
    for (uint8_t k = 0; k < 100; k++) {
        uint8_t bind[36] = {1, w->sw, 16, k}, unbind[8] = {2, w->sw, 16, k, 0, 0, 2, 0};
        uint16_t pdfid = (uint16_t)PDFID(2 * w->sw, 1 + k % 32);
        memcpy(bind + 4, &pdfid, 2);
        CHECK_EQ(command(bar, MRPC_GFMS_BIND, bind, sizeof bind, &out, 4), 0);
        CHECK_EQ(fab_function_offer(bar, 0, 1 + k % 32, 1e10, 1e10), 0);
        CHECK_EQ(fab_bar_write32(bar, GAS_PFF + 2 * GAS_PFF_STRIDE + 0x320, k), 0);
        CHECK_EQ(command(bar, MRPC_ECHO, &in, 4, &out, 4), 0);
        CHECK_EQ(out, ~in);
        if (k % 10 == 0) CHECK(moves(bar, 1 + k % 32));
        CHECK_EQ(command(bar, MRPC_GFMS_BIND, unbind, sizeof unbind, &out, 4), 0);
    }
    return NULL;
}

static void test_threads_share_a_running_node(void) {
    fab_node *node = NULL;
    pthread_t threads[DEFAULT_SWITCHES];
    struct worker workers[DEFAULT_SWITCHES];
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, NULL, &node), 0);
    CHECK_EQ(fab_node_start(node), 0);
    for (uint8_t k = 0; k < DEFAULT_SWITCHES; k++) {
        workers[k] = (struct worker){node, k};
        CHECK_EQ(pthread_create(&threads[k], NULL, work, &workers[k]), 0);
    }
    for (int k = 0; k < DEFAULT_SWITCHES; k++) pthread_join(threads[k], NULL);
    CHECK_EQ(fab_node_stop(node), 0);
    fab_node_close(node);
}

/* A file of the node's size at K whose page says what it is told to. */
static void plant(uint64_t magic, uint32_t layout) {
    char path[112];
    mkdir(folder, 0700);
    snprintf(path, sizeof path, "%s/0", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK_EQ(ftruncate(fd, FAB_BAR_BYTES), 0);
    struct fab_bar_page *page =
        mmap(NULL, FAB_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, FAB_GAS_BYTES);
    page->layout = layout;
    page->magic = magic;
    munmap(page, FAB_PAGE_BYTES);
    close(fd);
}

static void test_a_name_held_by_something_else_is_refused_untouched(void) {
    fab_node *node = NULL;
    char path[112];
    plant(FAB_PAGE_MAGIC, FAB_LAYOUT + 1);
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, name, &node), -EPROTO);
    CHECK_EQ(files_in(folder), 1);
    plant(0, FAB_LAYOUT);
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, name, &node), -EEXIST);
    plant(FAB_PAGE_MAGIC, FAB_LAYOUT); /* a dead node's, but a stranger's file lies beside it */
    snprintf(path, sizeof path, "%s/notes.txt", folder);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    close(fd);
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, name, &node), -EEXIST);
    CHECK_EQ(files_in(folder), 2);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, name, &node), 0);
    CHECK_EQ(files_in(folder), DEFAULT_SWITCHES);
    fab_node_close(node);
    CHECK_EQ(files_in(folder), -1);
    fd = open(folder, O_RDWR | O_CREAT, 0600); /* no directory at all */
    close(fd);
    CHECK_EQ(fab_node_create(&plan.config, plan.ports, name, &node), -EEXIST);
    CHECK_EQ(unlink(folder), 0);
}

int main(void) {
    default_node_fill(&plan);
    snprintf(name, sizeof name, "fab-test-emulator-%d", (int)getpid());
    snprintf(folder, sizeof folder, "/dev/shm/%s", name);
    test_another_process_programs_the_node();
    test_a_killed_nodes_files_are_taken_over();
    test_threads_share_a_running_node();
    test_a_name_held_by_something_else_is_refused_untouched();
    return CHECK_RESULT;
}
