/* The map: register offsets, firmware commands and capability fields that the driver writes and the
 * emulated node answers. Sources: the vendor's public user library (Microsemi/switchtec-user 4.5,
 * MIT) for GAS and MRPC; PCI Express Base Specification 5.0 for config space. "modelled" marks what
 * is this project's own assumption (docs/registers.md).
 */
#ifndef FAB_REGS_H
#define FAB_REGS_H

#include <stdint.h>

#define VC_ENABLE (UINT32_C(1) << 31) /* in VC0_CONTROL */

/* GAS: BAR0 */
enum {
    GAS_MRPC_IN = 0x0,
    GAS_MRPC_OUT = 0x400,
    GAS_MRPC_BYTES = 0x400,
    GAS_MRPC_CMD = 0x800, /* u32, write = doorbell */
    GAS_MRPC_STATUS = 0x804,
    GAS_MRPC_RETURN = 0x808,
    GAS_MRPC_DMA_EN = 0x80C,   /* bit 0 */
    GAS_MRPC_DMA_ADDR = 0x810, /* u64 */
    GAS_MRPC_DMA_VECTOR = 0x818,
    GAS_MRPC_DMA_VER = 0x81C,
    GAS_BIFUR_VALID = 0x1000,
    GAS_STACK_VALID = 0x1001, /* u8[6] */
    GAS_PARTITION_COUNT = 0x1007,
    GAS_PARTITION_ID = 0x1008,
    GAS_PFF_COUNT = 0x1009,
    GAS_PFF_PORT = 0x100A,         /* u8[255]: physical port of each PFF */
    GAS_EVENT_PARTITIONS = 0x1810, /* u64 */
    GAS_EVENT_GLOBAL = 0x1820,
    GAS_DEVICE_ID = 0x2000,
    GAS_DEVICE_VERSION = 0x2004,
    GAS_FW_VERSION = 0x2008,
    GAS_GEN4_PARTITION_ID = 0x2048, /* u8, the layout the Linux driver reads */
    GAS_GEN4_VENDOR = 0x213C,       /* char[8] */
    GAS_GEN4_PRODUCT = 0x2144,      /* char[24] */
    GAS_GEN4_REVISION = 0x215C,     /* char[2] */
    GAS_GEN3_VENDOR = 0x2108,       /* char[8], the layout the user library reads */
    GAS_GEN3_PRODUCT = 0x2110,      /* char[16] */
    GAS_GEN3_REVISION = 0x2120,     /* char[4] */
    GAS_PART_CFG = 0x4000,          /* + 0x400 * partition */
    GAS_PART_STRIDE = 0x400,
    GAS_NTB_PARTITION_COUNT = 0x10000, /* u8 */
    GAS_FLUSH = 0x75000,               /* any read pushes posted writes */
    GAS_PFF = 0x134000,                /* + 0x1000 * pff */
    GAS_PFF_STRIDE = 0x1000,
    GAS_PFF_MAX = 255,
    PFF_CONFIG_BYTES = 0x800, /* config bytes shown in the window */
    PFF_EVENT_SUMMARY = 0xC00,
    PFF_EVENT_HEADERS = 0xC10, /* + 0x18 * k */
    PFF_EVENT_STRIDE = 0x18
};
enum {
    PART_USP_PFF = 0x10,
    PART_VEP_PFF = 0x14,
    PART_DSP_PFF = 0x18,
    PART_VEP_VECTOR = 0x100, /* u16: interrupt vector of events */
    PART_USP_VECTOR = 0x102, /* u16 */
    PART_EVENT_SUMMARY = 0x114,
    PART_EVENT_HEADERS = 0x124, /* + 0x18 * k */
    PART_EVENTS = 5,
    GLOBAL_EVENT_HEADERS = 0x1830, /* + 0x18 * k */
    GLOBAL_EVENTS = 14,
    PFF_EVENTS = 13
};
/* Events by their k: of the whole switch, of a partition, of a PFF. */
enum {
    GLOBAL_STACK_ERROR = 0,
    GLOBAL_PPU_ERROR = 1,
    GLOBAL_ISP_ERROR = 2,
    GLOBAL_SYS_RESET = 3,
    GLOBAL_FW_EXC = 4,
    GLOBAL_FW_NMI = 5,
    GLOBAL_FW_NON_FATAL = 6,
    GLOBAL_FW_FATAL = 7,
    GLOBAL_TWI_MRPC_COMP = 8,
    GLOBAL_TWI_MRPC_COMP_ASYNC = 9,
    GLOBAL_CLI_MRPC_COMP = 10,
    GLOBAL_CLI_MRPC_COMP_ASYNC = 11,
    GLOBAL_GPIO_INT = 12,
    GLOBAL_GFMS = 13
};
enum {
    PART_RESET = 0,
    PART_MRPC_COMP = 1,
    PART_MRPC_COMP_ASYNC = 2,
    PART_DYN_BIND_COMP = 3,
    PART_INTERCOMM_NOTIFY = 4
};
enum {
    PFF_AER_IN_P2P = 0,
    PFF_AER_IN_VEP = 1,
    PFF_DPC = 2,
    PFF_CTS = 3,
    PFF_UEC = 4,
    PFF_HOTPLUG = 5,
    PFF_IER = 6,
    PFF_THRESH = 7,
    PFF_POWER_MGMT = 8,
    PFF_TLP_THROTTLING = 9,
    PFF_FORCE_SPEED = 10,
    PFF_CREDIT_TIMEOUT = 11,
    PFF_LINK_STATE = 12
};
#define PFF_NONE UINT32_C(0xFFFFFFFF)
enum { EVENT_OCCURRED = 1, EVENT_EN_LOG = 2, EVENT_EN_CLI = 4, EVENT_EN_IRQ = 8, EVENT_FATAL = 16 };
#define EVENT_ENABLES (EVENT_EN_LOG | EVENT_EN_CLI | EVENT_EN_IRQ | EVENT_FATAL)
#define EVENT_COUNT_SHIFT 5 /* 8 bits */
#define EVENT_COUNT_MASK (0xFFu << EVENT_COUNT_SHIFT)
#define EVENT_NOT_SUPPORTED (UINT32_C(1) << 31)
#define EVENT_DATA_WORDS 5 /* behind the header */

