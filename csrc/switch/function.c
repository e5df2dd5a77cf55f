/* A module's functions: config space by firmware command, what the PF offers, function groups. */
#include <errno.h>
#include <string.h>

#include "driver.h"

enum {
    ACCESS_READ = 0,
    ACCESS_WRITE = 1,
    CONFIG_BYTES = 0x1000,
    GROUPS = 8, /* the function group field has 3 bits */
    ARI_CAPABILITY = 0x04,
    ARI_CAP_MFVC_GROUPS = 1 << 0
};

static int check_access(uint16_t addr, uint8_t bytes) {
    if (bytes != 1 && bytes != 2 && bytes != 4) return -EINVAL;
    return addr % bytes || addr + bytes > CONFIG_BYTES ? -EINVAL : 0;
}

int fab_switch_function_read(fab_switch *sw, uint16_t pdfid, uint16_t addr, uint8_t bytes,
                             uint32_t *value) {
    int rc = check_access(addr, bytes);
    if (rc < 0) return rc;
    uint8_t in[8] = {
        ACCESS_READ, 0, (uint8_t)pdfid, (uint8_t)(pdfid >> 8), (uint8_t)addr, (uint8_t)(addr >> 8),
        bytes,       0};
    uint32_t out;
    rc = fab_switch_command(sw, MRPC_FUNCTION_ACCESS, in, sizeof in, &out, sizeof out);
    if (rc < 0) return rc;
    *value = bytes == 4 ? out : out & ((UINT32_C(1) << 8 * bytes) - 1);
    return 0;
}

int fab_function_put(fab_switch *sw, uint16_t pdfid, uint16_t addr, uint8_t bytes, uint32_t value) {
    int rc = check_access(addr, bytes);
    if (rc < 0) return rc;
    uint8_t in[12] = {
        ACCESS_WRITE, 0, (uint8_t)pdfid, (uint8_t)(pdfid >> 8), (uint8_t)addr, (uint8_t)(addr >> 8),
        bytes,        0};
    memcpy(in + 8, &value, sizeof value);
    return fab_switch_command(sw, MRPC_FUNCTION_ACCESS, in, sizeof in, NULL, 0);
}

int fab_switch_function_write(fab_switch *sw, uint16_t pdfid, uint16_t addr, uint8_t bytes,
                              uint32_t value) {
    int rc = check_access(addr, bytes);
    return rc < 0 ? rc : fab_switch_config_write(sw, FAB_AT_FUNCTION | pdfid, addr, bytes, value);
}

/* Groups that the PF can be told to arbitrate between; 0 without ARI or without support in it. */
static int probe_groups(const struct fab_space *pf, struct fab_function_info *info) {
    uint32_t capability;
    int rc = fab_capability_find_ext(pf, EXT_CAP_ARI, 0);
    if (rc <= 0) return rc;
    info->ari_offset = (uint16_t)rc;
    rc = fab_space_read(pf, (uint32_t)rc + ARI_CAPABILITY, &capability, 1);
    if (rc < 0) return rc;
    info->groups = capability & ARI_CAP_MFVC_GROUPS ? GROUPS : 0;
    return 0;
}

static int probe_vfs(const struct fab_space *pf, struct fab_function_info *info) {
    int at = fab_capability_find_ext(pf, EXT_CAP_SRIOV, 0);
    if (at <= 0) return at;
    int rc = fab_space_read16(pf, (uint32_t)at + SRIOV_TOTAL_VFS, &info->total_vfs);
    if (rc < 0) return rc;
    return fab_space_read16(pf, (uint32_t)at + SRIOV_NUM_VFS, &info->num_vfs);
}

/* MFVC counts only with a weighted scheme: a fixed order guarantees nothing. A module with both is
 * held by its shaper, which tells every function apart. */
static int probe_arbitration(const struct fab_space *pf, struct fab_function_info *info) {
    struct fab_shaper shaper;
    struct fab_table table;
    int rc = fab_shaper_find(pf->sw, (uint16_t)pf->pdfid, &shaper);
    if (rc == 0) {
        info->arbitration = FAB_ARBITRATION_SHAPER;
        info->arbitration_offset = (uint16_t)(shaper.address - SHAPER_TABLE);
        return 0;
    }
    if (rc != -EOPNOTSUPP) return rc;
    rc = fab_table_find_function(pf->sw, (uint16_t)pf->pdfid, &table);
    if (rc == -EOPNOTSUPP || (rc == 0 && !table.longest)) {
        info->groups = 0;
        return 0;
    }
    if (rc < 0) return rc;
    info->arbitration = FAB_ARBITRATION_MFVC;
    info->arbitration_offset = (uint16_t)table.capability;
    info->phases = (uint16_t)table.longest;
    return 0;
}

int fab_switch_function_probe(fab_switch *sw, uint16_t pdfid, struct fab_function_info *out) {
    struct fab_function_info info = {0};
    struct fab_space pf;
    uint32_t id;
    fab_space_function(sw, PDFID(PDFID_MODULE(pdfid), 0), &pf);
    int rc = fab_space_read(&pf, 0, &id, 1);
    if (rc < 0) return rc;
    if ((id & 0xFFFF) == 0xFFFF) return -ENODEV;
    info.vendor = (uint16_t)id;
    info.device = (uint16_t)(id >> 16);
    rc = probe_groups(&pf, &info);
    if (rc == 0) rc = probe_vfs(&pf, &info);
    if (rc == 0) rc = probe_arbitration(&pf, &info);
    if (rc < 0) return rc;
    if (info.arbitration != FAB_ARBITRATION_MFVC) info.groups = 0;
    *out = info;
    return 0;
}

/* The group first, then the switch that makes groups count: no moment with a wrong group. */
static int set_group(fab_switch *sw, uint16_t pdfid, uint8_t group) {
    struct fab_function_info info;
    struct fab_space function, pf;
    if (group >= GROUPS) return -EINVAL;
    int rc = fab_switch_function_probe(sw, pdfid, &info);
    if (rc < 0) return rc;
    if (!info.groups) return -EOPNOTSUPP;
    fab_space_function(sw, pdfid, &function);
    fab_space_function(sw, PDFID(PDFID_MODULE(pdfid), 0), &pf);
    int ari = fab_capability_find_ext(&function, EXT_CAP_ARI, 0);
    if (ari <= 0) return ari < 0 ? ari : -EOPNOTSUPP;
    rc = fab_space_set(&function, (uint32_t)ari + ARI_CONTROL, 2,
                       (GROUPS - 1) << ARI_CTL_GROUP_SHIFT, (uint32_t)group << ARI_CTL_GROUP_SHIFT);
    if (rc < 0) return rc;
    return fab_space_set(&pf, info.ari_offset + (uint32_t)ARI_CONTROL, 2, ARI_CTL_MFVC_GROUPS,
                         ARI_CTL_MFVC_GROUPS);
}

int fab_switch_function_group(fab_switch *sw, uint16_t pdfid, uint8_t group) {
    size_t mark;
    int rc = fab_undo_begin(sw, 2, &mark);
    return rc < 0 ? rc : fab_undo_end(sw, mark, set_group(sw, pdfid, group));
}
