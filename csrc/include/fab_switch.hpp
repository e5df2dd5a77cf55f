/* A switch: its registers (Bar) and the driver above them (Switch). */
#ifndef FAB_SWITCH_HPP
#define FAB_SWITCH_HPP

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "fab_error.hpp"
#include "fab_span.hpp"
#include "fabcore.h"

namespace fab {
namespace detail {

inline int bar_read(fab_bar *bar, std::uint64_t off, std::uint8_t *value) noexcept {
    return fab_bar_read8(bar, off, value);
}
inline int bar_read(fab_bar *bar, std::uint64_t off, std::uint16_t *value) noexcept {
    return fab_bar_read16(bar, off, value);
}
inline int bar_read(fab_bar *bar, std::uint64_t off, std::uint32_t *value) noexcept {
    return fab_bar_read32(bar, off, value);
}
inline int bar_read(fab_bar *bar, std::uint64_t off, std::uint64_t *value) noexcept {
    return fab_bar_read64(bar, off, value);
}
inline int bar_write(fab_bar *bar, std::uint64_t off, std::uint8_t value) noexcept {
    return fab_bar_write8(bar, off, value);
}
inline int bar_write(fab_bar *bar, std::uint64_t off, std::uint16_t value) noexcept {
    return fab_bar_write16(bar, off, value);
}
inline int bar_write(fab_bar *bar, std::uint64_t off, std::uint32_t value) noexcept {
    return fab_bar_write32(bar, off, value);
}
inline int bar_write(fab_bar *bar, std::uint64_t off, std::uint64_t value) noexcept {
    return fab_bar_write64(bar, off, value);
}

}  // namespace detail

/* The registers of one switch. Offsets in bytes, aligned to the access. Writes are posted; a read
 * through the same Bar pushes them. One thread at a time, but for the bars of an emulated Node. */
class Bar {
   public:
    /* "/sys/bus/pci/devices/...", "shm:NAME/K", "uio:N" or a file (fab_bar_open). */
    static Bar open(const std::string &target) {
        fab_bar *bar = nullptr;
        detail::check(fab_bar_open(target.c_str(), &bar), "BAR ", target);
        return Bar(bar, target, nullptr);
    }
    /* Memory that the caller keeps alive. */
    static Bar from_buffer(void *base, std::size_t bytes) {
        fab_bar *bar = nullptr;
        detail::check(fab_bar_from_buffer(base, bytes, &bar), "BAR ", "in a buffer");
        return Bar(bar, "in a buffer", nullptr);
    }

    /* U: std::uint8_t, 16, 32 or 64. 0 or -errno, for hot paths. */
    template <class U>
    int try_read(std::uint64_t off, U &value) noexcept {
        return detail::bar_read(bar_.get(), off, &value);
    }
    template <class U>
    int try_write(std::uint64_t off, U value) noexcept {
        return detail::bar_write(bar_.get(), off, value);
    }
    template <class U>
    U read(std::uint64_t off) {
        U value = 0;
        int rc = try_read(off, value);
        if (rc < 0) fail(rc, "read", sizeof value, off);
        return value;
    }
    template <class U>
    void write(std::uint64_t off, U value) {
        int rc = try_write(off, value);
        if (rc < 0) fail(rc, "write", sizeof value, off);
    }
    std::uint8_t read8(std::uint64_t off) { return read<std::uint8_t>(off); }
    std::uint16_t read16(std::uint64_t off) { return read<std::uint16_t>(off); }
    std::uint32_t read32(std::uint64_t off) { return read<std::uint32_t>(off); }
    std::uint64_t read64(std::uint64_t off) { return read<std::uint64_t>(off); }
    void write8(std::uint64_t off, std::uint8_t value) { write(off, value); }
    void write16(std::uint64_t off, std::uint16_t value) { write(off, value); }
    void write32(std::uint64_t off, std::uint32_t value) { write(off, value); }
    void write64(std::uint64_t off, std::uint64_t value) { write(off, value); }

