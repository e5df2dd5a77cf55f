/* fabcore's public C API: rings, BARs, the switch driver, the emulated Resource Node.
 *
 * Caveats first.
 *  - A handle belongs to the process that opened it: after fork() the child must open its own.
 *  - Handles are not locked: one thread at a time per handle, unless a function says otherwise.
 *    (Bars of an emulated node may be used from several threads: the node locks itself.)
 *  - Each role in a ring is one process's: a second one-writer fab_ring_create, or a second
 * producer, on the same path fails with -EBUSY while the first lives. A writer of many and a client
 * of a request queue have a handle of their own. Readers never disturb a writer and can be lapped.
 *  - Owners are told by pid and start time: all users of a file see the same processes (one pid
 *    namespace; an emulated node's memory alone may also be opened from elsewhere), and a file on a
 *    network file system is not shared memory.
 *  - Register writes are posted. A read through the same bar pushes them, as PCIe does.
 *  - Files are created with mode 0600: whoever can write the BAR programs the switch.
 *
 * Functions return a count or 0, or -errno. Nothing here prints, aborts or allocates after open.
 */
#ifndef FABCORE_H
#define FABCORE_H

#include <stddef.h>
#include <stdint.h>

#include "fab_atomic.h"
#include "fab_bar.h"
#include "fab_control.h"
#include "fab_events.h"
#include "fab_index.h"
#include "fab_inline.h"
#include "fab_layout.h"
#include "fab_request.h"
#include "fab_ring.h"

