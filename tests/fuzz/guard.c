/* What a target maps from a file ends where the file ends: every mapping lies between two pages
 * that cannot be touched, and the rest of its last page is poisoned for the address sanitizer,
 * which by itself knows nothing of mappings. Linked with --wrap=mmap,--wrap=munmap. */
#define _GNU_SOURCE
#include <sanitizer/asan_interface.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE ((size_t)4096)
#define MAPPINGS 16 /* at a time */

void *__real_mmap(void *addr, size_t bytes, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *addr, size_t bytes);
void *__wrap_mmap(void *addr, size_t bytes, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *addr, size_t bytes);

static char *mapped[MAPPINGS];

static size_t pages(size_t bytes) {
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

void *__wrap_mmap(void *addr, size_t bytes, int prot, int flags, int fd, off_t offset) {
    if (addr || fd < 0) return __real_mmap(addr, bytes, prot, flags, fd, offset);
    size_t room = pages(bytes), k = 0;
    while (k < MAPPINGS && mapped[k]) k++;
    if (k == MAPPINGS) abort(); /* a target leaks mappings */
    char *all = __real_mmap(NULL, room + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) return MAP_FAILED;
    char *map = __real_mmap(all + PAGE, bytes, prot, flags | MAP_FIXED, fd, offset);
    if (map == MAP_FAILED) {
        __real_munmap(all, room + 2 * PAGE);
        return MAP_FAILED;
    }
    __asan_unpoison_memory_region(map, bytes);
    __asan_poison_memory_region(map + bytes, room - bytes);
    mapped[k] = map;
    return map;
}

int __wrap_munmap(void *addr, size_t bytes) {
    for (size_t k = 0; k < MAPPINGS; k++)
        if (mapped[k] && mapped[k] == addr) {
            mapped[k] = NULL;
            __asan_unpoison_memory_region(addr, pages(bytes));
            return __real_munmap((char *)addr - PAGE, pages(bytes) + 2 * PAGE);
        }
    return __real_munmap(addr, bytes);
}