    void read_block(std::uint64_t off, void *out, std::size_t bytes) {
        int rc = fab_bar_read_block(bar_.get(), off, out, bytes);
        if (rc < 0) fail(rc, "read", bytes, off);
    }
    void write_block(std::uint64_t off, const void *data, std::size_t bytes) {
        int rc = fab_bar_write_block(bar_.get(), off, data, bytes);
        if (rc < 0) fail(rc, "write", bytes, off);
    }
    /* All posted writes have taken effect. */
    void flush() { detail::check(fab_bar_flush(bar_.get()), "flush of BAR ", target_); }

    /* An emulated function's workload (B/s) and counters; -ENOTSUP on hardware. */
    void offer(std::uint8_t port, std::uint8_t function, double up, double down) {
        int rc = fab_function_offer(bar_.get(), port, function, up, down);
        detail::check(rc, "workload of BAR ", target_);
    }
    struct fab_function_cell &cell(std::uint8_t port, std::uint8_t function) {
        struct fab_function_cell *cell = nullptr;
        int rc = ::fab_function_cell(bar_.get(), port, function, &cell);
        detail::check(rc, "counters of BAR ", target_);
        return *cell;
    }

    std::size_t bytes() const noexcept { return fab_bar_bytes(bar_.get()); }
    const std::string &target() const noexcept { return target_; }
    fab_bar *get() const noexcept { return bar_.get(); }

   private:
    friend class Node;

    /* A node's bar is the node's to close; it keeps the node. */
    struct Close {
        std::shared_ptr<fab_node> node;
        void operator()(fab_bar *bar) const noexcept {
            if (!node) fab_bar_close(bar);
        }
    };
    Bar(fab_bar *bar, std::string target, std::shared_ptr<fab_node> node)
        : bar_(bar, Close{std::move(node)}), target_(std::move(target)) {}

    [[noreturn, gnu::cold, gnu::noinline]] void fail(int rc, const char *verb, std::size_t bytes,
                                                     std::uint64_t off) const {
        char what[96];
        std::snprintf(what, sizeof what, ": %s of %zu bytes at 0x%llx", verb, bytes,
                      static_cast<unsigned long long>(off));
        std::string culprit = "BAR " + target_ + what;
        throw Error(rc, rc == -EINVAL ? culprit + " is not aligned" : culprit);
    }

    std::unique_ptr<fab_bar, Close> bar_;
    std::string target_;
};

/* A function's name on the fabric: its module and its number, 0 = PF (registers.md). */
constexpr std::uint16_t pdfid(unsigned module, unsigned function) noexcept {
    return static_cast<std::uint16_t>(module << 6 | function);
}

/* The driver of one switch, which owns its Bar. Every call throws FirmwareError where the firmware
 * refused, else Error. What is not here takes get() and a function of fabcore.h. */
class Switch {
   public:
    explicit Switch(Bar bar) : switch_(driver(std::move(bar))) {}

    fab_switch_info identify() {
        fab_switch_info info{};
        check(fab_switch_identify(get(), &info), "identify");
        return info;
    }
    /* One firmware command: `reply_bytes` of its answer. pax: -1 = this switch. */
    std::vector<unsigned char> mrpc(std::uint32_t command, Span<const unsigned char> payload,
                                    std::size_t reply_bytes, int pax = -1) {
        std::vector<unsigned char> reply(reply_bytes);
        std::uint32_t code = 0;
        check(fab_switch_mrpc(get(), command, pax, payload.data(), payload.size(), reply.data(),
                              reply.size(), &code),
              "mrpc");
        return reply;
    }
    void set_timeout(std::chrono::nanoseconds timeout) noexcept {
        fab_switch_set_timeout(get(), static_cast<std::uint64_t>(timeout.count()));
    }

    std::vector<fab_port_info> ports() {
        std::vector<fab_port_info> out(FAB_MAX_PORTS);
        out.resize(check(fab_switch_ports(get(), out.data(), out.size()), "ports"));
        return out;
    }
    /* The fabric port toward each switch; 0xFF = itself, or there is no way. */
    std::vector<std::uint8_t> routes() {
        std::vector<std::uint8_t> out(FAB_MAX_SWITCHES);
        out.resize(check(fab_switch_routes(get(), out.data(), out.size()), "routes"));
        return out;
    }
    std::vector<fab_port_counters> counters(const std::vector<std::uint8_t> &ports) {
        std::vector<fab_port_counters> out(ports.size());
        check(fab_switch_counters(get(), ports.data(), ports.size(), out.data()), "counters");
        return out;
    }
    /* Ports whose link has changed since the last call. */
    std::vector<std::uint8_t> link_events() {
        std::vector<std::uint8_t> out(FAB_MAX_PORTS);
        out.resize(check(fab_switch_link_events(get(), out.data(), out.size()), "link events"));
        return out;
    }