#ifdef __cplusplus
extern "C" {
#endif

FAB_API uint32_t fab_layout(void); /* FAB_LAYOUT of the library */
FAB_API const char *fab_version(void);

/* ---- switch: the driver -------------------------------------------------------------------- */

typedef struct fab_switch fab_switch;

/* Takes the bar (does not own it). -ENODEV: gone, or its id reads all ones; -EPROTO: no Switchtec
 * device id. */
FAB_API int fab_switch_open(fab_bar *bar, fab_switch **out);
FAB_API void fab_switch_close(fab_switch *sw);
FAB_API fab_bar *fab_switch_bar(fab_switch *sw);

struct fab_switch_info {
    uint32_t device_id;
    uint32_t device_version;
    uint32_t fw_version;
    uint32_t generation; /* 4, 5, 6: from the ping, not the device id */
    uint32_t pax_id;
    uint32_t lanes;
    char product[25];
};
FAB_API int fab_switch_identify(fab_switch *sw, struct fab_switch_info *out);

/* One firmware command. command: 16-bit id; pax: -1 = this switch, else the PAX index it is sent
 * to. 0 done; -EREMOTEIO: *code is the firmware's return code; -ETIMEDOUT: still in progress after
 * timeout_ns (fab_switch_set_timeout, default 1 s); -EINTR interrupted; *code is then the mailbox's
 * status (1 in progress, 0 never taken up; 0x100); -ENODEV gone. One command at a time, of whatever
 * thread or process of this host: it waits for its turn as long as a command may take, then
 * -ETIMEDOUT and fab_switch_mailbox_holder says who did not let go (fab_switch_own: how they find
 * each other, and when they cannot). */
FAB_API int fab_switch_mrpc(fab_switch *sw, uint32_t command, int pax, const void *in,
                            size_t in_bytes, void *out, size_t out_bytes, uint32_t *code);
/* After any call on this switch that returned -EREMOTEIO: the firmware's return code; *command is
 * the id of the command that it refused. After -ETIMEDOUT or -EINTR: the mailbox's status, as
 * above; *command 0 = it was no firmware command that failed so. */
FAB_API uint32_t fab_switch_refusal(const fab_switch *sw, uint32_t *command);
/* The pid of the process that the last command waited for in vain; 0 = none: it was sent. */
FAB_API uint32_t fab_switch_mailbox_holder(const fab_switch *sw);
FAB_API void fab_switch_set_timeout(fab_switch *sw, uint64_t timeout_ns);

enum {
    FAB_PORT_UNUSED = 0,
    FAB_PORT_FABRIC = 1,
    FAB_PORT_MODULE = 2,
    FAB_PORT_HOST = 3,
    FAB_PORT_MANAGEMENT = 4
};

struct fab_port_info {
    uint8_t port;  /* physical id */
    uint8_t kind;  /* FAB_PORT_* */
    uint8_t index; /* module or host index; 0xFF = none */
    uint8_t pff;
    uint8_t cfg_lanes;
    uint8_t neg_lanes;
    uint8_t gen; /* negotiated rate */
    uint8_t up;
    uint8_t peer_switch; /* fabric ports: where the link ends; 0xFF = nowhere */
    uint8_t peer_port;
    uint16_t ltssm; /* major in the low byte, minor in the high byte */
    uint16_t
        phases; /* 32/64/128/256: the longest weighted round robin the egress offers, 0 = fixed */
    uint16_t vc_offset; /* of the Virtual Channel capability in config space, 0 = none */
};
/* Walks ports by register and firmware command; returns how many. */
FAB_API int fab_switch_ports(fab_switch *sw, struct fab_port_info *out, size_t max);
/* Fabric port toward each switch of the chassis (0xFF = itself or unreachable); returns how many
 * are stored: at most max, and none behind the last switch that can be reached. */
FAB_API int fab_switch_routes(fab_switch *sw, uint8_t *out, size_t max);

struct fab_port_counters {
    uint64_t time_us;
    uint64_t egress_posted, egress_completion, egress_nonposted; /* payload bytes, cumulative */
    uint64_t ingress_posted, ingress_completion, ingress_nonposted;
};
FAB_API int fab_switch_counters(fab_switch *sw, const uint8_t *ports, size_t n,
                                struct fab_port_counters *out);

/* Physical ports whose link state has changed since the last call (the LINK_STATE event of each
 * port's PFF, cleared here); a handful of register reads. Returns how many (at most max), or -errno
 * (-ENODEV: the switch has vanished). */
FAB_API int fab_switch_link_events(fab_switch *sw, uint8_t *ports, size_t max);

/* GFMS binding of one function to a host port's logical port. */
FAB_API int fab_switch_bind(fab_switch *sw, uint8_t host_switch, uint8_t host_port, uint8_t logical,
                            uint16_t pdfid);
FAB_API int fab_switch_unbind(fab_switch *sw, uint8_t host_switch, uint8_t host_port,
                              uint8_t logical, uint16_t pdfid);
enum { FAB_PORT_DISABLE = 0, FAB_PORT_ENABLE = 1, FAB_PORT_RETRAIN = 2, FAB_PORT_HOT_RESET = 3 };
FAB_API int fab_switch_port_control(fab_switch *sw, uint8_t port, uint8_t action);

/* Config space of a module function by firmware command 0x8E (at most 4 bytes an access). */
FAB_API int fab_switch_function_read(fab_switch *sw, uint16_t pdfid, uint16_t addr, uint8_t bytes,
                                     uint32_t *value);
FAB_API int fab_switch_function_write(fab_switch *sw, uint16_t pdfid, uint16_t addr, uint8_t bytes,
                                      uint32_t value);

enum { FAB_ARBITRATION_NONE = 0, FAB_ARBITRATION_MFVC = 1, FAB_ARBITRATION_SHAPER = 2 };
struct fab_function_info {
    uint16_t vendor, device;
    uint16_t total_vfs, num_vfs;
    uint16_t arbitration;        /* FAB_ARBITRATION_*: what this PF really offers */
    uint16_t arbitration_offset; /* of the MFVC capability or of the shaper's VSEC */
    uint16_t ari_offset;
    uint16_t groups; /* MFVC function groups */
    uint16_t phases; /* MFVC: longest table offered */
};
FAB_API int fab_switch_function_probe(fab_switch *sw, uint16_t pdfid,
                                      struct fab_function_info *out);
/* MFVC: puts a function (VF) into a function group, 0..7. */
FAB_API int fab_switch_function_group(fab_switch *sw, uint16_t pdfid, uint8_t group);
/* Per-VF shaper: committed and peak rate, B/s; rounded up to the device's unit; peak inf = none. */
FAB_API int fab_switch_function_shape(fab_switch *sw, uint16_t pdfid, double up_min,
                                      double down_min, double up_max, double down_max);

/* Arbitration tables by the specification's handshake: write what differs, set Load, wait for the
 * status bit, select the scheme if it changes, read back. On failure the old table is back in force
 * and the error is returned (-EIO read back differs, -ETIMEDOUT status bit never cleared).
 * Returns the number of register writes. entries[i] = ingress port id (port) or group (MFVC). */
FAB_API int64_t fab_switch_load_port_table(fab_switch *sw, uint8_t port, const uint8_t *entries,
                                           size_t phases);
FAB_API int fab_switch_port_table(fab_switch *sw, uint8_t port, uint8_t *entries,
                                  size_t max); /* -> phases in force, 0 = fixed */
FAB_API int64_t fab_switch_load_function_table(fab_switch *sw, uint16_t pdfid,
                                               const uint8_t *entries, size_t phases);
FAB_API int fab_switch_function_table(fab_switch *sw, uint16_t pdfid, uint8_t *entries, size_t max);

/* ---- switch: firmware and security ---- */

enum { /* kinds of partitions */
       FAB_FIRMWARE_MAP = 0,
       FAB_FIRMWARE_KEY = 1,
       FAB_FIRMWARE_RIOT = 2, /* Gen5 only */
       FAB_FIRMWARE_BL2 = 3,
       FAB_FIRMWARE_CFG = 4,
       FAB_FIRMWARE_IMG = 5,
       FAB_FIRMWARE_NVLOG = 6,
       FAB_FIRMWARE_CERT = 7,  /* Gen6 only */
       FAB_FIRMWARE_DEBUG = 8, /* Gen6 only */
       FAB_FIRMWARE_VENDOR = 9
};
#define FAB_FIRMWARE_MAX 32
struct fab_firmware_partition {
    uint8_t kind, index; /* FAB_FIRMWARE_*; which of that kind */
    uint8_t valid;       /* holds an image; else the fields behind read_only are 0 */
    uint8_t active;      /* runs after the next reset */
    uint8_t running;
    uint8_t read_only;
    uint8_t is_signed;
    uint8_t pad;
    uint32_t version; /* major << 24 | minor << 16 | build */
    uint32_t secure_version;
    uint32_t crc;
    uint32_t length; /* of the image, bytes */
    uint32_t start;  /* address in flash */
    uint32_t size;   /* of the partition, bytes */
    char text[16];   /* the version as the vendor prints it: 6.02 B0B0 */
    char name[17];   /* the image's own */
    char pad2[3];
};
/* Returns how many. -EOPNOTSUPP: Gen3. */
FAB_API int fab_switch_firmware_partitions(fab_switch *sw, struct fab_firmware_partition *out,
                                           size_t max);
/* 1, 2: a boot loader (it stopped before an image that it cannot use), 3: the main firmware. */
FAB_API int fab_switch_boot_phase(fab_switch *sw);

enum {
    FAB_FIRMWARE_KEEP = 1, /* do not make the image active */
    FAB_FIRMWARE_FORCE = 2 /* take over from a download that was never finished */
};
/* Told after each block; not 0 = stop (-ECANCELED; the next update needs FORCE). */
typedef int (*fab_firmware_progress)(void *context, size_t done, size_t total);
/* Sends an image file to the partition of its kind that does not run; it runs after a reset. What
 * runs is never touched. Refused before anything is sent: -ENOEXEC not an image, or not whole;
 * -EXDEV one of another generation; -EFBIG larger than its partition; -EACCES read-only; -EBUSY
 * another download is in progress. -EIO: the switch refused it or failed, *status is its download
 * status (fab_firmware_text); -ETIMEDOUT: it did not take a block within the timeout. */
FAB_API int fab_switch_firmware_update(fab_switch *sw, const void *image, size_t bytes,
                                       uint32_t flags, fab_firmware_progress progress,
                                       void *context, uint32_t *status);
FAB_API const char *fab_firmware_text(uint32_t status);
/* kinds: bits 1 << FAB_FIRMWARE_*, of KEY, RIOT, BL2, CFG, IMG: their other partition boots next.
 * -ENOEXEC: one of those holds no image (nothing changes); -EIO: read back as before. */
FAB_API int fab_switch_firmware_toggle(fab_switch *sw, uint32_t kinds);

enum {
    FAB_SECURE_UNINITIALIZED = 0, /* unsecured, no keys */
    FAB_SECURE_UNSECURED = 1,     /* initialised, unsecured */
    FAB_SECURE_SECURED = 2,       /* initialised: signed images only */
    FAB_SECURE_UNKNOWN = 0xFF     /* the firmware does not say (Gen6) */
};
enum { FAB_ATTESTATION_UNSUPPORTED = 0, FAB_ATTESTATION_NONE = 1, FAB_ATTESTATION_DICE = 2 };
struct fab_security {
    uint8_t serial[64]; /* as the firmware gives it: 4 bytes, Gen6 64 */
    uint32_t serial_bytes;
    uint32_t key_version; /* secure versions: an older image of that kind is not taken */
    uint32_t riot_version, bl2_version, main_version, unlock_version;
    uint8_t secure_state; /* FAB_SECURE_* */
    uint8_t attestation;  /* FAB_ATTESTATION_* */
    uint8_t debug_mode;
    uint8_t keys;             /* how many hashes follow */
    uint8_t key_hash[12][64]; /* of the public keys that an image may be signed with */
};
FAB_API int fab_switch_security(fab_switch *sw, struct fab_security *out);
/* ---- switch: the fabric's database (GFMS), on a PAX ------------------------------------------
 * Those that fill an array return how many there are, of which at most max are stored. -EOPNOTSUPP:
 * not a PAX; -EPROTO: the answer does not fit together. */
enum { FAB_GFMS_VF = 0, FAB_GFMS_PF = 1, FAB_GFMS_SRIOV_PF = 3 };
struct fab_gfms_function { /* behind a port of this switch */
    uint16_t pdfid;
    uint16_t function;
    uint8_t port; /* physical id of the port it is behind */
    uint8_t kind; /* FAB_GFMS_* */
    uint8_t vfs;
    uint8_t bound;
    uint8_t host_switch, host_port, logical; /* while bound */
    uint8_t bars;
    uint16_t vendor, device, subsystem_vendor, subsystem_device;
    uint32_t class_code;
    uint8_t bar_type[6]; /* the low bits of the BAR: 4 = 64 bits, 8 = prefetchable */
    uint8_t bar_log2[6]; /* of its bytes; 0 = none */
};
FAB_API int fab_switch_gfms_functions(fab_switch *sw, struct fab_gfms_function *out, size_t max);
struct fab_gfms_host {
    uint8_t hvd;
    uint8_t port;
    uint16_t hfid;
    uint16_t logical_ports;
    uint16_t bound; /* functions */
};
FAB_API int fab_switch_gfms_hosts(fab_switch *sw, struct fab_gfms_host *out, size_t max);
struct fab_gfms_binding {
    uint8_t hvd;
    uint8_t port;    /* the host's */
    uint8_t logical; /* what unbinds it */
    uint8_t slot;    /* its place among the functions of the logical port */
    uint16_t pdfid;
};
FAB_API int fab_switch_gfms_bindings(fab_switch *sw, struct fab_gfms_binding *out, size_t max);
struct fab_gfms_pax {
    uint8_t pax, ports, hosts, pad;
    uint16_t swfid, devices, functions;
    uint16_t fid[2], hfid[2], vdfid[2], pdfid[2];                /* first, last; 0xFFFF = none */
    uint64_t host_ports, module_ports, fabric_ports, free_ports; /* bit = physical id */
};
FAB_API int fab_switch_gfms_pax(fab_switch *sw, struct fab_gfms_pax *out);

enum {
    FAB_GFMS_HOST_UP = 0, /* u16 port */
    FAB_GFMS_HOST_DOWN = 1,
    FAB_GFMS_DEVICE_ADDED = 2, /* u16 port, u16 functions */
    FAB_GFMS_DEVICE_REMOVED = 3,
    FAB_GFMS_FABRIC_UP = 4,
    FAB_GFMS_FABRIC_DOWN = 5,
    FAB_GFMS_BOUND = 6, /* host: u8 switch, u8 port, u8 logical; u8 0, u16 pdfid, u16 0 */
    FAB_GFMS_UNBOUND = 7,
    FAB_GFMS_DATABASE_CHANGED = 8,
    FAB_GFMS_HVD_ENABLED = 9, /* u8 hvd, u8 port, u8 clock */
    FAB_GFMS_HVD_DISABLED = 10,
    FAB_GFMS_PORT_REMOVED = 11, /* u8 port */
    FAB_GFMS_PORT_ADDED = 12,
    FAB_GFMS_AER = 13 /* u16 port, u8 flags, u8 0, u32 status, u64 time (high first), u32[4] TLP */
};
struct fab_gfms_event {
    uint8_t code; /* FAB_GFMS_* */
    uint8_t sw;   /* where it happened */
    uint16_t bytes;
    uint8_t data[32];
};
/* The oldest events that the switch still has; reading takes none away. *left: how many follow;
 * *lost: older ones fell out (both may be NULL). */
FAB_API int fab_switch_gfms_events(fab_switch *sw, struct fab_gfms_event *out, size_t max,
                                   uint32_t *left, int *lost);
FAB_API int fab_switch_gfms_clear(fab_switch *sw);

/* ---- switch: the plan ---------------------------------------------------------------------- */

/* A plan names the tables that a tick may change; applying it changes all or none of them. */
enum { FAB_TARGET_PORT = 0, FAB_TARGET_FUNCTION = 1 };
struct fab_target {
    uint8_t kind;
    uint8_t sw;   /* index into the array of switches */
    uint8_t port; /* FAB_TARGET_PORT */
    uint8_t pad;
    uint16_t pdfid; /* FAB_TARGET_FUNCTION */
    uint16_t phases;
};
struct fab_plan_report {
    uint64_t writes;
    uint32_t loaded;     /* tables */
    int32_t failed;      /* index of the target that failed, -1 = none */
    int32_t error;       /* its -errno */
    int32_t rolled_back; /* tables restored; -1: the roll-back itself failed */
};
typedef struct fab_plan fab_plan;
FAB_API int fab_plan_open(fab_switch *const *switches, size_t n_switches,
                          const struct fab_target *targets, size_t n, fab_plan **out);
FAB_API void fab_plan_close(fab_plan *plan);
/* One per-VF shaper setting that a plan may carry (fab_switch_function_shape). */
struct fab_shape {
    uint8_t sw; /* index into the array of switches */
    uint8_t pad;
    uint16_t pdfid;
    uint32_t pad2;
    double up_min, down_min, up_max, down_max; /* B/s; max inf = none */
};
/* tables: n rows of 256 entries (row i valid for targets[i].phases); changed: n flags, only those
 * rows are looked at; shapes may be NULL when n_shapes is 0. 0 or -errno of the first failure,
 * after every table and shaper touched is back (report->failed: index of the target, or n + index
 * of the shape). Dwords that already hold what is wanted are not written. */
FAB_API int fab_plan_apply(fab_plan *plan, const uint8_t *tables, const uint8_t *changed,
                           const struct fab_shape *shapes, size_t n_shapes,
                           struct fab_plan_report *report);

/* ---- the functions' workload and counters (emulated nodes, in process or shared) ------------ */

/* Which function a VM owns. */
struct fab_function_map {
    uint32_t vm;      /* handle for the record */
    uint8_t sw;       /* index into bars */
    uint8_t port;     /* module port */
    uint8_t function; /* 0 = PF, 1.. = VFs */
    uint8_t pad;
};
FAB_API int fab_function_cell(fab_bar *bar, uint8_t port, uint8_t function,
                              struct fab_function_cell **out);
FAB_API int fab_function_offer(fab_bar *bar, uint8_t port, uint8_t function, double up,
                               double down);
FAB_API int fab_function_ceiling(fab_bar *bar, uint8_t port, uint8_t function, double up,
                                 double down);
/* One record per map entry from the functions' counters, FAB_SOURCE_NODE; returns n. */
FAB_API int64_t fab_function_records(fab_bar *const *bars, size_t n_bars,
                                     const struct fab_function_map *map, size_t n, uint64_t time_ns,
                                     struct fab_record *out);

/* ---- the emulated Resource Node ------------------------------------------------------------ */

/* TLP payload that a link carries, B/s per direction, as fabcore.pcie.payload_rate: gen 1..6, lanes
 * 1..16, mps and mrrs powers of two from 128 to 4096. 0 = there is no such link. */
enum { FAB_TRANSFER_WRITE = 0, FAB_TRANSFER_READ = 1 };
FAB_API double fab_payload_rate(unsigned gen, unsigned lanes, uint32_t mps, uint32_t mrrs,
                                int kind);

#define FAB_MAX_SWITCHES 16
#define FAB_MAX_PORTS 60

struct fab_node_port {
    uint8_t sw, port, kind, index;  /* FAB_PORT_*; index = module or host */
    uint8_t gen, cfg_lanes, lanes;  /* lanes: width of the link (first group of the layout) */
    uint8_t peer_switch, peer_port; /* fabric; 0xFF = unconnected */
    uint8_t pad;
    uint16_t phases;
    double capacity; /* B/s of TLP payload per direction */
};
struct fab_node_module {
    uint8_t arbitration; /* FAB_ARBITRATION_* */
    uint8_t vfs;
    uint16_t supply_w;
};
struct fab_node_config {
    uint32_t switches;
    uint32_t ports;
    uint32_t mps, mrrs;
    uint64_t seed;
    uint32_t device_id[FAB_MAX_SWITCHES];
    uint8_t route[FAB_MAX_SWITCHES][FAB_MAX_SWITCHES];  /* [from][to] = fabric port, 0xFF none */
    struct fab_node_module modules[FAB_SWITCH_MODULES]; /* by module index */
    char name[64];
    uint32_t secure_state; /* FAB_SECURE_*, of every switch */
    uint32_t pad;
};
typedef struct fab_node fab_node;

/* shm: NULL = private memory; else the directory /dev/shm/<shm>/ with one file per switch.
 * -EBUSY: a live node holds the name; -EPROTO: held by another layout; -EEXIST: something else is
 * there. A dead node's files of the same layout are taken over. */
FAB_API int fab_node_create(const struct fab_node_config *config, const struct fab_node_port *ports,
                            const char *shm, fab_node **out);
FAB_API void fab_node_close(fab_node *node);              /* stops the thread, removes the files */
FAB_API fab_bar *fab_node_bar(fab_node *node, size_t sw); /* trapped, owned by the node */
/* Virtual time: moves traffic for `seconds` in steps of at most step_s (fab_node_set_step, 1 ms).
 * -EBUSY while the real-time thread runs. */
FAB_API int fab_node_advance(fab_node *node, double seconds);
FAB_API int fab_node_set_step(fab_node *node, double step_s);
FAB_API int fab_node_set_drop(fab_node *node,
                              int drop); /* 1: load not carried in its step is dropped */
/* How traffic is computed: by rates (the default), or one TLP after the other, which costs wall
 * time for every TLP, too much for real time. What waits or is under way goes on. -EINVAL: no such
 * mode, -EBUSY: TLPs while the real-time thread runs, or fab_node_start while TLPs do. */
enum { FAB_TRAFFIC_FLUID = 0, FAB_TRAFFIC_TLP = 1 };
FAB_API int fab_node_set_mode(fab_node *node, int mode);
FAB_API int fab_node_start(
    fab_node *node); /* real time: a thread moves traffic and serves posted writes */
FAB_API int fab_node_stop(fab_node *node);
FAB_API uint64_t fab_node_time_ns(const fab_node *node);
/* 4096 bytes; function -1 = the switch port itself. -ENOENT no such switch, port or function. */
FAB_API int fab_node_config_space(fab_node *node, size_t sw, uint8_t port, int function,
                                  uint8_t *out);

/* A module's slot, power and heat. -ENOENT: no such module. */
struct fab_module_state {
    uint8_t present, powered, link_up; /* powered: there, switched on, its supply good */
    uint8_t neg_lanes, neg_gen;        /* 0 while the link is down */
    uint8_t pad[3];
    double draw_w; /* from its supply */
    double fan_rpm;
    double temperature_c;
    double throttle; /* share of its link that it takes: 1, or less while it is too hot */
};
FAB_API int fab_node_module_state(fab_node *node, unsigned module, struct fab_module_state *out);

/* Faults on demand; `count` means what each says. Durations are in virtual microseconds. */
enum {
    FAB_FAULT_LINK_DOWN = 1, /* port: link down until FAB_FAULT_LINK_UP */
    FAB_FAULT_LINK_UP = 2,
    FAB_FAULT_MRPC_STUCK = 3, /* the next `count` commands never complete */
    FAB_FAULT_VC_STUCK = 4,   /* port: the next `count` table loads never clear their status bit */
    FAB_FAULT_TORN_WRITE = 5, /* port: the next `count` table dword writes are lost */
    FAB_FAULT_GONE = 6,       /* the switch vanishes: accesses are -ENODEV */
    FAB_FAULT_BACK = 7,
    FAB_FAULT_LINK_FLAP = 8, /* port: the link goes down and trains again, `count` times */
    FAB_FAULT_WIDTH = 9,     /* port: trains to at most `count` lanes; 0 = the fault is over */
    FAB_FAULT_SPEED = 10,    /* port: trains to at most generation `count`; 0 = over */
    FAB_FAULT_REMOVED = 11,  /* module port: the module is pulled without notice */
    FAB_FAULT_INSERTED = 12, /* module port: and put back */
    FAB_FAULT_MRPC_INTERRUPTED = 13, /* the next `count` commands end as interrupted (0x100) */
    FAB_FAULT_ALL_ONES = 14,         /* port: its registers read as all ones for `count` us */
    FAB_FAULT_CORRECTABLE = 15, /* port: an error of that severity; count = bit in the AER status */
    FAB_FAULT_NONFATAL = 16,
    FAB_FAULT_FATAL = 17,
    FAB_FAULT_HEAT = 18,          /* module port: `count` W of heat beside its load; 0 = over */
    FAB_FAULT_EVENT_LOST = 19,    /* the next `count` events are neither marked nor told */
    FAB_FAULT_FIRMWARE_TORN = 20, /* the next `count` blocks of a firmware update are lost */
    FAB_FAULT_RESET = 21,         /* the switch resets by itself */
    FAB_FAULT_SUPPLY_LOST = 22,   /* module port: its supply fails */
    FAB_FAULT_SUPPLY_BACK = 23
};
/* -EINVAL no such fault or count, -ENOENT no such switch or port (or no module's), -ENOLINK the
 * module that would report the error is not linked. */
FAB_API int fab_node_fault(fab_node *node, size_t sw, int fault, uint8_t port, uint32_t count);
/* The same when the node's time since its creation (fab_node_moved_ns) reaches at_ns, exactly,
 * also in the middle of a step; at once if it has. -ENOSPC: 1024 are waiting already. */
FAB_API int fab_node_fault_at(fab_node *node, uint64_t at_ns, size_t sw, int fault, uint8_t port,
                              uint32_t count);
/* Time moved since creation: the virtual time, or in real time what the thread has moved. */
FAB_API uint64_t fab_node_moved_ns(fab_node *node);

/* A switch as a PCI device for a guest: serves it over vfio-user at a Unix socket, one client at a
 * time, the next when that one leaves. BAR 0 is the register file, trapped; events interrupt by
 * MSI-X vector 0, and MRPC completes by DMA with vector 1 if the guest asks for it (the client must
 * share the guest's memory as a file). Close it before the node. A forked child closes its copy
 * without harm. -ENOENT no such switch; -EALREADY it is served already; -EBUSY a live server holds
 * the socket (a dead one's is replaced); -EEXIST something else is there. */
struct fab_vfio_user_options {
    uint8_t multifunction; /* the header says so: it is a function of an upstream port's device */
    uint8_t no_dma;        /* MRPC by DMA is not offered */
};
typedef struct fab_vfio_user fab_vfio_user;
FAB_API int fab_vfio_user_open(fab_node *node, size_t sw, const char *path,
                               const struct fab_vfio_user_options *options, fab_vfio_user **out);
FAB_API void fab_vfio_user_close(fab_vfio_user *server);
/* The vendor's management protocol over TCP: switch k of the node on `address` + k (numeric IPv4),
 * port FAB_ETHERNET_PORT by that protocol, 0 = any free one. One thread serves all clients until
 * close, which comes before fab_node_close (a forked child's close leaves the parent's be). The
 * protocol has neither authentication nor encryption: who can connect programs the switches. While
 * a switch is gone its connections are closed and new ones rejected. -EINVAL: no numeric IPv4
 * address; -EPERM: not a loopback address, and FAB_ETHERNET_ANYWHERE is not set; -ERANGE: address +
 * k leaves the network; else what the system says of switch *failed's address (-EADDRINUSE,
 * -EADDRNOTAVAIL). Nothing listens unless 0. */
#define FAB_ETHERNET_PORT 54545
enum { FAB_ETHERNET_ANYWHERE = 1 };
struct fab_ethernet_counters {
    uint64_t connections; /* taken so far */
    uint64_t open;        /* now */
    uint64_t refused;     /* opens rejected, connections without room */
    uint64_t malformed;   /* closed because of what they sent */
    uint64_t commands;    /* requests served */
    uint64_t events;      /* pushed to event channels */
};
typedef struct fab_ethernet fab_ethernet;
FAB_API int fab_ethernet_open(fab_node *node, const char *address, uint16_t port, unsigned flags,
                              fab_ethernet **out, size_t *failed);
FAB_API void fab_ethernet_close(fab_ethernet *e);
FAB_API int fab_ethernet_port(const fab_ethernet *e, size_t sw); /* -ENOENT: no such switch */
/* From any thread. */
FAB_API void fab_ethernet_counters(const fab_ethernet *e, struct fab_ethernet_counters *out);

#ifdef __cplusplus
}
#endif
#endif
