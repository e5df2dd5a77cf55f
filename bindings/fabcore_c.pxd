# The C API for Cython, as csrc/include/fabcore.h declares it: what _core wraps, and embedders cimport.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "fabcore.h" nogil:
    const char *fab_version()
    uint32_t fab_layout()

    cdef struct fab_record:
        uint64_t seq
        uint64_t time_ns
        uint32_t vm
        uint16_t source
        uint16_t flags
        uint64_t up_bytes
        uint64_t down_bytes
        uint64_t up_backlog
        uint64_t down_backlog
        uint64_t aux

    ctypedef struct fab_ring:
        pass
    ctypedef struct fab_reader:
        pass
    enum: FAB_ONE_WRITER
    enum: FAB_MANY_WRITERS
    int fab_ring_create(const char *path, uint64_t capacity, size_t record_bytes, int writers,
                        fab_ring **out)
    int fab_ring_open(const char *path, fab_ring **out)
    void fab_ring_close(fab_ring *ring)
    uint64_t fab_ring_capacity(const fab_ring *ring)
    size_t fab_ring_record_bytes(const fab_ring *ring)
    int fab_ring_writers(const fab_ring *ring)
    uint64_t fab_ring_published(const fab_ring *ring)
    uint64_t fab_ring_dropped(const fab_ring *ring)
    int64_t fab_ring_publish(fab_ring *ring, const void *records, size_t n)
    int fab_reader_open(fab_ring *ring, int start, fab_reader **out)
    void fab_reader_close(fab_reader *reader)
    int64_t fab_reader_read(fab_reader *reader, void *out, size_t max)
    uint64_t fab_reader_lost(const fab_reader *reader)
    uint64_t fab_reader_position(const fab_reader *reader)

    enum: FAB_PRODUCER
    enum: FAB_CONSUMER
    ctypedef struct fab_index:
        char *elements
    int fab_index_create(const char *path, uint64_t capacity, size_t element_bytes, int role,
                         fab_index **out)
    int fab_index_open(const char *path, int role, fab_index **out)
    void fab_index_close(fab_index *ring)
    uint64_t fab_index_capacity(const fab_index *ring)
    size_t fab_index_element_bytes(const fab_index *ring)
    uint64_t fab_index_published(const fab_index *ring)
    uint64_t fab_index_released(const fab_index *ring)
    int fab_index_other_alive(const fab_index *ring)
    int64_t fab_index_claim(fab_index *ring, size_t n, void **run)
    int64_t fab_index_publish(fab_index *ring, size_t n)
    int64_t fab_index_peek(fab_index *ring, size_t n, void **run)
    int64_t fab_index_release(fab_index *ring, size_t n)
    int64_t fab_index_push(fab_index *ring, const void *elements, size_t n)
    int64_t fab_index_pop(fab_index *ring, void *elements, size_t n)

    enum: FAB_REQUEST_SLOTS
    ctypedef struct fab_request_queue:
        pass
    int fab_request_create(const char *path, uint64_t slots, size_t request_bytes,
                           size_t reply_bytes, fab_request_queue **out)
    int fab_request_open(const char *path, fab_request_queue **out)
    void fab_request_close(fab_request_queue *queue)
    size_t fab_request_bytes(const fab_request_queue *queue)
    size_t fab_reply_bytes(const fab_request_queue *queue)
    int64_t fab_request_call(fab_request_queue *queue, const void *request, size_t bytes,
                             void *reply, size_t max, uint64_t timeout_ns)
    int fab_request_wait(fab_request_queue *queue, uint64_t timeout_ns)
    int64_t fab_request_take(fab_request_queue *queue, void *request, uint64_t *ticket,
                             uint64_t *pid)
    int fab_request_reply(fab_request_queue *queue, uint64_t ticket, const void *reply,
                          int64_t bytes)

    ctypedef struct fab_bar:
        pass
    cdef struct fab_bar_page:
        uint32_t state
        uint32_t realtime
        uint32_t switch_index
        uint32_t switch_count
        uint64_t time_ns
        uint64_t steps
    int fab_bar_open(const char *target, fab_bar **out)
    int fab_bar_open_wc(const char *target, fab_bar **out)
    int fab_bar_from_buffer(void *base, size_t bytes, fab_bar **out)
    void fab_bar_close(fab_bar *bar)
    size_t fab_bar_bytes(const fab_bar *bar)
    fab_bar_page *fab_bar_page_of "fab_bar_page"(const fab_bar *bar)
    int fab_bar_read8(fab_bar *bar, uint64_t off, uint8_t *value)
    int fab_bar_read16(fab_bar *bar, uint64_t off, uint16_t *value)
    int fab_bar_read32(fab_bar *bar, uint64_t off, uint32_t *value)
    int fab_bar_read64(fab_bar *bar, uint64_t off, uint64_t *value)
    int fab_bar_write8(fab_bar *bar, uint64_t off, uint8_t value)
    int fab_bar_write16(fab_bar *bar, uint64_t off, uint16_t value)
    int fab_bar_write32(fab_bar *bar, uint64_t off, uint32_t value)
    int fab_bar_write64(fab_bar *bar, uint64_t off, uint64_t value)
    int fab_bar_read_block(fab_bar *bar, uint64_t off, void *out, size_t bytes)
    int fab_bar_write_block(fab_bar *bar, uint64_t off, const void *data, size_t bytes)
    int fab_bar_flush(fab_bar *bar)
    uint64_t fab_bar_writes(const fab_bar *bar)
    int fab_bar_gone(fab_bar *bar)
    int fab_bar_interrupts(fab_bar *bar, const int *events, size_t n)

    ctypedef struct fab_switch:
        pass
    cdef struct fab_switch_info:
        uint32_t device_id
        uint32_t device_version
        uint32_t fw_version
        uint32_t generation
        uint32_t pax_id
        uint32_t lanes
        char product[25]
    cdef struct fab_port_info:
        uint8_t port
        uint8_t kind
        uint8_t index
        uint8_t pff
        uint8_t cfg_lanes
        uint8_t neg_lanes
        uint8_t gen
        uint8_t up
        uint8_t peer_switch
        uint8_t peer_port
        uint16_t ltssm
        uint16_t phases
        uint16_t vc_offset
    cdef struct fab_port_counters:
        uint64_t time_us
        uint64_t egress_posted
        uint64_t egress_completion
        uint64_t egress_nonposted
        uint64_t ingress_posted
        uint64_t ingress_completion
        uint64_t ingress_nonposted
    cdef struct fab_function_info:
        uint16_t vendor
        uint16_t device
        uint16_t total_vfs
        uint16_t num_vfs
        uint16_t arbitration
        uint16_t arbitration_offset
        uint16_t ari_offset
        uint16_t groups
        uint16_t phases
    int fab_switch_open(fab_bar *bar, fab_switch **out)
    void fab_switch_close(fab_switch *sw)
    int fab_switch_identify(fab_switch *sw, fab_switch_info *out)
    int fab_switch_mrpc(fab_switch *sw, uint32_t command, int pax, const void *data,
                        size_t in_bytes, void *out, size_t out_bytes, uint32_t *code)
    uint32_t fab_switch_refusal(const fab_switch *sw, uint32_t *command)
    uint32_t fab_switch_mailbox_holder(const fab_switch *sw)
    void fab_switch_set_timeout(fab_switch *sw, uint64_t timeout_ns)
    int fab_switch_ports(fab_switch *sw, fab_port_info *out, size_t max)
    int fab_switch_routes(fab_switch *sw, uint8_t *out, size_t max)
    int fab_switch_counters(fab_switch *sw, const uint8_t *ports, size_t n,
                            fab_port_counters *out)
    int fab_switch_link_events(fab_switch *sw, uint8_t *ports, size_t max)
    int fab_switch_bind(fab_switch *sw, uint8_t host_switch, uint8_t host_port, uint8_t logical,
                        uint16_t pdfid)
    int fab_switch_unbind(fab_switch *sw, uint8_t host_switch, uint8_t host_port, uint8_t logical,
                          uint16_t pdfid)
    int fab_switch_port_control(fab_switch *sw, uint8_t port, uint8_t action)
    int fab_switch_function_read(fab_switch *sw, uint16_t pdfid, uint16_t addr, uint8_t bytes,
                                 uint32_t *value)
    int fab_switch_function_write(fab_switch *sw, uint16_t pdfid, uint16_t addr, uint8_t bytes,
                                  uint32_t value)
    int fab_switch_function_probe(fab_switch *sw, uint16_t pdfid, fab_function_info *out)
    int fab_switch_function_group(fab_switch *sw, uint16_t pdfid, uint8_t group)
    int fab_switch_function_shape(fab_switch *sw, uint16_t pdfid, double up_min, double down_min,
                                  double up_max, double down_max)
    int64_t fab_switch_load_port_table(fab_switch *sw, uint8_t port, const uint8_t *entries,
                                       size_t phases)
    int fab_switch_port_table(fab_switch *sw, uint8_t port, uint8_t *entries, size_t max)
    int64_t fab_switch_load_function_table(fab_switch *sw, uint16_t pdfid,
                                           const uint8_t *entries, size_t phases)
    int fab_switch_function_table(fab_switch *sw, uint16_t pdfid, uint8_t *entries, size_t max)

    enum: FAB_AT_FUNCTION
    enum: FAB_MAX_VCS
    enum: FAB_STACK_PORTS
    enum: FAB_OWNER_NAME
    enum: FAB_ACS_SOURCE_VALIDATION
    enum: FAB_ACS_TRANSLATION_BLOCKING
    enum: FAB_ACS_REQUEST_REDIRECT
    enum: FAB_ACS_COMPLETION_REDIRECT
    enum: FAB_ACS_UPSTREAM_FORWARDING
    cdef struct fab_capability:
        uint16_t id
        uint16_t offset
        uint8_t version
        uint8_t extended
    cdef struct fab_vc:
        uint8_t id
        uint8_t enabled
        uint8_t tcs
        uint8_t negotiating
        uint16_t phases
    cdef struct fab_link:
        uint8_t max_lanes
        uint8_t max_gen
        uint8_t target_gen
        uint8_t lanes
        uint8_t gen
        uint8_t up
        uint8_t training
        uint8_t active
        uint8_t disabled
        uint8_t cfg_lanes
        uint16_t ltssm
    cdef struct fab_port_binding:
        uint8_t phys
        uint8_t partition
        uint8_t logical
        uint8_t bound
        uint8_t state
    cdef struct fab_switch_owner:
        uint64_t pid
        uint64_t since_ns
        int64_t left_ns
        uint32_t alive
        uint32_t mine
        uint64_t before_pid
        char name[48]
        char before[48]
    int fab_switch_config_read(fab_switch *sw, uint32_t where, uint16_t addr, uint8_t bytes,
                               uint32_t *value)
    int fab_switch_config_write(fab_switch *sw, uint32_t where, uint16_t addr, uint8_t bytes,
                                uint32_t value)
    int fab_switch_capabilities(fab_switch *sw, uint32_t where, fab_capability *out, size_t max)
    const char *fab_capability_name(uint16_t id, int extended)
    int fab_switch_vcs(fab_switch *sw, uint32_t where, fab_vc *out, size_t max)
    int fab_switch_vc_map(fab_switch *sw, uint32_t where, const fab_vc *wish, size_t n)
    int fab_switch_vc_wait(fab_switch *sw, uint32_t where, uint64_t timeout_ns)
    int64_t fab_switch_load_vc_table(fab_switch *sw, uint32_t where, const uint8_t *entries,
                                     size_t phases)
    int fab_switch_vc_table(fab_switch *sw, uint32_t where, uint8_t *entries, size_t max)
    int64_t fab_switch_load_vc_port_table(fab_switch *sw, uint32_t where, uint8_t vc,
                                          const uint8_t *entries, size_t phases)
    int fab_switch_vc_port_table(fab_switch *sw, uint32_t where, uint8_t vc, uint8_t *entries,
                                 size_t max)
    int fab_switch_link(fab_switch *sw, uint8_t port, fab_link *out)
    int fab_switch_link_wait(fab_switch *sw, uint8_t port, uint64_t timeout_ns)
    int fab_switch_link_speed(fab_switch *sw, uint8_t port, uint8_t gen, uint64_t timeout_ns)
    int fab_switch_link_disable(fab_switch *sw, uint8_t port, int disable)
    int fab_switch_isolate(fab_switch *sw, uint32_t where)
    int fab_switch_bifurcation(fab_switch *sw, uint8_t stack, uint8_t *widths)
    int fab_switch_bifurcation_set(fab_switch *sw, uint8_t stack, const uint8_t *widths)
    int fab_switch_port_bindings(fab_switch *sw, fab_port_binding *out, size_t max)
    int fab_switch_port_bind(fab_switch *sw, uint8_t partition, uint8_t logical, uint8_t phys)
    int fab_switch_port_unbind(fab_switch *sw, uint8_t partition, uint8_t logical)
    int fab_switch_own(fab_switch *sw, const char *name, uint64_t lease_ns)
    int fab_switch_disown(fab_switch *sw)
    int fab_switch_renew(fab_switch *sw)
    int fab_switch_owner_of "fab_switch_owner"(fab_switch *sw, fab_switch_owner *out)

    ctypedef struct fab_change:
        pass
    cdef struct fab_change_report:
        uint32_t steps
        int32_t failed
        int32_t error
        int32_t rolled_back
    int fab_change_open(size_t steps, fab_change **out)
    void fab_change_close(fab_change *change)
    int fab_change_begin(fab_change *change, fab_switch *const *switches, size_t n)
    int fab_change_commit(fab_change *change, fab_change_report *report)
    int fab_change_roll_back(fab_change *change, fab_change_report *report)

    enum: FAB_EVENTS
    enum: FAB_EVENT_ALL
    enum: FAB_EVENT_LOG
    enum: FAB_EVENT_CLI
    enum: FAB_EVENT_IRQ
    enum: FAB_EVENT_FATAL
    enum: FAB_STACK_COUNTERS
    enum: FAB_LATENCY_ALL
    cdef struct fab_event:
        uint8_t event
        uint8_t index
        uint8_t pff
        uint8_t enabled
        uint32_t count
        uint32_t data[5]
    cdef struct fab_event_counter:
        uint8_t ports
        uint8_t egress
        uint32_t types
        uint32_t threshold
        uint32_t value
    cdef struct fab_latency:
        uint16_t min_ns
        uint16_t max_ns
    const char *fab_event_name(unsigned event)
    int fab_switch_events(fab_switch *sw, fab_event *out, size_t max)
    int fab_switch_event_clear(fab_switch *sw, unsigned event, unsigned index)
    int fab_switch_event_enable(fab_switch *sw, unsigned event, unsigned index, unsigned enables,
                                int on)
    int fab_switch_event_counter_setup(fab_switch *sw, uint8_t stack, uint8_t counter,
                                       const fab_event_counter *setup)
    int fab_switch_event_counters(fab_switch *sw, uint8_t stack, uint8_t first, size_t n,
                                  int clear, fab_event_counter *out)
    int fab_switch_latency_setup(fab_switch *sw, const uint8_t *egress, const uint8_t *ingress,
                                 size_t n)
    int fab_switch_latency(fab_switch *sw, const uint8_t *egress, size_t n, int clear,
                           fab_latency *out)
    int fab_switch_temperature(fab_switch *sw, double *celsius, size_t max)
    int fab_switch_gas_read(fab_switch *sw, int pax, uint32_t off, void *out, size_t n)
    int fab_switch_gas_write(fab_switch *sw, int pax, uint32_t off, const void *data, size_t n)
    int fab_switch_hard_reset(fab_switch *sw)
    cdef struct fab_gfms_function:
        uint16_t pdfid
        uint16_t function
        uint8_t port
        uint8_t kind
        uint8_t vfs
        uint8_t bound
        uint8_t host_switch
        uint8_t host_port
        uint8_t logical
        uint8_t bars
        uint16_t vendor
        uint16_t device
        uint16_t subsystem_vendor
        uint16_t subsystem_device
        uint32_t class_code
        uint8_t bar_type[6]
        uint8_t bar_log2[6]
    cdef struct fab_gfms_host:
        uint8_t hvd
        uint8_t port
        uint16_t hfid
        uint16_t logical_ports
        uint16_t bound
    cdef struct fab_gfms_binding:
        uint8_t hvd
        uint8_t port
        uint8_t logical
        uint8_t slot
        uint16_t pdfid
    cdef struct fab_gfms_pax:
        uint8_t pax
        uint8_t ports
        uint8_t hosts
        uint16_t swfid
        uint16_t devices
        uint16_t functions
        uint16_t fid[2]
        uint16_t hfid[2]
        uint16_t vdfid[2]
        uint16_t pdfid[2]
        uint64_t host_ports
        uint64_t module_ports
        uint64_t fabric_ports
        uint64_t free_ports
    cdef struct fab_gfms_event:
        uint8_t code
        uint8_t sw
        uint16_t bytes
        uint8_t data[32]
    int fab_switch_gfms_functions(fab_switch *sw, fab_gfms_function *out, size_t max)
    int fab_switch_gfms_hosts(fab_switch *sw, fab_gfms_host *out, size_t max)
    int fab_switch_gfms_bindings(fab_switch *sw, fab_gfms_binding *out, size_t max)
    int fab_switch_gfms_pax(fab_switch *sw, fab_gfms_pax *out)
    int fab_switch_gfms_events(fab_switch *sw, fab_gfms_event *out, size_t max, uint32_t *left,
                               int *lost)
    int fab_switch_gfms_clear(fab_switch *sw)
    enum: FAB_FIRMWARE_MAX
    enum: FAB_FIRMWARE_KEEP
    enum: FAB_FIRMWARE_FORCE
    cdef struct fab_firmware_partition:
        uint8_t kind
        uint8_t index
        uint8_t valid
        uint8_t active
        uint8_t running
        uint8_t read_only
        uint8_t is_signed
        uint32_t version
        uint32_t secure_version
        uint32_t crc
        uint32_t length
        uint32_t start
        uint32_t size
        char text[16]
        char name[17]
    cdef struct fab_security:
        uint8_t serial[64]
        uint32_t serial_bytes
        uint32_t key_version
        uint32_t riot_version
        uint32_t bl2_version
        uint32_t main_version
        uint32_t unlock_version
        uint8_t secure_state
        uint8_t attestation
        uint8_t debug_mode
        uint8_t keys
        uint8_t key_hash[12][64]
    ctypedef int (*fab_firmware_progress)(void *context, size_t done, size_t total) noexcept nogil
    int fab_switch_firmware_partitions(fab_switch *sw, fab_firmware_partition *out, size_t max)
    int fab_switch_boot_phase(fab_switch *sw)
    int fab_switch_firmware_update(fab_switch *sw, const void *image, size_t bytes, uint32_t flags,
                                   fab_firmware_progress progress, void *context, uint32_t *status)
    const char *fab_firmware_text(uint32_t status)
    int fab_switch_firmware_toggle(fab_switch *sw, uint32_t kinds)
    int fab_switch_security(fab_switch *sw, fab_security *out)

    cdef struct fab_target:
        uint8_t kind
        uint8_t sw
        uint8_t port
        uint8_t pad
        uint16_t pdfid
        uint16_t phases
    cdef struct fab_plan_report:
        uint64_t writes
        uint32_t loaded
        int32_t failed
        int32_t error
        int32_t rolled_back
    cdef struct fab_shape:
        uint8_t sw
        uint16_t pdfid
        double up_min
        double down_min
        double up_max
        double down_max
    ctypedef struct fab_plan:
        pass
    int fab_plan_open(fab_switch *const *switches, size_t n_switches, const fab_target *targets,
                      size_t n, fab_plan **out)
    void fab_plan_close(fab_plan *plan)
    int fab_plan_apply(fab_plan *plan, const uint8_t *tables, const uint8_t *changed,
                       const fab_shape *shapes, size_t n_shapes, fab_plan_report *report)

    cdef struct fab_function_map:
        uint32_t vm
        uint8_t sw
        uint8_t port
        uint8_t function
        uint8_t pad
    cdef struct fab_function_in:
        double offered_up
        double offered_down
        double ceiling_up
        double ceiling_down
        uint32_t traffic_class
    cdef struct fab_function_out:
        uint64_t up_bytes
        uint64_t down_bytes
        uint64_t up_backlog
        uint64_t down_backlog
        uint64_t up_dropped
        uint64_t down_dropped
        uint64_t bound
    cdef struct fab_function_cell:
        fab_function_in in_ "in"
        fab_function_out out
    int fab_function_cell_of "fab_function_cell"(fab_bar *bar, uint8_t port, uint8_t function,
                                                 fab_function_cell **out)
    int fab_function_offer(fab_bar *bar, uint8_t port, uint8_t function, double up, double down)
    int fab_function_ceiling(fab_bar *bar, uint8_t port, uint8_t function, double up, double down)
    int64_t fab_function_records(fab_bar *const *bars, size_t n_bars, const fab_function_map *map,
                                 size_t n, uint64_t time_ns, fab_record *out)

    enum: FAB_MAX_SWITCHES
    enum: FAB_MAX_PORTS
    enum: FAB_SWITCH_MODULES
    cdef struct fab_node_port:
        uint8_t sw
        uint8_t port
        uint8_t kind
        uint8_t index
        uint8_t gen
        uint8_t cfg_lanes
        uint8_t lanes
        uint8_t peer_switch
        uint8_t peer_port
        uint16_t phases
        double capacity
    cdef struct fab_node_module:
        uint8_t arbitration
        uint8_t vfs
        uint16_t supply_w
    cdef struct fab_node_config:
        uint32_t switches
        uint32_t ports
        uint32_t mps
        uint32_t mrrs
        uint64_t seed
        uint32_t device_id[16]
        uint8_t route[16][16]
        fab_node_module modules[8]
        char name[64]
        uint32_t secure_state
    ctypedef struct fab_node:
        pass
    int fab_node_create(const fab_node_config *config, const fab_node_port *ports,
                        const char *shm, fab_node **out)
    void fab_node_close(fab_node *node)
    fab_bar *fab_node_bar(fab_node *node, size_t sw)
    int fab_node_advance(fab_node *node, double seconds)
    int fab_node_set_step(fab_node *node, double step_s)
    int fab_node_set_drop(fab_node *node, int drop)
    int fab_node_set_mode(fab_node *node, int mode)
    double fab_payload_rate(unsigned gen, unsigned lanes, uint32_t mps, uint32_t mrrs, int kind)
    int fab_node_start(fab_node *node)
    int fab_node_stop(fab_node *node)
    uint64_t fab_node_time_ns(const fab_node *node)
    int fab_node_config_space(fab_node *node, size_t sw, uint8_t port, int function, uint8_t *out)
    int fab_node_fault(fab_node *node, size_t sw, int fault, uint8_t port, uint32_t count)
    int fab_node_fault_at(fab_node *node, uint64_t at_ns, size_t sw, int fault, uint8_t port,
                          uint32_t count)
    uint64_t fab_node_moved_ns(fab_node *node)
    cdef struct fab_module_state:
        uint8_t present
        uint8_t powered
        uint8_t link_up
        uint8_t neg_lanes
        uint8_t neg_gen
        double draw_w
        double fan_rpm
        double temperature_c
        double throttle
    int fab_node_module_state(fab_node *node, unsigned module, fab_module_state *out)

    cdef struct fab_vfio_user_options:
        uint8_t multifunction
        uint8_t no_dma
    ctypedef struct fab_vfio_user:
        pass
    int fab_vfio_user_open(fab_node *node, size_t sw, const char *path,
                           const fab_vfio_user_options *options, fab_vfio_user **out)
    void fab_vfio_user_close(fab_vfio_user *server)
    enum: FAB_ETHERNET_ANYWHERE
    cdef struct fab_ethernet_counters_t "fab_ethernet_counters":
        uint64_t connections
        uint64_t open
        uint64_t refused
        uint64_t malformed
        uint64_t commands
        uint64_t events
    ctypedef struct fab_ethernet:
        pass
    int fab_ethernet_open(fab_node *node, const char *address, uint16_t port, unsigned flags,
                          fab_ethernet **out, size_t *failed)
    void fab_ethernet_close(fab_ethernet *e)
    int fab_ethernet_port(const fab_ethernet *e, size_t sw)
    void fab_ethernet_counters(const fab_ethernet *e, fab_ethernet_counters_t *out)

cdef extern from "fab_arrow.h" nogil:
    enum: FAB_COLUMNS_ROWS_MAX
    cdef struct ArrowSchema:
        void (*release)(ArrowSchema *)
    cdef struct ArrowArray:
        void (*release)(ArrowArray *)
    cdef struct fab_vm_name:
        uint32_t vm
        uint32_t bytes
        const char *name
    ctypedef struct fab_columns_pool:
        pass
    int fab_columns_pool_open(size_t keep, fab_columns_pool **out)
    void fab_columns_pool_close(fab_columns_pool *pool)
    int64_t fab_columns_read(fab_columns_pool *pool, fab_reader *reader, size_t max,
                             const fab_vm_name *names, size_t n_names, ArrowArray *out)
    int64_t fab_columns_fill(fab_columns_pool *pool, const fab_record *records, size_t n,
                             const fab_vm_name *names, size_t n_names, ArrowArray *out)
    void fab_columns_forget(fab_columns_pool *pool)
    int fab_columns_schema(ArrowSchema *out)