    void bind(std::uint8_t host_switch, std::uint8_t host_port, std::uint8_t logical,
              std::uint16_t function) {
        check(fab_switch_bind(get(), host_switch, host_port, logical, function), "bind");
    }
    void unbind(std::uint8_t host_switch, std::uint8_t host_port, std::uint8_t logical,
                std::uint16_t function) {
        check(fab_switch_unbind(get(), host_switch, host_port, logical, function), "unbind");
    }
    /* The port's arbitration table: ingress port of each phase; how many registers were written. */
    std::int64_t load_port_table(std::uint8_t port, const std::vector<std::uint8_t> &entries) {
        std::int64_t rc = fab_switch_load_port_table(get(), port, entries.data(), entries.size());
        return static_cast<std::int64_t>(check(rc, "load port table"));
    }
    /* Empty = the port's arbitration is fixed. */
    std::vector<std::uint8_t> port_table(std::uint8_t port) {
        std::vector<std::uint8_t> out(256);
        out.resize(check(fab_switch_port_table(get(), port, out.data(), out.size()), "port table"));
        return out;
    }

    /* A place is a port id, or FAB_AT_FUNCTION | pdfid. */
    std::vector<fab_capability> capabilities(std::uint32_t where) {
        std::vector<fab_capability> out(1024);
        int n = fab_switch_capabilities(get(), where, out.data(), out.size());
        out.resize(check(n, "capabilities"));
        return out;
    }
    std::uint32_t config_read(std::uint32_t where, std::uint16_t addr, std::uint8_t bytes = 4) {
        std::uint32_t value = 0;
        check(fab_switch_config_read(get(), where, addr, bytes, &value), "config read");
        return value;
    }
    void config_write(std::uint32_t where, std::uint16_t addr, std::uint32_t value,
                      std::uint8_t bytes = 4) {
        check(fab_switch_config_write(get(), where, addr, bytes, value), "config write");
    }
    fab_link link(std::uint8_t port) {
        fab_link out{};
        check(fab_switch_link(get(), port, &out), "link");
        return out;
    }
    /* The protections (FAB_ACS_*) that the place does not offer; 0 = none is missing. */
    unsigned isolate(std::uint32_t where) {
        return static_cast<unsigned>(check(fab_switch_isolate(get(), where), "access control"));
    }
    /* True = taken over from one that is dead or whose lease ran out. */
    bool own(const std::string &name, std::chrono::nanoseconds lease = std::chrono::seconds(10)) {
        auto ns = static_cast<std::uint64_t>(lease.count());
        return check(fab_switch_own(get(), name.c_str(), ns), "owner") == 1;
    }
    void disown() noexcept { fab_switch_disown(get()); }

    Bar &bar() noexcept { return switch_.get_deleter().bar; }
    fab_switch *get() const noexcept { return switch_.get(); }

   private:
    /* The bar is closed after the switch, also where one Switch is assigned over another. */
    struct Close {
        Bar bar;
        void operator()(fab_switch *sw) const noexcept { fab_switch_close(sw); }
    };
    using Handle = std::unique_ptr<fab_switch, Close>;

    static Handle driver(Bar bar) {
        fab_switch *sw = nullptr;
        detail::check(fab_switch_open(bar.get(), &sw), "switch behind BAR ", bar.target());
        return Handle(sw, Close{std::move(bar)});
    }

    std::size_t check(std::int64_t rc, const char *what) {
        if (rc < 0) fail(rc, what);
        return static_cast<std::size_t>(rc);
    }
    [[noreturn, gnu::cold, gnu::noinline]] void fail(std::int64_t rc, const char *what) {
        std::string culprit = "switch behind BAR " + bar().target() + ": " + what;
        if (rc != -EREMOTEIO) throw Error(rc, culprit);
        std::uint32_t command = 0, code = fab_switch_refusal(get(), &command);
        throw FirmwareError(culprit, command, code);
    }

    Handle switch_;
};

}  // namespace fab
#endif
