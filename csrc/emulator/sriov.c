/* SR-IOV: which functions a module has now. */
#include "node.h"

enum {
    SRIOV_ENABLE = 1 << 0,
    SRIOV_MEMORY = 1 << 3,
    SRIOV_ARI = 1 << 4,
    SRIOV_FIRST = 0x14,
    SRIOV_STRIDE = 0x16,
    SRIOV_VF_ID = 0x1A,
    SRIOV_PAGES = 0x1C,
    SRIOV_PAGE = 0x20,
    SRIOV_BAR0 = 0x24,
    PAGES = 0x553, /* 4 KiB to 4 MiB */
    VF_ID = 0xFAB1 /* modelled: device id of this project's VFs */
};

/* modelled: a module's own firmware enables all its VFs after every reset */
void sriov_build(struct space *s, uint32_t at, unsigned vfs) {
    uint32_t controls = SRIOV_ENABLE | SRIOV_MEMORY | SRIOV_ARI;
    space_ext(s, at, EXT_CAP_SRIOV, 1);
    space_put(s, at + 4, 4, 1u << 1); /* ARI capable hierarchy preserved */
    space_put(s, at + SRIOV_CONTROL, 2, controls);
    space_allow(s, at + SRIOV_CONTROL, 2, controls);
    space_put(s, at + SRIOV_INITIAL_VFS, 2, vfs);
    space_put(s, at + SRIOV_TOTAL_VFS, 2, vfs);
    space_put(s, at + SRIOV_NUM_VFS, 2, vfs);
    space_allow(s, at + SRIOV_NUM_VFS, 2, 0xFFFF);
    space_put(s, at + SRIOV_FIRST, 2, 1);
    space_put(s, at + SRIOV_STRIDE, 2, 1);
    space_put(s, at + SRIOV_VF_ID, 2, VF_ID);
    space_put(s, at + SRIOV_PAGES, 4, PAGES);
    space_put(s, at + SRIOV_PAGE, 4, 1);
    space_allow(s, at + SRIOV_PAGE, 4, PAGES);
    space_put(s, at + SRIOV_BAR0, 4, 0x0000000C); /* 64-bit prefetchable, 16 MiB a VF */
    space_allow(s, at + SRIOV_BAR0, 4, 0xFF000000);
    space_allow(s, at + SRIOV_BAR0 + 4, 4, UINT32_MAX);
}

int function_exists(const struct node_module *m, unsigned function) {
    if (!m->port || function > m->cfg.vfs) return 0;
    if (function == 0) return 1;
    const uint32_t *words = m->functions[0].words;
    unsigned enabled = words[(m->sriov + SRIOV_CONTROL) / 4] & SRIOV_ENABLE;
    return enabled && function <= (words[(m->sriov + SRIOV_NUM_VFS) / 4] & 0xFFFF);
}

/* NumVFs is writable only while the VFs are disabled, and never above TotalVFs. */
void sriov_written(struct node_module *m, uint32_t at, uint32_t before) {
    struct space s = function_space(m, 0);
    uint32_t num = m->sriov + SRIOV_NUM_VFS;
    if ((at & ~3u) != num) return;
    int enabled = (space_get(&s, m->sriov + SRIOV_CONTROL, 2) & SRIOV_ENABLE) != 0;
    if (enabled || space_get(&s, num, 2) > m->cfg.vfs) space_put(&s, num, 2, before);
}
