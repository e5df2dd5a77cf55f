/* Liveness of a process by pid and start time, from /proc/PID/stat. */
#define _GNU_SOURCE
#include "observe/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* Length of /proc/PID/stat in `text` (which it ends with a NUL), or -1. */
static ssize_t read_stat(uint64_t pid, char *text, size_t room) {
    char path[40];
    snprintf(path, sizeof path, "/proc/%llu/stat", (unsigned long long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t n = read(fd, text, room - 1);
    close(fd);
    if (n <= 0) return -1;
    text[n] = 0;
    return n;
}

uint64_t fab_process_start(uint64_t pid) {
    char text[1024];
    if (pid == 0 || pid > INT32_MAX) return 0;
    if (read_stat(pid, text, sizeof text) < 0)
        return kill((pid_t)pid, 0) == 0 || errno == EPERM ? UINT64_MAX : 0;
    /* The command in field 2 may hold spaces and brackets; what follows its last one does not. */
    const char *field = strrchr(text, ')');
    if (!field || field[1] != ' ') return UINT64_MAX;
    field += 2; /* field 3, the state */
    if (*field == 'Z' || *field == 'X') return 0;
    for (int i = 3; i < 22; i++) {
        field = strchr(field, ' ');
        if (!field) return UINT64_MAX;
        field++;
    }
    return strtoull(field, NULL, 10);
}

int fab_process_alive(uint64_t pid, uint64_t start, uint64_t mask) {
    uint64_t now = fab_process_start(pid);
    if (now == 0) return 0;
    return now == UINT64_MAX || start == 0 || ((now ^ start) & mask) == 0;
}

uint64_t fab_process_place(void) {
    char boot[64];
    struct stat ns;
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, boot, sizeof boot);
    close(fd);
    if (n <= 0 || stat("/proc/self/ns/pid", &ns) < 0) return 0;
    uint64_t hash = UINT64_C(0xCBF29CE484222325) ^ (uint64_t)ns.st_ino; /* FNV-1a */
    for (ssize_t k = 0; k < n; k++) hash = (hash ^ (uint8_t)boot[k]) * UINT64_C(0x100000001B3);
    return hash ? hash : 1;
}

uint64_t fab_process_word(void) {
    uint64_t pid = (uint64_t)getpid();
    return pid << 32 | (uint32_t)fab_process_start(pid);
}

int fab_process_word_alive(uint64_t word) {
    return fab_process_alive(word >> 32, (uint32_t)word, UINT32_MAX);
}