enum { MRPC_IN_PROGRESS = 1, MRPC_DONE = 2, MRPC_ERROR = 0xFF, MRPC_INTERRUPTED = 0x100 };
#define MRPC_PAX_SHIFT 18
#define MRPC_PAX_MASK 0x1Fu
#define MRPC_PAX_LOCAL 0x1Fu

enum {
    MRPC_PORT_COUNTERS = 0x07, /* sub COUNTERS_* */
    MRPC_TEMPERATURE = 0x04,   /* sub 4: u32[4] centi-degC */
    MRPC_STACK_BIF = 0x0B,     /* sub 0 get, 1 set: {sub, stack, 0, 0, u32 code} both ways */
    MRPC_RESET = 0x1B,         /* u32 0 */
    MRPC_LINK_STATUS = 0x1C,   /* u64 bitmap (0 = all) -> 60 records of 12 bytes */
    MRPC_GAS_READ = 0x29,      /* u32 offset, u32 bytes <= 512 -> bytes */
    MRPC_GAS_WRITE = 0x34,     /* u32 offset, u32 bytes <= 1016, data */
    MRPC_ECHO = 0x41,          /* u32 -> ~u32 */
    MRPC_PAX_ID = 0x81,
    MRPC_TOPOLOGY = 0x82,    /* sub 1 start, 2 status, 5 data, 4 finish */
    MRPC_GFMS_DUMP = 0x83,   /* sub 4: FAB_PORT */
    MRPC_GFMS_BIND = 0x84,   /* sub 1 bind, 2 unbind */
    MRPC_PORT_CONFIG = 0x88, /* sub 1 show */
    MRPC_GFMS_EVENT = 0x89,  /* sub 0 clear, 1 get */
    MRPC_PORT_CONTROL = 0x8D,
    MRPC_FUNCTION_ACCESS = 0x8E, /* config space of a module's function */
    MRPC_PORT_BIND = 0x0C,       /* sub 0 bind, 1 unbind, 2 info */
    MRPC_PING = 0x100
};
/* Sub-commands, states and values that both sides of the mailbox name. */
enum {
    COUNTERS_SETUP_EVENT = 0, /* of MRPC_PORT_COUNTERS */
    COUNTERS_GET = 1,
    COUNTERS_EVENT = 2,
    COUNTERS_EVENT_SETUP = 3,
    COUNTERS_SETUP_LATENCY = 4,
    COUNTERS_LATENCY = 6,
    COUNTERS_SET_TYPE = 12,
    TOPOLOGY_START = 1, /* of MRPC_TOPOLOGY */
    TOPOLOGY_STATUS = 2,
    TOPOLOGY_DATA_GEN4 = 3,
    TOPOLOGY_FINISH = 4,
    TOPOLOGY_DATA = 5,
    TOPOLOGY_NOT_STARTED = 1, /* what its status answers */
    TOPOLOGY_WAITING = 2,
    TOPOLOGY_READY = 3,
    GFMS_FABRIC = 0, /* of MRPC_GFMS_DUMP, and the classes of its sections */
    GFMS_PAX_ALL = 1,
    GFMS_PAX = 2,
    GFMS_HVD = 3,
    GFMS_FAB_PORT = 4,
    GFMS_EP_PORT = 5,
    GFMS_HVD_DETAIL = 6,
    GFMS_SECTION_HEAD = 12, /* bytes: class, switch, fabric id, dwords */
    GFMS_START = 1,         /* of reading a long section in pieces */
    GFMS_GET = 2,
    GFMS_FINISH = 3,
    GFMS_PIECE_HEAD = 12, /* bytes */
    GFMS_PAX_BYTES = 80,  /* the section of one PAX */
    NOT_ATTACHED = 0xFF   /* the other end of a fabric port without a link */
};
enum { PORT_CONFIG_UNUSED = 0, PORT_CONFIG_FABRIC = 1, PORT_CONFIG_EP = 2, PORT_CONFIG_HOST = 3 };
enum {
    MRPC_ERR_SUBCOMMAND = 0x64004,
    MRPC_ERR_COMMAND = 0x64005,
    MRPC_ERR_PARAMETER = 0x64006,
    MRPC_ERR_STATE = 0x64007,
    MRPC_ERR_DENIED = 0x64010,
    MRPC_ERR_STACK = 0x100001,
    MRPC_ERR_PORT = 0x100002,
    MRPC_ERR_EVENT = 0x100003
};
#define LTSSM_L0 0x0103     /* minor << 8 | major as the tool prints it: L0 (L0) */
#define LTSSM_DETECT 0x0000 /* Detect (INACTIVE) */
#define LTSSM_DISABLE 0x0105

#define PFF_VENDOR 0x11F8

/* Config space, offsets from the start of the capability */
enum {
    EXT_CAP_VC = 0x0002,
    EXT_CAP_MFVC = 0x0008,
    EXT_CAP_VC_MFVC = 0x0009,
    EXT_CAP_VSEC = 0x000B,
    EXT_CAP_ARI = 0x000E,
    EXT_CAP_SRIOV = 0x0010,
    CAP_PCIE = 0x10
};
enum { EXT_CAP_ACS = 0x000D, ACS_CAP = 0x04, ACS_CTRL = 0x06 }; /* both u16 */
/* PCI Express capability */
enum {
    PCIE_FLAGS = 0x02, /* u16, [7:4] port type */
    PCIE_TYPE_ENDPOINT = 0,
    PCIE_TYPE_ROOT = 4,
    PCIE_TYPE_UPSTREAM = 5,
    PCIE_TYPE_DOWNSTREAM = 6,
    PCIE_LINK_CAP = 0x0C,
    PCIE_LINK_CONTROL = 0x10,  /* u16 */
    PCIE_LINK_STATUS = 0x12,   /* u16 */
    PCIE_LINK_CAP2 = 0x2C,     /* [7:1] supported speeds */
    PCIE_LINK_CONTROL2 = 0x30, /* u16, [3:0] target speed */
    LINK_CAP_TELLS_ACTIVE = 1 << 20,
    LINK_DISABLE = 1 << 4,
    LINK_RETRAIN = 1 << 5,
    LINK_TRAINING = 1 << 11,
    LINK_ACTIVE = 1 << 13
};
enum {
    VC_CAP1 = 0x04,
    VC_CAP2 = 0x08,
    VC_CONTROL = 0x0C, /* u16 */
    VC_STATUS = 0x0E,  /* u16 */
    VC0_CAP = 0x10,
    VC0_CONTROL = 0x14,
    VC0_STATUS = 0x1A,                  /* u16 */
    VC_LOAD_PORT_TABLE = 1 << 16,       /* in VC0_CONTROL, reads 0 */
    VC_SELECT_SHIFT = 17,               /* in VC0_CONTROL, 3 bits */
    VC_PORT_TABLE_STATUS = 1 << 0,      /* in VC0_STATUS; the VC arbitration table's in VC_STATUS */
    VC_STRIDE = 12,                     /* from one channel's registers to the next one's */
    VC_NEGOTIATION_PENDING = 1 << 1,    /* in VCn status */
    VC_ID_SHIFT = 24,                   /* in VCn control, 3 bits */
    VC_LOAD_ARBITRATION_TABLE = 1 << 0, /* in VC_CONTROL, reads 0 */
    VC_ARBITRATION_SHIFT = 1,           /* in VC_CONTROL, 3 bits */
    VC_ARBITRATION_MASK = 7 << 1,
    VC_ARB_FIXED = 0, /* bit numbers in VC0_CAP[7:0] = values of the select field */
    VC_ARB_WRR32 = 1,
    VC_ARB_WRR64 = 2,
    VC_ARB_WRR128 = 3,
    VC_ARB_WRR256 = 5
};
enum { ARI_CONTROL = 0x06, ARI_CTL_MFVC_GROUPS = 1 << 0, ARI_CTL_GROUP_SHIFT = 4 };
enum {
    SRIOV_CONTROL = 0x08,
    SRIOV_INITIAL_VFS = 0x0C,
    SRIOV_TOTAL_VFS = 0x0E,
    SRIOV_NUM_VFS = 0x10
};

/* modelled: the per-VF shaper of an emulated module, a vendor-specific extended capability in the
 * PF. +0x04 VSEC header (id, revision, length), +0x08 u32 unit in B/s, +0x0C u32 entries, +0x10 +
 * 16 * function: u32 up_min, down_min, up_max, down_max in units; max 0 = no ceiling. */
enum {
    VSEC_HEADER = 0x04,
    SHAPER_VSEC_ID = 0xFAB1,
    SHAPER_UNIT = 0x08,
    SHAPER_ENTRIES = 0x0C,
    SHAPER_TABLE = 0x10,
    SHAPER_STRIDE = 16
};

/* modelled: fabric-wide function id */
#define PDFID(module, function) ((uint16_t)(((module) << 6) | (function)))
#define PDFID_MODULE(pdfid) ((pdfid) >> 6)
#define PDFID_FUNCTION(pdfid) ((pdfid) & 63)

#endif
